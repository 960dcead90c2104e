#include "analysis/page/answer_plots.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "analysis/data/deviation.h"
#include "analysis/show/format.h"
#include "framework/core/error.h"

namespace tarflow::analysis {
namespace {

constexpr size_t kMostBars = 24;  // of one plot; nobody compares more
constexpr int kBar = 30;          // pixels
constexpr size_t kMostLabels = 16;
constexpr double kMostTics = 5;  // on the axis of passes

std::string setting(std::optional<double> value) {
  return value ? fmt::format("{}", *value) : kNoValue;
}

std::string at_settings(const Measured& measured) {
  return fmt::format("cfg {}, self_denoising_lr {}", setting(measured.cfg), setting(measured.lr));
}

// The others at the settings of `reference`, in the order of the family.
std::vector<const Measured*> beside(const MeasuredFamily& family, const Measured& reference) {
  std::vector<const Measured*> found;
  for (const Measured& measured : family.measured) {
    if (!measured.sequential && measured.cfg == reference.cfg && measured.lr == reference.lr)
      found.push_back(&measured);
  }
  return found;
}

Plot crm_plot(const BlockRanking& ranking) {
  const std::vector<double>& percent = ranking.metrics.crm_percent;
  Plot plot;
  plot.name = file_name(fmt::format("crm_{}", ranking.name));
  plot.title = fmt::format("{}: CRM % of each block", ranking.name);
  plot.data = "# block, CRM % of a block that is not tough, CRM % of a tough block\n";
  std::vector<std::string> tough;
  for (size_t block = 0; block < percent.size(); ++block) {
    const std::string value = data_number(percent[block]);
    if (ranking.tough[block]) tough.push_back(fmt::format("{} ({:.1f} %)", block, percent[block]));
    plot.data += fmt::format("{} {} {}\n", block, ranking.tough[block] ? "NaN" : value,
                             ranking.tough[block] ? value : "NaN");
  }
  plot.caption = fmt::format(
      "Share of each block in the convergence ranking metric, norm {}. Tough: more than {:g} times "
      "the median. {}",
      ranking.norm, kDominantFactor,
      tough.empty() ? "No block is tough."
                    : fmt::format("Tough: block{} {}.", tough.size() == 1 ? "" : "s",
                                  fmt::join(tough, ", ")));
  plot.caption += smoke_warning(ranking.point.flag("smoke"));
  plot.settings = fmt::format(
      "set xlabel 'block (the last is sampled first)'\nset ylabel 'CRM %'\n"
      "set xrange [-0.6:{}]\nset yrange [0:*]\nset xtics 1\nset boxwidth 0.7\n"
      "set key outside above center horizontal\n",
      static_cast<double>(percent.size()) - 0.4);
  // The pattern tells tough blocks apart where colours do not.
  plot.command =
      "plot data using 1:2 with boxes lt 2 dt solid lw 1 fillstyle solid 0.55 title 'others', \\\n"
      "  data using 1:3 with boxes lt 3 dt solid lw 1 fillstyle pattern 2 title 'tough'";
  return plot;
}

struct Bar {
  std::string strategy;
  double rate = 0;
  bool indicative = false;  // of times that are not valid
};

Plot rate_plot(const MeasuredFamily& family, const Measured& reference, std::vector<Bar> bars) {
  std::stable_sort(bars.begin(), bars.end(),
                   [](const Bar& a, const Bar& b) { return a.rate > b.rate; });
  const size_t all = bars.size();
  if (bars.size() > kMostBars) bars.resize(kMostBars);
  Plot plot;
  plot.name = file_name("rate_" + family.title);
  plot.title = fmt::format("{}: rate of each strategy", family.title);
  plot.caption = fmt::format(
      "Speed-up over For (2 = twice as fast) at {}, where For's distance is smallest, on {}. "
      "Vertical line: For.",
      at_settings(reference), family.device);
  if (all > bars.size())
    plot.caption += fmt::format(" {} slower ones are left out.", all - bars.size());
  const bool indicative =
      std::any_of(bars.begin(), bars.end(), [](const Bar& bar) { return bar.indicative; });
  if (indicative)
    plot.caption += " Hatched: indicative, because a time of it or of For is not valid.";
  plot.data = "# row, rate of valid times, indicative rate, rate, label\n";
  std::vector<std::string> tics, told;
  for (size_t row = 0; row < bars.size(); ++row) {
    const std::string rate = data_number(bars[row].rate);
    plot.data += fmt::format("{} {} {} {} \"{:.2f}\"\n", row, bars[row].indicative ? "NaN" : rate,
                             bars[row].indicative ? rate : "NaN", rate, bars[row].rate);
    tics.push_back(fmt::format("{} {}", gnuplot_text(bars[row].strategy), row));
    told.push_back(fmt::format("{}: {:.2f}", bars[row].strategy, bars[row].rate));
  }
  plot.values = fmt::format("{}.", fmt::join(told, "; "));
  plot.height = 100 + kBar * static_cast<int>(bars.size());
  plot.settings = fmt::format(
      "set xlabel 'rate (speed-up over For)'\nset xrange [0:{}]\nset yrange [{}:-0.6]\n"
      "set ytics ({}) noenhanced\nunset key\n"
      "set arrow 1 from 1,graph 0 to 1,graph 1 nohead front lc rgb ink lw 1 dt (6,4)\n",
      1.18 * std::max(1.0, bars.front().rate), static_cast<double>(bars.size()) - 0.4,
      fmt::join(tics, ", "));
  const auto bar = [](int column, const char* fill) {
    return fmt::format(
        "data using {0}:1:(0):{0}:($1-0.34):($1+0.34) with boxxyerror lt 2 dt solid lw 1 fillstyle "
        "{1}",
        column, fill);
  };
  plot.command = fmt::format(
      "plot {}, \\\n  {}, \\\n  data using 4:1:5 with labels left offset 0.6,0 textcolor rgb ink",
      bar(2, "solid 0.55"), bar(3, "pattern 2"));
  return plot;
}

struct Mark {
  std::string strategy;
  double passes = 0, median = 0, p99 = 0;
};

// Means over the seeds that both have images of; nothing without one.
std::optional<Mark> mark_of(const Measured& measured, const Measured& reference) {
  Mark mark{measured.strategy};
  size_t seeds = 0;
  for (const Point& point : measured.points) {
    for (const Point& other : reference.points) {
      const auto passes = point.number("block_passes");
      if (!passes || point.number("seed") != other.number("seed")) continue;
      try {
        const record::Array *images = point.array(kSampledImages),
                            *exact = other.array(kSampledImages);
        if (!images || !exact) continue;
        const Deviation result = deviation(*images, *exact);
        mark.passes += *passes;
        mark.median += result.median;
        mark.p99 += result.p99;
        ++seeds;
      } catch (const Error&) {
        continue;  // the table of the speed-up says why
      }
      break;
    }
  }
  if (seeds == 0) return std::nullopt;
  for (double* value : {&mark.passes, &mark.median, &mark.p99})
    *value /= static_cast<double>(seeds);
  return mark;
}

// 1, 2 or 5 times a power of ten, so that a width has at most kMostTics: gnuplot makes so many that
// long numbers run into each other.
double tic_step(double width) {
  const double least = width / kMostTics, power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1, 2, 5}) {
    if (factor * power >= least) return factor * power;
  }
  return 10 * power;
}

