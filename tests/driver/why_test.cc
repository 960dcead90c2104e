// Why jobs run and why they wait, in words and as JSON; logs that are followed.
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class Why : public RunSweep {
 protected:
  // What --json prints, which must be one line and all there is.
  Json json_of(const std::string& arguments) {
    const Finished finished = run_beside(arguments + " --json");
    EXPECT_EQ(finished.status, 0) << finished.err;
    EXPECT_EQ(std::count(finished.out.begin(), finished.out.end(), '\n'), 1) << finished.out;
    return Json::parse(finished.out);
  }

  // The texts of all reasons in a plan, a job's after the other.
  std::vector<std::string> whys(const std::string& arguments = "plan demo.yaml") {
    std::vector<std::string> texts;
    const Json plan = json_of(arguments);
    for (const Json& job : plan.at("jobs")) {
      for (const Json& why : job.at("why")) texts.push_back(why.at("text").get<std::string>());
    }
    return texts;
  }
  std::string with_data(const std::string& file) {
    return fmt::format("        data: [{}]\n", (house_ / file).string());
  }
};

std::vector<std::string> keys_of(const Json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

TEST_F(Why, APlanSaysWhatIsNew) {
  EXPECT_EQ(whys(), std::vector<std::string>(3, "new"));
  run();
  EXPECT_TRUE(whys().empty());
  state("[1, 2, 3, 4]", "[0, 1]");
  EXPECT_THAT(whys(), ElementsAre("new")) << "the others are still in the sweep";
  EXPECT_THAT(run("plan demo.yaml").out, HasSubstr("    why: new\n"));
}

TEST_F(Why, ASettingThatWasAnotherIsNamed) {
  run();
  EXPECT_THAT(whys("plan demo.yaml --set num_images=7"), Each("num_images was 100"));
  state("[5]", "[0, 1]");
  EXPECT_THAT(whys(), ElementsAre("value was 1 or 2 or 3"));
  EXPECT_THAT(whys("plan demo.yaml --set num_images=7"),
              ElementsAre(MatchesRegex("value was [123], num_images was 100")));
}

TEST_F(Why, AFileThatChangedIsNamed) {
  write_file(house_ / "noise", "1");
  state("[1]", "[0]", with_data("noise"));
  run();
  write_file(house_ / "noise", "2");
  EXPECT_THAT(whys(), ElementsAre("data changed"));
  write_file(house_ / "noise", "1");
  EXPECT_TRUE(whys().empty());
}

TEST_F(Why, ARevisionIsNamed) {
  run();
  ExperimentSchema measure = measure_schema();
  measure.revision = 2;
  write_json_file(house_ / "share/experiments.json",
                  tarflow::to_json(ExperimentSchemas{look_schema(), measure}));
  EXPECT_THAT(whys(), Each("the experiment measure has a new revision"));
}

TEST_F(Why, WhatFailedStoppedOrIsDamagedIsNamed) {
  run("demo.yaml", "fail 2");
  EXPECT_THAT(whys(), ElementsAre(HasSubstr("failed: the worker ended with exit code 3")));
  EXPECT_THAT(whys("plan demo.yaml --retry-failed"), SizeIs(1));
  const auto [driver, worker] = start_blocked(2, "stoppable");
  EXPECT_THAT(whys(), ElementsAre(AllOf(HasSubstr("begun on"), HasSubstr("not ended"))));
  ::kill(driver, SIGINT);
  wait(driver);
  EXPECT_THAT(whys(), ElementsAre("stopped before it was done"));
  run();
  write_file(job_folder_of(1) / "result.h5", "damaged");
  fs::remove(job_folder_of(3) / "result.h5");
  EXPECT_THAT(whys(),
              UnorderedElementsAre("its result is damaged", "done before, but its result is gone"));
}

TEST_F(Why, WhatIsForcedIsNamed) {
  run("demo.yaml --only value=1");
  EXPECT_THAT(whys("plan demo.yaml --force"),
              UnorderedElementsAre("done, and computed again by --force", "new", "new"));
}

TEST_F(Why, ReasonsOfOneJobAreCounted) {
  state("[1]", "[0, 1]");
  run();
  state("[1]", "[0, 1, 2, 3]");
  EXPECT_THAT(run("plan demo.yaml").out, HasSubstr("    why: new\n"));
  const Json plan = json_of("plan demo.yaml");
  EXPECT_EQ(plan.at("jobs").at(0).at("why").at(0).at("points"), 2);
}

TEST_F(Why, APlanAsJsonHasItsKeys) {
  run("demo.yaml --only value=1");
  const Json plan = json_of("plan demo.yaml");
  EXPECT_EQ(plan.at("version"), 1);
  EXPECT_THAT(keys_of(plan),
              UnorderedElementsAre("version", "sweep", "file", "results", "record", "device",
                                   "cluster", "smoke", "only", "retry_failed", "points", "jobs",
                                   "done", "cannot_run", "missing"));
  EXPECT_EQ(plan.at("only"), Json::array());
  EXPECT_EQ(plan.at("points").at("total"), 6);
  EXPECT_EQ(plan.at("points").at("done"), 2);
  EXPECT_EQ(plan.at("points").at("to_run"), 4);
  EXPECT_THAT(plan.at("done"), SizeIs(2));
  ASSERT_THAT(plan.at("jobs"), SizeIs(2));
  EXPECT_THAT(keys_of(plan.at("jobs").at(0)),
              UnorderedElementsAre("job", "experiment", "label", "settings", "points", "why",
                                   "processes", "seconds", "at_least", "bytes"));
}

TEST_F(Why, APlanAsJsonListsWhatOnlyChooses) {
  run("demo.yaml --only value=1");
  const Json other = json_of("plan demo.yaml --only value=2");
  EXPECT_EQ(other.at("only"), Json::array({"value=2"}));
  EXPECT_THAT(other.at("jobs"), SizeIs(1));
  EXPECT_THAT(other.at("done"), SizeIs(0)) << "the points of value 1 are not asked for";
  EXPECT_EQ(other.at("points").at("total"), 2);
  EXPECT_EQ(other.at("points").at("done"), 0);
  EXPECT_EQ(other.at("points").at("left_out"), 4);
  const Json both = json_of("plan demo.yaml --only lr=0");
  EXPECT_THAT(both.at("done"), SizeIs(1));
  EXPECT_EQ(both.at("points").at("total"), 3);
  EXPECT_EQ(both.at("points").at("to_run"), 2);
  EXPECT_THAT(run("plan demo.yaml --only lr=0").out,
              HasSubstr("demo: 3 of 6 points chosen by --only, of which 1 done\nto run: 2 points"));
  EXPECT_EQ(json_of("status demo.yaml --only lr=0").at("only"), Json::array({"lr=0"}));
  EXPECT_EQ(json_of("log demo.yaml --only lr=0").at("only"), Json::array({"lr=0"}));
}

TEST_F(Why, APlanAsJsonListsOfPointsWithoutTheirFilesThoseThatOnlyChooses) {
  write_file(house_ / "demo.yaml",
             "experiments:\n  - measure: {value: 2, data: no/two}\n"
             "  - measure: {value: 3, data: no/three}\n");
  const Json plan = json_of("plan demo.yaml --only value=2");
  ASSERT_THAT(plan.at("cannot_run"), SizeIs(1));
  EXPECT_EQ(plan.at("cannot_run").at(0).at("settings").at("value"), 2);
  EXPECT_EQ(plan.at("points").at("cannot_run"), 1);
}

TEST_F(Why, APlanOfWhatFailedSaysHowManyPointsThatLeavesOut) {
  run("demo.yaml", "fail 2");
  state("[1, 2, 3, 4]", "[0, 1]");
  const Json plan = json_of("plan demo.yaml --retry-failed");
  EXPECT_EQ(plan.at("retry_failed"), true);
  EXPECT_EQ(plan.at("points").at("left_out"), 2) << "those of value 4";
  EXPECT_THAT(run("plan demo.yaml --retry-failed").out,
              HasSubstr("8 points, of which 4 done, 2 left out by --retry-failed\n"));
}

TEST_F(Why, AStatusAsJsonTellsEveryState) {
  const auto [driver, worker] = start_blocked(2, "stoppable");
  write_json_file(job_folder_of(2) / "progress.json",
                  {{"done", 3}, {"total", 8}, {"phase", "sampling"}, {"seconds_left", 65}});
  const Json during = json_of("status demo.yaml");
  EXPECT_EQ(during.at("version"), 1);
  EXPECT_EQ(during.at("at_work").at("pid"), driver);
  EXPECT_THAT(keys_of(during.at("points")),
              UnorderedElementsAre("total", "done", "running", "queued", "failed", "interrupted",
                                   "waiting", "kept", "cannot_run"));
  EXPECT_EQ(during.at("points").at("running"), 2);
  ASSERT_THAT(during.at("jobs"), SizeIs(2));
  const Json &running = during.at("jobs").at(0), &waiting = during.at("jobs").at(1);
  EXPECT_EQ(running.at("state"), "running");
  EXPECT_EQ(running.at("progress").at("phase"), "sampling");
  EXPECT_EQ(running.at("progress").at("seconds_left"), 65);
  EXPECT_EQ(running.at("progress").at("images_per_second"), nullptr) << "it is not known";
  EXPECT_EQ(waiting.at("state"), "waiting");
  EXPECT_EQ(waiting.at("why"), "no device is free");
  EXPECT_THAT(run_beside("status demo.yaml").out,
              HasSubstr("  waiting  1 job (2 points): no device is free\n"));
  ::kill(driver, SIGINT);
  wait(driver);
  const Json after = json_of("status demo.yaml");
  EXPECT_EQ(after.at("at_work"), nullptr);
  EXPECT_EQ(after.at("jobs").at(0).at("state"), "interrupted");
  EXPECT_EQ(after.at("jobs").at(1).at("why"), "no run_sweep is at work on it");
  run("demo.yaml", "fail 2");
  const Json failed = json_of("status demo.yaml").at("jobs").at(0);
  EXPECT_EQ(failed.at("state"), "failed");
  EXPECT_THAT(failed.at("why").get<std::string>(), HasSubstr("exit code 3"));
  EXPECT_EQ(read_file(house_ / failed.at("log").get<std::string>()),
            read_file(job_folder_of(2) / "log.txt"));
}

TEST_F(Why, WhatARunIsToldToLeaveOutMayWaitForThat) {
  fs::remove(house_ / "started");
  const pid_t driver = start("demo.yaml --only value=2", {{"FAKE_WORKER", "stoppable 2"}});
  wait_for_worker();
  EXPECT_THAT(run_beside("status demo.yaml").out,
              HasSubstr("no device is free, or the running run_sweep was told to leave it out"));
  ::kill(driver, SIGINT);
  wait(driver);
}

TEST_F(Why, AStatusOfSomePointsCountsThese) {
  run("demo.yaml --only value=1");
  EXPECT_THAT(run("status demo.yaml --only value=1").out,
              HasSubstr("demo: 2 of 2 selected points done\n"));
  EXPECT_THAT(run("status demo.yaml --only lr=0").out,
              HasSubstr("demo: 1 of 3 selected points done, 2 jobs waiting"));
  EXPECT_THAT(run("status demo.yaml").out, HasSubstr("demo: 2 of 6 points done, 2 jobs waiting"));
}

TEST_F(Why, ALogIsChosenByPointsToo) {
  run("demo.yaml --only value=1");
  const std::string log = read_file(job_folder_of(1) / "log.txt");
  EXPECT_EQ(run("log demo.yaml").out, log) << "the only one";
  run();
  const Finished many = run("log demo.yaml");
  EXPECT_EQ(many.status, 2);
  EXPECT_THAT(many.err, AllOf(HasSubstr("3 jobs have a log"), HasSubstr("measure value=2")));
  EXPECT_EQ(run("log demo.yaml --only value=2").out, read_file(job_folder_of(2) / "log.txt"));
  EXPECT_EQ(run("log demo.yaml --only value=1,2").status, 2);
}

TEST_F(Why, LogsAsJson) {
  run("demo.yaml", "fail 2");
  const Json logs = json_of("log demo.yaml --only value=1,2");
  EXPECT_EQ(logs.at("version"), 1);
  ASSERT_THAT(logs.at("logs"), SizeIs(2));
  std::map<std::string, Json> by_outcome;
  for (const Json& log : logs.at("logs")) by_outcome[log.at("outcome").get<std::string>()] = log;
  EXPECT_THAT(keys_of(by_outcome.at("failed")),
              UnorderedElementsAre("job", "label", "points", "log", "attempts", "outcome", "reason",
                                   "text"));
  EXPECT_EQ(by_outcome.at("failed").at("text"), read_file(job_folder_of(2) / "log.txt"));
  EXPECT_EQ(by_outcome.at("done").at("points").size(), 2u);
}

TEST_F(Why, AFollowedLogEndsWithTheAttempt) {
  fs::remove(house_ / "started");
  const pid_t driver =
      start("demo.yaml", {{"FAKE_WORKER", "wait_for_file 2"}, {"FAKE_WORKER_FILE", house_ / "go"}});
  wait_for_worker();
  const pid_t follower = start("log demo.yaml --only value=2 --follow", {}, "2");
  wait_until("the log to be printed", [&] {
    return fs::exists(house_ / "out2") &&
           read_file(house_ / "out2").find("attempt 1") != std::string::npos;
  });
  job::append_line(job_folder_of(2) / "log.txt", "added later");
  write_file(house_ / "go", "");
  EXPECT_EQ(wait(driver).status, 0);
  const Finished followed = wait(follower, "2");
  EXPECT_EQ(followed.status, 0);
  EXPECT_EQ(followed.out, read_file(job_folder_of(2) / "log.txt"));
  EXPECT_THAT(followed.out, HasSubstr("added later"));
  EXPECT_THAT(followed.err, HasSubstr("attempt 1 ended: done"));
}

TEST_F(Why, AFollowedLogOfAKilledRunEnds) {
  const auto [driver, worker] = start_blocked(2);
  ::kill(driver, SIGKILL);
  wait(driver);
  const Finished followed = run("log demo.yaml --only value=2 --follow");
  EXPECT_EQ(followed.status, 0);
  EXPECT_THAT(followed.err, HasSubstr("nobody is at work on attempt 1"));
}

TEST_F(Why, SeveralSweepsAreSeveralLines) {
  write_file(house_ / "second.yaml", "name: other\nexperiments:\n  - measure: {value: 5}\n");
  const Finished both = run("status demo.yaml second.yaml --json");
  std::istringstream lines(both.out);
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);)
    names.push_back(Json::parse(line).at("sweep").get<std::string>());
  EXPECT_THAT(names, ElementsAre("demo", "other"));
}

}  // namespace
}  // namespace tarflow::driver
