#include "framework/driver/slurm_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <thread>

#include "framework/core/complain.h"
#include "framework/core/error.h"
#include "framework/core/share.h"
#include "framework/driver/check.h"
#include "framework/job/device.h"
#include "framework/job/job_folder.h"
#include "framework/process/cancel_request.h"
#include "framework/process/process.h"
#include "framework/slurm/cluster_profile_file.h"
#include "framework/slurm/kept_programs.h"
#include "framework/slurm/profile_difference.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

constexpr size_t kSaid = 10;                // ended tasks that are spoken of
constexpr std::chrono::seconds kGone{120};  // what cancelled tasks may take to end

void complain_of(const Problem& problem) { complain(problem.str()); }

slurm::Patience patience_of(const process::Lease& lease, const slurm::ClusterProfile& profile) {
  slurm::Patience patience;
  patience.second_look = slurm::second_look_of(profile);
  patience.notice = complain;
  patience.beat = [&lease] { lease.check(); };
  return patience;
}

// Of a machine without Slurm: everything that is not known to be over.
slurm::Standing all_open(const fs::path& sweep_folder) {
  std::vector<Problem> problems;
  slurm::Standing standing;
  std::vector<slurm::KnownSubmission> submissions = slurm::read_submissions(sweep_folder, problems);
  for (const Problem& problem : problems) complain_of(problem);
  standing.unread = !problems.empty();
  for (slurm::KnownSubmission& known : submissions) {
    if (!known.submission.open()) continue;
    for (size_t task = 0; task < known.submission.tasks.size(); ++task) {
      for (const std::string& hash : known.submission.tasks[task]) {
        standing.held[hash] = {standing.submissions.size(), task, false, "unknown"};
      }
    }
    standing.submissions.push_back(std::move(known));
  }
  return standing;
}

// What has the jobs, in words.
std::string queue_of(const slurm::Standing& standing) {
  const auto& all = standing.submissions;
  const bool other = std::any_of(all.begin(), all.end(), [](const slurm::KnownSubmission& known) {
    return known.submission.profile.by_command();
  });
  return other ? "the queue" : "Slurm";
}

// Each was said already. Slurm may have the jobs of what cannot be read.
void require_read(const slurm::Standing& standing) {
  if (!standing.unread) return;
  throw Error(
      "a submission of this sweep cannot be read, so it is not known what the queue has of it",
      "see the message above");
}

// Why tasks that have ended since somebody last looked did not do all of their jobs.
void say_what_ended(const slurm::Standing& standing) {
  size_t said = 0;
  for (const slurm::KnownSubmission& known : standing.ended) {
    for (size_t task = 0; task < known.submission.tasks.size(); ++task) {
      const slurm::Verdict verdict = slurm::judge(
          slurm::gather_evidence(known.folder, known.submission, task, standing.states));
      if (verdict.what == slurm::Verdict::What::kDone) continue;
      try {
        slurm::note_verdict(known.folder, task, verdict);
      } catch (const Error& failure) {  // what was judged holds all the same
        complain(failure.what());
      }
      if (++said > kSaid) continue;
      complain(
          fmt::format("task {} ended without all of its results: {}{}",
                      slurm::task_id(known.submission, task).str(), verdict.reason,
                      verdict.log.empty() ? "" : fmt::format("; see {}", verdict.log.string())));
    }
  }
  if (said > kSaid) complain(fmt::format("... and {} more tasks", said - kSaid));
}

slurm::SlurmOptions slurm_options(const job::Plan& plan, const RunOptions& options,
                                  const slurm::ClusterProfile& profile) {
  slurm::SlurmOptions slurm;
  slurm.profile = profile;
  slurm.sweep_folder = plan.folder;
  slurm.programs = fs::absolute(options.programs);
  slurm.poll = slurm::poll_of(profile);
  return slurm;
}

job::Task task_on_slurm(const job::Plan& plan, std::shared_ptr<const job::Job> job,
                        const ExperimentSchemas& schemas, job::Estimator& estimator) {
  job::Task task = task_of(plan, std::move(job), schemas);
  const job::Estimate estimate = estimator.estimate(*task.job);
  if (!estimate.bound) task.seconds = estimate.seconds;
  task.cost = static_cast<double>(task.job->points.size());
  return task;
}

