// Finished work is never deleted: results that cannot be read now, are of a newer version or are
// damaged, and what is told of points whose results are not offered for deletion.
#include <gmock/gmock.h>

#include "framework/record/fault.h"
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// A file that is there and whose reading fails with EIO, for root as well.
constexpr const char* kFailing = "/proc/self/mem";

class KeptResults : public RunSweep {
 protected:
  // Of the job of value 2, by what its result is.
  fs::path result() { return job_folder_of(2) / "result.h5"; }

  void make_newer(const fs::path& file) {
    std::string bytes = read_file(file);
    const std::string first = fmt::format("tarflow record {}\n", record::kRecordVersion);
    ASSERT_TRUE(bytes.starts_with(first));
    bytes.replace(0, first.size(), fmt::format("tarflow record {}\n", record::kRecordVersion + 1));
    write_file(file, bytes);
  }
  void flip_a_byte(const fs::path& file) {
    std::string bytes = read_file(file);
    bytes[bytes.size() / 2] ^= 1;
    write_file(file, bytes);
  }
};

TEST_F(KeptResults, OneOfANewerVersionIsNeitherReadNorWrittenOver) {
  run();
  const fs::path file = result();
  make_newer(file);
  const std::string bytes = read_file(file);
  for (const char* arguments : {"demo.yaml", "demo.yaml --force", "demo.yaml --retry-failed"}) {
    const Finished again = run(arguments);
    EXPECT_EQ(again.status, 1) << arguments;
    EXPECT_THAT(again.err, AllOf(HasSubstr("result.h5 has record version"), HasSubstr("kept")));
    EXPECT_EQ(read_file(file), bytes) << arguments;
    EXPECT_THAT(record().rows, SizeIs(4)) << "of the other jobs";
  }
  const Finished status = run("demo.yaml --status");
  EXPECT_THAT(status.out, HasSubstr("2 points in results that cannot be read"));
}

TEST_F(KeptResults, OneThatCannotBeReadStaysAndTheOthersGoOn) {
  const std::vector<std::function<void(const fs::path&)>> ways = {
      [](const fs::path& file) { fs::create_symlink(kFailing, file); },
      [](const fs::path& file) { fs::create_symlink("/no/such/disk/result.h5", file); },
      [](const fs::path& file) { fs::create_directory(file); }};
  for (const auto& make_unreadable : ways) {
    fs::remove_all(house_ / "results");
    ASSERT_EQ(run("demo.yaml --only value=1,2").status, 0);
    const fs::path file = result();
    fs::rename(file, house_ / "elsewhere");
    make_unreadable(file);
    const auto kind = fs::symlink_status(file).type();
    const Finished again = run();
    EXPECT_EQ(again.status, 1);
    EXPECT_EQ(started_jobs(), 1u) << "value 3 alone";
    EXPECT_EQ(fs::symlink_status(file).type(), kind);
    fs::remove(file);
    fs::rename(house_ / "elsewhere", file);
    EXPECT_EQ(run().status, 0) << "it can be read again";
    EXPECT_EQ(started_jobs(), 0u);
    EXPECT_THAT(record().rows, SizeIs(6));
  }
}

TEST_F(KeptResults, ADamagedOneIsRenamedAsideAndComputedAgain) {
  run();
  const fs::path file = result();
  for (const int number : {1, 2}) {
    flip_a_byte(file);
    const std::string bytes = read_file(file);
    EXPECT_THAT(run("demo.yaml --dry-run").err, HasSubstr("is damaged"));
    EXPECT_EQ(read_file(file), bytes) << "looking changes nothing";
    const Finished again = run();
    EXPECT_EQ(again.status, 0) << again.err;
    EXPECT_EQ(started_jobs(), 1u);
    const std::string name = fmt::format("result.h5.damaged-{}", number);
    EXPECT_EQ(read_file(file.parent_path() / name), bytes);
    EXPECT_THAT(again.err, HasSubstr(name));
    EXPECT_THAT(read_file(file.parent_path() / "log.txt"), HasSubstr(name));
  }
  write_file(file, "");  // a disk that filled up
  EXPECT_EQ(run().status, 0);
  EXPECT_TRUE(fs::exists(file.parent_path() / "result.h5.damaged-3"));
}

