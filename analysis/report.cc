#include "analysis/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "analysis/answer.h"
#include "analysis/data/job_folders.h"
#include "analysis/data/published.h"
#include "analysis/data/sources.h"
#include "analysis/page/page.h"
#include "analysis/page/plots.h"
#include "analysis/page/sample_grid.h"
#include "analysis/page/strips.h"
#include "analysis/page/training.h"
#include "analysis/show/format.h"
#include "analysis/show/markdown.h"
#include "analysis/tables/benchmark.h"
#include "analysis/tables/convergence.h"
#include "analysis/tables/crm.h"
#include "analysis/tables/device_error.h"
#include "analysis/tables/difference.h"
#include "analysis/tables/iterations.h"
#include "analysis/tables/likelihood.h"
#include "analysis/tables/speedup.h"
#include "analysis/tables/status.h"
#include "analysis/tables/tuning.h"
#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::analysis {
namespace {

void add_pictures(Report& report, const std::vector<Point>& points,
                  const std::filesystem::path& folder) {
  for (const SampleGrid& grid : sample_grids(points, report.problems)) {
    try {
      report.pictures.push_back(write_sample_grid(grid, folder));
      if (has_differences(grid)) report.pictures.push_back(write_difference_grid(grid, folder));
    } catch (const Error& error) {
      report.problems.push_back(error.what());
    }
  }
}

void add_strips(Report& report, const std::vector<Strips>& all,
                const std::filesystem::path& folder) {
  for (const Strips& strips : all) {
    try {
      report.pictures.push_back(write_strips(strips, folder));
    } catch (const Error& error) {
      report.problems.push_back(error.what());
    }
  }
}

// One line for each picture that jobs left beside their results.
void name_pictures(Report& report, const std::vector<Point>& points) {
  std::set<std::string> pictures;
  for (const Point& point : points) pictures.insert(point.text("picture"));
  pictures.erase("");
  for (const std::string& picture : pictures)
    report.coverage.push_back("picture in the folder of results: " + picture);
}

// One line about the points of each experiment: how many there are, are shown, and why the rest is
// not.
void add_coverage(Report& report, const std::string& experiment, size_t points,
                  const TableSet& tables) {
  report.coverage.push_back(
      fmt::format("{}: {} with results, {} in the tables.", experiment, plural(points, "point"),
                  tables.shown == points ? "all" : std::to_string(tables.shown)));
  for (const std::string& reason : tables.left_out)
    report.coverage.push_back("left out: " + reason);
}

// Where the tables of an experiment stand that name no section themselves.
std::string section_of(const std::string& experiment) {
  static const std::map<std::string, std::string> kSections = {
      {"igm_crm", "Convergence ranking"}, {"evaluate", "Speed-up"},   {"bpd", "Likelihood"},
      {"convergence", "Convergence"},     {"compare", "Differences"}, {"benchmark", "Benchmark"},
      {"device_error", "Numerical error"}};
  const auto found = kSections.find(experiment);
  return found == kSections.end() ? experiment : found->second;
}

// Beside tables of the same points.
void add_iterations(TableSet& tables, const TableSet& iterations) {
  tables.tables.insert(tables.tables.end(), iterations.tables.begin(), iterations.tables.end());
  tables.left_out.insert(tables.left_out.end(), iterations.left_out.begin(),
                         iterations.left_out.end());
}

// The tables of one experiment, its pictures added to the report. Nothing where only pictures show
// it; `shown` tells whether there are any.
std::optional<TableSet> tables_of(const std::string& experiment, const std::vector<Point>& own,
                                  const Published* published, const std::filesystem::path& folder,
                                  const ReportOptions& options, Report& report, bool& shown) {
  std::vector<std::string>& problems = report.problems;
  shown = true;
  if (experiment == "igm_crm") return crm_tables(own, published, options.norm);
  if (experiment == "bpd") return likelihood_tables(own);
  if (experiment == "convergence") return convergence_tables(own);
  if (experiment == "benchmark") return benchmark_tables(own, published);
  if (experiment == "tune") return tuning_tables(own);
  if (experiment == "device_error") return device_error_tables(own);
  if (experiment == "evaluate") {
    TableSet tables = speedup_tables(own, published);
    add_iterations(tables, iteration_tables(own, published));
    add_pictures(report, own, folder);
    return tables;
  }
  if (experiment == "compare") {
    add_strips(report, compare_strips(own, problems), folder);
    return difference_tables(own);
  }
  if (experiment == "train") {
    add_strips(report, training_strips(own, problems), folder);
    return training_tables(own);
  }
  if (experiment == "trace") {
    add_strips(report, trace_strips(own, problems), folder);
  } else if (experiment == "sample") {
    add_strips(report, sample_strips(own, problems), folder);
  } else {
    shown = false;
  }
  return std::nullopt;
}

void add_experiment(Report& report, const std::string& experiment, const std::vector<Point>& own,
                    const Published* published, const std::filesystem::path& folder,
                    const ReportOptions& options) {
  bool shown = false;
  auto tables = tables_of(experiment, own, published, folder, options, report, shown);
  name_pictures(report, own);
  if (!tables) {
    const std::string name = experiment.empty() ? "unnamed experiment" : experiment;
    report.coverage.push_back(
        fmt::format("{}: {} with results{}.", name, plural(own.size(), "point"),
                    shown ? ", shown in pictures" : "; this experiment has no table"));
    return;
  }
  for (Table& table : tables->tables) {
    if (table.section.empty()) table.section = section_of(experiment);
  }
  add_coverage(report, experiment, own.size(), *tables);
  // The CRM tells which strategies to try, so it is read first.
  const auto where = experiment == "igm_crm" ? report.tables.begin() : report.tables.end();
  report.tables.insert(where, tables->tables.begin(), tables->tables.end());
}

void add_tables(Report& report, const std::vector<Point>& points, const Published* published,
                const std::filesystem::path& folder, const ReportOptions& options) {
  std::map<std::string, std::vector<Point>> experiments;
  for (const Point& point : points) experiments[point.text("experiment")].push_back(point);
  for (const auto& [experiment, own] : experiments) {
    try {
      add_experiment(report, experiment, own, published, folder, options);
    } catch (const Error& failure) {  // the others have their tables all the same
      report.problems.push_back(fmt::format("{}: no tables: {}", experiment, failure.what()));
    }
  }
  if (auto table = status_table(points)) {
    table->section = "Status";
    report.tables.insert(report.tables.begin(), std::move(*table));
  }
}

// Trial runs in tables of their own, which say so in every title, and never beside published
// figures.
void add_all_tables(Report& report, const std::vector<Point>& points, const Published* published,
                    const std::filesystem::path& folder, const ReportOptions& options) {
  std::vector<Point> real, smoke;
  for (const Point& point : points) (point.smoke() ? smoke : real).push_back(point);
  if (!real.empty()) add_tables(report, real, published, folder, options);
  if (smoke.empty()) return;
  Report trial;
  // Pictures of both would have the same names.
  const std::filesystem::path inner = real.empty() ? "" : "smoke";
  add_tables(trial, smoke, nullptr, folder / inner, options);
  for (Table& table : trial.tables) {
    table.title = smoke_title(table.title);
    report.tables.push_back(std::move(table));
  }
  for (Picture& picture : trial.pictures) {
    picture.title = smoke_title(picture.heading());
    picture.caption = smoke_title(picture.caption);
    picture.file = inner / picture.file;
    report.pictures.push_back(std::move(picture));
  }
  for (const std::string& line : trial.coverage) report.coverage.push_back(smoke_title(line));
  report.problems.insert(report.problems.end(), trial.problems.begin(), trial.problems.end());
}

// In the title and the first lines, which every format and the page show.
void say_smoke(Report& report, const std::vector<Point>& points) {
  const auto count = static_cast<size_t>(std::count_if(
      points.begin(), points.end(), [](const Point& point) { return point.smoke(); }));
  if (count == 0) return;
  report.title = smoke_title(report.title);
  report.summary.insert(
      report.summary.begin(),
      fmt::format("SMOKE RUN: {} a trial with at most 2 images, perhaps of an untrained model. "
                  "Times, distances and images of a trial mean nothing.",
                  count == points.size()
                      ? "all points are of"
                      : fmt::format("{} of {} points are of", count, points.size())));
}

std::optional<Published> published_figures(const std::filesystem::path& file,
                                           std::vector<std::string>& problems) {
  try {
    return read_published(file);
  } catch (const Error& error) {
    problems.push_back(error.what());
    return std::nullopt;
  }
}

void write_page(const Report& report, const std::vector<Source>& sources,
                const std::vector<Point>& points, const std::vector<MeasuredFamily>& families,
                const std::filesystem::path& folder) {
  std::vector<JobFolderState> jobs;
  for (const Source& source : sources) {
    for (JobFolderState& job : unmerged_jobs(source)) jobs.push_back(std::move(job));
  }
  write_file(folder / "report.html", render_page(report, sources, points, families, jobs, folder));
}

}  // namespace

