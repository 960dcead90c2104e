// What is judged of array tasks, from states as Slurm tells them and events as tasks write them.
#include "framework/slurm/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "framework/slurm/bad_nodes.h"
#include "framework/slurm/status.h"
#include "tests/support/house.h"

namespace tarflow::slurm {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using What = Verdict::What;

TaskEvent event(const std::string& what, int restart = 0, const std::string& host = "n1") {
  TaskEvent event;
  event.what = what;
  event.host = host;
  event.restart = restart;
  return event;
}

TaskEvent job_event(const std::string& job, const std::string& outcome,
                    const std::string& text = "", const std::string& host = "n1") {
  TaskEvent ended = event("job", 0, host);
  ended.job = job;
  ended.outcome = outcome;
  ended.text = text;
  return ended;
}

TaskEvent told(const std::string& signal) {
  TaskEvent heard = event("told");
  heard.text = signal;
  return heard;
}

TaskState state(const std::string& name, const std::string& reason = "", int signal = 0,
                int exit_code = 0) {
  TaskState state;
  state.id = {"7", 0};
  state.state = name;
  state.reason = reason;
  state.nodes = "n1";
  state.signal = signal;
  state.exit_code = exit_code;
  return state;
}

// A task of job "a" that began its work on n1.
TaskEvidence at_work() {
  TaskEvidence evidence;
  evidence.events = {event("start")};
  evidence.jobs = {{"a", false, {}, "jobs/a/log.txt"}};
  evidence.jobs[0].attempts.count = 1;
  evidence.jobs[0].attempts.last =
      job::Attempt{1, "2026-01-01T00:00:00Z", "", "n1", 9, "", "", "", 0};
  evidence.output = "slurm/x/task-0.out";
  return evidence;
}

// A task of which Slurm alone knows anything.
TaskEvidence untouched() {
  TaskEvidence evidence = at_work();
  evidence.events.clear();
  evidence.jobs[0].attempts = {};
  return evidence;
}

Verdict judged(TaskEvidence evidence, const TaskState& state) {
  evidence.state = state;
  return judge(evidence);
}

TEST(SlurmFaults, WhatIsQueuedOrRunsIsLeftAlone) {
  EXPECT_EQ(judged(untouched(), state("PENDING", "Priority")).what, What::kWaiting);
  EXPECT_EQ(judged(untouched(), state("PENDING", "JobHeldUser")).what, What::kWaiting);
  EXPECT_EQ(judged(at_work(), state("PENDING", "BeginTime")).what, What::kWaiting);
  EXPECT_EQ(judged(at_work(), state("RUNNING")).what, What::kRunning);
  EXPECT_EQ(judged(at_work(), state("COMPLETING")).what, What::kRunning);
  EXPECT_THAT(judged(at_work(), state("RUNNING")).reason, HasSubstr("n1"));
}

TEST(SlurmFaults, ALimitThatATaskWaitsForIsToldInPlainWords) {
  const Verdict never = judged(untouched(), state("PENDING", "QOSMaxMemoryPerJob"));
  EXPECT_EQ(never.what, What::kWaiting);
  EXPECT_THAT(never.reason, AllOf(HasSubstr("more memory than its QOS allows one job"),
                                  HasSubstr("can never start"), HasSubstr("less `mem`")));
  EXPECT_THAT(judged(untouched(), state("PENDING", "QOSMaxCpuPerUserLimit")).reason,
              HasSubstr("your running jobs"));
  EXPECT_EQ(judged(untouched(), state("PENDING", "QOSGrpCpuLimit")).reason, "QOSGrpCpuLimit");
}

TEST(SlurmFaults, WhatIsDoneIsDoneWhateverSlurmSays) {
  TaskEvidence evidence = at_work();
  evidence.jobs[0].done = true;
  for (const char* name : {"COMPLETED", "NODE_FAIL", "TIMEOUT", "CANCELLED"}) {
    EXPECT_EQ(judged(evidence, state(name)).what, What::kDone) << name;
  }
  evidence.state.reset();
  EXPECT_EQ(judge(evidence).what, What::kDone);
}

TEST(SlurmFaults, ANodeFailureIsSubmittedAgainAndNamesNodeAndLog) {
  const Verdict verdict = judged(at_work(), state("NODE_FAIL"));
  EXPECT_EQ(verdict.what, What::kResubmit);
  EXPECT_THAT(verdict.reason, AllOf(HasSubstr("node failed"), HasSubstr("n1")));
  EXPECT_EQ(verdict.log, "jobs/a/log.txt");
  EXPECT_THAT(verdict.left, ElementsAre("a"));
}

TEST(SlurmFaults, ATaskThatSomebodyCancelsStaysCancelled) {
  TaskState cancelled = state("CANCELLED");
  EXPECT_EQ(judged(at_work(), cancelled).what, What::kFailed);
  EXPECT_THAT(judged(at_work(), cancelled).reason, HasSubstr("cancelled"));
  cancelled.cancelled = "1000";
  EXPECT_THAT(judged(at_work(), cancelled).reason, HasSubstr("by user 1000"));
}

TEST(SlurmFaults, ATimeLimitAndAPreemptionAreSubmittedAgain) {
  const Verdict late = judged(at_work(), state("TIMEOUT"));
  EXPECT_EQ(late.what, What::kResubmit);
  EXPECT_THAT(late.reason, HasSubstr("time limit"));
  const Verdict preempted = judged(at_work(), state("PREEMPTED"));
  EXPECT_EQ(preempted.what, What::kResubmit);
  EXPECT_THAT(preempted.reason, HasSubstr("preempted"));
}

TEST(SlurmFaults, AJobThatTakesTooMuchMemoryFailsAndTheOthersOfItsTaskGoOn) {
  TaskEvidence evidence = at_work();
  Verdict verdict = judged(evidence, state("OUT_OF_MEMORY"));
  EXPECT_EQ(verdict.what, What::kFailed);
  EXPECT_THAT(verdict.reason, AllOf(HasSubstr("memory"), HasSubstr("mem")));
  evidence.jobs.push_back({"b", false, {}, "jobs/b/log.txt"});
  verdict = judged(evidence, state("OUT_OF_MEMORY"));
  EXPECT_EQ(verdict.what, What::kResubmit);
  EXPECT_THAT(verdict.left, ElementsAre("b"));
  ASSERT_THAT(verdict.failed, SizeIs(1));
  EXPECT_EQ(verdict.failed[0].job, "a");
}

TEST(SlurmFaults, OfSeveralJobsAtOnceAllThatRanWhenMemoryRanOutFail) {
  TaskEvidence evidence = at_work();
  for (const char* hash : {"b", "c", "d"}) {
    evidence.jobs.push_back({hash, false, evidence.jobs[0].attempts, "jobs/x/log.txt"});
  }
  evidence.jobs[2].attempts.last->outcome = "stopped";  // in an earlier allocation
  evidence.jobs[3].attempts = {};
  const Verdict verdict = judged(evidence, state("OUT_OF_MEMORY"));
  EXPECT_EQ(verdict.what, What::kResubmit);
  EXPECT_THAT(verdict.left, ElementsAre("c", "d"));
  ASSERT_THAT(verdict.failed, SizeIs(2));
  EXPECT_EQ(verdict.failed[0].job, "a");
  EXPECT_EQ(verdict.failed[1].job, "b");
}

TEST(SlurmFaults, OfRunningOutOfMemoryAJobThatWasNotBegunInThatTaskIsNotGuilty) {
  TaskEvidence evidence = at_work();
  evidence.places = {"7_0"};
  evidence.events[0].time = "2026-01-01T00:00:00Z";
  job::Attempt& here = *evidence.jobs[0].attempts.last;
  here.place = "7_0";
  for (const char* hash : {"b", "c"}) {
    evidence.jobs.push_back({hash, false, evidence.jobs[0].attempts, "jobs/x/log.txt"});
  }
  evidence.jobs[1].attempts.last->place = "5_1";  // a node failed below it
  job::Attempt& earlier = *evidence.jobs[2].attempts.last;
  earlier.start = "2025-12-31T23:00:00Z";  // in an earlier start of this task
  Verdict verdict = judged(evidence, state("OUT_OF_MEMORY"));
  ASSERT_THAT(verdict.failed, SizeIs(1));
  EXPECT_EQ(verdict.failed[0].job, "a");
  EXPECT_THAT(verdict.left, ElementsAre("b", "c"));
  EXPECT_EQ(verdict.log, "jobs/a/log.txt");
  for (TaskJob& job : evidence.jobs) job.attempts.last->outcome = "failed";
  verdict = judged(evidence, state("OUT_OF_MEMORY"));
  EXPECT_THAT(verdict.left, ElementsAre("b", "c")) << "between two attempts as well";
  here.outcome = "";
  earlier.start = here.start;
  verdict = judged(evidence, state("OUT_OF_MEMORY"));
  EXPECT_THAT(verdict.left, ElementsAre("b", "c")) << "the worker of c had ended";
}

TEST(SlurmFaults, WhereMemoryGrowsATaskThatRanOutOfItIsSubmittedAgain) {
  TaskEvidence evidence = at_work();
  evidence.memory_grows = true;
  Verdict verdict = judged(evidence, state("OUT_OF_MEMORY"));
  EXPECT_EQ(verdict.what, What::kResubmit);
  EXPECT_THAT(verdict.left, ElementsAre("a"));
  evidence.events.push_back(job_event("a", "again", "signal 9 ended it"));
  evidence.events.back().starved = true;
  evidence.events.push_back(event("end"));
  verdict = judged(evidence, state("FAILED", "", 0, 75));
  EXPECT_EQ(verdict.what, What::kResubmit);
  EXPECT_EQ(verdict.reason, "signal 9 ended it");
}

TEST(SlurmFaults, AProgramThatIsKilledIsToldFromOneThatNeverBegan) {
  const Verdict killed = judged(at_work(), state("FAILED", "JobLaunchFailure", 9));
  EXPECT_EQ(killed.what, What::kResubmit);
  EXPECT_THAT(killed.reason, AllOf(HasSubstr("killed"), HasSubstr("memory")));
  TaskEvidence evidence = untouched();
  evidence.output_end = "slurmstepd: error: cannot change to /scratch";
  const Verdict launch = judged(evidence, state("FAILED", "JobLaunchFailure", 0, 1));
  EXPECT_EQ(launch.what, What::kResubmit);
  EXPECT_THAT(launch.reason, AllOf(HasSubstr("could not be started"), HasSubstr("/scratch")));
  EXPECT_EQ(launch.log, "slurm/x/task-0.out");
}

TEST(SlurmFaults, AScriptThatFailsBeforeRunSweepBeginsIsNotTriedAgain) {
  TaskEvidence evidence = untouched();
  evidence.output_end = "module: command not found";
  const Verdict verdict = judged(evidence, state("FAILED", "NonZeroExitCode", 0, 127));
  EXPECT_EQ(verdict.what, What::kFailed);
  EXPECT_THAT(verdict.reason, AllOf(HasSubstr("127"), HasSubstr("module: command not found")));
  EXPECT_EQ(verdict.log, "slurm/x/task-0.out");
}

TEST(SlurmFaults, ADependencyThatIsNeverSatisfiedFails) {
  for (const TaskState& never : {state("PENDING", "DependencyNeverSatisfied"),
                                 state("CANCELLED", "DependencyNeverSatisfied")}) {
    const Verdict verdict = judged(untouched(), never);
    EXPECT_EQ(verdict.what, What::kFailed);
    EXPECT_TRUE(verdict.dependency);
  }
}

TEST(SlurmFaults, WhatSlurmHoldsAfterAFailedStartIsPutBack) {
  EXPECT_EQ(judged(untouched(), state("PENDING", "launch failed requeued held")).what,
            What::kRequeue);
  EXPECT_EQ(judged(untouched(), state("REQUEUE_HOLD")).what, What::kRequeue);
  std::vector<std::vector<std::string>> asked;
  Patience patience;
  patience.ask = [&](const std::vector<std::string>& command) {
    asked.push_back(command);
    return process::Said{};
  };
  EXPECT_EQ(put_back({"7", 3}, {"n1", "n2"}, patience), "");
  EXPECT_THAT(asked,
              ElementsAre(ElementsAre("scontrol", "update", "JobId=7_3", "ExcNodeList=n1,n2"),
                          ElementsAre("scontrol", "release", "7_3")));
}

TEST(SlurmFaults, AJobThatFailedForGoodKeepsItsReason) {
  TaskEvidence evidence = at_work();
  evidence.events.push_back(job_event("a", "again", "the worker ended with exit code 3"));
  EXPECT_THAT(judged(evidence, state("NODE_FAIL")).failed, IsEmpty()) << "it would be tried again";
  evidence.events.push_back(job_event("a", "failed", "the worker ended with exit code 4"));
  const Verdict verdict = judged(evidence, state("FAILED", "NonZeroExitCode", 0, 1));
  EXPECT_EQ(verdict.what, What::kFailed);
  EXPECT_EQ(verdict.reason, "the worker ended with exit code 4");
  EXPECT_EQ(verdict.log, "jobs/a/log.txt");
}

TEST(SlurmFaults, AWorkerThatDiesBeforeItLogsHasSlurmsOutputNamed) {
  TaskEvidence evidence = at_work();
  evidence.events.push_back(job_event("a", "failed", "the worker ended with exit code 127"));
  evidence.events.back().silent = true;
  EXPECT_EQ(judged(evidence, state("FAILED", "NonZeroExitCode", 0, 1)).log, "slurm/x/task-0.out");
}

TEST(SlurmFaults, ATaskOnANodeThatCannotRunItsWorkerIsSubmittedAgainWithoutTheNode) {
  TaskEvidence evidence = at_work();
  for (int attempt = 0; attempt < 2; ++attempt) {
    evidence.events.push_back(job_event("a", "again", "the worker ended with exit code 127"));
    evidence.events.back().unable = true;
  }
  evidence.events.push_back(event("end"));
  const Verdict verdict = judged(evidence, state("FAILED", "NonZeroExitCode", 0, 75));
  EXPECT_EQ(verdict.what, What::kResubmit);
  EXPECT_THAT(verdict.reason, AllOf(HasSubstr("n1 cannot run the worker"), HasSubstr("127")));
  EXPECT_THAT(verdict.left, testing::Contains("a"));
  EXPECT_THAT(bad_nodes({evidence}), ElementsAre("n1"));
}

TEST(SlurmFaults, ATaskThatCouldNotQueueAgainIsSubmittedAgain) {
  TaskEvidence evidence = at_work();
  TaskEvent refused = event("refused");
  refused.text = "Requested operation is presently disabled";
  evidence.events.insert(evidence.events.end(), {told("USR2"), refused, event("end")});
  const Verdict verdict = judged(evidence, state("FAILED", "NonZeroExitCode", 0, 75));
  EXPECT_EQ(verdict.what, What::kResubmit);
  EXPECT_THAT(verdict.reason, AllOf(HasSubstr("USR2"), HasSubstr("presently disabled")));
  EXPECT_EQ(judge(evidence).what, What::kResubmit) << "and when Slurm has forgotten it";
}

TEST(SlurmFaults, ATaskThatIsLostWithoutATraceIsSubmittedAgain) {
  const Verdict untold = judge(untouched());
  EXPECT_EQ(untold.what, What::kResubmit);
  EXPECT_THAT(untold.reason, HasSubstr("left no trace"));
  const Verdict seen = judge(at_work());
  EXPECT_EQ(seen.what, What::kResubmit);
  EXPECT_THAT(seen.reason, HasSubstr("last seen on n1"));
}

TEST(SlurmFaults, WhatWasJudgedHoldsWhenSlurmHasForgotten) {
  const Scratch scratch;
  const SubmissionFolder folder{scratch.path()};
  note_verdict(folder, 0, judged(at_work(), state("CANCELLED")));
  TaskEvidence evidence = at_work();
  for (const TaskEvent& known : read_events(folder, 0)) evidence.events.push_back(known);
  const Verdict later = judge(evidence);
  EXPECT_EQ(later.what, What::kFailed);
  EXPECT_EQ(later.reason, "it was cancelled");
}

TEST(SlurmFaults, EventsAreReadAsTheyWereWrittenAndDamagedLinesPassedOver) {
  const Scratch scratch;
  const SubmissionFolder folder{scratch.path()};
  TaskEvent ended = job_event("a", "stopped", "Slurm told it \"to end\"");
  ended.time = "2026-01-01T00:00:00Z";
  ended.reached = 0.5;
  ended.seconds = 12;
  ended.silent = true;
  append_event(folder, ended);
  std::ofstream(events_file(folder, 0), std::ios::app) << "{\"what\": \"sta";
  append_event(folder, event("end"));
  const std::vector<TaskEvent> events = read_events(folder, 0);
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0].text, ended.text);
  EXPECT_EQ(events[0].reached, 0.5);
  EXPECT_EQ(events[0].seconds, 12);
  EXPECT_TRUE(events[0].silent);
  EXPECT_EQ(events[1].what, "end");
}

