// What --check says of a profile, from what Slurm's programs print.
#include "framework/slurm/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "tests/support/house.h"

namespace tarflow::slurm {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// sinfo of Slurm 22.05: two kinds of node in one partition, a banner, a partition without a limit.
constexpr auto kNodes = R"(Welcome to the cluster
gpu*|up|2-00:00:00|gpu:a100:4(S:0-1),lustre:1|64|6
gpu*|up|2-00:00:00|gpu:v100:2|32|2
cpu|up|infinite|(null)|128+|10
old|down|1:00:00|gpu:2|16|1
)";

class Check : public ::testing::Test {
 protected:
  Check() {
    profile_.executor = Executor::kSlurm;
    profile_.name = "lab";
    profile_.partition = "gpu";
    patience_.pause = patience_.longest = std::chrono::milliseconds(1);
    patience_.limit = std::chrono::hours(1);
    said_["sinfo"] = {0, kNodes, ""};
    said_["sacctmgr"] = {0, "vision||normal,high\nteaching|cpu|normal\n", ""};
    said_["sbatch"] = {0, "", "sbatch: Job 7 to start at 2026-01-02T03:04:05 using 8 processors\n"};
  }

  Patience asking() {
    Patience patience = patience_;
    patience.ask = ask();
    return patience;
  }
  Ask ask() {
    return [this](const std::vector<std::string>& command) {
      asked_ = command;
      return said_.at(command.front());
    };
  }
  std::string check() { return findings_text(check_profile(profile_, "ann", asking())); }

  ClusterProfile profile_;
  Patience patience_;
  std::map<std::string, process::Said> said_;
  std::vector<std::string> asked_;
};

TEST_F(Check, WhatTheClusterHasIsGood) {
  profile_.account = "vision";
  profile_.gpu_type = "v100";
  profile_.cpus_per_task = 64;
  profile_.time = 2 * 86400;
  EXPECT_THAT(check(),
              AllOf(HasSubstr("ok     partition gpu: up, 8 nodes, jobs of at most 2-00:00:00"),
                    HasSubstr("ok     GPUs of type v100: 2 a node"),
                    HasSubstr("ok     cpus_per_task 64: nodes have 64"),
                    HasSubstr("ok     time 2-00:00:00"), HasSubstr("ok     account vision: yours"),
                    Not(HasSubstr("WRONG"))));
}

TEST_F(Check, WhatItHasNotIsToldWithARepair) {
  profile_.account = "project1234";
  profile_.gpu_type = "h100";
  profile_.cpus_per_task = 65;
  profile_.time = 3 * 86400;
  const std::string text = check();
  EXPECT_THAT(text, AllOf(HasSubstr("WRONG  GPUs of type h100: none in partition gpu"),
                          HasSubstr("WRONG  cpus_per_task 65: nodes have 64\n       at most 64"),
                          HasSubstr("WRONG  time 3-00:00:00: the partition allows 2-00:00:00"),
                          HasSubstr("WRONG  account project1234: not one of ann\n       yours: "
                                    "teaching, vision")));
  profile_.partition = "gpuu";
  EXPECT_THAT(check(), AllOf(HasSubstr("WRONG  partition gpuu: the cluster has none of that name"),
                             HasSubstr("it has cpu, gpu, old")));
  profile_.partition = "old";
  profile_.gpu_type = "";
  EXPECT_THAT(check(), AllOf(HasSubstr("WRONG  partition old: down"), HasSubstr("GPUs: 2 a node")));
}

TEST_F(Check, AProfileWithGpusThatStatesNoDeviceIsToldTheRepair) {
  const std::string text = check();
  EXPECT_THAT(text, AllOf(HasSubstr("?      device: not stated"),
                          HasSubstr("\n       state `device: ...`"), Not(HasSubstr("WRONG"))));
  profile_.device = "NVIDIA V100";
  EXPECT_THAT(check(), Not(HasSubstr("device")));
  profile_.device = "";
  profile_.gpu_request = GpuRequest::kNone;
  EXPECT_THAT(check(), Not(HasSubstr("device")));
}

TEST_F(Check, WithoutAPartitionTheClustersDefaultCounts) {
  profile_.partition = "";
  EXPECT_THAT(check(), HasSubstr("ok     partition gpu: up"));
  said_["sinfo"].out = "cpu|up|infinite|(null)|128|10\n";
  EXPECT_THAT(check(), HasSubstr("WRONG  partition: none stated, and the cluster has no default"));
}

