#include "analysis/condense.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/core/error.h"
#include "framework/record/opened.h"
#include "framework/record/record.h"

namespace tarflow::analysis {
namespace fs = std::filesystem;
namespace {

constexpr const char* kImages = "images/before_denoising";

std::optional<int64_t> seed_of(const record::JobRecord& job) {
  const Json::json_pointer seed("/settings/seed");
  if (!job.job.is_object() || !job.job.contains(seed) || !job.job[seed].is_number_integer())
    return std::nullopt;
  return job.job[seed].get<int64_t>();
}

size_t bytes_of(const record::Array& array) {
  return array.shape.empty() || array.shape[0] == 0
             ? 0
             : array.data.size() / static_cast<size_t>(array.shape[0]);
}

// The first `count` along the first axis.
void keep_first(record::Array& array, int64_t count) {
  if (array.shape.empty() || array.shape[0] <= count) return;
  array.data.resize(bytes_of(array) * static_cast<size_t>(count));
  array.shape[0] = count;
}

template <typename Value>
void add_up(record::Array& array) {
  const size_t width = bytes_of(array) / sizeof(Value);
  std::vector<Value> sum(width, Value{0}), part(width);
  for (int64_t group = 0; group < array.shape[0]; ++group) {
    std::memcpy(part.data(), array.data.data() + static_cast<size_t>(group) * width * sizeof(Value),
                width * sizeof(Value));
    for (size_t i = 0; i < width; ++i) sum[i] += part[i];
  }
  array.data.resize(width * sizeof(Value));
  std::memcpy(array.data.data(), sum.data(), array.data.size());
  array.shape[0] = 1;
}

// The groups along the first axis become one, in their order.
void merge_groups(record::Array& array) {
  if (array.shape.empty() || array.shape[0] < 2) return;
  if (array.type == record::ArrayType::kFloat64) add_up<double>(array);
  if (array.type == record::ArrayType::kInt64) add_up<int64_t>(array);
}

void condense_job(record::JobRecord& job, int64_t images) {
  for (record::Array& array : job.arrays) {
    if (array.path.starts_with("moments/")) merge_groups(array);
    if (array.path == kImages) keep_first(array, images);
  }
  std::erase_if(job.arrays, [](const record::Array& array) {
    return array.path == kImages && !array.shape.empty() && array.shape[0] == 0;
  });
  job.job["condensed"] = {{"images", images}, {"moments", "one group"}};
}

// Rows of a sweep go back to the jobs they came from, with the columns that these rows have.
void give_rows(record::SweepRecord& sweep) {
  for (const record::Row& row : sweep.rows) {
    const std::string hash = std::get<std::string>(row.at("job"));
    const auto job = sweep.jobs.find(hash);
    if (job == sweep.jobs.end())
      throw Error(fmt::format("a point of {} names the job {}, which it lacks", sweep.name, hash));
    job->second.rows.push_back(row);
  }
  for (auto& [hash, job] : sweep.jobs) {
    std::set<std::string> named;
    for (const record::Row& row : job.rows) {
      for (const auto& [name, cell] : row) named.insert(name);
    }
    for (const Column& column : sweep.columns) {
      if (named.contains(column.name)) job.columns.push_back(column);
    }
  }
}

// A folder beside `out`, removed with the value.
class Parts {
 public:
  explicit Parts(const fs::path& out) {
    fs::create_directories(fs::absolute(out).parent_path());
    std::string name = (fs::absolute(out).parent_path() / ".condense-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw Error(fmt::format("cannot make a folder beside {}", out.string()));
    path_ = name;
  }
  ~Parts() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  fs::path file(const std::string& hash) const { return path_ / (hash + ".h5"); }

 private:
  fs::path path_;
};

}  // namespace

void condense(const fs::path& in, const fs::path& out, const CondenseOptions& options) {
  std::error_code absent;
  if (fs::equivalent(in, out, absent)) {
    throw Error(fmt::format("{} is to be read and written", in.string()),
                "name another file for the copy");
  }
  record::OpenedSweep opened = record::open_sweep(in);
  record::SweepRecord& sweep = opened.sweep;
  if (sweep.rows.empty()) throw Error(fmt::format("{} holds no points", in.string()));
  give_rows(sweep);
  int64_t smallest = std::numeric_limits<int64_t>::max();
  for (const auto& [hash, job] : sweep.jobs)
    smallest = std::min(smallest, seed_of(job).value_or(0));
  const Parts parts(out);
  std::vector<fs::path> files;
  for (auto& [hash, known] : sweep.jobs) {
    if (known.rows.empty()) continue;
    record::JobRecord job = opened.stored->read(hash);
    job.columns = std::move(known.columns);
    job.rows = std::move(known.rows);
    const bool shown = seed_of(job).value_or(smallest) == smallest;
    condense_job(job, shown ? options.images : 0);
    files.push_back(parts.file(hash));
    record::write_job(files.back(), job);
  }
  const record::Merged merged = record::merge(out, sweep.name, files);
  if (!merged.problems.empty()) throw Error(merged.problems);
}

}  // namespace tarflow::analysis
