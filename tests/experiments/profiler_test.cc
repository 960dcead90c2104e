#include "experiments/worker/profiler.h"

#include <gtest/gtest.h>

namespace tarflow::experiments {
namespace {

TEST(BenchmarkProfile, TimeThatNoSpanCovers) {
  EXPECT_EQ(seconds_between({}), 0);
  EXPECT_EQ(seconds_between({{5, 9}}), 0);
  // In any order, overlapping, one inside another.
  EXPECT_DOUBLE_EQ(seconds_between({{60, 70}, {10, 40}, {20, 30}, {35, 45}, {100, 101}}), 45e-9);
}

TEST(BenchmarkProfile, KernelsHaveAKindByTheirNames) {
  EXPECT_EQ(kernel_kind("nvjet_sm90_tst_96x64_64x10_1x2_h_bz_gelubias_TNN"), "gemm");
  EXPECT_EQ(kernel_kind("void tarflow::decode_kernel<__nv_bfloat16>"), "attention");
  EXPECT_EQ(kernel_kind("cudnn_generated_fort_native_sdpa_sm90_flash_fprop"), "attention");
  EXPECT_EQ(kernel_kind("void norm_row_kernel<float>"), "norm");
  EXPECT_EQ(kernel_kind("Memcpy DtoD (Device -> Device)"), "copy");
  EXPECT_EQ(kernel_kind("block 3"), "framework");
  EXPECT_EQ(kernel_kind(kNoKernel), "framework");
  EXPECT_EQ(kernel_kind("void embed_kernel<float>"), "other");
}

}  // namespace
}  // namespace tarflow::experiments
