// Sweeps' files of which few jobs changed: a copy is changed where they did.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/core/file.h"
#include "framework/record/array.h"
#include "framework/record/envelope.h"
#include "framework/record/hdf5.h"
#include "framework/record/job_file.h"
#include "framework/record/record.h"
#include "tests/record/sample_record.h"

namespace tarflow::record {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;

class InPlace : public ::testing::Test {
 protected:
  InPlace() {
    for (int i = 0; i < 20; ++i) add(sample_job(fmt::format("{:02}", i), 1 + i % 2));
    EXPECT_TRUE(merge_both());
  }

  void add(const JobRecord& job) {
    const fs::path file = folder_ / (job.hash + ".h5");
    write_job(file, job);
    std::erase_if(files_, [&](const JobFile& known) { return known.file == file; });
    files_.push_back({file, {}, verify(file)});
    jobs_[job.hash] = job;
  }

  std::vector<std::string> order() const {
    std::vector<std::string> ids;
    for (const auto& [hash, job] : jobs_)
      for (const Row& row : job.rows) ids.push_back(std::get<std::string>(row.at("point")));
    return {ids.rbegin(), ids.rend()};
  }

  // Whether it was written, by changes in place where they are possible.
  bool merge_both(uint64_t limit = kNoMergeLimit) {
    const Merged merged = merge(file_, "demo", files_, {order(), limit, 1});
    EXPECT_THAT(merged.problems, IsEmpty());
    fs::remove(anew_);
    merge(anew_, "demo", files_, {order(), limit});
    const SweepRecord in_place = read_sweep(file_), anew = read_sweep(anew_);
    EXPECT_EQ(in_place.columns, anew.columns);
    EXPECT_EQ(in_place.rows, anew.rows);
    EXPECT_EQ(digest(in_place), digest(anew));
    EXPECT_EQ(in_place.jobs.size(), anew.jobs.size());
    for (const auto& [hash, job] : anew.jobs) {
      EXPECT_EQ(in_place.jobs.at(hash).job, job.job);
      EXPECT_EQ(in_place.jobs.at(hash).environment, job.environment);
    }
    EXPECT_FALSE(merge(file_, "demo", files_, {order(), limit, 1}).wrote);
    return merged.wrote;
  }

  // Changes the sweep's file so that it is whole again.
  void change(const std::function<void(hid_t)>& what) const {
    const std::string merged = read_envelope(file_).merged;
    {
      const Handle file = open_to_change(file_);
      what(file);
    }
    seal(file_, merged);
  }

  void replace_sources(const std::string& list, const std::string& line) const {
    change([&](hid_t file) {
      const Handle sources = open_group(file, "sources");
      remove_member(sources, list);
      write_arrays(sources, {text_array(list, {line})});
    });
  }

  bool in_other_bytes() const { return read_file(file_) != read_file(anew_); }

