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

}  // namespace
}  // namespace tarflow
