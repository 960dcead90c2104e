// What Slurm's programs print, as recorded, and a controller that is away.
#include "framework/slurm/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "framework/core/error.h"

namespace tarflow::slurm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

// squeue of Slurm 22.05: ended, waiting and running tasks, and a job that is no array.
constexpr auto kQueued = R"(1|1|FAILED|n1|0:00|NonZeroExitCode
1|2|FAILED|n2|0:00|JobLaunchFailure
1|4|CANCELLED|n2|0:01|None
1|7|PENDING||0:00|JobArrayTaskLimit
1|9|PENDING||0:00|JobHeldAdmin
1|6|RUNNING|n1|1-01:00:02|None
1|3|COMPLETING|n1|1:02|None
5|N/A|PENDING||0:00|(Nodes required for job are DOWN, DRAINED or reserved)
)";

// scontrol show job --oneliner of Slurm 22.05, shortened at its end.
constexpr auto kShown =
    "JobId=3 ArrayJobId=1 ArrayTaskId=1 ArrayTaskThrottle=3 JobName=t.sh UserId=root(0) "
    "GroupId=root(0) MCS_label=N/A Priority=4294901759 Nice=0 Account=(null) QOS=(null) "
    "JobState=FAILED Reason=NonZeroExitCode Dependency=(null) Requeue=1 Restarts=2 BatchFlag=1 "
    "Reboot=0 ExitCode=3:0 RunTime=00:01:05 TimeLimit=365-00:00:00 TimeMin=N/A NodeList=n1\n"
    "JobId=4 ArrayJobId=1 ArrayTaskId=2 ArrayTaskThrottle=3 JobName=a name of words "
    "UserId=root(0) JobState=FAILED Reason=JobLaunchFailure Dependency=(null) Requeue=1 "
    "Restarts=0 ExitCode=0:9 RunTime=00:00:00 NodeList=n2 Command=/tmp/t.sh\n"
    "JobId=1 ArrayJobId=1 ArrayTaskId=7,9-10%3 JobName=t.sh JobState=PENDING "
    "Reason=JobArrayTaskLimit Restarts=0 ExitCode=0:0 RunTime=00:00:00 NodeList=\n"
    "JobId=5 JobName=one JobState=RUNNING Reason=None Restarts=0 ExitCode=0:0 "
    "RunTime=00:00:02 NodeList=n[1-2]\n";

// sacct --allocations --parsable2 --noheader.
constexpr auto kAccount = R"(1_1|FAILED|3:0|n1|65|None
1_2|NODE_FAIL|1:0|n2|600|None
1_4|CANCELLED by 1000|0:15|n2|1|None
1_6|OUT_OF_MEMORY|0:125|n1|30|None
1_[7,9-10%3]|PENDING|0:0|None assigned|0|Priority
8|TIMEOUT|0:0|n1|60|None
)";

TEST(SlurmQueue, AStateIsReadFromEveryLineOfSqueue) {
  const TaskStates states = read_squeue(kQueued);
  ASSERT_THAT(states, SizeIs(8));
  EXPECT_EQ(states.at({"1", 2}).state, "FAILED");
  EXPECT_EQ(states.at({"1", 2}).nodes, "n2");
  EXPECT_TRUE(states.at({"1", 2}).over());
  EXPECT_TRUE(states.at({"1", 4}).over());
  EXPECT_EQ(states.at({"1", 4}).reason, "");
  EXPECT_TRUE(states.at({"1", 9}).waiting());
  EXPECT_EQ(states.at({"1", 9}).reason, "JobHeldAdmin");
  EXPECT_TRUE(states.at({"1", 6}).running());
  EXPECT_EQ(states.at({"1", 6}).elapsed, 86400 + 3602);
  EXPECT_TRUE(states.at({"1", 3}).running()) << "it has its node until it is cleaned up";
  EXPECT_EQ(states.at({"5", -1}).reason, "(Nodes required for job are DOWN, DRAINED or reserved)");
}

