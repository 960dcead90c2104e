// The experiments that look inside an inversion, as users start them: convergence, trace, compare.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

#include "framework/images/decode.h"
#include "framework/images/image.h"
#include "tests/experiments/programs.h"
#include "tests/parity/golden.h"

namespace tarflow::experiments {
namespace {

using testing::HasSubstr;

class Inside : public Programs {
 protected:
  // The toy model has T = 16 tokens in 2 blocks.
  static at::Tensor array(const record::SweepRecord& sweep, const record::Row& row,
                          const std::string& path) {
    const record::JobRecord& job = sweep.jobs.at(std::get<std::string>(row.at("job")));
    for (const record::Array& found : job.arrays) {
      if (found.path != path) continue;
      const std::vector<double> values = record::to_doubles(found);
      const at::Tensor tensor = at::empty(found.shape, at::kDouble);
      std::memcpy(tensor.mutable_data_ptr(), values.data(), values.size() * sizeof(double));
      return tensor;
    }
    ADD_FAILURE() << "no array " << path;
    return {};
  }

  static at::Tensor curve(const record::SweepRecord& sweep, const record::Row& row,
                          const std::string& name) {
    return array(sweep, row, "convergence/" + std::get<std::string>(row.at("point")) + "/" + name);
  }

  // The row where these columns have these values.
  static const record::Row& row_with(const record::SweepRecord& sweep,
                                     const std::map<std::string, record::Cell>& values) {
    for (const record::Row& row : sweep.rows) {
      const bool all = std::all_of(values.begin(), values.end(), [&](const auto& entry) {
        const auto found = row.find(entry.first);
        return found != row.end() && found->second == entry.second;
      });
      if (all) return row;
    }
    throw std::out_of_range("no such row");
  }

  void copy_golden() const {
    const fs::path golden = fs::path(TARFLOW_SOURCE_DIR) / "tests/parity/golden";
    fs::copy_file(golden / "tiny_uncond_2_64_4_2_0.10.pth",
                  folder_ / "tiny_uncond_2_64_4_2_0.10.pth");
    fs::copy_file(golden / "tiny_uncond.h5", folder_ / "tiny_uncond.h5");
  }

  images::Image picture(const record::Row& row) const {
    return images::read_image(folder_ / "results" / std::get<std::string>(row.at("picture")));
  }
};

std::string text(const record::Row& row, const std::string& column) {
  return std::get<std::string>(row.at(column));
}

double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

TEST_F(Inside, JacobiAndSegmentsEndAtTheSequentialSolution) {
  const record::SweepRecord sweep =
      run("  - convergence:\n      num_images: 5\n      chunk: 2\n      cfg: 1\n      segments: 4\n"
          "      grid: {clamp: [0, 0.5], guess: [z, zero]}\n");
  ASSERT_EQ(sweep.rows.size(), 4u);
  EXPECT_EQ(sweep.jobs.size(), 1u) << "clamps and guesses share the sequential solutions";
  for (const record::Row& row : sweep.rows) {
    const at::Tensor jacobi = curve(sweep, row, "jacobi/relative_distance"),
                     segments = curve(sweep, row, "segments/relative_distance");
    ASSERT_EQ(jacobi.sizes(), (std::vector<int64_t>{2, 15})) << "T - 1 iterations are enough";
    ASSERT_EQ(segments.sizes(), (std::vector<int64_t>{2, 4, 4})) << "as many as tokens a segment";
    const double end = std::max(largest(jacobi.select(-1, -1)), largest(segments.select(-1, -1)));
    EXPECT_GT(jacobi.select(-1, 0).min().item<double>(), 1e-3);
    if (number(row, "clamp") == 0) {
      EXPECT_LT(end, 1e-5);
      EXPECT_GT(number(row, "error_ratio_median"), 0);
      EXPECT_GE(number(row, "error_ratio_max"), number(row, "error_ratio_median"));
      EXPECT_EQ(std::get<int64_t>(row.at("iterations_to_permille")),
                curve(sweep, row, "jacobi/iterations_to_permille").max().item<double>());
    } else {
      EXPECT_GT(end, 0.1) << "the clamp's floor";
      EXPECT_FALSE(row.contains("iterations_to_percent"));
      EXPECT_LT(largest(curve(sweep, row, "jacobi/residual").select(-1, -1)), 1e-6)
          << "which the residual does not show";
    }
    EXPECT_NEAR(number(row, "last_distance"), largest(jacobi.select(-1, -1)), 1e-15);
  }
}

TEST_F(Inside, CurvesDoNotDependOnChunks) {
  const record::SweepRecord sweep =
      run("  - convergence:\n      num_images: 5\n      max_iterations: 3\n      segments: 3\n"
          "      segment_blocks: [1]\n      grid: {chunk: [1, 2, 5]}\n");
  ASSERT_EQ(sweep.rows.size(), 3u);
  for (const char* name : {"jacobi/distance", "jacobi/residual", "segments/distance"}) {
    const at::Tensor expected = curve(sweep, sweep.rows[0], name);
    for (const record::Row& row : sweep.rows)
      EXPECT_TRUE(at::allclose(curve(sweep, row, name), expected, 1e-5, 0)) << name;
  }
  EXPECT_EQ(curve(sweep, sweep.rows[0], "segments/distance").size(0), 1) << "one block was named";
}

// Block 1 is inverted first and starts from the noise either way; with all iterations block 0 does
// as well.
TEST_F(Inside, BlocksStartFromTheSequentialOrTheIteratedOutput) {
  for (const int iterations : {2, 15}) {
    const record::SweepRecord sweep =
        run("  - convergence: {num_images: 2, segments: 0, max_iterations: " +
            std::to_string(iterations) + ", grid: {start: [sequential, iterated]}}\n");
    const auto distances = [&](const char* start) {
      const record::Row& row =
          row_with(sweep, {{"start", std::string(start)}, {"max_iterations", int64_t{iterations}}});
      return curve(sweep, row, "jacobi/distance").slice(1, 0, 2);
    };
    const at::Tensor ours = distances("sequential"), published = distances("iterated");
    EXPECT_TRUE(at::equal(ours[1], published[1]));
    EXPECT_EQ(at::allclose(ours[0], published[0], 1e-5, 0), iterations == 15);
  }
}

TEST_F(Inside, BlocksAndSegmentsThatAreNotThereAreNamed) {
  EXPECT_EQ(wait(start("  - convergence: {num_images: 1, segment_blocks: [2]}\n")), 1);
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("names block 2 of a model of 2"));
  EXPECT_EQ(wait(start("  - convergence: {num_images: 1, segments: 17}\n")), 1);
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("17 segments for 16 tokens"));
}

