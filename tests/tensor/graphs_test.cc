#include "framework/tensor/graphs.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

namespace tarflow {
namespace {

class GraphsTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::string(GetParam()) == "cuda" && !at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  }
  at::Device device() const {
    return std::string(GetParam()) == "cuda" ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  }
};

// As it stands, recorded and replayed; work that allocates, of two keys in turns.
TEST_P(GraphsTest, WorkIsDoneEveryTime) {
  const at::Tensor x = at::zeros({1000}, at::TensorOptions(device())),
                   y = at::ones({1000}, at::TensorOptions(device()));
  Graphs graphs(device());
  for (int i = 0; i < 5; ++i) {
    graphs.run({1}, [&] { x.add_((y + 1) - 1); });
    graphs.run({2}, [&] { y.mul_(at::full_like(y, 2)); });
  }
  EXPECT_EQ(x.min().item<float>(), 1 + 2 + 4 + 8 + 16);
  EXPECT_EQ(x.max().item<float>(), 1 + 2 + 4 + 8 + 16);
  EXPECT_EQ(y.max().item<float>(), 32);
}

TEST_P(GraphsTest, WhatFailsWhileItIsRecordedIsToldAndHarmsNothing) {
  const at::Tensor x = at::zeros({1}, at::TensorOptions(device()));
  Graphs graphs(device());
  const auto fail = [] { throw std::runtime_error("of the work"); };
  graphs.run({1}, [&] { x.add_(1); });
  EXPECT_THROW(graphs.run({1}, fail), std::runtime_error);
  graphs.run({2}, [&] { x.add_(1); });
  graphs.run({2}, [&] { x.add_(1); });
  EXPECT_EQ(x.item<float>(), 3);
}

TEST_P(GraphsTest, MoreKeysThanAreKeptAreDoneAsTheyStand) {
  const at::Tensor x = at::zeros({1}, at::TensorOptions(device()));
  Graphs graphs(device());
  const int64_t keys = static_cast<int64_t>(Graphs::kMost) + 3;
  for (int round = 0; round < 3; ++round) {
    for (int64_t key = 0; key < keys; ++key) graphs.run({key}, [&] { x.add_(1); });
  }
  EXPECT_EQ(x.item<float>(), static_cast<float>(3 * keys));
}

INSTANTIATE_TEST_SUITE_P(Devices, GraphsTest, testing::Values("cpu", "cuda"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tarflow
