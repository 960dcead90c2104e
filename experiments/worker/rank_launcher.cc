#include "experiments/worker/rank_launcher.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <thread>

#include "experiments/worker/stop_signals.h"
#include "framework/core/error.h"
#include "framework/dist/rank_environment.h"
#include "framework/job/execute.h"
#include "framework/process/process.h"

namespace tarflow::experiments {
namespace {

constexpr auto kLook = std::chrono::milliseconds(20);
constexpr auto kAfterRankZero = std::chrono::seconds(20);  // the others have nothing left to do

// All that a handler can reach is static.
constexpr int kPassedOn[] = {SIGTERM, SIGINT, SIGUSR2};
std::atomic<int> arrived[std::size(kPassedOn)];

void on_signal(int signal) {
  for (size_t i = 0; i < std::size(kPassedOn); ++i)
    if (kPassedOn[i] == signal) arrived[i].fetch_add(1);
}

void pass_signals_on() {
  for (const int signal : kPassedOn) handle_unless_ignored(signal, on_signal);
}

struct Socket {
  int file = -1;
  uint16_t port = 0;
};

// A port of the loopback interface that nobody else can take before rank 0 does.
Socket listening_socket() {
  Socket socket;
  socket.file = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const auto generic = reinterpret_cast<sockaddr*>(&address);
  if (socket.file < 0 || ::bind(socket.file, generic, length) != 0 ||
      ::listen(socket.file, SOMAXCONN) != 0 || ::getsockname(socket.file, generic, &length) != 0) {
    throw Error(fmt::format("the ranks cannot talk to each other on this machine: {}",
                            std::strerror(errno)));
  }
  socket.port = ntohs(address.sin_port);
  return socket;
}

process::Variables environment_of(int rank, int ranks, const Socket& socket) {
  dist::Variables variables = dist::environment_variables();
  for (const char* torchrun : {"TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RUN_ID",
                               "TORCHELASTIC_RESTART_COUNT", dist::kListeningVariable})
    variables.erase(torchrun);
  variables["RANK"] = variables["LOCAL_RANK"] = std::to_string(rank);
  variables["WORLD_SIZE"] = variables["LOCAL_WORLD_SIZE"] = std::to_string(ranks);
  variables["MASTER_ADDR"] = "127.0.0.1";
  variables["MASTER_PORT"] = std::to_string(socket.port);
  if (rank == 0) variables[dist::kListeningVariable] = std::to_string(socket.file);
  process::Variables entries;
  for (const auto& [name, value] : variables) entries.push_back(name + "=" + value);
  return entries;
}

class Ranks {
 public:
  Ranks(const std::vector<std::string>& command, int count) {
    const Socket socket = listening_socket();
    try {
      for (int rank = 0; rank < count; ++rank) start(command, rank, count, socket);
    } catch (...) {
      ::close(socket.file);
      kill();
      throw;
    }
    ::close(socket.file);
    fmt::print("{} ranks, processes {}\n", count, fmt::join(processes_, ", "));
    std::fflush(stdout);
  }

  int wait() {
    while (true) {
      pass_on();
      for (size_t rank = 0; rank < processes_.size(); ++rank) {
        const auto exit = processes_[rank] ? process::poll_exit(processes_[rank]) : std::nullopt;
        if (!exit) continue;
        processes_[rank] = 0;
        if (exit->signal == 0 && (exit->code == 0 || exit->code == job::kStoppedExit)) {
          if (rank == 0) status_ = exit->code;
          continue;
        }
        return failed(static_cast<int>(rank), *exit);
      }
      if (!any_left()) return status_;
      if (!processes_.front() && left_since_ == Clock::time_point{}) left_since_ = Clock::now();
      // The result stands, or what is done is kept: that is up to rank 0 alone.
      if (!processes_.front() && Clock::now() - left_since_ > kAfterRankZero) {
        kill();
        return status_;
      }
      std::this_thread::sleep_for(kLook);
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  // In a group of its own, so that a signal to this one's reaches it once: from here.
  void start(const std::vector<std::string>& command, int rank, int count, const Socket& socket) {
    process::Start start{.command = command,
                         .variables = environment_of(rank, count, socket),
                         .input = STDIN_FILENO,
                         .output = STDOUT_FILENO,
                         .errors = STDERR_FILENO,
                         .bound = true};
    if (rank == 0) start.inherited = {socket.file};
    processes_.push_back(process::spawn(start));
  }

  void pass_on() {
    for (size_t i = 0; i < std::size(kPassedOn); ++i) {
      for (int count = arrived[i].exchange(0); count > 0; --count) {
        for (const pid_t process : processes_)
          if (process) ::kill(process, kPassedOn[i]);
      }
    }
  }

  int failed(int rank, const process::Exit& exit) {
    kill();
    // With status 1 its own message stands in the log.
    if (exit.signal != 0 || exit.code != 1)
      fmt::print(stderr, "error: rank {} {}\n", rank, process::describe(exit));
    return exit.signal != 0 ? 128 + exit.signal : exit.code;
  }

  bool any_left() const {
    for (const pid_t process : processes_)
      if (process) return true;
    return false;
  }

  void kill() {
    for (pid_t& process : processes_) {
      if (!process) continue;
      ::kill(process, SIGKILL);
      int status = 0;
      process::wait_for_child(process, status, 0);
      process = 0;
    }
  }

  std::vector<pid_t> processes_;  // by rank; 0: ended
  int status_ = 1;                // of rank 0
  Clock::time_point left_since_{};
};

}  // namespace

int launch_ranks(const std::vector<std::string>& command, int ranks) {
  pass_signals_on();
  return Ranks(command, ranks).wait();
}

}  // namespace tarflow::experiments
