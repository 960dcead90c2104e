#include "framework/process/command.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <thread>

#include "framework/core/error.h"
#include "framework/process/pipe.h"

namespace tarflow::process {
namespace {

constexpr int kNoProgram = 127;
constexpr int kTooSlow = 124;
// For what a command printed before it ended, and a killed one to be gone.
constexpr std::chrono::milliseconds kAfterEnd{1000};
constexpr std::chrono::milliseconds kTick{50};

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

bool has_ended(pid_t child) {
  siginfo_t ended{};
  return ::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         ended.si_pid == child;
}

// Reads both outputs until their ends, or until shortly after the child has ended: its own children
// may hold them open. False: neither came within `limit`.
bool read_all(pid_t child, Pipe& out, Pipe& err, Said& said, std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + limit;
  std::optional<Clock::time_point> last;  // after the child's end
  while (out.read >= 0 || err.read >= 0) {
    const auto now = Clock::now();
    if (!last && has_ended(child)) last = now + kAfterEnd;
    if (last && now >= *last) return true;
    if (!last && now >= end) return false;
    pollfd ends[2] = {{out.read, POLLIN, 0}, {err.read, POLLIN, 0}};  // -1 is passed over
    if (::poll(ends, 2, static_cast<int>(kTick.count())) < 0 && errno != EINTR) return false;
    if (ends[0].revents) drain(out.read, said.out);
    if (ends[1].revents) drain(err.read, said.err);
  }
  while (!has_ended(child)) {  // it closed its outputs and goes on
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(kTick);
  }
  return true;
}

// Nothing when the child is still there after a while: what waits for a device inside the kernel
// cannot be killed.
std::optional<int> status_of(pid_t child) {
  const auto end = std::chrono::steady_clock::now() + kAfterEnd;
  for (;;) {
    int status = 0;
    const pid_t found = wait_for_child(child, status, WNOHANG);
    if (found == child) return status;
    if (found < 0) return std::nullopt;
    if (std::chrono::steady_clock::now() >= end) return std::nullopt;
    std::this_thread::sleep_for(kTick);
  }
}

}  // namespace

std::string Said::complaint() const {
  std::string text = err;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos;) text.replace(at, 1, "; ");
  if (!text.empty()) return text;
  if (status == kNoProgram) return "there is no such program";
  if (status == kTooSlow) return "it did not end in time";
  return fmt::format("it ended with status {}", status);
}

namespace {

Said run(Start start, std::chrono::milliseconds limit) {
  Pipe out, err;
  start.output = out.write;
  start.errors = err.write;
  const pid_t child = spawn(start);
  Pipe::close_end(out.write);
  Pipe::close_end(err.write);
  Said said;
  const bool ended = read_all(child, out, err, said, limit);
  if (!ended) ::kill(-child, SIGKILL);
  const std::optional<int> status = status_of(child);
  if (!ended || !status) {
    said.status = kTooSlow;
  } else {
    said.status = WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status);
  }
  return said;
}

}  // namespace

Said run_command(const std::vector<std::string>& command, std::chrono::milliseconds limit,
                 const Variables& variables) {
  return run({.command = command, .variables = variables}, limit);
}

std::string output_of(const std::vector<std::string>& command, std::chrono::milliseconds limit) {
  const Said said = run({.command = command, .bound = true}, limit);
  if (!said.well()) throw Error(fmt::format("{} failed: {}", command.front(), said.complaint()));
  return said.out;
}

}  // namespace tarflow::process
