#include "analysis/data/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/file.h"
#include "framework/record/job_file.h"
#include "tests/analysis/call.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SourcesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("tarflow_sources_" + std::to_string(::getpid()) + "_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A sweep's file of one evaluate job with point p1 that took `seconds`.
  fs::path sweep_file(const std::string& name, double seconds) {
    record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {"p1"});
    job.rows = {testing::evaluate_row("p1", "j1", "For", "blocks 1-0: sequential", seconds)};
    job.columns = testing::columns_of(job.rows);
    job.arrays = {testing::images_array(1, 1, {1, 2, 3})};
    job.environment = {{"host", name}};
    const fs::path place = folder_ / (name + ".job.h5"), file = folder_ / (name + ".h5");
    record::write_job(place, job);
    record::merge(file, "s", {place});
    return file;
  }

  // The file of two evaluate jobs, whose arrays are all in the jobs' files.
  fs::path linked_file() {
    std::vector<record::JobFile> jobs;
    for (const char* name : {"1", "2"}) {
      const std::string hash = std::string("j") + name, point = std::string("p") + name;
      record::JobRecord job = testing::make_job(hash, "evaluate", "small.pth", {point});
      job.rows = {testing::evaluate_row(point, hash, "For", "blocks 1-0: sequential", 2)};
      job.columns = testing::columns_of(job.rows);
      job.arrays = {testing::images_array(1, 1, {1, 2, 3})};
      jobs.push_back({folder_ / "s/jobs" / hash / "result.h5", {}});
      record::write_job(jobs.back().file, job);
    }
    record::merge(folder_ / "whole.h5", "s", jobs);
    record::merge(folder_ / "s.h5", "s", jobs, {.limit = 0});
    return folder_ / "s.h5";
  }

  // A record whose rows name `row_jobs` while it holds the jobs j1 and j2.
  fs::path inconsistent(const std::vector<std::pair<std::string, std::string>>& points_and_jobs) {
    std::vector<record::Row> rows;
    for (const auto& [point, job] : points_and_jobs)
      rows.push_back({{"point", point}, {"job", job}});
    const fs::path file = folder_ / "half.h5";
    record::write_record(file, "sweep", "s", "", [&](hid_t out, hid_t jobs) {
      record::write_table(out, testing::columns_of(rows), rows);
      for (const char* hash : {"j1", "j2"})
        record::write_job_group(jobs, testing::make_job(hash, "evaluate", "x.pth", {"p1"}));
    });
    return file;
  }

  std::string only_problem(const fs::path& file) {
    std::vector<std::string> problems;
    EXPECT_THAT(read_sources({file}, problems), IsEmpty());
    EXPECT_THAT(problems, SizeIs(1));
    return problems.empty() ? "" : problems.front();
  }

  fs::path folder_;
  std::vector<std::string> problems_;
};

TEST_F(SourcesTest, LinksAreFollowed) {
  std::vector<std::string> problems;
  const std::vector<Source> sources = read_sources({linked_file()}, problems);
  EXPECT_THAT(problems, IsEmpty());
  for (const Point& point : points_of(sources)) {
    const record::Array* images = point.array(kSampledImages);
    ASSERT_NE(images, nullptr);
    EXPECT_EQ(record::to_doubles(*images), (std::vector<double>{1, 2, 3}));
  }
}

TEST_F(SourcesTest, LinksThatLeadNowhereAreNamedAndAllElseIsShown) {
  const fs::path file = linked_file();
  fs::remove_all(folder_ / "s/jobs/j2");
  std::vector<std::string> problems;
  const std::vector<Source> sources = read_sources({file}, problems);
  ASSERT_THAT(problems, SizeIs(1));
  EXPECT_THAT(problems[0],
              ::testing::AllOf(HasSubstr("s/jobs/j2/result.h5, which is absent"),
                               HasSubstr("lack them"), HasSubstr("`analyze bundle IN OUT`")));
  const std::vector<Point> points = points_of(sources);
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_NE(points[0].array(kSampledImages), nullptr);
  EXPECT_EQ(points[1].array(kSampledImages), nullptr);
  fs::remove_all(folder_ / "s");
  problems.clear();
  read_sources({file}, problems);
  EXPECT_THAT(problems, ElementsAre(HasSubstr("and so in 1 more")));
}

TEST_F(SourcesTest, DigestsOfALinkedAndOfABundledRecordAreEqual) {
  const std::string file = linked_file(), bundled = folder_ / "bundled.h5";
  const testing::Outcome bundle = testing::call({"bundle", file, bundled});
  EXPECT_EQ(bundle.status, 0) << bundle.err;
  const std::string digest = testing::call({"digest", file}).out;
  EXPECT_THAT(digest, SizeIs(65));
  EXPECT_EQ(testing::call({"digest", bundled}).out, digest);
  EXPECT_EQ(testing::call({"digest", folder_ / "whole.h5"}).out, digest);
  EXPECT_EQ(testing::call({"compare", file, bundled}).status, 0);
  EXPECT_EQ(testing::call({"export", file}).out.size() + 2 * 6,  // "s.h5", "bundled.h5"
            testing::call({"export", bundled}).out.size());
  EXPECT_EQ(testing::call({"condense", file, folder_ / "small.h5"}).status, 0);
  fs::remove_all(folder_ / "s");
  EXPECT_EQ(testing::call({"digest", bundled}).out, digest);
  EXPECT_EQ(testing::call({"digest", folder_ / "small.h5"}).out, digest) << "one image each";
  const testing::Outcome lost = testing::call({"digest", file});
  EXPECT_EQ(lost.status, 1);
  EXPECT_THAT(lost.err, HasSubstr("which is absent"));
  EXPECT_EQ(testing::call({"bundle", file, folder_ / "no.h5"}).status, 1);
  EXPECT_FALSE(fs::exists(folder_ / "no.h5"));
}

