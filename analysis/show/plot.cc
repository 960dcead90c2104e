#include "analysis/show/plot.h"

#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <set>

namespace tarflow::analysis {
namespace {

// Colours of Okabe and Ito (Color Universal Design, 2008), which the colour-blind can tell apart;
// dashes and markers tell them apart in grey as well. The yellow is too light for lines on paper.
constexpr const char* kStyle =
    R"(# What all plots of this folder share. Each NAME.gp loads it: gnuplot NAME.gp draws NAME.svg and
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
)";

}  // namespace

std::string gnuplot_text(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'')
      result += "''";
    else
      result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result + "'";
}

std::string data_text(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const bool plain = static_cast<unsigned char>(c) >= 0x20 && c != '\\';
    result += c == '"' ? '\'' : plain ? c : ' ';
  }
  return result + "\"";
}

std::string data_number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "NaN";
}

std::string data_log_number(double value) { return value > 0 ? data_number(value) : "NaN"; }

std::string file_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.';
    if (plain)
      name += c;
    else if (!name.empty() && name.back() != '_')
      name += '_';
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  return name;
}

void make_names_distinct(std::vector<Plot>& plots) {
  std::set<std::string> used;
  for (Plot& plot : plots) {
    const std::string name = plot.name;
    for (int i = 2; !used.insert(plot.name).second; ++i) plot.name = fmt::format("{}_{}", name, i);
  }
}

std::string plot_style() { return kStyle; }

std::string plot_script(const Plot& plot) {
  const std::string name = gnuplot_text(plot.name + ".dat");
  std::string text = fmt::format(
      "# gnuplot {0}.gp: draws {0}.svg and {0}.png from {0}.dat\n"
      "data = {1}\n"
      "load 'style.gp'\n{2}",
      plot.name, name, plot.settings);
  const auto draw = [&](const std::string& terminal, const char* ending) {
    text += fmt::format("set terminal {}\nset output {}\n{}\n", terminal,
                        gnuplot_text(plot.name + ending), plot.command);
  };
  draw(fmt::format("svg noenhanced size {},{} font 'sans-serif,14' background rgb 'white'",
                   plot.width, plot.height),
       ".svg");
  draw(fmt::format("pngcairo noenhanced size {},{} font 'sans-serif,14' fontscale 2 linewidth 2 "
                   "pointscale 2",
                   2 * plot.width, 2 * plot.height),
       ".png");
  return text + "unset output\n";
}

std::string for_both_schemes(std::string svg) {
  // Colours are those of kStyle, as gnuplot writes them; those of data and colour maps stay.
  static constexpr const char* kScheme =
      "<style>@media (prefers-color-scheme:dark){rect[fill=\"#ffffff\"]{fill:#16181c}"
      "[stroke=\"rgb( 32,  32,  32)\"]{stroke:#ececec}[fill=\"rgb(32,32,32)\"]{fill:#ececec}"
      "[color=\"rgb( 32,  32,  32)\"]{color:#ececec}[color=\"#FFFFFF\"]{color:#16181c}"
      "[stroke=\"rgb(160, 160, 160)\"]{stroke:#666}}</style>";
  const size_t place = svg.find("<g id=\"gnuplot_canvas\">");
  return place == std::string::npos ? svg : svg.insert(place, kScheme);
}

}  // namespace tarflow::analysis
