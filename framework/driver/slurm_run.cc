#include "framework/driver/slurm_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <thread>

#include "framework/core/error.h"
#include "framework/core/share.h"
#include "framework/job/device.h"
#include "framework/job/job_folder.h"
#include "framework/process/cancel.h"
#include "framework/slurm/check.h"
#include "framework/slurm/cluster_profile_file.h"
#include "framework/slurm/kept_programs.h"
#include "framework/slurm/status.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

constexpr size_t kSaid = 10;                // ended tasks that are spoken of
constexpr std::chrono::seconds kGone{120};  // what cancelled tasks may take to end

void complain(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

void complain_of(const Problem& problem) { complain(problem.str()); }

slurm::Patience patience_of(process::Lease& lease, const slurm::ClusterProfile& profile) {
  slurm::Patience patience;
  patience.second_look = slurm::second_look_of(profile);
  patience.notice = complain;
  patience.beat = [&lease] { lease.beat(); };
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

// Each was said already. Slurm may have the jobs of what cannot be read.
void require_read(const slurm::Standing& standing) {
  if (!standing.unread) return;
  throw Error("a submission of this sweep cannot be read, so it is not known what Slurm has of it",
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
      slurm::note_verdict(known.folder, task, verdict);
      if (++said > kSaid) continue;
      complain(
          fmt::format("task {}_{} ended without all of its results: {}{}", known.submission.job_id,
                      task, verdict.reason,
                      verdict.log.empty() ? "" : fmt::format("; see {}", verdict.log.string())));
    }
  }
  if (said > kSaid) complain(fmt::format("... and {} more tasks", said - kSaid));
}

slurm::SlurmOptions slurm_options(const job::Plan& plan, const RunOptions& options,
                                  const slurm::ClusterProfile& profile) {
  slurm::SlurmOptions slurm;
  slurm.profile = profile;
  slurm.programs = fs::absolute(options.programs);
  slurm.poll = slurm::poll_of(profile);
  slurm.say = complain;
  slurm.cancelled = process::cancel_of_all_asked(
      plan.folder, slurm.poll,
      "run_sweep --wait is running and would submit these points again: end it (what Slurm has "
      "goes on), then give the same command again");
  return slurm;
}

// "" where the shell has none of them.
std::string steering_text(const slurm::ClusterProfile& profile) {
  const std::vector<std::string> names = slurm::variables_with("SBATCH_", process::own_variables());
  return names.empty() ? ""
                       : fmt::format(
                             "not handed to sbatch: {} of your environment; the cluster "
                             "profile `{}` says what jobs ask for",
                             fmt::join(names, ", "), profile.name);
}

std::string user_name() {
  const passwd* user = ::getpwuid(::getuid());
  return user ? user->pw_name : std::to_string(::getuid());
}

std::string example_text(const slurm::ClusterProfile& profile, const std::string& example) {
  return fmt::format(
      "profile {} is the shipped example `{}` as it is: partition `{}`{} need not be yours",
      profile.name, example, profile.partition,
      profile.account.empty() ? "" : fmt::format(" and account `{}`", profile.account));
}

// A shipped example is submitted with only where the cluster has what it names.
void require_fitting_example(const slurm::ClusterProfile& profile, const RunOptions& options,
                             const slurm::Patience& patience) {
  const std::string example = slurm::example_of(profile, shipped_profiles(options));
  if (example.empty()) return;
  const std::vector<slurm::Finding> found = slurm::check_profile(profile, user_name(), patience);
  if (!slurm::any_bad(found)) return complain("note: " + example_text(profile, example));
  throw Error(fmt::format("{}\n{}", example_text(profile, example), slurm::findings_text(found)),
              "copy it to ~/.config/tarflow/cluster.yaml and correct what is WRONG; --check asks "
              "again without submitting anything");
}

// Jobs that wait in the queue keep what they were submitted with.
void say_changed_profile(const slurm::Standing& standing, const slurm::ClusterProfile& profile,
                         const std::string& sweep) {
  if (!profile.slurm()) return;
  const Json now = to_json(profile);
  std::map<std::string, size_t> changes;  // text -> jobs
  for (const auto& [hash, held] : standing.held) {
    if (held.running) continue;
    const Json then = to_json(standing.submissions.at(held.submission).submission.profile);
    std::vector<std::string> differing;
    for (const auto& [key, value] : now.items()) {
      if (key == "name" || key == "poll" || then.value(key, Json()) == value) continue;
      differing.push_back(
          fmt::format("{} {}, now {}", key, then.value(key, Json()).dump(), value.dump()));
    }
    if (!differing.empty()) ++changes[fmt::format("{}", fmt::join(differing, "; "))];
  }
  for (const auto& [text, jobs] : changes) {
    complain(fmt::format(
        "{}: {} in the queue with an older cluster profile ({}). They keep it; to submit them with "
        "the new one: --cancel, then the same command again",
        sweep, job::counted(jobs, "job"), text));
  }
}

void say_submitted(const job::Plan& plan, const slurm::SlurmRan& ran) {
  if (ran.submitted > 0) {
    complain(fmt::format("{}: {} submitted to Slurm as array{} {}", plan.sweep.name,
                         job::counted(ran.submitted, "job"), ran.arrays.size() == 1 ? "" : "s",
                         fmt::join(ran.arrays, ", ")));
  }
}

void say_how_to_watch(const job::Plan& plan, const slurm::SlurmRan& ran) {
  if (ran.submitted + ran.held == 0) return;
  complain(fmt::format(
      "{}: {} with Slurm; --status shows how far they are, --cancel takes them back. The same "
      "command again gathers what is done, with --wait until all is",
      plan.sweep.name, job::counted(ran.submitted + ran.held, "job")));
}

}  // namespace

