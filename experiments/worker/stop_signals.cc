#include "experiments/worker/stop_signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace tarflow::experiments {
namespace {

// All that a handler can reach is static.
std::atomic<bool> requested_to_stop{false}, asked_to_end{false}, announced{true};
static_assert(std::atomic<bool>::is_always_lock_free, "used in a signal handler");

void on_signal(int signal) {
  if (signal != SIGUSR2 && asked_to_end.exchange(true)) {
    // Delivered when this handler returns; whoever waits for the process sees what ended it.
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    return;
  }
  if (requested_to_stop.exchange(true) || !announced.load()) return;
  constexpr char kMessage[] = "asked to stop\n";
  if (::write(STDOUT_FILENO, kMessage, sizeof kMessage - 1) < 0) return;  // nobody reads the log
}

}  // namespace

void handle_unless_ignored(int signal, void (*handler)(int)) {
  struct sigaction action {};
  if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) return;
  action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(signal, &action, nullptr);
}

StopSignals::StopSignals(bool announce) {
  announced = announce;
  for (const int signal : {SIGTERM, SIGUSR2, SIGINT}) handle_unless_ignored(signal, on_signal);
}

bool StopSignals::requested() const { return requested_to_stop.load(); }

}  // namespace tarflow::experiments
