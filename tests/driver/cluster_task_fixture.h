// run_sweep --cluster-task as sbatch starts it, with a fake worker and a scontrol that writes down
// what it is asked.
#pragma once

#include "framework/process/host.h"
#include "framework/slurm/events.h"
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {

inline constexpr auto kScontrol = R"(#!/bin/sh
echo "$*" >> asked
case $1 in show) cat shown ;; esac
)";
inline constexpr auto kSqueue = R"(#!/bin/sh
echo "squeue $*" >> asked
cat queued
)";
inline constexpr auto kSacct = R"(#!/bin/sh
echo "Slurm accounting storage is disabled" >&2
exit 1
)";

class ClusterTasks : public RunSweep {
 protected:
  // Three jobs yet to be done, in one task.
  void SetUp() override {
    RunSweep::SetUp();
    ASSERT_EQ(run().status, 0);
    submission_.job_name = "demo-x";
    submission_.job_id = "7";
    submission_.submitted = process::utc_now();
    submission_.programs = house_ / "bin";
    submission_.run.gpus = 0;
    submission_.run.threads = 1;
    submission_.run.backoff = 0;
    submission_.profile.signal_lead = 60;
    submission_.tasks.emplace_back();
    for (const int value : {1, 2, 3}) {
      const fs::path job = job_folder_of(value);
      fs::remove(job / "result.h5");
      submission_.tasks[0].push_back(job.filename().string());
    }
    fs::remove(house_ / "runs");
    fs::create_directories(folder_.path);
    fs::create_directories(house_ / "slurm");
    for (const auto& [name, text] : std::map<std::string, const char*>{
             {"scontrol", kScontrol}, {"squeue", kSqueue}, {"sacct", kSacct}}) {
      write_file(house_ / ("slurm/" + name), text);
      fs::permissions(house_ / ("slurm/" + name), fs::perms::owner_all);
    }
    slurm_says("RUNNING");
  }

  void slurm_says(const std::string& state) {
    write_file(house_ / "shown",
               fmt::format("JobId=8 ArrayJobId=7 ArrayTaskId=0 JobState={} Reason=None\n", state));
  }
  std::string path() const { return (house_ / "slurm").string() + ":" + ::getenv("PATH"); }

  // What --status prints when squeue has this line of the task.
  std::string status(const std::string& queued) {
    slurm::write_submission(folder_, submission_);
    write_file(house_ / "queued", queued);
    const Finished shown = wait(start("demo.yaml --status", {{"PATH", path()}}));
    EXPECT_EQ(shown.status, 0) << shown.err;
    return shown.out;
  }

  pid_t start_task(const std::string& behaviour, int restart = 0) {
    slurm::write_submission(folder_, submission_);
    return start_as_it_is(behaviour, restart);
  }
  // With whatever its submission's folder holds.
  pid_t start_as_it_is(const std::string& behaviour = "", int restart = 0, int task = 0) {
    ::setenv("FAKE_WORKER_FILE", (house_ / "go").c_str(), 1);
    fs::remove(house_ / "started");
    return start("--cluster-task " + folder_.path.string(),
                 {{"FAKE_WORKER", behaviour},
                  {"PATH", path()},
                  {"SLURM_ARRAY_JOB_ID", "7"},
                  {"SLURM_ARRAY_TASK_ID", fmt::format("{}", task)},
                  {"SLURM_RESTART_COUNT", fmt::format("{}", restart)},
                  {"SLURMD_NODENAME", "n1"}});
  }
  Finished run_task(const std::string& behaviour = "", int restart = 0) {
    return wait(start_task(behaviour, restart));
  }
  // A run on this machine, which has Slurm's programs.
  Finished run_here() { return wait(start("demo.yaml", {{"PATH", path()}})); }

  // Another start of the task, as after the node was given up.
  void start_elsewhere() {
    slurm::TaskEvent other;
    other.what = "start";
    other.host = "n2";
    other.restart = 1;
    slurm::append_event(folder_, other);
  }
  // "start", "job done", "told USR2", ...: what was noted.
  std::vector<std::string> noted() {
    std::vector<std::string> words;
    for (const slurm::TaskEvent& event : slurm::read_events(folder_, 0)) {
      words.push_back(event.what);
      if (!event.outcome.empty()) words.back() += " " + event.outcome;
      if (event.what == "told") words.back() += " " + event.text;
    }
    return words;
  }
  std::string asked() { return fs::exists(house_ / "asked") ? read_file(house_ / "asked") : ""; }
  bool has_result(double value) { return fs::exists(job_folder_of(value) / "result.h5"); }

  slurm::Submission submission_;
  const slurm::SubmissionFolder folder_{house_ / "results/demo/slurm/x"};
};

}  // namespace tarflow::driver
