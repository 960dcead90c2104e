// The programs as users start them, on a small model with random weights: YAML in, HDF5 out.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <thread>

#include "framework/record/dataset_file.h"
#include "tests/experiments/programs.h"
#include "tests/parity/golden.h"

namespace tarflow::experiments {
namespace {

at::Tensor tensor_of(const record::Array& array) {
  const std::vector<double> values = record::to_doubles(array);
  at::Tensor tensor = at::empty(array.shape, at::kDouble);
  std::memcpy(tensor.mutable_data_ptr(), values.data(), values.size() * sizeof(double));
  return tensor;
}

using EndToEnd = Programs;

constexpr const char* kEvaluate = R"(
  - evaluate:
      num_images: 24
      chunk: 8
      cfg: 0.5
      grid:
        strategy: [For, "[1-4-2-3]"]
        self_denoising_lr: [0, 1]
)";

TEST_F(EndToEnd, GoldenImagesThroughYaml) {
  const fs::path golden = fs::path(TARFLOW_SOURCE_DIR) / "tests/parity/golden";
  fs::copy_file(golden / "tiny_uncond_2_64_4_2_0.10.pth",
                folder_ / "tiny_uncond_2_64_4_2_0.10.pth");
  const record::SweepRecord sweep =
      run("  - sample:\n      model: tiny\n      noise: " + (golden / "tiny_uncond.h5").string() +
          "\n      num_images: 16\n      chunk: 16\n      cfg: 0.7\n      self_denoising_lr: 0.6\n "
          "     strategy: For\n");
  const parity::Golden expected(golden / "tiny_uncond.h5");
  const record::JobRecord& job = sweep.jobs.begin()->second;
  const auto difference = [&](const std::string& array, const std::string& dataset) {
    for (const record::Array& found : job.arrays) {
      if (found.path.starts_with(array))
        return (tensor_of(found) - expected.tensor(dataset)).abs().max().item<double>();
    }
    return INFINITY * 1.0;
  };
  EXPECT_LT(difference("images/before_denoising", "sampling/sequential_cfg/images"), 5e-4);
  EXPECT_LT(difference("images/final/", "denoised/lr0.6"), 5e-4);
}

TEST_F(EndToEnd, RatesShareTheirSamples) {
  const record::SweepRecord sweep = run(kEvaluate);
  ASSERT_EQ(sweep.rows.size(), 4u);
  EXPECT_EQ(sweep.jobs.size(), 2u) << "one job a strategy";
  for (const record::Row& row : sweep.rows) {
    EXPECT_GT(number(row, "sampling_seconds"), 0);
    EXPECT_NEAR(number(row, "total_seconds"),
                number(row, "sampling_seconds") + number(row, "denoise_seconds") +
                    number(row, "feature_seconds"),
                1e-9);
    EXPECT_EQ(number(row, "denoise_seconds") > 1e-4, number(row, "self_denoising_lr") > 0);
  }
}

TEST_F(EndToEnd, KilledAndResumedHasTheUndisturbedDigest) {
  const std::string undisturbed = record::digest(run(kEvaluate));
  fs::rename(folder_ / "results", folder_ / "undisturbed");
  for (const int delay :
       {40, 400, 900}) {  // milliseconds: wherever that is, the result must not change
    const pid_t process = start(kEvaluate);
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    ::kill(process, SIGKILL);
    wait(process);
  }
  EXPECT_EQ(record::digest(run(kEvaluate)), undisturbed);
}

TEST_F(EndToEnd, ADoneSweepRunsNothing) {
  run(kEvaluate);
  const std::string before = read_file(folder_ / "results/toy.h5");
  run(kEvaluate);
  EXPECT_EQ(read_file(folder_ / "results/toy.h5"), before);
  EXPECT_NE(read_file(folder_ / "log").find("0 jobs to run, 4 of its points done"),
            std::string::npos)
      << read_file(folder_ / "log");
}

TEST_F(EndToEnd, AFileOfStatisticsIsAsGoodAsItsFolder) {
  const std::string extractor = asset("cifar10_extractor.pt").string(),
                    images = asset("cifar10").string();
  run("  - fid_stats: {images: " + images + ", extractor: " + extractor +
      ", image_size: 8, output: stats.h5}\n");
  const std::string evaluate =
      "  - evaluate: {num_images: 8, strategy: For, self_denoising_lr: 0, extractor: " + extractor +
      ", reference: ";
  const record::SweepRecord folder = run(evaluate + images + "}\n");
  const double expected = number(folder.rows.at(0), "distance");
  const record::SweepRecord file = run(evaluate + "stats.h5}\n");
  EXPECT_EQ(number(file.rows.at(0), "distance"), expected);
  EXPECT_EQ(std::get<std::string>(file.rows.at(0).at("distance_name")), "FD(cifar10_extractor)");
  EXPECT_EQ(std::get<int64_t>(file.rows.at(0).at("reference_images")), 1000);
}

TEST_F(EndToEnd, OneFailureLeavesTheRest) {
  write_file(folder_ / "broken.pt", "\x80\2 no pickle");  // a plan reads no further
  const int status =
      wait(start("  - evaluate: {num_images: 4, strategy: For, extractor: broken.pt, reference: " +
                 asset("cifar10").string() + "}\n  - sample: {num_images: 4, strategy: For}\n"));
  EXPECT_EQ(status, 1);
  const record::SweepRecord sweep = record::read_sweep(folder_ / "results/toy.h5");
  ASSERT_EQ(sweep.rows.size(), 1u);
  EXPECT_EQ(std::get<std::string>(sweep.rows[0].at("experiment")), "sample");
  EXPECT_NE(read_file(folder_ / "log").find("broken.pt"), std::string::npos)
      << "the end of its log is shown";
}

}  // namespace
}  // namespace tarflow::experiments
