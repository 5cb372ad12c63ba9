# roofline.gp — ops of one step under the machine's roofs; NAME.gp sets name, slopes, slope[], slope_name[]
# (GB/s) and flats, flat[], flat_name[] (GFLOP/s), the highest first.
# NAME.tsv: 1 label, 2 pass, 3 FLOP/byte, 4 GFLOP/s, 5 share of the step.
height = 560
load 'style.gp'
data = name.'.tsv'
stats data using 3 nooutput name 'X'
stats data using 4 nooutput name 'Y'
low  = 10**floor(log10(X_min < 0.1 ? X_min : 0.1))
high = 10**ceil(log10(X_max > 100 ? X_max : 100))
roof = flat[1]; do for [i=2:flats] { roof = flat[i] > roof ? flat[i] : roof }
floor_ = 10**floor(log10(Y_min < roof/100 ? Y_min : roof/100))
set logscale xy
set xrange [low:high]
set yrange [floor_:roof*3]
set format xy '%g'
set xlabel 'operations a byte (FLOP/B)'
set ylabel 'GFLOP/s'
set grid xtics ytics lc rgb faint lw 0.35 dt solid
set samples 400
under(x, y) = x < y ? x : y
# Bandwidths are named where they leave the left or lower edge, arithmetic at the right edge.
start(b) = floor_/b > low ? floor_/b : low
do for [i=1:slopes] {
    set label 100+i sprintf('%s %.0f GB/s', slope_name[i], slope[i]) \
        at start(slope[i])*1.15, slope[i]*start(slope[i])*1.15*1.18 rotate by 38 textcolor rgb ink front
}
do for [i=1:flats] {
    set label 200+i sprintf('%s %.4g', flat_name[i], flat[i]) at high/1.1, flat[i]*1.17 right textcolor rgb ink front
}
size(share) = 0.5 + 3.5*sqrt(share)
do for [format in formats] {
    eval open(format)
    plot for [i=1:slopes] under(slope[i]*x, roof) with lines lc rgb faint lw 1.2 notitle, \
         for [i=1:flats] flat[i] with lines lc rgb faint lw 1.2 dt 2 notitle, \
         data using ($2==0 ? $3 : NaN):4:(size($5)) with points lt 1 pt 7 ps variable title 'forward', \
         data using ($2==1 ? $3 : NaN):4:(size($5)) with points lt 2 pt 7 ps variable title 'backward', \
         data using ($2==2 ? $3 : NaN):4:(size($5)) with points lt 4 pt 7 ps variable title 'update, input', \
         data using 3:4:1 with labels left offset 1, 0.3 textcolor rgb ink font ',11' notitle
}
