# steps.gp — how steady the training steps are: all warm steps around their median,
# bar 25-75 %, whiskers 1-99 %.
# runs.tsv: a line a run; 1 label, 12 to 16 quantiles in ms, 14 being the median.
load 'words.gp'
name = 'steps'
height = 110 + 40*runs
load 'style.gp'
# A step that another program held up may take many times the median: cut there, or nothing else shows.
off(c) = column(c)/column(14) > 2 ? 100 : 100*(column(c)/column(14) - 1)
with_median(i) = sprintf('%s  (%.3g ms)', strcol(1), column(14))
unset key
set grid xtics noytics
set border 1
set yrange [runs-0.4:-0.6]
set ytics scale 0
set xlabel 'distance of a step from the median (%)'
set arrow from 0, graph 0 to 0, graph 1 nohead lc rgb ink lw 0.7 back
do for [format in formats] {
    eval open(format)
    plot 'runs.tsv' using (0):0:(off(12)):(off(16)):ytic(with_median(0)) with xerrorbars lc rgb ink lw 0.8 pt 0 ps 0, \
         '' using (0):0:(off(13)):(off(15)):($0-0.22):($0+0.22):(int($0)+1) with boxxyerror lc variable fs solid 1 noborder
}