// Those that Slurm has already. How many.
size_t adopt(const job::Plan& plan, const slurm::Standing& standing,
             const ExperimentSchemas& schemas, job::Estimator& estimator,
             slurm::SlurmDriver& driver, Loop& loop) {
  size_t jobs = 0;
  for (const auto& [hash, held] : standing.held) {
    try {
      const auto job = std::make_shared<const job::Job>(
          job::read_job(job::JobFolder{plan.jobs_folder() / hash}.job()));
      job::Task task = task_on_slurm(plan, job, schemas, estimator);
      task.turn = ++jobs;
      const slurm::Submission& submission = standing.submissions.at(held.submission).submission;
      if (submission.tries.contains(hash)) task.tries = submission.tries.at(hash);
      if (submission.reached.contains(hash)) task.reached = submission.reached.at(hash);
      driver.adopt(task, standing, held);
      loop.add(std::move(task), /*given=*/true);
    } catch (const Error&) {
      // Its folder was removed: nothing of it can be waited for.
    }
  }
  return jobs;
}

// What takes jobs back while it waits.
std::function<std::optional<process::CancelRequest>()> cancelled(
    const job::Plan& plan, const slurm::ClusterProfile& profile) {
  const auto all = process::cancel_of_all_asked(
      plan.folder, slurm::poll_of(profile),
      "run_sweep --wait is running and would submit these points again: end it (jobs in the "
      "queue go on), then give the same command again");
  return [all] { return all() ? std::optional(process::CancelRequest()) : std::nullopt; };
}

// "" where the shell has none of them.
std::string steering_text(const slurm::ClusterProfile& profile) {
  if (!profile.slurm()) return "";
  const std::vector<std::string> names = slurm::variables_with("SBATCH_", process::own_variables());
  return names.empty() ? ""
                       : fmt::format(
                             "not handed to sbatch: {} of your environment; the cluster "
                             "profile `{}` says what jobs ask for",
                             fmt::join(names, ", "), profile.name);
}

// Jobs that wait in the queue keep what they were submitted with.
class ChangedProfile {
 public:
  explicit ChangedProfile(const slurm::ClusterProfile& now) : now_(now) {}

  void add(const slurm::Submission& submission) {
    if (!now_.queued()) return;
    const std::vector<std::string> differing =
        slurm::profile_differences(slurm::profile_as_stated(submission, now_), now_);
    if (!differing.empty()) ++changes_[fmt::format("{}", fmt::join(differing, "; "))];
  }

  std::vector<std::string> texts() const {
    std::vector<std::string> texts;
    for (const auto& [text, jobs] : changes_) {
      texts.push_back(fmt::format(
          "{} in the queue with an older cluster profile ({}). They keep it. To submit them with "
          "the new one: run_sweep cancel FILE, then the same command again",
          job::counted(jobs, "job"), text));
    }
    return texts;
  }

 private:
  const slurm::ClusterProfile& now_;
  std::map<std::string, size_t> changes_;  // what differs -> jobs
};

void say_changed_profile(const slurm::Standing& standing, const slurm::ClusterProfile& profile,
                         const std::string& sweep) {
  ChangedProfile changed(profile);
  for (const auto& [hash, held] : standing.held) {
    if (!held.running) changed.add(standing.submissions.at(held.submission).submission);
  }
  for (const std::string& text : changed.texts()) complain(fmt::format("{}: {}", sweep, text));
}

void say_submitted(const job::Plan& plan, const slurm::ClusterProfile& profile,
                   const slurm::SlurmDriver& driver) {
  if (driver.submitted() == 0) return;
  complain(fmt::format("{}: {} submitted to {} as {}{} {}", plan.sweep.name,
                       job::counted(driver.submitted(), "job"), slurm::queue_name(profile),
                       profile.slurm() ? "array" : "job", driver.arrays().size() == 1 ? "" : "s",
                       fmt::join(driver.arrays(), ", ")));
}

