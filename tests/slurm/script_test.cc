#include "framework/slurm/script.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/slurm/arrays.h"
#include "framework/slurm/cluster_profile_file.h"
#include "tests/support/house.h"

namespace tarflow::slurm {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Submission submission_of(size_t tasks, size_t jobs_each) {
  Submission submission;
  submission.name = "20260102-030405-000";
  submission.job_name = "afhq-20260102-030405-000-abc123";
  submission.programs = "/shared/tarflow/bin";
  for (size_t i = 0; i < tasks; ++i) {
    submission.tasks.emplace_back(jobs_each, fmt::format("{:016x}", i));
  }
  return submission;
}

ClusterProfile profile_of_text(const std::string& name, const std::string& text) {
  const Scratch folder;
  write_file(folder / (name + ".yaml"), text);
  return read_profile(folder / (name + ".yaml"));
}

void expect_golden(const std::string& name, const Submission& submission) {
  const std::string text =
      sbatch_text(submission, {"/shared/results/afhq/slurm/" + submission.name}, "/shared/work");
  const fs::path golden = fs::path(TARFLOW_SOURCE_DIR) / "tests/slurm/golden" / (name + ".sbatch");
  EXPECT_EQ(text, read_file(golden)) << golden;
}

TEST(SlurmScript, OfALabWithOnePartition) {
  Submission submission = submission_of(40, 1);
  submission.profile = profile_of_text("lab", R"(executor: slurm
partition: gpu
gpu_type: a6000
cpus_per_task: 8
mem_per_gpu: 32G
time: 12 h
max_parallel: 4
)");
  expect_golden("lab", submission);
}

TEST(SlurmScript, OfAPreemptedPartitionWithSeveralJobsATask) {
  Submission submission = submission_of(3, 16);
  submission.profile = profile_of_text("university", R"(executor: slurm
partition: gpu-preempt
account: vision
qos: normal
constraint: "a100&nvlink"
exclude: node[03-05]
gpu_request: gpus_per_node
cpus_per_task: 8
mem_per_cpu: 4G
time: 4 h
signal_lead: 5 min
jobs_per_allocation: 16
extra: [--mail-type=FAIL, "--comment='a b'"]
)");
  submission.run.gpus = 2;
  submission.run.time_limit = 600;
  submission.after = {"123_4", "123_5"};
  submission.behind = {"120", "121"};
  expect_golden("university", submission);
}

TEST(SlurmScript, OfWholeNodesWithModulesAndAContainer) {
  Submission submission = submission_of(1, 1);
  submission.profile = profile_of_text("centre", R"(executor: slurm
partition: batch
gpu_request: none
extra: [--exclusive]
mem: 0
requeue: false
signal_lead: 0
setup:
  - module purge
  - module load cuda/13.0
prefix: apptainer exec --nv "my image.sif"
)");
  submission.run.gpus = 4;
  submission.run.nodes = 2;
  submission.run.threads = 16;
  expect_golden("centre", submission);
}

TEST(SlurmScript, GpusAreAskedForInAllWhereTheClusterCountsThemSo) {
  Submission submission = submission_of(1, 1);
  submission.profile.executor = Executor::kSlurm;
  submission.profile.gpu_request = GpuRequest::kGpus;
  submission.profile.gpu_type = "h200";
  submission.run.gpus = 4;
  submission.run.nodes = 2;
  EXPECT_THAT(sbatch_text(submission, {"/s"}, "/w"), HasSubstr("#SBATCH --gpus=h200:8\n"));
  submission.run.gpus = 0;
  submission.run.ranks = 3;
  const std::string text = sbatch_text(submission, {"/s"}, "/w");
  EXPECT_THAT(text, ::testing::Not(HasSubstr("--gpus")));
  EXPECT_THAT(text, HasSubstr("#SBATCH --ntasks-per-node=3\n"));
}

// What a shell makes of it.
std::string echoed(const std::string& word) {
  FILE* pipe = ::popen(fmt::format("printf %s {}", word).c_str(), "r");
  std::string text;
  char buffer[256];
  while (const size_t count = ::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, count);
  ::pclose(pipe);
  return text;
}

TEST(SlurmScript, WordsMeanWhatTheySay) {
  for (const std::string text : {"plain", "", "two words", "it's", "$(touch x)", "`x`;rm *", "\"",
                                 "~", "a\\b", "ü", "#", "!x"}) {
    EXPECT_EQ(echoed(shell_word(text)), text);
  }
  EXPECT_EQ(sbatch_word("a b#c'd\"e\\f$g"), "\"a b#c'd\\\"e\\\\f$g\"");
  EXPECT_EQ(sbatch_word("a100&b[1-2]"), "a100&b[1-2]");
  EXPECT_THROW(shell_word("a\nb"), Error);
  EXPECT_THROW(sbatch_word("a\nb"), Error);
}

TEST(SlurmScript, PatternsOfSlurmInAPathAreNotReplaced) {
  const std::string text = sbatch_text(submission_of(1, 1), {"/x/50%j off"}, "/w");
  EXPECT_THAT(text, HasSubstr("#SBATCH --output=\"/x/50%%j off/task-%a.out\"\n"));
  EXPECT_THAT(text, HasSubstr("--cluster-task '/x/50%j off'\n"));
}

TEST(SlurmScript, TimesAreAsSlurmReadsThem) {
  EXPECT_EQ(slurm_time_text(59.2), "00:01:00");
  EXPECT_EQ(slurm_time_text(90061), "1-01:01:01");
}

// Jobs of `measure` whose values are given, with one RunSettings for each value.
struct Made {
  std::vector<std::shared_ptr<job::Job>> jobs;
  std::vector<QueuedJob> queued;

