#include "framework/record/merge_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "framework/core/stamp.h"
#include "framework/record/array.h"
#include "framework/record/envelope.h"

namespace tarflow::record {
namespace fs = std::filesystem;
namespace {

Source read_source(const JobFile& job, KnownColumns& known) {
  Source source;
  source.file = job.file;
  source.stamp = file_stamp(job.file).text;
  source.wanted = sorted_ids(job.points);
  FileHead head = read_head(job.file, known, job.sha256);
  if (head.kind != "job") {
    throw Error(fmt::format("{} is no job's result", job.file.string()),
                "give the result.h5 of jobs");
  }
  source.job = head.name;
  source.sha256 = head.sha256;
  source.bytes = head.bytes;
  source.generation = head.generation;
  source.columns = head.rows.columns;
  for (size_t row = 0; row < head.rows.count; ++row) {
    source.places.push_back(row);
    source.points.push_back(about(job.file, "read", [&] {
      std::string id = text_at(head.rows, "point", row);
      if (id.empty()) throw Error("a row has no `point`");
      return id;
    }));
  }
  source.rows = std::make_shared<const PackedRows>(std::move(head.rows));
  return source;
}

// The same from the sweep's file.
Source known_source(const JobFile& job, const Origin& origin, const LastMerge& last) {
  Source source;
  source.file = job.file;
  source.wanted = sorted_ids(job.points);
  source.job = origin.job;
  source.sha256 = origin.sha256;
  source.bytes = origin.bytes;
  source.generation = origin.generation;
  source.columns = last.origins.columns[origin.columns];
  source.rows = last.rows;
  source.places = last.places.at(origin.job);
  for (const size_t row : source.places) {
    source.points.push_back(text_at(*last.rows, "point", row));
  }
  source.before = origin;
  source.sizes = origin.sizes;
  return source;
}

// Where the sweep's file holds the job of this content with all of its rows.
const Origin* origin_of(const JobFile& job, const LastMerge* last) {
  if (!last) return nullptr;
  const auto found = last->by_sha256.find(sha256_of(job));
  return found == last->by_sha256.end() ? nullptr : found->second;
}

std::vector<Column> columns_of(const std::vector<Source>& sources) {
  std::vector<std::vector<Column>> lists{standard_columns()};
  std::set<ColumnList> seen;
  for (const Source& source : sources) {
    if (seen.insert(source.columns).second) lists.push_back(*source.columns);
  }
  return united_columns(lists);
}

}  // namespace

std::string sha256_of(const JobFile& job) {
  return job.sha256.empty() ? content_sha256(job.file) : job.sha256;
}

std::vector<std::string> sorted_ids(std::vector<std::string> ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

std::unique_ptr<const LastMerge> read_last_merge(const fs::path& file, const std::string& sha256) {
  auto last = std::make_unique<LastMerge>();
  last->path = file;
  last->file = open_file(file);
  if (content_sha256(file) != sha256) return nullptr;  // replaced since it was checked
  last->sha256 = sha256;
  std::optional<Origins> origins = read_origins(last->file);
  if (!origins) return nullptr;
  last->name = read_text_attribute(last->file, "name");
  last->origins = std::move(*origins);
  KnownColumns known;
  const ColumnList columns = read_columns(last->file, known);
  last->rows = std::make_shared<const PackedRows>(read_packed(last->file, columns));
  for (size_t row = 0; row < last->rows->count; ++row)
    last->places[text_at(*last->rows, "job", row)].push_back(row);
  // A value that was given the type of another job's column may not be what the job's file holds.
  std::map<std::string, ColumnType> types;
  for (const Column& column : *columns) types[column.name] = column.type;
  std::vector<bool> own_types;
  for (const ColumnList& list : last->origins.columns) {
    own_types.push_back(std::all_of(list->begin(), list->end(), [&](const Column& column) {
      const auto type = types.find(column.name);
      return type != types.end() && type->second == column.type;
    }));
  }
  for (const Origin& origin : last->origins.jobs) {
    if (origin.all && own_types[origin.columns] && last->places.contains(origin.job))
      last->by_sha256[origin.sha256] = &origin;
  }
  return last;
}

std::vector<Source> read_sources(const std::vector<JobFile>& job_files, const LastMerge* last,
                                 std::vector<Problem>& problems) {
  std::vector<Source> sources;
  KnownColumns known;
  for (const JobFile& job : job_files) {
    try {
      const Origin* origin = origin_of(job, last);
      sources.push_back(origin ? known_source(job, *origin, *last) : read_source(job, known));
    } catch (const Error& failure) {
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
    }
  }
  return sources;
}

void choose_rows(std::vector<Source>& sources) {
  std::sort(sources.begin(), sources.end(), [](const Source& a, const Source& b) {
    return std::tie(b.generation, a.job, a.sha256, a.file) <
           std::tie(a.generation, b.job, b.sha256, b.file);
  });
  std::set<std::string> jobs, points;
  for (Source& source : sources) {
    if (!jobs.insert(source.job).second) continue;  // an older result of the same job
    for (size_t i = 0; i < source.points.size(); ++i) {
      const std::string& id = source.points[i];
      const bool wanted = source.wanted.empty() ||
                          std::binary_search(source.wanted.begin(), source.wanted.end(), id);
      if (wanted && points.insert(id).second) source.taken.push_back(i);
    }
  }
  std::erase_if(sources, [](const Source& source) { return source.taken.empty(); });
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.job < b.job; });
}

void write_merged_table(hid_t out, const std::vector<Source>& sources) {
  const std::vector<Column> columns = columns_of(sources);
  std::map<std::string, ColumnType> types;
  for (const Column& column : columns) types[column.name] = column.type;
  std::map<std::string, std::pair<const Source*, size_t>> places;  // by point
  for (const Source& source : sources) {
    for (const size_t i : source.taken) places[source.points[i]] = {&source, source.places[i]};
  }
  write_table(out, columns, [&](const std::function<void(const Row&)>& take) {
    for (const auto& [point, place] : places) {
      Row row = unpacked(*place.first->rows, place.second);
      for (auto& [name, cell] : row) cell = converted(cell, types.at(name));
      row["job"] = place.first->job;
      take(row);
    }
  });
}

void write_order(hid_t out, const std::vector<std::string>& order,
                 const std::vector<Source>& sources) {
  if (order.empty()) return;
  std::set<std::string> there;
  for (const Source& source : sources)
    for (const size_t i : source.taken) there.insert(source.points[i]);
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

}  // namespace tarflow::record
