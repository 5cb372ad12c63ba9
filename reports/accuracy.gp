# accuracy.gp — the plugin's quality on the test set after each epoch.
# curves.tsv: a block a run; 1 epoch, 2 seconds, 3 rate, 4 and 5 loss in training and test, 6 and 7 quality.
load 'style.gp'
name = alone('accuracy')
set xlabel 'epoch'
set ylabel quality[metric]
eval epoch_axis
do for [format in formats] {
    eval open(format)
    plot for [m in members] 'curves.tsv' index int(m) using 1:7 with linespoints lt int(m)+1 title label[int(m)+1]
}
