// Jobs on this machine, with a shell in the place of the worker.
#include "framework/local/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <thread>

#include "framework/core/file.h"
#include "framework/job/claim.h"
#include "tests/support/house.h"

namespace tarflow::local {
namespace {

namespace fs = std::filesystem;
using job::Event;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class Runners : public ::testing::Test {
 protected:
  // `script` gets the job's folder as $1.
  void start_with(const std::string& script, Machine machine) {
    write_file(house_ / "worker", "#!/bin/sh\n" + script);
    fs::permissions(house_ / "worker", fs::perms::owner_all);
    runner_.emplace(RunnerOptions{house_ / "jobs", house_ / "worker"}, Pool(std::move(machine)));
  }

  job::Task task(const std::string& hash, int64_t gpus) {
    job::Job job;
    job.hash = hash;
    job.points.push_back({"p" + hash, "k" + hash, {}, {}, true});
    sweep::RunSettings run;
    run.gpus = gpus;
    run.retries = 3;
    job.run = std::make_shared<const sweep::RunSettings>(run);
    job::Task task;
    task.job = std::make_shared<const job::Job>(std::move(job));
    task.turn = ++turn_;
    return task;
  }

  // Hashes of what the events say, one after another.
  static std::vector<std::string> of(Event::What what, const std::vector<Event>& events) {
    std::vector<std::string> hashes;
    for (const Event& event : events) {
      if (event.what == what) hashes.push_back(event.hash);
    }
    return hashes;
  }
  // Until a job has ended.
  Event ended() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < end) {
      for (Event& event : runner_->poll()) {
        if (event.what == Event::What::kDone || event.what == Event::What::kFailed ||
            event.what == Event::What::kStopped) {
          ended_.push_back(std::move(event));
        }
      }
      if (!ended_.empty()) {
        Event event = std::move(ended_.front());
        ended_.pop_front();
        return event;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ADD_FAILURE() << "no job ended";
    return {};
  }

  Scratch house_;
  std::optional<Runner> runner_;
  std::deque<Event> ended_;
  size_t turn_ = 0;
};

TEST_F(Runners, AJobThatDoesNotFitWaitsAloneForItsDevice) {
  start_with("exec sleep 600\n", {{"0"}, 4});
  runner_->submit({task("a", 1), task("b", 1), task("c", 0), task("d", 1)});
  EXPECT_THAT(of(Event::What::kStarted, runner_->poll()), ElementsAre("a", "c"));
  runner_->cancel({"a", "b", "c", "d"}, "enough");
  EXPECT_EQ(ended().what, Event::What::kStopped);
  EXPECT_EQ(ended().what, Event::What::kStopped);
  EXPECT_THAT(runner_->poll(), ::testing::IsEmpty()) << "b and d were dropped";
}

TEST_F(Runners, WhileThePageIsMadeNoTimedJobBegins) {
  start_with("exec sleep 600\n", {{"0"}, 4});
  job::Task timed = task("a", 1);
  timed.timed = true;
  runner_->submit({timed, task("b", 0)});
  runner_->hold_timed(true);
  EXPECT_THAT(of(Event::What::kStarted, runner_->poll()), ElementsAre("b"));
  runner_->hold_timed(false);
  EXPECT_THAT(of(Event::What::kStarted, runner_->poll()), ElementsAre("a"));
  runner_->cancel({"a", "b"}, "enough");
  ended();
  ended();
}

TEST_F(Runners, TheOrderOfNumbersIsSetWhereWeChoseThem) {
  for (const bool numbered : {true, false}) {
    start_with("env > $1/env\nexit 1\n", {{"1"}, 4, {}, numbered});
    const std::string hash = numbered ? "a" : "b";
    runner_->submit({task(hash, 1)});
    ended();
    const std::string seen = read_file(house_ / "jobs" / hash / "env");
    EXPECT_THAT(seen, HasSubstr("CUDA_VISIBLE_DEVICES=1\n"));
    EXPECT_EQ(seen.find("CUDA_DEVICE_ORDER=PCI_BUS_ID") != std::string::npos, numbered);
  }
}

TEST_F(Runners, AWorkerWhoseFolderIsTakenOverIsNotTriedAgainAndChangesNothing) {
  start_with("until [ -e $1/go ]; do sleep 0.01; done\necho late > $1/result.h5\nexit 1\n",
             {{}, 4});
  runner_->submit({task("a", 0)});
  ASSERT_THAT(of(Event::What::kStarted, runner_->poll()), ElementsAre("a"));
  job::take_claim(house_ / "jobs/a", "7_0");
  const std::string attempts = read_file(house_ / "jobs/a/attempts.jsonl");
  write_file(house_ / "jobs/a/go", "");
  const Event event = ended();
  EXPECT_EQ(event.what, Event::What::kFailed);
  EXPECT_EQ(event.left, 0);
  EXPECT_THAT(event.text, HasSubstr("(task 7_0)"));
  EXPECT_EQ(read_file(house_ / "jobs/a/attempts.jsonl"), attempts);
  EXPECT_TRUE(fs::exists(house_ / "jobs/a/result.h5")) << "it is the successor's to judge";
}

TEST_F(Runners, OfAFolderThatCannotBeMadeItsJobFails) {
  start_with("exit 1\n", {{}, 4});
  write_file(house_ / "jobs/a", "in its place");
  runner_->submit({task("a", 0)});
  EXPECT_THAT(of(Event::What::kFailed, runner_->poll()), ElementsAre("a"));
}

}  // namespace
}  // namespace tarflow::local
