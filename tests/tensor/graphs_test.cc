#include "framework/tensor/graphs.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/devices.h"

namespace tarflow {
namespace {

class GraphsTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { skip_without(GetParam()); }
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

// On a GPU `work` is called to do it and to record it, and never again.
TEST_P(GraphsTest, ARecordIsReplayed) {
  const at::Tensor x = at::zeros({1}, at::TensorOptions(device()));
  Graphs graphs(device());
  int calls = 0;
  for (int i = 0; i < 7; ++i) {
    graphs.run({1}, [&] {
      x.add_(1);
      ++calls;
    });
  }
  EXPECT_EQ(x.item<float>(), 7);
  EXPECT_EQ(calls, device().is_cuda() ? 2 : 7);
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

// The book-keeping, with a recorder that keeps the work and counts.
class RecordsTest : public testing::Test {
 protected:
  // What happens to the work of this key: done as it stands, recorded, replayed.
  std::string run(int64_t key) {
    said_.clear();
    graphs_.run({key}, [&] { said_ += "done "; });
    return said_;
  }

  std::string said_;
  Graphs graphs_{Graphs::Recorder([this](const Graphs::Work&) {
    said_ += "recorded ";
    return [this] { said_ += "replayed"; };
  })};
};

TEST_F(RecordsTest, WorkIsDoneThenRecordedThenReplayed) {
  for (const int64_t key : {1, 2}) {
    EXPECT_EQ(run(key), "done ");
    EXPECT_EQ(run(key), "recorded replayed");
    EXPECT_EQ(run(key), "replayed");
  }
  EXPECT_EQ(run(1), "replayed");
}

TEST_F(RecordsTest, TheKeyNotUsedForTheLongestTimeIsForgottenAndThatIsSaid) {
  const int64_t most = static_cast<int64_t>(Graphs::kMost);
  testing::internal::CaptureStderr();
  for (int64_t key = 0; key < most; ++key) {
    run(key);
    run(key);
  }
  EXPECT_EQ(run(0), "replayed");  // now key 1 is the oldest
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  EXPECT_EQ(run(most), "done ");
  EXPECT_EQ(run(most), "recorded replayed");
  EXPECT_EQ(run(0), "replayed");
  EXPECT_EQ(run(2), "replayed");
  EXPECT_EQ(run(1), "done ");  // instead of 3
  EXPECT_EQ(run(3), "done ");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find(std::to_string(most)), std::string::npos) << said;
  EXPECT_EQ(said.find('\n'), said.size() - 1) << "once: " << said;
}

// A recording that throws is tried again.
TEST(RecordsThatFail, AreTriedAgain) {
  int tries = 0, replays = 0;
  Graphs graphs{Graphs::Recorder([&](const Graphs::Work&) -> Graphs::Replay {
    if (++tries == 1) throw std::runtime_error("of the device");
    return [&] { ++replays; };
  })};
  const auto nothing = [] {};
  graphs.run({1}, nothing);
  EXPECT_THROW(graphs.run({1}, nothing), std::runtime_error);
  graphs.run({1}, nothing);
  graphs.run({1}, nothing);
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(replays, 2);
}

INSTANTIATE_TEST_SUITE_P(Devices, GraphsTest, testing::Values("cpu", "cuda"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tarflow
