// A golden file and the model that made it, on a device: what the tests of this room stand on.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <tuple>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/sampling/sampler.h"
#include "framework/tensor/device.h"
#include "tests/parity/golden.h"

namespace tarflow::parity {

namespace fs = std::filesystem;

struct Case {
  const char* name;    // of the golden file
  const char* golden;  // relative to the source folder
  const char* checkpoint;
};

inline void PrintTo(const Case& files, std::ostream* out) { *out << files.name; }

inline void expect_close(const at::Tensor& got, const at::Tensor& expected,
                         const std::string& what) {
  constexpr double kLargest = 5e-4, kRms = 2e-5;
  ASSERT_EQ(got.sizes(), expected.sizes()) << what;
  const at::Tensor difference = (got.cpu().to(at::kDouble) - expected.to(at::kDouble)).abs();
  EXPECT_LE(difference.max().item<double>(), kLargest) << what;
  EXPECT_LE(difference.square().mean().sqrt().item<double>(), kRms) << what;
}

// (case, device): every golden holds on the CPU and, in fp32 with TF32 off, on a GPU.
class GoldenModel : public testing::TestWithParam<std::tuple<Case, const char*>> {
 protected:
  void SetUp() override {
    const auto& [files, device] = GetParam();
    const fs::path root = TARFLOW_SOURCE_DIR;
    if (!fs::exists(root / files.golden) || !fs::exists(root / files.checkpoint)) {
      GTEST_SKIP() << "needs " << files.golden << " and " << files.checkpoint
                   << ", which are not part of the sources";
    }
    if (std::string(device) == "cuda" && !at::hasCUDA()) GTEST_SKIP() << "no GPU here";
    use_exact_float32();
    golden_ = std::make_unique<Golden>(root / files.golden);
    const checkpoint::TarflowState state = checkpoint::open_tarflow(root / files.checkpoint);
    model_ = load_model(state.tensors, state.shape, device_from(device), ComputeType::kFloat32);
  }

  at::Tensor on_device(const std::string& path) const {
    return golden_->tensor(path).to(model_.device);
  }

  Labels labels(const std::string& path) const {
    if (!golden_->has(path)) return {};
    const at::Tensor values = golden_->tensor(path);
    return {values.const_data_ptr<int64_t>(), values.const_data_ptr<int64_t>() + values.numel()};
  }

  std::unique_ptr<Golden> golden_;
  Model model_;
};

inline std::string name_of(const testing::TestParamInfo<GoldenModel::ParamType>& info) {
  return std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param);
}

}  // namespace tarflow::parity
