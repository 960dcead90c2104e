#include "framework/tensor/device.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"

namespace tarflow {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string device_error(const std::string& text) {
  try {
    device_from(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Device, CpuIsAlwaysThere) {
  EXPECT_EQ(device_from("cpu"), at::Device(at::kCPU));
  EXPECT_THAT(device_name(at::kCPU), HasSubstr("threads"));
}

TEST(Device, AutoTakesAGpuIfThereIsOne) { EXPECT_EQ(device_from("auto").is_cuda(), at::hasCUDA()); }

TEST(Device, WordsThatAreNoDevice) {
  for (const char* text :
       {"gpu", "", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "CPU", "cuda:99999999999"}) {
    EXPECT_THAT(device_error(text), HasSubstr("is not a device")) << text;
    EXPECT_THAT(device_error(text), HasSubstr("valid: auto, cpu, cuda, cuda:N")) << text;
  }
}

TEST(Device, AbsentGpuNamesHowManyThereAre) {
  EXPECT_THAT(device_error("cuda:999"), HasSubstr("cuda:999 was asked for, but this build sees"));
  if (!at::hasCUDA()) {
    EXPECT_THAT(device_error("cuda"), HasSubstr("sees 0 GPUs"));
  }
}

TEST(ComputeType, NamesRoundTrip) {
  for (const ComputeType type : {ComputeType::kFloat32, ComputeType::kBFloat16}) {
    EXPECT_EQ(compute_type_from(to_string(type), at::kCPU), type);
  }
  EXPECT_EQ(scalar_type(ComputeType::kFloat32), at::kFloat);
  EXPECT_EQ(scalar_type(ComputeType::kBFloat16), at::kBFloat16);
}

TEST(ComputeType, AutoFollowsTheDevice) {
  EXPECT_EQ(compute_type_from("auto", at::kCPU), ComputeType::kFloat32);
  EXPECT_EQ(compute_type_from("auto", at::Device(at::kCUDA, 0)), ComputeType::kBFloat16);
}

TEST(ComputeType, UnknownNamesAreErrors) {
  for (const char* text : {"float16", "fp32", "", "Float32"}) {
    try {
      compute_type_from(text, at::kCPU);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("is not a compute type"));
      EXPECT_THAT(error.problems().front().repair, Not(IsEmpty()));
    }
  }
}

TEST(ExactFloat32, TurnsTf32Off) {
  use_exact_float32();
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
  EXPECT_FALSE(at::globalContext().allowTF32CuDNN());
}

TEST(BFloat16Sums, AreAsChosen) {
  for (const bool allowed : {false, true}) {
    use_bfloat16_sums(allowed);
    EXPECT_EQ(bfloat16_sums(), allowed);
    EXPECT_EQ(at::globalContext().allowBF16ReductionCuBLAS() ==
                  at::CuBLASReductionOption::DisallowReducedPrecisionAllowSplitK,
              !allowed);
  }
  use_bfloat16_sums(!kBFloat16Sums);
  use_exact_float32();
  EXPECT_EQ(bfloat16_sums(), kBFloat16Sums);
}

// The switch does on a GPU what it says: long sums of few rows are then exact to fp32 before the
// result is rounded to bf16.
TEST(BFloat16Sums, OfAGpuAreExactWhereTheyAreNotAllowed) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  const auto options = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  at::manual_seed(3);
  const at::Tensor a = at::randn({8, 16384}, options), b = at::randn({512, 16384}, options);
  const at::Tensor exact = at::mm(a.to(at::kDouble), b.to(at::kDouble).t());
  use_bfloat16_sums(false);
  const at::Tensor got = at::mm(a, b.t()).to(at::kDouble);
  use_bfloat16_sums(kBFloat16Sums);
  // Half a unit in the last place of bf16, and what fp32 loses of sums of some 128.
  EXPECT_LT(((got - exact).abs() - exact.abs() / 256).max().item<double>(), 2e-3);
}

}  // namespace
}  // namespace tarflow