TEST(SlurmQueue, RangesOfWaitingTasksAreReadAsEachOfThem) {
  const TaskStates states = read_squeue("12|5-9%2|PENDING||0:00|Priority\n");
  ASSERT_THAT(states, SizeIs(5));
  EXPECT_TRUE(states.at({"12", 7}).waiting());
  EXPECT_THAT(*task_indices("1,5-9%2"), ElementsAre(1, 5, 6, 7, 8, 9));
  EXPECT_THAT(*task_indices("0-8:4"), ElementsAre(0, 4, 8));
  for (const char* text : {"", "a", "1-", "-1", "1-99999999999", "0-8:0", "1,,2", "1,..."}) {
    EXPECT_EQ(task_indices(text), std::nullopt) << text;
  }
}

TEST(SlurmQueue, ARequeuedTaskThatStandsThereTwiceIsNotOver) {
  const char* lines[] = {"1|0|NODE_FAIL|n1|0:10|None\n", "1|0|PENDING||0:00|BeginTime\n"};
  for (const std::string& text :
       {std::string(lines[0]) + lines[1], std::string(lines[1]) + lines[0]}) {
    EXPECT_TRUE(read_squeue(text).at({"1", 0}).waiting());
  }
}

TEST(SlurmQueue, TheControllersRecordTellsHowATaskEnded) {
  const TaskStates states = read_scontrol(kShown);
  ASSERT_THAT(states, SizeIs(6));
  EXPECT_EQ(states.at({"1", 1}).exit_code, 3);
  EXPECT_EQ(states.at({"1", 1}).elapsed, 65);
  EXPECT_EQ(states.at({"1", 2}).signal, 9);
  EXPECT_EQ(states.at({"1", 2}).reason, "JobLaunchFailure");
  EXPECT_TRUE(states.at({"1", 10}).waiting());
  EXPECT_EQ(states.at({"5", -1}).nodes, "n[1-2]");
}

TEST(SlurmQueue, AccountingTellsWhoCancelled) {
  const TaskStates states = read_sacct(kAccount);
  ASSERT_THAT(states, SizeIs(8));
  EXPECT_EQ(states.at({"1", 4}).state, "CANCELLED");
  EXPECT_EQ(states.at({"1", 4}).cancelled, "1000");
  EXPECT_EQ(states.at({"1", 2}).elapsed, 600);
  EXPECT_EQ(states.at({"1", 9}).nodes, "");
  EXPECT_EQ(states.at({"8", -1}).state, "TIMEOUT");
}

TEST(SlurmQueue, TextThatIsNoneOfTheirsIsPassedOver) {
  for (const char* text : {"", "\n\n", "|", "||||||", "error: something|1|2", "JobId= JobState=",
                           "JobId=1_[ JobState=PENDING", "1_[|a|b|c|d|e|f", "1_[3|a|b|c|d|e"}) {
    EXPECT_THAT(read_squeue(text), IsEmpty()) << text;
    EXPECT_THAT(read_scontrol(text), IsEmpty()) << text;
  }
  EXPECT_THAT(read_sacct("1_[|a|b|c|d|e"), IsEmpty());
}

TEST(SlurmQueue, NodeListsAreNames) {
  EXPECT_THAT(node_names("n1"), ElementsAre("n1"));
  EXPECT_THAT(node_names("n[1-2,07],gpu-a[09-10]x,z"),
              ElementsAre("n1", "n2", "n07", "gpu-a09x", "gpu-a10x", "z"));
  EXPECT_THAT(node_names("n[1-3,7]"), ElementsAre("n1", "n2", "n3", "n7"));
  EXPECT_THAT(node_names("r[1-2]n[08-09,11],z"),
              ElementsAre("r1n08", "r1n09", "r1n11", "r2n08", "r2n09", "r2n11", "z"));
  EXPECT_THAT(node_names(""), IsEmpty());
  EXPECT_THAT(node_names("n["), IsEmpty());
}

// A Slurm of words alone: what each program answers, in order, the last again and again.
class Answers {
 public:
  void add(const std::string& program, const process::Said& said) {
    said_[program].push_back(said);
  }
  Patience asked_with(Patience patience) {
    patience.ask = ask();
    return patience;
  }
  Ask ask() {
    return [this](const std::vector<std::string>& command) {
      ++asked[command.front()];
      std::vector<process::Said>& answers = said_.at(command.front());
      const process::Said said = answers.front();
      if (answers.size() > 1) answers.erase(answers.begin());
      return said;
    };
  }
  std::map<std::string, int> asked;

