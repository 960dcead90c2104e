// The worker: reads a job folder, runs its experiment, leaves result.h5. One process a job, or one
// a rank of it.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <omp.h>
#include <stdlib.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "experiments/worker/environment.h"
#include "experiments/worker/partial_file.h"
#include "experiments/worker/probes.h"
#include "experiments/worker/rank_launcher.h"
#include "experiments/worker/rank_report.h"
#include "experiments/worker/registry.h"
#include "experiments/worker/stop_signals.h"
#include "framework/core/error.h"
#include "framework/core/json.h"
#include "framework/core/version.h"
#include "framework/dist/connect.h"
#include "framework/dist/rank_device.h"
#include "framework/job/execute.h"
#include "framework/job/job.h"
#include "framework/job/store.h"
#include "framework/record/record.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

constexpr const char* kExitStatuses = R"(Exit status:
  0    the result is written (or the question answered)
  1    it failed; the last line of stderr says why
  75   it was asked to stop and did: `evaluate` keeps partial.h5 and goes on from there when it is
       started again, other experiments start from the beginning
  126  this machine has another model of device than the job states; nothing was computed
  105 to 110  a mistake on the command line
SIGTERM, SIGUSR2 or Ctrl-C ask a job to stop after the chunk of images at hand; a second SIGTERM or
Ctrl-C ends it at once, which costs the work since partial.h5 was last written.)";

const Experiment& find_experiment(const std::string& name) {
  const auto found = registry().find(name);
  if (found != registry().end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, experiment] : registry()) names.push_back(known);
  throw Error(fmt::format("there is no experiment `{}`", name), did_you_mean(name, names));
}

// No number that is not finite stands in a row whose status is ok.
void note_nonfinite_cells(JobContext& context) {
  for (size_t i = 0; i < context.point_count(); ++i) {
    std::vector<std::string> columns;
    for (const auto& [column, cell] : context.rows()[i]) {
      const double* number = std::get_if<double>(&cell);
      if (number && !std::isfinite(*number)) columns.push_back(column);
    }
    if (!columns.empty())
      context.add_status(i, fmt::format("not finite: {}", fmt::join(columns, ", ")));
  }
}

record::JobRecord record_of(JobContext& context, const Environment& environment) {
  const ExperimentSchema& schema = context.schema();
  record::JobRecord record;
  record.hash = context.job().hash;
  record.job = to_json(context.job());
  record.job.erase("stamps");  // which differ between equal jobs
  record.environment = environment.at_end();
  record.environment.update(context.environment());
  record.columns = record::all_columns(schema);
  note_nonfinite_cells(context);
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
  record::require_declared(schema, record.arrays);
  return record;
}

// A result that cannot be read now, or is of a newer version, must not be written over; a damaged
// one is set aside.
void require_place_for_result(JobContext& context) {
  const job::JobFolder folder{context.folder()};
  const std::string moved = job::clear_place(folder, context.job());
  if (!moved.empty()) context.log(moved);
}

// Returns the exit status.
int run_experiment(JobContext& context, const Experiment& experiment) {
  context.log(fmt::format("job {}: {}, {} point{}", context.job().hash, context.job().experiment,
                          context.point_count(), context.point_count() == 1 ? "" : "s"));
  if (context.comm().first()) require_place_for_result(context);
  const Environment environment(context.device());
  if (context.comm().size() > 1) context.environment()["ranks"] = describe_ranks(context);
  try {
    experiment.run(context);
  } catch (const Stopped& stopped) {
    context.log(stopped.note);
    return job::kStoppedExit;
  }
  if (!context.comm().first()) return 0;
  for (const std::string& path : context.inputs().require_unchanged())
    context.log(fmt::format("{} was named and not read", path));
  require_place_for_result(context);  // what is there may have changed meanwhile
  record::write_job(context.folder() / "result.h5", record_of(context, environment));
  std::error_code ignored;
  std::filesystem::remove(partial_path(context.folder()), ignored);
  context.log("done");
  return 0;
}

