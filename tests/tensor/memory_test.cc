#include "framework/tensor/memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/tensor/timer.h"

namespace tarflow {
namespace {

constexpr int64_t kMega = 1 << 20;

// One body for both devices.
class OnDevice : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (device_.is_cuda() && !at::hasCUDA()) GTEST_SKIP() << "no GPU";
  }
  at::Tensor bytes(int64_t count) const {
    return at::empty({count}, at::TensorOptions(device_).dtype(at::kByte));
  }

  const at::Device device_{GetParam()};
};

TEST_P(OnDevice, PeakIsWhatIsHeldAtOnce) {
  const at::Tensor before = bytes(8 * kMega);
  const MemoryMeter meter(device_);
  { const at::Tensor one = bytes(4 * kMega), two = bytes(2 * kMega); }
  const at::Tensor three = bytes(4 * kMega);
  EXPECT_EQ(meter.peak(), 6 * kMega);
}

TEST_P(OnDevice, OneTimeBetweenTwoMarks) {
  DeviceTimer timer(device_);
  EXPECT_TRUE(timer.seconds().empty());
  timer.mark();
  EXPECT_TRUE(timer.seconds().empty());
  bytes(kMega).zero_();
  timer.mark();
  timer.mark();
  const std::vector<double> seconds = timer.seconds();
  ASSERT_EQ(seconds.size(), 2u);
  EXPECT_GE(seconds[0], 0);
}

INSTANTIATE_TEST_SUITE_P(Devices, OnDevice, testing::Values("cpu", "cuda:0"), [](const auto& info) {
  return std::string(info.param).substr(0, std::string(info.param).find(':'));
});

TEST(Memory, OfACpuIsNotPlanned) {
  EXPECT_FALSE(free_memory(at::kCPU).has_value());
  release_unused_memory(at::kCPU);
}

}  // namespace
}  // namespace tarflow
