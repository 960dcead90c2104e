# gnuplot heat_map_cifar10.gp: draws heat_map_cifar10.svg and heat_map_cifar10.png from heat_map_cifar10.dat
data = 'heat_map_cifar10.dat'
load 'style.gp'
set cblabel 'FD(cifar10_extractor)'
set xrange [-0.5:2.5]
set yrange [-0.5:1.5]
set xtics ('0' 0, '1' 1, '2' 2) noenhanced
set ytics ('0' 0, '1' 1) noenhanced
set cbrange [0.40698127651622923:1.7124654193703346]
unset grid
unset key
set terminal svg noenhanced size 760,590 font 'sans-serif,14' background rgb 'white'
set output 'heat_map_cifar10.svg'
set colorbox user origin screen 0.8158, screen 0.1424 size screen 0.0211, screen 0.7898
set multiplot layout 2,2 margins screen 0.1000,0.7947,0.1424,0.9322 spacing screen 0.0816,0.1458
set title 'For'
set xlabel ''
set ylabel 'self_denoising_lr'
set object 1 rectangle from 1.53,0.54 to 2.4699999999999998,1.46 front fillstyle empty border lc rgb '#D55E00' lw 4
plot data index 0 using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data index 0 using 1:2:4:5 with labels font ',11' textcolor rgb variable
unset object 1
unset colorbox
set title '[1/7-8-8-5]'
set xlabel ''
set ylabel ''
set object 1 rectangle from 1.53,0.54 to 2.4699999999999998,1.46 front fillstyle empty border lc rgb '#D55E00' lw 4
plot data index 1 using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data index 1 using 1:2:4:5 with labels font ',11' textcolor rgb variable
unset object 1
unset colorbox
set title '[4/7-8-8-5]'
set xlabel 'cfg'
set ylabel 'self_denoising_lr'
set object 1 rectangle from 1.53,0.54 to 2.4699999999999998,1.46 front fillstyle empty border lc rgb '#D55E00' lw 4
plot data index 2 using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data index 2 using 1:2:4:5 with labels font ',11' textcolor rgb variable
unset object 1
unset colorbox
set title 'Jacobi-6'
set xlabel 'cfg'
set ylabel ''
set object 1 rectangle from 1.53,0.54 to 2.4699999999999998,1.46 front fillstyle empty border lc rgb '#D55E00' lw 4
plot data index 3 using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data index 3 using 1:2:4:5 with labels font ',11' textcolor rgb variable
unset object 1
unset colorbox
unset multiplot
set terminal pngcairo noenhanced size 1520,1180 font 'sans-serif,14' fontscale 2 linewidth 2 pointscale 2
set output 'heat_map_cifar10.png'
set colorbox user origin screen 0.8158, screen 0.1424 size screen 0.0211, screen 0.7898
set multiplot layout 2,2 margins screen 0.1000,0.7947,0.1424,0.9322 spacing screen 0.0816,0.1458
set title 'For'
set xlabel ''
set ylabel 'self_denoising_lr'
set object 1 rectangle from 1.53,0.54 to 2.4699999999999998,1.46 front fillstyle empty border lc rgb '#D55E00' lw 4
plot data index 0 using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data index 0 using 1:2:4:5 with labels font ',11' textcolor rgb variable
unset object 1
unset colorbox
set title '[1/7-8-8-5]'
set xlabel ''
set ylabel ''
set object 1 rectangle from 1.53,0.54 to 2.4699999999999998,1.46 front fillstyle empty border lc rgb '#D55E00' lw 4
plot data index 1 using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data index 1 using 1:2:4:5 with labels font ',11' textcolor rgb variable
unset object 1
unset colorbox
set title '[4/7-8-8-5]'
set xlabel 'cfg'
set ylabel 'self_denoising_lr'
set object 1 rectangle from 1.53,0.54 to 2.4699999999999998,1.46 front fillstyle empty border lc rgb '#D55E00' lw 4
plot data index 2 using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data index 2 using 1:2:4:5 with labels font ',11' textcolor rgb variable
unset object 1
unset colorbox
set title 'Jacobi-6'
set xlabel 'cfg'
set ylabel ''
set object 1 rectangle from 1.53,0.54 to 2.4699999999999998,1.46 front fillstyle empty border lc rgb '#D55E00' lw 4
plot data index 3 using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data index 3 using 1:2:4:5 with labels font ',11' textcolor rgb variable
unset object 1
unset colorbox
unset multiplot
unset output
