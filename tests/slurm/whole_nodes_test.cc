#include "framework/slurm/whole_nodes.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/slurm/allocation.h"
#include "framework/slurm/arrays.h"
#include "framework/slurm/by_command.h"
#include "framework/slurm/headway.h"
#include "framework/slurm/script.h"
#include "tests/slurm/profile_fixture.h"

namespace tarflow::slurm {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

sweep::RunSettings of_gpus(int64_t gpus, int64_t nodes = 1) {
  sweep::RunSettings run;
  run.gpus = gpus;
  run.nodes = nodes;
  return run;
}

ClusterProfile of_nodes(int64_t gpus) {
  ClusterProfile profile;
  profile.name = "centre";
  profile.executor = Executor::kSlurm;
  profile.node_gpus = gpus;
  return profile;
}

Submission submission_of(const ClusterProfile& profile, const sweep::RunSettings& run) {
  Submission submission;
  submission.profile = profile;
  submission.run = run;
  submission.programs = "/programs";
  submission.job_id = "7";
  return submission;
}

TEST(WholeNodes, AsManyJobsRunAtOnceAsANodeHasGpusFor) {
  EXPECT_EQ(jobs_at_once(of_nodes(4), of_gpus(1)), 4);
  EXPECT_EQ(jobs_at_once(of_nodes(4), of_gpus(2)), 2);
  EXPECT_EQ(jobs_at_once(of_nodes(4), of_gpus(3)), 1);
  EXPECT_EQ(jobs_at_once(of_nodes(8), of_gpus(3)), 2);
  EXPECT_EQ(jobs_at_once(of_nodes(4), of_gpus(4)), 1);
  EXPECT_EQ(jobs_at_once(of_nodes(4), of_gpus(1, 2)), 1) << "its nodes are its own";
  EXPECT_EQ(jobs_at_once(of_nodes(4), of_gpus(0)), 1) << "on the CPU";
  EXPECT_EQ(jobs_at_once(of_nodes(0), of_gpus(1)), 1) << "as without the key";
}

TEST(WholeNodes, ARequestIsForAllJobsThatRunAtOnce) {
  ClusterProfile profile = of_nodes(4);
  profile.cpus_per_task = 8;
  profile.mem_per_gpu = "32G";
  EXPECT_THAT(
      resource_options(submission_of(profile, of_gpus(1))),
      AllOf(Contains("--nodes=1"), Contains("--ntasks-per-node=4"), Contains("--cpus-per-task=8"),
            Contains("--gres=gpu:4"), Contains("--mem-per-gpu=32G")));
  sweep::RunSettings threads = of_gpus(2);
  threads.threads = 6;
  profile.gpu_request = GpuRequest::kGpus;
  EXPECT_THAT(
      resource_options(submission_of(profile, threads)),
      AllOf(Contains("--ntasks-per-node=4"), Contains("--cpus-per-task=6"), Contains("--gpus=4")));
  profile.gpu_request = GpuRequest::kGpusPerNode;
  profile.gpu_type = "h100";
  EXPECT_THAT(resource_options(submission_of(profile, of_gpus(1))),
              Contains("--gpus-per-node=h100:4"));
  profile.gpu_request = GpuRequest::kNone;
  EXPECT_THAT(resource_options(submission_of(profile, of_gpus(1))),
              AllOf(Contains("--ntasks-per-node=4"), Not(Contains(HasSubstr("--gpus")))));
}

TEST(WholeNodes, JobsThatRunAloneAskAsWithoutTheKey) {
  for (const sweep::RunSettings& run : {of_gpus(0), of_gpus(4), of_gpus(3), of_gpus(2, 2)}) {
    EXPECT_EQ(resource_options(submission_of(of_nodes(4), run)),
              resource_options(submission_of(of_nodes(0), run)))
        << run.gpus;
  }
}

TEST(WholeNodes, TheScriptSaysHowManyJobsRunAtOnce) {
  Submission submission = submission_of(of_nodes(4), of_gpus(2));
  submission.tasks = {{"a", "b", "c"}};
  const auto script = [&] { return sbatch_text(submission, {"/s"}, "/w"); };
  EXPECT_THAT(script(), HasSubstr("# 2 jobs at once on the 4 GPUs of a node"));
  submission.run = of_gpus(4);
  EXPECT_THAT(script(), Not(HasSubstr("at once")));
}

TEST(WholeNodes, AnotherQueueIsAskedForTheNodeToo) {
  ClusterProfile profile = of_nodes(4);
  profile.executor = Executor::kCommand;
  profile.templates.submit = "qsub {script}";
  profile.cpus_per_task = 8;
  profile.mem_per_gpu = "10G";
  Submission submission = submission_of(profile, of_gpus(2));
  auto words = submit_fields(submission, {"/s"}).words;
  EXPECT_EQ(words.at("gpus"), "4");
  EXPECT_EQ(words.at("ranks"), "4");
  EXPECT_EQ(words.at("cpus"), "32");
  EXPECT_EQ(words.at("mem"), "40960M");
  EXPECT_THAT(job_script_text(submission, {"/s"}, "/w"), HasSubstr("# 2 jobs at once on the 4"));
  submission.run = of_gpus(0);
  words = submit_fields(submission, {"/s"}).words;
  EXPECT_EQ(words.at("gpus"), "0");
  EXPECT_EQ(words.at("cpus"), "8");
}

TEST(WholeNodes, TheTimeOfAnAllocationIsThatOfItsRounds) {
  Submission submission = submission_of(of_nodes(4), of_gpus(1));
  submission.profile.signal_lead = 0;
  submission.run.time_limit = 600;
  const auto seconds_of = [&](size_t jobs) {
    submission.tasks = {std::vector<std::string>(jobs, "a")};
    return allocation_seconds(submission);
  };
  EXPECT_EQ(seconds_of(1), 660);
  EXPECT_EQ(seconds_of(4), 660);
  EXPECT_EQ(seconds_of(5), 1260);
  EXPECT_EQ(seconds_of(8), 1260);
  submission.run.gpus = 4;
  EXPECT_EQ(seconds_of(2), 1260);
}

// Sizes of the tasks that so many jobs are dealt to, "4,4,1".
std::string sizes(const ClusterProfile& profile, const std::vector<std::optional<double>>& seconds,
                  std::vector<size_t> alone = {}) {
  std::vector<std::shared_ptr<job::Job>> made;
  std::vector<QueuedJob> jobs;
  for (size_t i = 0; i < seconds.size(); ++i) {
    made.push_back(std::make_shared<job::Job>());
    made.back()->run = std::make_shared<const sweep::RunSettings>(of_gpus(1));
    jobs.push_back({made.back().get(), false, seconds[i], {}, false});
  }
  for (const size_t job : alone) jobs[job].alone = true;
  std::vector<size_t> counts;
  for (const TaskArray& array : arrays_of(jobs, profile, 1000)) {
    for (const auto& task : array.tasks) counts.push_back(task.size());
  }
  return fmt::format("{}", fmt::join(counts, ","));
}
std::string sizes(const ClusterProfile& profile, size_t jobs) {
  return sizes(profile, std::vector<std::optional<double>>(jobs, 1.0));
}

TEST(WholeNodes, ATaskHasJobsForAllThatRunAtOnce) {
  ClusterProfile profile = of_nodes(4);
  EXPECT_EQ(sizes(profile, 8), "4,4");
  EXPECT_EQ(sizes(profile, 3), "3");
  profile.jobs_per_allocation = 2;
  EXPECT_EQ(sizes(profile, 8), "8");
  EXPECT_EQ(sizes(profile, 16), "8,8");
}

TEST(WholeNodes, NoNodeIsTakenForOneJobWhileOthersHaveMany) {
  ClusterProfile profile = of_nodes(4);
  EXPECT_EQ(sizes(profile, 5), "3,2");
  profile.jobs_per_allocation = 2;
  EXPECT_EQ(sizes(profile, 9), "5,4") << "as many rounds as 8,1";
  EXPECT_EQ(sizes(profile, 17), "7,7,3") << "6,6,5 would take one round more";
  EXPECT_EQ(sizes(profile, 12), "8,4") << "and so would 6,6";
}

TEST(WholeNodes, PackTimeIsThatOfTheFullestGpu) {
  ClusterProfile profile = of_nodes(2);
  profile.jobs_per_allocation = 100;
  profile.pack_time = 60;
  EXPECT_EQ(sizes(profile, {30, 30, 30, 30, 30}), "3,2") << "two after another on each of two";
  EXPECT_EQ(sizes(profile, {60, 20, 20, 20}), "4");
  EXPECT_EQ(sizes(profile, {90, 90}), "2") << "each longer than pack_time, and none waits";
  EXPECT_EQ(sizes(profile, {90, 20, 20, 20, 30}), "3,2") << "beside the long one there is room";
  EXPECT_EQ(sizes(profile, {{}, {}, {}}), "2,1") << "of unknown time, one on each";
}

TEST(WholeNodes, AJobThatOthersWaitForHasItsTaskToItself) {
  EXPECT_EQ(sizes(of_nodes(4), std::vector<std::optional<double>>(4, 1.0), {1}), "1,1,2");
}

std::vector<std::string> gpus_of(const std::vector<Part>& parts) {
  std::vector<std::string> names;
  for (const Part& part : parts) {
    EXPECT_EQ(part.of, parts.size());
    names.push_back(part.gpus.value_or("all"));
  }
  return names;
}

TEST(WholeNodes, TheVisibleGpusAreDealtToTheJobs) {
  const Submission of_two = submission_of(of_nodes(4), of_gpus(2));
  EXPECT_THAT(gpus_of(parts_of(of_two, {{"5", "2", "7", "1"}, {}, false})),
              ElementsAre("5,2", "7,1"));
  EXPECT_THAT(gpus_of(parts_of(of_two, {{"0", "1", "2"}, {}})), ElementsAre("0,1"))
      << "a node with fewer";
  EXPECT_THAT(gpus_of(parts_of(of_two, {{"0"}, {}})), ElementsAre("0"))
      << "its worker says that there are too few";
  EXPECT_THAT(gpus_of(parts_of(of_two, job::VisibleGpus{})), ElementsAre("all", "all"))
      << "a node without any: on its CPUs";
  const Submission of_four = submission_of(of_nodes(4), of_gpus(4));
  EXPECT_THAT(gpus_of(parts_of(of_four, {{"0", "1", "2", "3"}, {}})), ElementsAre("all"));
}

TEST(WholeNodes, AWorkerIsToldItsGpusAndItsShareOfTheCpus) {
  const Submission submission = submission_of(of_nodes(4), of_gpus(2));
  Allocated place{"7", 0, 0, "n1", 6};
  const std::vector<Part> parts = parts_of(submission, {{"0", "1", "2", "3"}, {}});
  const job::Launch launch = launch_of(submission, place, parts.at(1), /*timed=*/true);
  EXPECT_THAT(launch.before, ElementsAre()) << "no srun";
  EXPECT_THAT(launch.arguments, ElementsAre("--ranks", "2", "--exclusive", "--threads", "12"));
  EXPECT_EQ(launch.variables.at("CUDA_VISIBLE_DEVICES"), "2,3");
  EXPECT_EQ(launch.variables.at("CUDA_DEVICE_ORDER"), "PCI_BUS_ID");
  EXPECT_EQ(launch.variables.at("OMP_NUM_THREADS"), "6");
}

TEST(WholeNodes, JobsThatNoNodeCanRunAreNamedOnce) {
  job::Jobs jobs;
  for (const int64_t gpus : {8, 8, 4, 1, 0}) {
    job::Job job;
    job.run = std::make_shared<const sweep::RunSettings>(of_gpus(gpus));
    jobs.push_back(std::move(job));
  }
  const std::vector<Problem> problems = beyond_nodes(of_nodes(4), jobs);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0].what, AllOf(HasSubstr("8 GPUs"), HasSubstr("`centre` have 4")));
  EXPECT_THAT(problems[0].repair, HasSubstr("gpus: 4 or fewer"));
  EXPECT_TRUE(beyond_nodes(of_nodes(0), jobs).empty());
}

