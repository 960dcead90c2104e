// Seconds to write, verify, read and merge the results of many small evaluate jobs:
//   bench_record FOLDER [JOBS] [KIB]
// makes JOBS (10000) files of about KIB (25) KiB in FOLDER, keeps those that are there already, and
// merges them three times; the second time nothing has changed, the third time ten of them have.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <vector>

#include "framework/record/job_file.h"
#include "framework/record/record.h"

namespace tarflow::record {
namespace {

namespace fs = std::filesystem;

std::vector<Column> columns() {
  std::vector<Column> columns = standard_columns();
  for (const char* name : {"attn_temp", "block_passes", "cfg", "distance", "images_per_second",
                           "sampling_seconds", "self_denoising_lr", "total_seconds"}) {
    columns.push_back({name, ColumnType::kFloat64, "", std::string(60, 'm'), false});
  }
  for (const char* name : {"distance_images", "exclusive", "interrupted", "nonfinite_images",
                           "num_images", "reference_images", "seed", "smoke"}) {
    columns.push_back({name, ColumnType::kInt64, "images", std::string(60, 'm'), false});
  }
  for (const char* name : {"compute", "distance_name", "model", "strategy", "strategy_blocks"}) {
    columns.push_back({name, ColumnType::kString, "", std::string(60, 'm'), false});
  }
  return columns;
}

// Ten datasets in four groups; `features` sets the size of the one that is large, as in evaluate.
JobRecord job_of(int number, int64_t features) {
  JobRecord job;
  job.hash = fmt::format("{:016x}", static_cast<uint64_t>(number) * 0x9e3779b97f4a7c15);
  job.job = {{"hash", job.hash}, {"experiment", "evaluate"}, {"settings", std::string(3000, 's')}};
  job.environment = {{"host", "node"}, {"cpu", std::string(600, 'c')}};
  job.columns = columns();
  for (const char* denoising : {"a", "b"}) {
    Row row{{"point", job.hash + denoising}, {"experiment", std::string("evaluate")}};
    for (const Column& column : job.columns) {
      if (row.contains(column.name)) continue;
      if (column.type == ColumnType::kFloat64) row[column.name] = 0.125 * number;
      if (column.type == ColumnType::kInt64) row[column.name] = int64_t{number};
      if (column.type == ColumnType::kString) row[column.name] = column.name + " of this point";
    }
    job.rows.push_back(std::move(row));
  }
  const auto add = [&](const std::string& path, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    std::vector<double> values(static_cast<size_t>(count), number);
    job.arrays.push_back(make_array(path, std::move(shape), values, "", std::string(50, 'm')));
  };
  add("images/before_denoising", {2, 3, 8, 8});
  add("moments/" + job.hash + "a/count", {1});
  add("moments/" + job.hash + "a/outer", {1, features, features});
  add("moments/" + job.hash + "a/sum", {1, features});
  add("sampling/iterations", {1, 8});
  for (int block = 0; block < 3; ++block) {
    add(fmt::format("sampling/residuals/block_{}", block), {32});
  }
  return job;
}

double cpu_seconds(const rusage& usage) {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void timed(const std::string& what, int count, const std::function<void()>& action) {
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  const auto start = std::chrono::steady_clock::now();
  action();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  ::getrusage(RUSAGE_SELF, &after);
  fmt::print("{:<24} {:8.2f} s, CPU {:8.2f} s, {:8.1f} us a file, peak memory {} MiB\n", what,
             took.count(), cpu_seconds(after) - cpu_seconds(before), 1e6 * took.count() / count,
             after.ru_maxrss / 1024);
}

void run(const fs::path& folder, int jobs, int64_t kib) {
  int64_t features = 1;
  while (8 * features * features < 1024 * (kib - 12)) ++features;
  std::vector<fs::path> files;
  for (int i = 0; i < jobs; ++i) {
    files.push_back(folder / fmt::format("{}k-{:05}", kib, i) / "result.h5");
  }
  timed("write_job", jobs, [&] {
    for (int i = 0; i < jobs; ++i) {
      if (!fs::exists(files[static_cast<size_t>(i)])) {
        write_job(files[static_cast<size_t>(i)], job_of(i, features));
      }
    }
  });
  timed("verify", jobs, [&] {
    for (const fs::path& file : files) verify(file);
  });
  timed("read_table", jobs, [&] {
    for (const fs::path& file : files) read_table(file);
  });
  fs::remove(folder / "merged.h5");
  std::vector<JobFile> known;
  for (const fs::path& file : files) known.push_back({file, {}});
  const auto merge_all = [&] {
    merge(folder / "merged.h5", "bench", known, {.limit = kMergeLimit});
  };
  timed("merge", jobs, merge_all);
  timed("merge, nothing changed", jobs, merge_all);
  // As a driver does that knows the content of unchanged files by their stamps.
  for (JobFile& job : known) job.sha256 = content_sha256(job.file);
  for (int i = 0; i < jobs; i += std::max(1, jobs / 10)) {
    const auto at = static_cast<size_t>(i);
    const bool changed = read_job(files[at]).job.contains("changed");
    JobRecord job = job_of(i, features);
    if (!changed) job.job["changed"] = true;
    write_job(files[at], job);
    known[at].sha256 = verify(files[at]);
  }
  timed("merge, ten changed", jobs, merge_all);
  timed("merge, as before", jobs, merge_all);
  fmt::print("merged: {} MiB\n", fs::file_size(folder / "merged.h5") >> 20);
}

}  // namespace
}  // namespace tarflow::record

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "bench_record FOLDER [JOBS] [KIB]\n");
    return 2;
  }
  const int jobs = argc > 2 ? std::atoi(argv[2]) : 10000;
  const int64_t kib = argc > 3 ? std::atoll(argv[3]) : 25;
  tarflow::record::run(argv[1], jobs, kib);
  return 0;
}
