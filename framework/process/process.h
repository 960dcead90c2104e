// Child processes, and the signals that end run_sweep.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tarflow::process {

// Within its scope SIGINT, SIGTERM and SIGHUP are held back and read with wait(), so that no
// handler and no global state is needed. Signals the program was started to ignore (nohup) stay
// ignored. A worker that ends interrupts wait().
class HeldSignals {
 public:
  HeldSignals() : HeldSignals(std::initializer_list<int>{}) {}
  // And `more`, signals that ask to end in other surroundings.
  explicit HeldSignals(std::initializer_list<int> more);
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
  int code = 0;    // exit status; -1 when a signal ended it
  int signal = 0;  // 0 when none did
};

// "ended with exit code 3", "was killed by signal 9 (Killed)".
std::string describe(const Exit& exit);

// Starts `command` (a path and its arguments) in a process group of its own, so that Ctrl-C reaches
// run_sweep alone; both outputs are appended to `log`. `variables` are set in its environment. It
// is killed when run_sweep dies, whatever the reason. Throws Error when it cannot be started.
pid_t start_worker(const std::vector<std::string>& command,
                   const std::map<std::string, std::string>& variables,
                   const std::filesystem::path& log, const HeldSignals& signals);

// Whether the worker has ended, and how.
std::optional<Exit> poll_exit(pid_t worker);
// To the worker's whole group.
void signal_group(pid_t worker, int signal);

// Runs a program with this one's input and outputs; returns its exit status, 128 + the signal when
// one ended it. Throws Error when it cannot be started.
int run_program(const std::vector<std::string>& command);

// What a program prints to its standard output; its errors are dropped. Throws Error when it cannot
// be started or fails.
std::string output_of(const std::vector<std::string>& command);

}  // namespace tarflow::process
