#include "analysis/page/plots.h"

#include <fmt/format.h>

#include <map>

#include "analysis/page/answer_plots.h"
#include "analysis/page/choice_plots.h"
#include "analysis/page/curve_plots.h"
#include "analysis/page/heat_maps.h"
#include "analysis/page/training.h"
#include "analysis/show/format.h"
#include "analysis/show/gnuplot.h"
#include "framework/core/error.h"

namespace tarflow::analysis {
namespace {

// The most useful ones first: they are kept where there are too many.
std::vector<Plot> all_plots(const std::vector<Point>& points,
                            const std::vector<MeasuredFamily>& families) {
  std::map<std::string, std::vector<Point>> experiments;
  for (const Point& point : points) experiments[point.text("experiment")].push_back(point);
  std::vector<Plot> plots;
  for (auto& own : {crm_plots(block_rankings(points)), rate_plots(families),
                    deviation_plots(families), pareto_plots(families), heat_maps(families),
                    strategy_maps(families), convergence_plots(experiments["convergence"]),
                    training_plots(experiments["train"]), kernel_plots(experiments["benchmark"])}) {
    plots.insert(plots.end(), own.begin(), own.end());
  }
  return plots;
}

// Those of trial runs after the others, marked in title and drawing.
std::vector<Plot> plots_apart(const std::vector<Point>& points,
                              const std::vector<MeasuredFamily>& families) {
  std::vector<Plot> all;
  for (const bool smoke : {false, true}) {
    std::vector<Point> own;
    std::vector<MeasuredFamily> own_families;
    for (const Point& point : points) {
      if (point.smoke() == smoke) own.push_back(point);
    }
    for (const MeasuredFamily& family : families) {
      if (family.smoke == smoke) own_families.push_back(family);
    }
    for (Plot& plot : all_plots(own, own_families)) {
      if (smoke) {
        if (plot.title.find("SMOKE") == std::string::npos) plot.title = smoke_title(plot.title);
        plot.settings += "set label 'SMOKE' at screen 0.99, screen 0.97 right front\n";
      }
      all.push_back(std::move(plot));
    }
  }
  return all;
}

}  // namespace

std::filesystem::path plots_folder(const std::filesystem::path& folder) { return folder / "plots"; }

void add_plots(Report& report, const std::vector<Point>& points,
               const std::vector<MeasuredFamily>& families, const std::filesystem::path& folder) {
  try {
    report.plots = plots_apart(points, families);
  } catch (const Error& error) {
    report.problems.push_back(error.what());
  }
  if (report.plots.size() > kMostPlots) {
    report.coverage.push_back(fmt::format("{} plots are left out, of {}.",
                                          report.plots.size() - kMostPlots, report.plots.size()));
    report.plots.resize(kMostPlots);
  }
  make_names_distinct(report.plots);
  std::vector<std::string> problems = write_plots(report.plots, plots_folder(folder));
  if (!report.plots.empty() && problems.empty()) {
    if (const std::filesystem::path gnuplot = find_gnuplot(); gnuplot.empty()) {
      report.coverage.push_back(fmt::format(
          "{} not drawn, as gnuplot is not installed (Debian: apt install gnuplot-nox); scripts "
          "and data are in {}.",
          report.plots.size() == 1 ? "1 plot is" : fmt::format("{} plots are", report.plots.size()),
          plots_folder(folder).string()));
    } else {
      problems = draw_plots(report.plots, plots_folder(folder), gnuplot);
    }
  }
  report.problems.insert(report.problems.end(), problems.begin(), problems.end());
}

}  // namespace tarflow::analysis
