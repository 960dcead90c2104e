// Sweeps' files whose large arrays are in the files of their jobs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/core/file.h"
#include "framework/record/array.h"
#include "framework/record/envelope.h"
#include "framework/record/hdf5.h"
#include "framework/record/opened.h"
#include "framework/record/record.h"
#include "tests/record/sample_record.h"

namespace tarflow::record {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kLarge = "moments/outer";
constexpr uint64_t kLimit = 100'000;  // less than the large arrays of two jobs

// Three jobs with an array of 64,000 bytes each, as run_sweep leaves them.
class Links : public ::testing::Test {
 protected:
  Links() {
    for (const char* hash : {"aa", "bb", "cc"}) {
      files_.push_back({job_file(hash), {}});
      write(hash, 1);
    }
    EXPECT_THAT(merge(record_, "demo", files_, {.limit = kLimit}).problems, IsEmpty());
    merge(whole_, "demo", files_);
  }

  fs::path job_file(const std::string& hash) const {
    return folder_ / "results/demo/jobs" / hash / "result.h5";
  }

  void write(const std::string& hash, double value) const {
    JobRecord job = sample_job(hash, 1);
    job.arrays.push_back(
        make_array(kLarge, {100, 80}, std::vector<double>(8000, value), "", "large"));
    job.arrays.push_back(
        make_array("moments/sum", {80}, std::vector<double>(80, value), "", "small"));
    std::sort(job.arrays.begin(), job.arrays.end(),
              [](const Array& a, const Array& b) { return a.path < b.path; });
    write_job(job_file(hash), job);
  }

  static std::vector<std::string> linked_in(const fs::path& file) {
    const Handle opened = open_file(file);
    const Handle jobs = open_group(opened, "jobs");
    std::vector<std::string> linked;
    for (const std::string& hash : member_names(jobs)) {
      const Handle job = open_group(jobs, hash);
      for (const std::string& path : array_paths(job))
        if (is_linked(job, path)) linked.push_back(hash + "/" + path);
    }
    return linked;
  }

  // What those say who read the record in their ways.
  std::string error_of_reading() const {
    const std::string all = error_of([&] { read_sweep(record_); });
    EXPECT_EQ(error_of([&] { digest(record_); }), all);
    EXPECT_EQ(error_of([&] { bundle(record_, folder_ / "out.h5"); }), all);
    EXPECT_EQ(error_of([&] { open_sweep(record_).stored->array("bb", kLarge); }), all);
    EXPECT_FALSE(fs::exists(folder_ / "out.h5"));
    return all;
  }

