# time.gp — the plugin's quality on the test set against seconds of training, evaluation included.
# curves.tsv: a block a run; 1 epoch, 2 seconds, 3 rate, 4 and 5 loss in training and test, 6 and 7 quality.
name = 'time'
load 'style.gp'
set xlabel 'training time (s)'
set ylabel quality
set xrange [0:*]
do for [format in formats] {
    eval open(format)
    plot for [i=0:runs-1] 'curves.tsv' index i using 2:7 with linespoints lt i+1 title label[i+1]
}
