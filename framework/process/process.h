// Child processes, and the signals that end run_sweep.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
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

 private:
  sigset_t held_;
  sigset_t before_;
};

struct Exit {
  int code = 0;    // exit status; -1 when a signal ended it
  int signal = 0;  // 0 when none did
};

// Whether the signal ended it, or a child of it that was a shell or srun.
bool ended_by(const Exit& exit, int signal);

// "ended with exit code 3", "was killed by signal 9 (Killed)".
std::string describe(const Exit& exit);

// "NAME=value" of each variable.
using Variables = std::vector<std::string>;
Variables own_variables();  // of this process
// The same with these in their places.
Variables own_variables(const std::map<std::string, std::string>& changes);

// A child process in the making.
struct Start {
  std::vector<std::string> command;  // a program, looked for in PATH, and its arguments
  Variables variables = own_variables();
  int input = -1, output = -1, errors = -1;  // descriptors; -1: /dev/null
  std::vector<int> inherited = {};           // further descriptors that it gets, by their numbers
  std::filesystem::path folder = {};         // that it runs in; "": this process's
  bool foreground = false;  // it shares this process's group, so that Ctrl-C reaches it
  bool bound = false;       // it is killed when this process dies, whatever the reason
  bool says = false;        // it prints that it could not be started
};
// No signal is blocked in the child, and SIGPIPE ends it. It ends with status 127 when its program
// cannot be run. Throws Error when no process can be made.
pid_t spawn(const Start& start);

// The same with both outputs in the file `log`, after what stands there or in its place. Throws
// Error when that cannot be written, too.
enum class Log { kAppended, kReplaced };
pid_t spawn(Start start, const std::filesystem::path& log, Log how);

// Throws Error, with this repair, when `program` is no file that this user may run.
void require_program(const std::string& program, const std::string& repair = "");

// Starts `command` (a path and its arguments), bound to this process, with `changes` in its
// environment; both outputs are appended to `log`. Throws Error when it cannot be started.
pid_t start_worker(const std::vector<std::string>& command,
                   const std::map<std::string, std::string>& changes,
                   const std::filesystem::path& log);

// Runs `work` in a process of its own, in a group of its own, that ends with this one and whose
// outputs nobody sees. What it throws is lost. Throws Error when no process can be made.
pid_t run_aside(const std::function<void()>& work);

// Whether the worker has ended, and how.
std::optional<Exit> poll_exit(pid_t worker);
// To the worker's whole group.
void signal_group(pid_t worker, int signal);

// Runs a program with this one's input and outputs; returns its exit status, 128 + the signal when
// one ended it. `bound`: as in Start. Throws Error when it cannot be started.
int run_program(const std::vector<std::string>& command, bool bound = false);

// waitpid, as often as signals interrupt it.
pid_t wait_for_child(pid_t child, int& status, int options);

}  // namespace tarflow::process
