#include "framework/driver/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <set>
#include <unordered_set>

#include "framework/core/aside.h"
#include "framework/core/complain.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/driver/check.h"
#include "framework/driver/job_states.h"
#include "framework/driver/live_page.h"
#include "framework/driver/loop.h"
#include "framework/driver/slurm_run.h"
#include "framework/job/absent_jobs.h"
#include "framework/job/owner.h"
#include "framework/job/plan.h"
#include "framework/job/smoke.h"
#include "framework/local/runner.h"
#include "framework/process/cancel_request.h"
#include "framework/process/command.h"
#include "framework/process/host.h"
#include "framework/process/lease.h"
#include "framework/record/record.h"
#include "framework/slurm/ask.h"
#include "framework/slurm/kept_programs.h"
#include "framework/slurm/whole_nodes.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kCancelPoll{2};  // kind to shared file systems
constexpr std::chrono::seconds kPageInterval{60};

// What a smoke run is and how long it will take.
void say_smoke(const std::string& banner, const job::Plan& plan, const ExperimentSchemas& schemas,
               const slurm::ClusterProfile& profile) {
  fmt::print("{}", banner);
  if (!plan.pending.empty()) {
    fmt::print("*** {} ***\n", job::smoke_time_text(plan.pending, schemas, on_cpu(profile)));
  }
  std::fflush(stdout);
}

std::vector<job::Task> tasks_of(const job::Plan& plan, const ExperimentSchemas& schemas,
                                job::Estimator& estimator) {
  std::vector<job::Task> tasks;
  for (size_t i = 0; i < plan.pending.size(); ++i) {
    tasks.push_back(task_of(plan, plan.pending.shared(i), schemas));
    tasks.back().cost =
        estimator.estimate(plan.pending[i])
            .seconds.value_or(std::max(1.0, estimator.flops(plan.pending[i]) / 1e9));
  }
  return tasks;
}

// Of all points of the sweep, also those that cannot run or are not selected, and of its file as it
// stands.
std::vector<std::string> point_ids(const job::Plan& plan) {
  std::vector<std::string> ids = plan.file_order;
  for (const auto* list : {&plan.sweep.points, &plan.cannot_run}) {
    for (const sweep::Point& point : *list) ids.push_back(point.id);
  }
  return ids;
}

// Of a call with --set, the points that the file as it stands has not. Where that is not known, all
// of the call.
std::vector<std::string> ids_of_set(const job::Plan& plan, const RunOptions& options) {
  if (options.set.empty()) return {};
  const std::set<std::string> of_file(plan.file_order.begin(), plan.file_order.end());
  std::vector<std::string> ids = point_ids(plan);
  std::erase_if(ids, [&](const std::string& id) { return of_file.contains(id); });
  return ids;
}

// The points of the file as it stands, whose results a call with --set keeps in the record. Most
// have none: what these read, a checkpoint that --set replaces say, is not read for them.
void add_file_alone(job::Plan& plan, sweep::Sweep file_alone, const ExperimentSchemas& schemas,
                    const job::PlanOptions& options, const job::JobStore& store) {
  try {
    std::vector<std::string> order;
    for (const sweep::Point& point : file_alone.points) order.push_back(point.id);
    std::optional<std::unordered_set<std::string>> ids = store.ids();
    if (ids) {  // of one point the results of the call hold
      for (const auto& [key, point] : plan.done.by_key) ids->erase(point.id);
    }
    plan.of_file = job::jobs_of(std::move(file_alone), ids, schemas, options, complain);
    plan.file_order = std::move(order);
  } catch (const Error& failure) {  // a file that --set replaces cannot be read, say
    complain(
        fmt::format("the record will hold the results of this call alone, since those of the "
                    "file without --set are not known: {}",
                    failure.what()));
  }
}

// What a merge has to take for `done` and `of_file` together. Where both have results of one point
// (--set of a model's checkpoint), those of `done` hold.
std::vector<record::JobFile> files_to_merge(const job::DonePoints& done,
                                            const job::DonePoints& of_file) {
  std::map<fs::path, record::JobFile> by_file;
  std::set<std::string> ids;
  const auto add = [&](const job::DonePoint& point) {
    record::JobFile& file = by_file[point.result];
    file.points.push_back(point.id);
    file.sha256 = point.sha256;
  };
  for (const auto& [key, point] : done.by_key) {
    ids.insert(point.id);
    add(point);
  }
  for (const auto& [key, point] : of_file.by_key) {
    if (!ids.contains(point.id)) add(point);
  }
  std::vector<record::JobFile> files;
  for (auto& [path, file] : by_file) {
    file.file = path;
    files.push_back(std::move(file));
  }
  return files;
}