  QueuedJob& add(double seconds, const sweep::RunSettings& run = {}) {
    auto job = std::make_shared<job::Job>();
    job->hash = fmt::format("{}", jobs.size());
    job->run = std::make_shared<const sweep::RunSettings>(run);
    jobs.push_back(job);
    return queued.emplace_back(QueuedJob{job.get(), false, seconds, {}, false});
  }

  // "0,1|2;3": tasks parted by |, arrays by ;
  std::string dealt(const ClusterProfile& profile, size_t most = 1000) const {
    std::string text;
    for (const TaskArray& array : arrays_of(queued, profile, most)) {
      if (!text.empty()) text += ";";
      for (size_t i = 0; i < array.tasks.size(); ++i) {
        if (i > 0) text += "|";
        for (size_t k = 0; k < array.tasks[i].size(); ++k) {
          text += (k > 0 ? "," : "") + array.tasks[i][k].job->hash;
        }
      }
    }
    return text;
  }
};

TEST(SlurmArrays, JobsThatNeedTheSameAreOneArray) {
  Made made;
  sweep::RunSettings two;
  two.gpus = 2;
  made.add(1);
  made.add(1, two);
  made.add(1);
  made.add(1).after = {"7_0"};
  EXPECT_EQ(made.dealt({}), "0|2;1;3");
}

TEST(SlurmArrays, AreNoLongerThanTheClusterOrTheProfileAllows) {
  Made made;
  for (int i = 0; i < 5; ++i) made.add(1);
  EXPECT_EQ(made.dealt({}, 2), "0|1;2|3;4");
  ClusterProfile profile;
  profile.max_array = 3;
  EXPECT_EQ(made.dealt(profile), "0|1|2;3|4");
}

TEST(SlurmArrays, ShortJobsShareATaskAsLongAsTheyFit) {
  Made made;
  for (const double seconds : {10.0, 20.0, 40.0, 100.0, 5.0, 5.0, 5.0}) made.add(seconds);
  ClusterProfile profile;
  profile.jobs_per_allocation = 3;
  EXPECT_EQ(made.dealt(profile), "0,1,2|3,4,5|6");
  profile.pack_time = 60;
  EXPECT_EQ(made.dealt(profile), "0,1|2|3|4,5,6");
  made.queued[5].seconds.reset();  // of which nothing is known
  EXPECT_EQ(made.dealt(profile), "0,1|2|3|4|5|6");
}

TEST(SlurmArrays, AJobThatOthersWaitForHasItsTaskToItself) {
  Made made;
  for (int i = 0; i < 4; ++i) made.add(1);
  made.queued[1].alone = true;
  ClusterProfile profile;
  profile.jobs_per_allocation = 10;
  EXPECT_EQ(made.dealt(profile), "0|1|2,3");
}

// "7", or "7 after a,b", of arrays that are called a, b, ...
std::vector<std::string> turns(int64_t max_parallel, const std::vector<size_t>& arrays,
                               const std::vector<std::string>& open = {}) {
  Turns turns(max_parallel, open);
  std::vector<std::string> texts;
  for (const size_t tasks : arrays) {
    const Turns::Turn turn = turns.next(tasks);
    turns.given(std::string(1, static_cast<char>('a' + texts.size())));
    texts.push_back(fmt::format("{}{}{}", turn.parallel, turn.behind.empty() ? "" : " after ",
                                fmt::join(turn.behind, ",")));
  }
  return texts;
}

TEST(SlurmArrays, TogetherKeepToMaxParallel) {
  EXPECT_THAT(turns(0, {100, 100}, {"9"}), ElementsAre("0", "0")) << "no limit";
  EXPECT_THAT(turns(20, {1000, 1000, 300}), ElementsAre("20", "20 after a", "20 after b"));
  EXPECT_THAT(turns(20, {1, 1000, 6}), ElementsAre("1", "19", "6 after a,b"))
      << "one small array holds nothing up";
  EXPECT_THAT(turns(20, {15, 1000}), ElementsAre("15", "20 after a"))
      << "nor does it leave a few places to a large one";
  EXPECT_THAT(turns(2, {1, 1, 1, 1, 1}),
              ElementsAre("1", "1", "1 after a,b", "1 after a,b", "1 after c,d"));
  EXPECT_THAT(turns(4, {2, 2}, {"7", "8"}), ElementsAre("2 after 7,8", "2 after 7,8"));
}

}  // namespace
}  // namespace tarflow::slurm
