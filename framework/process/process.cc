#include "framework/process/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/core/error.h"
#include "framework/process/pipe.h"

namespace tarflow::process {
namespace {

constexpr int kCannotStart = 127;  // as shells have it

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// In the child, with calls alone that are safe between fork and exec.
void settle(const Start& start, pid_t parent) {
  if (!start.foreground) ::setpgid(0, 0);
  if (start.bound) {
    // An orphan would keep the device busy and write into a folder that a resumed run uses as well.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(kCannotStart);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);  // run_sweep ignores it while jobs run
  int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  move_up(nothing);
  const int wished[3] = {start.input, start.output, start.errors};
  for (int end = 0; end < 3; ++end) {
    if (wished[end] != end) ::dup2(wished[end] < 0 ? nothing : wished[end], end);
  }
  for (const int descriptor : start.inherited) ::fcntl(descriptor, F_SETFD, 0);
}

[[noreturn]] void become(const Start& start, const std::vector<char*>& arguments,
                         char* const* variables, pid_t parent) {
  settle(start, parent);
  const bool there = start.folder.empty() || ::chdir(start.folder.c_str()) == 0;
  if (there) ::execvpe(arguments.front(), arguments.data(), variables);
  constexpr char kMessage[] = "cannot start the program\n";
  if (start.says && ::write(STDERR_FILENO, kMessage, sizeof kMessage - 1) < 0) {
    ::_exit(kCannotStart);
  }
  ::_exit(kCannotStart);
}

Exit exit_of(int status) {
  Exit exit;
  if (WIFSIGNALED(status)) {
    exit.code = -1;
    exit.signal = WTERMSIG(status);
  } else {
    exit.code = WEXITSTATUS(status);
  }
  return exit;
}

}  // namespace

HeldSignals::HeldSignals(std::initializer_list<int> more) {
  sigemptyset(&held_);
  sigaddset(&held_, SIGCHLD);
  for (const int signal : more) sigaddset(&held_, signal);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) {
      sigaddset(&held_, signal);
    }
  }
  ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
}

HeldSignals::~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

std::optional<int> HeldSignals::wait(std::chrono::milliseconds time) const {
  const timespec limit{time.count() / 1000, (time.count() % 1000) * 1'000'000};
  const int signal = ::sigtimedwait(&held_, nullptr, &limit);
  if (signal < 0 || signal == SIGCHLD) return std::nullopt;
  return signal;
}

bool ended_by(const Exit& exit, int signal) {
  constexpr int kOfSignal = 128;  // in the exit status of who started it
  return exit.signal == signal || exit.code == kOfSignal + signal;
}

std::string describe(const Exit& exit) {
  if (exit.signal == 0) return fmt::format("ended with exit code {}", exit.code);
  std::string text =
      fmt::format("was killed by signal {} ({})", exit.signal, ::strsignal(exit.signal));
  if (exit.signal == SIGKILL) text += "; the memory may have run out";
  return text;
}

Variables own_variables() { return own_variables({}); }

Variables own_variables(const std::map<std::string, std::string>& changes) {
  Variables variables;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (!changes.contains(text.substr(0, text.find('=')))) variables.push_back(text);
  }
  for (const auto& [name, value] : changes) variables.push_back(name + "=" + value);
  return variables;
}

pid_t spawn(const Start& start) {
  const std::vector<char*> arguments = pointers_to(start.command);
  const std::vector<char*> variables = pointers_to(start.variables);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) become(start, arguments, variables.data(), parent);
  if (child < 0) {
    throw Error(fmt::format("cannot start {}: {}", start.command.front(), std::strerror(errno)));
  }
  // Whoever comes first, so that a signal to the group never misses it.
  if (!start.foreground) ::setpgid(child, child);
  return child;
}

pid_t spawn(Start start, const std::filesystem::path& log, Log how) {
  const int to = how == Log::kReplaced ? O_TRUNC : O_APPEND;
  int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | to, 0666);
  move_up(output);
  if (output < 0) {
    throw Error(fmt::format("cannot write {}: {}", log.string(), std::strerror(errno)));
  }
  start.output = start.errors = output;
  try {
    const pid_t child = spawn(start);
    ::close(output);
    return child;
  } catch (const Error&) {
    ::close(output);
    throw;
  }
}

void require_program(const std::string& program, const std::string& repair) {
  if (::access(program.c_str(), X_OK) != 0) {
    throw Error(fmt::format("cannot run {}: {}", program, std::strerror(errno)), repair);
  }
}

pid_t run_aside(const std::function<void()>& work) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    settle({.command = {}, .variables = {}, .bound = true}, parent);
    try {
      work();
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  if (child < 0) throw Error(fmt::format("cannot make a process: {}", std::strerror(errno)));
  ::setpgid(child, child);
  return child;
}

pid_t start_worker(const std::vector<std::string>& command,
                   const std::map<std::string, std::string>& changes,
                   const std::filesystem::path& log) {
  require_program(command.front(), "build again");
  return spawn(
      {.command = command, .variables = own_variables(changes), .bound = true, .says = true}, log,
      Log::kAppended);
}

pid_t wait_for_child(pid_t child, int& status, int options) {
  pid_t found = 0;
  do {
    found = ::waitpid(child, &status, options);
  } while (found < 0 && errno == EINTR);
  return found;
}

std::optional<Exit> poll_exit(pid_t worker) {
  int status = 0;
  const pid_t found = wait_for_child(worker, status, WNOHANG);
  if (found == worker) return exit_of(status);
  if (found < 0) {
    throw Error(fmt::format("cannot wait for process {}: {}", worker, std::strerror(errno)));
  }
  return std::nullopt;
}

void signal_group(pid_t worker, int signal) { ::kill(-worker, signal); }

int run_program(const std::vector<std::string>& command, bool bound) {
  require_program(command.front(), "build again");
  const pid_t child = spawn({.command = command,
                             .input = STDIN_FILENO,
                             .output = STDOUT_FILENO,
                             .errors = STDERR_FILENO,
                             .foreground = true,
                             .bound = bound,
                             .says = true});
  int status = 0;
  wait_for_child(child, status, 0);
  const Exit exit = exit_of(status);
  return exit.signal ? 128 + exit.signal : exit.code;
}

}  // namespace tarflow::process