void say_how_to_watch(const job::Plan& plan, const slurm::ClusterProfile& profile, size_t jobs) {
  if (jobs == 0) return;
  complain(fmt::format(
      "{}: {} with {}; run_sweep status FILE shows their progress, run_sweep cancel FILE cancels "
      "them. The same command again gathers finished jobs, with --wait until all are finished",
      plan.sweep.name, job::counted(jobs, "job"), slurm::queue_name(profile)));
}

// Of a rehearsal: what cannot be submitted at once.
std::string later_text(const slurm::ClusterProfile& profile, slurm::SlurmDriver& driver) {
  const size_t jobs = driver.waiting(), before = driver.arrays().size();
  if (jobs == 0) return "";
  const std::string counted = job::counted(jobs, "job");
  if (profile.slurm()) {
    return fmt::format("{} later, as others end (max_queued: {})\n", counted, profile.max_queued);
  }
  std::vector<std::string> reasons;
  if (driver.makers_awaited()) reasons.push_back("the jobs that make their files are done");
  if (profile.max_queued > 0) reasons.push_back("max_queued has room");
  driver.rehearse_later();
  return fmt::format("later, when {}: {} in {}\n{}", fmt::join(reasons, " and "), counted,
                     job::counted(driver.arrays().size() - before, "submission"), driver.scripts());
}

}  // namespace

void note_changed_profile(const fs::path& sweep_folder, const slurm::ClusterProfile& profile,
                          slurm::ClusterView& view) {
  ChangedProfile changed(profile);
  std::vector<Problem> told_already;
  for (const auto& known : slurm::read_submissions(sweep_folder, told_already)) {
    if (!known.submission.open()) continue;
    for (const auto& task : known.submission.tasks) {
      for (const std::string& hash : task) {
        const auto job = view.jobs.find(hash);
        const bool waits =
            job != view.jobs.end() && job->second.what == slurm::Verdict::What::kWaiting;
        if (waits) changed.add(known.submission);
      }
    }
  }
  for (std::string& text : changed.texts()) view.notes.push_back(std::move(text));
}

fs::path shipped_profiles(const RunOptions& options) {
  return share_folder(options.programs) / "sweeps" / "clusters";
}

slurm::ProfileFolders profile_folders(const RunOptions& options) {
  return {options.config_folder, shipped_profiles(options), options.site_folder};
}

slurm::ClusterProfile profile_of(const RunOptions& options) {
  return slurm::find_profile(options.cluster, profile_folders(options));
}

job::PlanOptions plan_options(const RunOptions& options, const slurm::ClusterProfile& profile,
                              const SharedJson& smoke) {
  job::PlanOptions plan{options.results, smoke, options.force, options.retry_failed, {}};
  if (!profile.device.empty()) {
    plan.devices = on_cpu(profile) ? job::DeviceModels(profile.device)
                                   : job::DeviceModels(profile.device, job::this_cpu_model());
    plan.devices->stated = profile.device;
  } else if (profile.queued()) {
    // Times of this machine's device say nothing of those.
    plan.runs_on = fmt::format(
        "nodes of `{}` (device not stated: add `device: ...` to the profile)", profile.name);
  }
  return plan;
}

bool on_cpu(const slurm::ClusterProfile& profile) {
  if (profile.queued()) return profile.on_cpus();
  try {
    return job::visible_gpus().names.empty();
  } catch (const Error&) {  // told where jobs are to run
    return false;
  }
}

job::StandIn stand_in_on(const slurm::ClusterProfile& profile) {
  return on_cpu(profile) ? job::StandIn::kSmall : job::StandIn::kFull;
}

// Jobs may have ended between the look at the results and that at the queue: the plan has them as
// not done, and the queue does not have them any more.
void take_ended(job::Plan& plan, job::JobStore& store) {
  job::DonePoints now = store.find_done(plan.pending);
  // Earlier results of points that are computed again stand in the plan already.
  std::erase_if(now.by_key,
                [&](const auto& done) { return plan.done.by_key.contains(done.first); });
  if (now.by_key.empty()) return;
  plan.pending = job::with_points(
      plan.pending, [&](const job::JobPoint& point) { return !now.by_key.contains(point.key); });
  plan.done.by_key.merge(now.by_key);
}

