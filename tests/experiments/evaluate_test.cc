// What evaluate measures, through the programs: points that share their samples, times apart,
// errors of the distance, labels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <cmath>
#include <map>

#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

int64_t whole(const record::Row& row, const std::string& column) {
  return std::get<int64_t>(row.at(column));
}

bool has(const record::Row& row, const std::string& column) {
  const auto cell = row.find(column);
  if (cell == row.end()) return false;
  const double* value = std::get_if<double>(&cell->second);
  return !value || !std::isnan(*value);
}

class Evaluate : public Programs {
 protected:
  void SetUp() override {
    Programs::SetUp();
    // Three features: the means of the colours, of all pixels and of a corner.
    save("mean.pt", "    return x.float().flatten(2).mean(2)\n");
    save("corner.pt", "    return x[:, :, :4, :4].float().flatten(2).mean(2)\n");
  }

  void save(const std::string& name, const std::string& body) const {
    torch::jit::Module module("__torch__.features");
    module.define("def forward(self, x):\n" + body);
    module.save((folder_ / name).string());
  }

  // For on 20 images, and `more`.
  std::string evaluate(const std::string& more, int chunk = 2) const {
    return "  - evaluate: {num_images: 20, strategy: For, chunk: " + std::to_string(chunk) +
           ", reference: " + asset("cifar10").string() + ", " + more + "}\n";
  }

  std::string log_of(const record::SweepRecord& sweep) const {
    std::string text;
    for (const auto& [hash, job] : sweep.jobs)
      text += read_file(folder_ / "results/toy/jobs" / hash / "log.txt");
    return text;
  }

  static const record::Array* array_of(const record::SweepRecord& sweep, const record::Row& row,
                                       const std::string& path) {
    const auto& job = sweep.jobs.at(std::get<std::string>(row.at("job")));
    for (const record::Array& array : job.arrays) {
      if (array.path == path) return &array;
    }
    return nullptr;
  }
};

TEST_F(Evaluate, ExtractorsAndRatesShareOneSamplingAndKeepTheirNumbers) {
  const std::string grid = "grid: {extractor: [mean.pt, corner.pt], self_denoising_lr: [0, 1]}";
  const record::SweepRecord sweep = run(evaluate(grid));
  EXPECT_EQ(sweep.jobs.size(), 1u) << "one sampling, one gradient";
  ASSERT_THAT(sweep.rows, SizeIs(4));
  std::map<std::string, double> distances;
  const auto key = [](const record::Row& row) {
    return std::get<std::string>(row.at("extractor")) +
           std::to_string(number(row, "self_denoising_lr"));
  };
  for (const record::Row& row : sweep.rows) {
    distances[key(row)] = number(row, "distance");
    EXPECT_EQ(number(row, "sampling_seconds"), number(sweep.rows[0], "sampling_seconds"));
    EXPECT_GT(number(row, "feature_seconds"), 0);
    EXPECT_GE(number(row, "everything_seconds"), number(row, "sampling_seconds") +
                                                     number(row, "denoise_seconds") +
                                                     number(row, "feature_seconds"));
  }
  EXPECT_THAT(distances, SizeIs(4)) << "a row each";
  for (const char* extractor : {"mean.pt", "corner.pt"}) {
    fs::remove_all(folder_ / "results");
    const record::SweepRecord alone =
        run(evaluate(std::string("self_denoising_lr: 1, extractor: ") + extractor));
    ASSERT_THAT(alone.rows, SizeIs(1));
    EXPECT_EQ(number(alone.rows[0], "distance"), distances.at(key(alone.rows[0])));
  }
}

TEST_F(Evaluate, TenChunksGiveAnErrorAndFewerSayWhyNot) {
  const record::SweepRecord sweep = run(evaluate("extractor: mean.pt, self_denoising_lr: 0"));
  const record::Row& row = sweep.rows.at(0);
  EXPECT_EQ(whole(row, "distance_groups"), 10);
  EXPECT_GT(number(row, "distance_error"), 0);
  const std::string point = std::get<std::string>(row.at("point"));
  const record::Array* values = array_of(sweep, row, "jackknife/" + point + "/distance");
  ASSERT_NE(values, nullptr);
  // Of equal groups: (G - 1) / G sum (value - mean)^2.
  double mean = 0, squares = 0;
  const std::vector<double> without = record::to_doubles(*values);
  ASSERT_THAT(without, SizeIs(10));
  for (const double value : without) mean += value / 10;
  for (const double value : without) squares += (value - mean) * (value - mean);
  EXPECT_NEAR(number(row, "distance_error") / std::sqrt(0.9 * squares), 1, 1e-6);
  EXPECT_THAT(log_of(sweep), Not(HasSubstr("no standard error")));

  const record::SweepRecord few = run(evaluate("extractor: mean.pt, self_denoising_lr: 0", 5));
  EXPECT_FALSE(has(few.rows.at(0), "distance_error"));
  EXPECT_EQ(whole(few.rows[0], "distance_groups"), 4);
  EXPECT_THAT(log_of(few), HasSubstr("it needs 10 groups of images, and there are 4; a `chunk` of "
                                     "at most 2"));
}

