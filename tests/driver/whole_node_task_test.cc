// The task of a job array whose allocations are whole nodes: several jobs at once, each on GPUs of
// its own.
#include <fmt/ranges.h>

#include "tests/driver/cluster_task_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr auto kGpus = R"sh(#!/bin/sh
for gpu in 0 1 2 3 4 5; do echo "GPU $gpu: Fake (UUID: GPU-$gpu)"; done
)sh";

class ClusterTasksOfWholeNodes : public ClusterTasks {
 protected:
  // Two of the three jobs run at once.
  void SetUp() override {
    ClusterTasks::SetUp();
    submission_.profile.executor = slurm::Executor::kSlurm;
    submission_.profile.name = "centre";
    submission_.profile.node_gpus = 2;
    submission_.run.gpus = 1;
    submission_.run.threads = 3;
    // Of a machine with GPUs, too, the test knows which there are.
    write_file(house_ / "slurm/nvidia-smi", kGpus);
    fs::permissions(house_ / "slurm/nvidia-smi", fs::perms::owner_all);
    ::setenv("CUDA_VISIBLE_DEVICES", "4,2", 1);
  }
  void TearDown() override {
    ::unsetenv("CUDA_VISIBLE_DEVICES");
    ClusterTasks::TearDown();
  }

  void wait_for_work(std::initializer_list<int> values) {
    for (const int value : values) {
      const fs::path file = job_folder_of(value) / "at_work";
      wait_until(fmt::format("job {} to be at work", value), [&] { return fs::exists(file); });
    }
  }
  void wait_for_results(std::initializer_list<int> values) {
    for (const int value : values) {
      wait_until(fmt::format("job {} to be done", value), [&] { return has_result(value); });
    }
  }
  std::string surroundings_of(int value) { return read_file(job_folder_of(value) / "at_work"); }
  void let_go() { write_file(house_ / "go", ""); }
};

TEST_F(ClusterTasksOfWholeNodes, EachJobThatRunsAtOnceHasGpusOfItsOwn) {
  const pid_t task = start_task("wait_for_file 1 wait_for_file 2");
  wait_for_work({1, 2});
  EXPECT_EQ(started_jobs(), 2u) << "the third waits for a free GPU";
  EXPECT_EQ(surroundings_of(1), "devices '4' threads '3' started with --ranks 1 --threads 3\n");
  EXPECT_EQ(surroundings_of(2), "devices '2' threads '3' started with --ranks 1 --threads 3\n");
  let_go();
  const Finished finished = wait(task);
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.out, AllOf(HasSubstr("on n1, 2 jobs at once"), HasSubstr("runs on GPU 4,"),
                                  HasSubstr("runs on GPU 2,")));
  EXPECT_THAT(noted(), ElementsAre("start", "job done", "job done", "job done", "end"));
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_EQ(run_here().status, 0);
  EXPECT_EQ(record::digest(record()), undisturbed());
}

TEST_F(ClusterTasksOfWholeNodes, StatusShowsEachJobThatRuns) {
  const pid_t task = start_task("wait_for_file 1 wait_for_file 2");
  wait_for_work({1, 2});
  EXPECT_THAT(
      status("7|0|RUNNING|n1|1:05|None\n"),
      AllOf(HasSubstr("0 of 6 points done, 2 jobs running, 1 job queued"),
            ContainsRegex("running .* measure value=1, 2 points by lr \\(7_0 on n1, 1:05\\)"),
            ContainsRegex("running .* measure value=2, 2 points by lr \\(7_0 on n1, 1:05\\)"),
            HasSubstr("its task runs other jobs first")));
  let_go();
  EXPECT_EQ(wait(task).status, 0);
}

TEST_F(ClusterTasksOfWholeNodes, ATimedJobHasItsGpuToItselfWhileAnotherRunsBesideIt) {
  submission_.timed.insert(submission_.tasks[0][0]);
  const pid_t task = start_task("wait_for_file 1 wait_for_file 2");
  wait_for_work({1, 2});
  let_go();
  EXPECT_EQ(wait(task).status, 0);
  EXPECT_THAT(surroundings_of(1), HasSubstr("--exclusive"));
  EXPECT_THAT(surroundings_of(2), Not(HasSubstr("--exclusive")));
}

TEST_F(ClusterTasksOfWholeNodes, RanksOfAJobAreStartedByItsWorker) {
  ::setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3", 1);
  submission_.profile.node_gpus = 4;
  submission_.run.gpus = 2;
  const pid_t task = start_task("wait_for_file 1 wait_for_file 2");
  wait_for_work({1, 2});
  let_go();
  EXPECT_EQ(wait(task).status, 0);
  EXPECT_EQ(surroundings_of(1), "devices '0,1' threads '3' started with --ranks 2 --threads 6\n");
  EXPECT_EQ(surroundings_of(2), "devices '2,3' threads '3' started with --ranks 2 --threads 6\n");
}

