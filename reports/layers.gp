# layers.gp — mean time of one training step by row of the network's table; NAME.gp sets `name` and `rows`.
# NAME.tsv: 1 row, 2 forward, 3 backward, 4 update, 5 input, in ms.
height = 130 + 26*rows
load 'style.gp'
data = name.'.tsv'
set border 1
set grid xtics noytics
set yrange [rows-0.4:-0.6]
set ytics scale 0
set xrange [0:*]
set xlabel 'time of one step (ms)'
do for [format in formats] {
    eval open(format)
    plot data using (0):0:(0):2:($0-0.36):($0+0.36):ytic(1) with boxxyerror lt 1 fs solid 0.9 noborder title 'forward', \
         data using 2:0:2:($2+$3):($0-0.36):($0+0.36) with boxxyerror lt 2 fs solid 0.9 noborder title 'backward', \
         data using 2:0:($2+$3):($2+$3+$4):($0-0.36):($0+0.36) with boxxyerror lt 4 fs solid 0.9 noborder title 'update', \
         data using 2:0:($2+$3+$4):($2+$3+$4+$5):($0-0.36):($0+0.36) with boxxyerror lt 7 fs solid 0.9 noborder title 'input'
}
