# gnuplot crm_cifar10.gp: draws crm_cifar10.svg and crm_cifar10.png from crm_cifar10.dat
data = 'crm_cifar10.dat'
load 'style.gp'
set xlabel 'block (the last is sampled first)'
set ylabel 'CRM %'
set xrange [-0.6:7.6]
set yrange [0:*]
set xtics 1
set boxwidth 0.7
set key outside above center horizontal
set terminal svg noenhanced size 460,350 font 'sans-serif,14' background rgb 'white'
set output 'crm_cifar10.svg'
plot data using 1:2 with boxes lt 2 dt solid lw 1 fillstyle solid 0.55 title 'others', \
  data using 1:3 with boxes lt 3 dt solid lw 1 fillstyle pattern 2 title 'tough'
set terminal pngcairo noenhanced size 920,700 font 'sans-serif,14' fontscale 2 linewidth 2 pointscale 2
set output 'crm_cifar10.png'
plot data using 1:2 with boxes lt 2 dt solid lw 1 fillstyle solid 0.55 title 'others', \
  data using 1:3 with boxes lt 3 dt solid lw 1 fillstyle pattern 2 title 'tough'
unset output
