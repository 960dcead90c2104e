#include "analysis/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>
#include <set>

#include "analysis/benchmark.h"
#include "analysis/convergence.h"
#include "analysis/crm.h"
#include "analysis/device_error.h"
#include "analysis/difference.h"
#include "analysis/likelihood.h"
#include "analysis/markdown.h"
#include "analysis/published.h"
#include "analysis/sample_grid.h"
#include "analysis/speedup.h"
#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::analysis {
namespace {

constexpr size_t kNamedPoints = 12;  // points of one job that are named one by one

std::string plural(size_t count, const std::string& noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::vector<std::string> point_ids(const Json& job) {
  std::vector<std::string> ids;
  if (!job.is_object() || !job.contains("points")) return ids;
  for (const Json& point : job["points"]) {
    if (point.is_object() && point.contains("id") && point["id"].is_string())
      ids.push_back(point["id"]);
  }
  return ids;
}

std::string named(const std::vector<std::string>& ids) {
  if (ids.empty()) return "no points";
  const size_t shown = std::min(ids.size(), kNamedPoints);
  std::string text =
      fmt::format("{} {}", ids.size() == 1 ? "point" : "points",
                  fmt::join(ids.begin(), ids.begin() + static_cast<long>(shown), ", "));
  if (shown < ids.size()) text += fmt::format(" and {} more", ids.size() - shown);
  return text;
}

// "evaluate of cifar10_demo, [7-8-4-4]": what a job does, as far as job.json tells.
std::string what_it_does(const Json& job) {
  const auto text = [&](const char* pointer) {
    const Json::json_pointer where(pointer);
    return job.contains(where) && job[where].is_string() ? job[where].get<std::string>() : "";
  };
  std::string result = text("/experiment");
  if (const std::string model = text("/model/name"); !model.empty()) result += " of " + model;
  if (const std::string name = text("/settings/strategy/name"); !name.empty())
    result += ", " + name;
  return result;
}

void add_pictures(Report& report, const std::vector<Point>& points,
                  const std::filesystem::path& folder) {
  for (const SampleGrid& grid : sample_grids(points)) {
    try {
      report.pictures.push_back(write_sample_grid(grid, folder));
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

void add_tables(Report& report, const std::vector<Point>& points, const Published* published,
                const std::filesystem::path& folder, const ReportOptions& options) {
  std::map<std::string, std::vector<Point>> experiments;
  for (const Point& point : points) experiments[point.text("experiment")].push_back(point);
  for (const auto& [experiment, own] : experiments) {
    TableSet tables;
    if (experiment == "igm_crm") {
      tables = crm_tables(own, published, options.norm);
    } else if (experiment == "bpd") {
      tables = likelihood_tables(own);
    } else if (experiment == "evaluate") {
      tables = speedup_tables(own, published);
      add_pictures(report, own, folder);
    } else if (experiment == "convergence") {
      tables = convergence_tables(own);
    } else if (experiment == "compare") {
      tables = difference_tables(own);
    } else if (experiment == "benchmark") {
      tables = benchmark_tables(own, published);
    } else if (experiment == "device_error") {
      tables = device_error_tables(own);
    } else {
      report.coverage.push_back(fmt::format("{}: {} with results; this experiment has no table.",
                                            experiment.empty() ? "unnamed experiment" : experiment,
                                            plural(own.size(), "point")));
      name_pictures(report, own);
      continue;
    }
    add_coverage(report, experiment, own.size(), tables);
    name_pictures(report, own);
    // The CRM tells which strategies to try, so it is read first.
    const auto where = experiment == "igm_crm" ? report.tables.begin() : report.tables.end();
    report.tables.insert(where, tables.tables.begin(), tables.tables.end());
  }
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

}  // namespace

std::filesystem::path default_report_folder(const std::filesystem::path& file) {
  return std::filesystem::path(file).replace_extension() / "report";
}

std::vector<Source> read_sources(const std::vector<std::filesystem::path>& files,
                                 std::vector<std::string>& problems) {
  std::vector<Source> sources;
  for (const auto& file : files) {
    try {
      Source source{file, record::read_sweep(file)};
      if (source.sweep.rows.empty()) {
        problems.push_back(
            Error("the file holds no points", "run the sweep first", {file.string()}).what());
      }
      sources.push_back(std::move(source));
    } catch (const std::exception& error) {
      problems.push_back(error.what());
    }
  }
  return sources;
}

std::vector<std::string> points_without_results(const Source& source) {
  const std::string name = source.file.filename().string();
  std::vector<std::string> lines;
  std::set<std::string> with_row;
  for (const record::Row& row : source.sweep.rows) with_row.insert(Point{&row}.id());
  for (const auto& [hash, job] : source.sweep.jobs) {
    std::vector<std::string> missing = point_ids(job.job);
    std::erase_if(missing, [&](const std::string& id) { return with_row.contains(id); });
    if (missing.empty()) continue;
    lines.push_back(fmt::format("not in {}: {} of job {} ({})", name, named(missing), hash,
                                what_it_does(job.job)));
  }
  const auto folder = std::filesystem::path(source.file).replace_extension() / "jobs";
  std::error_code ignored;  // a file that was copied alone has no folder of jobs beside it
  std::map<std::string, std::filesystem::path> unmerged;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string hash = entry.path().filename().string();
    if (!source.sweep.jobs.contains(hash) && std::filesystem::exists(entry.path() / "job.json")) {
      unmerged[hash] = entry.path();
    }
  }
  for (const auto& [hash, path] : unmerged) {
    try {
      const Json job = read_json_file(path / "job.json");
      const bool done = std::filesystem::exists(path / "result.h5");
      lines.push_back(fmt::format("not in {}: {} of job {} ({}); {} in {}", name,
                                  named(point_ids(job)), hash, what_it_does(job),
                                  done ? "of other settings, or damaged; its result.h5 is"
                                       : "without a result; see log.txt",
                                  path.string()));
    } catch (const Error& error) {
      lines.push_back(fmt::format("not in {}: job {}: {}", name, hash, error.what()));
    }
  }
  return lines;
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
  add_tables(report, points, published ? &*published : nullptr, folder, options);
  if (points.size() < rows) {
    report.coverage.push_back(fmt::format("{} in more than one file: shown once.",
                                          plural(rows - points.size(), "point")));
  }
  for (const Source& source : sources) {
    for (const std::string& line : points_without_results(source)) report.coverage.push_back(line);
  }
  try {
    write_file(folder / "report.md", render_markdown(report));
  } catch (const std::exception& error) {
    report.problems.push_back(error.what());
  }
  return report;
}

}  // namespace tarflow::analysis
