# gnuplot kernels_NVIDIA_H200_bfloat16.gp: draws kernels_NVIDIA_H200_bfloat16.svg and kernels_NVIDIA_H200_bfloat16.png from kernels_NVIDIA_H200_bfloat16.dat
data = 'kernels_NVIDIA_H200_bfloat16.dat'
load 'style.gp'
set xlabel 'share of the time, percent'
set xrange [0:100]
set yrange [8.6:-0.6]
set ytics ('afhq For × 128' 0, 'afhq [7-8-32-10] × 1' 1, 'afhq [7-8-32-10] × 128' 2, 'img128cond For × 128' 3, 'img128cond [6-8-32-10] × 128' 4, 'img64cond For × 128' 5, 'img64cond [0/7-256/8-1/13-6] × 128' 6, 'img64uncond For × 128' 7, 'img64uncond [0/6-8-32-20] × 128' 8) noenhanced
set key at screen 0.5, screen 0.02 center bottom horizontal maxcols 4
set bmargin 7
set terminal svg noenhanced size 640,566 font 'sans-serif,14' background rgb 'white'
set output 'kernels_NVIDIA_H200_bfloat16.svg'
plot data using 2:1:2:3:($1-0.35):($1+0.35) with boxxyerror lt 1 dt solid lw 1 fillstyle pattern 1 title 'matrix products', \
  data using 4:1:4:5:($1-0.35):($1+0.35) with boxxyerror lt 2 dt solid lw 1 fillstyle pattern 2 title 'attention', \
  data using 6:1:6:7:($1-0.35):($1+0.35) with boxxyerror lt 3 dt solid lw 1 fillstyle pattern 3 title 'norm', \
  data using 8:1:8:9:($1-0.35):($1+0.35) with boxxyerror lt 4 dt solid lw 1 fillstyle pattern 4 title 'GELU', \
  data using 10:1:10:11:($1-0.35):($1+0.35) with boxxyerror lt 5 dt solid lw 1 fillstyle pattern 5 title 'update', \
  data using 12:1:12:13:($1-0.35):($1+0.35) with boxxyerror lt 6 dt solid lw 1 fillstyle pattern 6 title 'copies', \
  data using 14:1:14:15:($1-0.35):($1+0.35) with boxxyerror lt 7 dt solid lw 1 fillstyle pattern 7 title 'other'
set terminal pngcairo noenhanced size 1280,1132 font 'sans-serif,14' fontscale 2 linewidth 2 pointscale 2
set output 'kernels_NVIDIA_H200_bfloat16.png'
plot data using 2:1:2:3:($1-0.35):($1+0.35) with boxxyerror lt 1 dt solid lw 1 fillstyle pattern 1 title 'matrix products', \
  data using 4:1:4:5:($1-0.35):($1+0.35) with boxxyerror lt 2 dt solid lw 1 fillstyle pattern 2 title 'attention', \
  data using 6:1:6:7:($1-0.35):($1+0.35) with boxxyerror lt 3 dt solid lw 1 fillstyle pattern 3 title 'norm', \
  data using 8:1:8:9:($1-0.35):($1+0.35) with boxxyerror lt 4 dt solid lw 1 fillstyle pattern 4 title 'GELU', \
  data using 10:1:10:11:($1-0.35):($1+0.35) with boxxyerror lt 5 dt solid lw 1 fillstyle pattern 5 title 'update', \
  data using 12:1:12:13:($1-0.35):($1+0.35) with boxxyerror lt 6 dt solid lw 1 fillstyle pattern 6 title 'copies', \
  data using 14:1:14:15:($1-0.35):($1+0.35) with boxxyerror lt 7 dt solid lw 1 fillstyle pattern 7 title 'other'
unset output
