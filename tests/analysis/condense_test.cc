#include "analysis/condense.h"

#include <gmock/gmock.h>

#include "analysis/data/sources.h"
#include "analysis/report.h"
#include "framework/core/error.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class CondenseTest : public ::testing::Test {
 protected:
  CondenseTest() {
    std::string name = (fs::temp_directory_path() / "tarflow-condense-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~CondenseTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  fs::path job(const std::string& hash, const std::string& point, int64_t seed) {
    record::JobRecord job = testing::make_job(hash, "evaluate", "small.pth", {point});
    job.job["settings"]["seed"] = seed;
    job.rows = {testing::evaluate_row(point, hash, "For", "sequential", 2)};
    job.rows[0]["seed"] = seed;
    job.columns = testing::columns_of(job.rows);
    std::vector<float> pixels(5 * 12);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i);
    job.arrays = {testing::images_array(5, 2, pixels),
                  record::make_array("moments/" + point + "/count", {3},
                                     std::vector<int64_t>{4, 5, 6}, "", "images"),
                  record::make_array("moments/" + point + "/sum", {3, 2},
                                     std::vector<double>{1, 2, 3, 4, 5, 6}, "", "sums"),
                  record::make_array("sampling/iterations", {2, 2}, std::vector<double>{1, 2, 3, 4},
                                     "", "iterations")};
    record::write_job(folder_ / (hash + ".h5"), job);
    return folder_ / (hash + ".h5");
  }

  record::SweepRecord condensed(const CondenseOptions& options = {}) {
    const std::vector<fs::path> files = {job("j1", "p1", 1), job("j2", "p2", 2)};
    record::merge(folder_ / "all.h5", "demo", files);
    condense(folder_ / "all.h5", folder_ / "small.h5", options);
    return record::read_sweep(folder_ / "small.h5");
  }

  static const record::Array* array(const record::JobRecord& job, const std::string& path) {
    for (const record::Array& array : job.arrays) {
      if (array.path == path) return &array;
    }
    return nullptr;
  }

  fs::path folder_;
};

TEST_F(CondenseTest, RowsStayAsTheyAre) {
  const record::SweepRecord small = condensed(), all = record::read_sweep(folder_ / "all.h5");
  EXPECT_EQ(small.name, "demo");
  EXPECT_EQ(small.rows, all.rows);
  std::vector<std::string> problems;
  const auto sources = read_sources({folder_ / "small.h5"}, problems);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_THAT(points_without_results(sources.at(0)), IsEmpty());
}

TEST_F(CondenseTest, MomentsAreAddedUpAndOtherArraysStay) {
  const record::SweepRecord small = condensed();
  const record::JobRecord& job = small.jobs.at("j2");
  const record::Array& count = *array(job, "moments/p2/count");
  EXPECT_THAT(count.shape, ElementsAre(1));
  EXPECT_THAT(record::to_doubles(count), ElementsAre(15));
  const record::Array& sum = *array(job, "moments/p2/sum");
  EXPECT_THAT(sum.shape, ElementsAre(1, 2));
  EXPECT_THAT(record::to_doubles(sum), ElementsAre(9, 12));
  EXPECT_THAT(record::to_doubles(*array(job, "sampling/iterations")), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(job.job.at("condensed").at("moments"), "one group");
}

TEST_F(CondenseTest, ImagesOfTheSmallestSeedAreKeptUpToTheirNumber) {
  const record::SweepRecord small = condensed({.images = 2});
  const record::Array& images = *array(small.jobs.at("j1"), "images/before_denoising");
  EXPECT_THAT(images.shape, ElementsAre(2, 3, 2, 2));
  EXPECT_EQ(record::to_doubles(images).back(), 23);
  EXPECT_EQ(array(small.jobs.at("j2"), "images/before_denoising"), nullptr);
  EXPECT_EQ(array(condensed({.images = 0}).jobs.at("j1"), "images/before_denoising"), nullptr);
  EXPECT_THAT(array(condensed({.images = 9}).jobs.at("j1"), "images/before_denoising")->shape,
              ElementsAre(5, 3, 2, 2));
}

TEST_F(CondenseTest, NothingIsLeftBesideTheFile) {
  condensed();
  for (const auto& entry : fs::directory_iterator(folder_)) EXPECT_TRUE(entry.is_regular_file());
}

TEST_F(CondenseTest, ARecordIsNotReplacedByItsCopy) {
  condensed();
  const std::string before = record::digest(folder_ / "all.h5");
  EXPECT_THROW(condense(folder_ / "all.h5", folder_ / "all.h5", {}), Error);
  EXPECT_EQ(record::digest(folder_ / "all.h5"), before);
}

TEST_F(CondenseTest, WhatIsNoRecordIsAnError) {
  EXPECT_THROW(condense(folder_ / "none.h5", folder_ / "small.h5"), Error);
  EXPECT_FALSE(fs::exists(folder_ / "small.h5"));
}

}  // namespace
}  // namespace tarflow::analysis
