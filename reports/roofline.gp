# roofline.gp — ops of one step under the machine's roofs. NAME.gp sets name, slopes, slope[], slope_name[]
# (GB/s), flats, flat[], flat_name[] (GFLOP/s), the highest first, and numbered, op[] for the list.
# NAME.tsv: 1 op, 2 number, 3 pass, 4 FLOP/byte, 5 GFLOP/s, 6 share of the step.
height = 560
load 'style.gp'
data = name.'.tsv'
stats data using 4 nooutput name 'X'
stats data using 5 nooutput name 'Y'
roof = flat[1]
low  = 10**floor(log10(X_min < 0.1 ? X_min : 0.1))
high = 10**ceil(log10(X_max > 100 ? X_max : 100))
base = 10**floor(log10(Y_min < roof/1000 ? Y_min : roof/1000))
set logscale xy
set xrange [low:high]
set yrange [base:roof*4]
set format xy '%g'
set xlabel 'operations a byte (FLOP/B)'
set ylabel 'GFLOP/s'
set grid xtics ytics lc rgb faint lw 0.35 dt solid
set samples 400
set key at screen 0.655, 0.48 left top vertical maxrows 3 samplen 0.6 font ',11'
under(x, y) = x < y ? x : y
# Bandwidths are named along their lines, each further on than the one above; arithmetic at the left
# edge; on the right the numbered ops, what the colours mean, and the bandwidths.
along(i) = low*1.25*1.75**(i-1)
slant = atan(0.83*560/log10(4*roof/base) / (0.50*680/log10(high/low)))*180/pi
set lmargin at screen 0.15; set rmargin at screen 0.65
set bmargin at screen 0.13; set tmargin at screen 0.96
do for [i=1:slopes] {
    set label 100+i slope_name[i] at along(i), slope[i]*along(i)*1.15 rotate by slant textcolor rgb faint font ',11'
    set label 400+i sprintf('%s  %.0f GB/s', slope_name[i], slope[i]) \
        at screen 0.665, 0.28-0.04*i left textcolor rgb faint font ',11'
}
do for [i=1:flats] {
    set label 200+i sprintf('%s %.3g GFLOP/s', flat_name[i], flat[i]) at low*1.08, flat[i]*1.25 left textcolor rgb faint font ',11'
}
# The numbers stand around their points in turn, so that neighbours do not cover each other.
array dx[9] = [ 0,  1.5,  0,  -1.5,  1.1, -1.1,  1.1, -1.1, 1.2]
array dy[9] = [ 0.9, 0, -0.9,  0,    0.6, -0.6, -0.6,  0.6, 0]
do for [i=1:numbered] { set label 300+i op[i] at screen 0.665, 0.95-0.045*i left textcolor rgb ink font ',11' }
size(share) = 0.5 + 3.0*sqrt(share)
do for [format in formats] {
    eval open(format)
    plot for [i=1:slopes] under(slope[i]*x, roof) with lines lc rgb faint lw 1.2 notitle, \
         for [i=1:flats] flat[i] with lines lc rgb faint lw 1.2 dt 2 notitle, \
         data using ($3==0 ? $4 : NaN):5:(size($6)) with points lt 1 pt 7 ps variable title 'forward', \
         data using ($3==1 ? $4 : NaN):5:(size($6)) with points lt 2 pt 7 ps variable title 'backward', \
         data using ($3==2 ? $4 : NaN):5:(size($6)) with points lt 4 pt 7 ps variable title 'update, input', \
         for [k=1:numbered] data using ($2==k ? $4 : NaN):5:2 with labels center offset dx[k], dy[k] \
             textcolor rgb ink font ',11' notitle
}
