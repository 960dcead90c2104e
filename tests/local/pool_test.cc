#include "framework/local/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace tarflow::local {
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

sweep::RunSettings of_gpus(int64_t gpus) {
  sweep::RunSettings settings;
  settings.gpus = gpus;
  return settings;
}

TEST(Pool, AJobOfSeveralGpusHasThemToItself) {
  Pool pool({{"0", "1", "2", "3"}, 16});
  const auto shared = pool.take(settings_with(2, 1), false);
  const auto three = pool.take(of_gpus(3), false);
  ASSERT_TRUE(shared && three);
  EXPECT_EQ(pool.visible_devices(*shared), "0");
  EXPECT_EQ(pool.visible_devices(*three), "1,2,3");
  EXPECT_EQ(three->ranks, 3);
  EXPECT_EQ(three->threads, 4) << "of each process: 16 cores for 4 GPUs";
  EXPECT_TRUE(three->exclusive);
  EXPECT_FALSE(pool.take(of_gpus(2), false));
  EXPECT_TRUE(pool.take(settings_with(2, 1), false)) << "the other half of GPU 0";
  pool.give_back(*three);
  const auto two = pool.take(of_gpus(2), true);
  ASSERT_TRUE(two);
  EXPECT_EQ(pool.visible_devices(*two), "1,2");
  EXPECT_EQ(pool.visible_devices(*pool.take(of_gpus(1), true)), "3");
}

TEST(Pool, ProcessesOnTheCpuDivideTheCores) {
  Pool pool({{"0"}, 12});
  sweep::RunSettings settings = settings_with(1, 2);
  settings.gpus = 0;
  settings.ranks = 3;
  const auto first = pool.take(settings, false);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->ranks, 3);
  EXPECT_EQ(first->threads, 2) << "12 cores for 3 processes of each of 2 jobs";
  EXPECT_EQ(pool.visible_devices(*first), "");
  EXPECT_TRUE(pool.take(settings, false));
  EXPECT_FALSE(pool.take(settings, false)) << "ranks change nothing about the jobs at once";
  settings.threads = 5;
  pool.give_back(*first);
  EXPECT_EQ(pool.take(settings, false)->threads, 5) << "stated for each process";
}

job::Jobs jobs_of(const std::vector<sweep::RunSettings>& all) {
  job::Jobs jobs;
  for (const sweep::RunSettings& run : all) {
    job::Job job;
    job.run = std::make_shared<const sweep::RunSettings>(run);
    jobs.push_back(std::move(job));
  }
  return jobs;
}

TEST(Pool, WhatTheMachineLacksIsNamedOnceWithItsPlace) {
  using ::testing::HasSubstr;
  sweep::RunSettings four = of_gpus(4), nodes = of_gpus(1);
  four.gpus_at = {{"a.yaml", 3, 8}, "run: {gpus: 4}"};
  nodes.nodes = 2;
  nodes.nodes_at = {{"a.yaml", 9, 1}, ""};
  const job::Jobs jobs = jobs_of({four, of_gpus(2), four, nodes});
  const std::vector<Problem> problems = beyond({{"0", "1"}, 8}, jobs);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_THAT(problems[0].str(), AllOf(HasSubstr("a.yaml:3:8"), HasSubstr("jobs of 4 GPUs"),
                                       HasSubstr("has 2"), HasSubstr("run: {gpus: 4}")));
  EXPECT_THAT(problems[1].str(), AllOf(HasSubstr("a.yaml:9:1"), HasSubstr("jobs of 2 nodes")));
  EXPECT_TRUE(beyond({{"0", "1", "2", "3"}, 8}, jobs_of({four})).empty());
  EXPECT_TRUE(beyond({{}, 8}, jobs_of({of_gpus(1), of_gpus(0)})).empty())
      << "one GPU is wanted where there are any";
  EXPECT_THAT(beyond({{}, 8}, jobs_of({of_gpus(2)})).at(0).what, HasSubstr("has none"));
  job::Jobs cuda;
  for (const char* device : {"cuda", "cuda", "auto", "cpu"}) {
    job::Job job = jobs_of({of_gpus(1)})[0];
    job.settings.set("device", device);
    cuda.push_back(job);
  }
  ASSERT_EQ(beyond({{}, 8}, cuda).size(), 1u);
  EXPECT_THAT(beyond({{}, 8}, cuda)[0].str(),
              AllOf(HasSubstr("`device: cuda`, but this machine has no GPU"),
                    HasSubstr("--set device=auto")));
  EXPECT_TRUE(beyond({{"0"}, 8}, cuda).empty());
}

TEST(Pool, ThisMachineHasCores) { EXPECT_GE(this_machine().cores, 1); }

}  // namespace
}  // namespace tarflow::local
