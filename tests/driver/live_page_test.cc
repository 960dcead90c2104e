#include "framework/driver/live_page.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace tarflow::driver {
namespace {

using std::chrono::seconds;

struct Bench {
  LivePage::Clock::time_point now{};
  int begun = 0, stopped = 0;
  bool ended = false;

  LivePage page() {
    return {{[this] { ++begun; }, [this] { return std::exchange(ended, false); },
             [this] { ++stopped; }},
            seconds(60),
            [this] { return now; }};
  }
};

TEST(LivePage, IsMadeNowAndThenOnly) {
  Bench bench;
  LivePage page = bench.page();
  page.job_ended();
  EXPECT_FALSE(page.look(true)) << "a short sweep needs none";
  bench.now += seconds(60);
  EXPECT_TRUE(page.look(true));
  bench.now += seconds(10);
  EXPECT_TRUE(page.look(true)) << "it is being made";
  bench.ended = true;
  page.job_ended();
  EXPECT_FALSE(page.look(true));
  bench.now += seconds(199);
  EXPECT_FALSE(page.look(true)) << "what takes long is made more rarely";
  bench.now += seconds(1);
  EXPECT_TRUE(page.look(true));
  EXPECT_EQ(bench.begun, 2);
  bench.ended = true;
  EXPECT_FALSE(page.look(true));
  bench.now += seconds(1000);
  EXPECT_FALSE(page.look(true)) << "no job has ended since";
}

TEST(LivePage, IsNotMadeBesideAJobWhoseTimeCounts) {
  Bench bench;
  LivePage page = bench.page();
  bench.now += seconds(60);
  page.job_ended();
  EXPECT_FALSE(page.look(false));
  EXPECT_TRUE(page.look(true));
  EXPECT_TRUE(page.look(false));
}

TEST(LivePage, ThatCannotBeginIsNeitherMadeNorEnded) {
  Bench bench;
  {
    LivePage page({.begin = [] { throw std::runtime_error("no process can be made"); },
                   .ended = [] { return false; },
                   .stop = [&] { ++bench.stopped; }},
                  seconds(60), [&] { return bench.now; });
    bench.now += seconds(60);
    page.job_ended();
    EXPECT_FALSE(page.look(true));
  }
  EXPECT_EQ(bench.stopped, 0) << "there is nobody to be killed";
}

TEST(LivePage, EndsWithTheSweep) {
  Bench bench;
  bench.now += seconds(60);
  {
    LivePage page = bench.page();
    bench.now += seconds(60);
    page.job_ended();
    page.look(true);
  }
  EXPECT_EQ(bench.stopped, 1);
}

}  // namespace
}  // namespace tarflow::driver
