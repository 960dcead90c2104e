// The task of a job array that runs one job after another.
#include "framework/slurm/task.h"

#include "framework/job/claim.h"
#include "framework/process/host.h"
#include "framework/slurm/allocation.h"
#include "framework/slurm/events.h"
#include "tests/driver/cluster_task_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::ThrowsMessage;

TEST_F(ClusterTasks, RunsItsJobsOneAfterAnotherAndNotesIt) {
  const Finished task = run_task();
  EXPECT_EQ(task.status, 0) << task.err;
  EXPECT_THAT(noted(), ElementsAre("start", "job done", "job done", "job done", "end"));
  EXPECT_EQ(slurm::read_events(folder_, 0).front().host, "n1");
  EXPECT_THAT(task.out, HasSubstr((job_folder_of(1) / "log.txt").string()));
  EXPECT_EQ(asked(), "");
  EXPECT_EQ(run_here().status, 0);
  EXPECT_EQ(asked(), "") << "the task itself says that it ended";
  EXPECT_EQ(record::digest(record()), undisturbed());
}

TEST_F(ClusterTasks, ARunOnThisMachineLeavesItsJobsToSlurmWhileTheyMayRunThere) {
  slurm::write_submission(folder_, submission_);
  write_file(house_ / "queued", "7|0|PENDING||0:00|Priority\n");
  const Finished queued = run_here();
  EXPECT_THAT(queued.err, HasSubstr("6 points left to Slurm, which has 3 jobs"));
  EXPECT_THAT(asked(), HasSubstr("squeue"));
  EXPECT_EQ(started_jobs(), 0u);
  const pid_t task = start_task("stoppable 2");
  wait_for_worker();
  ::kill(task, SIGUSR2);
  wait(task);
  fs::remove(house_ / "asked");
  EXPECT_THAT(run_here().err, HasSubstr("4 points left to Slurm"))
      << "a task that ended with jobs left is asked about: it queued again";
  EXPECT_THAT(asked(), HasSubstr("squeue"));
  ASSERT_EQ(run_task("", 1).status, 0);
  fs::remove(house_ / "asked");
  EXPECT_THAT(status("7|0|COMPLETED|n1|1:05|None\n"), HasSubstr("6 of 6 points done"));
  EXPECT_EQ(asked(), "") << "neither does --status ask about what is over";
}

// As `scontrol suspend` does. Where nothing is stopped the limit is far away.
TEST_F(ClusterTasks, ATimeInWhichTheTaskIsStoppedIsNotOneOfItsJobs) {
  submission_.run.time_limit = 6;
  submission_.run.retries = 0;
  const pid_t task = start_task("wait_for_file 2");
  wait_for_worker();
  ::kill(task, SIGSTOP);
  std::this_thread::sleep_for(std::chrono::seconds(7));
  ::kill(task, SIGCONT);
  std::this_thread::sleep_for(std::chrono::seconds(1));  // it looks at the time some times
  write_file(house_ / "go", "");
  EXPECT_EQ(wait(task).status, 0);
  EXPECT_THAT(noted(), ElementsAre("start", "job done", "job done", "job done", "end"));
}

TEST_F(ClusterTasks, JobsThatAreDoneArePassedOver) {
  ASSERT_EQ(run_task().status, 0);
  EXPECT_EQ(started_jobs(), 3u);
  EXPECT_EQ(run_task("", 1).status, 0);
  EXPECT_EQ(started_jobs(), 3u);
}

TEST_F(ClusterTasks, AFailedJobIsTriedAgainInTheSameAllocation) {
  submission_.run.retries = 1;
  EXPECT_EQ(run_task("fail_once 2").status, 0);
  EXPECT_THAT(noted(),
              ElementsAre("start", "job done", "job again", "job done", "job done", "end"));
}

