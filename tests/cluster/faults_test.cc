// What goes wrong on clusters, brought about on a real Slurm while a job is in the middle. Whatever
// it is, every point ends in the record with the numbers of an undisturbed run.
#include <gmock/gmock.h>

#include <stdexcept>

#include "tests/cluster/sweeps.h"

namespace tarflow::cluster {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Four jobs of some seconds each.
constexpr auto kGrid = "{strategy: [For, '[7-8-4-4]'], cfg: [0, 1]}";
constexpr size_t kPoints = 4;
constexpr int kImages = 160;

class Faults : public OnSlurm {
 protected:
  void SetUp() override {
    OnSlurm::SetUp();
    if (!IsSkipped()) sweep("trial_sweep", kImages, kGrid);
  }

  // Again after a fault that leaves jobs undone: they, and they alone, are computed.
  void run_again() { EXPECT_EQ(end_of(start_on_slurm()), 0) << printed(); }

  struct Frozen {
    pid_t driver = 0;
    Worker worker;
  };
  // The sweep, with one worker frozen in the middle of its job.
  Frozen start_and_freeze_one() {
    const pid_t driver = start_on_slurm();
    const auto worker = freeze_one();
    if (!worker) throw std::runtime_error("no worker was caught in the middle of its job");
    return {driver, *worker};
  }

  void expect_told(const Worker& worker) {
    EXPECT_TRUE(eventually([&] {
      return awaits(worker.pid, SIGTERM) || awaits(worker.pid, SIGUSR2);
    })) << "the worker was not told";
  }

  void expect_continued(pid_t driver) {
    EXPECT_EQ(end_of(driver), 0) << printed();
    EXPECT_GE(continued(), 1);
    expect_as_undisturbed(kPoints);
  }

  // As messages name it.
  std::string log_of(const Worker& worker) const {
    return (worker.folder / "log.txt").lexically_relative(house_.path()).string();
  }

  // Programs that are whole but for one node, where run_job cannot be run.
  void break_programs_on(const std::string& node) {
    const fs::path programs = house_ / "bin", whole = fs::path(TARFLOW_RUN_SWEEP).parent_path();
    fs::create_directory(programs);
    fs::create_directory_symlink(whole / "../share", house_ / "share");
    for (const char* name : {"run_sweep", "analyze"}) fs::copy_file(whole / name, programs / name);
    write_file(programs / "run_job",
               fmt::format("#!/bin/sh\n[ \"$SLURMD_NODENAME\" = {} ] && exit 127\nexec {} \"$@\"\n",
                           node, (whole / "run_job").string()));
    fs::permissions(programs / "run_job", fs::perms::owner_all);
    run_sweep_ = programs / "run_sweep";
  }