Plot deviation_plot(const MeasuredFamily& family, const Measured& reference,
                    const std::vector<Mark>& marks) {
  Plot plot;
  plot.name = file_name("deviation_" + family.title);
  plot.title = fmt::format("{}: deviation against passes", family.title);
  plot.caption = fmt::format(
      "Relative RMS difference from For's images for the same noise against the amount of "
      "computation, at {}. Point: median over images; bar: up to the 99th percentile. Further down "
      "is nearer to For, further left is less computation.",
      at_settings(reference));
  plot.caption += smoke_warning(family.smoke);
  plot.data = "# passes, median, 99th percentile, strategy\n";
  std::vector<std::string> told;
  for (const Mark& mark : marks) {
    plot.data +=
        fmt::format("{} {} {} {}\n", data_number(mark.passes), data_log_number(mark.median),
                    data_log_number(mark.p99), data_text(mark.strategy));
    told.push_back(fmt::format("{}: {:.1f} passes, {}", mark.strategy, mark.passes,
                               deviation_text(mark.median)));
  }
  plot.values = fmt::format("{}.", fmt::join(told, "; "));
  plot.settings =
      "set xlabel 'passes'\nset ylabel 'deviation from For'\nset logscale y\nset format y '%g'\n"
      "unset key\nset offsets graph 0.05, graph 0.25, 0, 0\n";
  const auto [least, most] = std::minmax_element(
      marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return a.passes < b.passes; });
  if (most->passes > least->passes)
    plot.settings += fmt::format("set xtics {}\n", tic_step(1.3 * (most->passes - least->passes)));
  plot.command = "plot data using 1:2:2:3 with yerrorbars lt 2 dt solid";
  if (marks.size() <= kMostLabels)
    plot.command += ", \\\n  data using 1:2:4 with labels left offset 0.8,0.5 textcolor rgb ink";
  return plot;
}

}  // namespace

std::vector<Plot> crm_plots(const std::vector<BlockRanking>& rankings) {
  std::vector<Plot> plots;
  for (const BlockRanking& ranking : rankings) plots.push_back(crm_plot(ranking));
  return plots;
}

std::vector<Plot> rate_plots(const std::vector<MeasuredFamily>& families) {
  std::vector<Plot> plots;
  for (const MeasuredFamily& family : families) {
    const Measured* reference = best_sequential(family);
    if (!reference) continue;
    std::vector<Bar> bars;
    for (const Measured* measured : beside(family, *reference)) {
      const auto valid = rate(*measured, reference);
      const auto shown = valid ? valid : rate(*measured, reference, Timing::kIndicative);
      if (shown) bars.push_back({measured->strategy, *shown, !valid});
    }
    if (!bars.empty()) plots.push_back(rate_plot(family, *reference, std::move(bars)));
  }
  return plots;
}

std::vector<Plot> deviation_plots(const std::vector<MeasuredFamily>& families) {
  std::vector<Plot> plots;
  for (const MeasuredFamily& family : families) {
    const Measured* reference = best_sequential(family);
    if (!reference) continue;
    std::vector<Mark> marks;
    for (const Measured* measured : beside(family, *reference)) {
      const auto mark = mark_of(*measured, *reference);
      if (mark && mark->median > 0 && std::isfinite(mark->median)) marks.push_back(*mark);
    }
    if (!marks.empty()) plots.push_back(deviation_plot(family, *reference, marks));
  }
  return plots;
}

}  // namespace tarflow::analysis