 private:
  std::map<std::string, std::vector<process::Said>> said_;
};

const process::Said kAway{
    1, "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"};
const process::Said kUnknown{1, "", "slurm_load_jobs error: Invalid job id specified"};
const process::Said kNoAccounting{1, "", "Slurm accounting storage is disabled"};

Patience short_patience() {
  Patience patience;
  patience.pause = patience.longest = std::chrono::milliseconds(1);
  patience.limit = std::chrono::milliseconds(200);
  patience.second_look = std::chrono::milliseconds(0);
  return patience;
}

// A minute for the second look, on a clock that the test moves.
struct Minute {
  std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();

  Patience patience() {
    Patience patience = short_patience();
    patience.second_look = std::chrono::minutes(1);
    patience.now = [this] { return now; };
    return patience;
  }
};

TEST(SlurmQueue, AControllerThatIsAwayIsWaitedForAndToldOnce) {
  Answers answers;
  for (int i = 0; i < 5; ++i) answers.add("squeue", kAway);
  answers.add("squeue", {0, "1|0|RUNNING|n1|0:05|None\n", ""});
  Patience patience = short_patience();
  patience.limit = std::chrono::hours(1);
  std::vector<std::string> notices;
  patience.notice = [&](const std::string& text) { notices.push_back(text); };
  const TaskStates states = Queue(answers.asked_with(patience)).query({{"1", 1}});
  EXPECT_TRUE(states.at({"1", 0}).running());
  ASSERT_THAT(notices, SizeIs(1));
  EXPECT_THAT(notices[0], HasSubstr("Unable to contact slurm controller"));
}

TEST(SlurmQueue, AControllerThatStaysAwayIsAnErrorAndNoState) {
  Answers answers;
  answers.add("squeue", kAway);
  Queue queue(answers.asked_with(short_patience()));
  EXPECT_THAT([&] { queue.query({{"1", 1}}); }, ThrowsMessage<Error>(HasSubstr("no answer")));
  EXPECT_GT(answers.asked["squeue"], 3);
}

TEST(SlurmQueue, WithoutSlurmItSaysSo) {
  Answers answers;
  answers.add("squeue", {127, "", ""});
  Queue queue(answers.asked_with(short_patience()));
  EXPECT_THAT([&] { queue.query({{"1", 1}}); }, ThrowsMessage<Error>(HasSubstr("no `squeue`")));
}

TEST(SlurmQueue, HowATaskEndedIsAskedOnce) {
  Answers answers;
  answers.add("squeue", {0, "1|1|FAILED|n1|0:00|NonZeroExitCode\n1|0|RUNNING|n1|0:05|None\n", ""});
  answers.add("scontrol", {0, kShown, ""});
  Queue queue(answers.asked_with(short_patience()));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.query({{"1", 2}}).at({"1", 1}).exit_code, 3);
  EXPECT_EQ(answers.asked["scontrol"], 1);
}

TEST(SlurmQueue, AnEndThatTheControllerForgetsIsRemembered) {
  Answers answers;
  answers.add("squeue", {0, "1|1|FAILED|n1|0:00|NonZeroExitCode\n", ""});
  answers.add("squeue", kUnknown);
  answers.add("sacct", kNoAccounting);
  answers.add("scontrol", {0, kShown, ""});
  Queue queue(answers.asked_with(short_patience()));
  queue.query({{"1", 2}});
  EXPECT_EQ(queue.query({{"1", 2}}).at({"1", 1}).exit_code, 3);
}

TEST(SlurmQueue, AnEndedTaskThatIsQueuedAgainIsNotOver) {
  Answers answers;
  answers.add("squeue", {0, "1|1|FAILED|n1|0:00|NonZeroExitCode\n", ""});
  answers.add("squeue", {0, "1|1|PENDING||0:00|BeginTime\n", ""});
  answers.add("sacct", kNoAccounting);
  answers.add("scontrol", {0, kShown, ""});
  Queue queue(answers.asked_with(short_patience()));
  EXPECT_TRUE(queue.query({{"1", 2}}).at({"1", 1}).over());
  EXPECT_TRUE(queue.query({{"1", 2}}).at({"1", 1}).waiting());
}