// All done points into results/<sweep>.h5, with --set those of the file as it stands as well. What
// is wrong with job files, which it says.
std::vector<Problem> merge_done(const job::Plan& plan, const job::DonePoints& done,
                                job::JobStore& store) {
  record::MergeOptions options;
  options.order = plan.file_order;
  const std::set<std::string> of_file(options.order.begin(), options.order.end());
  for (const sweep::Point& point : plan.sweep.points) {
    if (!of_file.contains(point.id)) options.order.push_back(point.id);
    options.limit = static_cast<uint64_t>(point.run->merge_limit);  // the same of all points
  }
  const job::DonePoints others =
      plan.of_file.empty() ? job::DonePoints() : store.find_done(plan.of_file);
  record::Merged merged =
      record::merge(plan.record(), plan.sweep.name, files_to_merge(done, others), options);
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
  const Json progress = {{"points", job::point_count(plan.all)},
                         {"done", done},
                         {"running", running},
                         {"failed", failed},
                         {"over", over},
                         {"updated", process::utc_now()}};
  try {
    write_json_file(plan.folder / "progress.json", progress);
  } catch (const Error& failure) {  // the record is worth more than its page
    complain(failure.what());
  }
}

// What is done so far, merged, and its report. Nothing that fails here stops a sweep: the tables
// at its end tell.
void make_live_page(const job::Plan& plan, job::JobStore& store, const fs::path& analyze) {
  const job::DonePoints done = store.find_done(plan.all);
  if (done.by_key.empty()) return;
  store.save();
  write_progress(plan, done.by_key.size(), false);
  merge_done(plan, done, store);
  process::run_program({analyze.string(), plan.record().string()}, /*bound=*/true);
}

LivePage live_page(const job::Plan& plan, job::JobStore& store, const RunOptions& options) {
  const auto maker = std::make_shared<pid_t>(0);
  return {{.begin =
               [=, &plan, &store, analyze = options.programs / "analyze"] {
                 *maker = process::run_aside([&] { make_live_page(plan, store, analyze); });
               },
           .ended =
               [=, &store] {
                 if (!process::poll_exit(*maker)) return false;
                 *maker = 0;
                 store.reload();  // what the other process learnt
                 return true;
               },
           .stop =
               [=, &plan] {
                 if (*maker <= 0) return;  // 0 would be the group of this process
                 int status = 0;
                 process::signal_group(*maker, SIGKILL);
                 process::wait_for_child(*maker, status, 0);
                 std::error_code ignored;
                 fs::remove(aside_of(plan.record(), *maker), ignored);
               }},
          kPageInterval};
}

