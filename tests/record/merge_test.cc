#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "framework/core/file.h"
#include "framework/record/array.h"
#include "framework/record/fault.h"
#include "framework/record/hdf5.h"
#include "framework/record/record.h"
#include "tests/record/sample_record.h"

namespace tarflow::record {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// Changes one byte of the file, behind the first 512.
void damage(const std::filesystem::path& file) {
  std::string bytes = read_file(file);
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(file, std::ios::binary) << bytes;
}

// What tells whether a file was written again: it is written aside and renamed.
ino_t inode_of(const std::filesystem::path& file) {
  struct stat status {};
  EXPECT_EQ(::stat(file.c_str(), &status), 0);
  return status.st_ino;
}

JobRecord job_of_generation(const std::string& hash, int64_t generation) {
  JobRecord job = sample_job(hash, 1);
  job.rows[0]["point"] = std::string("p");
  job.job["generation"] = generation;
  return job;
}

std::vector<std::string> order_in(const std::filesystem::path& file) {
  const Handle opened = open_file(file);
  const std::optional<Array> order = read_array(opened, "order");
  return order ? order->strings : std::vector<std::string>();
}

TEST(Merge, SameBytesInAnyOrderAndTwice) {
  const ScratchFolder folder;
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < 12; ++i) {
    files.push_back(folder / fmt::format("{}.h5", i));
    JobRecord job = sample_job(fmt::format("{:02}", (i * 7) % 12), 1 + i % 3);
    if (i % 2)
      job.columns.push_back({fmt::format("extra_{}", i), ColumnType::kString, "", "", false});
    write_job(files.back(), job);
  }
  EXPECT_THAT(merge(folder / "a.h5", "demo", files).problems, SizeIs(0));
  std::mt19937 random(3);
  for (int trial = 0; trial < 5; ++trial) {
    std::shuffle(files.begin(), files.end(), random);
    merge(folder / "b.h5", "demo", files);
    EXPECT_TRUE(read_file(folder / "a.h5") == read_file(folder / "b.h5"));
  }
  files.push_back(files[3]);
  merge(folder / "b.h5", "demo", files);
  EXPECT_TRUE(read_file(folder / "a.h5") == read_file(folder / "b.h5")) << "a job given twice";
}

TEST(Merge, NotesTheOrderOfTheSweepFile) {
  const ScratchFolder folder;
  std::vector<JobFile> files;
  for (const char* hash : {"00", "01"}) {
    files.push_back({folder / (std::string(hash) + ".h5"), {}});
    write_job(files.back().file, sample_job(hash, 1));
  }
  merge(folder / "a.h5", "demo", files);
  std::vector<std::string> points;
  for (const Row& row : read_sweep(folder / "a.h5").rows)
    points.push_back(std::get<std::string>(row.at("point")));
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_THAT(order_in(folder / "a.h5"), SizeIs(0)) << "nobody told it";
  const std::string digest_before = digest(read_sweep(folder / "a.h5"));
  const std::vector<std::string> order = {points[1], "of no job", points[0]};
  EXPECT_TRUE(merge(folder / "a.h5", "demo", files, {order}).wrote);
  EXPECT_THAT(order_in(folder / "a.h5"), ::testing::ElementsAre(points[1], points[0]));
  EXPECT_FALSE(merge(folder / "a.h5", "demo", files, {order}).wrote) << "it holds this already";
  EXPECT_TRUE(merge(folder / "a.h5", "demo", files, {{points[0], points[1]}}).wrote);
  EXPECT_THAT(order_in(folder / "a.h5"), ::testing::ElementsAre(points[0], points[1]));
  EXPECT_EQ(digest(read_sweep(folder / "a.h5")), digest_before) << "no result";
}

TEST(Merge, UnitesColumnsRowsAndArrays) {
  const ScratchFolder folder;
  JobRecord first = sample_job("bb", 2), second = sample_job("aa", 1);
  second.columns[0].type = ColumnType::kInt64;
  second.rows[0]["cfg"] = int64_t{2};
  second.columns.push_back({"only_here", ColumnType::kInt64, "images", "", false});
  second.rows[0]["only_here"] = int64_t{5};
  write_job(folder / "1.h5", first);
  write_job(folder / "2.h5", second);
  merge(folder / "m.h5", "demo", std::vector{folder / "1.h5", folder / "2.h5"});
  const SweepRecord sweep = read_sweep(folder / "m.h5");
  EXPECT_EQ(sweep.name, "demo");
  ASSERT_THAT(sweep.rows, SizeIs(3));
  EXPECT_EQ(std::get<std::string>(sweep.rows[0].at("point")), "aa-0");
  EXPECT_EQ(std::get<std::string>(sweep.rows[0].at("job")), "aa");
  EXPECT_EQ(std::get<double>(sweep.rows[0].at("cfg")), 2.0);
  EXPECT_EQ(std::get<int64_t>(sweep.rows[0].at("only_here")), 5);
  EXPECT_FALSE(sweep.rows[1].contains("only_here"));
  ASSERT_TRUE(sweep.jobs.contains("bb"));
  expect_same_arrays(sweep.jobs.at("bb").arrays, first.arrays);
  EXPECT_EQ(sweep.jobs.at("bb").environment, first.environment);
  EXPECT_EQ(sweep.jobs.at("aa").job, second.job);
}

