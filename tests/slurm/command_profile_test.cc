// Profiles with `executor: command`, and memory and time that grow with the attempt.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/slurm/by_command.h"
#include "framework/slurm/profile_amounts.h"
#include "framework/slurm/profile_difference.h"
#include "framework/slurm/script.h"
#include "tests/slurm/profile_fixture.h"

namespace tarflow::slurm {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kPbs = R"(executor: command
submit: qsub -N {name} -o {log} -l select=1:ncpus={cpus}:mem={mem_gb}gb -l walltime={time} {script}
state: qstat -x {ids}
cancel: qdel {id}
cpus_per_task: 8
mem: 32 GB * attempt
time: 2 h * attempt
)";

class CommandProfiles : public WrittenProfiles {
 protected:
  CommandProfiles() { file_ = "pbs.yaml"; }
  Submission submission(const std::string& text) {
    Submission submission;
    submission.name = "20260102-030405-000";
    submission.job_name = "demo-x";
    submission.programs = "/shared/bin";
    submission.tasks = {{"a"}};
    submission.profile = read(text);
    return submission;
  }

  const SubmissionFolder folder_{"/results/my demo/slurm/x"};
};

TEST_F(CommandProfiles, EveryKeyIsReadAndSurvivesJson) {
  const ClusterProfile profile = read(std::string(kPbs) +
                                      "id: 'job ([0-9]+)'\nwords: {S: running, Z Z: gone}\n"
                                      "silent_answers: 5\nsetup: module load gcc\n");
  EXPECT_TRUE(profile.by_command());
  EXPECT_TRUE(profile.queued());
  EXPECT_EQ(profile.templates.state, "qstat -x {ids}");
  EXPECT_EQ(profile.templates.cancel, "qdel {id}");
  EXPECT_EQ(profile.templates.id, "job ([0-9]+)");
  EXPECT_EQ(profile.templates.words.at("Z Z"), "gone");
  EXPECT_EQ(profile.templates.silent_answers, 5);
  EXPECT_EQ(profile_from_json(to_json(profile)), profile);
}

TEST_F(CommandProfiles, WhatIsWrongWithTemplatesIsLocated) {
  EXPECT_THAT(
      complaint("executor: command\nsubmit: qsub {scrip}\nstate: q\ncancel: qdel {id}\n"),
      AllOf(HasSubstr("pbs.yaml:2:9"), HasSubstr("{scrip}"), HasSubstr("did you mean `script`?")));
  EXPECT_THAT(complaint("executor: command\nsubmit: qsub {script}\nstate: qstat {name}\n"
                        "cancel: qdel all\n"),
              AllOf(HasSubstr("pbs.yaml:3:8"), HasSubstr("pbs.yaml:4:9")));
  EXPECT_THAT(complaint("executor: command\n"),
              AllOf(HasSubstr("pbs.yaml:1:1"), HasSubstr("needs `submit`"),
                    HasSubstr("needs `state`"), HasSubstr("needs `cancel`")));
  EXPECT_THAT(complaint(std::string(kPbs) + "id: '[0-9]'\n"), HasSubstr("pbs.yaml:8:5"));
  EXPECT_THAT(complaint(std::string(kPbs) + "words: {S: runing}\n"),
              AllOf(HasSubstr("pbs.yaml:8:12"), HasSubstr("did you mean `running`?")));
}

TEST_F(CommandProfiles, KeysOfAnotherExecutorAreLocated) {
  EXPECT_THAT(complaint("executor: slurm\nsubmit: qsub {script}\n"),
              AllOf(HasSubstr("pbs.yaml:2:9"), HasSubstr("`submit` is for `executor: command`"),
                    HasSubstr("the executor is `slurm`")));
  EXPECT_THAT(complaint("executor: local\nwords: {S: running}\n"), HasSubstr("pbs.yaml:2:8"));
  EXPECT_THAT(complaint(std::string(kPbs) + "partition: gpu\n"),
              AllOf(HasSubstr("pbs.yaml:8:12"), HasSubstr("into `submit`")));
  EXPECT_THAT(complaint(std::string(kPbs) + "gpu_request: gres\n"), HasSubstr("pbs.yaml:8:14"));
  EXPECT_EQ(complaint(std::string(kPbs) + "gpu_request: none\n"), "");
}

TEST_F(CommandProfiles, AFieldWithoutAValueIsLocated) {
  for (const auto& [field, key] : {std::pair("mem", "mem"), std::pair("minutes", "time"),
                                   std::pair("time", "time"), std::pair("cpus", "cpus_per_task")}) {
    EXPECT_THAT(
        complaint(fmt::format("executor: command\nsubmit: qsub {{{}}} {{script}}\nstate: q\n"
                              "cancel: qdel {{id}}\n",
                              field)),
        AllOf(HasSubstr("pbs.yaml:2:9"), HasSubstr(fmt::format("states no `{}`", key))));
  }
}

TEST_F(CommandProfiles, ACommandSaysWhatAJobNeeds) {
  Submission first = submission(kPbs);
  first.run.gpus = 0;
  first.run.ranks = 2;
  const std::string text = submit_preview(first, folder_, "/my work");
  EXPECT_THAT(text, HasSubstr("qsub -N demo-x -o '/results/my demo/slurm/x/task-0.out' -l "
                              "select=1:ncpus=16:mem=32gb -l walltime=02:00:00 "
                              "'/results/my demo/slurm/x/job.sh'\n"));
  EXPECT_THAT(text, HasSubstr("cd '/my work' || exit 1\n"));
  EXPECT_THAT(text,
              HasSubstr("# mem: 32G * attempt, time: 2:00:00 * attempt; this is attempt 1.\n"));
  EXPECT_THAT(text, HasSubstr("exec /shared/bin/run_sweep --cluster-task "
                              "'/results/my demo/slurm/x'\n"));
  EXPECT_THAT(text, Not(HasSubstr("exec >>"))) << "{log} says where";
  first.attempt = 3;
  EXPECT_THAT(submit_preview(first, folder_, "/my work"),
              HasSubstr("mem=96gb -l walltime=06:00:00"));
}

