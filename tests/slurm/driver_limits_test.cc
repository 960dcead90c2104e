// Limits of a QOS or an account: those that pass, and those that a job can never keep.
#include "tests/slurm/driver_fixture.h"

namespace tarflow::slurm {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr auto kPolicy =
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit "
    "limit, user's size and/or time limits)";
const std::string kSubmitLimit =
    std::string("sbatch: error: QOSMaxSubmitJobPerUserLimit\n") + kPolicy;

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
  EXPECT_EQ(slurm_.refused, 4) << "Slurm may have counted it still";
  look();
  EXPECT_EQ(slurm_.refused, 5);
  look();
  EXPECT_EQ(slurm_.refused, 5);
}

TEST_F(Driver, ATaskWhoseResultIsHereMayTakeItsPlaceInTheQueueForAMomentMore) {
  slurm_.limit = kSubmitLimit;
  slurm_.room = 2;
  SlurmDriver driver(few(2));
  driver.submit({task("a"), task("b"), task("c"), task("d")});
  slurm_.arrays[7] = {"RUNNING", "RUNNING"};
  finish("a");
  finish("b");
  now_ += seconds(15);
  for (const Event& event : driver.poll()) EXPECT_NE(event.what, Event::What::kRemark);
  EXPECT_EQ(slurm_.refused, 1);
  slurm_.arrays[7] = {"COMPLETED", "COMPLETED"};
  now_ += seconds(15);
  driver.poll();
  EXPECT_EQ(slurm_.arrays.at(8).size(), 2u);
  EXPECT_EQ(slurm_.refused, 1);
}

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

TEST_F(Driver, ARefusalThatNamesNoLimitIsAnErrorAnHourAfterTheLastJob) {
  driver_.submit({task("a")});
  slurm_.refusal = kPolicy;
  driver_.submit({task("b")});
  finish("a");
  slurm_.arrays[7] = {"COMPLETED"};
  EXPECT_NO_THROW(look()) << "Slurm may have counted the task still";
  now_ += seconds(30);
  EXPECT_NO_THROW(look()) << "jobs of another sweep may fill the limit";
  now_ += std::chrono::minutes(61);
  EXPECT_THROW(look(), Error) << "not for ever";
}

// `task` in an array of its own: it needs another number of threads.
job::Task larger(job::Task task) {
  job::Job job = *task.job;
  sweep::RunSettings run = *job.run;
  run.threads = 64;
  job.run = std::make_shared<const sweep::RunSettings>(run);
  task.job = std::make_shared<const job::Job>(std::move(job));
  return task;
}

TEST_F(Driver, WhereNobodySaysHowManyFitTheQueueIsFilledAllTheSame) {
  slurm_.limit = kSubmitLimit;
  slurm_.room = 3;
  const std::vector<Event> events =
      driver_.submit({task("a"), task("b"), task("c"), task("d"), task("e"), task("f"), task("g")});
  EXPECT_EQ(slurm_.open(), 3u) << "7 are refused, then 3 are taken";
  EXPECT_EQ(slurm_.refused, 1);
  EXPECT_EQ(driver_.waiting(), 4u);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0].text, AllOf(HasSubstr("QOSMaxSubmitJobPerUserLimit"),
                                    HasSubstr("`max_queued: 3` in the cluster profile")));
  for (const char* hash : {"a", "b", "c"}) finish(hash);
  slurm_.arrays[7] = {"COMPLETED", "COMPLETED", "COMPLETED"};
  look();
  EXPECT_EQ(slurm_.open(), 3u);
  EXPECT_EQ(slurm_.refused, 1) << "what was learned is kept to";
  for (const char* hash : {"d", "e", "f"}) finish(hash);
  slurm_.arrays[8] = {"COMPLETED", "COMPLETED", "COMPLETED"};
  look();
  EXPECT_EQ(driver_.waiting(), 0u);
  EXPECT_EQ(submissions().size(), 3u) << "of what was refused nothing stays";
}

TEST_F(Driver, AQueueThatOthersFillIsAnErrorInPlainWords) {
  slurm_.limit = kSubmitLimit;
  slurm_.room = 0;
  try {
    driver_.submit({task("a"), task("b")});
    FAIL() << "it was taken";
  } catch (const Error& failure) {
    EXPECT_THAT(failure.what(),
                AllOf(HasSubstr("no room for a single job"), HasSubstr("squeue --me"),
                      HasSubstr("QOSMaxSubmitJobPerUserLimit")));
  }
}

