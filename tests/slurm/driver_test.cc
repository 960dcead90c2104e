// Jobs on a Slurm that is made of answers: from the queue to their ends.
#include <signal.h>
#include <sys/resource.h>

#include "framework/slurm/cancel.h"
#include "framework/slurm/events.h"
#include "tests/slurm/driver_fixture.h"

namespace tarflow::slurm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// No file can be written while there is one of these.
class FullDisk {
 public:
  FullDisk() {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
};

TEST_F(Driver, JobsAreFollowedFromTheQueueToTheirResults) {
  EXPECT_THAT(driver_.submit({task("a"), task("b")}), IsEmpty());
  EXPECT_THAT(driver_.arrays(), ElementsAre("7"));
  EXPECT_TRUE(fs::exists(folder("a").job()));
  EXPECT_THAT(look(), IsEmpty());
  slurm_.arrays[7] = {"RUNNING", "PENDING"};
  EXPECT_THAT(look(), ElementsAre("started a"));
  EXPECT_EQ(last_.front().text, "n1");
  finish("a");
  slurm_.arrays[7] = {"COMPLETED", "RUNNING"};
  EXPECT_THAT(look(), ElementsAre("done a", "started b"));
  slurm_.arrays[7][1] = "PENDING";
  EXPECT_THAT(look(), ElementsAre("queued b")) << "preempted, say";
  finish("b");
  EXPECT_THAT(look(), ElementsAre("done b"));
}

TEST_F(Driver, SlurmIsAskedNoMoreOftenThanThePollSays) {
  driver_.submit({task("a")});
  look();
  const int asked = slurm_.asked;
  now_ += seconds(14);
  EXPECT_THAT(driver_.poll(), IsEmpty());
  EXPECT_EQ(slurm_.asked, asked);
  now_ += seconds(1);
  driver_.poll();
  EXPECT_GT(slurm_.asked, asked);
}

TEST_F(Driver, ATaskThatIsLostMayBeGivenAgainAsOftenAsTheProfileSays) {
  for (int64_t tries = 0; tries <= 2; ++tries) {
    driver_.submit({task("a", tries)});
    slurm_.arrays.rbegin()->second = {"NODE_FAIL"};
    ASSERT_THAT(look_until_told(), ElementsAre("failed a")) << tries;
    EXPECT_EQ(last_.back().left, 2 - tries);
  }
  EXPECT_EQ(submissions().back().profile.exclude, "n1") << "where it was lost";
}

TEST_F(Driver, ANewDriverKnowsTheTriesAndBadNodesOfTheLast) {
  driver_.submit({task("a")});
  slurm_.arrays[7] = {"NODE_FAIL"};
  ASSERT_THAT(look_until_told(), ElementsAre("failed a"));
  driver_.submit({task("a", 1)});
  EXPECT_EQ(submissions().back().tries.at("a"), 1);
  SlurmDriver next(options());
  Queue queue(options().patience);
  const Standing standing =
      standing_of(house_ / "results/demo", queue, options().patience, [](const Problem&) {});
  next.adopt(task("a", 1), standing, standing.held.at("a"));
  next.submit({task("b")});
  EXPECT_EQ(submissions().back().profile.exclude, "n1");
}

TEST_F(Driver, AJobThatFailedInItsTaskIsNotGivenAgain) {
  driver_.submit({task("a")});
  const SubmissionFolder where{house_ / "results/demo/slurm" / submissions().front().name};
  for (const char* what : {"start", "job", "end"}) {
    TaskEvent event;
    event.what = what;
    event.time = event.host = "x";
    event.failed = 1;
    if (event.what == "job") {
      event.job = "a";
      event.outcome = "failed";
      event.text = "the worker ended with exit code 3";
    }
    append_event(where, event);
  }
  write_file(folder("a").log(), "its last words\n");
  slurm_.arrays[7] = {"FAILED"};
  ASSERT_THAT(look_until_told(), ElementsAre("failed a"));
  EXPECT_EQ(last_.back().left, 0);
  EXPECT_THAT(last_.back().text, HasSubstr("exit code 3"));
  EXPECT_THAT(last_.back().detail, HasSubstr("| its last words"));
}

TEST_F(Driver, ReadersWaitInSlurmForTheirMakersAndComeBackWithoutThem) {
  job::Task maker = task("a"), reader = task("b");
  maker.awaited = true;
  driver_.submit({maker});
  reader.after = {"a"};
  driver_.submit({reader});
  ASSERT_EQ(submissions().size(), 2u);
  EXPECT_THAT(submissions()[1].after, ElementsAre("7_0"));
  slurm_.arrays[7] = {"FAILED"};
  slurm_.arrays.erase(8);  // Slurm ended it with what it depends on
  std::vector<std::string> told;
  for (int i = 0; i < 20; ++i) {
    for (const std::string& word : look()) told.push_back(word);
  }
  EXPECT_THAT(told, ::testing::IsSupersetOf({"failed a", "returned b"}));
}

TEST_F(Driver, AFolderThatCannotBeUsedCostsItsJobAlone) {
  fs::create_directories(house_ / "results/demo/jobs");
  write_file(house_ / "results/demo/jobs/a", "a file in the place of its folder");
  const std::vector<Event> events = driver_.submit({task("a"), task("b")});
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, Event::What::kFailed);
  EXPECT_EQ(events[0].hash, "a");
  EXPECT_EQ(slurm_.arrays.at(7).size(), 1u) << "the other one";
}

