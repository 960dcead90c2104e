#include "analysis/page/choice_plots.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/show/format.h"

namespace tarflow::analysis {
namespace {

constexpr size_t kLabelledCells = 8;     // columns and rows beyond which cells show no numbers
constexpr size_t kNamedStrategies = 12;  // in the key of a Pareto plot
constexpr int kParetoHeight = 320;       // without its key
constexpr int kKeyLine = 22;

std::string setting(std::optional<double> value) {
  return value ? fmt::format("{}", *value) : kNoValue;
}

std::string estimate(const Measured& measured) { return estimate_text(*measured.distance, 4); }

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
  return fmt::format("cfg {}, self_denoising_lr {}", setting(measured.cfg), setting(measured.lr));
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
                     "{} against the total time on {}, of valid times. Lower and further left is "
                     "better. Bars: standard errors. Stepped line: settings that no other setting "
                     "beats in both.",
                     family.distance_name, family.device) +
                 smoke_warning(family.smoke);
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
