// What run_sweep says of a profile before it submits anything, on a real Slurm of two nodes.
#include <gmock/gmock.h>

#include "tests/cluster/sweeps.h"

namespace tarflow::cluster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Checks : public OnSlurm {};

TEST_F(Checks, WhatFitsIsGoodAndSubmitsNothing) {
  profile("partition: main\ngpu_request: none\ntime: 10 min\n");
  EXPECT_EQ(run("--check --cluster trial.yaml", "check"), 0);
  EXPECT_THAT(printed("check"),
              AllOf(HasSubstr("partition main: up, 2 nodes"), HasSubstr("sbatch: takes such a job"),
                    HasSubstr("results: can be written"), Not(HasSubstr("WRONG"))));
  EXPECT_EQ(queue(), "");
}

TEST_F(Checks, AShippedExampleThatDoesNotFitIsNotSubmitted) {
  EXPECT_EQ(run("--check --cluster lab", "check"), 1);
  EXPECT_THAT(printed("check"),
              AllOf(HasSubstr("WRONG  partition gpu"), HasSubstr("it has high, low, main"),
                    HasSubstr("shipped example `lab`")));
  sweep("trial_sweep", 8, "{strategy: [For]}");
  EXPECT_NE(run("trial_sweep.yaml --cluster lab", "trial_sweep"), 0);
  EXPECT_THAT(printed(),
              AllOf(HasSubstr("WRONG  partition gpu"), HasSubstr("run_sweep check asks again")));
  EXPECT_EQ(queue(), "");
}

TEST_F(Checks, AProfileThatChangedAfterSubmittingIsTold) {
  profile("partition: main\ngpu_request: none\nextra: [--hold]\ntime: 10 min\n");
  sweep("trial_sweep", 8, "{strategy: [For]}");
  ASSERT_EQ(run("trial_sweep.yaml --cluster trial.yaml", "trial_sweep"), 0) << printed();
  profile("partition: main\ngpu_request: none\nextra: [--hold]\ntime: 20 min\n");
  run("trial_sweep.yaml --cluster trial.yaml", "again");
  EXPECT_THAT(printed("again"),
              AllOf(HasSubstr("1 job in the queue with an older cluster profile (time was 10:00, "
                              "is 20:00)"),
                    HasSubstr("run_sweep cancel FILE, then the same command again")));
  EXPECT_EQ(run("trial_sweep.yaml --cluster trial.yaml --cancel", "cancel"), 0)
      << printed("cancel");
}

}  // namespace
}  // namespace tarflow::cluster