TEST_F(ClusterTasksOfWholeNodes, TheNextJobBeginsWhenAGpuIsFree) {
  const pid_t task = start_task("wait_for_file 1");
  wait_for_results({2, 3});
  EXPECT_FALSE(has_result(1));
  let_go();
  EXPECT_EQ(wait(task).status, 0);
  EXPECT_TRUE(has_result(1));
  EXPECT_EQ(started_jobs(), 3u);
}

TEST_F(ClusterTasksOfWholeNodes, AFailedJobIsTriedAgainWhileTheOtherGoesOn) {
  submission_.run.retries = 1;
  const pid_t task = start_task("wait_for_file 1 fail_once 2");
  wait_for_results({2, 3});
  let_go();
  EXPECT_EQ(wait(task).status, 0);
  EXPECT_THAT(noted(),
              ElementsAre("start", "job again", "job done", "job done", "job done", "end"));
  EXPECT_EQ(slurm::read_events(folder_, 0)[4].job, submission_.tasks[0][0]);
}

TEST_F(ClusterTasksOfWholeNodes, AJobThatFailsForGoodKeepsNoOtherFromRunning) {
  const pid_t task = start_task("wait_for_file 1 fail 2");
  wait_for_results({3});
  let_go();
  EXPECT_EQ(wait(task).status, 1);
  EXPECT_THAT(noted(), ElementsAre("start", "job failed", "job done", "job done", "end"));
  EXPECT_EQ(slurm::read_events(folder_, 0).back().failed, 1u);
}

TEST_F(ClusterTasksOfWholeNodes, AJobThatReachesItsTimeLimitFailsAndTheOthersOfItsTaskGoOn) {
  submission_.run.retries = 0;
  submission_.run.time_limit = 3;
  EXPECT_EQ(run_task("stoppable 1 stoppable 2").status, 1);
  EXPECT_THAT(noted(), ElementsAre("start", "job failed", "job failed", "job done", "end"));
  EXPECT_THAT(slurm::read_events(folder_, 0)[1].text, HasSubstr("time limit"));
  EXPECT_TRUE(has_result(3)) << "it began when the others had ended";
  EXPECT_EQ(asked(), "") << "the task is not queued again";
}

TEST_F(ClusterTasksOfWholeNodes, AheadOfItsEndAllWorkersStopAndTheTaskQueuesAgainOnce) {
  const pid_t task = start_task("stoppable 1 stoppable 2");
  wait_for_work({1, 2});
  ::kill(task, SIGUSR2);
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(),
              ElementsAre("start", "told USR2", "job stopped", "job stopped", "requeue", "end"));
  EXPECT_EQ(slurm::read_events(folder_, 0).back().left, 3u);
  const std::string words = asked();
  EXPECT_THAT(words, HasSubstr("requeue 7_0\n"));
  EXPECT_EQ(words.find("requeue"), words.rfind("requeue"));
  for (const int value : {1, 2}) EXPECT_TRUE(fs::exists(job_folder_of(value) / "reached"));
  EXPECT_EQ(started_jobs(), 2u) << "the third was not begun";
  EXPECT_EQ(run_task("", 1).status, 0);
  EXPECT_TRUE(has_result(1) && has_result(2) && has_result(3));
}

TEST_F(ClusterTasksOfWholeNodes, AWorkerThatDoesNotEndByItselfIsNotedAsKilled) {
  submission_.profile.signal_lead = 1;
  const pid_t task = start_task("deaf 1 stoppable 2");
  wait_for_work({2});
  write_json_file(job_folder_of(1) / "progress.json",
                  {{"done", 3}, {"total", 4}, {"resumable", true}, {"done_before", 0.25}});
  ::kill(task, SIGUSR2);
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(),
              ElementsAre("start", "told USR2", "job stopped", "job stopped", "requeue", "end"));
  for (const slurm::TaskEvent& event : slurm::read_events(folder_, 0)) {
    if (event.outcome != "stopped") continue;
    EXPECT_EQ(event.killed, event.job == submission_.tasks[0][0]);
    if (event.killed) {
      EXPECT_EQ(event.reached, 0.25) << "what it has done since is lost";
    }
  }
}

TEST_F(ClusterTasksOfWholeNodes, AWorkerThatIsToldToEndEndsTheOthersAsWell) {
  const pid_t task = start_task("stoppable 1 stoppable 2");
  wait_for_work({1, 2});
  wait_for_worker();
  ::kill(std::stoi(read_file(house_ / "started")), SIGTERM);  // either
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(), ElementsAre("start", "job stopped", "job stopped", "requeue", "end"));
}

