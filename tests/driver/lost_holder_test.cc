// A run_sweep that was at work on another host, which has died, with jobs in Slurm's queue.
#include "framework/process/host.h"
#include "framework/slurm/submission.h"
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// What scancel names is queued no more.
constexpr auto kScancel = R"(#!/bin/sh
echo "scancel $*" >> asked
: > queued
)";
constexpr auto kSqueue = R"(#!/bin/sh
cat queued
)";
constexpr auto kScontrol = R"(#!/bin/sh
echo "Invalid job id specified" >&2
exit 1
)";
constexpr auto kSacct = R"(#!/bin/sh
echo "Slurm accounting storage is disabled" >&2
exit 1
)";

class LostHolder : public RunSweep {
 protected:
  void SetUp() override {
    RunSweep::SetUp();
    ASSERT_EQ(run("demo.yaml --only value=1").status, 0);
    for (const auto& [name, text] : std::map<std::string, const char*>{{"scancel", kScancel},
                                                                       {"squeue", kSqueue},
                                                                       {"scontrol", kScontrol},
                                                                       {"sacct", kSacct}}) {
      write_file(house_ / ("slurm/" + name), text);
      fs::permissions(house_ / ("slurm/" + name), fs::perms::owner_all);
    }
    write_file(house_ / "queued", "");
    write_json_file(lease_, {{"host", "elsewhere"},
                             {"boot_id", "b"},
                             {"pid_namespace", "n"},
                             {"nonce", "x"},
                             {"pid", 77},
                             {"started_ticks", 5},
                             {"beat", 1},
                             {"since", "2026-01-02T03:04:05Z"},
                             {"command", "run_sweep demo.yaml --wait"}});
    fs::last_write_time(lease_, fs::file_time_type::clock::now() - std::chrono::hours(3));
  }

  // What it gave to Slurm: a job, which waits.
  void submit() {
    slurm::Submission submission;
    submission.job_name = "demo-x";
    submission.job_id = "7";
    submission.submitted = process::utc_now();
    submission.programs = house_ / "bin";
    submission.tasks = {{"0123456789abcdef"}};
    job::Job job;
    job.hash = "0123456789abcdef";
    job.experiment = "measure";
    job.points.push_back({"pa", "ka", {}, {}, true});
    write_json_file(house_ / "results/demo/jobs/0123456789abcdef/job.json", to_json(job));
    slurm::write_submission({house_ / "results/demo/slurm/x"}, submission);
    write_file(house_ / "queued", "7|0|PENDING||0:00|Priority\n");
  }
  Finished cancel(const std::string& more = "") {
    const std::string path = (house_ / "slurm").string() + ":" + ::getenv("PATH");
    return wait(
        start("cancel demo.yaml" + more, {{"PATH", path}, {"TARFLOW_POLL_SECONDS", "0.1"}}));
  }
  std::string asked() { return fs::exists(house_ / "asked") ? read_file(house_ / "asked") : ""; }

  const fs::path lease_ = house_ / "results/demo/lease.json";
};

TEST_F(LostHolder, ItsJobsAreCancelledFromHere) {
  submit();
  const Finished cancelled = cancel();
  EXPECT_EQ(cancelled.status, 0) << cancelled.err;
  EXPECT_THAT(cancelled.err,
              AllOf(HasSubstr("process 77 on elsewhere"), HasSubstr("3:00:00 ago"),
                    HasSubstr("gives no sign of life"), HasSubstr("1 job taken back from Slurm"),
                    Not(HasSubstr("has not stopped yet"))));
  EXPECT_EQ(asked(), "scancel 7\n");
  EXPECT_FALSE(fs::exists(lease_));
}

TEST_F(LostHolder, WithNothingInTheQueueItsLeaseIsRemoved) {
  const Finished cancelled = cancel();
  EXPECT_EQ(cancelled.status, 0) << cancelled.err;
  EXPECT_THAT(cancelled.err, HasSubstr("no jobs of this sweep are in a queue"));
  EXPECT_EQ(asked(), "");
  EXPECT_FALSE(fs::exists(lease_));
}

TEST_F(LostHolder, JobsOfSomePointsAreCancelledFromHere) {
  submit();
  const Finished cancelled = cancel(" --only value=2");
  EXPECT_EQ(cancelled.status, 1) << "these points are in no job";
  EXPECT_THAT(cancelled.err, AllOf(HasSubstr("gives no sign of life"),
                                   HasSubstr("no run_sweep runs these points")));
  EXPECT_EQ(asked(), "");
  EXPECT_EQ(read_file(house_ / "queued"), "7|0|PENDING||0:00|Priority\n");
  EXPECT_FALSE(fs::exists(lease_));
}

}  // namespace
}  // namespace tarflow::driver