TEST_F(ClusterTasks, AJobThatFailsForGoodKeepsNoOtherFromRunning) {
  EXPECT_EQ(run_task("fail 1").status, 1);
  EXPECT_THAT(noted(), ElementsAre("start", "job failed", "job done", "job done", "end"));
  EXPECT_THAT(slurm::read_events(folder_, 0)[1].text, HasSubstr("exit code 3"));
  EXPECT_EQ(slurm::read_events(folder_, 0).back().failed, 1u);
  fs::remove(house_ / "runs");
  EXPECT_EQ(run_task("", 1).status, 1) << "put back into the queue, the task tries it no further";
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(ClusterTasks, AWorkerThatEndsBeforeItPrintsHasSlurmsOutputNamed) {
  EXPECT_EQ(run_task("nothing 1").status, 1);
  EXPECT_TRUE(slurm::read_events(folder_, 0)[1].silent);
  EXPECT_THAT(slurm::read_events(folder_, 0)[1].text, HasSubstr(folder_.output(0).string()));
}

TEST_F(ClusterTasks, AWorkerThatANodeCannotRunIsLeftForAnotherNode) {
  submission_.run.retries = 1;
  EXPECT_EQ(run_task("missing 1").status, 75);
  EXPECT_THAT(noted(),
              ElementsAre("start", "job again", "job again", "job done", "job done", "end"))
      << "and not put back into the queue, which might lead here again";
  const std::vector<slurm::TaskEvent> events = slurm::read_events(folder_, 0);
  EXPECT_TRUE(events[1].unable && events[2].unable);
  EXPECT_EQ(events.back().left, 1u);
  EXPECT_EQ(events.back().failed, 0u);
}

TEST_F(ClusterTasks, AResultOfAnotherDeviceIsLeftForANodeThatHasIt) {
  submission_.run.retries = 1;
  const fs::path job = job_folder_of(1) / "job.json";
  Json stated = read_json_file(job);
  stated["device"] = "NVIDIA H200";
  write_json_file(job, stated);
  EXPECT_EQ(run_task("on_a100 1").status, 75);
  EXPECT_THAT(noted(), ElementsAre("start", "job again", "job done", "job done", "end"))
      << "this node would compute it on an A100 again";
  const slurm::TaskEvent failed = slurm::read_events(folder_, 0)[1];
  EXPECT_TRUE(failed.unable);
  EXPECT_THAT(failed.text, AllOf(HasSubstr("NVIDIA A100-SXM4-80GB"), HasSubstr("NVIDIA H200"),
                                 HasSubstr("`constraint`")));
  EXPECT_FALSE(has_result(1));
}

TEST_F(ClusterTasks, WhereMemoryGrowsAWorkerThatIsKilledIsLeftForATaskWithMore) {
  submission_.run.retries = 1;
  submission_.profile.mem_grows = true;
  const pid_t task = start_task("block 1");
  wait_for_worker();
  ::kill(std::stoi(read_file(house_ / "started")), SIGKILL);
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(), ElementsAre("start", "job again", "job done", "job done", "end"))
      << "neither repeated with the same memory nor queued again with it";
  EXPECT_TRUE(slurm::read_events(folder_, 0)[1].starved);
  EXPECT_EQ(asked(), "");
}

TEST_F(ClusterTasks, AheadOfItsEndItStopsTheWorkerAndQueuesAgain) {
  const pid_t task = start_task("stoppable 2");
  wait_for_worker();
  ::kill(task, SIGUSR2);
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(),
              ElementsAre("start", "job done", "told USR2", "job stopped", "requeue", "end"));
  EXPECT_EQ(slurm::read_events(folder_, 0).back().left, 2u);
  EXPECT_THAT(asked(), HasSubstr("requeue 7_0\n"));
  EXPECT_TRUE(fs::exists(job_folder_of(2) / "reached")) << "the worker was asked, not killed";
  EXPECT_EQ(run_task("", 1).status, 0);
  EXPECT_TRUE(has_result(2) && has_result(3));
}

