# gnuplot heat_map_cifar10_4_7-8-8-5.gp: draws heat_map_cifar10_4_7-8-8-5.svg and heat_map_cifar10_4_7-8-8-5.png from heat_map_cifar10_4_7-8-8-5.dat
data = 'heat_map_cifar10_4_7-8-8-5.dat'
load 'style.gp'
set title '[4/7-8-8-5]'
set xlabel 'cfg'
set ylabel 'self_denoising_lr'
set cblabel 'FD(cifar10_extractor)'
set xrange [-0.5:2.5]
set yrange [-0.5:1.5]
set xtics ('0' 0, '1' 1, '2' 2)
set ytics ('0' 0, '1' 1)
set cbrange [0.40698127651622923:1.7124654193703346]
unset grid
unset key
set object 1 rectangle from 1.53,0.54 to 2.4699999999999998,1.46 front fillstyle empty border lc rgb '#D55E00' lw 4
set terminal svg noenhanced size 460,330 font 'sans-serif,14' background rgb 'white'
set output 'heat_map_cifar10_4_7-8-8-5.svg'
plot data using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data using 1:2:4:5 with labels textcolor rgb variable
set terminal pngcairo noenhanced size 920,660 font 'sans-serif,14' fontscale 2 linewidth 2 pointscale 2
set output 'heat_map_cifar10_4_7-8-8-5.png'
plot data using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \
  data using 1:2:4:5 with labels textcolor rgb variable
unset output