TEST_F(KeptResults, ADamagedOneOfAForcedRunGivesWayToTheOneBefore) {
  run();
  const fs::path file = result();
  fs::copy_file(file, file.parent_path() / "previous.h5");
  flip_a_byte(file);
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_THAT(record().rows, SizeIs(6));
}

TEST_F(KeptResults, AResultWithoutItsJobJsonIsStillOne) {
  run();
  const std::string digest = record::digest(record());
  const fs::path description = job_folder_of(2) / "job.json";
  const Json whole = read_json_file(description);
  std::vector<std::string> texts = {"", "{", "{}", R"({"points": 3})", R"({"points": [{}]})"};
  for (const auto& [key, value] : whole.items()) {
    Json without = whole;
    without.erase(key);
    texts.push_back(without.dump());
    without[key] = Json::array({nullptr});
    texts.push_back(without.dump());
  }
  for (const std::string& text : texts) {
    write_file(description, text);
    EXPECT_EQ(run().status, 0) << text;
    EXPECT_EQ(started_jobs(), 0u) << text;
    EXPECT_EQ(record::digest(record()), digest) << text;
    EXPECT_THAT(run("demo.yaml --clean --yes").out, HasSubstr("nothing to clean")) << text;
  }
  fs::remove(description);
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(KeptResults, JobFoldersThatCannotBeListedStopTheRun) {
  run();
  const fs::path jobs = house_ / "results/demo/jobs";
  fs::rename(jobs, house_ / "jobs_of_a_disk");
  fs::create_symlink("/no/such/disk/jobs", jobs);
  const Finished again = run();
  EXPECT_EQ(again.status, 2);
  EXPECT_THAT(again.err, HasSubstr("finished jobs are kept"));
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(KeptResults, TheMergedRecordIsTreatedAlike) {
  run();
  const fs::path merged = house_ / "results/demo.h5";
  flip_a_byte(merged);
  const std::string damaged = read_file(merged);
  const Finished repaired = run();
  EXPECT_EQ(repaired.status, 0);
  EXPECT_THAT(repaired.err, HasSubstr("demo.h5.damaged-1"));
  EXPECT_EQ(read_file(house_ / "results/demo.h5.damaged-1"), damaged);
  EXPECT_THAT(record().rows, SizeIs(6));

  make_newer(merged);
  const std::string newer = read_file(merged);
  state("[1, 2, 3, 4]", "[0, 1]");
  const Finished kept = run();
  EXPECT_EQ(kept.status, 1);
  EXPECT_THAT(kept.err, AllOf(HasSubstr("demo.h5 has record version"), HasSubstr("kept")));
  EXPECT_EQ(read_file(merged), newer);
  EXPECT_EQ(started_jobs(), 1u) << "what was to be computed is computed";
}

TEST_F(KeptResults, WhatAWorkerLeavesDamagedIsKeptAsWell) {
  EXPECT_EQ(run("demo.yaml", "garbage 2").status, 1);
  EXPECT_EQ(read_file(job_folder_of(2) / "result.h5.damaged-1"), "garbage");
}

TEST_F(KeptResults, ABadFolderCostsItsJobAlone) {
  ASSERT_EQ(run("demo.yaml --only value=2").status, 0);
  const fs::path folder = job_folder_of(2);
  fs::remove_all(folder);
  write_file(folder, "a file in its place");
  const Finished finished = run();
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("1 of 3 jobs failed"));
  EXPECT_THAT(record().rows, SizeIs(4));
  EXPECT_EQ(read_file(folder), "a file in its place");
}

TEST_F(KeptResults, AttemptsThatCannotBeNotedEndNoWorker) {
  const auto [driver, worker] = start_blocked(2, "stoppable");
  const fs::path attempts = job_folder_of(2) / "attempts.jsonl";
  fs::remove(attempts);
  fs::create_directory(attempts);
  ::kill(driver, SIGINT);
  const Finished stopped = wait(driver);
  EXPECT_EQ(stopped.status, 130) << stopped.err;
  EXPECT_EQ(read_file(job_folder_of(2) / "reached"), "chunk 3") << "it had its grace";
}

TEST_F(KeptResults, ALostLeaseLetsWorkersKeepWhatTheyReached) {
  const auto [driver, worker] = start_blocked(2, "stoppable");
  Json lease = read_json_file(house_ / "results/demo/lease.json");
  lease["nonce"] = "of another run_sweep";
  write_json_file(house_ / "results/demo/lease.json", lease);
  const Finished lost = wait(driver);
  EXPECT_EQ(lost.status, 3) << "somebody else holds it";
  EXPECT_THAT(lost.err, HasSubstr("is no longer held"));
  EXPECT_EQ(read_file(job_folder_of(2) / "reached"), "chunk 3");
  EXPECT_EQ(job::read_attempts(job_folder_of(2) / "attempts.jsonl").last->outcome, "stopped");
}

TEST_F(KeptResults, CleanSparesWhatIsOfThisSweepsPoints) {
  write_file(house_ / "data", "first");
  const std::string with_data = read_file(house_ / "demo.yaml") + "      data: data\n";
  write_file(house_ / "demo.yaml", with_data);
  ASSERT_EQ(run().status, 0);
  write_file(house_ / "data", "a file that has changed since");
  const Finished changed = run("demo.yaml --clean --yes");
  EXPECT_THAT(changed.out, AllOf(HasSubstr("kept: "), HasSubstr("nothing to clean")));
  fs::rename(house_ / "data", house_ / "moved");
  const Finished absent = run("demo.yaml --clean --yes");
  EXPECT_THAT(absent.out, AllOf(HasSubstr("kept: "), HasSubstr("nothing to clean")));
  write_file(house_ / "data", "first");
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u) << "all results are there";
}

