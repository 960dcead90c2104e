#include "framework/driver/look.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <thread>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/driver/slurm_run.h"
#include "framework/driver/status.h"
#include "framework/job/owner.h"
#include "framework/job/smoke.h"
#include "framework/local/pool.h"
#include "framework/process/cancel.h"
#include "framework/process/host.h"
#include "framework/process/lease.h"
#include "framework/slurm/cancel.h"
#include "framework/slurm/status.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kWatch{2};
constexpr std::chrono::seconds kCancelPatience{120};
constexpr std::chrono::seconds kStatusPatience{10};  // with a Slurm that does not answer
constexpr std::chrono::minutes kWatchPatience{2};

void complain(const std::string& text) { std::fputs((text + "\n").c_str(), stderr); }

// Of the sweep in one call of run_sweep.
class Looker {
 public:
  Looker(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options)
      : sweep_(std::move(sweep)),
        schemas_(schemas),
        options_(options),
        profile_(profile_of(options)),
        name_(options.smoke ? job::smoke_name(sweep_.name) : sweep_.name),
        folder_(options.results / name_) {}

  int act() {
    if (options_.smoke && !take_smoke()) return kNotAllDone;
    if (!options_.adopt) {
      job::require_owner(
          folder_, sweep_.file, [&] { return job::points_digest(plan_of(sweep_).all); },
          options_.action == Action::kClean);
    }
    switch (options_.action) {
      case Action::kDryRun:
        return dry_run();
      case Action::kListJobs:
        return print(job::job_list(plan()));
      case Action::kStatus:
        return status();
      case Action::kWatch:
        return watch();
      case Action::kLog:
        return print(read_file(find_log(plan(), options_.point)));
      case Action::kCancel:
        return cancel();
      case Action::kClean:
        return clean();
      case Action::kRun:
        break;
    }
    return kBadInput;
  }

 private:
  // The smoke run of the sweep in the place of the sweep. False, which it says, where none was
  // started and the action is about one.
  bool take_smoke() {
    const bool about_one = options_.action == Action::kCancel || options_.action == Action::kLog ||
                           options_.action == Action::kClean;
    if (about_one && !fs::exists(folder_)) {
      complain(fmt::format("{}: no smoke run of this sweep was started here", name_));
      return false;
    }
    job::Smoke smoke = job::make_smoke(sweep_, schemas_, folder_, stand_in_on(profile_));
    if (options_.action == Action::kDryRun) print(job::smoke_banner(smoke, options_.results));
    sweep_ = std::move(smoke.sweep);
    smoke_note_ = std::move(smoke.replaced);
    return true;
  }

  static int print(const std::string& text) {
    fmt::print("{}", text);
    std::fflush(stdout);
    return kAllDone;
  }

  job::Plan plan() { return plan_of(std::move(sweep_)); }

  job::Plan plan_of(sweep::Sweep sweep) const {
    job::JobStore store(folder_);
    job::Plan plan = job::make_plan(std::move(sweep), schemas_,
                                    plan_options(options_, profile_, smoke_note_), store, complain);
    store.save();
    for (const job::BadResult& bad : plan.done.damaged) {
      Problem problem = bad.problem;
      problem.repair = "the next run keeps it under another name and computes its points again";
      complain(problem.str());
    }
    for (const job::BadResult& bad : plan.done.kept) complain(bad.problem.str());
    return plan;
  }

  int dry_run() {
    const job::Plan made = plan();
    job::Estimator estimator(schemas_, made.device, made.cache());
    if (!made.pending.empty() && !estimator.knows_device()) {
      estimator.set_device_rate(
          job::measured_rate(options_.programs / "run_job", made.device, made.cache()));
    }
    print(describe(made, estimator));
    if (options_.smoke && !made.pending.empty()) {
      print(fmt::format("this smoke run {}\n",
                        job::smoke_time_text(made.pending, schemas_, on_cpu(profile_))));
    }
    if (profile_.slurm()) {
      return print(dry_run_on_slurm(made, schemas_, options_, profile_, estimator));
    }
    const local::Machine machine = local::this_machine();
    for (const std::string& note : machine.notes) complain(note);
    for (const Problem& problem : local::beyond(machine, made.pending)) complain(problem.str());
    return kAllDone;
  }