TEST_F(ClusterTasks, ATaskThatSomebodyCancelsDoesNotQueueAgain) {
  const pid_t task = start_task("stoppable 1");
  wait_for_worker();
  slurm_says("COMPLETING");
  ::kill(task, SIGTERM);
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(), ElementsAre("start", "told TERM", "job stopped", "refused", "end"));
  EXPECT_THAT(asked(), Not(HasSubstr("requeue")));
}

TEST_F(ClusterTasks, AStartThatWasGivenUpEndsWhenAnotherHasTakenOver) {
  const pid_t task = start_task("stoppable 1");
  wait_for_worker();
  start_elsewhere();
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(), ElementsAre("start", "start", "job stopped", "end"));
  EXPECT_EQ(asked(), "");
}

TEST_F(ClusterTasks, ATaskWhoseJobAnotherHasClaimedWritesNothingBesideIt) {
  const pid_t task = start_task("wait_for_file 1");
  wait_for_worker();
  job::take_claim(job_folder_of(1), "8_0");
  const std::string attempts = read_file(job_folder_of(1) / "attempts.jsonl");
  write_file(house_ / "go", "");
  EXPECT_EQ(wait(task).status, 75);
  EXPECT_THAT(noted(), ElementsAre("start", "end"));
  EXPECT_FALSE(has_result(1));
  EXPECT_EQ(read_file(job_folder_of(1) / "attempts.jsonl"), attempts);
  EXPECT_EQ(started_jobs(), 1u) << "the other task has the other jobs as well";
  EXPECT_EQ(asked(), "") << "it does not queue again";
}

TEST_F(ClusterTasks, WithoutItsSubmissionATaskRunsNothing) {
  for (const char* text : {"", "{", "[]", "{\"tasks\": 3}", "{\"job_name\": \"demo-x\"}"}) {
    write_file(folder_.submission(), text);
    const Finished damaged = wait(start_as_it_is());
    EXPECT_EQ(damaged.status, 2) << text;
    EXPECT_THAT(damaged.err, HasSubstr(folder_.submission().string())) << text;
  }
  fs::remove_all(folder_.path);
  const Finished missing = wait(start_as_it_is());
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.err, AllOf(HasSubstr(folder_.submission().string()), HasSubstr("No such")));
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_FALSE(fs::exists(folder_.path)) << "nothing is made in its place";
}

TEST_F(ClusterTasks, ANumberBeyondTheArrayRunsNothing) {
  slurm::write_submission(folder_, submission_);
  const Finished beyond = wait(start_as_it_is("", 0, /*task=*/1));
  EXPECT_EQ(beyond.status, 2);
  EXPECT_THAT(beyond.err, AllOf(HasSubstr("has 1 tasks, not one of number 1"),
                                HasSubstr(folder_.path.string())));
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_THAT(slurm::read_events(folder_, 1), IsEmpty());
}

TEST_F(ClusterTasks, AJobFileThatIsMissingOrDamagedCostsItsJobAlone) {
  fs::remove(job_folder_of(1) / "job.json");
  write_file(job_folder_of(2) / "job.json", "{");
  const Finished task = run_task();
  EXPECT_EQ(task.status, 1) << task.err;
  EXPECT_THAT(noted(), ElementsAre("start", "job failed", "job failed", "job done", "end"));
  EXPECT_THAT(slurm::read_events(folder_, 0)[1].text, HasSubstr("job.json"));
  EXPECT_EQ(started_jobs(), 1u);
}

// Of a task that was lost, whose worker may live on.
TEST_F(ClusterTasks, AClaimThatAnotherTaskLeftIsTakenOver) {
  const std::string before = job::take_claim(job_folder_of(1), "8_0");
  write_file(job_folder_of(2) / "claim.json", "{");
  EXPECT_EQ(run_task().status, 0);
  EXPECT_TRUE(has_result(1) && has_result(2));
  EXPECT_TRUE(job::other_claimant(job_folder_of(1), before)) << "the other keeps nothing there";
}

