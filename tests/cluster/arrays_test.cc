// Undisturbed sweeps on a real Slurm of two nodes: arrays, packing, ranks, several sweeps at once.
#include "tests/cluster/sweeps.h"

namespace tarflow::cluster {
namespace {

// The jobs of a submission's tasks, a list a task.
Json tasks_of(const fs::path& submission) {
  return read_json_file(submission / "submission.json").at("tasks");
}

class Arrays : public OnSlurm {};

TEST_F(Arrays, FortyPointsOnTwoNodesEqualALocalRun) {
  sweep("trial_sweep", 8,
        "{strategy: [For, '[7-8-4-4]'], cfg: [0, 1], seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}");
  ASSERT_EQ(end_of(start_on_slurm()), 0) << printed();
  ASSERT_EQ(submissions().size(), 1u) << "one array, not one submission a point";
  EXPECT_EQ(tasks_of(submissions()[0]).size(), 40u);
  const std::string programs = read_json_file(submissions()[0] / "submission.json").at("programs");
  EXPECT_TRUE(programs.starts_with((house_ / "results/.cache/programs").string())) << programs;
  EXPECT_NE(read_file(submissions()[0] / "submit.sbatch").find(programs + "/run_sweep"),
            std::string::npos);
  EXPECT_EQ(nodes_used(), (std::set<std::string>{"n1", "n2"}));
  EXPECT_EQ(queue(), "");
  const Json progress = read_json_file(house_ / "results/trial_sweep/progress.json");
  EXPECT_EQ(progress.at("done"), 40);
  EXPECT_EQ(progress.at("over"), true);
  EXPECT_TRUE(fs::exists(house_ / "results/trial_sweep/report/report.html"));
  expect_as_undisturbed(40);
}

TEST_F(Arrays, TwoSweepsAtOnceEachGetTheirOwnPoints) {
  profile("partition: main\njobs_per_allocation: 4\n");
  sweep("trial_sweep", 16, "{strategy: [For, '[7-8-4-4]'], seed: [0, 1, 2, 3]}");
  sweep("other_sweep", 16, "{strategy: [For, '[6-8-4-4]'], seed: [0, 1, 2, 3]}");
  const pid_t one = start_on_slurm("trial_sweep");
  const pid_t two = start_on_slurm("other_sweep");
  EXPECT_EQ(end_of(one), 0) << printed("trial_sweep");
  EXPECT_EQ(end_of(two), 0) << printed("other_sweep");
  for (const char* name : {"trial_sweep", "other_sweep"}) {
    ASSERT_EQ(submissions(name).size(), 1u);
    const Json tasks = tasks_of(submissions(name)[0]);
    ASSERT_EQ(tasks.size(), 2u) << "eight jobs, four an allocation: " << tasks.dump();
    EXPECT_EQ(tasks[0].size(), 4u);
    expect_as_undisturbed(8, name);
  }
}

TEST_F(Arrays, OnWholeNodesTwoJobsRunAtOnceOnGpusOfTheirOwn) {
  // The GPUs are make-believe, whatever this machine has.
  write_file(house_ / "gpus/nvidia-smi", "#!/bin/sh\nfor i in 0 1; do echo GPU $i: Fake; done\n");
  fs::permissions(house_ / "gpus/nvidia-smi", fs::perms::owner_all);
  profile(
      fmt::format("partition: main\nnode_gpus: 2\njobs_per_allocation: 2\n"
                  "setup: ['export PATH={}:$PATH']\n",
                  (house_ / "gpus").string()));
  sweep("trial_sweep", 16, "{device: [cpu], strategy: [For, '[7-8-4-4]'], seed: [0, 1, 2, 3]}");
  const pid_t driver =
      start("trial_sweep.yaml --cluster trial.yaml --wait --set run.gpus=1", "trial_sweep");
  ASSERT_EQ(end_of(driver), 0) << printed();
  ASSERT_EQ(submissions().size(), 1u);
  const fs::path submission = submissions()[0];
  const Json tasks = tasks_of(submission);
  ASSERT_EQ(tasks.size(), 2u) << "eight jobs, two after another on each of two GPUs";
  EXPECT_EQ(tasks[0].size(), 4u);
  const std::string request = read_file(submission / "submit.sbatch");
  EXPECT_NE(request.find("#SBATCH --gres=gpu:2\n"), std::string::npos) << request;
  EXPECT_NE(request.find("#SBATCH --ntasks-per-node=2\n"), std::string::npos) << request;
  for (const char* name : {"task-0.out", "task-1.out"}) {
    const std::string output = read_file(submission / name);
    for (const char* words : {"2 jobs at once", "runs on GPU 0,", "runs on GPU 1,"}) {
      EXPECT_NE(output.find(words), std::string::npos) << name << ": " << output;
    }
  }
  expect_as_undisturbed(8);
}

TEST_F(Arrays, TwoRanksOnTwoNodesEqualOneProcess) {
  sweep("trial_sweep", 48, "{strategy: [For, '[7-8-4-4]']}", "nodes: 2, ranks: 1");
  ASSERT_EQ(end_of(start_on_slurm()), 0) << printed();
  EXPECT_EQ(nodes_used(), std::set<std::string>{"n[1-2]"});
  const record::SweepRecord record = record::read_sweep(house_ / "results/trial_sweep.h5");
  for (const auto& row : record.rows) {
    EXPECT_EQ(std::get<int64_t>(row.at("ranks")), 2);
  }
  expect_as_undisturbed(2);
}

}  // namespace
}  // namespace tarflow::cluster