class WholeNodeProfiles : public WrittenProfiles {};

TEST_F(WholeNodeProfiles, AreReadAndWrongOnesAreLocated) {
  EXPECT_EQ(read("executor: slurm\nnode_gpus: 4\n").node_gpus, 4);
  for (const char* count : {"0", "-2"}) {
    EXPECT_THAT(complaint(fmt::format("executor: slurm\nnode_gpus: {}\n", count)),
                AllOf(HasSubstr("cluster.yaml:2:12"), HasSubstr("has at least one"),
                      HasSubstr("remove the key")))
        << count;
  }
  EXPECT_THAT(complaint("executor: slurm\nnode_gpus: four\n"), HasSubstr("cluster.yaml:2:12"));
  EXPECT_THAT(complaint("executor: local\nnode_gpus: 4\n"),
              AllOf(HasSubstr("cluster.yaml:2:12"), HasSubstr("`local`"), HasSubstr("remove it")));
}

TEST_F(WholeNodeProfiles, WorkWithAnotherQueueUnlessItsJobsComputeOnCpus) {
  const std::string pbs =
      "executor: command\nsubmit: q {gpus} {script}\nstate: q\ncancel: q {id}\nnode_gpus: 4\n";
  EXPECT_EQ(read(pbs).node_gpus, 4);
  EXPECT_THAT(complaint(pbs + "gpu_request: none\n"),
              AllOf(HasSubstr("cluster.yaml:5:12"), HasSubstr("remove one of them")));
}

TaskEvent stopped(const std::string& job, double reached, double seconds = 100) {
  TaskEvent event;
  event.what = "job";
  event.outcome = "stopped";
  event.job = job;
  event.reached = reached;
  event.seconds = seconds;
  return event;
}

TEST(Headway, IsMissedJobByJob) {
  const std::vector<TaskEvent> before = {stopped("a", 0.5), stopped("b", 0.1), stopped("b", 0.2),
                                         stopped("a", 0.5)};
  EXPECT_EQ(starts_without_headway(before, stopped("a", 0.5), 50), 3);
  EXPECT_EQ(starts_without_headway(before, stopped("b", 0.3), 50), 1);
  EXPECT_EQ(starts_without_headway(before, stopped("b", 0.2), 50), 2);
  EXPECT_EQ(starts_without_headway(before, stopped("a", 0.5, 20), 50), 0) << "it began late";
  EXPECT_EQ(starts_without_headway(before, stopped("a", 0.5), 0), 0) << "without a time limit";
}

}  // namespace
}  // namespace tarflow::slurm
