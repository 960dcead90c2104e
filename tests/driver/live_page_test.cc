#include "framework/driver/live_page.h"

#include <gtest/gtest.h>

namespace tarflow::driver {
namespace {

using std::chrono::seconds;

TEST(LivePage, IsMadeNowAndThenOnly) {
  LivePage::Clock::time_point now{};
  int made = 0;
  seconds takes{1};
  LivePage page(
      [&] {
        ++made;
        now += takes;
      },
      seconds(60), [&] { return now; });
  page.job_ended();
  EXPECT_EQ(made, 0);  // a short sweep needs none
  now += seconds(60);
  page.job_ended();
  page.job_ended();
  EXPECT_EQ(made, 1);
  now += seconds(60);
  takes = seconds(10);
  page.job_ended();
  EXPECT_EQ(made, 2);
  now += seconds(199);
  page.job_ended();
  EXPECT_EQ(made, 2);  // what takes long is made more rarely
  now += seconds(1);
  page.job_ended();
  EXPECT_EQ(made, 3);
}

}  // namespace
}  // namespace tarflow::driver
