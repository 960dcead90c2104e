#include "framework/schedule/pool.h"

#include <gtest/gtest.h>

namespace tarflow::schedule {
namespace {

sweep::RunSettings settings_with(int64_t jobs_per_gpu, int64_t workers, int64_t threads = 0) {
  sweep::RunSettings settings;
  settings.jobs_per_gpu = jobs_per_gpu;
  settings.workers = workers;
  settings.threads = threads;
  return settings;
}

TEST(Pool, OneGpuOneJob) {
  Pool pool({{"0", "GPU-7"}, 16});
  const auto first = pool.take(settings_with(1, 1), true);
  const auto second = pool.take(settings_with(1, 1), true);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(pool.take(settings_with(1, 1), true)) << "both are taken";
  EXPECT_EQ(pool.visible_devices(*first), "0");
  EXPECT_EQ(pool.visible_devices(*second), "GPU-7");
  EXPECT_TRUE(first->exclusive);
  EXPECT_EQ(first->threads, 8);
  pool.give_back(*first);
  EXPECT_EQ(pool.visible_devices(*pool.take(settings_with(1, 1), true)), "0");
}

TEST(Pool, UntimedJobsShareAGpuAndTimedOnesDoNot) {
  Pool pool({{"0", "1"}, 8});
  const auto small = pool.take(settings_with(3, 1), false);
  EXPECT_FALSE(small->exclusive);
  EXPECT_EQ(small->threads, 1) << "8 cores for 6 workers";
  EXPECT_EQ(pool.visible_devices(*pool.take(settings_with(3, 1), false)), "0")
      << "the GPU that is in use already";
  EXPECT_EQ(pool.visible_devices(*pool.take(settings_with(3, 1), true)), "1");
  EXPECT_TRUE(pool.take(settings_with(3, 1), false));
  EXPECT_FALSE(pool.take(settings_with(3, 1), false));
  sweep::RunSettings shared = settings_with(1, 1);
  shared.exclusive = false;
  EXPECT_FALSE(pool.take(shared, true));
}

TEST(Pool, WithoutGpusWorkersShareTheCores) {
  Pool pool({{}, 6});
  const auto one = pool.take(settings_with(1, 2), false);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->threads, 3);
  EXPECT_FALSE(pool.take(settings_with(1, 2), true)) << "a timed job waits for the whole machine";
  EXPECT_TRUE(pool.take(settings_with(1, 2), false));
  EXPECT_FALSE(pool.take(settings_with(1, 2), false));
  EXPECT_FALSE(pool.visible_devices(*one)) << "the variable is left alone";
  pool.give_back(*one);
  EXPECT_EQ(pool.take(settings_with(1, 2, 5), false)->threads, 5);
}

TEST(Pool, AJobWithoutGpusSeesNone) {
  Pool pool({{"0"}, 4});
  sweep::RunSettings on_cpu = settings_with(1, 1);
  on_cpu.gpus = 0;
  const auto allocation = pool.take(on_cpu, true);
  ASSERT_TRUE(allocation);
  EXPECT_EQ(pool.visible_devices(*allocation), "");
  EXPECT_TRUE(pool.take(settings_with(1, 1), true)) << "the GPU is free all the same";
}

TEST(Pool, ThisMachineHasCores) { EXPECT_GE(this_machine().cores, 1); }

}  // namespace
}  // namespace tarflow::schedule