TEST(SlurmQueue, ThatThereIsNoAccountingIsRemembered) {
  Answers answers;
  answers.add("squeue", kUnknown);
  answers.add("sacct", kNoAccounting);
  Queue queue(answers.asked_with(short_patience()));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(queue.query({{"1", 1}}), IsEmpty());
  EXPECT_EQ(answers.asked["sacct"], 1);
}

TEST(SlurmQueue, AccountingKnowsWhatTheControllerForgot) {
  Answers answers;
  answers.add("squeue", kUnknown);
  answers.add("sacct", {0, kAccount, ""});
  Queue queue(answers.asked_with(short_patience()));
  EXPECT_EQ(queue.query({{"1", 3}}).at({"1", 2}).state, "NODE_FAIL");
}

TEST(SlurmQueue, AccountingThatLagsIsAskedAgainBeforeATaskIsGivenUp) {
  Answers answers;
  answers.add("squeue", kUnknown);
  answers.add("sacct", {0, "1_0|RUNNING|0:0|n1|5|None\n", ""});
  answers.add("sacct", {1, "", "Problem talking to the database: Connection refused"});
  answers.add("sacct", {0, "1_0|COMPLETED|0:0|n1|9|None\n", ""});
  Queue queue(answers.asked_with(short_patience()));
  EXPECT_TRUE(queue.query({{"1", 1}}).at({"1", 0}).running());
  EXPECT_TRUE(queue.query({{"1", 1}}).at({"1", 0}).running());
  EXPECT_EQ(queue.query({{"1", 1}}).at({"1", 0}).state, "COMPLETED");
}

TEST(SlurmQueue, ATaskOfWhichNobodyKnowsIsAbsentInTheEnd) {
  Answers answers;
  answers.add("squeue", kUnknown);
  answers.add("sacct", {0, "", ""});
  Queue queue(answers.asked_with(short_patience()));
  int queries = 0;
  while (!queue.query({{"1", 1}}).empty()) ASSERT_LT(++queries, 20);
  EXPECT_THAT(queue.query({{"1", 1}}), IsEmpty());
}

TEST(SlurmQueue, AStateThatIsNotKnownCountsAsAlive) {
  const TaskStates states = read_squeue(
      "1|0|POWERING_UP|n1|0:00|None\n1|1|COMPLETED|n1|0:00|None\n1|2||n1|0:00|None\n"
      "1|3|COMPLETED,COMPLETING|n1|0:00|None\n1|4|LAUNCH_FAILED|n1|0:00|None\n");
  EXPECT_FALSE(states.at({"1", 0}).known());
  EXPECT_TRUE(states.at({"1", 0}).waiting());
  EXPECT_FALSE(states.at({"1", 0}).over());
  EXPECT_TRUE(states.at({"1", 1}).over());
  EXPECT_FALSE(states.at({"1", 2}).over());
  EXPECT_TRUE(states.at({"1", 3}).running()) << "a part of it is not over";
  EXPECT_TRUE(states.at({"1", 4}).over());
}

TEST(SlurmQueue, ATaskThatIsNotShownForAMomentIsNotOver) {
  Minute clock;
  Answers answers;
  for (const char* text :
       {"1|0|RUNNING|n1|0:05|None\n", "", "", "1|0|RUNNING|n1|0:05|None\n", ""}) {
    answers.add("squeue", {0, text, ""});
  }
  answers.add("sacct", kNoAccounting);
  Queue queue(answers.asked_with(clock.patience()));
  EXPECT_TRUE(queue.query({{"1", 1}}).at({"1", 0}).running());
  EXPECT_FALSE(queue.unsure());
  for (int look = 0; look < 2; ++look) {
    EXPECT_FALSE(queue.query({{"1", 1}}).at({"1", 0}).over()) << "look " << look;
    EXPECT_TRUE(queue.unsure());
    clock.now += std::chrono::seconds(59);
  }
  EXPECT_TRUE(queue.query({{"1", 1}}).at({"1", 0}).running());
  EXPECT_FALSE(queue.unsure());
  for (int look = 0; look < 2; ++look) {
    EXPECT_FALSE(queue.query({{"1", 1}}).empty()) << "a new absence begins";
    clock.now += std::chrono::seconds(30);
  }
  EXPECT_THAT(queue.query({{"1", 1}}), IsEmpty());
  EXPECT_FALSE(queue.unsure());
}

