// The loop over an executor that does what it is told, on a clock of its own.
#include "framework/driver/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "framework/core/error.h"

namespace tarflow::driver {
namespace {

using job::Event;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// Jobs run until the test ends them.
class FakeExecutor : public job::Executor {
 public:
  std::vector<Event> submit(std::vector<job::Task> tasks) override {
    for (const job::Task& task : tasks) {
      given.push_back(task.job->hash);
      after[task.job->hash] = task.after;
      last = task;
      if (starts) events.push_back({Event::What::kStarted, task.job->hash});
    }
    return {};
  }
  std::vector<Event> poll() override {
    if (broken) throw Error("no disk");
    return std::exchange(events, {});
  }
  void cancel(const std::set<std::string>& hashes, const std::string&) override {
    cancelled.insert(hashes.begin(), hashes.end());
    broken = false;
    if (!stubborn) stop(hashes);
  }
  void kill() override { stop(cancelled); }
  bool outlives() const override { return far; }

  void stop(const std::set<std::string>& hashes) {
    for (const std::string& hash : hashes) events.push_back({Event::What::kStopped, hash});
  }
  void done(const std::string& hash) { events.push_back({Event::What::kDone, hash}); }
  void fail(const std::string& hash, int64_t left = 0, double pause = 0) {
    events.push_back({Event::What::kFailed, hash, "it broke"});
    events.back().left = left;
    events.back().pause = pause;
  }

  bool far = false, starts = true, stubborn = false, broken = false;
  std::vector<std::string> given;
  job::Task last;
  std::map<std::string, std::vector<std::string>> after;
  std::set<std::string> cancelled;
  std::vector<Event> events;
};

class Loops : public ::testing::Test {
 protected:
  using Clock = LoopOptions::Clock;

  // A job whose one point is called as it is; it reads what `after` make.
  void add(const std::string& hash, std::vector<std::string> after = {}, bool fail_fast = false) {
    job::Job job;
    job.hash = hash;
    job.points.push_back({hash, hash, {}, {}, true});
    job.after = std::move(after);
    sweep::RunSettings run;
    run.fail_fast = fail_fast;
    job.run = std::make_shared<const sweep::RunSettings>(run);
    tasks_.push_back(std::make_shared<const job::Job>(std::move(job)));
  }

  // What happens at each look, one after another; then Ctrl-C, lest a test waits for ever.
  void then(std::function<void()> happens) { script_.push_back(std::move(happens)); }

  Ran run() {
    LoopOptions options;
    options.now = [this] { return now_; };
    options.wait = [this](milliseconds time) -> std::optional<int> {
      now_ += std::max(time, milliseconds(1));
      if (script_.empty()) return SIGINT;
      const auto happens = std::move(script_.front());
      script_.pop_front();
      happens();
      return std::exchange(signal_, std::nullopt);
    };
    options.check = [this] {
      if (lost_) throw Error("the lease is lost");
    };
    options.page = [this](bool quiet) {
      quiet_.push_back(quiet);
      return false;
    };
    options.cancelled = [this] { return std::exchange(request_, std::nullopt); };
    options.answer = [this](const process::CancelAnswer& answer) { answer_ = answer; };
    std::FILE* nowhere = std::fopen("/dev/null", "w");
    job::Progress progress(nowhere, false, tasks_.size(), 1);
    Loop loop(options, executor_, progress);
    for (const auto& job : tasks_) loop.add({job, job->hash, timed_});
    const auto close = [&] { std::fclose(nowhere); };
    try {
      const Ran ran = loop.run();
      close();
      return ran;
    } catch (...) {
      close();
      throw;
    }
  }
  // Looks on until as many jobs were given.
  void wait_until_given(size_t count) {
    then([this, count] {
      if (executor_.given.size() < count) wait_until_given(count);
      if (executor_.given.size() < count)
        std::rotate(script_.begin(), script_.end() - 1, script_.end());
    });
  }

