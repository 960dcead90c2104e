// Jobs on a Slurm that is made of answers, on a clock of its own.
#include "framework/slurm/driver.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "framework/core/file.h"
#include "framework/slurm/cancel.h"
#include "framework/slurm/events.h"
#include "tests/support/house.h"
#include "tests/support/results.h"

namespace tarflow::slurm {
namespace {

namespace fs = std::filesystem;
using job::Event;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Arrays and the states of their tasks, as the test sets them.
struct FakeSlurm {
  std::map<int, std::vector<std::string>> arrays;
  std::vector<std::string> cancelled;
  int asked = 0, refused = 0, next = 7;
  std::string refusal;  // of sbatch

  process::Said operator()(const std::vector<std::string>& command) {
    ++asked;
    const std::string& program = command.front();
    if (program == "sbatch") return take(command.back());
    if (program == "squeue") return {0, queue(), ""};
    if (program == "scancel") cancelled.push_back(command.back());
    if (program == "scontrol" && command[1] == "show" && command[2] == "config") {
      return {0, "ClusterName = far\nMaxArraySize = 1001\n", ""};
    }
    if (program == "scontrol" && command[1] == "show") return {0, shown(command.back()), ""};
    if (program == "sacct") return {1, "", "Slurm accounting storage is disabled"};
    return {0, "", ""};
  }

  process::Said take(const std::string& script) {
    if (!refusal.empty()) {
      ++refused;
      return {1, "", refusal};
    }
    const Submission submission = read_submission({fs::path(script).parent_path()});
    arrays[next] = std::vector<std::string>(submission.tasks.size(), "PENDING");
    return {0, fmt::format("{}\n", next++), ""};
  }
  std::string queue() const {
    std::string text;
    for (const auto& [number, tasks] : arrays) {
      for (size_t i = 0; i < tasks.size(); ++i) {
        const bool waits = tasks[i] == "PENDING";
        text += fmt::format("{}|{}|{}|{}|0:01|{}\n", number, i, tasks[i], waits ? "" : "n1",
                            waits ? "Priority" : "None");
      }
    }
    return text;
  }
  std::string shown(const std::string& number) const {
    std::string text;
    const std::vector<std::string>& tasks = arrays.at(std::stoi(number));
    for (size_t i = 0; i < tasks.size(); ++i) {
      text += fmt::format(
          "JobId=9{} ArrayJobId={} ArrayTaskId={} JobState={} Reason=None NodeList=n1\n", i, number,
          i, tasks[i]);
    }
    return text;
  }
};

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

class Driver : public ::testing::Test {
 protected:
  SlurmOptions options() {
    SlurmOptions options;
    options.profile.executor = Executor::kSlurm;
    options.profile.partition = "main";
    options.profile.max_resubmissions = 2;
    options.sweep_folder = house_ / "results/demo";
    options.programs = "/programs";
    options.poll = seconds(15);
    options.patience.ask = [this](const std::vector<std::string>& command) {
      return slurm_(command);
    };
    options.patience.now = [this] { return now_; };
    options.patience.sleep = [this](std::chrono::milliseconds time) { now_ += time; };
    return options;
  }
  SlurmOptions few(int most) {
    SlurmOptions few = options();
    few.profile.max_queued = most;
    return few;
  }

  static job::Task task(const std::string& hash, int64_t tries = 0) {
    job::Job job;
    job.hash = hash;
    job.experiment = "measure";
    job.points.push_back({"p" + hash, "k" + hash, {}, {}, true});
    job::Task task;
    task.job = std::make_shared<const job::Job>(std::move(job));
    task.turn = static_cast<size_t>(hash.back());
    task.tries = tries;
    return task;
  }
  job::JobFolder folder(const std::string& hash) { return {house_ / "results/demo/jobs" / hash}; }
  void finish(const std::string& hash) { write_result(folder(hash), *task(hash).job); }

