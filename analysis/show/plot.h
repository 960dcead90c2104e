// Plots as plain values; gnuplot.h writes and draws them. A new plot is one function that returns
// a Plot.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tarflow::analysis {

struct Plot {
  std::string name;               // of its files: NAME.gp, NAME.dat, NAME.svg, NAME.png
  std::string title;              // heading above it
  std::string caption;            // what is to be seen, in words
  std::string values;             // those that matter, for who does not see it; may be empty
  std::string data;               // NAME.dat
  std::string settings;           // gnuplot's, before the plot
  std::string command;            // the plot itself; reads 'NAME.dat' as `data`
  int width = 460, height = 350;  // pixels of the SVG; the PNG has twice as many
};

inline constexpr size_t kLineTypes = 8;  // of style.gp: colour, dashes and marker differ in each

// A text in gnuplot's single quotes, in which nothing is expanded or run.
std::string gnuplot_text(std::string_view text);
// A text as one column of a data file.
std::string data_text(std::string_view text);
// A value as a column of a data file; "NaN", which gnuplot leaves out, where it is not finite or,
// on a logarithmic axis, not positive.
std::string data_number(double value);
std::string data_log_number(double value);

// Letters, digits, '-' and '.'; all else is a '_'.
std::string file_name(std::string_view text);
// Gives plots of equal names numbers.
void make_names_distinct(std::vector<Plot>& plots);

// What all plots share: line types after Okabe and Ito, the colour map cividis, axes and grid.
std::string plot_style();
// NAME.gp.
std::string plot_script(const Plot& plot);
// The SVG that gnuplot drew, with light ink on a dark ground where its reader prefers that.
std::string for_both_schemes(std::string svg);

}  // namespace tarflow::analysis