  // Slurm is waited for only shortly: records tell something without it as well.
  static slurm::Queue queue_for(std::chrono::milliseconds patience,
                                std::chrono::milliseconds second_look) {
    slurm::Patience short_one;
    short_one.limit = patience;
    short_one.second_look = second_look;
    short_one.notice = complain;
    return slurm::Queue(short_one);
  }

  int status() {
    // One look: nothing is submitted or given up because of it.
    slurm::Queue queue = queue_for(kStatusPatience, std::chrono::milliseconds(0));
    // Before the plan, which sees what is done meanwhile.
    const slurm::ClusterView cluster = slurm::cluster_view(folder_, queue);
    return print(status_text(plan(), cluster));
  }

  // Until nobody is at work any more, here or on a cluster.
  int watch() const {
    const bool terminal = ::isatty(STDOUT_FILENO) != 0;
    slurm::Queue queue = queue_for(kWatchPatience, slurm::second_look_of(profile_));
    for (;;) {
      const slurm::ClusterView cluster = slurm::cluster_view(folder_, queue);
      const job::Plan made = plan_of(sweep_);
      const std::optional<process::LeaseHolder> holder = process::read_lease(made.folder);
      print(fmt::format("{}{}{}", terminal ? "\033[H\033[J" : "", status_text(made, cluster),
                        terminal ? "" : "\n"));
      if ((!holder || process::life_of(*holder) == process::Life::kDead) && !cluster.open)
        return kAllDone;
      std::this_thread::sleep_for(std::max<std::chrono::milliseconds>(kWatch, cluster.poll));
    }
  }

  // A run_sweep first, lest it submits again what is taken back.
  int cancel() const {
    if (!options_.only.empty()) return cancel_some();
    const std::optional<process::LeaseHolder> holder = process::read_lease(folder_);
    const bool alive = holder && process::life_of(*holder) != process::Life::kDead;
    const int stopped = alive ? cancel_driver(*holder) : kAllDone;
    if (stopped != kAllDone) return stopped;
    if (cancel_on_slurm(folder_, name_, options_) || alive) return kAllDone;
    complain(fmt::format("{}: no run_sweep is running, nothing to cancel", name_));
    return kNotAllDone;
  }

  // The jobs that have no points but those of --only, here and on a cluster.
  int cancel_some() const {
    process::CancelRequest request{fmt::format("{}-{}", process::host_name(), ::getpid()), {}};
    for (const sweep::Point& point : sweep_.points) {
      if (point.selected) request.points.insert(point.id);
    }
    const std::optional<process::LeaseHolder> holder = process::read_lease(folder_);
    slurm::TakenBack taken;
    if (holder && process::life_of(*holder) != process::Life::kDead) {
      if (!ask_driver(*holder, request, taken)) return kNotAllDone;
    } else {
      taken = slurm::cancel_some_on_slurm(folder_, name_, request.points, options_.command);
    }
    for (const std::string& reason : taken.refused) complain(fmt::format("{}: {}", name_, reason));
    if (taken.jobs > 0) {
      complain(fmt::format("{}: {} cancelled; finished jobs are kept", name_,
                           job::counted(taken.jobs, "job")));
    } else if (taken.refused.empty()) {
      complain(fmt::format("{}: no run_sweep runs these points, nothing to cancel", name_));
    }
    return taken.jobs > 0 && taken.refused.empty() ? kAllDone : kNotAllDone;
  }

  // Whether the run_sweep at work answered.
  bool ask_driver(const process::LeaseHolder& holder, const process::CancelRequest& request,
                  slurm::TakenBack& taken) const {
    process::ask_to_cancel(folder_, request);
    complain(
        fmt::format("{}: asked {} to stop these points; running jobs keep what they have "
                    "reached",
                    name_, holder.str()));
    std::optional<process::CancelAnswer> answer;
    const bool answered = wait_for([&] {
      answer = process::cancel_answer(folder_, request.id);
      return answer || gone(holder);
    });
    if (!answered || !answer) {
      complain(fmt::format("{}: {}; --status shows how far it is", name_,
                           answered ? "it has ended meanwhile" : "it has not answered yet"));
      return false;
    }
    taken.jobs = answer->stopped + answer->dropped;
    for (const std::string& hash : answer->shared)
      taken.refused.push_back(slurm::shared_reason(hash));
    if (!answer->refused.empty()) taken.refused.push_back(answer->refused);
    if (slurm::named_with_slurm(folder_, request.points) > 0) {
      taken.refused.push_back(
          fmt::format("what Slurm has of these points goes on while {} is running; end that, and "
                      "give the same command again",
                      holder.str()));
    }
    return true;
  }