TEST_F(Check, SeveralPartitionsAreEachLookedAt) {
  profile_.partition = "gpu,cpu";
  profile_.gpu_request = GpuRequest::kNone;
  profile_.time = 30 * 86400;
  EXPECT_THAT(check(), AllOf(HasSubstr("partition gpu: up"),
                             HasSubstr("partition cpu: up, 10 nodes, jobs of any time"),
                             Not(HasSubstr("GPUs"))));
}

TEST_F(Check, WithoutAccountingTheAccountIsNotKnown) {
  profile_.account = "vision";
  for (const process::Said& said :
       {process::Said{1, "", "Slurm accounting storage is disabled"}, process::Said{0, "\n", ""},
        process::Said{127, "", "there is no sacctmgr"}}) {
    said_["sacctmgr"] = said;
    EXPECT_THAT(check(), HasSubstr("?      account vision: not known"));
  }
}

TEST_F(Check, SbatchIsAskedAsAJobWouldBe) {
  profile_.account = "vision";
  profile_.gpu_type = "a100";
  profile_.time = 3600;
  profile_.extra = {"--nice=10"};
  const Finding good = test_submission(profile_, asking());
  EXPECT_EQ(good.kind, Finding::Kind::kGood);
  EXPECT_THAT(good.text, HasSubstr("to start at 2026-01-02T03:04:05"));
  EXPECT_THAT(asked_, AllOf(Contains("--test-only"), Contains("--partition=gpu"),
                            Contains("--account=vision"), Contains("--gres=gpu:a100:1"),
                            Contains("--time=01:00:00"), Contains("--nice=10")));
  said_["sbatch"] = {1, "", "sbatch: error: Batch job submission failed: Invalid account\n"};
  const Finding bad = test_submission(profile_, asking());
  EXPECT_EQ(bad.kind, Finding::Kind::kBad);
  EXPECT_THAT(bad.text, HasSubstr("Invalid account"));
}

TEST_F(Check, OfWholeNodesTheRequestIsForAllJobsThatRunAtOnce) {
  profile_.node_gpus = 4;
  EXPECT_THAT(check(), HasSubstr("ok     node_gpus 4: nodes have 4"));
  const Finding good = test_submission(profile_, asking());
  EXPECT_THAT(good.text, HasSubstr("(4 jobs at once on the 4 GPUs of a node)"));
  EXPECT_THAT(asked_, AllOf(Contains("--gres=gpu:4"), Contains("--ntasks-per-node=4")));
  profile_.cpus_per_task = 16;
  EXPECT_THAT(check(), HasSubstr("ok     cpus_per_task 16 for each of 4 GPUs: nodes have 64"));
  profile_.cpus_per_task = 17;
  EXPECT_THAT(check(), AllOf(HasSubstr("WRONG  cpus_per_task 17 for each of 4 GPUs"),
                             HasSubstr("at most 16")));
  profile_.node_gpus = 8;
  EXPECT_THAT(check(), HasSubstr("WRONG  node_gpus 8: nodes have 4\n       node_gpus: 4\n"));
}

TEST_F(Check, GpusOfWholeNodesAreComparedHoweverTheyAreAskedFor) {
  profile_.gpu_request = GpuRequest::kNone;
  profile_.node_gpus = 4;
  EXPECT_THAT(check(),
              AllOf(HasSubstr("ok     node_gpus 4: nodes have 4"), Not(HasSubstr("GPUs:"))));
  profile_.node_gpus = 8;
  EXPECT_THAT(check(), HasSubstr("WRONG  node_gpus 8: nodes have 4\n       node_gpus: 4\n"));
  profile_.node_gpus = 2;
  EXPECT_THAT(check(), HasSubstr("?      node_gpus 2: nodes have 4; jobs do not use the others\n"
                                 "       node_gpus: 4\n"));
  profile_.partition = "cpu";  // Slurm does not know of GPUs there
  EXPECT_THAT(check(), Not(HasSubstr("node_gpus")));
}

TEST(CheckFolder, IsWrittenAndLeftAsItWas) {
  const Scratch house;
  const std::vector<Finding> found = check_shared_folder(house / "results");
  EXPECT_FALSE(any_bad(found)) << findings_text(found);
  EXPECT_TRUE(fs::is_empty(house / "results"));
  write_file(house / "file", "x");
  const std::vector<Finding> bad = check_shared_folder(house / "file");
  EXPECT_TRUE(any_bad(bad));
  EXPECT_THAT(findings_text(bad), HasSubstr("--results FOLDER"));
}

}  // namespace
}  // namespace tarflow::slurm