  ScratchFolder folder_;
  fs::path record_ = folder_ / "results/demo.h5", whole_ = folder_ / "results/whole.h5";
  std::vector<JobFile> files_;
};

TEST_F(Links, LargeArraysBeyondTheLimitAreLinksAndReadAlike) {
  EXPECT_THAT(linked_in(record_),
              ::testing::ElementsAre("aa/moments/outer", "bb/moments/outer", "cc/moments/outer"));
  EXPECT_THAT(linked_in(whole_), IsEmpty());
  EXPECT_LT(fs::file_size(record_) + 3 * 60'000, fs::file_size(whole_));
  const SweepRecord linked = read_sweep(record_), whole = read_sweep(whole_);
  EXPECT_EQ(linked.rows, whole.rows);
  for (const auto& [hash, job] : whole.jobs) {
    expect_same_arrays(linked.jobs.at(hash).arrays, job.arrays);
    EXPECT_EQ(linked.jobs.at(hash).job, job.job);
  }
  EXPECT_EQ(digest(linked), digest(whole));
  EXPECT_EQ(digest(record_), digest(whole_));
  EXPECT_EQ(digest(whole_), digest(whole));
  const OpenedSweep opened = open_sweep(record_);
  EXPECT_EQ(opened.stored->array("bb", kLarge)->data, whole.jobs.at("bb").arrays[5].data);
  EXPECT_EQ(opened.stored->array("bb", "moments/none"), nullptr);
  EXPECT_THAT(opened.stored->array_paths("bb"), ::testing::Contains(kLarge));
  EXPECT_THAT(opened.stored->broken_links(), IsEmpty());
}

TEST_F(Links, EverythingIsCopiedWhileItIsSmall) {
  merge(record_, "demo", files_, {.limit = 10 * kLimit});
  EXPECT_THAT(linked_in(record_), IsEmpty());
  merge(record_, "demo", files_, {.limit = 0});
  EXPECT_THAT(linked_in(record_), SizeIs(3 * 9)) << "all but the empty array";
  EXPECT_EQ(digest(record_), digest(whole_));
  EXPECT_EQ(read_sweep(record_).jobs.at("aa").environment, sample_job("aa").environment);
}

TEST_F(Links, TheSameBytesAgainAndWhereverTheFolderIs) {
  const std::string bytes = read_file(record_);
  EXPECT_FALSE(merge(record_, "demo", files_, {.limit = kLimit}).wrote);
  fs::remove(record_);
  merge(record_, "demo", {files_[2], files_[0], files_[1]}, {.limit = kLimit});
  EXPECT_TRUE(read_file(record_) == bytes);
  fs::rename(folder_ / "results", folder_ / "elsewhere");
  EXPECT_EQ(digest(folder_ / "elsewhere/demo.h5"), digest(folder_ / "elsewhere/whole.h5"));
}

TEST_F(Links, PointsThatAreLeftOutTakeTheirArraysAlong) {
  JobRecord job = sample_job("aa", 2);
  job.arrays.push_back(make_array("z", {8000}, std::vector<double>(8000, 1), "", "large"));
  job.arrays.back().point = "aa-1";
  write_job(job_file("aa"), job);
  files_[0].points = {"aa-0"};
  merge(record_, "demo", files_, {.limit = kLimit});
  merge(whole_, "demo", files_);
  EXPECT_THAT(linked_in(record_), SizeIs(2));
  EXPECT_EQ(digest(record_), digest(whole_));
}

TEST_F(Links, ABundleHoldsEverything) {
  bundle(record_, folder_ / "other/bundle.h5");
  fs::remove_all(folder_ / "results/demo");
  EXPECT_EQ(digest(folder_ / "other/bundle.h5"), digest(whole_));
  EXPECT_THAT(linked_in(folder_ / "other/bundle.h5"), IsEmpty());
  const SweepRecord bundled = read_sweep(folder_ / "other/bundle.h5");
  EXPECT_EQ(bundled.name, "demo");
  EXPECT_EQ(bundled.columns, read_sweep(whole_).columns);
}

TEST_F(Links, AbsentFilesAreNamed) {
  fs::remove(job_file("bb"));
  EXPECT_THAT(error_of_reading(), AllOf(HasSubstr("demo.h5 has arrays in"), HasSubstr("bb/result"),
                                        HasSubstr("which is absent"), HasSubstr("analyze bundle")));
  const OpenedSweep opened = open_sweep(record_);
  EXPECT_THAT(opened.stored->broken_links(), SizeIs(1));
  EXPECT_TRUE(opened.stored->is_lost("bb", kLarge));
  EXPECT_FALSE(opened.stored->is_lost("bb", "moments/sum"));
  EXPECT_FALSE(opened.stored->is_lost("aa", kLarge));
  EXPECT_NE(opened.stored->array("bb", "moments/sum"), nullptr);
}

TEST_F(Links, LeadToTheFileThatIsThereAfterItWasRenamed) {
  const fs::path file = job_file("bb"), previous = file.parent_path() / "previous.h5";
  fs::rename(file, previous);
  files_[1].file = previous;
  for (const size_t in_place_from : {100, 1}) {
    SCOPED_TRACE(in_place_from);
    const MergeOptions options{.limit = kLimit, .in_place_from = in_place_from};
    EXPECT_TRUE(merge(record_, "demo", files_, options).wrote);
    EXPECT_EQ(digest(record_), digest(whole_));
    fs::rename(previous, file);
    files_[1].file = file;
    EXPECT_TRUE(merge(record_, "demo", files_, options).wrote);
    EXPECT_EQ(digest(record_), digest(whole_));
    EXPECT_FALSE(merge(record_, "demo", files_, options).wrote) << "they lead there already";
    fs::rename(file, previous);
    files_[1].file = previous;
  }
}

TEST_F(Links, FilesOfAnotherContentAreNamed) {
  write("bb", 2);
  EXPECT_THAT(error_of_reading(), HasSubstr("bb/result.h5, which has changed since it was merged"));
  merge(record_, "demo", files_, {.limit = kLimit});
  EXPECT_EQ(to_doubles(*open_sweep(record_).stored->array("bb", kLarge))[0], 2);
}

TEST_F(Links, DamagedFilesAreNamedAndNotReadByHdf5) {
  const std::string good = read_file(job_file("bb"));
  for (const size_t at : {size_t{20}, kEnvelopeBytes + 3, good.size() / 2, good.size() - 1}) {
    std::string bad = good;
    bad[at] ^= 4;
    std::ofstream(job_file("bb"), std::ios::binary) << bad;
    EXPECT_THAT(error_of_reading(), AllOf(HasSubstr("has arrays in"), HasSubstr("is damaged")))
        << "byte " << at;
  }
  std::ofstream(job_file("bb"), std::ios::binary) << good;
  EXPECT_EQ(digest(record_), digest(whole_));
}

TEST_F(Links, AFileThatIsReplacedBetweenTwoLooksIsCheckedAgain) {
  const OpenedSweep opened = open_sweep(record_);
  EXPECT_NE(opened.stored->array("bb", kLarge), nullptr);
  EXPECT_NE(opened.stored->array("aa", kLarge), nullptr);
  std::string bad = read_file(job_file("bb"));
  bad[bad.size() / 2] ^= 4;
  write_file(job_file("bb"), bad);
  EXPECT_THAT(error_of([&] { opened.stored->read("bb"); }), HasSubstr("is damaged"));
}

}  // namespace
}  // namespace tarflow::record