TEST_F(SourcesTest, ArraysAndEnvironmentAreReadWhenAskedFor) {
  const auto sources = read_sources({sweep_file("a", 10)}, problems_);
  const std::vector<Point> points = points_of(sources);
  ASSERT_THAT(points, SizeIs(1));
  EXPECT_TRUE(points[0].job->arrays.empty());
  const record::Array* images = points[0].array(kSampledImages);
  ASSERT_NE(images, nullptr);
  EXPECT_THAT(record::to_doubles(*images), ElementsAre(1, 2, 3));
  EXPECT_EQ(points[0].array(kSampledImages), images);
  EXPECT_EQ(points[0].array("images/none"), nullptr);
  EXPECT_EQ(points[0].array("none/of/these"), nullptr);
  EXPECT_EQ(points[0].array("job.json"), nullptr);
  EXPECT_THAT(points[0].array_paths(), ElementsAre(kSampledImages));
  EXPECT_EQ(points[0].environment()["host"], "a");
}

TEST_F(SourcesTest, MovedAndReplacedFilesGoOnToBeRead) {
  const fs::path file = sweep_file("a", 10), moved = folder_ / "elsewhere.h5";
  const auto sources = read_sources({file}, problems_);
  fs::rename(file, moved);
  write_file(file, "no record any more");
  EXPECT_NE(points_of(sources)[0].array(kSampledImages), nullptr);
  EXPECT_THAT(points_of(read_sources({moved}, problems_)), SizeIs(1));
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(SourcesTest, CopiesCountOnceAndMeasurementsEach) {
  const fs::path file = sweep_file("a", 10), copy = folder_ / "copy.h5",
                 again = sweep_file("b", 11);
  fs::copy_file(file, copy);
  fs::create_symlink(file, folder_ / "link.h5");
  const auto sources = read_sources({file, folder_ / "link.h5", copy, again}, problems_);
  EXPECT_THAT(sources, SizeIs(3));  // the link is the file itself
  const std::vector<Point> points = points_of(sources);
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_EQ(points[0].number("total_seconds"), 10);
  EXPECT_EQ(points[1].number("total_seconds"), 11);
  EXPECT_NE(points[0].origin(), points[1].origin());
  EXPECT_THAT(distinct_names(points, {}), ElementsAre(HasSubstr("a.h5"), HasSubstr("b.h5")));
}

TEST_F(SourcesTest, AJobsResultIsRead) {
  record::JobRecord job = testing::make_job("j1", "evaluate", "small.pth", {"p1"});
  job.rows = {testing::evaluate_row("p1", "j1", "For", "blocks 1-0: sequential", 10)};
  job.rows[0].erase("job");
  job.columns = testing::columns_of(job.rows);
  record::write_job(folder_ / "result.h5", job);
  const auto sources = read_sources({folder_ / "result.h5"}, problems_);
  EXPECT_THAT(problems_, IsEmpty());
  EXPECT_NE(points_of(sources).at(0).job, nullptr);
}

TEST_F(SourcesTest, FilesOfTheOlderVersionAreRead) {
  const fs::path file = fs::path(TARFLOW_SOURCE_DIR) / "tests/record/version_1/sweep.h5";
  const auto sources = read_sources({file}, problems_);
  EXPECT_THAT(problems_, IsEmpty());
  for (const Point& point : points_of(sources)) EXPECT_NE(point.job, nullptr) << point.id();
}

TEST_F(SourcesTest, HalfMergedFilesAreNamedAndSkipped) {
  EXPECT_THAT(only_problem(inconsistent({{"p1", "j1"}, {"p2", "j3"}})),
              ::testing::AllOf(HasSubstr("half.h5"), HasSubstr("half merged"),
                               HasSubstr("lacks the jobs of point p2")));
  EXPECT_THAT(only_problem(inconsistent({{"p1", "j1"}, {"p1", "j2"}})),
              HasSubstr("more than one row of point p1"));
}

TEST_F(SourcesTest, EveryKindOfBadFileIsToldByItsFault) {
  const fs::path good = sweep_file("a", 10);
  const std::string bytes = read_file(good);
  const auto made = [&](const std::string& content) {
    write_file(folder_ / "bad.h5", content);
    return only_problem(folder_ / "bad.h5");
  };
  EXPECT_THAT(made(""), HasSubstr("is empty"));
  EXPECT_THAT(made("name: demo"), HasSubstr("is not a record"));
  EXPECT_THAT(made(bytes.substr(0, bytes.size() - 1)), HasSubstr("damaged"));
  std::string changed = bytes;
  changed[bytes.size() / 2] ^= 1;
  EXPECT_THAT(made(changed), HasSubstr("damaged"));
  std::string newer = bytes;
  newer.replace(newer.find("record 2"), 8, "record 9");
  EXPECT_THAT(made(newer), HasSubstr("record version 9"));
  EXPECT_THAT(only_problem(folder_), HasSubstr("it is a folder\n  give a record: "));
  EXPECT_THAT(only_problem(folder_ / "none.h5"), HasSubstr("none.h5"));
}

}  // namespace
}  // namespace tarflow::analysis