TEST_F(ClusterTasks, ASecondArrayOfTheSameSubmissionRunsNothing) {
  submission_.job_id = "6";
  const Finished task = run_task();
  EXPECT_EQ(task.status, 0);
  EXPECT_THAT(task.out, HasSubstr("this submission is array 6; array 7"));
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_THAT(noted(), IsEmpty());
}

TEST_F(ClusterTasks, StatusTellsWhereJobsAreAndWhatTheyWaitFor) {
  EXPECT_THAT(status("7|0|PENDING||0:00|Priority\n"),
              AllOf(HasSubstr("0 of 6 points done, 3 jobs queued"), HasSubstr("6 queued"),
                    HasSubstr("3 jobs (6 points) in array 7: others come first")));
  const Json json = Json::parse(wait(start("status demo.yaml --json", {{"PATH", path()}})).out);
  EXPECT_EQ(json.at("points").at("queued"), 6);
  EXPECT_EQ(json.at("on_cluster"), true);
  EXPECT_EQ(json.at("jobs").at(0).at("task"), "7_0");
  EXPECT_THAT(json.at("jobs").at(0).at("why").get<std::string>(), HasSubstr("others come first"));
  const pid_t task = start_task("stoppable 2");
  wait_for_worker();
  EXPECT_THAT(status("7|0|RUNNING|n1|1:05|None\n"),
              AllOf(HasSubstr("2 of 6 points done, 1 job running, 1 job queued"),
                    HasSubstr("(7_0 on n1, 1:05)")));
  slurm_says("COMPLETING");
  ::kill(task, SIGTERM);
  wait(task);
  slurm_says("CANCELLED");
  EXPECT_THAT(status("7|0|CANCELLED|n1|1:05|None\n"),
              AllOf(HasSubstr("2 of 6 points done, 2 jobs failed"), HasSubstr("it was cancelled"),
                    HasSubstr((job_folder_of(2) / "log.txt").lexically_relative(house_.path()))));
  submission_.cancelled = true;
  for (const char* known : {"7|0|CANCELLED|n1|1:05|None\n", ""}) {
    EXPECT_THAT(status(known), AllOf(HasSubstr("2 of 6 points done, 2 jobs interrupted"),
                                     Not(HasSubstr("failed")), Not(HasSubstr("lost"))));
  }
}

