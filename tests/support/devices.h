// The devices of tests that run on CPUs and GPUs.
#pragma once

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "framework/tensor/device.h"

namespace tarflow {

// Skips the test if it needs a GPU and this machine has none. A SetUp that goes on to use the
// device must return if testing::Test::IsSkipped().
inline void skip_without(const std::string& device) {
  if (device.starts_with("cuda") && !at::hasCUDA()) GTEST_SKIP() << "no GPU here";
}

struct DeviceCase {
  const char* name;
  const char* device;
  ComputeType compute;
};
inline void PrintTo(const DeviceCase& device, std::ostream* out) { *out << device.name; }

}  // namespace tarflow