TEST_F(ClusterTasksOfWholeNodes, AStartThatWasGivenUpEndsAllOfItsWorkers) {
  const pid_t task = start_task("stoppable 1 stoppable 2");
  wait_for_work({1, 2});
  start_elsewhere();
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(), ElementsAre("start", "start", "job stopped", "job stopped", "end"));
  EXPECT_EQ(asked(), "");
}

TEST_F(ClusterTasksOfWholeNodes, WhatTheNodeCannotRunIsLeftWhileOthersAreDone) {
  const pid_t task = start_task("missing 1 wait_for_file 2");
  wait_for_results({3});
  let_go();
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(), ElementsAre("start", "job again", "job done", "job done", "end"));
  EXPECT_EQ(slurm::read_events(folder_, 0).back().left, 1u);
  EXPECT_EQ(asked(), "") << "this node would not run it the next time";
}

TEST_F(ClusterTasksOfWholeNodes, JobsBeyondTheAllocationsTimeAreFailedAloneWhenTheyComeNoFurther) {
  submission_.profile.time = 0.02;  // so that each attempt takes most of it
  std::vector<std::string> first = submission_.tasks[0];
  for (const int restart : {0, 1}) {
    for (const std::string& hash : {first[0], first[1]}) {
      slurm::TaskEvent stopped;
      stopped.what = "job";
      stopped.job = hash;
      stopped.outcome = "stopped";
      stopped.seconds = 1;
      stopped.reached = hash == first[0] ? 0.5 : -1;  // the second came further since
      stopped.restart = restart;
      slurm::append_event(folder_, stopped);
    }
  }
  const pid_t task = start_task("stoppable 1 stoppable 2", 2);
  wait_for_work({1, 2});
  ::kill(task, SIGUSR2);
  EXPECT_EQ(wait(task).status, 75);
  std::vector<std::string> failed;
  for (const slurm::TaskEvent& event : slurm::read_events(folder_, 0)) {
    if (event.outcome == "failed") failed.push_back(event.job);
  }
  EXPECT_THAT(failed, UnorderedElementsAre(first[0]));
  EXPECT_EQ(slurm::read_events(folder_, 0).back().left, 2u);
}

TEST_F(ClusterTasksOfWholeNodes, ANodeWithFewerGpusRunsFewerJobsAtOnceAndSaysSo) {
  submission_.profile.node_gpus = 4;
  const pid_t task = start_task("wait_for_file 1 wait_for_file 2");
  wait_for_work({1, 2});
  EXPECT_EQ(started_jobs(), 2u);
  let_go();
  const Finished finished = wait(task);
  EXPECT_EQ(finished.status, 0);
  EXPECT_THAT(finished.out, HasSubstr("this node has 2 GPUs for jobs; `node_gpus` of the cluster "
                                      "profile is 4"));
}

TEST_F(ClusterTasksOfWholeNodes, OnANodeWhoseGpusCannotBeToldTheTaskHasBegunAndFails) {
  ::setenv("CUDA_VISIBLE_DEVICES", "4,none", 1);
  const Finished finished = run_task();
  EXPECT_THAT(finished.status, testing::AnyOf(1, 2));
  EXPECT_THAT(finished.err, HasSubstr("CUDA_VISIBLE_DEVICES is `4,none`"));
  EXPECT_THAT(noted(), ElementsAre("start")) << "its jobs are submitted again";
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(ClusterTasksOfWholeNodes, APlanShowsTheRequestAndJobsThatNoNodeCanRun) {
  write_file(house_ / "nodes.yaml",
             "executor: slurm\npartition: batch\nnode_gpus: 4\ncpus_per_task: 8\n");
  const auto plan = [&](const std::string& run) {
    state("[1, 2, 3]", "[0, 1]", run);
    return wait(start("plan demo.yaml --results other --cluster ./nodes.yaml", {{"PATH", path()}}));
  };
  EXPECT_THAT(plan("").out, AllOf(HasSubstr("4 jobs at once on the 4 GPUs of a node"),
                                  HasSubstr("--gres=gpu:4\n"), HasSubstr("--array=0-0\n"),
                                  HasSubstr("--ntasks-per-node=4\n")));
  const Finished large = plan("run: {gpus: 8}\n");
  EXPECT_THAT(large.err, AllOf(HasSubstr("demo.yaml:6:7"), HasSubstr("jobs of 8 GPUs"),
                               HasSubstr("`nodes` have 4"), HasSubstr("state gpus: 4 or fewer")));
  fs::remove(house_ / "asked");
  const Finished run =
      wait(start("demo.yaml --results other --cluster ./nodes.yaml", {{"PATH", path()}}));
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("demo.yaml:6:7"));
  EXPECT_EQ(asked(), "") << "nothing is submitted";
}

}  // namespace
}  // namespace tarflow::driver
