// benchmark and device_error as users start them, on random weights without a file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::HasSubstr;

class Benchmark : public Programs {
 protected:
  static const record::Array& array(const record::SweepRecord& sweep, const record::Row& row,
                                    const std::string& folder, const std::string& name) {
    const std::string path = folder + "/" + std::get<std::string>(row.at("point")) + "/" + name;
    for (const record::Array& found : sweep.jobs.at(std::get<std::string>(row.at("job"))).arrays) {
      if (found.path == path) return found;
    }
    throw std::out_of_range(path);
  }
};

TEST_F(Benchmark, TimesBlocksAndKernelsOfAStatedShape) {
  const record::SweepRecord sweep =
      run("  - benchmark:\n      model: drawn\n      cfg: 1\n      repeats: 2\n"
          "      grid: {batch: [1, 3], strategy: [For, \"[1-4-2-3]\"]}\n");
  ASSERT_EQ(sweep.rows.size(), 4u);
  EXPECT_EQ(sweep.jobs.size(), 1u) << "batches and strategies share weights and rates";
  for (const record::Row& row : sweep.rows) {
    const double batch = static_cast<double>(std::get<int64_t>(row.at("batch")));
    EXPECT_GT(number(row, "seconds_min"), 0);
    EXPECT_LE(number(row, "seconds_min"), number(row, "seconds"));
    EXPECT_LE(number(row, "seconds"), number(row, "seconds_max"));
    EXPECT_GT(number(row, "floor_seconds"), 0);
    EXPECT_GT(number(row, "peak_memory"), 0);
    EXPECT_EQ(static_cast<double>(std::get<int64_t>(row.at("micro_batch"))), batch);
    EXPECT_EQ(array(sweep, row, "benchmark", "block_seconds").shape, (std::vector<int64_t>{2, 2}));
    if (std::get<std::string>(row.at("strategy")) == "For") {
      // 15 steps of 2 blocks, two passes: 2 (12 C^2 + 3 C D) each, C = 64 and D = 12.
      EXPECT_DOUBLE_EQ(number(row, "linear_flops"),
                       batch * 15 * 2 * 2 * 2 * (12 * 64 * 64 + 3 * 64 * 12));
    }
    double shares = 0;
    for (const char* kind : {"gemm", "attention", "norm", "gelu", "update", "copy", "other"})
      shares += number(row, std::string("share_") + kind);
    EXPECT_NEAR(shares, 1, 1e-9);
    EXPECT_GT(number(row, "share_gemm"), 0);
    EXPECT_GE(number(row, "own_share"), 0);
    EXPECT_LT(number(row, "own_share"), 1);
  }
}

TEST_F(Benchmark, AStatedLimitDividesTheBatchAndSaysSo) {
  const record::SweepRecord sweep =
      run("  - benchmark: {model: drawn, batch: 8, strategy: For, repeats: 1, profile: false, "
          "memory_limit: 0.0003}\n");
  ASSERT_EQ(sweep.rows.size(), 1u);
  EXPECT_LT(std::get<int64_t>(sweep.rows[0].at("micro_batch")), 8);
  EXPECT_FALSE(sweep.rows[0].contains("share_gemm"));
  const std::string job = std::get<std::string>(sweep.rows[0].at("job"));
  EXPECT_THAT(read_file(folder_ / "results/toy/jobs" / job / "log.txt"),
              HasSubstr("batches are divided"));
}

TEST_F(Benchmark, AForcedFrontMovesByWholeTokens) {
  const auto said = [&](int advance) {
    const int status = wait(start(fmt::format(
        "  - benchmark: {{batch: 2, cfg: 1, warm_up: 0, repeats: 1, front_advance: {}, strategy: "
        "{{blocks: {{else: {{window: 8, tolerance: 0.1, pattern: FFH}}}}}}}}\n",
        advance)));
    return std::pair(status, read_file(folder_ / "log"));
  };
  const auto [refused, why] = said(3);
  EXPECT_NE(refused, 0);
  EXPECT_THAT(why, HasSubstr("takes 4.50 tokens at each full evaluation"));
  EXPECT_THAT(why, HasSubstr("state a multiple of 2"));
  const auto [status, log] = said(4);
  EXPECT_EQ(status, 0) << log;
}

TEST_F(Benchmark, DeviceErrorIsThatOfTheComputeType) {
  const record::SweepRecord sweep = run(
      "  - device_error:\n      model: drawn\n      num_images: 5\n      chunk: 3\n      cfg: 1\n"
      "      grid: {compute_type: [bfloat16, float32], strategy: [For, \"[1-4-2-3]\"]}\n");
  ASSERT_EQ(sweep.rows.size(), 4u);
  EXPECT_EQ(sweep.jobs.size(), 2u) << "strategies share the forward pass";
  for (const record::Row& row : sweep.rows) {
    const record::Array& blocks = array(sweep, row, "device_error", "blocks");
    EXPECT_EQ(blocks.shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(array(sweep, row, "device_error", "images").shape, std::vector<int64_t>{5});
    for (const char* column : {"deviation_median", "deviation_max", "forward_median"}) {
      if (std::get<std::string>(row.at("compute_type")) == "float32") {
        EXPECT_EQ(number(row, column), 0) << column;
      } else {
        EXPECT_GT(number(row, column), 1e-5) << column;
        EXPECT_LT(number(row, column), 0.1) << column;
      }
    }
    EXPECT_LE(number(row, "deviation_median"), number(row, "deviation_p99"));
    EXPECT_LE(number(row, "deviation_p99"), number(row, "deviation_max"));
  }
}

}  // namespace
}  // namespace tarflow::experiments