TEST(Merge, TakesOnlyThePointsAskedFor) {
  const ScratchFolder folder;
  write_job(folder / "1.h5", sample_job("aa", 3));
  merge(folder / "m.h5", "demo", {JobFile{folder / "1.h5", {"aa-1"}}});
  const SweepRecord sweep = read_sweep(folder / "m.h5");
  ASSERT_THAT(sweep.rows, SizeIs(1));
  EXPECT_EQ(std::get<std::string>(sweep.rows[0].at("point")), "aa-1");
  EXPECT_THAT(sweep.jobs.at("aa").arrays, SizeIs(7)) << "the array of point aa-0 goes with its row";
}

TEST(Merge, PointInTwoJobsIsTakenOnce) {
  const ScratchFolder folder;
  JobRecord second = sample_job("bb", 2);
  second.rows[0]["point"] = std::string("aa-0");
  write_job(folder / "1.h5", sample_job("aa", 1));
  write_job(folder / "2.h5", second);
  merge(folder / "m.h5", "demo", std::vector{folder / "2.h5", folder / "1.h5"});
  const SweepRecord sweep = read_sweep(folder / "m.h5");
  ASSERT_THAT(sweep.rows, SizeIs(2));
  EXPECT_EQ(std::get<std::string>(sweep.rows[0].at("job")), "aa");
}

TEST(Merge, DamagedFilesAreNamedAndCostNothingElse) {
  const ScratchFolder folder;
  write_job(folder / "1.h5", sample_job("aa"));
  std::ofstream(folder / "2.h5") << "rubbish";
  const auto problems =
      merge(folder / "m.h5", "demo", std::vector{folder / "2.h5", folder / "1.h5"}).problems;
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_THAT(problems[0].what, HasSubstr("2.h5"));
  EXPECT_THAT(read_sweep(folder / "m.h5").rows, SizeIs(2));
}

TEST(Merge, LeavesAFileAloneThatHoldsThisAlready) {
  const ScratchFolder folder;
  write_job(folder / "1.h5", sample_job("aa"));
  write_job(folder / "2.h5", sample_job("bb"));
  const auto merged = folder / "m.h5";
  EXPECT_TRUE(merge(merged, "demo", std::vector{folder / "1.h5", folder / "2.h5"}).wrote);
  const std::string before = read_file(merged);
  const ino_t inode = inode_of(merged);
  EXPECT_FALSE(merge(merged, "demo", std::vector{folder / "2.h5", folder / "1.h5"}).wrote);
  EXPECT_FALSE(merge(merged, "demo",
                     {JobFile{folder / "2.h5", {}, verify(folder / "2.h5")},
                      JobFile{folder / "1.h5", {}, verify(folder / "1.h5")}})
                   .wrote);
  EXPECT_EQ(inode_of(merged), inode);
  EXPECT_TRUE(read_file(merged) == before);
}

TEST(Merge, WritesAgainWhateverChanged) {
  const ScratchFolder folder;
  const auto merged = folder / "m.h5";
  const std::vector<std::filesystem::path> one{folder / "1.h5"},
      both{folder / "1.h5", folder / "2.h5"};
  write_job(folder / "1.h5", sample_job("aa"));
  write_job(folder / "2.h5", sample_job("bb"));
  const auto wrote = [&](const auto& files) { return merge(merged, "demo", files).wrote; };
  EXPECT_TRUE(wrote(one));
  EXPECT_TRUE(wrote(both)) << "a job more";
  EXPECT_TRUE(wrote(one)) << "a job fewer";
  EXPECT_TRUE(wrote(std::vector{JobFile{folder / "1.h5", {"aa-1"}}})) << "fewer points";
  EXPECT_FALSE(wrote(std::vector{JobFile{folder / "1.h5", {"aa-1", "aa-1"}}}));
  JobRecord other = sample_job("aa");
  other.rows[1]["cfg"] = 7.0;
  write_job(folder / "1.h5", other);
  EXPECT_TRUE(wrote(std::vector{JobFile{folder / "1.h5", {"aa-1"}}})) << "another content";
  EXPECT_EQ(std::get<double>(read_sweep(merged).rows[0].at("cfg")), 7.0);
  EXPECT_TRUE(merge(merged, "another name", one).wrote);
  EXPECT_EQ(read_sweep(merged).name, "another name");
  std::filesystem::remove(merged);
  EXPECT_TRUE(merge(merged, "another name", one).wrote);
}

