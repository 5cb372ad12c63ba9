# style.gp — how every picture looks. A script sets `name` (and perhaps `height`), loads this
# file, and draws inside `do for [format in formats] { eval open(format); ... }`: once as SVG for
# the page, where the ink follows the reader's light or dark theme, and once as PNG.

load 'words.gp'           # written with the data: epochs, runs, label[1..runs], metric_of[1..runs],
                          # quality[1..]: what the axis of each metric is called
if (!exists("metric")) metric = 1  # of the runs that a picture of quality shows
alone(name) = metric > 1 ? sprintf('%s_%d', name, metric) : name
members = ''               # their numbers from 0
do for [i=1:runs] { if (metric_of[i] == metric) { members = members.sprintf(' %d', i-1) } }
if (!exists("height")) height = 400
ink  = '#112233'          # page.css knows this colour and turns it with the theme
faint = '#445566'

formats = 'svg png'
png = strstrt(GPVAL_TERMINALS, 'pngcairo') ? 'pngcairo' : 'png'
open(format) = (format eq 'svg' \
    ? sprintf("set terminal svg size 680,%d font 'Helvetica,14' noenhanced name '%s' linewidth 1.4", height, name) \
    : sprintf("set terminal %s size %d,%d font 'DejaVu Sans,%d' noenhanced linewidth 2.2", png, 1360, 2*height, png eq 'png' ? 20 : 22)) \
    . sprintf("; set output '%s.%s'", name, format)

# Eight colours that stay apart on white, on black and for most colour-blind eyes (after Paul Tol).
set linetype 1 lc rgb '#4477aa' lw 1.6 pt 7 ps 0.6
set linetype 2 lc rgb '#ee6677' lw 1.6 pt 5 ps 0.6
set linetype 3 lc rgb '#228833' lw 1.6 pt 9 ps 0.7
set linetype 4 lc rgb '#bb9d22' lw 1.6 pt 11 ps 0.7
set linetype 5 lc rgb '#44aacc' lw 1.6 pt 13 ps 0.7
set linetype 6 lc rgb '#aa4488' lw 1.6 pt 7 ps 0.6
set linetype 7 lc rgb '#888888' lw 1.6 pt 5 ps 0.6
set linetype 8 lc rgb '#dd7722' lw 1.6 pt 9 ps 0.7
# Then the same eight with open marks.
do for [i=1:8] { eval sprintf("set linetype %d lc rgb '%s' lw 1.6 pt %d ps 0.7", i+8, \
    word('#4477aa #ee6677 #228833 #bb9d22 #44aacc #aa4488 #888888 #dd7722', i), int(word('6 4 8 10 12 6 4 8', i))) }
set linetype cycle 16

set datafile separator tab
set datafile missing 'NaN'
set encoding utf8
axes = "set border 3 lc rgb ink lw 0.7; set xtics nomirror; set ytics nomirror; set tics out scale 0.6 textcolor rgb ink"
eval axes
set grid ytics lc rgb faint lw 0.35 dt solid
set xlabel textcolor rgb ink offset 0, 0.2
set ylabel textcolor rgb ink
set title textcolor rgb ink
set key textcolor rgb ink samplen 1.6 spacing 1.15 noenhanced
set key above center horizontal maxrows 3 Left reverse

# Whole epochs only, about ten tics at most.
epoch_axis = sprintf("set xrange [0.9:%g]; set xtics 1, %d", epochs + 0.1, ceil(epochs/10.0))
