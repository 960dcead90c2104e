// What is not finite is told by every experiment: as an error, or in the row where it is excluded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/experiments/programs.h"
#include "tests/support/spoilt_checkpoint.h"

namespace tarflow::experiments {
namespace {

using testing::HasSubstr;
using testing::Not;

class Nonfinite : public Programs {
 protected:
  void SetUp() override {
    Programs::SetUp();
    // A class whose embedding overflows: labels choose which images are not finite.
    std::vector<float> embedding(kToyShape.channels, 1e30f);
    spoil({{"blocks.0.class_embed", embedding}});
  }

  // Class 0 of block 0 is the first row of class_embed.
  void spoil(const checkpoint::FirstValues& first) const {
    checkpoint::write_spoilt(folder_ / kToyFile, kToyShape, checkpoint::DType::kFloat32, first);
  }

  // What the programs print where the sweep must fail.
  std::string failure(const std::string& experiments) const {
    fs::remove_all(folder_ / "results");
    EXPECT_NE(wait(start(experiments)), 0) << experiments;
    std::string text = read_file(folder_ / "log");
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "results")) {
      if (entry.path().filename() == "log.txt") text += read_file(entry.path());
    }
    return text;
  }

  static std::string text(const record::Row& row, const std::string& column) {
    return std::get<std::string>(row.at(column));
  }
  static int64_t count(const record::Row& row, const std::string& column) {
    return std::get<int64_t>(row.at(column));
  }

  const std::string images_ = asset("cifar10").string();
  const std::string mixed_ = "num_images: 6, chunk: 4, labels: [1, 0, 2]";  // images 1 and 4
};

TEST_F(Nonfinite, SamplesFailTheJobOrAreCounted) {
  const std::string sample = "  - sample: {strategy: For, " + mixed_;
  const std::string told = failure(sample + "}\n");
  EXPECT_THAT(told, HasSubstr("image 1 is not finite"));
  EXPECT_THAT(told, HasSubstr("nonfinite: exclude"));
  const record::Row row = run(sample + ", nonfinite: exclude, trace: true}\n").rows.at(0);
  EXPECT_EQ(count(row, "nonfinite_images"), 2);
  EXPECT_EQ(text(row, "status"), "2 of 6 images are not finite and left out");
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("2 of 6 images are not finite")) << "the table";
  EXPECT_THAT(failure("  - sample: {strategy: For, num_images: 4, labels: [0], nonfinite: "
                      "exclude}\n"),
              HasSubstr("none of 4 images is finite"));
  const record::Row sound =
      run("  - sample: {strategy: For, num_images: 4, labels: [1]}\n").rows.at(0);
  EXPECT_EQ(text(sound, "status"), "ok");
  EXPECT_EQ(count(sound, "nonfinite_images"), 0);
}

TEST_F(Nonfinite, StatesOfATrace) {
  const std::string trace = "  - trace: {strategy: For, " + mixed_;
  EXPECT_THAT(failure(trace + "}\n"),
              HasSubstr("image 1 is not finite in a state of strategy For"));
  const record::Row row = run(trace + ", nonfinite: exclude}\n").rows.at(0);
  EXPECT_EQ(count(row, "nonfinite_images"), 2);
  EXPECT_EQ(text(row, "status"), "2 of 6 images are not finite and left out");
}

TEST_F(Nonfinite, ComparedSamples) {
  const std::string compare = "  - compare: {strategy: For, " + mixed_;
  EXPECT_THAT(failure(compare + "}\n"), HasSubstr("image 1 is not finite by `against`"));
  const record::Row row = run(compare + ", nonfinite: exclude}\n").rows.at(0);
  EXPECT_EQ(count(row, "nonfinite_images"), 2);
  EXPECT_EQ(count(row, "images_compared"), 4);
  EXPECT_THAT(text(row, "status"), HasSubstr("2 of 6 images of `against` are not finite"));
  EXPECT_TRUE(std::isfinite(number(row, "deviation_max")));
}