TEST(Merge, KeepsWhatItMustNotWriteOver) {
  const ScratchFolder folder;
  const auto merged = folder / "m.h5";
  write_job(folder / "1.h5", sample_job("aa"));
  write_job(folder / "2.h5", sample_job("bb"));
  const std::vector<std::filesystem::path> one{folder / "1.h5"},
      both{folder / "1.h5", folder / "2.h5"};
  merge(merged, "demo", one);
  const std::string good = read_file(merged);
  std::string newer = good;
  newer.replace(0, 16, "tarflow record 3");
  std::ofstream(merged, std::ios::binary) << newer;
  for (const auto& files : {one, both}) {
    try {
      merge(merged, "demo", files);
      ADD_FAILURE() << "it was written over";
    } catch (const NotRead& failure) {
      EXPECT_EQ(failure.fault(), Fault::kNewer);
    }
    EXPECT_TRUE(read_file(merged) == newer);
  }
  std::filesystem::remove(merged);
  std::filesystem::create_symlink("/proc/self/mem", merged);  // reading it fails with EIO
  EXPECT_THROW(merge(merged, "demo", one), NotRead);
  EXPECT_TRUE(std::filesystem::is_symlink(merged));
  std::filesystem::remove(merged);
  std::string bad = good;
  bad[good.size() / 2] ^= 1;
  std::ofstream(merged, std::ios::binary) << bad;
  const Merged again = merge(merged, "demo", both);
  EXPECT_EQ(again.aside, folder / "m.h5.damaged-1");
  EXPECT_TRUE(read_file(again.aside) == bad);
  EXPECT_EQ(read_sweep(merged).jobs.size(), 2u);
}

TEST(Merge, WritesADamagedSweepFileAgain) {
  const ScratchFolder folder;
  const auto merged = folder / "m.h5";
  const std::vector<std::filesystem::path> files{folder / "1.h5"};
  write_job(files[0], sample_job("aa"));
  merge(merged, "demo", files);
  const std::string good = read_file(merged);
  damage(merged);
  EXPECT_TRUE(merge(merged, "demo", files).wrote);
  EXPECT_TRUE(read_file(merged) == good);
  for (size_t at = 0; at < 512; at += 23) {
    std::string bad = good;
    bad[at] ^= 4;
    std::ofstream(merged, std::ios::binary) << bad;
    EXPECT_TRUE(merge(merged, "demo", files).wrote) << "byte " << at;
    EXPECT_TRUE(read_file(merged) == good) << "byte " << at;
  }
}

TEST(Merge, DamagedJobFilesAreNamedEachTimeAndNothingIsWrittenTwice) {
  const ScratchFolder folder;
  const std::vector<std::filesystem::path> files{folder / "1.h5", folder / "2.h5", folder / "3.h5"};
  for (int i = 0; i < 3; ++i) {
    write_job(files[static_cast<size_t>(i)], sample_job(fmt::format("a{}", i)));
  }
  std::ofstream(files[1]) << "rubbish";
  damage(files[2]);  // which its first 512 bytes do not tell
  for (const bool wrote : {true, false, false}) {
    const Merged merged = merge(folder / "m.h5", "demo", files);
    EXPECT_EQ(merged.wrote, wrote);
    ASSERT_THAT(merged.problems, SizeIs(2));
    EXPECT_THAT(merged.problems[0].what, HasSubstr("2.h5"));
    EXPECT_THAT(merged.problems[1].what, HasSubstr("3.h5"));
  }
  EXPECT_THAT(read_sweep(folder / "m.h5").jobs, SizeIs(1));
}

TEST(Merge, AFalseSha256IsNotBelieved) {
  const ScratchFolder folder;
  write_job(folder / "1.h5", sample_job("aa"));
  write_job(folder / "2.h5", sample_job("bb"));
  merge(folder / "m.h5", "demo", {JobFile{folder / "1.h5", {}, verify(folder / "2.h5")}});
  EXPECT_TRUE(read_sweep(folder / "m.h5").jobs.contains("aa"));
  EXPECT_FALSE(merge(folder / "m.h5", "demo", std::vector{folder / "1.h5"}).wrote)
      << "the content that was merged is what counts";
}