TEST_F(Driver, AJobThatSbatchRefusesForItsSizeFailsAlone) {
  driver_.submit({task("a")});
  for (const char* limit : {"QOSMaxCpuPerJobLimit", "AssocMaxWallDurationPerJobLimit",
                            "QOSMaxMemoryPerJob", "MaxGRESPerAccount"}) {
    slurm_.refusal = fmt::format("sbatch: error: {}\n{}", limit, kPolicy);
    const std::vector<Event> events = driver_.submit({task("b")});
    ASSERT_EQ(events.size(), 1u) << limit;
    EXPECT_EQ(events[0].what, Event::What::kFailed);
    EXPECT_EQ(events[0].left, 0);
    EXPECT_THAT(events[0].text, AllOf(HasSubstr(limit), HasSubstr("ask for")));
    EXPECT_EQ(driver_.waiting(), 0u);
  }
  slurm_.refusal =
      "sbatch: error: Batch job submission failed: Requested node configuration is "
      "not available";
  EXPECT_THAT(driver_.submit({task("b")}).at(0).text, HasSubstr("sinfo"));
}

TEST_F(Driver, WhereSlurmTakesNoJobAtAllForItsSizeItIsAnError) {
  slurm_.refusal = std::string("sbatch: error: QOSMaxCpuPerJobLimit\n") + kPolicy;
  EXPECT_THROW(driver_.submit({task("a"), larger(task("b"))}), Error);
}

TEST_F(Driver, AJobThatCanNeverStartFailsAloneAndLeavesTheQueue) {
  driver_.submit({task("a"), larger(task("b"))});
  ASSERT_EQ(slurm_.arrays.size(), 2u);
  const int stuck = submissions()[0].tasks[0][0] == "b" ? 7 : 8, other = 15 - stuck;
  slurm_.reasons[stuck] = "QOSMaxCpuPerJobLimit";
  EXPECT_THAT(look(), IsEmpty());
  EXPECT_THAT(look(), IsEmpty()) << "the limit may be changed";
  EXPECT_THAT(look(), ElementsAre("failed b"));
  EXPECT_THAT(last_.front().text,
              AllOf(HasSubstr("more CPUs than its QOS allows one job (QOSMaxCpuPerJobLimit)"),
                    HasSubstr("cpus_per_task")));
  EXPECT_EQ(last_.front().left, 0);
  EXPECT_THAT(slurm_.cancelled, ElementsAre(fmt::format("{}", stuck)));
  slurm_.arrays[stuck] = {"CANCELLED"};
  slurm_.arrays[other] = {"RUNNING"};
  EXPECT_THAT(look(), ElementsAre("started a"));
  finish("a");
  EXPECT_THAT(look(), ElementsAre("done a"));
  // What is said of it later, by another run_sweep.
  const Submission submission = submissions().at(static_cast<size_t>(stuck - 7));
  TaskState cancelled;
  cancelled.id = {submission.job_id, 0};
  cancelled.state = "CANCELLED";
  const Verdict verdict = judge(gather_evidence({house_ / "results/demo/slurm" / submission.name},
                                                submission, 0, {{cancelled.id, cancelled}}));
  EXPECT_EQ(verdict.what, Verdict::What::kFailed);
  EXPECT_THAT(verdict.reason, HasSubstr("QOSMaxCpuPerJobLimit"));
}

TEST_F(Driver, AJobThatWaitsForTheUsersOthersIsLeftInTheQueue) {
  driver_.submit({task("a")});
  slurm_.reasons[7] = "QOSMaxGRESPerUser";
  slurm_.own_running = "5\n";
  for (int i = 0; i < 10; ++i) EXPECT_THAT(look(), IsEmpty());
  slurm_.own_running = "";
  for (int i = 0; i < 5; ++i) EXPECT_THAT(look(), IsEmpty()) << "the reason may be an old one";
  now_ += std::chrono::minutes(10);
  EXPECT_THAT(look_until_told(), ElementsAre("failed a")) << "nothing runs, and it waits still";
  EXPECT_THAT(last_.front().text, HasSubstr("more GPUs than its QOS allows all running jobs"));
}

TEST_F(Driver, ALimitOfOthersOrOnWhatIsQueuedIsWaitedFor) {
  driver_.submit({task("a")});
  for (const char* reason : {"QOSGrpCpuLimit", "AssocGrpCPUMinutesLimit", "MaxCpuPerAccount",
                             "QOSMaxJobsPerUserLimit", "AssocMaxJobsLimit", "Resources"}) {
    slurm_.reasons[7] = reason;
    for (int i = 0; i < 5; ++i) EXPECT_THAT(look(), IsEmpty()) << reason;
  }
  EXPECT_THAT(slurm_.cancelled, IsEmpty());
}

}  // namespace
}  // namespace tarflow::slurm
