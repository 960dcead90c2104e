// Jobs on a queue system that is made of answers, on a clock of its own.
#include "framework/slurm/by_command.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "framework/slurm/events.h"
#include "tests/slurm/driver_fixture.h"

namespace tarflow::slurm {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// What `submit`, `state` and `cancel` say, as the test sets it.
struct FakeQueue {
  std::map<std::string, std::string> states;  // id -> word
  std::vector<std::string> submitted, cancelled;
  process::Said refusal, failure;  // of submit, of state: unless they are well
  int next = 7;
  std::function<void()> meanwhile;  // while `submit` is at work

  process::Said operator()(const std::vector<std::string>& command) {
    std::istringstream words(command.back());
    std::string verb, argument;
    words >> verb >> argument;
    if (verb == "submit") return take(command.back());
    if (verb == "cancel") {
      cancelled.push_back(argument);
      return {0, "", ""};
    }
    if (!failure.well()) return failure;
    std::string text;
    for (const auto& [id, word] : states) text += fmt::format("{}.server ann {}\n", id, word);
    return {0, text, ""};
  }
  process::Said take(const std::string& line) {
    if (!refusal.well()) return refusal;
    submitted.push_back(line);
    const std::string id = fmt::format("{}", next++);
    states[id] = "Q";
    if (meanwhile) meanwhile();
    return {0, id + ".server.domain\n", ""};
  }
};

class ByCommand : public DriverHouse {
 protected:
  SlurmOptions options() {
    SlurmOptions options;
    options.profile.executor = Executor::kCommand;
    options.profile.templates = {
        "submit {minutes} {mem} {script}", "state {ids}", "cancel {id}", "", {}, 4};
    options.profile.time = 3600;
    options.profile.mem = "2G";
    options.profile.max_resubmissions = 2;
    options.sweep_folder = house_ / "results/demo";
    options.programs = "/programs";
    options.patience.ask = [this](const std::vector<std::string>& command) {
      return queue_(command);
    };
    set_clock(options.patience);
    options.patience.notice = [this](const std::string& text) { notices_.push_back(text); };
    return options;
  }
  SlurmDriver& driver() override {
    if (!driver_) driver_.emplace(options());
    return *driver_;
  }
  std::vector<KnownSubmission> submissions() {
    std::vector<Problem> problems;
    return read_submissions(house_ / "results/demo", problems);
  }
  void note(const KnownSubmission& known, const std::string& what, size_t left = 0) {
    TaskEvent event;
    event.what = what;
    event.host = "n1";
    event.left = left;
    append_event(known.folder, event);
  }
  // The task of the last submission, which was told to end.
  void end_stopped(const std::string& hash) { end_stopped(hash, submissions().size() - 1); }
  void end_stopped(const std::string& hash, size_t number, bool killed = false) {
    const KnownSubmission known = submissions()[number];
    note(known, "start");
    TaskEvent stopped;
    stopped.what = "job";
    stopped.job = hash;
    stopped.outcome = "stopped";
    stopped.killed = killed;
    append_event(known.folder, stopped);
    note(known, "end", 1);
  }

