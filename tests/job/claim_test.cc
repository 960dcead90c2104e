#include "framework/job/claim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/job/store.h"
#include "tests/support/house.h"
#include "tests/support/results.h"

namespace tarflow::job {
namespace {

using ::testing::HasSubstr;

TEST(Claim, TheNewestHolds) {
  const Scratch folder;
  const std::string first = take_claim(folder.path(), "7_0");
  EXPECT_FALSE(other_claimant(folder.path(), first));
  const std::string second = take_claim(folder.path(), "8_3");
  EXPECT_THAT(other_claimant(folder.path(), first).value_or(""), HasSubstr("task 8_3"));
  EXPECT_FALSE(other_claimant(folder.path(), second));
}

TEST(Claim, WhatCannotBeReadReplacesNobody) {
  const Scratch folder;
  EXPECT_FALSE(other_claimant(folder.path(), "mine")) << "the folder was removed, say";
  write_file(folder / "claim.json", "{half");
  EXPECT_FALSE(other_claimant(folder.path(), "mine"));
  take_claim(folder.path(), "");
  EXPECT_FALSE(other_claimant(folder.path(), "")) << "started by hand";
}

// A node that was given up and lives on comes to its end after another start of its task.
TEST(Claim, AWorkerThatWasReplacedWritesNoResult) {
  const Scratch house;
  Job job;
  job.hash = "0123456789abcdef";
  job.points.push_back({"p", "k", {}, {}, true});
  const JobFolder folder{house / "jobs/0123456789abcdef"};
  ::setenv(kClaimVariable, prepare_folder(job, folder, "7_0").c_str(), 1);
  EXPECT_EQ(clear_place(folder, job), "");
  const std::string successor = prepare_folder(job, folder, "7_0");
  EXPECT_THROW(clear_place(folder, job), Error);
  ::setenv(kClaimVariable, successor.c_str(), 1);
  EXPECT_EQ(clear_place(folder, job), "");
  ::unsetenv(kClaimVariable);
}

}  // namespace
}  // namespace tarflow::job
