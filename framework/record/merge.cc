#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <tuple>

#include "framework/core/aside.h"
#include "framework/core/hash.h"
#include "framework/record/array.h"
#include "framework/record/envelope.h"
#include "framework/record/job_file.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace fs = std::filesystem;
namespace {

constexpr int kAttempts = 3;  // when job files are replaced while they are merged

// A readable job file: what the merged table takes of it. Its arrays are read when they are
// written.
struct Source {
  fs::path file;
  FileHead head;
  std::vector<std::string> wanted;  // sorted; empty: all
  std::vector<std::string> points;  // one a row of the file
  std::vector<size_t> rows;         // those taken
};

// A job's file that is another one than when its rows were read.
struct Replaced {
  fs::path file;
};

std::vector<std::string> sorted(std::vector<std::string> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

// Of content and points wanted of each job's file, in no order. Job hashes are part of the content.
class Fingerprint {
 public:
  Fingerprint(const std::string& sweep_name, const std::vector<std::string>& order) {
    Json head{{"merge", kRecordVersion}, {"name", sweep_name}};
    if (!order.empty()) head["order"] = order;
    head_ = head.dump();
  }

  void add(const std::string& sha256, const std::vector<std::string>& wanted) {
    lines_.insert(Json{sha256, wanted}.dump());
  }
  std::string hex() const {
    Sha256 hash;
    hash.update(head_);
    for (const std::string& line : lines_) hash.update("\n" + line);
    return hash.hex();
  }

 private:
  std::string head_;
  std::set<std::string> lines_;
};

// Of a file that would be written over: only a damaged one may be.
[[noreturn]] void keep(const NotRead& failure) {
  const Problem& problem = failure.problems().front();
  throw NotRead(failure.fault(), problem.what,
                "it is kept and nothing was merged into it; the jobs' own results are complete. "
                "Make it readable, or move it away and run the same command again");
}

// What `file` was merged from; "" when it is absent, damaged, of version 1 or no record.
std::string merged_from(const fs::path& file) {
  try {
    return read_envelope(file).merged;
  } catch (const NotRead& failure) {
    if (failure.fault() != Fault::kAbsent && failure.fault() != Fault::kDamaged) keep(failure);
    return "";
  }
}

// Whether it is there and undamaged.
bool whole(const fs::path& file) {
  try {
    verify_envelope(file);
    return true;
  } catch (const NotRead& failure) {
    if (failure.fault() != Fault::kAbsent && failure.fault() != Fault::kDamaged) keep(failure);
    return false;
  }
}

// Files that cannot be read count for nothing, here as in a merge.
std::string fingerprint_of(const std::string& sweep_name, const std::vector<std::string>& order,
                           const std::vector<JobFile>& job_files, std::vector<Problem>& problems) {
  Fingerprint fingerprint(sweep_name, order);
  for (const JobFile& job : job_files) {
    try {
      fingerprint.add(job.sha256.empty() ? content_sha256(job.file) : job.sha256,
                      sorted(job.points));
    } catch (const Error& failure) {
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  return fingerprint.hex();
}

std::string fingerprint_of(const std::string& sweep_name, const std::vector<std::string>& order,
                           const std::vector<Source>& sources) {
  Fingerprint fingerprint(sweep_name, order);
  for (const Source& source : sources) fingerprint.add(source.head.sha256, source.wanted);
  return fingerprint.hex();
}

Source read_source(const JobFile& job, KnownColumns& known) {
  Source source{job.file, read_head(job.file, known), sorted(job.points), {}, {}};
  if (source.head.kind != "job") {
    throw Error(fmt::format("{} is no job's result", job.file.string()),
                "give the result.h5 of jobs");
  }
  for (size_t row = 0; row < source.head.rows.count; ++row) {
    const Row cells = unpacked(source.head.rows, row);
    const auto point = cells.find("point");
    const std::string* id =
        point == cells.end() ? nullptr : std::get_if<std::string>(&point->second);
    if (!id) throw Error(fmt::format("cannot read {}: a row has no `point`", job.file.string()));
    source.points.push_back(*id);
  }
  return source;
}

std::vector<Source> read_sources(const std::vector<JobFile>& job_files,
                                 std::vector<Problem>& problems) {
  std::vector<Source> sources;
  KnownColumns known;
  for (const JobFile& job : job_files) {
    try {
      sources.push_back(read_source(job, known));
    } catch (const Error& failure) {
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  return sources;
}

// Decides which rows are taken, drops sources that give none, and sorts by hash.
void choose_rows(std::vector<Source>& sources) {
  std::sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
    return std::tie(b.head.generation, a.head.name, a.head.sha256, a.file) <
           std::tie(a.head.generation, b.head.name, b.head.sha256, b.file);
  });
  std::set<std::string> jobs, points;
  for (Source& source : sources) {
    if (!jobs.insert(source.head.name).second) continue;  // an older result of the same job
    for (size_t row = 0; row < source.points.size(); ++row) {
      const std::string& id = source.points[row];
      const bool wanted = source.wanted.empty() ||
                          std::binary_search(source.wanted.begin(), source.wanted.end(), id);
      if (wanted && points.insert(id).second) source.rows.push_back(row);
    }
  }
  std::erase_if(sources, [](const Source& source) { return source.rows.empty(); });
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.head.name < b.head.name; });
}

std::vector<Column> columns_of(const std::vector<Source>& sources) {
  std::vector<std::vector<Column>> lists{standard_columns()};
  std::set<ColumnList> seen;
  for (const Source& source : sources) {
    if (seen.insert(source.head.rows.columns).second) lists.push_back(*source.head.rows.columns);
  }
  return united_columns(lists);
}

// /columns and /points, sorted by point.
void write_merged_table(hid_t out, const std::vector<Source>& sources) {
  const std::vector<Column> columns = columns_of(sources);
  std::map<std::string, ColumnType> types;
  for (const Column& column : columns) types[column.name] = column.type;
  std::map<std::string, std::pair<const Source*, size_t>> places;  // by point
  for (const Source& source : sources) {
    for (const size_t row : source.rows) places[source.points[row]] = {&source, row};
  }
  write_table(out, columns, [&](const std::function<void(const Row&)>& take) {
    for (const auto& [point, place] : places) {
      Row row = unpacked(place.first->head.rows, place.second);
      for (auto& [name, cell] : row) cell = converted(cell, types.at(name));
      row["job"] = place.first->head.name;
      take(row);
    }
  });
}

// /order: the points that are there, in the order of the sweep file.
void write_order(hid_t out, const std::vector<std::string>& order,
                 const std::vector<Source>& sources) {
  if (order.empty()) return;
  std::set<std::string> there;
  for (const Source& source : sources)
    for (const size_t row : source.rows) there.insert(source.points[row]);
  Array array;
  array.path = "order";
  array.type = ArrayType::kString;
  for (const std::string& point : order)
    if (there.erase(point) > 0) array.strings.push_back(point);
  array.strings.insert(array.strings.end(), there.begin(), there.end());
  array.shape = {static_cast<int64_t>(array.strings.size())};
  array.meaning = "ids of the points in the order of the sweep file";
  write_arrays(out, {array});
}

// The job's group as it is, byte for byte; without the arrays of points that are not taken.
void copy_job(hid_t jobs, const Source& source) {
  try {
    if (verify(source.file) != source.head.sha256) throw Replaced{source.file};
  } catch (const Error&) {
    throw Replaced{source.file};
  }
  const std::string& hash = source.head.name;
  if (source.rows.size() == source.head.rows.count) {
    const Handle from = open_group(open_file(source.file), kJobsGroup);
    check(H5Ocopy(from, hash.c_str(), jobs, hash.c_str(), H5P_DEFAULT, H5P_DEFAULT),
          fmt::format("cannot copy the job {} of {}", hash, source.file.string()));
    return;
  }
  std::set<std::string> taken;
  for (const size_t row : source.rows) taken.insert(source.points[row]);
  JobRecord job = read_job(source.file);
  std::erase_if(job.arrays, [&](const Array& array) {
    return !array.point.empty() && !taken.contains(array.point);
  });
  write_job_group(jobs, job);
}

}  // namespace

Merged merge(const fs::path& file, const std::string& sweep_name,
             const std::vector<JobFile>& job_files, const std::vector<std::string>& order) {
  std::vector<Problem> unreadable;
  const std::string before = merged_from(file);
  const bool same =
      !before.empty() && fingerprint_of(sweep_name, order, job_files, unreadable) == before;
  const bool sound = whole(file);
  if (same && sound) return {std::move(unreadable), false};
  fs::path aside;
  if (!sound && !is_absent(file)) aside = set_aside(file);
  for (int attempt = 1;; ++attempt) {
    Merged result;
    result.aside = aside;
    std::vector<Source> sources = read_sources(job_files, result.problems);
    const std::string fingerprint = fingerprint_of(sweep_name, order, sources);
    // A file that was found damaged only now may have been left out last time as well.
    if (fingerprint == before && sound) return result;
    try {
      choose_rows(sources);
      write_record(file, "sweep", sweep_name, fingerprint, [&](hid_t out, hid_t jobs) {
        write_merged_table(out, sources);
        write_order(out, order, sources);
        for (const Source& source : sources) copy_job(jobs, source);
      });
      result.wrote = true;
      return result;
    } catch (const Replaced& replaced) {
      if (attempt < kAttempts) continue;
      throw Error(
          fmt::format("cannot merge {}: it is written while it is read", replaced.file.string()),
          "wait until the run that writes it has ended");
    }
  }
}

Merged merge(const fs::path& file, const std::string& sweep_name,
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
