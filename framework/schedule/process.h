// Child processes, and the signals that end run_sweep.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tarflow::schedule {

// Within its scope SIGINT, SIGTERM and SIGHUP are held back and read with wait(), so that no
// handler and no global state is needed. Signals the program was started to ignore (nohup) stay
// ignored. A worker that ends interrupts wait().
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  // A signal that asks to end, or nothing within the time or because a worker ended.
  std::optional<int> wait(std::chrono::milliseconds time) const;
  const sigset_t& before() const { return before_; }  // the mask that children get back

 private:
  sigset_t held_;
  sigset_t before_;
};

struct Exit {
  int code = 0;              // exit status; -1 when a signal ended it
  int signal = 0;            // 0 when none did
  bool interrupted = false;  // because run_sweep was asked to end
  bool ok() const { return code == 0 && !interrupted; }
};

// "ended with exit code 3", "was killed by signal 9 (Killed)".
std::string describe(const Exit& exit);

// Starts `command` (a path and its arguments) in a process group of its own, so that Ctrl-C reaches
// run_sweep alone; both outputs are appended to `log`. It is killed when run_sweep dies, whatever
// the reason. Throws Error when it cannot be started.
pid_t start_worker(const std::vector<std::string>& command, const std::filesystem::path& log,
                   const HeldSignals& signals);

// Waits for the worker, calling `poll` some times a second. When a signal asks to end, the worker's
// group gets SIGTERM, and SIGKILL when it is not gone after `grace` or another signal comes.
Exit wait_for_worker(pid_t worker, const HeldSignals& signals, const std::function<void()>& poll,
                     std::chrono::milliseconds grace = std::chrono::seconds(10));

// Runs a program with this one's input and outputs; returns its exit status, 128 + the signal when
// one ended it. Throws Error when it cannot be started.
int run_program(const std::vector<std::string>& command);

}  // namespace tarflow::schedule
