#include "framework/driver/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/share.h"
#include "framework/driver/live_page.h"
#include "framework/driver/look.h"
#include "framework/driver/slurm_run.h"
#include "framework/driver/status.h"
#include "framework/job/file_facts.h"
#include "framework/job/owner.h"
#include "framework/job/plan.h"
#include "framework/job/smoke.h"
#include "framework/local/runner.h"
#include "framework/process/cancel.h"
#include "framework/process/host.h"
#include "framework/process/lease.h"
#include "framework/record/record.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kCancelPoll{2};  // kind to shared file systems
constexpr std::chrono::seconds kPageInterval{60};

void complain(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

// What a smoke run is and how long it will take.
void say_smoke(const std::string& banner, const job::Plan& plan, const ExperimentSchemas& schemas,
               const slurm::ClusterProfile& profile) {
  fmt::print("{}", banner);
  if (!plan.pending.empty()) {
    fmt::print("*** {} ***\n", job::smoke_time_text(plan.pending, schemas, on_cpu(profile)));
  }
  std::fflush(stdout);
}

// The files that workers and tables need, found from the folder with the programs.
fs::path share_of(const RunOptions& options) { return share_folder(options.programs); }

double job_cost(job::Estimator& estimator, const job::Job& job) {
  const job::Estimate estimate = estimator.estimate(job);
  return estimate.seconds.value_or(std::max(1.0, estimator.flops(job) / 1e9));
}

std::vector<local::Task> tasks_of(const job::Plan& plan, const ExperimentSchemas& schemas,
                                  job::Estimator& estimator) {
  std::vector<local::Task> tasks;
  for (const job::Job& job : plan.pending) {
    tasks.push_back({&job, job::job_label(plan, job), job::schema_of(schemas, job.experiment).timed,
                     job_cost(estimator, job)});
  }
  return tasks;
}

// What a merge has to take for `done`.
std::vector<record::JobFile> files_to_merge(const job::DonePoints& done) {
  std::map<fs::path, record::JobFile> by_file;
  for (const auto& [key, point] : done.by_key) {
    record::JobFile& file = by_file[point.result];
    file.points.push_back(point.id);
    file.sha256 = point.sha256;
  }
  std::vector<record::JobFile> files;
  for (auto& [path, file] : by_file) {
    file.file = path;
    files.push_back(std::move(file));
  }
  return files;
}

// All done points into results/<sweep>.h5. What is wrong with job files, which it says.
std::vector<Problem> merge_done(const job::Plan& plan, const job::DonePoints& done) {
  record::MergeOptions options;
  for (const sweep::Point& point : plan.sweep.points) {
    options.order.push_back(point.id);
    options.limit = static_cast<uint64_t>(point.run->merge_limit);  // the same of all points
  }
  record::Merged merged =
      record::merge(plan.record(), plan.sweep.name, files_to_merge(done), options);
  if (!merged.aside.empty()) {
    complain(fmt::format("{} was damaged; it is kept as {} and was made again",
                         plan.record().string(), merged.aside.string()));
  }
  for (const Problem& problem : merged.problems) complain(problem.str());
  return std::move(merged.problems);
}

// How far the sweep is, for its page.
void write_progress(const job::Plan& plan, size_t done, bool over) {
  size_t running = 0, failed = 0;
  for (const JobStatus& status : job_states(plan, !over, {})) {
    running += status.state == JobState::kRunning;
    failed += status.state == JobState::kFailed;
  }
  write_json_file(plan.folder / "progress.json", {{"points", job::point_count(plan.all)},
                                                  {"done", done},
                                                  {"running", running},
                                                  {"failed", failed},
                                                  {"over", over},
                                                  {"updated", process::utc_now()}});
}

// What is done so far, merged, and its report. Nothing that fails here stops a sweep: the tables
// at its end tell.
void make_live_page(const job::Plan& plan, job::JobIndex& index, const fs::path& analyze) {
  try {
    const job::DonePoints done = index.find_done(plan.all);
    if (done.by_key.empty()) return;
    write_progress(plan, done.by_key.size(), false);
    merge_done(plan, done);
    process::output_of({analyze.string(), plan.record().string()});
  } catch (const std::exception&) {
  }
}

LivePage live_page(const job::Plan& plan, job::JobIndex& index, const RunOptions& options) {
  return {[&plan, &index, analyze = options.programs / "analyze"] {
            make_live_page(plan, index, analyze);
          },
          kPageInterval};
}

// Runs what is pending. `lease` is kept alive meanwhile.
local::Ran run_jobs(const job::Plan& plan, const ExperimentSchemas& schemas,
                    const RunOptions& options, process::Lease& lease, job::JobIndex& index,
                    job::Estimator& estimator) {
  const process::HeldSignals signals;
  LivePage page = live_page(plan, index, options);
  const std::vector<local::Task> tasks = tasks_of(plan, schemas, estimator);
  double cost = 0;
  for (const local::Task& task : tasks) cost += task.cost;
  job::Progress progress(stderr, ::isatty(STDERR_FILENO) != 0, tasks.size(), cost);
  local::RunnerOptions runner;
  runner.jobs_folder = plan.jobs_folder();
  runner.worker = options.programs / "run_job";
  runner.beat = [&] { lease.beat(); };
  runner.cancelled = process::cancel_asked(plan.folder, kCancelPoll);
  runner.answer = [&](const process::CancelAnswer& answer) {
    process::answer_cancel(plan.folder, answer);
  };
  runner.done = [&](const job::Job& job, double seconds) {
    estimator.learn_result(job, seconds, job::JobFolder{plan.jobs_folder() / job.hash});
    page.job_ended();
  };
  return local::Runner(runner, local::Pool(local::this_machine()), signals, progress).run(tasks);
}

// Whether results became unreadable or damaged since the plan was made; it says which.
bool say_what_went_bad(const job::Plan& plan, const job::DonePoints& done) {
  std::set<fs::path> known;
  for (const auto* list : {&plan.done.kept, &plan.done.damaged}) {
    for (const job::BadResult& bad : *list) known.insert(bad.file);
  }
  size_t said = 0;
  for (const auto* list : {&done.kept, &done.damaged}) {
    for (const job::BadResult& bad : *list) {
      if (!known.insert(bad.file).second) continue;
      complain(bad.problem.str());
      ++said;
    }
  }
  return said > 0;
}

// All done points merged, and what they say on stdout: in short, or as all tables. Returns the exit
// status.
int merge_and_analyze(const job::Plan& plan, const job::DonePoints& done,
                      const RunOptions& options) {
  if (done.by_key.empty()) return kNotAllDone;
  const fs::path record = plan.record(), analyze = options.programs / "analyze";
  const bool unread = say_what_went_bad(plan, done);
  const std::vector<Problem> problems = merge_done(plan, done);
  complain(fmt::format("results: {}", record.string()));
  std::vector<std::string> command = {analyze.string(), record.string()};
  if (!options.tables) command.push_back("--short");
  const int status = process::run_program(command);
  if (status != 0) {
    complain(fmt::format("{} ended with status {}; the results are complete in {}",
                         analyze.string(), status, record.string()));
  }
  return problems.empty() && status == 0 && !unread ? kAllDone : kNotAllDone;
}

void say_what_cannot_run(const job::Plan& plan) {
  if (plan.cannot_run.empty()) return;
  complain(fmt::format("{}: {} cannot run", plan.sweep.name,
                       job::counted(plan.cannot_run.size(), "point")));
  for (const Problem& problem : plan.sweep.missing) complain(problem.str());
}

void say_how_it_went(const job::Plan& plan, const local::Ran& ran) {
  if (ran.failed > 0) {
    complain(
        fmt::format("{}: {} of {} jobs failed; the same command tries them again, "
                    "--retry-failed nothing else",
                    plan.sweep.name, ran.failed, plan.pending.size()));
  }
  if (ran.cancelled > 0) {
    complain(fmt::format("{}: {} taken back by --cancel; the same command runs them",
                         plan.sweep.name, job::counted(ran.cancelled, "job")));
  }
  if (plan.kept > 0) {
    complain(fmt::format("{}: {} not run, since their results are kept and cannot be read",
                         plan.sweep.name, job::counted(plan.kept, "point")));
  }
  if (ran.interrupted || ran.failed_fast) {
    complain("stopped; finished jobs are kept; repeat the command to continue");
  }
}

// Before anything runs.
void require_machine(const local::Machine& machine, const job::Jobs& jobs) {
  for (const std::string& note : machine.notes) complain(note);
  std::vector<Problem> problems = local::beyond(machine, jobs);
  if (!problems.empty()) throw Error(std::move(problems));
}

// Submits, and gathers what is done.
int run_plan_on_slurm(const job::Plan& plan, const slurm::Standing& standing,
                      const ExperimentSchemas& schemas, const RunOptions& options,
                      const slurm::ClusterProfile& profile, process::Lease& lease,
                      job::JobIndex& index) {
  job::Estimator estimator(schemas, plan.device, plan.cache());
  LivePage page = live_page(plan, index, options);
  const slurm::SlurmRan ran = run_on_slurm(plan, standing, schemas, options, profile, lease,
                                           estimator, [&] { page.job_ended(); });
  const job::DonePoints done = index.find_done(plan.all);
  index.save();
  const bool any = !done.by_key.empty();
  const bool left_running = ran.interrupted || (!options.wait && ran.submitted + ran.held > 0);
  if (any) write_progress(plan, done.by_key.size(), !left_running);
  const int status = any ? merge_and_analyze(plan, done, options) : kAllDone;
  say_how_it_went(plan, {ran.failed, 0, false, false, ran.failed_fast});
  if (ran.interrupted) return kInterrupted;
  return ran.failed > 0 || plan.kept > 0 || !plan.cannot_run.empty() ? kNotAllDone : status;
}

int run_plan(job::Plan plan, const ExperimentSchemas& schemas, const RunOptions& options,
             const slurm::ClusterProfile& profile, process::Lease& lease, job::JobIndex& index) {
  const size_t wanted = job::point_count(plan.pending);
  const slurm::Standing standing = leave_to_slurm(plan, profile, lease);
  const size_t held = wanted - job::point_count(plan.pending);
  complain(fmt::format("{}: {} to run, {} of its points done", plan.sweep.name,
                       job::counted(plan.pending.size(), "job"), plan.done.by_key.size()));
  say_what_cannot_run(plan);
  if (profile.slurm()) {
    return run_plan_on_slurm(plan, standing, schemas, options, profile, lease, index);
  }
  job::Estimator estimator(schemas, plan.device, plan.cache());
  const local::Ran ran = run_jobs(plan, schemas, options, lease, index, estimator);
  if (ran.aborted) {
    say_how_it_went(plan, ran);
    return kInterrupted;
  }
  const job::DonePoints done = index.find_done(plan.all);
  index.save();
  if (fs::exists(plan.folder / "progress.json")) write_progress(plan, done.by_key.size(), true);
  const int status = merge_and_analyze(plan, done, options);
  say_how_it_went(plan, ran);
  if (ran.interrupted) return kInterrupted;
  const bool all = ran.failed + ran.cancelled + plan.kept + held == 0 && plan.cannot_run.empty();
  return all ? status : kNotAllDone;
}

// Damaged results out of the way of those that take their place. The caller holds the lease.
void set_damaged_aside(const job::DonePoints& done) {
  for (const job::BadResult& bad : done.damaged) {
    Problem problem = bad.problem;
    try {
      const fs::path aside = set_aside(bad.file);
      problem.repair =
          fmt::format("it is kept as {}; its points are computed again", aside.string());
      job::append_line(bad.folder.log(),
                       fmt::format("{}; it is kept as {}", problem.what, aside.string()));
    } catch (const Error& failure) {
      problem.repair = failure.what();
    }
    complain(problem.str());
  }
}

int run_one(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options) {
  const slurm::ClusterProfile profile = profile_of(options);
  Json smoke_note;
  std::string banner;
  const fs::path folder =
      options.results / (options.smoke ? job::smoke_name(sweep.name) : sweep.name);
  process::Lease lease(folder, options.command, complain);
  process::forget_cancel(folder);  // it spoke to an earlier run
  if (options.smoke) {
    job::Smoke smoke = job::make_smoke(sweep, schemas, folder, stand_in_on(profile));
    banner = job::smoke_banner(smoke, options.results);
    sweep = std::move(smoke.sweep);
    smoke_note = std::move(smoke.replaced);
  }
  const fs::path file = sweep.file;
  job::JobIndex index(folder);
  job::Plan plan = job::make_plan(std::move(sweep), schemas,
                                  plan_options(options, profile, smoke_note), index, complain);
  const std::string points = job::points_digest(plan.all);
  if (!options.adopt) job::require_owner(folder, file, [&] { return points; });
  if (plan.all.empty()) throw Error(plan.sweep.missing);
  job::note_owner(folder, file, points, complain);
  set_damaged_aside(plan.done);
  for (const job::BadResult& kept : plan.done.kept) complain(kept.problem.str());
  if (!profile.slurm()) require_machine(local::this_machine(), plan.pending);
  if (options.smoke) say_smoke(banner, plan, schemas, profile);
  try {
    return run_plan(std::move(plan), schemas, options, profile, lease, index);
  } catch (const Error& failure) {
    // A full disk, say, or a lost lease: no fault of the input, and finished jobs are kept.
    complain(fmt::format("error: {}", failure.what()));
    return kNotAllDone;
  }
}

std::vector<sweep::Sweep> load_all(const RunOptions& options, const ExperimentSchemas& schemas) {
  sweep::LoadOptions load;
  load.allow_missing = true;  // some points may run all the same
  load.set = options.set;
  load.only = options.only;
  const fs::path shipped = share_of(options) / "sweeps";
  load.preset_folders = {shipped, shipped / "presets"};
  load.facts = job::file_facts(options.programs / "run_job", options.results / ".cache");
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
  const ExperimentSchemas schemas = read_experiment_schemas(share_of(options) / "experiments.json");
  if (options.action == Action::kClean && !(options.set.empty() && options.only.empty())) {
    throw Error(
        "--clean looks at the whole sweep: --set and --only would make results of its "
        "other points look unused",
        "run --clean without them");
  }
  int status = kAllDone;
  for (sweep::Sweep& sweep : load_all(options, schemas)) {
    int one = kHeld;
    try {
      one = options.action == Action::kRun ? run_one(std::move(sweep), schemas, options)
                                           : look_at(std::move(sweep), schemas, options);
    } catch (const process::LeaseHeld& held) {  // nothing is wrong with the input
      complain(fmt::format("error: {}", held.what()));
    }
    if (one == kInterrupted) return one;
    status = std::max(status, one);
  }
  return status;
}

}  // namespace tarflow::driver
