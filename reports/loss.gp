# loss.gp — the loss after each epoch: test set solid, training set dashed.
# curves.tsv: a block a run; 1 epoch, 2 seconds, 3 rate, 4 and 5 loss in training and test, 6 and 7 quality.
name = 'loss'
load 'style.gp'
set xlabel 'epoch'
set ylabel 'loss'
eval epoch_axis
do for [format in formats] {
    eval open(format)
    plot for [i=0:runs-1] 'curves.tsv' index i using 1:4 with lines lt i+1 lw 1.0 dt (5,4) notitle, \
         for [i=0:runs-1] 'curves.tsv' index i using 1:5 with linespoints lt i+1 title label[i+1]
}