fs::path shipped_profiles(const RunOptions& options) {
  return share_folder(options.programs) / "sweeps" / "clusters";
}

int check_cluster(const RunOptions& options) {
  const slurm::ClusterProfile profile = profile_of(options);
  if (!profile.slurm()) {
    throw Error("--check asks a cluster, and no profile of one is chosen",
                "add --cluster NAME, or write ~/.config/tarflow/cluster.yaml");
  }
  slurm::Patience patience;
  patience.limit = std::chrono::minutes(1);
  patience.notice = complain;
  std::vector<slurm::Finding> found = slurm::check_profile(profile, user_name(), patience);
  found.push_back(slurm::test_submission(profile, patience));
  for (slurm::Finding& finding : slurm::check_shared_folder(options.results))
    found.push_back(std::move(finding));
  if (const std::string example = slurm::example_of(profile, shipped_profiles(options));
      !example.empty())
    found.push_back({slurm::Finding::Kind::kUnknown, example_text(profile, example), ""});
  fmt::print("cluster profile {}\n{}", profile.name, slurm::findings_text(found));
  return slurm::any_bad(found) ? kNotAllDone : kAllDone;
}

slurm::ClusterProfile profile_of(const RunOptions& options) {
  return slurm::find_profile(
      options.cluster, {options.config_folder, shipped_profiles(options), options.site_folder});
}

job::PlanOptions plan_options(const RunOptions& options, const slurm::ClusterProfile& profile,
                              const SharedJson& smoke) {
  job::PlanOptions plan{options.results, smoke, options.force, options.retry_failed, {}};
  if (!profile.device.empty()) {
    const bool cpu = profile.gpu_request == slurm::GpuRequest::kNone;
    plan.devices = cpu ? job::DeviceModels(profile.device)
                       : job::DeviceModels(profile.device, job::this_cpu_model());
  }
  return plan;
}

bool on_cpu(const slurm::ClusterProfile& profile) {
  if (profile.slurm()) return profile.gpu_request == slurm::GpuRequest::kNone;
  try {
    return job::visible_gpus().names.empty();
  } catch (const Error&) {  // told where jobs are to run
    return false;
  }
}

job::StandIn stand_in_on(const slurm::ClusterProfile& profile) {
  return on_cpu(profile) ? job::StandIn::kSmall : job::StandIn::kFull;
}

slurm::Standing leave_to_slurm(job::Plan& plan, const slurm::ClusterProfile& profile,
                               process::Lease& lease) {
  slurm::Standing standing;
  try {
    slurm::Patience patience = patience_of(lease, profile);
    if (!profile.slurm()) patience.limit = std::chrono::minutes(1);
    slurm::Queue queue(patience);
    standing =
        slurm::standing_of(plan.folder, queue, patience, complain_of, slurm::Looks::kUntilSure);
  } catch (const Error& failure) {
    if (profile.slurm()) throw;
    standing = all_open(plan.folder);
    complain(
        fmt::format("{}\n  what {} was given to Slurm is taken to be there still; if it is "
                    "not, remove that folder",
                    failure.what(), slurm::slurm_folder(plan.folder).string()));
  }
  require_read(standing);
  say_what_ended(standing);
  say_changed_profile(standing, profile, plan.sweep.name);
  slurm::NotHeld left = slurm::not_held(plan.pending, standing, plan.jobs_folder());
  plan.pending = std::move(left.jobs);
  if (!profile.slurm()) {  // files that are made there are not here yet
    plan.pending = job::filtered(plan.pending, [&](const job::Job& job) {
      return std::none_of(job.after.begin(), job.after.end(),
                          [&](const std::string& key) { return left.keys.contains(key); });
    });
  }
  if (left.points > 0) {
    complain(fmt::format("{}: {} left to Slurm, which has {}", plan.sweep.name,
                         job::counted(left.points, "point"),
                         job::counted(standing.held.size(), "job")));
  }
  return standing;
}

