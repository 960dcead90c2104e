#include "framework/schedule/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/core/error.h"

namespace tarflow::schedule {
namespace {

constexpr int kCannotStart = 127;  // as shells have it
constexpr std::chrono::milliseconds kPoll{200};

std::vector<char*> arguments_of(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  return arguments;
}

void require_program(const std::string& program) {
  if (::access(program.c_str(), X_OK) != 0) {
    throw Error(fmt::format("cannot run {}: {}", program, std::strerror(errno)), "build again");
  }
}

[[noreturn]] void become(const std::vector<char*>& arguments) {
  ::execv(arguments[0], arguments.data());
  // Only calls that are safe between fork and exec.
  constexpr char kMessage[] = "cannot start the program\n";
  if (::write(STDERR_FILENO, kMessage, sizeof kMessage - 1) < 0) ::_exit(kCannotStart);
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

// Whether it has ended, and how.
std::optional<Exit> ended(pid_t process) {
  int status = 0;
  const pid_t found = ::waitpid(process, &status, WNOHANG);
  if (found == process) return exit_of(status);
  if (found < 0 && errno != EINTR) {
    throw Error(fmt::format("cannot wait for process {}: {}", process, std::strerror(errno)));
  }
  return std::nullopt;
}

}  // namespace

HeldSignals::HeldSignals() {
  sigemptyset(&held_);
  sigaddset(&held_, SIGCHLD);
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

std::string describe(const Exit& exit) {
  if (exit.interrupted) return "was stopped";
  if (exit.signal == 0) return fmt::format("ended with exit code {}", exit.code);
  std::string text =
      fmt::format("was killed by signal {} ({})", exit.signal, ::strsignal(exit.signal));
  if (exit.signal == SIGKILL) text += "; the memory may have run out";
  return text;
}

pid_t start_worker(const std::vector<std::string>& command, const std::filesystem::path& log,
                   const HeldSignals& signals) {
  require_program(command.front());
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (output < 0 || input < 0) {
    throw Error(fmt::format("cannot write {}: {}", log.string(), std::strerror(errno)));
  }
  const std::vector<char*> arguments = arguments_of(command);
  const pid_t driver = ::getpid();
  const pid_t worker = ::fork();
  if (worker == 0) {
    ::setpgid(0, 0);
    // An orphan would keep the device busy and write into a folder that a resumed run uses as well.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != driver) ::_exit(kCannotStart);
    ::pthread_sigmask(SIG_SETMASK, &signals.before(), nullptr);
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    become(arguments);
  }
  const int reason = errno;
  ::close(output);
  ::close(input);
  if (worker < 0)
    throw Error(fmt::format("cannot start {}: {}", command.front(), std::strerror(reason)));
  ::setpgid(worker, worker);  // whoever comes first, so that a signal to the group never misses it
  return worker;
}

Exit wait_for_worker(pid_t worker, const HeldSignals& signals, const std::function<void()>& poll,
                     std::chrono::milliseconds grace) {
  std::chrono::milliseconds waited{0};  // since the worker was asked to end
  bool interrupted = false;
  for (;;) {
    if (std::optional<Exit> exit = ended(worker)) {
      exit->interrupted = interrupted;
      return *exit;
    }
    const std::optional<int> signal = signals.wait(kPoll);
    if (signal && !interrupted) {
      interrupted = true;
      ::kill(-worker, SIGTERM);
    } else if (signal || waited > grace) {
      ::kill(-worker, SIGKILL);
    }
    if (interrupted) waited += kPoll;
    poll();
  }
}

int run_program(const std::vector<std::string>& command) {
  require_program(command.front());
  const std::vector<char*> arguments = arguments_of(command);
  const pid_t child = ::fork();
  if (child == 0) become(arguments);
  if (child < 0)
    throw Error(fmt::format("cannot start {}: {}", command.front(), std::strerror(errno)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const Exit exit = exit_of(status);
  return exit.signal ? 128 + exit.signal : exit.code;
}

}  // namespace tarflow::schedule
