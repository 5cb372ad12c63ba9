# accuracy.gp — the plugin's quality on the test set after each epoch.
# curves.tsv: a block a run; 1 epoch, 2 seconds, 3 rate, 4 and 5 loss in training and test, 6 and 7 quality.
name = 'accuracy'
load 'style.gp'
set xlabel 'epoch'
set ylabel quality
eval epoch_axis
do for [format in formats] {
    eval open(format)
    plot for [i=0:runs-1] 'curves.tsv' index i using 1:7 with linespoints lt i+1 title label[i+1]
}