  // "done a", "failed b", ...: what a look shows, progress left out.
  std::vector<std::string> look() {
    now_ += seconds(15);
    last_ = driver_.poll();
    std::vector<std::string> words;
    for (const Event& event : last_) {
      static const std::map<Event::What, std::string> kNames = {
          {Event::What::kStarted, "started"}, {Event::What::kQueued, "queued"},
          {Event::What::kDone, "done"},       {Event::What::kFailed, "failed"},
          {Event::What::kStopped, "stopped"}, {Event::What::kReturned, "returned"},
          {Event::What::kRemark, "remark"}};
      const auto name = kNames.find(event.what);
      if (name != kNames.end()) words.push_back(name->second + " " + event.hash);
    }
    return words;
  }
  // Until something is concluded.
  std::vector<std::string> look_until_told() {
    for (int i = 0; i < 20; ++i) {
      if (const std::vector<std::string> words = look(); !words.empty()) return words;
    }
    return {};
  }
  std::vector<Submission> submissions() {
    std::vector<Problem> problems;
    std::vector<Submission> all;
    for (const KnownSubmission& known : read_submissions(house_ / "results/demo", problems)) {
      all.push_back(known.submission);
    }
    return all;
  }

  Scratch house_;
  FakeSlurm slurm_;
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
  SlurmDriver driver_{options()};
  std::vector<Event> last_;
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

TEST_F(Driver, AFullSlurmIsAskedAgainWhenATaskHasEndedOrAfterAWhile) {
  driver_.submit({task("a"), task("b")});
  slurm_.refusal = "sbatch: error: AssocMaxSubmitJobLimit";
  driver_.submit({task("c")});
  EXPECT_EQ(slurm_.refused, 1);
  EXPECT_EQ(submissions().size(), 1u) << "of what was refused nothing stays";
  const auto begin = now_;
  while (now_ - begin < seconds(270)) look();
  EXPECT_EQ(slurm_.refused, 1);
  while (now_ - begin < seconds(330)) look();
  EXPECT_EQ(slurm_.refused, 2) << "after five minutes";
  finish("a");
  slurm_.arrays[7][0] = "COMPLETED";
  look();
  EXPECT_EQ(slurm_.refused, 3) << "with the end of a task";
  EXPECT_EQ(submissions().size(), 1u);
  look();
  EXPECT_EQ(slurm_.refused, 3);
}

constexpr auto kPolicy =
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit "
    "limit, user's size and/or time limits)";

TEST_F(Driver, ALimitOfSlurmsIsWaitedFor) {
  driver_.submit({task("a")});
  slurm_.refusal = std::string("sbatch: error: AssocMaxSubmitJobLimit\n") + kPolicy;
  driver_.submit({task("b")});
  EXPECT_EQ(driver_.waiting(), 1u);
  slurm_.refusal.clear();
  finish("a");
  slurm_.arrays[7] = {"COMPLETED"};
  look();
  EXPECT_EQ(driver_.waiting(), 0u);
  EXPECT_EQ(slurm_.arrays.size(), 2u);
}

TEST_F(Driver, EveryLimitOnSubmittedJobsIsWaitedFor) {
  driver_.submit({task("a")});
  for (const char* limit :
       {"sbatch: error: QOSMaxSubmitJobPerUserLimit\n", "sbatch: error: AssocGrpSubmitJobsLimit\n",
        "sbatch: error: MaxSubmitJobsPerAccount\n", ""}) {
    slurm_.refusal = std::string(limit) + kPolicy;
    EXPECT_NO_THROW(driver_.submit({task("b")})) << limit;
    EXPECT_EQ(driver_.waiting(), 1u) << limit;
    now_ += std::chrono::minutes(5);  // then it is asked again
  }
}

TEST_F(Driver, AJobThatIsTooLargeForItsLimitsIsNotWaitedFor) {
  driver_.submit({task("a")});
  for (const char* limit : {"QOSMaxCpuPerJobLimit", "AssocMaxWallDurationPerJobLimit",
                            "QOSMaxMemoryPerJob", "MaxGRESPerAccount"}) {
    slurm_.refusal = fmt::format("sbatch: error: {}\n{}", limit, kPolicy);
    EXPECT_THROW(driver_.submit({task("b")}), Error) << limit;
  }
}

TEST_F(Driver, ARefusalThatNamesNoLimitIsAnErrorOnceNothingIsQueued) {
  driver_.submit({task("a")});
  slurm_.refusal = kPolicy;
  driver_.submit({task("b")});
  finish("a");
  slurm_.arrays[7] = {"COMPLETED"};
  EXPECT_THROW(look(), Error);
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