slurm::Standing leave_to_slurm(job::Plan& plan, const slurm::ClusterProfile& profile,
                               const process::Lease& lease, job::JobStore& store) {
  slurm::Standing standing;
  try {
    slurm::Patience patience = patience_of(lease, profile);
    if (!profile.queued()) patience.limit = std::chrono::minutes(1);
    slurm::Queue queue(patience);
    standing =
        slurm::standing_of(plan.folder, queue, patience, complain_of, slurm::Looks::kUntilSure);
  } catch (const Error& failure) {
    if (profile.queued()) throw;
    standing = all_open(plan.folder);
    complain(
        fmt::format("{}\n  what {} says was submitted is taken to be in the queue still; if it is "
                    "not, remove that folder",
                    failure.what(), slurm::slurm_folder(plan.folder).string()));
  }
  require_read(standing);
  if (!standing.submissions.empty() || !standing.ended.empty()) take_ended(plan, store);
  say_what_ended(standing);
  say_changed_profile(standing, profile, plan.sweep.name);
  slurm::NotHeld left = slurm::not_held(plan.pending, standing, plan.jobs_folder());
  plan.pending = std::move(left.jobs);
  if (!profile.queued()) {  // files that are made there are not here yet
    plan.pending = job::filtered(plan.pending, [&](const job::Job& job) {
      return std::none_of(job.after.begin(), job.after.end(),
                          [&](const std::string& key) { return left.keys.contains(key); });
    });
  }
  if (left.points > 0) {
    complain(fmt::format("{}: {} left to {}, which has {}", plan.sweep.name,
                         job::counted(left.points, "point"), queue_of(standing),
                         job::counted(standing.held.size(), "job")));
  }
  return standing;
}

job::Task task_of(const job::Plan& plan, std::shared_ptr<const job::Job> job,
                  const ExperimentSchemas& schemas) {
  job::Task task;
  task.label = job::job_label(plan, *job);
  task.timed = job::schema_of(schemas, job->experiment).timed;
  task.job = std::move(job);
  return task;
}

LoopOptions loop_options(const job::Plan& plan, const process::Lease& lease,
                         job::Estimator& estimator, LivePage& page) {
  LoopOptions loop;
  loop.check = [&lease] { lease.check(); };
  loop.done = [&](const job::Job& job, double seconds) {
    estimator.learn_result(job, seconds, folder_of(plan, job));
    page.job_ended();
  };
  loop.page = [&page](bool quiet) { return page.look(quiet); };
  return loop;
}

SlurmRan run_on_slurm(const job::Plan& plan, const slurm::Standing& standing,
                      const ExperimentSchemas& schemas, const RunOptions& options,
                      const slurm::ClusterProfile& profile, const process::Lease& lease,
                      job::Estimator& estimator, LivePage& page) {
  slurm::SlurmOptions slurm = slurm_options(plan, options, profile);
  slurm.patience = patience_of(lease, profile);
  if (const std::string text = steering_text(profile); !text.empty() && !plan.pending.empty()) {
    complain(text);
  }
  if (!plan.pending.empty()) {
    require_fitting_example(profile, options, slurm.patience);
    slurm.programs = slurm::keep_programs(slurm.programs, fs::absolute(plan.cache()) / "programs");
  }
  std::optional<process::HeldSignals> signals;  // while it waits
  LoopOptions on = loop_options(plan, lease, estimator, page);
  on.wait = [&](std::chrono::milliseconds time) { return signals->wait(time); };
  on.cancelled = cancelled(plan, profile);
  slurm::SlurmDriver driver(slurm);
  const size_t most = standing.held.size() + plan.pending.size();
  job::Progress progress(stderr, ::isatty(STDERR_FILENO) != 0, most, static_cast<double>(most));
  Loop loop(on, driver, progress);
  SlurmRan ran;
  const size_t held = adopt(plan, standing, schemas, estimator, driver, loop);
  for (size_t i = 0; i < plan.pending.size(); ++i) {
    loop.add(task_on_slurm(plan, plan.pending.shared(i), schemas, estimator));
  }
  loop.submit();
  say_submitted(plan, profile, driver);
  ran.jobs = driver.submitted() + held;
  if (driver.waiting() > 0) {
    complain(fmt::format("{}: {} not submitted yet, since {}; --wait submits them as others end",
                         plan.sweep.name, job::counted(driver.waiting(), "job"),
                         profile.slurm()
                             ? "max_queued or Slurm has no room for more"
                             : "max_queued or the queue has no room for more, or since they "
                               "read files that others make"));
  }
  if (!options.wait) {
    say_how_to_watch(plan, profile, ran.jobs);
    ran.ran = loop.ran();
    return ran;
  }
  signals.emplace();
  ran.ran = loop.run();
  if (ran.ran.interrupted) {
    progress.message(
        "no longer waiting; what is in the queue goes on. The same command waits again, run_sweep "
        "cancel FILE cancels the jobs");
  }
  return ran;
}

