#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/tensor/noise.h"

#ifdef TARFLOW_USE_CUDA
namespace tarflow {
namespace {

TEST(NoiseGpu, SameBitsAsOnTheCpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  const at::Device gpu(at::kCUDA, 0);
  for (const uint64_t seed : {uint64_t{0}, uint64_t{20240229}, ~uint64_t{0}}) {
    for (const int64_t width : {int64_t{7}, int64_t{192}}) {  // with and without a rest of 4
      const at::Tensor on_cpu = normal_noise(seed, 1000, 100, 257, width, at::kCPU);
      const at::Tensor on_gpu = normal_noise(seed, 1000, 100, 257, width, gpu);
      EXPECT_EQ(on_gpu.device(), gpu);
      EXPECT_TRUE(at::equal(on_cpu.view(at::kInt), on_gpu.cpu().view(at::kInt)))
          << seed << ' ' << width;
    }
  }
}

TEST(NoiseGpu, NothingForNoImages) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  EXPECT_EQ(normal_noise(4, 0, 0, 8, 8, at::Device(at::kCUDA, 0)).numel(), 0);
}

}  // namespace
}  // namespace tarflow
#endif