// LibTorch's errors carry a C++ backtrace, which helps nobody who reads a job's log; their first
// lines do.
std::string readable(const std::exception& failure) {
  const std::string text = failure.what();
  return text.substr(0, text.find("\nException raised from"));
}

// What a rank says of its end, and how it ends: at once, since threads that wait for other ranks
// may wait forever.
[[noreturn]] void end_rank(dist::Communicator& comm, const std::exception& failure) {
  // Also that of another rank is said: whoever started the ranks may end this one's next.
  fmt::print(stderr, "{}error: {}\n", comm.first() ? "" : fmt::format("[rank {}] ", comm.rank()),
             readable(failure));
  std::fflush(nullptr);
  comm.fail(readable(failure));
  ::_exit(1);
}

int run(const std::filesystem::path& folder, const dist::RankPlace& place,
        const dist::Limits& limits, JobOptions options) {
  const job::Job job = job::read_job_to_run(folder / "job.json");
  const Experiment& experiment = find_experiment(job.experiment);
  if (place.size > 1 && !experiment.schema.ranks) {
    throw Error(
        fmt::format("{} runs in one process, and there are {} ranks", job.experiment, place.size),
        "state one GPU and one node under `run:` for it");
  }
  use_exact_float32();
  options.device = device_from(dist::rank_device(
      job.settings.json().value("device", std::string("auto")), place, gpu_count()));
  use_device(*options.device);
  if (const std::string used = device_name(*options.device);
      !job.device.empty() && !job::is_of_model(used, job.device)) {
    fmt::print(stderr,
               "error: this machine has {}, and the times of this job are to be those of {}, the "
               "`device` of the cluster profile; state a `constraint` there that gives jobs this "
               "model, or correct `device`\n",
               used, job.device);
    return job::kUnableExit;
  }
  options.comm = dist::connect(place, *options.device, limits);
  const std::shared_ptr<dist::Communicator> comm = options.comm;
  if (place.size == 1) {
    JobContext context(job, experiment.schema, folder, std::move(options));
    return run_experiment(context, experiment);
  }
  try {
    JobContext context(job, experiment.schema, folder, std::move(options));
    const int status = comm->end(run_experiment(context, experiment));
    // All is written; what LibTorch would clear away may wait for ranks that have ended.
    std::fflush(nullptr);
    ::_exit(status);
  } catch (const std::exception& failure) {
    end_rank(*comm, failure);
  }
}

