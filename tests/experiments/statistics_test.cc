// Statistics of real images in every form that `reference` takes.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <map>
#include <tuple>

#include "framework/checkpoint/writer.h"
#include "framework/record/dataset_file.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class StatisticsFiles : public Programs {
 protected:
  // Runs fid_stats on `count` images with more settings; writes stats.h5.
  record::SweepRecord make(int count, const std::string& more) const {
    return run("  - fid_stats: {images: " + asset("cifar10").string() +
               ", extractor: " + asset("cifar10_extractor.pt").string() + ", image_size: 8" +
               ", num_images: " + std::to_string(count) + ", output: stats.h5" + more + "}\n");
  }

  std::string evaluate(const std::string& reference, const std::string& more = "") const {
    return "  - evaluate: {num_images: 8, strategy: For, self_denoising_lr: 0, extractor: " +
           asset("cifar10_extractor.pt").string() + ", reference: " + reference + more + "}\n";
  }

  record::Array read(const std::string& dataset) const {
    return record::read_dataset(folder_ / "stats.h5", dataset);
  }

  // stats.h5 as torchmetrics would keep it: sums instead of means.
  void write_torchmetrics(const std::string& name, int64_t count) const {
    std::vector<double> sum = record::to_doubles(read("mu")),
                        outer = record::to_doubles(read("sigma"));
    const auto n = static_cast<double>(count);
    const size_t width = sum.size();
    for (size_t i = 0; i < width; ++i) {
      for (size_t j = 0; j < width; ++j)
        outer[i * width + j] = outer[i * width + j] * (n - 1) + n * sum[i] * sum[j];
    }
    for (double& value : sum) value *= n;
    const auto raw = [](const auto& values) {
      return [values] {
        std::vector<std::byte> bytes(values.size() * sizeof(values[0]));
        std::memcpy(bytes.data(), values.data(), bytes.size());
        return bytes;
      };
    };
    const auto side = static_cast<int64_t>(width);
    using checkpoint::DType;
    checkpoint::write_checkpoint(
        folder_ / name,
        {{"real_features_sum", DType::kFloat64, {side}, raw(sum)},
         {"real_features_cov_sum", DType::kFloat64, {side, side}, raw(outer)},
         {"real_features_num_samples", DType::kInt64, {}, raw(std::vector<int64_t>{count})}});
  }
};

TEST_F(StatisticsFiles, SayWhatTheyWereMadeFrom) {
  const record::SweepRecord sweep = make(10, ", flips: true, keep_features: 4");
  EXPECT_EQ(std::get<int64_t>(sweep.rows.at(0).at("images_used")), 10);
  const std::string hash = std::get<std::string>(sweep.rows.at(0).at("extractor_sha256"));
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(record::to_doubles(read("count")).at(0), 20);
  EXPECT_EQ(record::to_doubles(read("images")).at(0), 10);
  EXPECT_THAT(read("features").shape, ElementsAre(4, 96));
  const auto attribute = [&](const char* name) {
    return record::read_root_attribute(folder_ / "stats.h5", name);
  };
  EXPECT_EQ(attribute("extractor_sha256"), hash);
  EXPECT_EQ(attribute("resize"), "PIL bilinear antialiased, centre crop 8");
  EXPECT_EQ(attribute("flips"), "each image and its mirror image");
  EXPECT_EQ(attribute("features_kept"), "4");
}

TEST_F(StatisticsFiles, OfTorchmetricsGiveTheDistanceOfOurs) {
  make(100, "");
  write_torchmetrics("their_fid_stats.pth", 100);
  const double ours = number(run(evaluate("stats.h5")).rows.at(0), "distance");
  const record::SweepRecord sweep = run(evaluate("their_fid_stats.pth"));
  // 8 samples make a singular covariance: the roots of its zeros turn rounding of 1e-16 into 1e-8.
  EXPECT_NEAR(number(sweep.rows.at(0), "distance"), ours, 1e-6 * ours);
  EXPECT_EQ(std::get<int64_t>(sweep.rows.at(0).at("reference_images")), 100);
}

TEST_F(StatisticsFiles, OfAnotherPrecisionAreRefused) {
  make(20, ", extractor_precision: tf32");
  EXPECT_EQ(record::read_root_attribute(folder_ / "stats.h5", "extractor_precision"), "tf32");
  EXPECT_NE(wait(start(evaluate("stats.h5"))), 0);
  EXPECT_THAT(read_file(folder_ / "log"),
              HasSubstr("with extractor_precision `tf32`, this job uses `float32`"));
  const record::SweepRecord sweep = run(evaluate("stats.h5", ", extractor_precision: tf32"));
  EXPECT_GT(number(sweep.rows.at(0), "distance"), 0);
}

TEST_F(StatisticsFiles, OfAnotherWidthAreRefusedBeforeAnythingRuns) {
  fs::copy(TARFLOW_SOURCE_DIR "/tests/checkpoint/fixtures/stats_stored.npz", folder_);
  EXPECT_NE(wait(start(evaluate("stats_stored.npz"))), 0);
  EXPECT_THAT(read_file(folder_ / "log"),
              HasSubstr("stats_stored.npz has 3 features an image, but the extractor "
                        "cifar10_extractor.pt gives 96"));
  EXPECT_FALSE(fs::exists(folder_ / "results/toy.h5"));
}

TEST_F(StatisticsFiles, OfAnotherKindThanTheirNameAreCalledByWhatTheyAre) {
  for (const auto& [name, content, kind] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"table.h5", "mu,sigma\n1,2\n", "a CSV file"},
           {"page.npz", "<!doctype html><html></html>", "an HTML page"},
           {"pointer.pth", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a Git LFS pointer file"},
           {"array.h5", "\x93NUMPY\1", "a NumPy array (.npy)"}}) {
    write_file(folder_ / name, content);
    EXPECT_NE(wait(start(evaluate(name))), 0);
    EXPECT_THAT(read_file(folder_ / "log"), HasSubstr(name + " is " + kind + ", not HDF5")) << name;
  }
}

TEST_F(StatisticsFiles, ThatHoldNoCovarianceAreRefused) {
  make(20, "");
  std::vector<record::Array> arrays = {read("mu"), read("sigma"), read("count")};
  std::map<std::string, std::string> identity;
  for (const char* name :
       {"extractor_sha256", "weights_sha256", "resize", "extractor_input", "extractor_precision"})
    identity[name] = record::read_root_attribute(folder_ / "stats.h5", name);
  record::write_datasets(folder_ / "same.h5", arrays, identity);
  EXPECT_GT(number(run(evaluate("same.h5")).rows.at(0), "distance"), 0);
  std::vector<double> sigma = record::to_doubles(arrays[1]);
  sigma[1] = 10 * std::abs(sigma[0]) + 1;
  arrays[1] = record::make_array("sigma", arrays[1].shape, sigma, "", "");
  record::write_datasets(folder_ / "lopsided.h5", arrays, identity);
  EXPECT_NE(wait(start(evaluate("lopsided.h5"))), 0);
  EXPECT_THAT(read_file(folder_ / "log"),
              HasSubstr("lopsided.h5 holds a sigma that is no covariance: it is not symmetric"));
}

}  // namespace
}  // namespace tarflow::experiments
