#include "framework/schedule/look.h"
#include "framework/schedule/cancel.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <thread>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/schedule/lease.h"
#include "framework/schedule/pool.h"
#include "framework/schedule/slurm_run.h"
#include "framework/schedule/slurm_status.h"
#include "framework/schedule/status.h"

namespace tarflow::schedule {
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
        name_(sweep_.name),
        folder_(options.results / name_) {}

  int act() {
    switch (options_.action) {
      case Action::kDryRun:
        return dry_run();
      case Action::kListJobs:
        return print(job_list(plan()));
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
  static int print(const std::string& text) {
    fmt::print("{}", text);
    std::fflush(stdout);
    return kAllDone;
  }

  Plan plan() { return plan_of(std::move(sweep_)); }

  Plan plan_of(sweep::Sweep sweep) const {
    JobIndex index(folder_);
    Plan plan = make_plan(std::move(sweep), schemas_, plan_options(options_, profile_, {}), index,
                          complain);
    index.save();
    for (const Problem& problem : plan.done.problems) complain(problem.str());
    return plan;
  }

  int dry_run() {
    const Plan made = plan();
    Estimator estimator(schemas_, made.device, made.cache());
    if (!made.pending.empty() && !estimator.knows_device()) {
      estimator.set_device_rate(
          measured_rate(options_.programs / "run_job", made.device, made.cache()));
    }
    print(describe(made, estimator));
    if (profile_.slurm()) {
      return print(dry_run_on_slurm(made, schemas_, options_, profile_, estimator));
    }
    const Machine machine = this_machine();
    for (const std::string& note : machine.notes) complain(note);
    for (const Problem& problem : beyond(machine, made.pending)) complain(problem.str());
    return kAllDone;
  }

  // Slurm is waited for only shortly: records tell something without it as well.
  static Queue queue_for(std::chrono::milliseconds patience,
                         std::chrono::milliseconds second_look) {
    Patience short_one;
    short_one.limit = patience;
    short_one.second_look = second_look;
    short_one.notice = complain;
    return Queue(short_one);
  }

  int status() {
    // One look: nothing is submitted or given up because of it.
    Queue queue = queue_for(kStatusPatience, std::chrono::milliseconds(0));
    // Before the plan, which sees what is done meanwhile.
    const ClusterView cluster = cluster_view(folder_, queue);
    return print(status_text(plan(), cluster));
  }

  // Until nobody is at work any more, here or on a cluster.
  int watch() const {
    const bool terminal = ::isatty(STDOUT_FILENO) != 0;
    Queue queue = queue_for(kWatchPatience, second_look_of(profile_));
    for (;;) {
      const ClusterView cluster = cluster_view(folder_, queue);
      const Plan made = plan_of(sweep_);
      const std::optional<LeaseHolder> holder = read_lease(made.folder);
      print(fmt::format("{}{}{}", terminal ? "\033[H\033[J" : "", status_text(made, cluster),
                        terminal ? "" : "\n"));
      if ((!holder || life_of(*holder) == Life::kDead) && !cluster.open) return kAllDone;
      std::this_thread::sleep_for(std::max<std::chrono::milliseconds>(kWatch, cluster.poll));
    }
  }

  // A run_sweep first, lest it submits again what is taken back.
  int cancel() const {
    const std::optional<LeaseHolder> holder = read_lease(folder_);
    const bool alive = holder && life_of(*holder) != Life::kDead;
    const int stopped = alive ? cancel_driver(*holder) : kAllDone;
    if (stopped != kAllDone) return stopped;
    if (cancel_on_slurm(folder_, name_, options_) || alive) return kAllDone;
    complain(fmt::format("{}: nobody is at work, nothing to cancel", name_));
    return kNotAllDone;
  }

  int cancel_driver(const LeaseHolder& holder) const {
    write_file(cancel_file(folder_), "requested by run_sweep --cancel\n");
    complain(fmt::format("{}: asked {} to stop; running jobs keep what they have reached", name_,
                         holder.str()));
    const auto end = std::chrono::steady_clock::now() + kCancelPatience;
    while (std::chrono::steady_clock::now() < end) {
      const std::optional<LeaseHolder> now = read_lease(folder_);
      if (!now || now->nonce != holder.nonce || life_of(*now) == Life::kDead) {
        complain(fmt::format("{}: stopped", name_));
        return kAllDone;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    complain(fmt::format("{}: it has not stopped yet; --status shows how far it is", name_));
    return kNotAllDone;
  }

  int clean() {
    if (!fs::exists(folder_)) return print(fmt::format("{}: nothing to clean\n", name_));
    const Lease lease(folder_, options_.command, complain);
    const std::vector<Orphan> orphans = find_orphans(plan());
    if (orphans.empty()) return print(fmt::format("{}: nothing to clean\n", name_));
    double bytes = 0;
    for (const Orphan& orphan : orphans) {
      bytes += orphan.bytes;
      fmt::print("  {}  {}  {}\n", orphan.folder.string(), bytes_text(orphan.bytes), orphan.what);
    }
    fmt::print("{}: {} of no point of the sweep as it is now, {} in all\n", name_,
               counted(orphans.size(), "job folder"), bytes_text(bytes));
    if (!options_.yes && !confirmed()) {
      complain("nothing was deleted");
      return kNotAllDone;
    }
    for (const Orphan& orphan : orphans) fs::remove_all(orphan.folder);
    return print(fmt::format("deleted, {} freed\n", bytes_text(bytes)));
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
  ClusterProfile profile_;
  std::string name_;
  fs::path folder_;
};

}  // namespace

int look_at(sweep::Sweep sweep, const ExperimentSchemas& schemas, const RunOptions& options) {
  return Looker(std::move(sweep), schemas, options).act();
}

}  // namespace tarflow::schedule
