// A driver of jobs on a Slurm that is made of answers, on a clock of its own.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/file.h"
#include "framework/slurm/driver.h"
#include "tests/support/house.h"
#include "tests/support/results.h"

namespace tarflow::slurm {

namespace fs = std::filesystem;
using job::Event;
using std::chrono::seconds;

// Arrays and the states of their tasks, as the test sets them.
struct FakeSlurm {
  std::map<int, std::vector<std::string>> arrays;
  std::vector<std::string> cancelled;
  int asked = 0, refused = 0, next = 7;
  std::string refusal;  // of sbatch
  std::string limit;    // that it names when more than `room` tasks would be open
  size_t room = SIZE_MAX;
  std::map<int, std::string> reasons;  // why an array waits
  std::string own_running;             // the user's, as squeue lists them

  process::Said operator()(const std::vector<std::string>& command) {
    ++asked;
    const std::string& program = command.front();
    if (program == "sbatch") return take(command.back());
    if (program == "squeue" && command[2].starts_with("--user=")) return {0, own_running, ""};
    if (program == "squeue") return {0, queue(), ""};
    if (program == "scancel") cancelled.push_back(command.back());
    if (program == "scontrol" && command[1] == "show" && command[2] == "config") {
      return {0, "ClusterName = far\nMaxArraySize = 1001\n", ""};
    }
    if (program == "scontrol" && command[1] == "show") return {0, shown(command.back()), ""};
    if (program == "sacct") return {1, "", "Slurm accounting storage is disabled"};
    return {0, "", ""};
  }

  process::Said take(const std::string& script) {
    if (!refusal.empty()) {
      ++refused;
      return {1, "", refusal};
    }
    const Submission submission = read_submission({fs::path(script).parent_path()});
    if (open() + submission.tasks.size() > room) {
      ++refused;
      return {1, "", limit};
    }
    arrays[next] = std::vector<std::string>(submission.tasks.size(), "PENDING");
    return {0, fmt::format("{}\n", next++), ""};
  }
  size_t open() const {
    size_t count = 0;
    for (const auto& [number, tasks] : arrays) {
      for (const std::string& task : tasks) count += task == "PENDING" || task == "RUNNING";
    }
    return count;
  }
  std::string queue() const {
    std::string text;
    for (const auto& [number, tasks] : arrays) {
      for (size_t i = 0; i < tasks.size(); ++i) {
        const bool waits = tasks[i] == "PENDING";
        text += fmt::format("{}|{}|{}|{}|0:01|{}\n", number, i, tasks[i], waits ? "" : "n1",
                            waits ? reason_of(number) : "None");
      }
    }
    return text;
  }
  std::string reason_of(int number) const {
    const auto reason = reasons.find(number);
    return reason == reasons.end() ? "Priority" : reason->second;
  }
  std::string shown(const std::string& number) const {
    std::string text;
    const std::vector<std::string>& tasks = arrays.at(std::stoi(number));
    for (size_t i = 0; i < tasks.size(); ++i) {
      text += fmt::format(
          "JobId=9{} ArrayJobId={} ArrayTaskId={} JobState={} Reason=None NodeList=n1\n", i, number,
          i, tasks[i]);
    }
    return text;
  }
};

// What tests of drivers share, whatever the queue: jobs, their results, and a clock.
class DriverHouse : public ::testing::Test {
 protected:
  static job::Task task(const std::string& hash, int64_t tries = 0) {
    job::Job job;
    job.hash = hash;
    job.experiment = "measure";
    job.points.push_back({"p" + hash, "k" + hash, {}, {}, true});
    job::Task task;
    task.job = std::make_shared<const job::Job>(std::move(job));
    task.turn = static_cast<size_t>(hash.back());
    task.tries = tries;
    return task;
  }
  job::JobFolder folder(const std::string& hash) { return {house_ / "results/demo/jobs" / hash}; }
  void finish(const std::string& hash) { write_result(folder(hash), *task(hash).job); }

  // The driver of a test, and the clock of `options`.
  virtual SlurmDriver& driver() = 0;
  void set_clock(Patience& patience) {
    patience.now = [this] { return now_; };
    patience.sleep = [this](std::chrono::milliseconds time) { now_ += time; };
  }
  // "done a", "failed b", ...: what a look shows, progress left out.
  std::vector<std::string> look() {
    now_ += seconds(15);
    last_ = driver().poll();
    std::vector<std::string> words;
    for (const Event& event : last_) {
      static const std::map<Event::What, std::string> kNames = {
          {Event::What::kStarted, "started"}, {Event::What::kQueued, "queued"},
          {Event::What::kDone, "done"},       {Event::What::kFailed, "failed"},
          {Event::What::kStopped, "stopped"}, {Event::What::kReturned, "returned"},
          {Event::What::kRemark, "remark"}};
      const auto name = kNames.find(event.what);
      if (name != kNames.end()) words.push_back(name->second + " " + event.hash);
    }
    return words;
  }
  // Until something is concluded.
  std::vector<std::string> look_until_told() {
    for (int i = 0; i < 20; ++i) {
      if (const std::vector<std::string> words = look(); !words.empty()) return words;
    }
    return {};
  }

  Scratch house_;
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
  std::vector<Event> last_;
};

class Driver : public DriverHouse {
 protected:
  SlurmOptions options() {
    SlurmOptions options;
    options.profile.executor = Executor::kSlurm;
    options.profile.partition = "main";
    options.profile.max_resubmissions = 2;
    options.sweep_folder = house_ / "results/demo";
    options.programs = "/programs";
    options.poll = seconds(15);
    options.patience.ask = [this](const std::vector<std::string>& command) {
      return slurm_(command);
    };
    set_clock(options.patience);
    return options;
  }
  SlurmOptions few(int most) {
    SlurmOptions few = options();
    few.profile.max_queued = most;
    return few;
  }

  SlurmDriver& driver() override { return driver_; }
  std::vector<Submission> submissions() {
    std::vector<Problem> problems;
    std::vector<Submission> all;
    for (const KnownSubmission& known : read_submissions(house_ / "results/demo", problems)) {
      all.push_back(known.submission);
    }
    return all;
  }

  FakeSlurm slurm_;
  SlurmDriver driver_{options()};
};

}  // namespace tarflow::slurm