TEST_F(ClusterTasks, ATaskThatWasTakenBackAloneRunsNothing) {
  submission_.cancelled_tasks = {1};
  EXPECT_EQ(run_task().status, 0) << "another task was";
  EXPECT_EQ(started_jobs(), 3u);
  submission_.cancelled_tasks = {0};
  for (const int value : {1, 2, 3}) fs::remove(job_folder_of(value) / "result.h5");
  fs::remove(house_ / "runs");
  const Finished task = run_task();
  EXPECT_EQ(task.status, 0);
  EXPECT_THAT(task.out, HasSubstr("taken back"));
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(ClusterTasks, AResultThatCannotBeReadCostsItsJobAlone) {
  const fs::path result = job_folder_of(2) / "result.h5";
  fs::create_directory(result);
  const Finished task = run_task();
  EXPECT_EQ(task.status, 1) << task.err;
  EXPECT_TRUE(fs::is_directory(result));
  EXPECT_TRUE(has_result(1) && has_result(3));
  EXPECT_EQ(started_jobs(), 2u);
}

TEST_F(ClusterTasks, ASubmissionThatCannotBeReadStopsSubmittingAndRunning) {
  write_file(folder_.submission(), "{");
  for (const char* arguments : {"demo.yaml", "demo.yaml --cluster none"}) {
    const Finished refused = wait(start(arguments, {{"PATH", path()}}));
    EXPECT_EQ(refused.status, 1) << arguments;
    EXPECT_THAT(refused.err, HasSubstr("submission.json")) << arguments;
    EXPECT_EQ(started_jobs(), 0u) << arguments;
  }
}

TEST_F(ClusterTasks, CopiesOfProgramsStayWhileATaskMayRunThem) {
  const fs::path copies = house_ / "results/.cache/programs";
  for (const char* name : {"used", "unused"}) write_file(copies / name / "bin/run_job", "program");
  submission_.programs = copies / "used/bin";
  slurm::write_submission(folder_, submission_);
  write_file(house_ / "queued", "7|0|PENDING||0:00|Priority\n");
  run_here();
  EXPECT_TRUE(fs::exists(copies / "used"));
  EXPECT_FALSE(fs::exists(copies / "unused"));
  submission_.programs = house_ / "bin";  // of the fake worker
  ASSERT_EQ(run_task().status, 0);
  write_file(copies / "used/bin/run_job", "program");
  const Finished cleaned = run("demo.yaml --clean");
  EXPECT_THAT(cleaned.err, HasSubstr("deleted a copy of the programs"));
  EXPECT_TRUE(fs::is_empty(copies));
}

TEST_F(ClusterTasks, ArraysOfASweepTogetherKeepToMaxParallel) {
  write_file(house_ / "split.yaml",
             "executor: slurm\ngpu_request: none\nmax_array: 2\nmax_parallel: 1\n");
  const Finished dry =
      wait(start("demo.yaml --dry-run --cluster ./split.yaml", {{"PATH", path()}}));
  EXPECT_EQ(dry.status, 0) << dry.err;
  EXPECT_THAT(dry.out, AllOf(HasSubstr("--array=0-1%1\n"), HasSubstr("--array=0-0%1\n"),
                             HasSubstr("--dependency=afterany:ARRAY1\n")));
}

TEST_F(ClusterTasks, OutsideOfATaskItSaysWhatIsMissing) {
  slurm::write_submission(folder_, submission_);
  const Finished task = wait(start("--cluster-task " + folder_.path.string()));
  EXPECT_EQ(task.status, 2);
  EXPECT_THAT(task.err, AllOf(HasSubstr("SLURM_ARRAY_JOB_ID"), HasSubstr("sbatch")));
  submission_.tasks.clear();
  EXPECT_EQ(run_task().status, 2);
}

TEST(Allocation, IsReadFromSlurmsVariables) {
  std::map<std::string, std::string> variables{{"SLURM_ARRAY_JOB_ID", "12"},
                                               {"SLURM_ARRAY_TASK_ID", "3"},
                                               {"SLURM_RESTART_COUNT", "2"},
                                               {"SLURM_CPUS_PER_TASK", "4"},
                                               {"SLURMD_NODENAME", "n2"}};
  const slurm::Variable variable = [&](const char* name) { return variables[name]; };
  const slurm::Allocated place = slurm::allocation_from(variable);
  EXPECT_EQ(place.array, "12");
  EXPECT_EQ(place.task, 3u);
  EXPECT_EQ(place.restart, 2);
  EXPECT_EQ(place.cpus, 4);
  EXPECT_EQ(place.node, "n2");
  variables["SLURM_ARRAY_TASK_ID"] = "x";
  EXPECT_THAT([&] { slurm::allocation_from(variable); },
              ThrowsMessage<Error>(HasSubstr("SLURM_ARRAY_TASK_ID is `x`")));
}

TEST(Allocation, IsLeftAloneWhenSlurmDoesNotAnswer) {
  const slurm::Ask away = [](const std::vector<std::string>&) {
    return process::Said{1, "", "Unable to contact slurm controller"};
  };
  EXPECT_THAT(slurm::requeue({"7", 0, 0, "n1", 0}, away), HasSubstr("Unable to contact"));
}

}  // namespace
}  // namespace tarflow::driver