slurm::SlurmRan run_on_slurm(const job::Plan& plan, const slurm::Standing& standing,
                             const ExperimentSchemas& schemas, const RunOptions& options,
                             const slurm::ClusterProfile& profile, process::Lease& lease,
                             job::Estimator& estimator, const std::function<void()>& job_ended) {
  slurm::SlurmOptions slurm = slurm_options(plan, options, profile);
  slurm.beat = [&lease] { lease.beat(); };
  slurm.done = [&](const job::Job& job, double seconds) {
    estimator.learn_result(job, seconds, job::JobFolder{plan.jobs_folder() / job.hash});
    job_ended();
  };
  if (const std::string text = steering_text(profile); !text.empty() && !plan.pending.empty()) {
    complain(text);
  }
  if (!plan.pending.empty()) {
    require_fitting_example(profile, options, patience_of(lease, profile));
    slurm.programs = slurm::keep_programs(slurm.programs, fs::absolute(plan.cache()) / "programs");
  }
  slurm::SlurmDriver driver(slurm, plan, schemas, estimator);
  slurm::SlurmRan ran = driver.submit(plan.pending, standing);
  say_submitted(plan, ran);
  if (!options.wait) {
    say_how_to_watch(plan, ran);
    return ran;
  }
  const process::HeldSignals signals;
  const auto jobs = static_cast<double>(ran.submitted + ran.held);
  job::Progress progress(stderr, ::isatty(STDERR_FILENO) != 0, ran.submitted + ran.held, jobs);
  ran = driver.wait(signals, progress);
  if (ran.interrupted) {
    progress.message(
        "no longer waiting; what Slurm has goes on. The same command waits again, "
        "--cancel takes the jobs back");
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
    text += fmt::format("{} of these are in what was given to Slurm before\n",
                        job::counted(left.points, "point"));
  }
  if (left.jobs.empty()) return text;
  if (const std::string steering = steering_text(profile); !steering.empty()) {
    text += steering + "\n";
  }
  if (const std::string example = slurm::example_of(profile, shipped_profiles(options));
      !example.empty())
    text += fmt::format("{}; --check asks the cluster\n", example_text(profile, example));
  text += fmt::format("would be given to sbatch (profile {}):\n", profile.name);
  slurm::SlurmDriver driver(slurm_options(plan, options, profile), plan, schemas, estimator);
  return text + driver.dry_run(left.jobs);
}

bool cancel_on_slurm(const fs::path& sweep_folder, const std::string& name,
                     const RunOptions& options) {
  const slurm::Standing open = all_open(sweep_folder);
  if (open.submissions.empty()) {
    require_read(open);
    return false;
  }
  process::Lease lease(sweep_folder, options.command, complain);
  const slurm::Patience patience = patience_of(lease, {});
  slurm::Queue queue(patience);
  slurm::Standing standing = slurm::standing_of(sweep_folder, queue, patience, complain_of);
  if (standing.submissions.empty()) return false;
  slurm::take_back(standing, patience);
  complain(fmt::format("{}: {} taken back from Slurm; running ones end now", name,
                       job::counted(standing.held.size(), "job")));
  const auto poll =
      std::min(slurm::poll_of(slurm::ClusterProfile{}), std::chrono::milliseconds(3000));
  const auto end = std::chrono::steady_clock::now() + kGone;
  while (!standing.submissions.empty() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(poll);
    lease.beat();
    standing = slurm::standing_of(sweep_folder, queue, patience, complain_of);
  }
  complain(fmt::format("{}: {}", name,
                       standing.submissions.empty()
                           ? "stopped; finished jobs are kept"
                           : "some tasks have not ended yet; squeue shows them"));
  return true;
}

}  // namespace tarflow::driver