  FakeExecutor executor_;
  std::vector<std::shared_ptr<const job::Job>> tasks_;
  std::deque<std::function<void()>> script_;
  std::optional<int> signal_;
  std::optional<process::CancelRequest> request_;
  std::optional<process::CancelAnswer> answer_;
  bool lost_ = false, timed_ = false;
  std::vector<bool> quiet_;  // at each look
  Clock::time_point now_ = Clock::now();
};

TEST_F(Loops, AFailedJobIsGivenAgainAfterAPauseThatDoubles) {
  add("a");
  std::vector<Clock::time_point> failed, again;
  for (int64_t left : {3, 2, 1}) {
    then([this, left, &failed] {
      executor_.fail("a", left, 10);
      failed.push_back(now_);
    });
    wait_until_given(executor_.given.size() + static_cast<size_t>(5 - left));
    then([this, &again] { again.push_back(now_); });
  }
  then([this] { executor_.done("a"); });
  const Ran ran = run();
  EXPECT_EQ(ran.failed, 0u);
  EXPECT_FALSE(ran.interrupted);
  ASSERT_EQ(again.size(), 3u);
  for (size_t i = 0; i < again.size(); ++i) {
    const auto pause = again[i] - failed[i];
    const auto wished = seconds(10) * (1 << i);
    EXPECT_GE(pause, wished) << i;
    EXPECT_LE(pause, wished + seconds(1)) << i;
  }
}

TEST_F(Loops, ATryWithHeadwayDoesNotCount) {
  add("a");
  size_t given = 1;
  for (const double reached : {0.0, 0.2, 0.2, 0.5}) {
    then([this, reached] {
      executor_.fail("a", 1);
      executor_.events.back().headway = reached == 0.5;
      executor_.events.back().reached = reached;
    });
    wait_until_given(++given);
  }
  then([this] {
    EXPECT_EQ(executor_.last.tries, 0);
    EXPECT_EQ(executor_.last.reached, 0.5);
    executor_.done("a");
  });
  EXPECT_EQ(run().failed, 0u);
  EXPECT_THAT(executor_.given, ElementsAre("a", "a", "a", "a", "a"));
}

TEST_F(Loops, WithoutTriesLeftItHasFailed) {
  add("a");
  then([this] { executor_.fail("a"); });
  EXPECT_EQ(run().failed, 1u);
  EXPECT_THAT(executor_.given, ElementsAre("a"));
}

TEST_F(Loops, ReadersWaitForTheirMakers) {
  add("reader", {"maker"});
  add("maker");
  then([] {});
  then([this] {
    EXPECT_THAT(executor_.given, ElementsAre("maker"));
    executor_.done("maker");
  });
  wait_until_given(2);
  then([this] { executor_.done("reader"); });
  EXPECT_FALSE(run().interrupted);
}

TEST_F(Loops, AnExecutorThatKeepsTheOrderGetsReadersAtOnce) {
  executor_.far = true;
  add("reader", {"maker"});
  add("maker");
  then([this] {
    EXPECT_THAT(executor_.given, ElementsAre("maker", "reader"));
    EXPECT_THAT(executor_.after["reader"], ElementsAre("maker"));
    executor_.done("maker");
    executor_.done("reader");
  });
  EXPECT_FALSE(run().interrupted);
}

TEST_F(Loops, ReadersFailWithTheMaker) {
  add("maker");
  add("reader", {"maker"});
  add("its reader", {"reader"});
  add("other");
  then([this] { executor_.fail("maker"); });
  then([this] { executor_.done("other"); });
  EXPECT_EQ(run().failed, 3u);
  EXPECT_THAT(executor_.given, ElementsAre("maker", "other"));
}

TEST_F(Loops, AReaderThatComesBackFailsWithTheMakerAndIsGivenAgainAfterAnother) {
  executor_.far = true;
  executor_.starts = false;
  add("maker");
  add("reader", {"maker"});
  then([this] { executor_.fail("maker", 1); });
  then([this] { executor_.events.push_back({Event::What::kReturned, "reader"}); });
  wait_until_given(4);
  then([this] { executor_.fail("maker"); });
  then([this] { executor_.events.push_back({Event::What::kReturned, "reader"}); });
  EXPECT_EQ(run().failed, 2u);
  EXPECT_THAT(executor_.given, ElementsAre("maker", "reader", "maker", "reader"));
}

TEST_F(Loops, FailFastEndsTheOthers) {
  add("a", {}, true);
  add("b");
  then([this] { executor_.fail("a"); });
  const Ran ran = run();
  EXPECT_TRUE(ran.failed_fast);
  EXPECT_THAT(executor_.cancelled, ElementsAre("b"));
}

TEST_F(Loops, FailFastTakesBackWhatWouldGoOn) {
  executor_.far = true;
  add("a", {}, true);
  add("b");
  then([this] { executor_.fail("a"); });
  EXPECT_TRUE(run().failed_fast);
  EXPECT_THAT(executor_.cancelled, ElementsAre("b"));
}

TEST_F(Loops, CtrlCEndsWorkersAndLeavesWhatGoesOnWithoutUs) {
  add("a");
  then([this] { signal_ = SIGINT; });
  EXPECT_TRUE(run().interrupted);
  EXPECT_THAT(executor_.cancelled, ElementsAre("a"));
  executor_.cancelled.clear();
  executor_.events.clear();
  executor_.far = true;
  then([this] { signal_ = SIGINT; });
  EXPECT_TRUE(run().interrupted);
  EXPECT_THAT(executor_.cancelled, IsEmpty());
}

TEST_F(Loops, ASecondCtrlCKillsAndTheSameSignalTwiceDoesNot) {
  add("a");
  executor_.stubborn = true;
  then([this] { signal_ = SIGINT; });
  then([this] { signal_ = SIGINT; });
  then([this] {
    EXPECT_THAT(executor_.events, IsEmpty()) << "`timeout` sends it twice";
    now_ += seconds(1);
    signal_ = SIGINT;
  });
  const Ran ran = run();
  EXPECT_TRUE(ran.aborted);
}

TEST_F(Loops, WhatIsNearlyDoneEndsFirst) {
  add("a");
  add("b");
  then([this] {
    Event event{Event::What::kProgress, "a"};
    event.progress.seconds_left = 5;
    executor_.events.push_back(event);
  });
  then([this] { signal_ = SIGTERM; });
  then([this] { executor_.done("a"); });
  EXPECT_TRUE(run().interrupted);
  EXPECT_THAT(executor_.cancelled, ElementsAre("b"));
}

TEST_F(Loops, ALostLeaseTellsWorkersToEndAndWaitsForThem) {
  add("a");
  executor_.stubborn = true;
  then([this] { lost_ = true; });
  then([] {});
  then([this] { executor_.stop({"a"}); });
  EXPECT_THROW(run(), Error);
  EXPECT_THAT(executor_.cancelled, ElementsAre("a"));
  EXPECT_TRUE(script_.empty()) << "it did not wait";
}

TEST_F(Loops, ABrokenExecutorLeavesNoWorkerBehind) {
  add("a");
  then([this] { executor_.broken = true; });
  EXPECT_THROW(run(), Error);
  EXPECT_THAT(executor_.cancelled, ElementsAre("a"));
}

TEST_F(Loops, ThePageIsMadeWhileNoTimedJobRuns) {
  timed_ = true;
  add("a");
  add("b", {"a"});
  then([this] { executor_.done("a"); });
  then([] {});
  then([this] { executor_.done("b"); });
  run();
  EXPECT_THAT(quiet_, ElementsAre(false, true, false)) << "between the two";
}

TEST_F(Loops, SomePointsAreTakenBackWithTheirReaders) {
  add("a");
  add("b");
  add("reader", {"b"});
  request_ = process::CancelRequest{"r", {"b"}};
  then([] {});
  then([this] { executor_.done("a"); });
  const Ran ran = run();
  EXPECT_EQ(ran.cancelled, 2u);
  ASSERT_TRUE(answer_);
  EXPECT_EQ(answer_->stopped, 1u);
}

}  // namespace
}  // namespace tarflow::driver