std::string dry_run_on_slurm(const job::Plan& plan, const ExperimentSchemas& schemas,
                             const RunOptions& options, const slurm::ClusterProfile& profile,
                             job::Estimator& estimator) {
  const slurm::Standing open = all_open(plan.folder);
  const slurm::NotHeld left = slurm::not_held(plan.pending, open, plan.jobs_folder());
  std::string text;
  if (left.points > 0) {
    text += fmt::format("{} of these are in what was submitted before\n",
                        job::counted(left.points, "point"));
  }
  if (left.jobs.empty()) return text;
  if (const std::string steering = steering_text(profile); !steering.empty()) {
    text += steering + "\n";
  }
  text += fmt::format("would be {} (profile {}):\n",
                      profile.slurm() ? "given to sbatch" : "submitted with these commands",
                      profile_text(profile, options));
  slurm::SlurmOptions slurm = slurm_options(plan, options, profile);
  slurm.rehearsal = true;
  slurm::SlurmDriver driver(slurm);
  job::Progress progress(stderr, false, left.jobs.size(), 0);
  Loop loop({}, driver, progress);
  // Slurm keeps the order of jobs itself; elsewhere a job waits here for those it reads from.
  if (profile.by_command()) adopt(plan, open, schemas, estimator, driver, loop);
  for (size_t i = 0; i < left.jobs.size(); ++i) {
    loop.add(task_on_slurm(plan, left.jobs.shared(i), schemas, estimator));
  }
  loop.submit();
  text += driver.scripts();
  return text + later_text(profile, driver);
}

bool cancel_on_slurm(const fs::path& sweep_folder, const std::string& name,
                     const RunOptions& options, const std::optional<process::LeaseHolder>& silent) {
  const slurm::Standing open = all_open(sweep_folder);
  if (open.submissions.empty()) {
    require_read(open);
    return false;
  }
  process::Lease lease(sweep_folder, options.command, complain, {}, silent);
  const slurm::Patience patience = patience_of(lease, {});
  slurm::Queue queue(patience);
  slurm::Standing standing = slurm::standing_of(sweep_folder, queue, patience, complain_of);
  if (standing.submissions.empty()) return false;
  const std::string owner = queue_of(standing);
  slurm::take_back(standing, patience);
  complain(fmt::format("{}: {} taken back from {}; running ones end now", name,
                       job::counted(standing.held.size(), "job"), owner));
  const auto poll =
      std::min(slurm::poll_of(slurm::ClusterProfile{}), std::chrono::milliseconds(3000));
  const auto end = std::chrono::steady_clock::now() + kGone;
  while (!standing.submissions.empty() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(poll);
    lease.check();
    standing = slurm::standing_of(sweep_folder, queue, patience, complain_of);
  }
  complain(fmt::format("{}: {}", name,
                       standing.submissions.empty()
                           ? "stopped; finished jobs are kept"
                           : "some tasks have not ended yet; the queue shows them"));
  return true;
}

}  // namespace tarflow::driver