TEST_F(KeptResults, CleanSparesWhatItCannotTellAndWhatSlurmHolds) {
  run();
  state("[1, 2]", "[0, 1]");
  const fs::path other = job_folder_of(3);
  const std::string name = other.filename().string();
  write_json_file(house_ / "results/demo/slurm/x/submission.json",
                  {{"job_id", "7"}, {"tasks", {{name}}}});
  EXPECT_THAT(run("demo.yaml --clean --yes").out, HasSubstr("its job is in the queue"));
  write_file(house_ / "results/demo/slurm/x/submission.json", "{");
  const Finished unread = run("demo.yaml --clean --yes");
  EXPECT_EQ(unread.status, 2);
  EXPECT_THAT(unread.err, HasSubstr("submission.json"));
  fs::remove_all(house_ / "results/demo/slurm");
  write_file(other / "job.json", "{");
  flip_a_byte(other / "result.h5");
  EXPECT_THAT(run("demo.yaml --clean --yes").out, HasSubstr("its contents cannot be identified"));
  EXPECT_TRUE(fs::exists(other / "result.h5"));
}

TEST_F(KeptResults, CleanOfAPartOfTheSweepIsRefused) {
  run();
  for (const char* part : {"--set value=1", "--only value=1"}) {
    const Finished refused = run(fmt::format("demo.yaml --clean --yes {}", part));
    EXPECT_EQ(refused.status, 2) << part;
    EXPECT_THAT(refused.err, HasSubstr("--clean")) << part;
  }
  EXPECT_TRUE(fs::exists(result()));
}

}  // namespace
}  // namespace tarflow::driver
