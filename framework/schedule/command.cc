#include "framework/schedule/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "framework/core/error.h"

namespace tarflow::schedule {
namespace {

constexpr int kNoProgram = 127;
constexpr int kTooSlow = 124;

struct Pipe {
  int read = -1, write = -1;

  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      throw Error(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
    }
    read = ends[0];
    write = ends[1];
  }
  ~Pipe() {
    close_end(read);
    close_end(write);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
};

[[noreturn]] void become(const std::vector<char*>& arguments, int out, int err) {
  ::setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const int nothing = ::open("/dev/null", O_RDONLY);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::execvp(arguments.front(), arguments.data());
  ::_exit(kNoProgram);
}

// What can be read now; the end is closed when there will be no more.
void drain(int& end, std::string& text) {
  char buffer[4096];
  const ssize_t count = ::read(end, buffer, sizeof buffer);
  if (count > 0) {
    text.append(buffer, static_cast<size_t>(count));
  } else if (count == 0 || errno != EINTR) {
    Pipe::close_end(end);
  }
}

// Reads both outputs until their ends or `limit`; whether they ended.
bool read_all(Pipe& out, Pipe& err, Said& said, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (out.read >= 0 || err.read >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd ends[2] = {{out.read, POLLIN, 0}, {err.read, POLLIN, 0}};  // -1 is passed over
    if (::poll(ends, 2, static_cast<int>(std::min<int64_t>(left.count(), 1000))) < 0 &&
        errno != EINTR) {
      return false;
    }
    if (ends[0].revents) drain(out.read, said.out);
    if (ends[1].revents) drain(err.read, said.err);
  }
  return true;
}

}  // namespace

std::string Said::complaint() const {
  std::string text = err;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) text.replace(at, 1, "; ");
  if (!text.empty()) return text;
  if (status == kNoProgram) return "there is no such program";
  return fmt::format("it ended with status {}", status);
}

Said run_command(const std::vector<std::string>& command, std::chrono::milliseconds limit) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  Pipe out, err;
  const pid_t child = ::fork();
  if (child < 0) {
    throw Error(fmt::format("cannot start {}: {}", command.front(), std::strerror(errno)));
  }
  if (child == 0) become(arguments, out.write, err.write);
  Pipe::close_end(out.write);
  Pipe::close_end(err.write);
  Said said;
  const bool ended = read_all(out, err, said, limit);
  if (!ended) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  said.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (!ended) said.status = kTooSlow;
  return said;
}

}  // namespace tarflow::schedule