TEST_F(CommandProfiles, WithoutAFieldForTheLogTheScriptSeesToIt) {
  const Submission job = submission(
      "executor: command\nsubmit: bsub < {script}\nstate: bjobs {ids}\ncancel: bkill {id}\n"
      "setup: [module load gcc, export A=b]\nprefix: apptainer exec image.sif\n");
  EXPECT_THAT(job_script_text(job, folder_, "/w"),
              AllOf(HasSubstr("exec >> '/results/my demo/slurm/x/task-0.out' 2>&1\n"),
                    HasSubstr("module load gcc\nexport A=b\n"),
                    HasSubstr("exec apptainer exec image.sif /shared/bin/run_sweep")));
}

TEST_F(CommandProfiles, MemoryOfAJobFollowsItsGpusAndCpus) {
  const std::string rest =
      "submit: q {mem_mb} {script}\nstate: q\ncancel: q {id}\nexecutor: command\n";
  Submission job = submission("mem_per_gpu: 10G\n" + rest);
  job.run.gpus = 4;
  EXPECT_EQ(submit_fields(job, folder_).words.at("mem"), "40960M");
  job = submission("mem_per_cpu: 2 GB * attempt\ncpus_per_task: 3\n" + rest);
  job.run.gpus = 0;
  job.run.ranks = 2;
  job.attempt = 2;
  EXPECT_EQ(submit_fields(job, folder_).words.at("mem_gb"), "24");
}

TEST_F(CommandProfiles, SeveralNodesAreRefused) {
  Submission job = submission(kPbs);
  job.run.nodes = 2;
  try {
    submit_fields(job, folder_);
    FAIL();
  } catch (const Error& failure) {
    EXPECT_THAT(failure.what(), AllOf(HasSubstr("2 nodes"), HasSubstr("nodes: 1")));
  }
}

TEST_F(CommandProfiles, WhatGrowsIsAskedOfSlurmToo) {
  Submission job =
      submission("executor: slurm\nmem_per_gpu: 24 GB * attempt\ntime: 90 min * attempt\n");
  const auto text = [&] { return sbatch_text(job, folder_, "/w"); };
  EXPECT_THAT(
      text(),
      AllOf(HasSubstr("#SBATCH --mem-per-gpu=24G\n"), HasSubstr("#SBATCH --time=01:30:00\n"),
            HasSubstr("# From the profile: mem_per_gpu: 24G * attempt, time: 1:30:00 "
                      "* attempt; this is attempt 1.")));
  job.attempt = 2;
  EXPECT_THAT(text(), AllOf(HasSubstr("#SBATCH --mem-per-gpu=49152M\n"),
                            HasSubstr("#SBATCH --time=03:00:00\n")));
  EXPECT_THAT(profile_differences(job.profile, job.profile), ElementsAre())
      << "an attempt is no other profile";
}

TEST_F(CommandProfiles, FaultsOfWhatGrowsAreLocated) {
  EXPECT_THAT(complaint("executor: slurm\nmem: 32 GB * attempts\n"),
              AllOf(HasSubstr("pbs.yaml:2:6"), HasSubstr("32 GB * attempt")));
  EXPECT_THAT(complaint("executor: slurm\nmem: 32 * attempt\n"),
              AllOf(HasSubstr("pbs.yaml:2:6"), HasSubstr("amount of memory")));
  EXPECT_THAT(complaint("executor: slurm\nmem: 0 G * attempt\n"), HasSubstr("pbs.yaml:2:6"));
  EXPECT_THAT(complaint("executor: slurm\ntime: 2 h * 2\n"),
              AllOf(HasSubstr("pbs.yaml:2:7"), HasSubstr("factor is not known")));
  EXPECT_THAT(complaint("executor: slurm\ntime: 90 * attempt\n"),
              AllOf(HasSubstr("pbs.yaml:2:7"), HasSubstr("without a unit")));
  EXPECT_THAT(complaint("executor: slurm\ntime: 0 s * attempt\n"), HasSubstr("pbs.yaml:2:7"));
}

TEST_F(CommandProfiles, AmountsOfMemoryAreRead) {
  EXPECT_EQ(megabytes_of("32G"), 32 * 1024);
  EXPECT_EQ(megabytes_of("32 GB"), 32 * 1024);
  EXPECT_EQ(megabytes_of("1.5 TiB"), 1.5 * 1024 * 1024);
  EXPECT_EQ(megabytes_of("100k"), 1);
  for (const char* text : {"", "32", "G", "32 X", "32 GX", "-1G", "nan G", "1e300G"}) {
    EXPECT_EQ(megabytes_of(text), std::nullopt) << text;
  }
  EXPECT_EQ(read("executor: slurm\nmem: 32 GB\n").mem, "32G") << "sbatch takes no space";
  EXPECT_EQ(read("executor: slurm\nmem: 64000M\n").mem, "64000M");
  EXPECT_EQ(read("executor: slurm\nmem: '0'\n").mem, "0") << "all of the node";
}

}  // namespace
}  // namespace tarflow::slurm
