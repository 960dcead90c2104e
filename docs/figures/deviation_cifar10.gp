# gnuplot deviation_cifar10.gp: draws deviation_cifar10.svg and deviation_cifar10.png from deviation_cifar10.dat
data = 'deviation_cifar10.dat'
load 'style.gp'
set xlabel 'passes'
set ylabel 'deviation from For'
set logscale y
set format y '%g'
unset key
set offsets graph 0.05, graph 0.25, 0, 0
set xtics 1
set terminal svg noenhanced size 460,350 font 'sans-serif,14' background rgb 'white'
set output 'deviation_cifar10.svg'
plot data using 1:2:2:3 with yerrorbars lt 2 dt solid, \
  data using 1:2:4 with labels left offset 0.8,0.5 textcolor rgb ink
set terminal pngcairo noenhanced size 920,700 font 'sans-serif,14' fontscale 2 linewidth 2 pointscale 2
set output 'deviation_cifar10.png'
plot data using 1:2:2:3 with yerrorbars lt 2 dt solid, \
  data using 1:2:4 with labels left offset 0.8,0.5 textcolor rgb ink
unset output