  ScratchFolder folder_;
  fs::path file_ = folder_ / "m.h5", anew_ = folder_ / "anew.h5";
  std::vector<JobFile> files_;
  std::map<std::string, JobRecord> jobs_;
};

TEST_F(InPlace, OneChangedOneNewAndOneGone) {
  JobRecord changed = sample_job("07", 2);
  changed.rows[0]["cfg"] = 7.0;
  changed.arrays[0].data[3] = std::byte{9};
  add(changed);
  add(sample_job("xx", 3));
  std::erase_if(files_, [&](const JobFile& job) { return job.file == folder_ / "03.h5"; });
  jobs_.erase("03");
  EXPECT_TRUE(merge_both());
  EXPECT_TRUE(in_other_bytes()) << "else it was written anew";
}

TEST_F(InPlace, UnchangedFilesAreNotRead) {
  add(sample_job("xx", 3));
  std::ofstream(folder_ / "05.h5") << "rubbish";
  const Merged merged = merge(file_, "demo", files_, {order(), kNoMergeLimit, 1});
  EXPECT_THAT(merged.problems, IsEmpty());
  EXPECT_EQ(read_sweep(file_).jobs.size(), 21u);
  EXPECT_EQ(read_sweep(file_).jobs.at("05").job, jobs_.at("05").job);
}

TEST_F(InPlace, ManyChangesAreWrittenAnew) {
  for (int i = 0; i < 6; ++i) {
    JobRecord job = sample_job(fmt::format("{:02}", i), 1 + i % 2);
    job.rows[0]["cfg"] = 9.0;
    add(job);
  }
  EXPECT_TRUE(merge_both());
  EXPECT_FALSE(in_other_bytes());
}

TEST_F(InPlace, TheFileDoesNotGrowForEver) {
  for (int i = 0; i < 100; ++i) {
    JobRecord job = sample_job("04", 1);
    job.rows[0]["cfg"] = 1.0 * i;
    job.arrays[1] = make_array("empty", {100 + 10 * (i % 7)},
                               std::vector<double>(static_cast<size_t>(100 + 10 * (i % 7)), 1), "",
                               "of a changing size");
    add(job);
    ASSERT_TRUE(merge(file_, "demo", files_, {order(), kNoMergeLimit, 1}).wrote);
  }
  merge_both();
  EXPECT_LT(fs::file_size(file_), 3 * fs::file_size(anew_) / 2);
}

TEST_F(InPlace, ColumnsComeChangeTheirTypeAndGo) {
  const JobRecord before = jobs_.at("04");
  JobRecord other = before;
  other.columns[2].type = ColumnType::kString;
  other.rows[0]["num_images"] = std::string("many");
  other.columns.push_back({"z", ColumnType::kFloat64, "s", "here only", true});
  other.rows[0]["z"] = 1.5;
  add(other);
  EXPECT_TRUE(merge_both());
  JobRecord still = sample_job("05", 2);
  still.rows[0]["cfg"] = 2.5;
  add(still);
  EXPECT_TRUE(merge_both()) << "num_images is text there and a number in the jobs' files";
  add(before);
  EXPECT_TRUE(merge_both());
}

TEST_F(InPlace, APointThatANewerJobTakesOver) {
  JobRecord newer = sample_job("yy", 1);
  newer.rows[0]["point"] = std::string("05-0");
  newer.job["generation"] = 3;
  add(newer);
  jobs_.erase("yy");  // its point is in the order already
  EXPECT_TRUE(merge_both());
  std::erase_if(files_, [&](const JobFile& job) { return job.file == folder_ / "yy.h5"; });
  EXPECT_TRUE(merge_both());
}

TEST_F(InPlace, LinksStayAndMoveWithTheirJobs) {
  for (int i = 0; i < 20; ++i) {
    JobRecord job = sample_job(fmt::format("{:02}", i), 1);
    job.arrays.push_back(make_array("z", {3000}, std::vector<double>(3000, i), "", "large"));
    add(job);
  }
  EXPECT_TRUE(merge_both(100'000));
  JobRecord job = jobs_.at("11");
  job.arrays.back().data[5] = std::byte{1};
  add(job);
  EXPECT_TRUE(merge_both(100'000));
  EXPECT_TRUE(in_other_bytes()) << "else it was written anew";
  fs::rename(folder_ / "12.h5", folder_ / "moved.h5");
  for (JobFile& known : files_)
    if (known.file == folder_ / "12.h5") known.file = folder_ / "moved.h5";
  job.arrays.back().data[5] = std::byte{2};
  add(job);
  EXPECT_TRUE(merge_both(100'000));
}

TEST_F(InPlace, OddSourcesAreWrittenAnew) {
  const std::vector<std::pair<std::string, std::string>> odd = {
      {"jobs", "no JSON"},
      {"jobs", "{}"},
      {"jobs", R"({"job":"00","sha256":"","bytes":1,"generation":0,"columns":99})"},
      {"jobs", R"({"job":"00","sha256":"","bytes":1,"generation":0,"columns":0,"sizes":[[99,1]]})"},
      {"columns", "[[1]]"}};
  int points = 0;
  for (const auto& [list, line] : odd) {
    SCOPED_TRACE(line);
    replace_sources(list, line);
    add(sample_job("xx", ++points));
    EXPECT_TRUE(merge_both());
    EXPECT_FALSE(in_other_bytes());
  }
}

TEST_F(InPlace, JobsThatAreNotToBeThereGo) {
  change([](hid_t file) { create_group(open_group(file, "jobs"), "stray"); });
  add(sample_job("xx", 3));
  EXPECT_TRUE(merge_both());
  EXPECT_TRUE(in_other_bytes()) << "else it was written anew";
}

TEST_F(InPlace, JobsThatAreToBeThereComeBack) {
  change([](hid_t file) { remove_member(open_group(file, "jobs"), "07"); });
  add(sample_job("xx", 3));
  EXPECT_TRUE(merge_both());
}

TEST_F(InPlace, WhatCannotBeChangedIsWrittenAnew) {
  change([](hid_t file) { remove_member(file, "jobs"); });
  add(sample_job("xx", 3));
  EXPECT_TRUE(merge_both());
  EXPECT_FALSE(in_other_bytes());
}

TEST_F(InPlace, AFileThatTookThePlaceIsNotChanged) {
  const std::string planned = verify(file_);
  write_job(file_, jobs_.at("07"));
  const std::string other = read_file(file_);
  bool called = false;
  const std::string error =
      error_of([&] { change_record(file_, planned, "", [&](hid_t, hid_t) { called = true; }); });
  EXPECT_THAT(error, ::testing::HasSubstr("another file took its place"));
  EXPECT_THAT(error, ::testing::HasSubstr(file_.string()));
  EXPECT_FALSE(called);
  EXPECT_TRUE(read_file(file_) == other);
}

TEST_F(InPlace, AFileThatCannotBeCopiedIsNamed) {
  fs::remove(file_);
  EXPECT_THAT(error_of([&] { change_record(file_, "", "", [](hid_t, hid_t) {}); }),
              ::testing::HasSubstr("cannot copy " + file_.string()));
}

}  // namespace
}  // namespace tarflow::record