// Runs what is pending. `lease` is held meanwhile.
Ran run_jobs(const job::Plan& plan, const ExperimentSchemas& schemas, const RunOptions& options,
             const process::Lease& lease, job::JobStore& store, job::Estimator& estimator) {
  const process::HeldSignals signals;
  LivePage page = live_page(plan, store, options);
  std::vector<job::Task> tasks = tasks_of(plan, schemas, estimator);
  double cost = 0;
  for (const job::Task& task : tasks) cost += task.cost;
  job::Progress progress(stderr, ::isatty(STDERR_FILENO) != 0, tasks.size(), cost);
  LoopOptions on = loop_options(plan, lease, estimator, page);
  on.wait = [&](std::chrono::milliseconds time) { return signals.wait(time); };
  on.cancelled = process::cancel_asked(plan.folder, kCancelPoll);
  on.answer = [&](const process::CancelAnswer& answer) {
    process::answer_cancel(plan.folder, answer);
  };
  local::Runner runner({plan.jobs_folder(), options.programs / "run_job"},
                       local::Pool(local::this_machine()));
  Loop loop(on, runner, progress);
  for (job::Task& task : tasks) loop.add(std::move(task));
  return loop.run();
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
int merge_and_analyze(const job::Plan& plan, const job::DonePoints& done, const RunOptions& options,
                      job::JobStore& store) {
  if (done.by_key.empty()) return kNotAllDone;
  const fs::path record = plan.record(), analyze = options.programs / "analyze";
  const bool unread = say_what_went_bad(plan, done);
  const std::vector<Problem> problems = merge_done(plan, done, store);
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
  const size_t count = job::selected_count(plan.cannot_run);
  if (count == 0) return;
  complain(fmt::format("{}: {} cannot run", plan.sweep.name, job::counted(count, "point")));
  for (const Problem& problem : plan.sweep.missing) complain(problem.str());
}

void say_how_it_went(const job::Plan& plan, const Ran& ran) {
  if (ran.failed > 0) {
    complain(
        fmt::format("{}: {} of {} jobs failed; the same command tries them again, with "
                    "--retry-failed these alone",
                    plan.sweep.name, ran.failed, plan.pending.size()));
  }
  if (ran.cancelled > 0) {
    complain(fmt::format("{}: {} cancelled by run_sweep cancel; the same command runs them",
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
                      job::JobStore& store) {
  job::Estimator estimator(schemas, plan.runs_on, plan.cache());
  const SlurmRan there = [&] {
    LivePage page = live_page(plan, store, options);  // gone before the last merge
    return run_on_slurm(plan, standing, schemas, options, profile, lease, estimator, page);
  }();
  const Ran& ran = there.ran;
  lease.check();  // nothing is written into a folder that is another's
  const job::DonePoints done = store.find_done(plan.all);
  store.save();
  const bool any = !done.by_key.empty();
  const bool left_running = ran.interrupted || (!options.wait && there.jobs > 0);
  if (any) write_progress(plan, done.by_key.size(), !left_running);
  const int status = any ? merge_and_analyze(plan, done, options, store) : kAllDone;
  say_how_it_went(plan, {ran.failed, 0, false, false, ran.failed_fast});
  if (ran.interrupted) return kInterrupted;
  return ran.failed > 0 || plan.kept > 0 || job::selected_count(plan.cannot_run) > 0 ? kNotAllDone
                                                                                     : status;
}

int run_plan(job::Plan plan, const ExperimentSchemas& schemas, const RunOptions& options,
             const slurm::ClusterProfile& profile, process::Lease& lease, job::JobStore& store) {
  const size_t wanted = job::point_count(plan.pending);
  const slurm::Standing standing = leave_to_slurm(plan, profile, lease, store);
  const size_t held = wanted - job::point_count(plan.pending);
  complain(fmt::format("{}: {} to run, {} of its points done", plan.sweep.name,
                       job::counted(plan.pending.size(), "job"), plan.done.by_key.size()));
  say_what_cannot_run(plan);
  if (profile.queued()) {
    complain(
        fmt::format("{}: cluster profile {}", plan.sweep.name, profile_text(profile, options)));
    return run_plan_on_slurm(plan, standing, schemas, options, profile, lease, store);
  }
  job::Estimator estimator(schemas, plan.runs_on, plan.cache());
  const Ran ran = run_jobs(plan, schemas, options, lease, store, estimator);
  if (ran.aborted) {
    say_how_it_went(plan, ran);
    return kInterrupted;
  }
  lease.check();
  const job::DonePoints done = store.find_done(plan.all);
  store.save();
  std::error_code unknown;
  if (fs::exists(plan.folder / "progress.json", unknown))
    write_progress(plan, done.by_key.size(), true);
  const int status = merge_and_analyze(plan, done, options, store);
  say_how_it_went(plan, ran);
  if (ran.interrupted) return kInterrupted;
  const bool all = ran.failed + ran.cancelled + plan.kept + held == 0 &&
                   job::selected_count(plan.cannot_run) == 0;
  return all ? status : kNotAllDone;
}

}  // namespace

int run_sweep(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options,
              std::optional<sweep::Sweep> file_alone) {
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
  job::JobStore store(folder);
  job::Plan plan = job::make_plan(std::move(sweep), schemas,
                                  plan_options(options, profile, smoke_note), store, complain);
  if (file_alone) {
    add_file_alone(plan, std::move(*file_alone), schemas, plan_options(options, profile, {}),
                   store);
  }
  const std::string points = job::points_digest(plan.all);
  if (!options.adopt) job::require_owner(folder, file, [&] { return points; });
  if (plan.all.empty()) throw Error(plan.sweep.missing);
  job::note_owner(folder, file, {points, point_ids(plan), options.set, ids_of_set(plan, options)},
                  complain);
  for (const job::BadResult& bad : plan.done.damaged) complain(job::set_damaged_aside(bad).str());
  for (const job::BadResult& kept : plan.done.kept) complain(kept.problem.str());
  if (!profile.queued()) {
    require_machine(local::this_machine(), plan.pending);
  } else if (auto problems = slurm::beyond_nodes(profile, plan.pending); !problems.empty()) {
    throw Error(std::move(problems));
  }
  if (profile.slurm() && !plan.pending.empty()) slurm::require_slurm();
  if (options.smoke) say_smoke(banner, plan, schemas, profile);
  const fs::path programs = plan.cache() / "programs";
  try {
    const int status = run_plan(std::move(plan), schemas, options, profile, lease, store);
    slurm::remove_unused_programs(options.results, programs, folder);
    return status;
  } catch (const UnfitProfile&) {
    throw;
  } catch (const process::LeaseHeld&) {
    throw;
  } catch (const Error& failure) {
    // A full disk, say: no fault of the input, and finished jobs are kept.
    complain(fmt::format("error: {}", failure.what()));
    return kNotAllDone;
  }
}

}  // namespace tarflow::driver