TEST_F(Nonfinite, EvaluatedSamples) {
  const std::string evaluate = "  - evaluate: {strategy: For, " + mixed_ +
                               ", extractor: " + asset("cifar10_extractor.pt").string() +
                               ", reference: " + images_;
  if (!fs::exists(asset("cifar10_extractor.pt"))) GTEST_SKIP() << "no cifar10_extractor.pt";
  EXPECT_THAT(failure(evaluate + "}\n"), HasSubstr("image 1 is not finite with self_denoising_lr"));
  const record::Row row = run(evaluate + ", nonfinite: exclude}\n").rows.at(0);
  EXPECT_EQ(count(row, "nonfinite_images"), 2);
  EXPECT_EQ(count(row, "distance_images"), 4);
  EXPECT_EQ(count(row, "micro_batch"), 4) << "of whole chunks";
  EXPECT_EQ(text(row, "status"), "2 of 6 samples are not finite and left out");
  EXPECT_TRUE(std::isfinite(number(row, "distance")));
  EXPECT_THAT(failure("  - evaluate: {strategy: For, num_images: 4, labels: [0], nonfinite: "
                      "exclude}\n"),
              HasSubstr("none of 4 samples is finite"));
}

TEST_F(Nonfinite, SequentialSolutionsOfConvergence) {
  const std::string convergence = "  - convergence: {segments: 2, " + mixed_;
  EXPECT_THAT(failure(convergence + "}\n"),
              HasSubstr("image 1 is not finite in the sequential solution"));
  const record::SweepRecord sweep = run(convergence + ", nonfinite: exclude}\n");
  const record::Row& row = sweep.rows.at(0);
  EXPECT_EQ(count(row, "nonfinite_images"), 2);
  EXPECT_EQ(text(row, "status"), "2 of 6 images are not finite and left out");
  EXPECT_TRUE(std::isfinite(number(row, "last_distance")));
}

TEST_F(Nonfinite, DeviceErrors) {
  const std::string error = "  - device_error: {strategy: For, compute_type: bfloat16, " + mixed_;
  EXPECT_THAT(failure(error + "}\n"),
              HasSubstr("image 1 is not finite in float32 by strategy For"));
  const record::Row row = run(error + ", nonfinite: exclude}\n").rows.at(0);
  EXPECT_EQ(count(row, "nonfinite_images"), 2);
  EXPECT_EQ(count(row, "nonfinite_forward"), 2);
  EXPECT_TRUE(std::isfinite(number(row, "deviation_max")));
  EXPECT_TRUE(std::isfinite(number(row, "forward_max")));
  EXPECT_THAT(text(row, "status"), HasSubstr("2 of 6 images are not finite in the forward pass"));
}

// With the labels of class folders some images alone overflow; without labels all do.
TEST_F(Nonfinite, MetricsOfRealImages) {
  const std::string igm = "  - igm_crm: {num_images: 6, images: " + images_;
  EXPECT_THAT(failure(igm + "}\n"), HasSubstr("not finite in the blocks of the model"));
  EXPECT_THAT(failure(igm + ", nonfinite: exclude}\n"), HasSubstr("no IGM or CRM: for none of 6"));
  const std::string folder = (folder_ / "classes").string();
  for (const char* name : {"a", "b", "c"}) {
    fs::create_directories(folder + "/" + name);
    for (const auto& entry : fs::recursive_directory_iterator(images_)) {
      if (entry.is_regular_file() && entry.path().extension() == ".jpg") {
        fs::copy_file(entry.path(), folder + "/" + name + "/0.jpg");
        break;
      }
    }
  }
  const std::string some = ", num_images: 0, labels: folder, nonfinite: exclude, images: " + folder;
  const record::Row metrics = run("  - igm_crm: {norm: \"2\"" + some + "}\n").rows.at(0);
  EXPECT_EQ(count(metrics, "nonfinite_images"), 1);
  EXPECT_EQ(count(metrics, "images_used"), 2);
  EXPECT_TRUE(std::isfinite(number(metrics, "toughest_crm_percent")));
  EXPECT_EQ(text(metrics, "status"), "1 of 3 images are not finite and left out");
  const record::Row density = run("  - bpd: {batch: 2" + some + "}\n").rows.at(0);
  EXPECT_EQ(count(density, "nonfinite_images"), 1);
  EXPECT_EQ(count(density, "images_used"), 2);
  EXPECT_TRUE(std::isfinite(number(density, "noisy_nats_per_dimension")));
  EXPECT_THAT(failure("  - bpd: {labels: folder, images: " + folder + "}\n"),
              HasSubstr("image 0 is not finite in its density"));
}

