# gnuplot rate_cifar10.gp: draws rate_cifar10.svg and rate_cifar10.png from rate_cifar10.dat
data = 'rate_cifar10.dat'
load 'style.gp'
set xlabel 'rate (speed-up over For)'
set xrange [0:2.4009553535707666]
set yrange [2.6:-0.6]
set ytics ('Jacobi-6' 0, '[4/7-8-8-5]' 1, '[1/7-8-8-5]' 2) noenhanced
unset key
set arrow 1 from 1,graph 0 to 1,graph 1 nohead front lc rgb ink lw 1 dt (6,4)
set terminal svg noenhanced size 460,190 font 'sans-serif,14' background rgb 'white'
set output 'rate_cifar10.svg'
plot data using 2:1:(0):2:($1-0.34):($1+0.34) with boxxyerror lt 2 dt solid lw 1 fillstyle solid 0.55, \
  data using 3:1:(0):3:($1-0.34):($1+0.34) with boxxyerror lt 2 dt solid lw 1 fillstyle pattern 2, \
  data using 4:1:5 with labels left offset 0.6,0 textcolor rgb ink
set terminal pngcairo noenhanced size 920,380 font 'sans-serif,14' fontscale 2 linewidth 2 pointscale 2
set output 'rate_cifar10.png'
plot data using 2:1:(0):2:($1-0.34):($1+0.34) with boxxyerror lt 2 dt solid lw 1 fillstyle solid 0.55, \
  data using 3:1:(0):3:($1-0.34):($1+0.34) with boxxyerror lt 2 dt solid lw 1 fillstyle pattern 2, \
  data using 4:1:5 with labels left offset 0.6,0 textcolor rgb ink
unset output
