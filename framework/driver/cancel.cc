// run_sweep cancel: stops the run_sweep that is at work, and what a cluster has of the sweep.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "framework/core/error.h"
#include "framework/driver/job_states.h"
#include "framework/driver/look.h"
#include "framework/driver/slurm_run.h"
#include "framework/job/progress.h"
#include "framework/process/cancel_request.h"
#include "framework/process/host.h"
#include "framework/process/lease.h"
#include "framework/slurm/cancel.h"
#include "framework/slurm/driver.h"

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

// How long a holder on another host may be silent. The tests of this program may shorten it with
// the variable TARFLOW_POLL_SECONDS.
process::LeasePace lease_pace() {
  process::LeasePace pace;
  if (std::getenv("TARFLOW_POLL_SECONDS"))
    pace.patience = 10 * slurm::poll_of(slurm::ClusterProfile{});
  return pace;
}

// When it last renewed its lease, by the clock of the file system alone: the request was written
// just now.
std::string last_beat_text(const Look& look) {
  std::error_code failed, too;
  const auto request =
      std::filesystem::last_write_time(process::cancel_file(look.folder()), failed);
  const auto beat = std::filesystem::last_write_time(look.folder() / "lease.json", too);
  if (failed || too || request < beat) return "just now";
  return job::duration(std::chrono::duration<double>(request - beat).count()) + " ago";
}

// Of a holder on another host, say.
void say_what_is_known(const Look& look, const process::LeaseHolder& holder,
                       const process::LeasePace& pace) {
  if (process::life_of(holder) != process::Life::kUnknown) return;
  complain(fmt::format(
      "{}: it cannot be seen from this host whether {} still runs. It renewed its lease {}. If it "
      "gives no sign of life for {}, this command takes the lease and cancels the jobs itself",
      look.name(), holder.str(), last_beat_text(look),
      job::duration(std::chrono::duration<double>(pace.patience).count())));
}

void say_silent(const Look& look, const process::LeaseHolder& holder) {
  complain(fmt::format("{}: {} gives no sign of life and is taken to have ended", look.name(),
                       holder.str()));
}

// What became of a run_sweep that was asked to stop.
struct Stopped {
  bool over = false;
  std::optional<process::LeaseHolder> silent = {};  // as it was at its last beat
};

Stopped stop_driver(const Look& look, const process::LeaseHolder& holder) {
  const process::LeasePace pace = lease_pace();
  process::ask_to_cancel(look.folder(), {});
  complain(fmt::format("{}: asked {} to stop; running jobs write their progress", look.name(),
                       holder.str()));
  say_what_is_known(look, holder, pace);
  process::SilenceWatch watch(look.folder(), holder, pace);
  bool silent = false;
  const bool over = wait_for([&] { return gone(look, holder) || (silent = watch.silent()); });
  if (silent) {
    say_silent(look, holder);
    return {true, watch.holder()};
  }
  complain(fmt::format("{}: {}", look.name(),
                       over ? "stopped" : "it has not stopped yet; status shows how far it is"));
  return {over};
}

// A run_sweep first, lest it submits again what is taken back.
int cancel_all(const Look& look) {
  const std::optional<process::LeaseHolder> holder = at_work(look.folder());
  const Stopped stopped = holder ? stop_driver(look, *holder) : Stopped{true};
  if (!stopped.over) return kNotAllDone;
  if (cancel_on_slurm(look.folder(), look.name(), look.options(), stopped.silent)) return kAllDone;
  if (stopped.silent) {  // so that the next run does not wait for it again
    const process::Lease lease(look.folder(), look.options().command, complain, {}, stopped.silent);
    complain(
        fmt::format("{}: its lease is removed; no jobs of this sweep are in a queue", look.name()));
  }
  if (holder) return kAllDone;
  complain(fmt::format("{}: no run_sweep is running, nothing to cancel", look.name()));
  return kNotAllDone;
}

void take_answer(const Look& look, const process::LeaseHolder& holder,
                 const process::CancelRequest& request, const process::CancelAnswer& answer,
                 slurm::TakenBack& taken) {
  taken.jobs = answer.stopped + answer.dropped;
  for (const std::string& hash : answer.shared) taken.refused.push_back(slurm::shared_reason(hash));
  if (!answer.refused.empty()) taken.refused.push_back(answer.refused);
  if (slurm::named_with_slurm(look.folder(), request.points) > 0) {
    taken.refused.push_back(
        fmt::format("the jobs of these points in the queue go on while {} is running: end it, and "
                    "then repeat this command",
                    holder.str()));
  }
}

// `taken` has its answer, unless it is found to be silent.
Stopped ask_driver(const Look& look, const process::LeaseHolder& holder,
                   const process::CancelRequest& request, slurm::TakenBack& taken) {
  const process::LeasePace pace = lease_pace();
  process::ask_to_cancel(look.folder(), request);
  complain(
      fmt::format("{}: asked {} to stop these points; running jobs keep what they have "
                  "reached",
                  look.name(), holder.str()));
  say_what_is_known(look, holder, pace);
  process::SilenceWatch watch(look.folder(), holder, pace);
  std::optional<process::CancelAnswer> answer;
  bool silent = false;
  const bool answered = wait_for([&] {
    answer = process::cancel_answer(look.folder(), request.id);
    return answer || gone(look, holder) || (silent = watch.silent());
  });
  if (silent) {
    say_silent(look, holder);
    return {true, watch.holder()};
  }
  if (!answered || !answer) {
    complain(fmt::format("{}: {}; status shows how far it is", look.name(),
                         answered ? "it has ended meanwhile" : "it has not answered yet"));
    return {};
  }
  take_answer(look, holder, request, *answer, taken);
  return {true};
}

// The jobs that have no points but those of --only, here and on a cluster.
int cancel_some(const Look& look) {
  process::CancelRequest request{fmt::format("{}-{}", process::host_name(), ::getpid()), {}};
  for (const sweep::Point& point : look.sweep().points) {
    if (point.selected) request.points.insert(point.id);
  }
  const std::optional<process::LeaseHolder> holder = at_work(look.folder());
  slurm::TakenBack taken;
  Stopped asked;
  if (holder) {
    asked = ask_driver(look, *holder, request, taken);
    if (!asked.over) return kNotAllDone;
  }
  if (!holder || asked.silent) {
    taken = slurm::cancel_some_on_slurm(look.folder(), look.name(), request.points,
                                        look.options().command, asked.silent);
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
  try {
    return look.options().only.empty() ? cancel_all(look) : cancel_some(look);
  } catch (const process::LeaseHeld&) {
    throw;
  } catch (const Error& failure) {  // a full disk, or a queue: no fault of the input
    complain(fmt::format("error: {}", failure.what()));
    return kNotAllDone;
  }
}

}  // namespace tarflow::driver