  // Slurm may have its own ideas of when it starts jobs again; what it has in mind is written down.
  void wait_for_saved_state() {
    const fs::path file = slurm_->configuration().parent_path() / "state/job_state";
    const auto now = fs::file_time_type::clock::now();
    EXPECT_TRUE(eventually([&] { return fs::exists(file) && fs::last_write_time(file) > now; }));
  }
};

TEST_F(Faults, APreemptedJobWritesWhatItHasAndGoesOnFromThere) {
  profile("partition: low\n");
  const auto [driver, worker] = start_and_freeze_one();
  const Answer other =
      (*slurm_)("sbatch --parsable -p high -N 2 -n 4 -o /dev/null --wrap 'sleep 1'");
  ASSERT_EQ(other.status, 0) << other.text;
  expect_told(worker);
  thaw(worker);
  expect_continued(driver);
}

TEST_F(Faults, AJobOnANodeThatGoesDownIsComputedOnAnother) {
  const auto [driver, worker] = start_and_freeze_one();
  slurm_->kill_node(worker.node());
  const Answer down =
      (*slurm_)("scontrol update NodeName=" + worker.node() + " State=DOWN Reason=power");
  ASSERT_EQ(down.status, 0) << down.text;
  expect_continued(driver);
}

TEST_F(Faults, ANodeThatCannotRunTheWorkerIsLeftOutOnTheRetry) {
  break_programs_on("n1");
  sweep("trial_sweep", kImages / 10, kGrid, "retries: 1, backoff: 0.1");
  EXPECT_EQ(end_of(start_on_slurm()), 0) << printed();
  EXPECT_THAT(printed(), HasSubstr("n1 cannot run the worker"));
  bool left_out = false;
  for (const fs::path& folder : submissions()) {
    left_out =
        left_out || read_file(folder / "submission.json").find("\"n1\"") != std::string::npos;
  }
  EXPECT_TRUE(left_out) << "no later submission excludes n1";
  run_sweep_ = TARFLOW_RUN_SWEEP;
  expect_as_undisturbed(kPoints);
}

TEST_F(Faults, ATaskThatSomebodyCancelsIsShownAndComputedWhenRunAgain) {
  const auto [driver, worker] = start_and_freeze_one();
  const Answer cancelled = (*slurm_)("scancel " + worker.task());
  ASSERT_EQ(cancelled.status, 0) << cancelled.text;
  thaw(worker);
  EXPECT_EQ(end_of(driver), 1) << printed();
  EXPECT_THAT(printed(), HasSubstr("cancel"));
  EXPECT_THAT(printed(), HasSubstr(log_of(worker)));
  EXPECT_EQ(points_in("results"), kPoints - 1);
  EXPECT_EQ(queue(), "");
  run_again();
  expect_as_undisturbed(kPoints);
}

TEST_F(Faults, AheadOfTheTimeLimitAJobMakesRoomAndGoesOn) {
  profile("partition: main\ntime: 60 s\nsignal_lead: 50\n");
  const auto [driver, worker] = start_and_freeze_one();
  expect_told(worker);
  thaw(worker);
  expect_continued(driver);
}

TEST_F(Faults, ATimeLimitThatIsHitIsShownAsSuch) {
  sweep("trial_sweep", kImages, "{strategy: [For], cfg: [0, 1]}");
  profile("partition: main\ntime: 60 s\nsignal_lead: 0\nmax_resubmissions: 0\n");
  const auto [driver, worker] = start_and_freeze_one();  // never thawed, as one that hangs
  EXPECT_EQ(end_of(driver), 1) << printed();
  EXPECT_THAT(printed(), HasSubstr("time limit"));
  EXPECT_THAT(printed(), HasSubstr(log_of(worker)));
  EXPECT_FALSE(has_result(worker));
  profile("partition: main\n");
  run_again();
  EXPECT_GE(continued(), 1);
  expect_as_undisturbed(2);
}

TEST_F(Faults, AControllerThatIsKilledIsWaitedFor) {
  const auto [driver, worker] = start_and_freeze_one();
  wait_for_saved_state();
  slurm_->kill_controller();
  thaw(worker);
  EXPECT_TRUE(eventually([&] { return has_result(worker); }));
  slurm_->start_controller();
  EXPECT_EQ(end_of(driver), 0) << printed();
  EXPECT_EQ(submissions().size(), 1u);
  expect_as_undisturbed(kPoints);
}

TEST_F(Faults, ADriverThatIsKilledFindsItsJobsAgain) {
  const auto [driver, worker] = start_and_freeze_one();
  ::kill(driver, SIGKILL);
  EXPECT_EQ(end_of(driver), 128 + SIGKILL);
  EXPECT_THAT(queue(), HasSubstr(worker.task() + " R")) << "the job runs on";
  EXPECT_EQ(run("trial_sweep.yaml --cluster trial.yaml --status", "status"), 0);
  EXPECT_THAT(printed("status"), HasSubstr(worker.node()));
  const pid_t again = start_on_slurm();
  thaw(worker);
  EXPECT_EQ(end_of(again), 0) << printed();
  EXPECT_EQ(submissions().size(), 1u) << "it submitted again what was running";
  expect_as_undisturbed(kPoints);
}

TEST_F(Faults, AWorkerThatIsKilledIsTriedAgainAndGoesOn) {
  sweep("trial_sweep", kImages, kGrid, "retries: 1, backoff: 1 s");
  const auto [driver, worker] = start_and_freeze_one();
  ::kill(worker.pid, SIGKILL);
  expect_continued(driver);
}

TEST_F(Faults, WhatSlurmRefusesIsSaidInItsWords) {
  profile("partition: nowhere\n");
  EXPECT_THAT(end_of(start_on_slurm()), Not(0));
  EXPECT_THAT(printed(), HasSubstr("invalid partition"));
  EXPECT_EQ(queue(), "");
  profile("partition: main\n");
  run_again();
  expect_as_undisturbed(kPoints);
}

TEST_F(Faults, CancelEndsWhatIsOnTheClusterAndKeepsWhatIsDone) {
  const auto [driver, worker] = start_and_freeze_one();
  EXPECT_EQ(run("trial_sweep.yaml --cluster trial.yaml --cancel", "cancel"), 0)
      << printed("cancel");
  thaw(worker);
  EXPECT_THAT(end_of(driver), AnyOf(1, 130)) << printed();
  EXPECT_TRUE(eventually([&] { return queue().empty(); })) << queue();
  EXPECT_FALSE(has_result(worker));
  run_again();
  expect_as_undisturbed(kPoints);
}

}  // namespace
}  // namespace tarflow::cluster
