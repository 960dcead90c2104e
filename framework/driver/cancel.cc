// run_sweep cancel: stops the run_sweep that is at work, and what a cluster has of the sweep.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "framework/driver/job_states.h"
#include "framework/driver/look.h"
#include "framework/driver/slurm_run.h"
#include "framework/process/cancel.h"
#include "framework/process/host.h"
#include "framework/process/lease.h"
#include "framework/slurm/cancel.h"

namespace tarflow::driver {
namespace {

constexpr std::chrono::seconds kPatience{120};

bool gone(const Look& look, const process::LeaseHolder& holder) {
  const std::optional<process::LeaseHolder> now = process::read_lease(look.folder());
  return !now || now->nonce != holder.nonce || process::life_of(*now) == process::Life::kDead;
}

// Whether it came to be so in time.
template <typename Condition>
bool wait_for(const Condition& is_so) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < end) {
    if (is_so()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return false;
}

int stop_driver(const Look& look, const process::LeaseHolder& holder) {
  process::ask_to_cancel(look.folder(), {});
  complain(fmt::format("{}: asked {} to stop; running jobs write their progress", look.name(),
                       holder.str()));
  const bool stopped = wait_for([&] { return gone(look, holder); });
  complain(fmt::format("{}: {}", look.name(),
                       stopped ? "stopped" : "it has not stopped yet; status shows how far it is"));
  return stopped ? kAllDone : kNotAllDone;
}

// A run_sweep first, lest it submits again what is taken back.
int cancel_all(const Look& look) {
  const std::optional<process::LeaseHolder> holder = at_work(look.folder());
  const int stopped = holder ? stop_driver(look, *holder) : kAllDone;
  if (stopped != kAllDone) return stopped;
  if (cancel_on_slurm(look.folder(), look.name(), look.options()) || holder) return kAllDone;
  complain(fmt::format("{}: no run_sweep is running, nothing to cancel", look.name()));
  return kNotAllDone;
}

// Whether the run_sweep at work answered.
bool ask_driver(const Look& look, const process::LeaseHolder& holder,
                const process::CancelRequest& request, slurm::TakenBack& taken) {
  process::ask_to_cancel(look.folder(), request);
  complain(
      fmt::format("{}: asked {} to stop these points; running jobs keep what they have "
                  "reached",
                  look.name(), holder.str()));
  std::optional<process::CancelAnswer> answer;
  const bool answered = wait_for([&] {
    answer = process::cancel_answer(look.folder(), request.id);
    return answer || gone(look, holder);
  });
  if (!answered || !answer) {
    complain(fmt::format("{}: {}; status shows how far it is", look.name(),
                         answered ? "it has ended meanwhile" : "it has not answered yet"));
    return false;
  }
  taken.jobs = answer->stopped + answer->dropped;
  for (const std::string& hash : answer->shared)
    taken.refused.push_back(slurm::shared_reason(hash));
  if (!answer->refused.empty()) taken.refused.push_back(answer->refused);
  if (slurm::named_with_slurm(look.folder(), request.points) > 0) {
    taken.refused.push_back(fmt::format(
        "the jobs of these points in Slurm's queue go on while {} is running: end it, and "
        "then repeat this command",
        holder.str()));
  }
  return true;
}

// The jobs that have no points but those of --only, here and on a cluster.
int cancel_some(const Look& look) {
  process::CancelRequest request{fmt::format("{}-{}", process::host_name(), ::getpid()), {}};
  for (const sweep::Point& point : look.sweep().points) {
    if (point.selected) request.points.insert(point.id);
  }
  const std::optional<process::LeaseHolder> holder = at_work(look.folder());
  slurm::TakenBack taken;
  if (holder) {
    if (!ask_driver(look, *holder, request, taken)) return kNotAllDone;
  } else {
    taken = slurm::cancel_some_on_slurm(look.folder(), look.name(), request.points,
                                        look.options().command);
  }
  for (const std::string& reason : taken.refused)
    complain(fmt::format("{}: {}", look.name(), reason));
  if (taken.jobs > 0) {
    complain(fmt::format("{}: {} cancelled; finished jobs are kept", look.name(),
                         job::counted(taken.jobs, "job")));
  } else if (taken.refused.empty()) {
    complain(fmt::format("{}: no run_sweep runs these points, nothing to cancel", look.name()));
  }
  return taken.jobs > 0 && taken.refused.empty() ? kAllDone : kNotAllDone;
}

}  // namespace

int cancel_sweep(const Look& look) {
  return look.options().only.empty() ? cancel_all(look) : cancel_some(look);
}

}  // namespace tarflow::driver
