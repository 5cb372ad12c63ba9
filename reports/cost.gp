# cost.gp — last quality against trained parameters (left) and multiply-adds of a forward pass (right).
# runs.tsv: a line a run; 1 label, 3 parameters, 4 MACs, 5 quality.
load 'style.gp'
name = alone('cost')
# The key has three columns, and the picture grows with its rows.
rows = words(members) > 9 ? ceil(words(members) / 3.0) : 3
height = 400 + 22 * (rows - 3)
bottom = (0.34 * 400 + 22 * (rows - 3)) / height
below = (0.19 * 400 + 22 * (rows - 3)) / height
set logscale x
set format x '%.0s %c'
set offsets graph 0.1, graph 0.1, graph 0.1, graph 0.1
side(left, right) = sprintf('set lmargin at screen %g; set rmargin at screen %g; ' \
    . 'set tmargin at screen 0.95; set bmargin at screen %g', left, right, bottom)
do for [format in formats] {
    eval open(format)
    set multiplot
    eval axes
    unset key
    eval side(0.145, 0.54)
    set ylabel quality[metric] textcolor rgb ink
    set xlabel 'parameters' textcolor rgb ink
    plot for [m in members] 'runs.tsv' every ::int(m)::int(m) using 3:5 with points lt int(m)+1 ps 1.3
    eval side(0.59, 0.98)
    unset ylabel
    set format y ''
    set xlabel 'multiply-adds, one sample forward' textcolor rgb ink
    plot for [m in members] 'runs.tsv' every ::int(m)::int(m) using 4:5 with points lt int(m)+1 ps 1.3
    set format y
    # The key has the whole width: a plot of nothing below the two.
    set lmargin at screen 0.02; set rmargin at screen 0.98
    set tmargin at screen below; set bmargin at screen 0.01
    unset border; unset tics; unset xlabel
    set key center center inside horizontal maxrows rows Left reverse
    plot [1:2][0:1] NaN notitle, \
         for [m in members] keyentry with points lt int(m)+1 ps 1.1 title label[int(m)+1]
    unset multiplot
}