TEST_F(Inside, AStoppedJobStopsWithinAnIteration) {
  const std::string experiment = "  - convergence: {num_images: 100000, chunk: 500, segments: 0}\n";
  const pid_t process = start(experiment);
  for (int i = 0; i < 600 && !fs::exists(folder_ / "results/toy/jobs"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  ::kill(process, SIGINT);
  EXPECT_NE(wait(process), 0) << "stopped, not done";
  EXPECT_FALSE(fs::exists(folder_ / "results/toy.h5") &&
               !record::read_sweep(folder_ / "results/toy.h5").rows.empty());
}

TEST_F(Inside, TraceShowsTheGoldenStates) {
  copy_golden();
  const record::SweepRecord sweep =
      run("  - trace:\n      model: tiny\n      noise: tiny_uncond.h5\n      num_images: 3\n"
          "      chunk: 2\n      cfg: 0.7\n      grid:\n        strategy:\n          - For\n"
          "          - {num_GS_list: [4, 1, 1, 1], max_jacobi_list: [10, 5, 5, 5], guess_list: "
          "[0, 1, 0, 1]}\n");
  ASSERT_EQ(sweep.rows.size(), 2u);
  EXPECT_EQ(sweep.jobs.size(), 1u) << "strategies are rows of one picture";
  const parity::Golden golden(folder_ / "tiny_uncond.h5");
  const at::Tensor states = golden.tensor("sampling/gs_jacobi_cfg/trace");
  for (const record::Row& row : sweep.rows) {
    const at::Tensor pixels = array(sweep, row, "trace/" + text(row, "point") + "/images");
    const at::Tensor ranges = array(sweep, row, "trace/" + text(row, "point") + "/ranges");
    ASSERT_EQ(pixels.sizes(), (std::vector<int64_t>{3, 6, 16, 16, 3}))
        << "noise, 4 blocks, denoised";
    const bool iterated = text(row, "strategy") != "For";
    for (int64_t image = 0; image < 3; ++image) {
      for (int64_t state = 0; state < (iterated ? 5 : 1); ++state) {
        const at::Tensor expected = states[state][image].to(at::kDouble);
        const double least = ranges[image][state][0].item<double>(),
                     most = ranges[image][state][1].item<double>();
        EXPECT_NEAR(least, expected.min().item<double>(), 5e-4);
        EXPECT_NEAR(most, expected.max().item<double>(), 5e-4);
        const at::Tensor scaled = pixels[image][state].permute({2, 0, 1}) / 255 * (most - least);
        EXPECT_LE(largest(scaled + least - expected), (most - least) / 255 + 1e-3);
      }
    }
    const images::Image strip = picture(row);
    EXPECT_GT(strip.width, 6 * 96);
    EXPECT_GT(strip.height, 2 * 96);
    EXPECT_LT(strip.height, 3 * 96 + 60) << "two rows";
    EXPECT_TRUE(fs::exists(folder_ / "results" / fs::path(text(row, "picture")).parent_path() /
                           "trace_2.png"));
  }
}

TEST_F(Inside, TooManyTracesAreRefused) {
  EXPECT_EQ(wait(start("  - trace: {num_images: 17, strategy: For}\n")), 1);
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("`num_images` is at most 16"));
}

TEST_F(Inside, CompareMeasuresTheGoldenDifference) {
  copy_golden();
  const record::SweepRecord sweep =
      run("  - compare:\n      model: tiny\n      noise: tiny_uncond.h5\n      num_images: 16\n"
          "      chunk: 5\n      cfg: 0.7\n      self_denoising_lr: 0\n      shown: 3\n      amplification: 2\n      grid:\n"
          "        strategy:\n          - For\n          - {num_GS_list: [4, 1, 1, 1], "
          "max_jacobi_list: [10, 5, 5, 5], guess_list: [0, 1, 0, 1]}\n");
  ASSERT_EQ(sweep.rows.size(), 2u);
  const record::Row& same = row_with(sweep, {{"strategy", std::string("For")}});
  EXPECT_EQ(number(same, "deviation_max"), 0);
  const at::Tensor grey = array(sweep, same, "compare/" + text(same, "point") + "/difference");
  EXPECT_EQ(grey.sizes(), (std::vector<int64_t>{3, 16, 16, 3}));
  EXPECT_EQ(largest(grey - 127), 0);

  const record::Row& other =
      text(sweep.rows[0], "strategy") == "For" ? sweep.rows[1] : sweep.rows[0];
  const parity::Golden golden(folder_ / "tiny_uncond.h5");
  const at::Tensor exact = golden.tensor("sampling/sequential_cfg/images").to(at::kDouble),
                   iterated = golden.tensor("sampling/gs_jacobi_cfg/images").to(at::kDouble);
  const at::Tensor expected =
      (iterated - exact).square().mean({1, 2, 3}).sqrt() / exact.square().mean().sqrt();
  const at::Tensor deviations =
      array(sweep, other, "compare/" + text(other, "point") + "/deviation");
  EXPECT_LT(largest(deviations - expected), 1e-3);
  EXPECT_NEAR(number(other, "deviation_median"), expected.quantile(0.5).item<double>(), 1e-3);
  EXPECT_NEAR(number(other, "deviation_p99"), expected.quantile(0.99).item<double>(), 1e-3);
  EXPECT_NEAR(number(other, "deviation_max"), expected.max().item<double>(), 1e-3);
  const at::Tensor shown =
      array(sweep, other, "compare/" + text(other, "point") + "/difference").permute({0, 3, 1, 2});
  const at::Tensor amplified = (((iterated - exact).slice(0, 0, 3) * 2).clamp(-1, 1) + 1) * 127.5;
  EXPECT_LE(largest(shown - amplified), 1.2);
  EXPECT_GT(picture(other).height, 5 * 96) << "For, and two rows a strategy";
}

TEST_F(Inside, SmokeRunsAreMarked) {
  write_file(folder_ / "smoke.yaml",
             "models:\n  toy: {checkpoint: toy_model_2_64_2_1_0.10.pth}\n"
             "defaults: {model: toy, device: cpu}\nexperiments:\n"
             "  - convergence: {num_images: 1000, segments: 0}\n"
             "  - trace: {strategy: For}\n  - compare: {strategy: For, num_images: 1000}\n");
  const std::string command =
      "cd " + folder_.string() + " && " + TARFLOW_RUN_SWEEP + " smoke.yaml --smoke > log 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << read_file(folder_ / "log");
  const record::SweepRecord sweep = record::read_sweep(folder_ / "results/smoke-smoke.h5");
  ASSERT_EQ(sweep.rows.size(), 3u);
  for (const record::Row& row : sweep.rows) {
    EXPECT_EQ(std::get<int64_t>(row.at("smoke")), 1);
    EXPECT_EQ(std::get<int64_t>(row.at("num_images")), 2);
    if (text(row, "experiment") == "convergence") continue;
    EXPECT_TRUE(fs::exists(folder_ / "results" / text(row, "picture")));
  }
}

}  // namespace
}  // namespace tarflow::experiments
