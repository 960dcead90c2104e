// The worker: reads a job folder, runs its experiment, leaves result.h5. One process a job.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "experiments/environment.h"
#include "experiments/registry.h"
#include "framework/core/error.h"
#include "framework/core/json.h"
#include "framework/record/record.h"
#include "framework/schedule/job.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

const Experiment& find_experiment(const std::string& name) {
  const auto found = registry().find(name);
  if (found != registry().end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, experiment] : registry()) names.push_back(known);
  throw Error(fmt::format("there is no experiment `{}`", name), did_you_mean(name, names));
}

record::JobRecord record_of(JobContext& context, const ExperimentSchema& schema) {
  record::JobRecord record;
  record.hash = context.job().hash;
  record.job = schedule::to_json(context.job());
  record.environment = environment();
  record.environment.update(context.environment());
  record.columns = record::all_columns(schema);
  for (size_t i = 0; i < context.point_count(); ++i) {
    record::Row row = record::settings_row(schema, context.point_settings(i));
    row["point"] = context.point_id(i);
    row["job"] = record.hash;
    row["experiment"] = schema.name;
    for (const auto& [column, cell] : context.rows()[i]) row[column] = cell;
    if (!row.contains("status")) row["status"] = std::string("ok");
    record.rows.push_back(std::move(row));
  }
  record.arrays = std::move(context.arrays());
  std::sort(record.arrays.begin(), record.arrays.end(),
            [](const record::Array& a, const record::Array& b) { return a.path < b.path; });
  return record;
}

void run(const std::filesystem::path& folder, bool exclusive) {
  const schedule::Job job = schedule::job_from_json(read_json_file(folder / "job.json"));
  const Experiment& experiment = find_experiment(job.experiment);
  use_exact_float32();
  JobContext context(job, folder, exclusive);
  context.log(fmt::format("job {}: {}, {} point{}", job.hash, job.experiment, job.points.size(),
                          job.points.size() == 1 ? "" : "s"));
  experiment.run(context);
  record::write_job(folder / "result.h5", record_of(context, experiment.schema));
  context.log("done");
}

int main_of(int argc, char** argv) {
  CLI::App app(
      "Runs one job of a sweep; run_sweep starts it. By hand: run_job results/<sweep>/jobs/<hash>");
  std::string folder, schema_file;
  int threads = 0;
  bool exclusive = false;
  app.add_option("folder", folder, "the job's folder, with job.json");
  app.add_option("--describe", schema_file,
                 "write what all experiments accept and return to this file (JSON)");
  app.add_option("--threads", threads, "CPU threads to use (default: all)");
  app.add_flag(
      "--exclusive", exclusive,
      "nothing else runs on the device, so that times count; they are checked all the same");
  CLI11_PARSE(app, argc, argv);
  if (threads > 0) at::set_num_threads(threads);
  if (!schema_file.empty()) {
    write_json_file(schema_file, to_json(all_schemas()));
    return 0;
  }
  if (folder.empty()) throw Error("no job folder was named", "run_job --help");
  run(folder, exclusive);
  return 0;
}

}  // namespace
}  // namespace tarflow::experiments

int main(int argc, char** argv) {
  try {
    return tarflow::experiments::main_of(argc, argv);
  } catch (const std::exception& failure) {
    // LibTorch's errors carry a C++ backtrace, which helps nobody who reads a job's log; its first
    // lines do.
    const std::string text = failure.what();
    const size_t trace = text.find("\nException raised from");
    fmt::print(stderr, "error: {}\n", text.substr(0, trace));
    return 1;
  }
}
