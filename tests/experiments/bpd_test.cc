// The densities of real images, on flows for which they are known.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/writer.h"
#include "framework/images/png.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::HasSubstr;

constexpr int kSide = 8;
constexpr uint8_t kGrey = 127;  // the level whose cell ends at x = 0

class Bpd : public Programs {
 protected:
  void SetUp() override {
    Programs::SetUp();
    for (int label = 0; label < 3; ++label) {
      for (int i = 0; i < 7; ++i) {
        images::write_png(folder_ / "grey" / std::to_string(label) / (std::to_string(i) + ".png"),
                          images::blank(kSide, kSide, {kGrey, kGrey, kGrey}));
      }
    }
  }

  // In the place of the toy: a model whose blocks all change nothing, z = x.
  void make_identity() const {
    const ModelShape shape{.image_size = kSide,
                           .patch_size = 2,
                           .channels = 64,
                           .blocks = 2,
                           .layers = 1,
                           .classes = 3};
    std::vector<checkpoint::TensorToWrite> tensors;
    for (const checkpoint::ExpectedTensor& expected : checkpoint::expected_tensors(shape)) {
      size_t elements = 1;
      for (const int64_t side : expected.shape) elements *= static_cast<size_t>(side);
      const float value = expected.name == "var" ? 1 : 0;
      tensors.push_back({expected.name, checkpoint::DType::kFloat32, expected.shape, [=] {
                           const std::vector<float> values(elements, value);
                           std::vector<std::byte> bytes(elements * sizeof(float));
                           std::memcpy(bytes.data(), values.data(), bytes.size());
                           return bytes;
                         }});
    }
    checkpoint::write_checkpoint(folder_ / "toy_model_2_64_2_1_0.10.pth", tensors);
  }

  record::Row row_of(const std::string& settings) const {
    const record::SweepRecord sweep = run("  - bpd: {images: grey, " + settings + "}\n");
    EXPECT_EQ(sweep.rows.size(), 1u);
    return sweep.rows.at(0);
  }

  // `status`: 1 where the job fails, 2 where planning finds the fault.
  std::string failure_of(const std::string& settings, int status = 1) const {
    EXPECT_EQ(wait(start("  - bpd: {images: grey, " + settings + "}\n")), status);
    return read_file(folder_ / "log");
  }

  static std::vector<double> numbers(const record::SweepRecord& sweep, const std::string& path) {
    for (const record::Array& array : sweep.jobs.begin()->second.arrays) {
      if (array.path == path) return record::to_doubles(array);
    }
    throw std::out_of_range(path);
  }
};

const double kHalfLog2Pi = 0.5 * std::log(2 * std::numbers::pi);

TEST_F(Bpd, UniformDequantisationGivesBitsPerDimension) {
  make_identity();
  const record::Row row = row_of("dequantisation: uniform");
  // -log2 of the standard normal's density at x in [-1/128, 0), of a level: 1/128 wide.
  const double lowest = std::log2(128 * std::sqrt(2 * std::numbers::pi));
  EXPECT_GT(number(row, "bits_per_dimension"), lowest);
  EXPECT_LT(number(row, "bits_per_dimension"), lowest + 0.5 / 128 / 128 / std::numbers::ln2);
  EXPECT_FALSE(row.contains("noisy_nats_per_dimension")) << "one or the other";
  EXPECT_FALSE(row.contains("noisy_nats_of_levels"));
  EXPECT_EQ(std::get<std::string>(row.at("noise_kind")), "uniform");
  EXPECT_EQ(std::get<int64_t>(row.at("images_used")), 21);
}

TEST_F(Bpd, GaussianNoiseGivesNatsAndNoBits) {
  make_identity();
  const record::SweepRecord sweep = run("  - bpd: {images: grey, draws: 20}\n");
  const record::Row& row = sweep.rows.at(0);
  const double x = kGrey / 255.0 * 2 - 1, noise = 0.1;
  const double dimensions = 21 * 20 * 3 * kSide * kSide;
  // z = x + 0.1 noise: 0.5 mean z^2 is 0.5 (x^2 + 0.01) within four standard errors.
  EXPECT_NEAR(number(row, "noisy_nats_per_dimension"), kHalfLog2Pi + 0.5 * (x * x + noise * noise),
              4 * 0.5 * noise * noise * std::sqrt(2 / dimensions) + 1e-6);
  EXPECT_DOUBLE_EQ(number(row, "noisy_nats_of_levels"),
                   number(row, "noisy_nats_per_dimension") + std::log(128.0));
  EXPECT_FALSE(row.contains("bits_per_dimension")) << "of no model with Gaussian noise";
  EXPECT_DOUBLE_EQ(number(row, "noise_std"), noise);
  EXPECT_EQ(numbers(sweep, "likelihood/logdet"), (std::vector<double>{0, 0}));
  // The mean and its standard error are those of the single values.
  const std::vector<double> values = numbers(sweep, "likelihood/nats");
  ASSERT_EQ(values.size(), 21u);
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / 21;
  for (const double value : values) squares += (value - mean) * (value - mean);
  EXPECT_NEAR(number(row, "noisy_nats_per_dimension"), mean, 1e-12);
  EXPECT_NEAR(number(row, "noisy_nats_standard_error"), std::sqrt(squares / 20 / 21), 1e-12);
}

