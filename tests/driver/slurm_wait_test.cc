// Sweeps on a Slurm of shell scripts, from the file to the record: sbatch starts the tasks at once,
// squeue tells how they are.
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr auto kSbatch = R"(#!/bin/sh
for file; do :; done
number=$(cat number)
echo $((number + 1)) > number
last=$(sed -n 's/^#SBATCH --array=0-\([0-9]*\).*/\1/p' "$file")
for task in $(seq 0 "$last"); do
  echo RUNNING > "queue/$number.$task"
  (
    export SLURM_ARRAY_JOB_ID=$number SLURM_ARRAY_TASK_ID=$task SLURMD_NODENAME=n1
    if rm lose; then
      end=NODE_FAIL
    elif sh "$file" > "$(dirname "$file")/task-$task.out"; then
      end=COMPLETED
    else
      end=FAILED
    fi
    echo $end > ".$number.$task"
    mv ".$number.$task" "queue/$number.$task"  # at once, so that no look finds half a state
  ) > /dev/null 2>&1 &
done
echo "$number"
)";
constexpr auto kSqueue = R"(#!/bin/sh
cd queue || exit 1
for task in *; do
  echo "${task%.*}|${task#*.}|$(cat "$task")|n1|0:01|None"
done
)";
constexpr auto kScontrol = R"(#!/bin/sh
case $2 in config) echo "ClusterName = trial"; exit ;; esac
cd queue || exit 1
for task in "$4".*; do
  echo "JobId=1 ArrayJobId=$4 ArrayTaskId=${task#*.} JobState=$(cat "$task") Reason=None NodeList=n1"
done
)";
constexpr auto kSacct = R"(#!/bin/sh
echo "Slurm accounting storage is disabled" >&2
exit 1
)";

class OnScripts : public RunSweep {
 protected:
  void SetUp() override {
    RunSweep::SetUp();
    fs::create_directories(house_ / "queue");
    fs::create_symlink(TARFLOW_RUN_SWEEP, house_ / "bin/run_sweep");
    write_file(house_ / "number", "7\n");
    write_file(house_ / "there.yaml", "executor: slurm\ngpu_request: none\n");
    for (const auto& [name, text] : std::map<std::string, const char*>{{"sbatch", kSbatch},
                                                                       {"squeue", kSqueue},
                                                                       {"scontrol", kScontrol},
                                                                       {"sacct", kSacct}}) {
      write_file(house_ / ("slurm/" + name), text);
      fs::permissions(house_ / ("slurm/" + name), fs::perms::owner_all);
    }
  }

  Finished run_there(const std::string& arguments, const std::string& behaviour = "") {
    return wait(start("demo.yaml --cluster ./there.yaml " + arguments,
                      {{"FAKE_WORKER", behaviour},
                       {"PATH", (house_ / "slurm").string() + ":" + ::getenv("PATH")},
                       {"TARFLOW_POLL_SECONDS", "0.05"}}));
  }
};

TEST_F(OnScripts, AllIsComputedAndGathered) {
  const Finished finished = run_there("--wait");
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("3 jobs submitted to Slurm as array 7"));
  EXPECT_THAT(finished.err, HasSubstr("demo: cluster profile there, ./there.yaml\n"));
  EXPECT_EQ(record::digest(record()), undisturbed());
}

TEST_F(OnScripts, WhatWasSubmittedIsGatheredLater) {
  const Finished submitted = run_there("");
  EXPECT_EQ(submitted.status, 0) << submitted.err;
  EXPECT_THAT(submitted.err, HasSubstr("3 jobs with Slurm"));
  const Finished waited = run_there("--wait");
  EXPECT_EQ(waited.status, 0) << waited.err;
  EXPECT_EQ(read_file(house_ / "number"), "8\n") << "nothing is submitted again";
  EXPECT_EQ(started_jobs(), 3u);
  EXPECT_THAT(record().rows, SizeIs(6));
}

TEST_F(OnScripts, AJobThatFailsIsReportedWithItsLog) {
  const Finished finished = run_there("--wait", "fail 2");
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("exit code 3"), HasSubstr("| line 29"),
                                  HasSubstr("that of its task"), HasSubstr("1 of 3 jobs failed")));
  EXPECT_THAT(record().rows, SizeIs(4));
  EXPECT_EQ(read_file(house_ / "number"), "8\n") << "it would fail again";
}

TEST_F(OnScripts, ATaskWhoseNodeFailsIsSubmittedAgain) {
  write_file(house_ / "lose", "");
  const Finished finished = run_there("--wait");
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("it is submitted again"));
  EXPECT_EQ(read_file(house_ / "number"), "9\n");
  EXPECT_EQ(record::digest(record()), undisturbed());
}

TEST_F(OnScripts, StatusTellsThatQueuedJobsHaveAnOlderProfile) {
  write_file(house_ / "slurm/sbatch", "#!/bin/sh\necho PENDING > queue/7.0\necho 7\n");
  fs::permissions(house_ / "slurm/sbatch", fs::perms::owner_all);
  write_file(house_ / "there.yaml", "executor: slurm\ngpu_request: none\njobs_per_allocation: 3\n");
  const Finished submitted = run_there("");
  ASSERT_EQ(submitted.status, 0) << submitted.err;
  EXPECT_THAT(run_there("--status").out, Not(HasSubstr("older cluster profile")));
  write_file(house_ / "there.yaml",
             "executor: slurm\ngpu_request: none\njobs_per_allocation: 3\ncpus_per_task: 16\n");
  EXPECT_THAT(run_there("--status").out,
              HasSubstr("3 jobs in the queue with an older cluster profile (cpus_per_task was not "
                        "stated, is 16)"));
}

TEST_F(OnScripts, APlanTellsNoTimeOfADeviceThatIsNotKnown) {
  EXPECT_THAT(run_there("--dry-run").out, HasSubstr("(device not stated"));
  write_file(house_ / "there.yaml", "executor: slurm\ndevice: NVIDIA X9\n");
  EXPECT_THAT(run_there("--dry-run").out, HasSubstr("expected on NVIDIA X9: times unknown"));
}

TEST_F(OnScripts, AnExampleThatDoesNotFitIsBadInputOfTheFileInUse) {
  const std::string example = "executor: slurm\npartition: gpu\ngpu_request: none\n";
  fs::create_directories(house_ / "share/sweeps/clusters");
  write_file(house_ / "share/sweeps/clusters/lab.yaml", example);
  write_file(house_ / "there.yaml", example);
  write_file(house_ / "slurm/sinfo", "#!/bin/sh\necho 'cpu*|up|infinite|(null)|8|1'\n");
  fs::permissions(house_ / "slurm/sinfo", fs::perms::owner_all);
  const Finished finished = run_there("");
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("there.yaml and correct what is WRONG"));
  EXPECT_THAT(finished.err, Not(HasSubstr("copy")));
}

}  // namespace
}  // namespace tarflow::driver
