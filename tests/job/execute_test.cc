// One attempt of one job, with a shell script in the worker's place.
#include "framework/job/execute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "framework/core/file.h"
#include "tests/support/house.h"

namespace tarflow::job {
namespace {

namespace fs = std::filesystem;
using std::chrono::minutes;
using ::testing::HasSubstr;

class Execute : public ::testing::Test {
 protected:
  Execute() {
    job_.hash = "0123456789abcdef";
    job_.experiment = "measure";
    job_.points.push_back({"p1", "k1", {}, {}, true});
  }
  Launch worker(const std::string& script) {
    Launch launch;
    launch.worker = house_ / "worker";
    write_file(launch.worker, "#!/bin/sh\n" + script);
    fs::permissions(launch.worker, fs::perms::owner_all);
    return launch;
  }

  Scratch house_;
  Job job_;
  JobFolder folder_{house_ / "demo/jobs/0123456789abcdef"};
};

TEST_F(Execute, WhenItsStarterCannotGoOnAWorkerIsToldToEndAndKeepsWhatItReached) {
  Attempting attempting(job_, folder_,
                        worker("trap 'echo 5 > $1/reached; exit 75' TERM\n"
                               "touch $1/ready\nwhile :; do sleep 0.01; done\n"));
  const auto meanwhile = [&] {
    if (fs::exists(folder_.path / "ready")) throw std::runtime_error("the disk is full");
  };
  EXPECT_THROW(wait_for_end(attempting, minutes(1), meanwhile), std::runtime_error);
  EXPECT_TRUE(fs::exists(folder_.path / "reached")) << "it was asked, not killed";
  const Attempts attempts = read_attempts(folder_.attempts());
  EXPECT_EQ(attempts.last->outcome, "stopped");
  EXPECT_THAT(attempts.last->reason, HasSubstr("the disk is full"));
}

TEST_F(Execute, AnAttemptWhoseStartCannotBeNotedLeavesNoWorker) {
  fs::create_directories(folder_.attempts());
  EXPECT_THROW(Attempting(job_, folder_, worker("while :; do sleep 0.01; done\n")), Error);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

TEST_F(Execute, AnAttemptIsWaitedForToItsEnd) {
  Attempting attempting(job_, folder_, worker("exit 3\n"));
  const Outcome outcome = wait_for_end(attempting, minutes(1), [] {});
  EXPECT_EQ(outcome.kind, Outcome::Kind::kFailed);
  EXPECT_THAT(outcome.reason, HasSubstr("exit code 3"));
}

TEST(Retries, PauseTwiceAsLongEachTime) {
  EXPECT_EQ(pause_before_retry(5, 0), 5);
  EXPECT_EQ(pause_before_retry(5, 1), 10);
  EXPECT_EQ(pause_before_retry(5, 3), 40);
  EXPECT_EQ(pause_before_retry(0, 1000), 0);
}

}  // namespace
}  // namespace tarflow::job
