#include "experiments/stop_signals.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include <cstdio>
#include <thread>

namespace tarflow::experiments {
namespace {

bool ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// As if nobody had held the signal back, so that whoever waits for the process sees what ended it.
void end_by(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  ::signal(signal, SIG_DFL);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::raise(signal);
}

void wait_for_signals(sigset_t held, const std::shared_ptr<std::atomic<bool>>& requested) {
  bool asked_to_end = false;
  for (;;) {
    int signal = 0;
    if (::sigwait(&held, &signal) != 0) continue;
    if (asked_to_end && signal != SIGUSR2) end_by(signal);
    asked_to_end = asked_to_end || signal != SIGUSR2;
    if (requested->exchange(true)) continue;
    fmt::print("asked to stop ({})\n", ::strsignal(signal));
    std::fflush(stdout);
  }
}

}  // namespace

StopSignals::StopSignals() : requested_(std::make_shared<std::atomic<bool>>(false)) {
  sigset_t held;
  sigemptyset(&held);
  for (const int signal : {SIGTERM, SIGUSR2, SIGINT}) {
    if (!ignored(signal)) sigaddset(&held, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &held, nullptr);
  std::thread(wait_for_signals, held, requested_).detach();
}

}  // namespace tarflow::experiments
