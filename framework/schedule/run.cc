#include "framework/schedule/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>

#include "framework/core/error.h"
#include "framework/schedule/execute.h"
#include "framework/schedule/plan.h"
#include "framework/schedule/smoke.h"

namespace tarflow::schedule {
namespace fs = std::filesystem;
namespace {

// Two runs in one folder would write over each other. Ends with the process, however that ends.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder) {
    std::error_code failed;
    fs::create_directories(folder, failed);
    if (failed)
      throw Error(fmt::format("cannot make the folder {}: {}", folder.string(), failed.message()));
    file_ = ::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    // Where a file system has no locks, users have to take care themselves.
    if (file_ >= 0 && ::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(file_);
      throw Error(fmt::format("another run_sweep is at work in {}", folder.string()),
                  "wait for it, or choose another folder with --results");
    }
  }
  ~FolderLock() {
    if (file_ >= 0) ::close(file_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_ = -1;
};

void complain(const std::string& text) { fmt::print(stderr, "{}\n", text); }

void say_smoke(const Smoke& smoke, const fs::path& results) {
  fmt::print("*** SMOKE RUN of {}: at most {} images a point, results in {} ***\n",
             smoke.sweep.name, kSmokeImages, (results / smoke.sweep.name).string());
  for (const std::string& message : smoke.messages) fmt::print("*** {} ***\n", message);
  std::fflush(stdout);
}

// How the jobs of a plan ended.
struct Ran {
  std::vector<DonePoint> points;  // newly done
  size_t failed = 0;
  bool interrupted = false;
};

void report_failure(const Plan& plan, const Job& job, const Outcome& outcome) {
  complain(fmt::format("job {} failed: {}\n  {}\n  its log, {}, ends with", job.hash,
                       outcome.reason, job_label(plan, job), outcome.log.string()));
  for (const std::string& line : outcome.log_end) complain("    | " + line);
  if (outcome.log_end.empty()) complain("    | (it printed nothing)");
}

Ran run_jobs(const Plan& plan, const fs::path& worker) {
  Ran ran;
  const HeldSignals signals;
  Progress progress(stderr, ::isatty(STDERR_FILENO) != 0, plan.pending.size());
  for (const Job& job : plan.pending) {
    const JobFolder folder{plan.jobs_folder() / job.hash};
    progress.start_job(job_label(plan, job));
    const Outcome outcome = execute(job, folder, worker, signals, progress);
    progress.end_job(outcome.ok ? "done" : outcome.interrupted ? "stopped" : "FAILED");
    if (outcome.interrupted) {
      ran.interrupted = true;
      return ran;
    }
    if (!outcome.ok) {
      ++ran.failed;
      report_failure(plan, job, outcome);
      continue;
    }
    for (const JobPoint& point : job.points) {
      ran.points.push_back({point.id, folder.result()});
    }
  }
  return ran;
}

// All done points into results/<sweep>.h5 and its tables on stdout. Returns the exit status.
int merge_and_analyze(const Plan& plan, const Ran& ran, const fs::path& analyze) {
  std::vector<DonePoint> points = ran.points;
  for (const auto& [key, point] : plan.done.by_key) points.push_back(point);
  if (points.empty()) return kJobsFailed;
  const fs::path record = plan.record();
  const std::vector<Problem> problems =
      record::merge(record, plan.sweep.name, files_to_merge(points));
  for (const Problem& problem : problems) complain(problem.str());
  complain(fmt::format("results: {}", record.string()));
  const int status = run_program({analyze.string(), record.string()});
  if (status != 0) {
    complain(fmt::format("{} ended with status {}; the results are complete in {}",
                         analyze.string(), status, record.string()));
  }
  return problems.empty() && status == 0 ? kAllDone : kJobsFailed;
}

int run_plan(const Plan& plan, const RunOptions& options) {
  complain(
      fmt::format("{}: {} to run, {} of its points done", plan.sweep.name,
                  plan.pending.size() == 1 ? "1 job" : fmt::format("{} jobs", plan.pending.size()),
                  plan.done.by_key.size()));
  const Ran ran = run_jobs(plan, options.programs / "run_job");
  if (ran.interrupted) {
    complain("stopped; finished jobs are kept, and the same command goes on from here");
    return kInterrupted;
  }
  const int status = merge_and_analyze(plan, ran, options.programs / "analyze");
  if (ran.failed == 0) return status;
  complain(fmt::format("{}: {} of {} jobs failed; the same command tries them again",
                       plan.sweep.name, ran.failed, plan.pending.size()));
  return kJobsFailed;
}

Plan planned(sweep::Sweep sweep, const ExperimentSchemas& schemas, const fs::path& results,
             ContentHasher& hasher, const Json& smoke) {
  Plan plan = make_plan(std::move(sweep), schemas, results, hasher, smoke);
  hasher.save();
  for (const Problem& problem : plan.done.problems) complain(problem.str());
  return plan;
}

int run_sweep(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options) {
  ContentHasher hasher(options.results / ".cache", [](const fs::path& path) {
    complain(fmt::format("reading {} once to know its content ...", path.string()));
  });
  if (options.dry_run || options.list_jobs) {
    const Plan plan = planned(std::move(sweep), schemas, options.results, hasher, nullptr);
    fmt::print("{}", options.list_jobs ? job_list(plan) : describe(plan));
    return kAllDone;
  }
  Json smoke_note;
  const fs::path folder = options.results / (sweep.name + (options.smoke ? "-smoke" : ""));
  const FolderLock lock(folder);
  if (options.smoke) {
    Smoke smoke = make_smoke(sweep, schemas, folder);
    say_smoke(smoke, options.results);
    sweep = std::move(smoke.sweep);
    smoke_note = std::move(smoke.replaced);
  }
  const Plan plan = planned(std::move(sweep), schemas, options.results, hasher, smoke_note);
  try {
    return run_plan(plan, options);
  } catch (const Error&
               failure) {  // a full disk, say: no fault of the input, and finished jobs are kept
    complain(fmt::format("error: {}", failure.what()));
    return kJobsFailed;
  }
}

std::vector<sweep::Sweep> load_all(const RunOptions& options, const ExperimentSchemas& schemas) {
  const sweep::LoadOptions load{options.dry_run || options.list_jobs || options.smoke};
  std::vector<sweep::Sweep> sweeps;
  std::vector<Problem> problems;
  std::set<std::string> names;
  for (const fs::path& file : options.files) {
    try {
      sweeps.push_back(sweep::load_sweep(file, schemas, load));
    } catch (const Error& failure) {
      problems.insert(problems.end(), failure.problems().begin(), failure.problems().end());
      continue;
    }
    for (const Problem& warning : sweeps.back().warnings) complain("warning: " + warning.str());
    if (!names.insert(sweeps.back().name).second) {
      problems.push_back({Place{file.string()},
                          fmt::format("a second sweep is named {}", sweeps.back().name),
                          "give it a `name:` of its own", ""});
    }
  }
  if (!problems.empty()) throw Error(std::move(problems));
  return sweeps;
}

}  // namespace

int run_sweeps(const RunOptions& options) {
  const ExperimentSchemas schemas =
      read_experiment_schemas(options.programs / ".." / "share" / "experiments.json");
  int status = kAllDone;
  for (sweep::Sweep& sweep : load_all(options, schemas)) {
    const int one = run_sweep(std::move(sweep), schemas, options);
    if (one == kInterrupted) return one;
    status = std::max(status, one);
  }
  return status;
}

}  // namespace tarflow::schedule