TEST(SlurmQueue, OneLookIsNeverEnoughHoweverLate) {
  Minute clock;
  Answers answers;
  answers.add("squeue", kUnknown);
  answers.add("sacct", kNoAccounting);
  Queue queue(answers.asked_with(clock.patience()));
  clock.now += std::chrono::hours(1);
  EXPECT_FALSE(queue.query({{"1", 1}}).empty());
  clock.now += std::chrono::minutes(1);
  EXPECT_THAT(queue.query({{"1", 1}}), IsEmpty());
}

TEST(SlurmQueue, WhatAccountingSaysOfAnEndNeedsNoSecondLook) {
  Minute clock;
  Answers answers;
  answers.add("squeue", {0, "", ""});
  answers.add("sacct", {0, "Welcome to the cluster\n1_0|COMPLETED|0:0|n1|9|None\n", ""});
  Queue queue(answers.asked_with(clock.patience()));
  EXPECT_TRUE(queue.query({{"1", 1}}).at({"1", 0}).over());
  EXPECT_FALSE(queue.unsure());
}

TEST(SlurmQueue, AClusterThatIsAwayIsNotAnEmptyQueue) {
  Answers answers;  // squeue of several clusters ends well all the same
  answers.add("squeue",
              {0, "CLUSTER: far\n", "slurm_load_jobs error: Unable to contact slurm controller"});
  answers.add("squeue", {0, "CLUSTER: far\n1|0|RUNNING|n1|0:05|None\n", ""});
  Queue queue(answers.asked_with(short_patience()));
  EXPECT_TRUE(queue.query({{"1", 1}}).at({"1", 0}).running());
}

TEST(SlurmVariables, ThoseOfTheShellAndOfAnAllocationAreLeftOut) {
  EXPECT_THAT(slurm_variables({"SBATCH_PARTITION=debug", "SQUEUE_STATES=R", "SACCT_FORMAT=x",
                               "SCONTROL_ALL=1", "SRUN_DEBUG=3", "SALLOC_QOS=x", "SINFO_FORMAT=x",
                               "SCANCEL_INTERACTIVE=1", "SLURM_TIME_FORMAT=relative",
                               "SLURM_JOB_ID=7", "SLURM_CPU_BIND=none", "SLURMD_NODENAME=n1",
                               "SLURM_CONF=/etc/slurm.conf", "SLURM_CLUSTERS=far", "SLURM_JWT=x",
                               "PATH=/bin", "SLURMISH=1", "A=SBATCH_"}),
              ElementsAre("SLURM_CONF=/etc/slurm.conf", "SLURM_CLUSTERS=far", "SLURM_JWT=x",
                          "PATH=/bin", "SLURMISH=1", "A=SBATCH_"));
}

TEST(SlurmVariables, LongListsOfTasksAreAskedForInFull) {
  EXPECT_EQ(ask_program({"sh", "-c", "echo \"$SLURM_BITSTR_LEN\""}).out, "0\n");
}

TEST(SlurmVariables, AreNamed) {
  EXPECT_THAT(variables_with("SBATCH_", {"SBATCH_QOS=a", "X=SBATCH_", "SBATCH_ACCOUNT="}),
              ElementsAre("SBATCH_ACCOUNT", "SBATCH_QOS"));
}

TEST(SlurmVariables, DoNotReachAProgram) {
  ::setenv("SQUEUE_PARTITION", "debug", 1);
  ::setenv("SLURM_CONF", "kept", 1);
  const process::Said said =
      ask_program({"sh", "-c", "echo \"${SQUEUE_PARTITION-none} $SLURM_CONF\""});
  ::unsetenv("SQUEUE_PARTITION");
  ::unsetenv("SLURM_CONF");
  EXPECT_EQ(said.out, "none kept\n");
}

}  // namespace
}  // namespace tarflow::slurm
