#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "framework/record/job_file.h"
#include "framework/record/record.h"
#include "framework/record/table.h"

namespace tarflow::record {
namespace fs = std::filesystem;
namespace {

// A readable job file: what the merged table takes of it. Its arrays are read again when they are
// written.
struct Source {
  fs::path file;
  std::string hash;
  std::vector<Column> columns;
  std::vector<Row> rows;
  std::set<std::string> points;  // ids of the rows taken
};

const std::string& point_of(const Row& row) { return std::get<std::string>(row.at("point")); }

Source read_source(const JobFile& wanted) {
  FileContent content = read_table(wanted.file);
  if (content.kind != "job") {
    throw Error(fmt::format("{} is no job's result", wanted.file.string()));
  }
  Source source{wanted.file, content.name, std::move(content.columns), {}, {}};
  for (Row& row : content.rows) {
    const bool take = wanted.points.empty() || std::find(wanted.points.begin(), wanted.points.end(),
                                                         point_of(row)) != wanted.points.end();
    if (!take) continue;
    row["job"] = source.hash;
    source.rows.push_back(std::move(row));
  }
  return source;
}

// Sorted by hash, each hash and each point once.
std::vector<Source> read_sources(const std::vector<JobFile>& job_files,
                                 std::vector<Problem>& problems) {
  std::vector<Source> sources;
  for (const JobFile& file : job_files) {
    try {
      sources.push_back(read_source(file));
    } catch (const Error& failure) {
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  std::sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
    return std::tie(a.hash, a.file) < std::tie(b.hash, b.file);
  });
  sources.erase(std::unique(sources.begin(), sources.end(),
                            [](const Source& a, const Source& b) { return a.hash == b.hash; }),
                sources.end());
  std::set<std::string> taken;
  for (Source& source : sources) {
    std::erase_if(source.rows, [&](const Row& row) { return !taken.insert(point_of(row)).second; });
    for (const Row& row : source.rows) source.points.insert(point_of(row));
  }
  std::erase_if(sources, [](const Source& source) { return source.rows.empty(); });
  return sources;
}

FileContent merged_table(const std::string& sweep_name, const std::vector<Source>& sources) {
  std::vector<std::vector<Column>> lists{standard_columns()};
  for (const Source& source : sources) lists.push_back(source.columns);
  FileContent content{"sweep", sweep_name, united_columns(lists), {}};
  for (const Source& source : sources) {
    content.rows.insert(content.rows.end(), source.rows.begin(), source.rows.end());
  }
  std::sort(content.rows.begin(), content.rows.end(),
            [](const Row& a, const Row& b) { return point_of(a) < point_of(b); });
  std::map<std::string, ColumnType> types;
  for (const Column& column : content.columns) types[column.name] = column.type;
  for (Row& row : content.rows) {
    for (auto& [name, cell] : row) cell = converted(cell, types.at(name));
  }
  return content;
}

}  // namespace

std::vector<Problem> merge(const fs::path& file, const std::string& sweep_name,
                           const std::vector<JobFile>& job_files) {
  std::vector<Problem> problems;
  const std::vector<Source> sources = read_sources(job_files, problems);
  write_file(file, merged_table(sweep_name, sources), [&](const AddJob& add) {
    for (const Source& source : sources) {
      JobRecord job = read_job(source.file);
      std::erase_if(job.arrays, [&](const Array& array) {
        return !array.point.empty() && !source.points.contains(array.point);
      });
      add(job);
    }
  });
  return problems;
}

std::vector<Problem> merge(const fs::path& file, const std::string& sweep_name,
                           const std::vector<fs::path>& job_files) {
  std::vector<JobFile> files;
  for (const fs::path& path : job_files) files.push_back({path, {}});
  return merge(file, sweep_name, files);
}

SweepRecord read_sweep(const fs::path& file) {
  auto [content, jobs] = read_whole(file);
  SweepRecord sweep{content.name, std::move(content.columns), std::move(content.rows), {}};
  for (JobRecord& job : jobs) {
    const std::string hash = job.hash;
    sweep.jobs[hash] = std::move(job);
  }
  return sweep;
}

}  // namespace tarflow::record
