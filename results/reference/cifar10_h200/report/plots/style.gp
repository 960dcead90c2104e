# What all plots of this folder share. Each NAME.gp loads it: gnuplot NAME.gp draws NAME.svg and
# NAME.png again. Settings of your own go into own.gp, which is loaded last and never overwritten.
set encoding utf8
ink = '#202020'
set linetype 1 lc rgb '#202020' lw 2 dt 1 pt 7 ps 0.8
set linetype 2 lc rgb '#0072B2' lw 2 dt 2 pt 5 ps 0.8
set linetype 3 lc rgb '#D55E00' lw 2 dt 4 pt 9 ps 0.9
set linetype 4 lc rgb '#009E73' lw 2 dt 3 pt 11 ps 0.9
set linetype 5 lc rgb '#CC79A7' lw 2 dt 5 pt 13 ps 1.0
set linetype 6 lc rgb '#E69F00' lw 2 dt (12,4) pt 6 ps 0.9
set linetype 7 lc rgb '#56B4E9' lw 2 dt (2,4) pt 4 ps 0.9
set linetype 8 lc rgb '#7F6000' lw 2 dt (12,3,2,3,2,3) pt 8 ps 1.0
set linetype cycle 8
set palette defined (0 '#00224E', 1 '#123570', 2 '#3B496C', 3 '#575D6D', 4 '#707173', \
  5 '#8A8678', 6 '#A59C74', 7 '#C3B369', 8 '#E1CC55', 9 '#FEE838')
set border 3 lc rgb ink lw 1
set tics nomirror out textcolor rgb ink
set grid lc rgb '#A0A0A0' lw 0.5 dt (1,3)
set key outside below center horizontal textcolor rgb ink noenhanced
set title textcolor rgb ink noenhanced
set xlabel textcolor rgb ink noenhanced
set ylabel textcolor rgb ink noenhanced
set cblabel textcolor rgb ink noenhanced
set format y '%g'
set pointintervalbox 0
if (strlen(system('ls own.gp 2>/dev/null')) > 0) { load 'own.gp' }
