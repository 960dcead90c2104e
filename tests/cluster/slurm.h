// A real Slurm for a test, and the processes it runs.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "framework/core/file.h"

namespace tarflow::cluster {

namespace fs = std::filesystem;

inline const fs::path kScripts = fs::path(TARFLOW_SOURCE_DIR) / "tests/cluster";
inline const fs::path kPlainSlurm = kScripts / "slurm.sh";
inline const fs::path kSlurmWithAccounting = kScripts / "accounting.sh";

struct Answer {
  int status = 0;  // exit status; 128 + signal
  std::string text;
};

// What a shell command prints to both its outputs.
inline Answer ask(const std::string& command, const std::string& environment = "") {
  FILE* pipe = ::popen(fmt::format("{{ {} {} ; }} 2>&1", environment, command).c_str(), "re");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  Answer answer;
  char buffer[4096];
  while (const size_t count = ::fread(buffer, 1, sizeof buffer, pipe)) {
    answer.text.append(buffer, count);
  }
  const int status = ::pclose(pipe);
  answer.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return answer;
}

// Two nodes, n1 and n2, for as long as the object lives; a guard in a session of its own sees to
// the end of all daemons and jobs, also when the test is killed.
class Slurm {
 public:
  // What this machine lacks, a line each; "" when Slurm can be started.
  static std::string missing(const fs::path& script) {
    return ask(script.string() + " missing").text;
  }

  explicit Slurm(const fs::path& script) : script_(script) {
    std::string name = (fs::temp_directory_path() / "tarflow_slurm_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    folder_ = name;
    start_guard();
    const Answer answer = act("up");
    if (answer.status != 0) throw std::runtime_error("Slurm did not start:\n" + answer.text);
  }

  ~Slurm() {
    ::close(alive_);
    char nothing;
    while (::read(gone_, &nothing, 1) > 0) continue;
    ::close(gone_);
  }
  Slurm(const Slurm&) = delete;
  Slurm& operator=(const Slurm&) = delete;

  fs::path configuration() const { return folder_ / "slurm.conf"; }
  // Of the machinery, for when a test fails.
  std::string log() const { return read_file(folder_ / "log/slurmctld.log"); }
  // "" where jobs' memory is limited by control groups, else why it is not: with accounting alone.
  std::string no_groups() const {
    const std::string text = read_file(folder_ / "groups");
    return text == "yes\n" ? "" : text;
  }

  // squeue, scontrol, ...
  Answer operator()(const std::string& command) const {
    return ask(command, "export SLURM_CONF=" + configuration().string() + "; ");
  }

  void kill_controller() const { must("kill-controller"); }
  void start_controller() const { must("start-controller"); }
  void kill_node(const std::string& node) const { must("kill-node", node); }
  void start_node(const std::string& node) const { must("start-node", node); }

 private:
  Answer act(const std::string& verb, const std::string& node = "") const {
    return ask(fmt::format("{} {} {} {}", script_.string(), verb, folder_.string(), node));
  }
  void must(const std::string& verb, const std::string& node = "") const {
    const Answer answer = act(verb, node);
    if (answer.status != 0) throw std::runtime_error(verb + ": " + answer.text);
  }

  // It lives until its input ends, which this process holds open, and its end of `gone_` is closed
  // when its work is done. It is no child, so that whoever kills a test and its children spares it.
  void start_guard() {
    int alive[2], gone[2];
    if (::pipe2(alive, O_CLOEXEC) != 0 || ::pipe2(gone, O_CLOEXEC) != 0) {
      throw std::runtime_error("no pipes");
    }
    const pid_t middle = ::fork();
    if (middle == 0) {
      ::setsid();
      if (::fork() != 0) ::_exit(0);
      ::dup2(alive[0], STDIN_FILENO);
      ::fcntl(gone[1], F_SETFD, 0);
      ::execl("/bin/bash", "bash", script_.c_str(), "guard", folder_.c_str(), nullptr);
      ::_exit(99);
    }
    ::waitpid(middle, nullptr, 0);
    ::close(alive[0]);
    ::close(gone[1]);
    alive_ = alive[1];
    gone_ = gone[0];
  }

  fs::path script_, folder_;
  int alive_ = -1, gone_ = -1;
};

// A process that computes a job, as /proc shows it.
struct Worker {
  pid_t pid = 0;
  fs::path folder;  // of its job
  std::map<std::string, std::string> variables;

  std::string variable(const std::string& name) const {
    const auto found = variables.find(name);
    return found == variables.end() ? "" : found->second;
  }
  std::string node() const { return variable("SLURMD_NODENAME"); }
  // "12_3", as scancel wants it.
  std::string task() const {
    return variable("SLURM_ARRAY_JOB_ID") + "_" + variable("SLURM_ARRAY_TASK_ID");
  }
};

inline std::vector<std::string> split_at_zeros(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::vector<std::string> parts;
  for (std::string part; std::getline(stream, part, '\0');) parts.push_back(part);
  return parts;
}

// The run_job processes whose job lies below `house`.
inline std::vector<Worker> workers_below(const fs::path& house) {
  std::vector<Worker> workers;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::vector<std::string> words = split_at_zeros(entry.path() / "cmdline");
    if (words.size() < 2 || fs::path(words[0]).filename() != "run_job") continue;
    const fs::path folder = fs::read_symlink(entry.path() / "cwd", ignored) / words[1];
    if (!folder.string().starts_with(house.string())) continue;
    Worker worker{std::stoi(name), folder, {}};
    for (const std::string& variable : split_at_zeros(entry.path() / "environ")) {
      const size_t equals = variable.find('=');
      if (equals != std::string::npos) {
        worker.variables[variable.substr(0, equals)] = variable.substr(equals + 1);
      }
    }
    workers.push_back(std::move(worker));
  }
  return workers;
}

// "T" while it is frozen, "" when there is no such process.
inline std::string state_of(pid_t process) {
  std::ifstream stream(fmt::format("/proc/{}/stat", process));
  std::string text;
  std::getline(stream, text);
  const size_t end = text.rfind(") ");
  return end == std::string::npos ? "" : text.substr(end + 2, 1);
}

// Whether a frozen process has been sent `signal` meanwhile.
inline bool awaits(pid_t process, int signal) {
  std::ifstream stream(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with("ShdPnd:")) continue;
    return (std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1) != 0;
  }
  return false;
}

}  // namespace tarflow::cluster