TEST(Merge, OtherRecordsAreNoJobs) {
  const ScratchFolder folder;
  write_job(folder / "1.h5", sample_job("aa"));
  merge(folder / "sweep.h5", "demo", std::vector{folder / "1.h5"});
  const Merged merged =
      merge(folder / "m.h5", "demo", std::vector{folder / "1.h5", folder / "sweep.h5"});
  ASSERT_THAT(merged.problems, SizeIs(1));
  EXPECT_THAT(merged.problems[0].what, HasSubstr("sweep.h5 is no job's result"));
}

TEST(Merge, TheNewestGenerationOfAPointWins) {
  const ScratchFolder folder;
  write_job(folder / "1.h5", job_of_generation("aa", 1));
  write_job(folder / "2.h5", job_of_generation("bb", 10));
  write_job(folder / "3.h5", sample_job("cc"));  // without a generation, and points of its own
  JobRecord none = sample_job("00", 1);
  none.rows[0]["point"] = std::string("p");
  write_job(folder / "4.h5", none);
  std::vector<std::filesystem::path> files;
  for (const char* name : {"1.h5", "2.h5", "3.h5", "4.h5"}) files.push_back(folder / name);
  merge(folder / "m.h5", "demo", files);
  const SweepRecord sweep = read_sweep(folder / "m.h5");
  ASSERT_THAT(sweep.rows, SizeIs(3));
  EXPECT_EQ(std::get<std::string>(sweep.rows[2].at("point")), "p");
  EXPECT_EQ(std::get<std::string>(sweep.rows[2].at("job")), "bb");
  EXPECT_THAT(sweep.jobs, SizeIs(2)) << "jobs without a row of their own are left out";
  std::reverse(files.begin(), files.end());
  EXPECT_FALSE(merge(folder / "m.h5", "demo", files).wrote);
}

TEST(Merge, OfOneJobTwiceTheNewerResultIsTaken) {
  const ScratchFolder folder;
  JobRecord newer = job_of_generation("aa", 2);
  newer.rows[0]["cfg"] = 9.0;
  write_job(folder / "1.h5", newer);
  write_job(folder / "2.h5", job_of_generation("aa", 1));
  merge(folder / "m.h5", "demo", std::vector{folder / "2.h5", folder / "1.h5"});
  EXPECT_EQ(std::get<double>(read_sweep(folder / "m.h5").rows.at(0).at("cfg")), 9.0);
}

TEST(Merge, AGenerationThatIsNoNumberIsNamed) {
  const ScratchFolder folder;
  JobRecord job = sample_job("aa");
  job.job["generation"] = "latest";
  write_job(folder / "1.h5", job);
  const Merged merged = merge(folder / "m.h5", "demo", std::vector{folder / "1.h5"});
  ASSERT_THAT(merged.problems, SizeIs(1));
  EXPECT_THAT(merged.problems[0].what, HasSubstr("1.h5: the `generation`"));
}

// Against the way it was once done: every job read, and written again.
TEST(Merge, CopiedJobsAreWhatWasWritten) {
  const ScratchFolder folder;
  std::vector<std::filesystem::path> files;
  for (int i = 0; i < 40; ++i) {
    JobRecord job = sample_job(fmt::format("{:02}", i), 1 + i % 2);
    job.arrays[0].axes = {"norm", "block"};
    job.arrays.insert(job.arrays.begin() + 3,
                      make_array("large", {64, i + 1}, std::vector<double>(64u * (i + 1), 0.5 * i),
                                 "", "larger than a page"));
    std::sort(job.arrays.begin(), job.arrays.end(),
              [](const Array& a, const Array& b) { return a.path < b.path; });
    files.push_back(folder / (job.hash + ".h5"));
    write_job(files.back(), job);
  }
  EXPECT_THAT(merge(folder / "m.h5", "demo", files).problems, SizeIs(0));
  const SweepRecord sweep = read_sweep(folder / "m.h5");
  for (const auto& file : files) {
    const JobRecord job = read_job(file);
    SCOPED_TRACE(job.hash);
    ASSERT_TRUE(sweep.jobs.contains(job.hash));
    EXPECT_EQ(sweep.jobs.at(job.hash).job, job.job);
    EXPECT_EQ(sweep.jobs.at(job.hash).environment, job.environment);
    expect_same_arrays(sweep.jobs.at(job.hash).arrays, job.arrays);
  }
}

}  // namespace
}  // namespace tarflow::record