// For every library that divides its work among threads, before any of them starts one.
void use_threads(int threads) {
  const std::string text = std::to_string(threads);
  for (const char* name : {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"})
    ::setenv(name, text.c_str(), 1);
  omp_set_num_threads(threads);  // has read its variable when it was loaded
  at::set_num_threads(threads);
}

int print(const Json& answer, int status) {
  fmt::print("{}\n", answer.dump(-1, ' ', false, Json::error_handler_t::replace));
  return status;
}

int answer_probe(const std::string& file, int image_size) {
  try {
    return print(probe_extractor(file, image_size), 0);
  } catch (const std::exception& failure) {
    return print({{"error", failure.what()}}, 1);
  }
}

struct Arguments {
  std::string folder, schema_file, extractor, ranks_from = "auto";
  int threads = 0, image_size = 0, ranks = 0;
  double silence_limit = 15, collective_limit = 1800, connect_limit = 300;
  bool exclusive = false, measure_rate = false;

  void declare(CLI::App& app) {
    app.add_option("folder", folder, "the job's folder, with job.json");
    app.add_option("--describe", schema_file,
                   "write what all experiments accept and return to this file (JSON)");
    app.add_option("--threads", threads, "CPU threads to use (default: all)")
        ->check(CLI::PositiveNumber);
    app.add_flag(
        "--exclusive", exclusive,
        "nothing else runs on the device, so that times count; they are checked all the same");
    app.add_flag("--measure-rate", measure_rate,
                 "print what matrix products reach on this device (JSON)");
    app.add_option("--probe-extractor", extractor,
                   "print how many features this extractor has, and its SHA-256 (JSON)");
    app.add_option("--image-size", image_size, "side of the image that the extractor is tried on")
        ->check(CLI::PositiveNumber);
    declare_ranks(app);
    app.footer(kExitStatuses);
  }

  void declare_ranks(CLI::App& app) {
    app.add_option("--ranks", ranks,
                   "start so many processes on this machine and divide the job among them: one a "
                   "GPU, or CPU processes that share --threads; 1: this process alone")
        ->check(CLI::PositiveNumber);
    app.add_option("--ranks-from", ranks_from,
                   "where this process learns which rank it is: auto (default), slurm, torchrun, "
                   "mpi, or none: it is the only one")
        ->check(CLI::IsMember({"none", "auto", "slurm", "torchrun", "mpi"}))
        ->excludes("--ranks");
    const auto seconds = [&](const char* name, double& value, const char* description) {
      app.add_option(name, value, description)->check(CLI::PositiveNumber)->capture_default_str();
    };
    seconds("--silence-limit", silence_limit,
            "seconds after which a rank without a sign of life is given up");
    seconds("--collective-limit", collective_limit,
            "seconds within which all ranks have to come together to exchange results");
    seconds("--connect-limit", connect_limit, "seconds within which all ranks have to be there");
  }

  dist::Limits limits() const {
    const auto time = [](double seconds) {
      return std::chrono::milliseconds(static_cast<int64_t>(1000 * seconds));
    };
    return {time(silence_limit), time(collective_limit), time(connect_limit)};
  }

  // Of one of the processes that --ranks starts.
  std::vector<std::string> rank_command() const {
    const int all = threads > 0 ? threads : omp_get_num_procs();
    std::vector<std::string> words = {std::filesystem::read_symlink("/proc/self/exe").string(),
                                      folder,
                                      "--ranks-from",
                                      "torchrun",
                                      "--threads",
                                      std::to_string(std::max(all / ranks, 1)),
                                      "--silence-limit",
                                      std::to_string(silence_limit),
                                      "--collective-limit",
                                      std::to_string(collective_limit),
                                      "--connect-limit",
                                      std::to_string(connect_limit)};
    if (exclusive) words.push_back("--exclusive");
    return words;
  }
};

int main_of(int argc, char** argv) {
  CLI::App app(
      "Runs one job of a sweep; run_sweep starts it. By hand: run_job results/<sweep>/jobs/<hash>");
  Arguments arguments;
  arguments.declare(app);
  app.set_version_flag("--version", version_text("run_job", libtorch_version()),
                       "print version, git revision, variant and LibTorch of this program");
  CLI11_PARSE(app, argc, argv);
  if (arguments.threads > 0) use_threads(arguments.threads);
  if (!arguments.schema_file.empty()) {
    write_json_file(arguments.schema_file, to_json(all_schemas()));
    return 0;
  }
  if (arguments.measure_rate) return print(measure_rate(), 0);
  if (!arguments.extractor.empty()) return answer_probe(arguments.extractor, arguments.image_size);
  if (arguments.folder.empty()) throw Error("no job folder was named", "run_job --help");
  if (arguments.ranks > 1) return launch_ranks(arguments.rank_command(), arguments.ranks);
  const dist::RankPlace place = dist::rank_place(
      dist::environment_variables(),
      arguments.ranks == 1 ? dist::RanksFrom::kNone : dist::ranks_from(arguments.ranks_from));
  const StopSignals signals(place.rank == 0);
  return run(arguments.folder, place, arguments.limits(),
             {.exclusive = arguments.exclusive,
              .stop_requested = [&] { return signals.requested(); },
              .comm = nullptr,
              .device = {}});
}

}  // namespace
}  // namespace tarflow::experiments

int main(int argc, char** argv) {
  try {
    return tarflow::experiments::main_of(argc, argv);
  } catch (const std::exception& failure) {
    fmt::print(stderr, "error: {}\n", tarflow::experiments::readable(failure));
    return 1;
  }
}