TEST_F(Evaluate, KernelDistancePrecisionAndRecallNeedFeaturesOfTheReference) {
  const std::string plain = "self_denoising_lr: 0, extractor: mean.pt";
  record::SweepRecord sweep = run(evaluate(plain));
  EXPECT_FALSE(has(sweep.rows.at(0), "kid")) << "20 are fewer than 1,000";
  EXPECT_THAT(log_of(sweep), HasSubstr("no KID: there are 20 samples"));
  EXPECT_EQ(whole(sweep.rows[0], "feature_samples"), 20);
  const double precision = number(sweep.rows[0], "precision");
  EXPECT_GE(precision, 0);
  EXPECT_LE(precision, 1);

  sweep = run(evaluate(plain + ", kid_subset_size: 10"));
  EXPECT_TRUE(has(sweep.rows.at(0), "kid"));
  EXPECT_GT(number(sweep.rows[0], "kid_deviation"), 0);
  EXPECT_EQ(number(sweep.rows[0], "precision"), precision);

  sweep = run(evaluate(plain + ", kept_features: 12, kid_subset_size: 10"));
  EXPECT_EQ(whole(sweep.rows.at(0), "feature_samples"), 12);

  sweep = run(evaluate(plain + ", kept_features: 0"));
  EXPECT_FALSE(has(sweep.rows.at(0), "precision"));
  EXPECT_TRUE(has(sweep.rows[0], "distance"));
}

TEST_F(Evaluate, FewerImagesThanFeaturesAreInTheLogAndTheTable) {
  const record::SweepRecord sweep =
      run(evaluate("self_denoising_lr: 0, extractor: " + asset("cifar10_extractor.pt").string()));
  EXPECT_THAT(log_of(sweep), HasSubstr("FEWER IMAGES THAN FEATURES, 20 for 96"));
  EXPECT_THAT(read_file(folder_ / "results/toy/report/report.md"),
              HasSubstr("FEWER IMAGES (20) THAN FEATURES (96)"));
}

TEST_F(Evaluate, FixedLabelsAreRepeatedByImageIndex) {
  const auto images = [&](const std::string& labels, int chunk) {
    const record::SweepRecord sweep =
        run("  - sample: {num_images: 6, strategy: For, chunk: " + std::to_string(chunk) + labels +
            "}\n");
    return record::to_doubles(*array_of(sweep, sweep.rows.at(0), "images/before_denoising"));
  };
  const std::vector<double> zeros = images(", labels: [0]", 6), twos = images(", labels: [2]", 6),
                            mixed = images(", labels: [0, 2]", 6),
                            parted = images(", labels: [0, 2]", 3);
  const size_t size = zeros.size() / 6;
  for (size_t i = 0; i < zeros.size(); ++i) {
    const std::vector<double>& expected = i / size % 2 ? twos : zeros;
    ASSERT_NEAR(mixed[i], expected[i], 1e-4) << "image " << i / size;
    ASSERT_NEAR(parted[i], expected[i], 1e-4) << "chunks of 3, image " << i / size;
  }
  EXPECT_NE(zeros, twos);
  EXPECT_NE(images("", 6), mixed) << "uniform without labels";
}

TEST_F(Evaluate, LabelsThatAreNoClassesAreRefusedAtTheirPlace) {
  EXPECT_NE(wait(start("  - sample: {num_images: 6, strategy: For, labels: [0, 3]}\n")), 0);
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("3 is not a class of the model toy"));
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("toy.yaml:6:"));
}

TEST_F(Evaluate, NonfiniteImagesFailByDefaultAndAreListed) {
  const std::string overflow = "cfg: 1000, self_denoising_lr: 0, extractor: mean.pt";
  EXPECT_NE(wait(start(evaluate(overflow))), 0);
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("are not finite with self_denoising_lr 0"));
}

}  // namespace
}  // namespace tarflow::experiments
