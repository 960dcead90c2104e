#include "framework/slurm/kept_programs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/process/lease.h"
#include "framework/slurm/events.h"
#include "framework/slurm/submission.h"
#include "tests/record/sample_record.h"

namespace tarflow::slurm {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class KeptPrograms : public ::testing::Test {
 protected:
  KeptPrograms() {
    write("run_sweep", "a");
    write("run_job", "b");
  }
  void write(const std::string& name, const std::string& text) const {
    write_file(programs_ / name, text);
    fs::permissions(programs_ / name, fs::perms::owner_all);
  }
  fs::path keep() const { return keep_programs(programs_, store_); }

  record::ScratchFolder folder_;
  fs::path programs_ = folder_ / "tree/bin", store_ = folder_ / "results/programs";
};

TEST_F(KeptPrograms, StayWhatTheyWere) {
  const fs::path kept = keep();
  EXPECT_TRUE(kept.string().starts_with(store_.string()));
  EXPECT_EQ(keep(), kept) << "nothing changed";
  write("run_job", "another build");
  const fs::path next = keep();
  EXPECT_NE(next, kept);
  EXPECT_EQ(read_file(kept / "run_sweep"), "a");
  EXPECT_EQ(read_file(kept / "run_job"), "b");
  EXPECT_EQ(read_file(next / "run_job"), "another build");
  EXPECT_NE(fs::status(next / "run_job").permissions() & fs::perms::owner_exec, fs::perms::none);
  fs::remove_all(programs_);
  EXPECT_EQ(read_file(kept / "run_job"), "b");
  EXPECT_EQ(std::distance(fs::directory_iterator(store_), {}), 2) << "and no half copies";
}

TEST_F(KeptPrograms, FindTheLibrariesTheyWereInstalledWith) {
  EXPECT_FALSE(fs::exists(keep().parent_path() / "lib"));
  write_file(folder_ / "tree/lib/libtorch.so", "library");
  write("run_job", "installed");
  EXPECT_EQ(read_file(keep().parent_path() / "lib/libtorch.so"), "library");
}

TEST_F(KeptPrograms, AbsentOnesAreNamed) {
  fs::remove(programs_ / "run_job");
  EXPECT_THAT(record::error_of([&] { keep(); }), HasSubstr("bin/run_job"));
  EXPECT_FALSE(fs::exists(store_));
  write("run_job", "b");
  write_file(store_, "a file in the place of the folder");
  EXPECT_THAT(record::error_of([&] { keep(); }), HasSubstr("cannot copy the programs of"));
}

class UnusedPrograms : public KeptPrograms {
 protected:
  // A submission of a sweep that runs the copy.
  SubmissionFolder submit(const std::string& sweep, const fs::path& programs) const {
    Submission submission;
    submission.job_id = "7";
    submission.tasks = {{"0123"}, {"4567"}};
    submission.programs = programs;
    const SubmissionFolder folder{results_ / sweep / "slurm/one"};
    write_submission(folder, submission);
    return folder;
  }
  static void end(const SubmissionFolder& folder, size_t task, size_t left = 0) {
    TaskEvent event;
    event.what = "end";
    event.task = task;
    event.left = left;
    append_event(folder, event);
  }
  size_t remove() const {
    return remove_unused_programs(results_, store_, results_ / "mine").copies;
  }