TEST_F(Driver, AVerdictThatCannotBeNotedEndsNothingElse) {
  driver_.submit({task("a"), task("b")});
  const SubmissionFolder where{house_ / "results/demo/slurm" / submissions().front().name};
  fs::create_directories(events_file(where, 0));  // nothing can be written there
  slurm_.arrays[7] = {"NODE_FAIL", "RUNNING"};
  std::vector<std::string> told;
  for (int i = 0; i < 10; ++i) {
    for (const std::string& word : look()) told.push_back(word);
    for (const Event& event : last_) {
      if (event.what == Event::What::kRemark) {
        EXPECT_THAT(event.text, HasSubstr("events.jsonl"));
      }
      if (event.what == Event::What::kFailed) {
        EXPECT_THAT(event.text, HasSubstr("node failed"));
      }
    }
  }
  EXPECT_THAT(told, ::testing::IsSupersetOf({"remark a", "failed a", "started b"}));
  finish("b");
  EXPECT_THAT(look(), ElementsAre("done b"));
}

TEST_F(Driver, AFullDiskEndsNoWait) {
  driver_.submit({task("a")});
  slurm_.arrays[7] = {"NODE_FAIL"};
  std::vector<std::string> told;
  {
    FullDisk full;
    told = look_until_told();
  }
  EXPECT_THAT(told, ElementsAre("remark a", "failed a"));
  EXPECT_TRUE(submissions().front().open()) << "the next look asks about it again";
}

TEST_F(Driver, ADamagedResultIsNotOneThatIsDone) {
  driver_.submit({task("a"), task("b"), task("c")});
  finish("a");
  write_file(folder("b").result(), "garbage");
  fs::create_directories(folder("c").result());  // cannot be read
  const fs::path sweep = house_ / "results/demo";
  EXPECT_EQ(named_with_slurm(sweep, {"pa"}), 0u);
  EXPECT_EQ(named_with_slurm(sweep, {"pb"}), 1u);
  EXPECT_EQ(named_with_slurm(sweep, {"pc"}), 0u) << "its task does not run it";
  const Submission submission = submissions().front();
  const SubmissionFolder where{sweep / "slurm" / submission.name};
  const auto verdict_of = [&](int64_t task, const std::string& name) {
    TaskState state;
    state.id = {"7", task};
    state.state = name;
    return judge(
        gather_evidence(where, submission, static_cast<size_t>(task), {{state.id, state}}));
  };
  EXPECT_EQ(verdict_of(0, "NODE_FAIL").what, Verdict::What::kDone);
  EXPECT_THAT(verdict_of(1, "NODE_FAIL").left, ElementsAre("b")) << "to be computed again";
  ASSERT_EQ(verdict_of(2, "NODE_FAIL").failed.size(), 1u);
  EXPECT_THAT(verdict_of(2, "NODE_FAIL").failed[0].reason, HasSubstr("result.h5"));
  EXPECT_THAT(verdict_of(2, "RUNNING").failed, IsEmpty()) << "it is looked at again";
}

