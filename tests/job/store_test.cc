// What a job's result is, and what becomes of one that is in the way.
#include "framework/job/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/file.h"
#include "framework/record/record.h"
#include "tests/support/house.h"
#include "tests/support/results.h"

namespace tarflow::job {
namespace {

namespace fs = std::filesystem;
using State = Result::State;
using ::testing::HasSubstr;

Job job_of(int64_t generation = 0) {
  Job job;
  job.hash = "0123456789abcdef";
  job.experiment = "measure";
  job.points.push_back({"p1", "k1", {}, {}, true});
  job.generation = generation;
  return job;
}

class Store : public ::testing::Test {
 protected:
  void write_result(const Job& job) { tarflow::write_result(folder_, job); }
  void change_version() {
    std::string bytes = read_file(folder_.result());
    const std::string first = fmt::format("tarflow record {}\n", record::kRecordVersion);
    bytes.replace(0, first.size(), fmt::format("tarflow record {}\n", record::kRecordVersion + 1));
    write_file(folder_.result(), bytes);
  }

  Scratch house_;
  JobFolder folder_{house_ / "demo/jobs/0123456789abcdef"};
};

TEST_F(Store, SaysWhatAResultIs) {
  EXPECT_EQ(find_result(folder_, job_of()).state, State::kAbsent);
  write_result(job_of());
  EXPECT_EQ(find_result(folder_, job_of()).state, State::kDone);
  EXPECT_EQ(find_result(folder_, job_of(1)).state, State::kOutdated);
  write_result(job_of(2));
  EXPECT_EQ(find_result(folder_, job_of(1)).state, State::kDone) << "a later one holds as well";
  Job other = job_of();
  other.hash = "other";
  EXPECT_EQ(find_result(folder_, other).state, State::kDamaged);
  other = job_of();
  other.points.push_back({"p2", "k2", {}, {}, true});
  EXPECT_EQ(find_result(folder_, other).state, State::kDamaged) << "a point is missing";
  change_version();
  EXPECT_EQ(find_result(folder_, job_of()).state, State::kNewer);
  write_file(folder_.result(), "tarflow");
  EXPECT_EQ(find_result(folder_, job_of()).state, State::kDamaged);
  fs::remove(folder_.result());
  fs::create_symlink("/proc/self/mem", folder_.result());  // EIO, for root as well
  EXPECT_EQ(find_result(folder_, job_of()).state, State::kUnreadable);
}

TEST_F(Store, AFolderAloneTellsWhatItsResultIs) {
  const JobStore store(house_ / "demo");
  EXPECT_EQ(store.find(folder_).state, State::kAbsent);
  write_result(job_of());
  EXPECT_EQ(store.find(folder_).state, State::kDone);
  write_file(folder_.job(), "{");
  EXPECT_EQ(store.find(folder_).state, State::kDone) << "the result has the job as well";
  write_file(folder_.result(), "tarflow");
  EXPECT_EQ(store.find(folder_).state, State::kDamaged);
  fs::remove(folder_.result());
  fs::create_directory(folder_.result());
  EXPECT_TRUE(store.find(folder_).kept());
}

TEST_F(Store, TheOldResultHoldsUntilThereIsANewOne) {
  write_result(job_of());
  prepare_folder(job_of(1), folder_);
  EXPECT_FALSE(fs::exists(folder_.result()));
  EXPECT_EQ(settle_result(folder_, job_of(1)), "") << "the attempt left none";
  EXPECT_EQ(find_result(folder_, job_of()).state, State::kDone) << "it stands again";
  prepare_folder(job_of(1), folder_);
  write_result(job_of(1));
  EXPECT_EQ(settle_result(folder_, job_of(1)), std::nullopt);
  EXPECT_FALSE(fs::exists(folder_.previous()));
}

TEST_F(Store, AResultOfAnEarlierComputationIsNotTheNewOne) {
  write_result(job_of());
  prepare_folder(job_of(1), folder_);
  write_result(job_of());  // of a process that was given up and lives on
  EXPECT_THAT(settle_result(folder_, job_of(1)).value_or("done"), HasSubstr("earlier computation"));
}

TEST_F(Store, DamagedResultsAreSetAsideAndKeptOnesRefused) {
  write_result(job_of());
  write_file(folder_.result(), "tarflow");
  EXPECT_THAT(clear_place(folder_, job_of()), HasSubstr("result.h5.damaged-1"));
  EXPECT_EQ(clear_place(folder_, job_of()), "");
  write_result(job_of());
  change_version();
  EXPECT_THROW(clear_place(folder_, job_of()), Error);
  EXPECT_THROW(prepare_folder(job_of(), folder_), Error);
  EXPECT_TRUE(fs::exists(folder_.result()));
}

TEST_F(Store, AResultOfAnotherDeviceIsRefused) {
  Job job = job_of();
  job.device = "NVIDIA H200";
  Jobs jobs;
  jobs.push_back(job);
  tarflow::write_result(folder_, job, "NVIDIA H200");
  EXPECT_EQ(find_result(folder_, job).state, State::kDone);
  EXPECT_EQ(JobStore(house_ / "demo").find_done(jobs).by_key.size(), 1u);
  tarflow::write_result(folder_, job, "NVIDIA A100-SXM4-80GB");
  EXPECT_EQ(find_result(folder_, job).state, State::kOtherDevice);
  EXPECT_EQ(find_result(folder_).state, State::kOtherDevice) << "as its folder alone tells";
  EXPECT_EQ(find_result(folder_, job_of()).state, State::kDone) << "no device is stated";
  const DonePoints done = JobStore(house_ / "demo").find_done(jobs);
  EXPECT_TRUE(done.by_key.empty());
  ASSERT_EQ(done.damaged.size(), 1u) << "its points are computed again";
  State found{};
  const std::string wrong = settle_result(folder_, job, &found).value_or("done");
  EXPECT_EQ(found, State::kOtherDevice);
  EXPECT_THAT(wrong, HasSubstr("NVIDIA A100-SXM4-80GB"));
  EXPECT_THAT(wrong, HasSubstr("NVIDIA H200"));
  EXPECT_THAT(wrong, HasSubstr("`constraint`"));
  EXPECT_FALSE(fs::exists(folder_.result()));
}

TEST_F(Store, APointIsDoneWhereItsResultIsWhole) {
  write_result(job_of());
  Jobs jobs;
  jobs.push_back(job_of());
  EXPECT_EQ(JobStore(house_ / "demo").find_done(jobs).by_key.at("k1").job, job_of().hash);
  write_file(folder_.result(), "tarflow");
  const DonePoints done = JobStore(house_ / "demo").find_done(jobs);
  EXPECT_TRUE(done.by_key.empty());
  ASSERT_EQ(done.damaged.size(), 1u);
  EXPECT_THAT(set_damaged_aside(done.damaged.front()).str(), HasSubstr("computed again"));
  EXPECT_FALSE(fs::exists(folder_.result()));
  EXPECT_THAT(read_file(folder_.log()), HasSubstr("result.h5.damaged-1"));
}

}  // namespace
}  // namespace tarflow::job