  bool gone(const process::LeaseHolder& holder) const {
    const std::optional<process::LeaseHolder> now = process::read_lease(folder_);
    return !now || now->nonce != holder.nonce || process::life_of(*now) == process::Life::kDead;
  }

  // Whether it came to be so in time.
  template <typename Condition>
  static bool wait_for(const Condition& is_so) {
    const auto end = std::chrono::steady_clock::now() + kCancelPatience;
    while (std::chrono::steady_clock::now() < end) {
      if (is_so()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return false;
  }

  int cancel_driver(const process::LeaseHolder& holder) const {
    process::ask_to_cancel(folder_, {});
    complain(fmt::format("{}: asked {} to stop; running jobs write their progress", name_,
                         holder.str()));
    const bool stopped = wait_for([&] { return gone(holder); });
    complain(
        fmt::format("{}: {}", name_,
                    stopped ? "stopped" : "it has not stopped yet; --status shows how far it is"));
    return stopped ? kAllDone : kNotAllDone;
  }

  int clean() {
    if (!fs::exists(folder_)) return print(fmt::format("{}: nothing to clean\n", name_));
    const process::Lease lease(folder_, options_.command, complain);
    const std::set<std::string> held = slurm::jobs_with_slurm(folder_);
    const job::Plan made = plan();
    std::vector<Orphan> orphans = find_orphans(made, held);
    for (const Orphan& orphan : orphans) {
      if (!orphan.spared.empty()) {
        fmt::print("kept: {}  {}  {} ({})\n", orphan.folder.string(), job::bytes_text(orphan.bytes),
                   orphan.what, orphan.spared);
      }
    }
    std::erase_if(orphans, [](const Orphan& orphan) { return !orphan.spared.empty(); });
    if (orphans.empty()) return print(fmt::format("{}: nothing to clean\n", name_));
    double bytes = 0;
    for (const Orphan& orphan : orphans) {
      bytes += orphan.bytes;
      fmt::print("  {}  {}  {}\n", orphan.folder.string(), job::bytes_text(orphan.bytes),
                 orphan.what);
    }
    fmt::print("{}: {} of no point of the sweep as it is now, {} in all\n", name_,
               job::counted(orphans.size(), "job folder"), job::bytes_text(bytes));
    if (!options_.yes && !confirmed()) {
      complain("nothing was deleted");
      return kNotAllDone;
    }
    return remove(orphans, bytes);
  }

  static int remove(const std::vector<Orphan>& orphans, double bytes) {
    size_t left = 0;
    for (const Orphan& orphan : orphans) {
      std::error_code failed;
      fs::remove_all(orphan.folder, failed);
      if (!failed) continue;
      ++left;
      complain(fmt::format("cannot delete {}: {}", orphan.folder.string(), failed.message()));
    }
    if (left == 0) return print(fmt::format("deleted, {} freed\n", job::bytes_text(bytes)));
    return kNotAllDone;
  }

  static bool confirmed() {
    if (::isatty(STDIN_FILENO) == 0) {
      complain("this deletes results; add --yes where nobody can be asked");
      return false;
    }
    fmt::print("delete them? [y/N] ");
    std::fflush(stdout);
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
  }

  sweep::Sweep sweep_;  // moved from where it is used once
  const ExperimentSchemas& schemas_;
  const RunOptions& options_;
  slurm::ClusterProfile profile_;
  std::string name_;
  fs::path folder_;
  Json smoke_note_;
};

}  // namespace

int look_at(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options) {
  return Looker(std::move(sweep), schemas, options).act();
}

}  // namespace tarflow::driver