TEST(BadNodes, ANodeThatFailedIsBad) {
  TaskEvidence evidence = at_work();
  evidence.state = state("NODE_FAIL");
  EXPECT_THAT(bad_nodes({evidence}), ElementsAre("n1"));
}

TEST(BadNodes, WorkersThatDieAtOnceAgainAndAgainMakeANodeBadUnlessAnyDidWellThere) {
  TaskEvidence evidence;
  const auto dies = [&](const std::string& host) {
    evidence.events.push_back(job_event("a", "again", "", host));
    evidence.events.back().silent = true;
  };
  dies("n1");
  EXPECT_THAT(bad_nodes({evidence}), IsEmpty()) << "once is no proof";
  dies("n1");
  evidence.events.push_back(job_event("b", "done", "", "n2"));
  EXPECT_THAT(bad_nodes({evidence}), ElementsAre("n1"));
  evidence.events.push_back(job_event("b", "done", "", "n1"));
  EXPECT_THAT(bad_nodes({evidence}), IsEmpty());
}

TEST(BadNodes, ANodeOnWhichTasksVanishIsBadAndOneThatToldThemToEndIsNot) {
  TaskEvidence vanished;
  for (int restart = 0; restart < 3; ++restart) {
    vanished.events.push_back(event("start", restart, restart < 2 ? "n1" : "n2"));
  }
  EXPECT_THAT(bad_nodes({vanished}), ElementsAre("n1"));
  TaskEvidence polite;
  for (int restart = 0; restart < 3; ++restart) {
    polite.events.push_back(event("start", restart, "n1"));
    polite.events.push_back(told("USR2"));
  }
  EXPECT_THAT(bad_nodes({polite}), IsEmpty());
}

TEST(BadNodes, WhenMostLookBadItIsNotTheNodes) {
  std::vector<TaskEvidence> tasks;
  for (const char* host : {"n1", "n2", "n3"}) {
    TaskEvidence& task = tasks.emplace_back();
    for (int i = 0; i < 2; ++i) {
      task.events.push_back(job_event("a", "again", "", host));
      task.events.back().silent = true;
    }
  }
  EXPECT_THAT(bad_nodes(tasks), IsEmpty());
}

}  // namespace
}  // namespace tarflow::slurm