  const fs::path results_ = folder_ / "results";
};

TEST_F(UnusedPrograms, AreRemovedWhenNoJobMayRunThem) {
  const fs::path kept = keep();
  const SubmissionFolder mine = submit("mine", kept), other = submit("other", kept);
  write("run_job", "another build");
  const fs::path next = keep();
  EXPECT_EQ(remove(), 1u) << "the one that was never submitted";
  EXPECT_FALSE(fs::exists(next));
  EXPECT_EQ(read_file(kept / "run_job"), "b");
  for (const SubmissionFolder& folder : {mine, other}) {
    end(folder, 0);
    EXPECT_EQ(remove(), 0u) << "a task has not ended";
    end(folder, 1, /*left=*/1);
    EXPECT_EQ(remove(), 0u) << "a task is to be started again";
    end(folder, 1);
  }
  const RemovedPrograms removed = remove_unused_programs(results_, store_, results_ / "mine");
  EXPECT_EQ(removed.copies, 1u);
  EXPECT_EQ(removed.bytes, 2);
  EXPECT_TRUE(fs::is_empty(store_));
}

TEST_F(UnusedPrograms, StayWhileSubmissionsCannotBeRead) {
  keep();
  write_file(results_ / "other/slurm/one/submission.json", "{");
  EXPECT_EQ(remove(), 0u);
  fs::remove_all(results_ / "other");
  EXPECT_EQ(remove(), 1u);
}

TEST_F(UnusedPrograms, StayWhileAnotherRunSweepMayBeAboutToSubmit) {
  keep();
  const auto ignore = [](const std::string&) {};
  const process::Lease mine(results_ / "mine", "x", ignore);
  {
    const process::Lease other(results_ / "other", "y", ignore);
    EXPECT_EQ(remove(), 0u);
  }
  write_json_file(results_ / "other/lease.json",
                  {{"host", "elsewhere"}, {"boot_id", "b"}, {"nonce", "x"}, {"pid", 1}});
  EXPECT_EQ(remove(), 0u) << "nobody knows whether it lives";
  fs::remove(results_ / "other/lease.json");
  EXPECT_EQ(remove(), 1u);
}

TEST_F(UnusedPrograms, WhatAKilledRunSweepHadSetAsideIsRemovedOrPutBack) {
  const fs::path kept = keep().parent_path();
  const fs::path aside = store_ / ("." + kept.filename().string() + ".unused");
  const SubmissionFolder folder = submit("other", kept / "bin");
  fs::rename(kept, aside);
  EXPECT_EQ(remove(), 0u);
  EXPECT_EQ(read_file(kept / "bin/run_job"), "b");
  fs::rename(kept, aside);
  end(folder, 0);
  end(folder, 1);
  EXPECT_EQ(remove(), 1u);
  EXPECT_TRUE(fs::is_empty(store_));
}

TEST_F(UnusedPrograms, OneThatReplacesAnotherOfItsNameIsCountedOnce) {
  constexpr int kCopies = 8;
  for (int i = 0; i < kCopies; ++i) {  // folders are listed in the order of their making, or not
    const std::string name = fmt::format("{}", i);
    if (i % 2 == 0) fs::create_directories(store_ / name);
    fs::create_directories(store_ / ("." + name + ".unused"));
    if (i % 2 == 1) fs::create_directories(store_ / name);
  }
  std::set<std::string> seen;
  size_t folders = 0;
  for (const auto& entry : fs::directory_iterator(store_)) {
    const std::string name = entry.path().filename().string();
    // A copy takes the place of an empty folder under its other name.
    folders += !seen.contains(name.substr(1, 1));
    seen.insert(name);
  }
  EXPECT_EQ(remove(), folders);
  EXPECT_TRUE(fs::is_empty(store_));
}

TEST_F(UnusedPrograms, WhatAnInterruptedCopyLeftIsRemovedWhenNobodyCopies) {
  const fs::path kept = keep(), part = store_ / ".0123456789abcdef.77.part";
  submit("other", kept);
  write_file(part / "bin/run_job", "half");
  const auto ignore = [](const std::string&) {};
  {
    const process::Lease other(results_ / "third", "y", ignore);
    EXPECT_EQ(remove(), 0u) << "it may be copying";
    EXPECT_TRUE(fs::exists(part));
  }
  const RemovedPrograms removed = remove_unused_programs(results_, store_, results_ / "mine");
  EXPECT_EQ(removed.copies, 1u);
  EXPECT_EQ(removed.bytes, 4);
  EXPECT_FALSE(fs::exists(part));
  EXPECT_TRUE(fs::exists(kept)) << "a job may run it";
}

}  // namespace
}  // namespace tarflow::slurm