TEST_F(Driver, CancelledTasksAreNotedAndTakenBack) {
  driver_.submit({task("a"), task("b")});
  driver_.cancel({"a"}, "");
  EXPECT_THAT(slurm_.cancelled, ElementsAre("7_0"));
  EXPECT_TRUE(submissions().front().taken_back(0));
  EXPECT_FALSE(submissions().front().taken_back(1));
  driver_.cancel({"a", "b"}, "");
  EXPECT_EQ(slurm_.cancelled.back(), "7") << "all at once";
}

TEST_F(Driver, TheQueueIsToppedUpAsItEmpties) {
  SlurmDriver driver(few(2));
  driver.submit({task("a"), task("b"), task("c"), task("d")});
  EXPECT_EQ(slurm_.arrays.at(7).size(), 2u);
  EXPECT_EQ(driver.waiting(), 2u);
  now_ += seconds(15);
  driver.poll();
  EXPECT_EQ(slurm_.arrays.size(), 1u) << "it is full";
  finish("a");
  finish("b");
  slurm_.arrays[7] = {"COMPLETED", "COMPLETED"};
  now_ += seconds(15);
  driver.poll();
  EXPECT_EQ(slurm_.arrays.at(8).size(), 2u);
  EXPECT_EQ(driver.waiting(), 0u);
}

TEST_F(Driver, ReadersDoNotOvertakeMakersThatWaitForRoom) {
  SlurmDriver driver(few(1));
  job::Task reader = task("a");  // its turn comes first
  reader.after = {"c"};
  driver.submit({task("b"), task("c")});
  driver.submit({reader});
  EXPECT_EQ(driver.waiting(), 2u);
  finish("b");
  slurm_.arrays[7] = {"COMPLETED"};
  now_ += seconds(15);
  driver.poll();
  ASSERT_EQ(submissions().size(), 2u);
  EXPECT_THAT(submissions()[1].tasks, ElementsAre(ElementsAre("c")));
}

TEST_F(Driver, AReaderThatWaitsForRoomComesBackWhenItsMakerFails) {
  SlurmDriver driver(few(1));
  job::Task reader = task("b");
  reader.after = {"a"};
  driver.submit({task("a")});
  driver.submit({reader});
  ASSERT_EQ(driver.waiting(), 1u);
  slurm_.arrays[7] = {"NODE_FAIL"};
  std::vector<std::pair<Event::What, std::string>> told;
  for (int i = 0; i < 20; ++i) {
    now_ += seconds(15);
    for (const Event& event : driver.poll()) told.emplace_back(event.what, event.hash);
  }
  EXPECT_THAT(told, ElementsAre(std::pair(Event::What::kFailed, "a"),
                                std::pair(Event::What::kReturned, "b")));
  EXPECT_EQ(driver.waiting(), 0u);
  EXPECT_EQ(slurm_.arrays.size(), 1u) << "the reader was given to Slurm";
}

TEST_F(Driver, AReaderThatWaitsForRoomComesBackWhenItsMakerIsCancelled) {
  SlurmDriver driver(few(1));
  job::Task reader = task("c");
  reader.after = {"b"};
  driver.submit({task("a"), task("b")});
  driver.submit({reader});
  driver.cancel({"b"}, "");
  now_ += seconds(15);
  const std::vector<Event> events = driver.poll();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].what, Event::What::kReturned);
  EXPECT_EQ(events[0].hash, "c");
}

TEST_F(Driver, WhatSlurmRefusesIsAnError) {
  slurm_.refusal = "sbatch: error: invalid partition specified: nowhere";
  try {
    driver_.submit({task("a")});
    FAIL() << "it was taken";
  } catch (const Error& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("invalid partition"));
  }
}

TEST_F(Driver, ARehearsalGivesNothing) {
  SlurmOptions rehearsal = options();
  rehearsal.rehearsal = true;
  SlurmDriver driver(rehearsal);
  driver.submit({task("a")});
  EXPECT_THAT(slurm_.arrays, IsEmpty());
  EXPECT_THAT(driver.scripts(), HasSubstr("#SBATCH --array"));
  EXPECT_THAT(submissions(), IsEmpty());
}

}  // namespace
}  // namespace tarflow::slurm