TEST_F(Bpd, IsTheSameForAnyBatchAndAnyNumberOfImages) {
  const auto values_of = [&](const std::string& settings) {
    fs::remove_all(folder_ / "results");
    return numbers(run("  - bpd: {images: grey, labels: folder, " + settings + "}\n"),
                   "likelihood/nats");
  };
  const std::vector<double> all = values_of("batch: 64");
  ASSERT_EQ(all.size(), 21u);
  for (const char* batch : {"batch: 1", "batch: 4", "batch: 20"}) {  // 21 = 5 * 4 + 1 = 20 + 1
    const std::vector<double> values = values_of(batch);
    ASSERT_EQ(values.size(), 21u);
    for (size_t i = 0; i < 21; ++i) EXPECT_NEAR(values[i], all[i], 1e-5) << batch;
  }
  EXPECT_EQ(values_of("num_images: 0"), all) << "0: all";
  EXPECT_EQ(values_of("num_images: 6").size(), 6u);
  EXPECT_NE(values_of("seed: 1"), all);
  EXPECT_NE(values_of("draws: 2"), all);
}

TEST_F(Bpd, LabelsOfTheFolderAreThoseOfTheModel) {
  const auto nats = [&](const std::string& labels) {
    return number(row_of("labels: " + labels), "noisy_nats_per_dimension");
  };
  const double folder = nats("folder"), none = nats("none");
  EXPECT_NE(folder, none);
  fs::rename(folder_ / "grey/2", folder_ / "grey_2");
  EXPECT_THAT(failure_of("labels: folder", 2),
              HasSubstr("has 2 class folders, but the model toy has 3 classes"));
}

TEST_F(Bpd, AModelOfUnknownNoiseNeedsAStatement) {
  fs::rename(folder_ / "toy_model_2_64_2_1_0.10.pth", folder_ / "toy_model_2_64_2_1_0.00.pth");
  const auto log_of = [&](const std::string& settings) {
    write_file(
        folder_ / "unknown.yaml",
        "models: {toy: {checkpoint: toy_model_2_64_2_1_0.00.pth, noise_std: 0}}\nexperiments:\n"
        "  - bpd: {model: toy, device: cpu, images: grey" +
            settings + "}\n");
    const int status = std::system(
        ("cd " + folder_.string() + " && " + TARFLOW_RUN_SWEEP + " unknown.yaml > log 2>&1")
            .c_str());
    return std::pair(WEXITSTATUS(status), read_file(folder_ / "log"));
  };
  const auto [status, log] = log_of("");
  EXPECT_EQ(status, 1);
  EXPECT_THAT(log, HasSubstr("it is not known which noise the model was trained with"));
  EXPECT_THAT(log, HasSubstr("dequantisation: uniform"));
  EXPECT_EQ(log_of(", dequantisation: gaussian").first, 1);
  EXPECT_EQ(log_of(", dequantisation: uniform").first, 0) << read_file(folder_ / "log");
}

TEST_F(Bpd, IgmCrmTakesLabelsAndAllImages) {
  const auto row = [&](const std::string& settings) {
    return run("  - igm_crm: {images: grey, " + settings + "}\n").rows.at(0);
  };
  const record::Row labelled = row("num_images: 0, labels: folder");
  EXPECT_EQ(std::get<int64_t>(labelled.at("images_used")), 21);
  EXPECT_NE(number(labelled, "toughest_crm_percent"),
            number(row("num_images: 0, labels: none"), "toughest_crm_percent"));
  EXPECT_EQ(std::get<int64_t>(row("num_images: 5").at("images_used")), 5);
}

}  // namespace
}  // namespace tarflow::experiments
