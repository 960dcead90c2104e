// A sweep whose one experiment writes what another reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::HasSubstr;

// `gather` writes a file, `measure` may read it as `data`.
class MadeFiles : public RunSweep {
 protected:
  void SetUp() override {
    RunSweep::SetUp();
    ExperimentSchema gather;
    gather.name = "gather";
    gather.ranks = true;
    gather.fields = {make_field("value", FieldType::kNumber),
                     make_field("output", FieldType::kString)};
    gather.fields[0].required = true;
    gather.fields[1].identity = Identity::kNone;
    gather.columns = measure_schema().columns;
    write_json_file(house_ / "share/experiments.json",
                    tarflow::to_json(ExperimentSchemas{gather, look_schema(), measure_schema()}));
    state_made(7);
  }

  void state_made(int value) {
    write_file(house_ / "demo.yaml", fmt::format(R"(experiments:
  - measure: {{grid: {{value: [1, 2], data: [sums/all.txt]}}}}
  - measure: {{value: 3}}
  - gather: {{value: {}, output: sums/all.txt}}
)",
                                                 value));
  }

  // Values of the jobs, in the order in which they were started.
  std::vector<double> started_values() {
    std::vector<double> values;
    std::istringstream runs(read_file(house_ / "runs"));
    for (std::string hash; std::getline(runs, hash);) {
      const Json job = read_json_file(house_ / "results/demo/jobs" / hash / "job.json");
      values.push_back(job.at("settings").at("value").get<double>());
    }
    return values;
  }
};

TEST_F(MadeFiles, WhatIsReadIsMadeFirst) {
  const Finished finished = run();
  EXPECT_EQ(finished.status, 0) << finished.err;
  const std::vector<double> values = started_values();
  ASSERT_EQ(values.size(), 4U);
  EXPECT_EQ(values.front(), 7);
  EXPECT_EQ(record().rows.size(), 4U);
}

TEST_F(MadeFiles, TheirReadersAreTheSameBeforeAndAfter) {
  const Finished before = run_beside("demo.yaml --list-jobs");
  ASSERT_EQ(run().status, 0);
  fs::create_directories(house_ / "sums");
  write_file(house_ / "sums/all.txt", "sums");
  const Finished after = run_beside("demo.yaml --list-jobs");
  for (const auto& entry : fs::directory_iterator(house_ / "results/demo/jobs")) {
    EXPECT_THAT(before.out, HasSubstr(entry.path().filename().string() + "  pending"));
    EXPECT_THAT(after.out, HasSubstr(entry.path().filename().string() + "  done"));
  }
}

TEST_F(MadeFiles, AnotherMakerMakesOtherReaders) {
  ASSERT_EQ(run().status, 0);
  state_made(8);
  const Finished finished = run_beside("demo.yaml --dry-run");
  EXPECT_THAT(finished.out, HasSubstr("to run: 3 points in 3 jobs"));
}

TEST_F(MadeFiles, AMakerRunsAgainWhenItsFileIsGoneAndWanted) {
  ASSERT_EQ(run("demo.yaml --only value=7,3").status, 0);
  EXPECT_EQ(run("demo.yaml --only value=1").status, 0);
  EXPECT_EQ(started_values(), (std::vector<double>{7, 1}));
}

TEST_F(MadeFiles, ReadersSayWhoseFileTheyWaitFor) {
  const std::string status = run("status demo.yaml").out, plan = run("plan demo.yaml --list").out;
  const size_t line = plan.find("gather");
  const std::string maker = plan.substr(plan.rfind('\n', line) + 1, 16);
  EXPECT_THAT(status,
              HasSubstr(fmt::format(
                  "  waiting  2 jobs (2 points): it reads a file that job {} makes", maker)));
  EXPECT_THAT(status, HasSubstr("  waiting  2 jobs (2 points): no run_sweep is at work on it"));
}

TEST_F(MadeFiles, APlanSaysThatAFileIsToBeMadeAgain) {
  ASSERT_EQ(run("demo.yaml --only value=7,3").status, 0);
  EXPECT_THAT(run("plan demo.yaml --only value=1").out,
              HasSubstr("    why: another point reads the file that it makes\n"));
}

// Other queues than Slurm are not told of an order: readers are submitted when their makers are
// done.
TEST_F(MadeFiles, APlanForAnotherQueueCountsReadersAsLater) {
  write_file(house_ / "there.yaml", R"(executor: command
submit: q {script}
state: q {ids}
cancel: q {id}
gpu_request: none
)");
  const Finished plan = run("plan demo.yaml --cluster ./there.yaml");
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("to run: 4 points in 4 jobs"));
  EXPECT_THAT(plan.out, HasSubstr("and 1 more like demo-array1\n"
                                  "later, when the jobs that make their files are done: "
                                  "2 jobs in 2 submissions\n2 like demo-array1\n"));
}

TEST_F(MadeFiles, APlanForAnotherQueueSpeaksOfMakersOnlyWhereJobsWaitForThem) {
  write_file(house_ / "there.yaml", R"(executor: command
submit: q {script}
state: q {ids}
cancel: q {id}
gpu_request: none
max_queued: 1
)");
  EXPECT_THAT(run("plan demo.yaml --only value=7,3 --cluster ./there.yaml").out,
              HasSubstr("later, when max_queued has room: 1 job in 1 submission\n"));
  EXPECT_THAT(run("plan demo.yaml --cluster ./there.yaml").out,
              HasSubstr("later, when the jobs that make their files are done and max_queued has "
                        "room: 3 jobs in 3 submissions\n"));
}

TEST_F(MadeFiles, ReadersFailWithTheMaker) {
  const Finished finished = run("demo.yaml", "fail 7");
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("was to make a file that it reads"));
  EXPECT_THAT(finished.err, HasSubstr("3 of 4 jobs failed"));
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(record().rows.size(), 4U);
}

TEST_F(MadeFiles, TwoMakersOfOneFileAreRefusedWhenItIsRead) {
  write_file(house_ / "demo.yaml", R"(experiments:
  - measure: {value: 1, data: sums/all.txt}
  - gather: {grid: {value: [7, 8]}, output: sums/all.txt}
)");
  const Finished finished = run();
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("several points write sums/all.txt"));
}

}  // namespace
}  // namespace tarflow::driver
