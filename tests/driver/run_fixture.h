// run_sweep as users start it, with a fake worker.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "framework/job/attempts.h"
#include "framework/job/job.h"
#include "framework/record/record.h"
#include "tests/support/house.h"

namespace tarflow::driver {

namespace fs = std::filesystem;
struct Finished {
  int status = 0;  // exit status; 128 + signal
  std::string out, err;
};

// Returns when `is_so`; throws, which fails the test, when it is not in a time in which it is on
// the slowest machine.
template <typename Condition>
void wait_until(const std::string& what, const Condition& is_so) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("waited in vain: " + what);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

class RunSweep : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(house_ / "bin");
    fs::create_symlink(TARFLOW_FAKE_WORKER, house_ / "bin/run_job");
    write_file(house_ / "bin/analyze", "#!/bin/sh\necho \"TABLES of $1\"\n");
    fs::permissions(house_ / "bin/analyze", fs::perms::owner_all);
    write_json_file(house_ / "share/experiments.json",
                    tarflow::to_json(ExperimentSchemas{look_schema(), measure_schema()}));
    state("[1, 2, 3]", "[0, 1]");
  }

  // The sweep, a grid over value and lr.
  void state(const std::string& values, const std::string& lrs, const std::string& more = "") {
    write_file(house_ / "demo.yaml",
               fmt::format(
                   "experiments:\n  - measure:\n      grid:\n        value: {}\n        lr: {}\n{}",
                   values, lrs, more));
  }

  // Its output goes to the files out and err followed by `suffix`.
  pid_t start(const std::string& arguments,
              const std::map<std::string, std::string>& variables = {},
              const std::string& suffix = "") {
    const pid_t process = ::fork();
    if (process != 0) return *running_.insert(process).first;
    ::setenv("FAKE_WORKER_RUNS", (house_ / "runs").c_str(), 1);
    ::setenv("FAKE_WORKER_STARTED", (house_ / "started").c_str(), 1);
    ::setenv("FAKE_WORKER_SCHEMAS", (house_ / "share/experiments.json").c_str(), 1);
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
    if (::chdir(house_.path().c_str()) != 0) ::_exit(99);
    const std::string line = fmt::format("exec {} --programs bin {} >out{} 2>err{}",
                                         TARFLOW_RUN_SWEEP, arguments, suffix, suffix);
    ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    ::_exit(99);
  }

  Finished wait(pid_t process, const std::string& suffix = "") {
    int status = 0;
    wait_until(fmt::format("process {} to end", process),
               [&] { return ::waitpid(process, &status, WNOHANG) != 0; });
    running_.erase(process);
    return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
            read_file(house_ / ("out" + suffix)), read_file(house_ / ("err" + suffix))};
  }

  Finished run(const std::string& arguments = "demo.yaml", const std::string& behaviour = "") {
    fs::remove(house_ / "runs");
    return wait(start(arguments, {{"FAKE_WORKER", behaviour}}));
  }

  void wait_for_worker() {
    wait_until("the worker to say that it runs", [&] { return fs::exists(house_ / "started"); });
  }

  // Starts a run whose job of `value` blocks, and waits until it does. Returns run_sweep and the
  // worker.
  std::pair<pid_t, pid_t> start_blocked(int value, const std::string& how = "block") {
    fs::remove(house_ / "started");
    fs::remove(house_ / "runs");
    const pid_t driver = start("demo.yaml", {{"FAKE_WORKER", fmt::format("{} {}", how, value)}});
    wait_for_worker();
    return {driver, std::stoi(read_file(house_ / "started"))};
  }

  // Beside a run that is at work.
  Finished run_beside(const std::string& arguments) { return wait(start(arguments, {}, "2"), "2"); }

  size_t started_jobs() {
    if (!fs::exists(house_ / "runs")) return 0;
    const std::string text = read_file(house_ / "runs");
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  record::SweepRecord record() { return record::read_sweep(house_ / "results/demo.h5"); }

  // The digest of the same sweep in another folder, run without disturbance.
  std::string undisturbed() {
    EXPECT_EQ(run("demo.yaml --results undisturbed").status, 0);
    return record::digest(record::read_sweep(house_ / "undisturbed/demo.h5"));
  }

  fs::path job_folder_of(double value) {
    for (const auto& entry : fs::directory_iterator(house_ / "results/demo/jobs")) {
      const Json job = read_json_file(entry.path() / "job.json");
      if (job.at("settings").at("value") == value) return entry.path();
    }
    ADD_FAILURE() << "no job of value " << value;
    return {};
  }

  // A test that gave up waiting leaves nothing behind.
  void TearDown() override {
    for (const pid_t process : running_) {
      ::kill(process, SIGKILL);
      ::waitpid(process, nullptr, 0);
    }
  }

  Scratch house_;
  std::set<pid_t> running_;
};

}  // namespace tarflow::driver
