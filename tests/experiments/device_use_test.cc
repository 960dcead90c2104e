// Whether a stretch had its device to itself, of one process and of ranks.
#include <gtest/gtest.h>

#include "experiments/worker/device_use.h"

namespace tarflow::experiments {
namespace {

DeviceUse use(const std::string& host, double busy, double own) {
  return {.host = host, .busy = busy, .own = own, .wall = 10, .cpus = 4};
}

TEST(DeviceUse, WhatOthersUsedIsForeign) {
  EXPECT_DOUBLE_EQ(foreign_share({use("a", 30, 20)}), 10. / 40);
  EXPECT_FALSE(quiet({use("a", 30, 20)}));
  EXPECT_TRUE(quiet({use("a", 30, 29)}));
}

TEST(DeviceUse, RanksOfOneHostAreNotForeignToEachOther) {
  EXPECT_DOUBLE_EQ(foreign_share({use("a", 40, 20), use("a", 40, 20)}), 0);
}

TEST(DeviceUse, TheHostWithMostForeignWorkCounts) {
  EXPECT_DOUBLE_EQ(foreign_share({use("a", 20, 20), use("b", 28, 20)}), 8. / 40);
}

TEST(DeviceUse, WhatCannotBeReadIsNotQuiet) {
  EXPECT_EQ(foreign_share({use("a", -1, 20)}), -1);
  EXPECT_FALSE(quiet({use("a", -1, 20)}));
}

TEST(DeviceUse, AnotherOnAnyRanksGpuIsSeen) {
  DeviceUse alone = use("a", 40, 0), shared = alone;
  alone.gpu = shared.gpu = shared.seen_another = true;
  EXPECT_TRUE(quiet({alone, alone}));
  EXPECT_FALSE(quiet({alone, shared}));
}

TEST(DeviceUse, AUseComesBackAsItWas) {
  DeviceUse sent = use("a", 1.25, 0.1);
  sent.gpu = true;
  const DeviceUse received = DeviceUse::from(sent.text());
  EXPECT_EQ(received.host, sent.host);
  EXPECT_EQ(received.own, sent.own);
  EXPECT_EQ(received.gpu, sent.gpu);
  EXPECT_EQ(received.seen_another, sent.seen_another);
  EXPECT_FALSE(received.stopped);
  sent.stopped = true;
  EXPECT_TRUE(DeviceUse::from(sent.text()).stopped);
}

TEST(DeviceUse, ARankThatWasStoppedIsNamed) {
  DeviceUse on = use("a", 40, 40), off = on;
  off.stopped = true;
  EXPECT_FALSE(stopped({on, on}));
  EXPECT_TRUE(stopped({on, off}));
}

}  // namespace
}  // namespace tarflow::experiments
