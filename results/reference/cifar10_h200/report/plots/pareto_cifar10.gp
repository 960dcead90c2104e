# gnuplot pareto_cifar10.gp: draws pareto_cifar10.svg and pareto_cifar10.png from pareto_cifar10.dat
data = 'pareto_cifar10.dat'
load 'style.gp'
set xlabel 'total time, s'
set ylabel 'FD(cifar10_extractor)'
set logscale x
set format x '%g'
set offsets 0, 0, graph 0.05, graph 0.12
set xrange [2.6427508130769226:26.5686596985]
set xtics (5, 10, 20)
set terminal svg noenhanced size 460,430 font 'sans-serif,14' background rgb 'white'
set output 'pareto_cifar10.svg'
plot data index 0 using 1:2:3 with yerrorbars lt 1 dt solid title 'For', \
  data index 1 using 1:2:3 with yerrorbars lt 2 dt solid title '[1/7-8-8-5]', \
  data index 2 using 1:2:3 with yerrorbars lt 3 dt solid title '[4/7-8-8-5]', \
  data index 3 using 1:2:3 with yerrorbars lt 4 dt solid title 'Jacobi-6', \
  data index 4 using 1:2 with steps lc rgb ink lw 1 dt (6,4) title 'not beaten'
set terminal pngcairo noenhanced size 920,860 font 'sans-serif,14' fontscale 2 linewidth 2 pointscale 2
set output 'pareto_cifar10.png'
plot data index 0 using 1:2:3 with yerrorbars lt 1 dt solid title 'For', \
  data index 1 using 1:2:3 with yerrorbars lt 2 dt solid title '[1/7-8-8-5]', \
  data index 2 using 1:2:3 with yerrorbars lt 3 dt solid title '[4/7-8-8-5]', \
  data index 3 using 1:2:3 with yerrorbars lt 4 dt solid title 'Jacobi-6', \
  data index 4 using 1:2 with steps lc rgb ink lw 1 dt (6,4) title 'not beaten'
unset output