TEST_F(Nonfinite, NothingToChooseGuessesBy) {
  const std::string sample =
      "  - sample: {num_images: 2, labels: [1], guess_num_images: 6, "
      "guess_images: " +
      images_ + ", strategy: {name: \"[1-4-4-4]\", guess: auto}";
  EXPECT_THAT(failure(sample + "}\n"), HasSubstr("not finite in the blocks of the model"));
  EXPECT_THAT(failure(sample + ", nonfinite: exclude}\n"), HasSubstr("for none of 6 images"));
}

TEST_F(Nonfinite, AGuidanceThatOverflows) {
  spoil({});
  EXPECT_THAT(failure("  - sample: {strategy: For, num_images: 2, cfg: 1.0e+38}\n"),
              HasSubstr("images 0, 1 are not finite"));
}

TEST_F(Nonfinite, WeightsAreNamedByEveryJob) {
  spoil({{"blocks.0.attn_blocks.0.mlp.main.0.bias", {std::numeric_limits<float>::quiet_NaN()}}});
  EXPECT_THAT(failure("  - sample: {strategy: For, num_images: 2}\n"),
              HasSubstr("blocks.0.attn_blocks.0.mlp.main.0.bias: 1 of 256 values are NaN"));
}

// The published code starts proj_out at 0, which makes every block the identity.
TEST_F(Nonfinite, NoBlockIsTheToughestOfEqualZeros) {
  checkpoint::FirstValues zeros;
  for (const char* block : {"blocks.0.", "blocks.1."}) {
    zeros[std::string(block) + "proj_out.weight"] = std::vector<float>(24 * 64, 0.f);
    zeros[std::string(block) + "proj_out.bias"] = std::vector<float>(24, 0.f);
  }
  spoil(zeros);
  const record::Row row = run("  - igm_crm: {num_images: 4, images: " + images_ + "}\n").rows.at(0);
  EXPECT_FALSE(row.contains("toughest_block"));
  EXPECT_THAT(text(row, "status"), HasSubstr("the CRM of every block is 0"));
}

// `memory_limit` divides chunks; curves have no stop, so that nothing but rounding changes.
TEST_F(Nonfinite, ConvergenceAndDeviceErrorObeyTheMemoryLimit) {
  spoil({});
  const auto both = [&](const std::string& limit) {
    return run("  - convergence: {num_images: 6, segments: 2" + limit + "}\n" +
               "  - device_error: {num_images: 6, strategy: For, compute_type: bfloat16" + limit +
               "}\n");
  };
  const record::SweepRecord whole = both("");
  fs::rename(folder_ / "results", folder_ / "whole");
  const record::SweepRecord parts = both(", memory_limit: 0.0012");
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "results")) {
    if (entry.path().filename() != "log.txt") continue;
    EXPECT_THAT(read_file(entry.path()), HasSubstr("batches are divided"));
  }
  for (size_t i = 0; i < 2; ++i) {
    for (const char* column : {"last_distance", "deviation_median", "forward_median"}) {
      const auto& [a, b] = std::pair(whole.rows.at(i), parts.rows.at(i));
      ASSERT_EQ(a.contains(column), b.contains(column));
      if (a.contains(column)) EXPECT_NEAR(number(a, column), number(b, column), 1e-4) << column;
    }
  }
}

}  // namespace
}  // namespace tarflow::experiments