  FakeQueue queue_;
  std::vector<std::string> notices_;
  std::optional<SlurmDriver> driver_;
};

TEST_F(ByCommand, JobsAreFollowedFromTheQueueToTheirResults) {
  EXPECT_THAT(driver().submit({task("a"), task("b")}), IsEmpty());
  EXPECT_THAT(driver().arrays(), ElementsAre("7.server.domain", "8.server.domain"));
  EXPECT_THAT(queue_.submitted[0], HasSubstr("submit 60 2048M "));
  EXPECT_THAT(look(), IsEmpty());
  queue_.states["7"] = "R";
  EXPECT_THAT(look(), ElementsAre("started a"));
  finish("a");
  queue_.states.erase("7");
  queue_.states["8"] = "R";
  EXPECT_THAT(look(), ElementsAre("done a", "started b"));
  queue_.states["8"] = "Q";
  EXPECT_THAT(look(), ElementsAre("queued b")) << "its node failed, say, and the queue keeps it";
  finish("b");
  EXPECT_THAT(look(), ElementsAre("done b"));
}

TEST_F(ByCommand, AReaderIsSubmittedWhenItsMakerIsDone) {
  job::Task reader = task("b");
  reader.after = {"a"};
  driver().submit({task("a"), reader});
  EXPECT_THAT(queue_.submitted, SizeIs(1));
  EXPECT_EQ(driver().waiting(), 1u);
  finish("a");
  EXPECT_THAT(look(), ElementsAre("done a"));
  EXPECT_THAT(queue_.submitted, SizeIs(2));
}

TEST_F(ByCommand, AJobThatOthersWaitForSharesItsTask) {
  SlurmOptions several = options();
  several.profile.jobs_per_allocation = 4;
  driver_.emplace(several);
  job::Task maker = task("a");
  maker.awaited = true;
  driver().submit({maker, task("b", 0)});
  ASSERT_THAT(submissions(), SizeIs(1));
  EXPECT_THAT(submissions()[0].submission.tasks, ElementsAre(ElementsAre("a", "b")));
}

TEST_F(ByCommand, AFailingStateCommandLosesNoJobBeforeItsTime) {
  driver().submit({task("a")});
  queue_.failure = {1, "", "cannot connect"};
  for (int i = 0; i < 3; ++i) EXPECT_THAT(look(), IsEmpty());
  queue_.failure = {};
  queue_.states["7"] = "R";
  EXPECT_THAT(look(), ElementsAre("started a"));
}

TEST_F(ByCommand, ALostJobIsTriedAgain) {
  driver().submit({task("a")});
  queue_.states.clear();
  EXPECT_THAT(look_until_told(), ElementsAre("failed a"));
  EXPECT_EQ(last_.back().left, 2);
  EXPECT_THAT(last_.back().text, HasSubstr("left no trace"));
  driver().submit({task("a", 2)});
  EXPECT_THAT(queue_.submitted, SizeIs(2));
  queue_.states.clear();
  EXPECT_THAT(look_until_told(), ElementsAre("failed a"));
  EXPECT_EQ(last_.back().left, 0) << "as often as max_resubmissions says";
}

// The queue's word for the end of a job; the folder has no result.
TEST_F(ByCommand, AScriptThatFailsBeforeRunSweepBeginsIsNotTriedAgain) {
  driver().submit({task("a")});
  write_file(submissions().front().folder.output(0), "module: command not found\n");
  queue_.states["7"] = "EXIT";
  EXPECT_THAT(look_until_told(), ElementsAre("failed a"));
  EXPECT_EQ(last_.back().left, 0);
  EXPECT_THAT(last_.back().text,
              AllOf(HasSubstr("before run_sweep began"), HasSubstr("the queue says EXIT"),
                    HasSubstr("module: command not found")));
}

TEST_F(ByCommand, ATaskThatEndsWithJobsLeftIsSubmittedAgain) {
  driver().submit({task("a")});
  note(submissions().front(), "start");
  note(submissions().front(), "end", 1);
  EXPECT_THAT(look_until_told(), ElementsAre("failed a")) << "whatever the queue shows";
  EXPECT_EQ(last_.back().left, 2);
}

// A training in allocations that are too short for all of it: those in which it got further do not
// count against max_resubmissions, those in which it did not do.
TEST_F(ByCommand, ASubmissionInWhichTheJobGotFurtherDoesNotCount) {
  job::Task training = task("a");
  for (const double done : {1, 3, 3, 3, 6, 6}) {
    SCOPED_TRACE(done);
    driver().submit({training});
    EXPECT_EQ(submissions().back().submission.reached["a"], training.reached);
    write_json_file(folder("a").progress(), {{"done", done}, {"total", 10}, {"resumable", true}});
    end_stopped("a");
    ASSERT_THAT(look_until_told(), ElementsAre("failed a"));
    const Event& told = last_.back();
    EXPECT_EQ(told.headway, done / 10 > training.reached);
    EXPECT_EQ(told.left, told.headway ? 2 : 2 - training.tries);
    training.tries = told.headway ? 0 : training.tries + 1;  // as the loop does
    training.reached = told.reached;
    EXPECT_EQ(training.reached, done / 10);
  }
  EXPECT_EQ(training.tries, 1);
}

// What a job has done that keeps nothing when it is told to end is no headway.
TEST_F(ByCommand, OnlyWhatAJobKeepsIsHeadway) {
  driver().submit({task("a"), task("b"), task("c")});
  write_json_file(folder("a").progress(), {{"done", 5}, {"total", 10}, {"resumable", false}});
  end_stopped("a", 0);
  write_json_file(folder("b").progress(), {{"done", 5}, {"total", 10}, {"resumable", true}});
  note(submissions()[1], "start");  // and was killed
  write_json_file(folder("c").progress(),
                  {{"done", 5}, {"total", 10}, {"resumable", true}, {"done_before", 0.4}});
  note(submissions()[2], "start");
  queue_.states.clear();
  ASSERT_THAT(look_until_told(), ElementsAre("failed a"));
  EXPECT_FALSE(last_.back().headway);
  ASSERT_THAT(look_until_told(), ElementsAre("failed b", "failed c"));
  EXPECT_FALSE(last_.front().headway);
  EXPECT_TRUE(last_.back().headway) << "it began with what the one before had kept";
  EXPECT_EQ(last_.back().reached, 0.4);
}

TEST_F(ByCommand, AJobThatWasKilledAfterItWasToldToEndKeptWhatItBeganWith) {
  driver().submit({task("a")});
  write_json_file(folder("a").progress(),
                  {{"done", 5}, {"total", 10}, {"resumable", true}, {"done_before", 0.2}});
  end_stopped("a", 0, /*killed=*/true);
  ASSERT_THAT(look_until_told(), ElementsAre("failed a"));
  EXPECT_EQ(last_.back().reached, 0.2);
}

// The queue started the task again, and its node was lost then.
TEST_F(ByCommand, OnlyTheLastStartOfATaskTellsWhatItsJobKept) {
  driver().submit({task("a"), task("b")});
  write_json_file(folder("a").progress(),
                  {{"done", 5}, {"total", 10}, {"resumable", true}, {"done_before", 0.2}});
  end_stopped("a", 0);
  note(submissions()[0], "start");
  end_stopped("b", 1);
  TaskEvent done;
  done.what = "job";
  done.job = "c";
  done.outcome = "done";
  append_event(submissions()[1].folder, done);
  note(submissions()[1], "start");
  queue_.states.clear();
  ASSERT_THAT(look_until_told(), ElementsAre("failed a", "failed b"));
  EXPECT_EQ(last_.front().reached, 0.2);
  EXPECT_FALSE(last_.back().headway) << "others were done in an earlier start";
}

TEST_F(ByCommand, AProfileThatWantsNoResubmissionGetsNone) {
  SlurmOptions once = options();
  once.profile.max_resubmissions = 0;
  driver_.emplace(once);
  driver().submit({task("a")});
  write_json_file(folder("a").progress(), {{"done", 5}, {"total", 10}, {"resumable", true}});
  end_stopped("a", 0);
  ASSERT_THAT(look_until_told(), ElementsAre("failed a"));
  EXPECT_TRUE(last_.back().headway);
  EXPECT_EQ(last_.back().left, 0);
}

TEST_F(ByCommand, ARefusalWaitsForTheEndOfOthers) {
  driver().submit({task("a")});
  queue_.refusal = {1, "", "would exceed limit"};
  EXPECT_THAT(driver().submit({task("b")}), SizeIs(1));
  EXPECT_EQ(driver().waiting(), 1u);
  queue_.refusal = {};
  EXPECT_THAT(look(), IsEmpty());
  EXPECT_EQ(driver().waiting(), 1u) << "it is not asked again at once";
  finish("a");
  look();
  EXPECT_EQ(driver().waiting(), 0u);
}

TEST_F(ByCommand, ARefusalOfTheFirstIsAnError) {
  queue_.refusal = {1, "", "no such queue"};
  EXPECT_THROW(driver().submit({task("a")}), Error);
  EXPECT_THAT(submissions(), SizeIs(1));
  EXPECT_FALSE(submissions().front().submission.open());
}

TEST_F(ByCommand, WithoutAnIdTheSubmissionIsGivenUp) {
  driver().submit({task("a")});
  queue_.refusal = {124, "", ""};
  EXPECT_THROW(driver().submit({task("b")}), Error) << "the queue may have it";
  const Submission last = submissions().back().submission;
  EXPECT_FALSE(last.wanted(0)) << "so its task, if there is one, runs nothing";
}

TEST_F(ByCommand, AJobWhoseIdCannotBeNotedIsCancelled) {
  queue_.meanwhile = [&] {
    const std::filesystem::path file = submissions().front().folder.submission();
    std::filesystem::remove(file);
    std::filesystem::create_directories(file / "in the way");
  };
  EXPECT_THROW(driver().submit({task("a")}), Error);
  EXPECT_THAT(queue_.cancelled, ElementsAre("7.server.domain"));
}

TEST_F(ByCommand, CancellingIsNotedBeforeTheQueueIsTold) {
  driver().submit({task("a"), task("b")});
  driver().cancel({"a"}, "");
  EXPECT_THAT(queue_.cancelled, ElementsAre("7.server.domain"));
  EXPECT_FALSE(submissions().front().submission.wanted(0));
  EXPECT_TRUE(submissions().back().submission.wanted(0));
}

TEST_F(ByCommand, MemoryAndTimeGrowWithEachSubmissionOfTheJob) {
  SlurmOptions growing = options();
  growing.profile.mem_grows = growing.profile.time_grows = true;
  driver_.emplace(growing);
  driver().submit({task("a"), task("b")});
  finish("b");
  queue_.states.clear();
  std::vector<std::string> told;
  while (told != std::vector<std::string>{"failed a"}) told = look_until_told();
  driver().submit({task("a", 1), task("c")});
  EXPECT_THAT(queue_.submitted, SizeIs(4));
  EXPECT_THAT(queue_.submitted, Contains(HasSubstr("submit 120 4096M")));
  EXPECT_EQ(submissions().back().submission.attempt + submissions()[2].submission.attempt, 3)
      << "the new job has its first";
  queue_.states.clear();
  driver_.emplace(growing);  // another call of run_sweep
  driver().submit({task("a")});
  EXPECT_THAT(queue_.submitted.back(), HasSubstr("submit 180 6144M"));
  driver_.emplace(growing);
  driver().submit({task("a")});
  EXPECT_THAT(queue_.submitted.back(), HasSubstr("submit 180 6144M")) << "max_resubmissions is 2";
}

TEST_F(ByCommand, ARehearsalShowsEachKindOfJobOnce) {
  SlurmOptions rehearsal = options();
  rehearsal.rehearsal = true;
  driver_.emplace(rehearsal);
  driver().submit({task("a"), task("b"), task("c")});
  EXPECT_THAT(queue_.submitted, IsEmpty());
  EXPECT_THAT(driver().scripts(), AllOf(HasSubstr("submit 60 2048M"), HasSubstr("#!/bin/sh"),
                                        HasSubstr("and 2 more like demo-array1")));
}

TEST_F(ByCommand, ARehearsalShowsWhatComesLater) {
  SlurmOptions rehearsal = options();
  rehearsal.rehearsal = true;
  driver_.emplace(rehearsal);
  job::Task reader = task("b"), next = task("c");
  reader.after = {"a"};
  next.after = {"b"};
  driver().submit({task("a"), reader, next});
  EXPECT_EQ(driver().waiting(), 2u);
  EXPECT_THAT(driver().arrays(), SizeIs(1));
  driver().rehearse_later();
  EXPECT_EQ(driver().waiting(), 0u);
  EXPECT_THAT(driver().arrays(), SizeIs(3));
  EXPECT_EQ(driver().scripts(), "2 like demo-array1\n");
  EXPECT_THAT(queue_.submitted, IsEmpty());
}

}  // namespace
}  // namespace tarflow::slurm
