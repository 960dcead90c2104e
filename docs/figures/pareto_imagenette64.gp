# gnuplot pareto_imagenette64.gp: draws pareto_imagenette64.svg and pareto_imagenette64.png from pareto_imagenette64.dat
data = 'pareto_imagenette64.dat'
load 'style.gp'
set xlabel 'total time, s'
set ylabel 'FD(imagenette64_extractor)'
set logscale x
set format x '%g'
set offsets 0, 0, graph 0.05, graph 0.12
set xrange [1.025195334871795:12.1418670975]
set xtics (2, 5, 10)
set terminal svg noenhanced size 460,584 font 'sans-serif,14' background rgb 'white'
set output 'pareto_imagenette64.svg'
plot data index 0 using 1:2:3 with yerrorbars lt 1 dt solid title 'For', \
  data index 1 using 1:2:3 with yerrorbars lt 2 dt solid title 'Window-64-0.1', \
  data index 2 using 1:2:3 with yerrorbars lt 3 dt solid title 'Window-32-0.05', \
  data index 3 using 1:2:3 with yerrorbars lt 4 dt solid title 'Window-64-0.05', \
  data index 4 using 1:2:3 with yerrorbars lt 5 dt solid title 'Window-64-0.05, FH', \
  data index 5 using 1:2:3 with yerrorbars lt 6 dt solid title 'Window-64', \
  data index 6 using 1:2:3 with yerrorbars lt 7 dt solid title 'Window-128-0.05', \
  data index 7 using 1:2:3 with yerrorbars lt 8 dt solid title 'STARFlow', \
  data index 8 using 1:2:3 with yerrorbars lt 9 dt solid title 'Window-64, up', \
  data index 9 using 1:2:3 with yerrorbars lt 10 dt solid title '[5-8-32-10]', \
  data index 10 using 1:2:3 with yerrorbars lt 11 dt solid title 'SeJD', \
  data index 11 using 1:2 with steps lc rgb ink lw 1 dt (6,4) title 'not beaten', \
  data index 11 using 1:2:4 with labels left offset 0.6,-0.7 textcolor rgb ink notitle
set terminal pngcairo noenhanced size 920,1168 font 'sans-serif,14' fontscale 2 linewidth 2 pointscale 2
set output 'pareto_imagenette64.png'
plot data index 0 using 1:2:3 with yerrorbars lt 1 dt solid title 'For', \
  data index 1 using 1:2:3 with yerrorbars lt 2 dt solid title 'Window-64-0.1', \
  data index 2 using 1:2:3 with yerrorbars lt 3 dt solid title 'Window-32-0.05', \
  data index 3 using 1:2:3 with yerrorbars lt 4 dt solid title 'Window-64-0.05', \
  data index 4 using 1:2:3 with yerrorbars lt 5 dt solid title 'Window-64-0.05, FH', \
  data index 5 using 1:2:3 with yerrorbars lt 6 dt solid title 'Window-64', \
  data index 6 using 1:2:3 with yerrorbars lt 7 dt solid title 'Window-128-0.05', \
  data index 7 using 1:2:3 with yerrorbars lt 8 dt solid title 'STARFlow', \
  data index 8 using 1:2:3 with yerrorbars lt 9 dt solid title 'Window-64, up', \
  data index 9 using 1:2:3 with yerrorbars lt 10 dt solid title '[5-8-32-10]', \
  data index 10 using 1:2:3 with yerrorbars lt 11 dt solid title 'SeJD', \
  data index 11 using 1:2 with steps lc rgb ink lw 1 dt (6,4) title 'not beaten', \
  data index 11 using 1:2:4 with labels left offset 0.6,-0.7 textcolor rgb ink notitle
unset output
