#include "analysis/choice_plots.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/format.h"

namespace tarflow::analysis {
namespace {

constexpr size_t kLabelledCells = 8;     // columns and rows beyond which cells show no numbers
constexpr size_t kNamedStrategies = 12;  // in the key of a Pareto plot
constexpr int kParetoHeight = 320;       // without its key
constexpr int kKeyLine = 22;
constexpr double kTold = 2;  // standard errors at which two distances differ

std::string setting(std::optional<double> value) {
  return value ? fmt::format("{}", *value) : kNoValue;
}

std::string estimate(const Measured& measured) { return estimate_text(*measured.distance, 4); }

std::string smoke_warning(const MeasuredFamily& family) {
  return family.smoke ? " Smoke run: the figures mean nothing." : "";
}

// --- heat maps ---

struct Axis {
  std::vector<double> values;

  size_t place(double value) const {
    return static_cast<size_t>(std::lower_bound(values.begin(), values.end(), value) -
                               values.begin());
  }
  std::string tics() const {
    std::string text;
    for (size_t i = 0; i < values.size(); ++i)
      text += fmt::format("{}'{}' {}", i ? ", " : "", values[i], i);
    return "(" + text + ")";
  }
};

struct Map {
  std::string strategy;
  std::vector<const Measured*> cells;
  Axis cfg, lr;
};

Map map_of(std::vector<const Measured*> cells) {
  Map map{cells.front()->strategy, std::move(cells), {}, {}};
  std::set<double> cfg, lr;
  for (const Measured* cell : map.cells) {
    cfg.insert(*cell->cfg);
    lr.insert(*cell->lr);
  }
  map.cfg.values.assign(cfg.begin(), cfg.end());
  map.lr.values.assign(lr.begin(), lr.end());
  return map;
}

const Measured& best_of(const Map& map) {
  return **std::min_element(
      map.cells.begin(), map.cells.end(),
      [](const Measured* a, const Measured* b) { return a->distance->value < b->distance->value; });
}

// Cells whose distance is within kTold standard errors of the best one's; nothing known of the
// errors tells none apart.
std::vector<const Measured*> not_told_apart(const Map& map, const Measured& best) {
  std::vector<const Measured*> near;
  for (const Measured* cell : map.cells) {
    if (cell == &best || !cell->distance->error || !best.distance->error) continue;
    const double error = std::hypot(*cell->distance->error, *best.distance->error);
    if (cell->distance->value - best.distance->value <= kTold * error) near.push_back(cell);
  }
  return near;
}

std::string map_caption(const Map& map, const MeasuredFamily& family) {
  const Measured& best = best_of(map);
  std::string text = fmt::format(
      "{} of {} for {} settings: cfg across, self_denoising_lr upwards; darker is smaller. "
      "Smallest (framed): cfg {}, self_denoising_lr {}, at {}{}.",
      family.distance_name, map.strategy, map.cells.size(), setting(best.cfg), setting(best.lr),
      estimate(best),
      best.points.size() >= kFewestSeeds ? fmt::format(" over {} seeds", best.points.size()) : "");
  if (!best.distance->error) {
    text += " Its error is not known.";
  } else {
    std::vector<std::string> near;
    for (const Measured* cell : not_told_apart(map, best)) {
      near.push_back(fmt::format("cfg {}, lr {} ({})", setting(cell->cfg), setting(cell->lr),
                                 estimate(*cell)));
    }
    text += near.empty()
                ? " No other is within two standard errors of it."
                : fmt::format(" Within two standard errors of it: {}.", fmt::join(near, "; "));
  }
  return text + smoke_warning(family);
}

// Numbers are shown in the cells where there are few: light on dark cells, dark on light ones.
std::string map_data(const Map& map, double least, double most) {
  const bool labels =
      map.cfg.values.size() <= kLabelledCells && map.lr.values.size() <= kLabelledCells;
  std::string text =
      "# cfg place, lr place, distance, label, colour of the label, cfg, lr, error\n";
  for (const Measured* cell : map.cells) {
    const double value = cell->distance->value;
    const bool dark = most > least && (value - least) / (most - least) < 0.6;
    text +=
        fmt::format("{} {} {} {} {} {} {} {}\n", map.cfg.place(*cell->cfg), map.lr.place(*cell->lr),
                    data_number(value), data_text(labels ? estimate_text({value}, 4) : ""),
                    dark ? 0xffffff : 0x101010, *cell->cfg, *cell->lr,
                    data_number(cell->distance->error.value_or(NAN)));
  }
  return text;
}

Plot heat_map(const Map& map, const MeasuredFamily& family, double least, double most) {
  const Measured& best = best_of(map);
  const double x = static_cast<double>(map.cfg.place(*best.cfg)),
               y = static_cast<double>(map.lr.place(*best.lr));
  Plot plot;
  plot.name = file_name("heat_map_" + family.title + "_" + map.strategy);
  plot.title = fmt::format("{}: {} by cfg and self-denoising", family.title, map.strategy);
  plot.caption = map_caption(map, family);
  plot.data = map_data(map, least, most);
  plot.height = 330;
  plot.settings = fmt::format(
      "set title {}\nset xlabel 'cfg'\nset ylabel 'self_denoising_lr'\nset cblabel {}\n"
      "set xrange [-0.5:{}]\nset yrange [-0.5:{}]\nset xtics {}\nset ytics {}\n"
      "set cbrange [{}:{}]\nunset grid\nunset key\n"
      "set object 1 rectangle from {},{} to {},{} front fillstyle empty border lc rgb '#D55E00' "
      "lw 4\n",
      gnuplot_text(map.strategy), gnuplot_text(family.distance_name), map.cfg.values.size() - 0.5,
      map.lr.values.size() - 0.5, map.cfg.tics(), map.lr.tics(), least,
      most > least ? most : least + 1, x - 0.47, y - 0.46, x + 0.47, y + 0.46);
  plot.command =
      "plot data using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc palette, \\\n"
      "  data using 1:2:4:5 with labels textcolor rgb variable";
  return plot;
}

// --- distance against time ---

// Other strategies than those named share one line in the key.
struct Group {
  std::string title;
  std::vector<const Measured*> members;
};

std::vector<Group> groups_of(const MeasuredFamily& family,
                             const std::vector<const Measured*>& front) {
  std::set<std::string> strategies, named;
  for (const Measured& measured : family.measured) strategies.insert(measured.strategy);
  for (const Measured& measured : family.measured) {
    if (strategies.size() <= kNamedStrategies || measured.sequential)
      named.insert(measured.strategy);
  }
  for (const Measured* measured : front) {
    if (named.size() < kNamedStrategies) named.insert(measured->strategy);
  }
  std::vector<Group> groups;
  Group others;
  for (const Measured& measured : family.measured) {
    if (!measured.seconds) continue;
    if (!named.contains(measured.strategy)) {
      others.members.push_back(&measured);
    } else {
      if (groups.empty() || groups.back().title != measured.strategy)
        groups.push_back({measured.strategy, {}});
      groups.back().members.push_back(&measured);
    }
  }
  if (!others.members.empty()) {
    others.title = fmt::format("{} other strategies", strategies.size() - named.size());
    groups.push_back(std::move(others));
  }
  return groups;
}

std::string settings_text(const Measured& measured) {
  return fmt::format("cfg {}, lr {}", setting(measured.cfg), setting(measured.lr));
}

std::string pareto_line(const Measured& measured, const std::string& label) {
  return fmt::format("{} {} {} {}\n", data_log_number(*measured.seconds),
                     data_number(measured.distance->value),
                     data_number(measured.distance->error.value_or(0)), data_text(label));
}

// Labelled where the settings change, lest labels of neighbours cover each other. They stand below
// the front, where no other point can be.
std::string front_data(const std::vector<const Measured*>& front) {
  std::string data, last;
  for (const Measured* measured : front) {
    const std::string label = settings_text(*measured);
    data += pareto_line(*measured, label == last ? "" : label);
    last = label;
  }
  return data;
}

std::string front_text(const std::vector<const Measured*>& front) {
  std::vector<std::string> names;
  for (const Measured* measured : front) {
    names.push_back(fmt::format("{} at {}: {:.3g} s, {}", measured->strategy,
                                settings_text(*measured), *measured->seconds, estimate(*measured)));
  }
  return fmt::format("None is faster and nearer than: {}.", fmt::join(names, "; "));
}

// From a little below the shortest time to above the longest, with tics at 1, 2 and 5.
std::string time_axis(const MeasuredFamily& family) {
  double least = INFINITY, most = 0;
  for (const Measured& measured : family.measured) {
    if (!measured.seconds) continue;
    least = std::min(least, *measured.seconds);
    most = std::max(most, *measured.seconds);
  }
  least /= 1.3;
  most *= 1.5;
  std::vector<std::string> tics;
  for (double decade = std::pow(10, std::floor(std::log10(least))); decade <= most; decade *= 10) {
    for (const int step : {1, 2, 5}) {
      if (decade * step >= least && decade * step <= most)
        tics.push_back(fmt::format("{:g}", decade * step));
    }
  }
  return fmt::format("set xrange [{}:{}]\nset xtics ({})\n", least, most, fmt::join(tics, ", "));
}

Plot pareto_plot(const MeasuredFamily& family, const std::vector<const Measured*>& front) {
  Plot plot;
  plot.name = file_name("pareto_" + family.title);
  plot.title = fmt::format("{}: distance against time", family.title);
  plot.caption = fmt::format(
                     "{} against the total time on {}, of runs that had the device to themselves; "
                     "lower and further left is better, bars are standard errors. Stepped line: "
                     "what no other setting beats in both.",
                     family.distance_name, family.device) +
                 smoke_warning(family);
  plot.values = front_text(front);
  plot.data =
      "# seconds, distance, its standard error, settings; a block a strategy, the last: the "
      "front, labelled where settings change\n";
  plot.settings = fmt::format(
      "set xlabel 'total time, s'\nset ylabel {}\nset logscale x\nset format x '%g'\n"
      "set offsets 0, 0, graph 0.05, graph 0.12\n{}",
      gnuplot_text(family.distance_name), time_axis(family));
  plot.command = "plot ";
  size_t index = 0;
  for (const Group& group : groups_of(family, front)) {
    plot.data += "# " + data_text(group.title) + "\n";
    for (const Measured* measured : group.members)
      plot.data += pareto_line(*measured, settings_text(*measured));
    plot.data += "\n\n";
    plot.command +=
        fmt::format("data index {} using 1:2:3 with yerrorbars lt {} dt solid title {}, \\\n  ",
                    index, index + 1, gnuplot_text(group.title));
    ++index;
  }
  plot.data += front_data(front);
  plot.height = kParetoHeight + kKeyLine * static_cast<int>(index + 1);
  plot.command += fmt::format(
      "data index {0} using 1:2 with steps lc rgb ink lw 1 dt (6,4) title 'not beaten'", index);
  if (front.size() <= kLabelledCells) {
    plot.command += fmt::format(
        ", \\\n  data index {} using 1:2:4 with labels left offset 0.6,-0.7 textcolor rgb ink "
        "notitle",
        index);
  }
  return plot;
}

}  // namespace

std::vector<Plot> heat_maps(const std::vector<MeasuredFamily>& families) {
  std::vector<Plot> plots;
  for (const MeasuredFamily& family : families) {
    std::vector<Map> maps;
    double least = INFINITY, most = -INFINITY;
    std::map<std::string, std::vector<const Measured*>> strategies;
    std::vector<std::string> order;
    for (const Measured& measured : family.measured) {
      if (!measured.cfg || !measured.lr) continue;
      auto& cells = strategies[measured.strategy];
      if (cells.empty()) order.push_back(measured.strategy);
      cells.push_back(&measured);
    }
    for (const std::string& strategy : order) {
      if (strategies[strategy].size() < 2) continue;
      maps.push_back(map_of(strategies[strategy]));
      for (const Measured* cell : maps.back().cells) {
        least = std::min(least, cell->distance->value);
        most = std::max(most, cell->distance->value);
      }
    }
    for (const Map& map : maps) plots.push_back(heat_map(map, family, least, most));
  }
  return plots;
}

std::vector<const Measured*> pareto_front(const std::vector<Measured>& measured) {
  std::vector<const Measured*> timed, front;
  for (const Measured& one : measured) {
    if (one.seconds && one.distance) timed.push_back(&one);
  }
  std::stable_sort(timed.begin(), timed.end(), [](const Measured* a, const Measured* b) {
    return std::pair(*a->seconds, a->distance->value) < std::pair(*b->seconds, b->distance->value);
  });
  for (const Measured* one : timed) {
    if (front.empty() || one->distance->value < front.back()->distance->value) front.push_back(one);
  }
  return front;
}

std::vector<Plot> pareto_plots(const std::vector<MeasuredFamily>& families) {
  std::vector<Plot> plots;
  for (const MeasuredFamily& family : families) {
    const auto timed = std::count_if(family.measured.begin(), family.measured.end(),
                                     [](const Measured& one) { return one.seconds.has_value(); });
    if (timed >= 2) plots.push_back(pareto_plot(family, pareto_front(family.measured)));
  }
  return plots;
}

}  // namespace tarflow::analysis
