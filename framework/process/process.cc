#include "framework/process/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/core/error.h"

namespace tarflow::process {
namespace {

constexpr int kCannotStart = 127;  // as shells have it

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

[[noreturn]] void become(const std::vector<char*>& arguments, char* const* environment) {
  ::signal(SIGPIPE, SIG_DFL);  // run_sweep ignores it while jobs run
  ::execve(arguments[0], arguments.data(), environment);
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

// The environment of this process with `variables` in it, as execve wants it.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (!variables.contains(text.substr(0, text.find('=')))) entries.push_back(text);
  }
  for (const auto& [name, value] : variables) entries.push_back(name + "=" + value);
  return entries;
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

std::string describe(const Exit& exit) {
  if (exit.signal == 0) return fmt::format("ended with exit code {}", exit.code);
  std::string text =
      fmt::format("was killed by signal {} ({})", exit.signal, ::strsignal(exit.signal));
  if (exit.signal == SIGKILL) text += "; the memory may have run out";
  return text;
}

pid_t start_worker(const std::vector<std::string>& command,
                   const std::map<std::string, std::string>& variables,
                   const std::filesystem::path& log, const HeldSignals& signals) {
  require_program(command.front());
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (output < 0 || input < 0) {
    throw Error(fmt::format("cannot write {}: {}", log.string(), std::strerror(errno)));
  }
  const std::vector<char*> arguments = arguments_of(command);
  const std::vector<std::string> entries = environment_with(variables);
  const std::vector<char*> environment = arguments_of(entries);
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
    become(arguments, environment.data());
  }
  const int reason = errno;
  ::close(output);
  ::close(input);
  if (worker < 0)
    throw Error(fmt::format("cannot start {}: {}", command.front(), std::strerror(reason)));
  ::setpgid(worker, worker);  // whoever comes first, so that a signal to the group never misses it
  return worker;
}

std::optional<Exit> poll_exit(pid_t worker) {
  int status = 0;
  const pid_t found = ::waitpid(worker, &status, WNOHANG);
  if (found == worker) return exit_of(status);
  if (found < 0 && errno != EINTR) {
    throw Error(fmt::format("cannot wait for process {}: {}", worker, std::strerror(errno)));
  }
  return std::nullopt;
}

void signal_group(pid_t worker, int signal) { ::kill(-worker, signal); }

std::string output_of(const std::vector<std::string>& command) {
  require_program(command.front());
  const std::vector<char*> arguments = arguments_of(command);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw Error(fmt::format("cannot start {}: {}", command.front(), std::strerror(errno)));
  }
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(nowhere, STDIN_FILENO);
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    become(arguments, environ);
  }
  ::close(ends[1]);
  ::close(nowhere);
  std::string text;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = ::read(ends[0], buffer, sizeof buffer)) > 0 || (count < 0 && errno == EINTR)) {
    if (count > 0) text.append(buffer, static_cast<size_t>(count));
  }
  ::close(ends[0]);
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error(fmt::format("{} failed", command.front()));
  }
  return text;
}

int run_program(const std::vector<std::string>& command) {
  require_program(command.front());
  const std::vector<char*> arguments = arguments_of(command);
  const pid_t child = ::fork();
  if (child == 0) become(arguments, environ);
  if (child < 0)
    throw Error(fmt::format("cannot start {}: {}", command.front(), std::strerror(errno)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const Exit exit = exit_of(status);
  return exit.signal ? 128 + exit.signal : exit.code;
}

}  // namespace tarflow::process