std::filesystem::path default_report_folder(const std::filesystem::path& file) {
  return std::filesystem::path(file).replace_extension() / "report";
}

Report make_report(const std::vector<std::filesystem::path>& files,
                   const std::filesystem::path& folder, const ReportOptions& options) {
  Report report;
  const std::vector<Source> sources = read_sources(files, report.problems);
  std::vector<std::string> names;
  size_t rows = 0;
  for (const Source& source : sources) {
    names.push_back(source.sweep.name);
    rows += source.sweep.rows.size();
    report.summary.push_back(fmt::format("{}: {} of {}.", source.file.filename().string(),
                                         plural(source.sweep.rows.size(), "point"),
                                         plural(source.sweep.jobs.size(), "job")));
  }
  report.title =
      names.empty() ? "No results" : fmt::format("Results of {}", fmt::join(names, ", "));
  if (sources.empty()) return report;

  const std::optional<Published> published = published_figures(options.published, report.problems);
  const std::vector<Point> points = points_of(sources);
  say_smoke(report, points);
  add_all_tables(report, points, published ? &*published : nullptr, folder, options);
  if (points.size() < rows) {
    report.coverage.push_back(fmt::format("{} in more than one file: shown once.",
                                          plural(rows - points.size(), "point")));
  }
  for (const Source& source : sources) {
    for (const std::string& line : points_without_results(source)) report.coverage.push_back(line);
    if (const std::string others = results_of_other_settings(source); !others.empty())
      report.coverage.push_back(others);
  }
  const std::vector<MeasuredFamily> families = measured_families(points);
  report.answer = make_answer(points, families, sources);
  if (options.page) add_plots(report, points, families, folder);
  try {
    write_file(folder / "report.md", render_markdown(report));
    if (options.page) write_page(report, sources, points, families, folder);
  } catch (const std::exception& error) {
    report.problems.push_back(error.what());
  }
  return report;
}

}  // namespace tarflow::analysis
