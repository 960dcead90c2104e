// The life of a sweep: retries, limits, stopping, looking at it from outside, cleaning up.
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;

class Life : public RunSweep {
 protected:
  // The sweep with a `run:` part.
  void state_run(const std::string& run, const std::string& values = "[1, 2, 3]") {
    state(values, "[0, 1]");
    write_file(house_ / "demo.yaml", "run: " + run + "\n" + read_file(house_ / "demo.yaml"));
  }

  std::string first_hash(const std::string& what) {
    std::istringstream lines(run("demo.yaml --list-jobs").out);
    for (std::string line; std::getline(lines, line);) {
      if (line.find(what) != std::string::npos) return line.substr(0, line.find(' '));
    }
    ADD_FAILURE() << "no job with " << what;
    return "";
  }
};

TEST_F(Life, AFailedJobIsTriedAgainAsTold) {
  state_run("{retries: 2, backoff: 0.1}");
  const Finished finished = run("demo.yaml", "fail_once 2");
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_EQ(started_jobs(), 4u);
  EXPECT_THAT(finished.err, HasSubstr("it is tried again in 0 s, 2 more times"));
  EXPECT_THAT(record().rows, SizeIs(6));
  EXPECT_EQ(job::read_attempts(job_folder_of(2) / "attempts.jsonl").count, 2);
}

TEST_F(Life, RetriesEnd) {
  state_run("{retries: 2, backoff: 0.05}");
  EXPECT_EQ(run("demo.yaml", "fail 2").status, 1);
  EXPECT_EQ(started_jobs(), 5u);
}

TEST_F(Life, FailFastStopsTheSweep) {
  state_run("{fail_fast: true}");
  const Finished finished = run("demo.yaml", "fail 1");
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_THAT(finished.err, HasSubstr("repeat the command to continue"));
}

TEST_F(Life, ATimeLimitEndsAnAttempt) {
  state_run("{time_limit: 0.3 s}");
  const Finished finished = run("demo.yaml", "stoppable 2");
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("it reached its time limit of 0.3 s"));
  EXPECT_EQ(job::read_attempts(job_folder_of(2) / "attempts.jsonl").last->outcome, "time limit");
  EXPECT_THAT(record().rows, SizeIs(4));
}

TEST_F(Life, RetryFailedRunsNothingElse) {
  run("demo.yaml", "fail 2");
  state("[1, 2, 3, 4]", "[0, 1]");
  EXPECT_EQ(run("demo.yaml --retry-failed").status, 0);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_THAT(record().rows, SizeIs(6));
  EXPECT_EQ(run("demo.yaml").status, 0);
  EXPECT_EQ(started_jobs(), 1u);
}

TEST_F(Life, ForceComputesAgainAndKeepsTheOldResultUntilThen) {
  run();
  const std::string digest = record::digest(record());
  const auto pid_of = [&] { return std::get<double>(record().rows.at(2).at("seconds")); };
  const double before = pid_of();
  const Finished failed = run("demo.yaml --force", "fail 2");
  EXPECT_EQ(failed.status, 1);
  EXPECT_EQ(started_jobs(), 3u);
  EXPECT_THAT(record().rows, SizeIs(6)) << "the old result of the failed job still stands";
  EXPECT_EQ(run("demo.yaml --force").status, 0);
  EXPECT_EQ(started_jobs(), 3u);
  EXPECT_NE(pid_of(), before) << "the new result holds";
  EXPECT_EQ(record::digest(record()), digest);
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(Life, AForcedRunThatIsKilledLosesNothing) {
  run();
  const std::string digest = record::digest(record());
  fs::remove(house_ / "started");
  const pid_t driver = start("demo.yaml --force", {{"FAKE_WORKER", "block 2"}});
  wait_for_worker();
  ::kill(driver, SIGKILL);
  wait(driver);
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_EQ(record::digest(record()), digest);
}

TEST_F(Life, OnlyAndSetChooseAndChange) {
  EXPECT_EQ(run("demo.yaml --only value=2").status, 0);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_THAT(record().rows, SizeIs(2));
  EXPECT_EQ(run("demo.yaml --only 'value>=2' --only lr=1").status, 0);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_THAT(record().rows, SizeIs(3)) << "what is done stays in the table";
  EXPECT_EQ(run("demo.yaml --set lr=7 --set value=9").status, 0);
  std::set<double> results;
  for (const record::Row& row : record().rows) results.insert(std::get<double>(row.at("result")));
  EXPECT_EQ(results, (std::set<double>{20, 21, 31, 97})) << "those of the file stay";
  EXPECT_EQ(run("demo.yaml --set vlaue=9").status, 2);
}

TEST_F(Life, CtrlCLetsAWorkerSaveWhatItReached) {
  const auto [driver, worker] = start_blocked(2, "stoppable");
  ::kill(driver, SIGINT);
  const Finished stopped = wait(driver);
  EXPECT_EQ(stopped.status, 130);
  EXPECT_THAT(stopped.err, HasSubstr("running jobs write their progress"));
  EXPECT_EQ(read_file(job_folder_of(2) / "reached"), "chunk 3");
  EXPECT_EQ(job::read_attempts(job_folder_of(2) / "attempts.jsonl").last->outcome, "stopped");
}

TEST_F(Life, CtrlCTwiceEndsAtOnce) {
  const auto [driver, worker] = start_blocked(2, "deaf");
  ::kill(driver, SIGINT);
  while (read_file(house_ / "err").find("Ctrl-C again") == std::string::npos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(::kill(worker, 0), 0) << "it ignores SIGTERM";
  ::kill(driver, SIGINT);  // the same signal again, as `timeout` sends it
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  EXPECT_EQ(::kill(worker, 0), 0);
  ::kill(driver, SIGINT);
  EXPECT_EQ(wait(driver).status, 130);
  EXPECT_NE(::kill(worker, 0), 0);
  EXPECT_FALSE(fs::exists(house_ / "results/demo/lease.json"));
}

TEST_F(Life, StatusNeedsNoLeaseAndTellsEveryState) {
  const auto [driver, worker] = start_blocked(2, "stoppable");
  write_json_file(job_folder_of(2) / "progress.json",
                  {{"done", 3}, {"total", 8}, {"phase", "sampling"}, {"seconds_left", 65}});
  const Finished during = run_beside("demo.yaml --status");
  EXPECT_EQ(during.status, 0) << during.err;
  EXPECT_THAT(during.out, HasSubstr("demo: 2 of 6 points done, 1 job running, 1 job waiting"));
  EXPECT_THAT(during.out, HasSubstr(fmt::format("run_sweep is running: process {} on ", driver)));
  EXPECT_THAT(during.out, AllOf(HasSubstr("measure value=2"), HasSubstr("sampling 3/8"),
                                HasSubstr("about 1:05 left")));
  EXPECT_THAT(run_beside("demo.yaml --dry-run").out, HasSubstr("of which 2 done"));
  ::kill(driver, SIGINT);
  wait(driver);
  EXPECT_THAT(
      run("demo.yaml --status").out,
      AllOf(HasSubstr("1 job interrupted, 1 job waiting"),
            MatchesRegex("(.|\n)*  interrupted [0-9a-f]+  measure value=2[^\n]*: run_sweep was "
                         "asked to stop \\(signal 2\\)\n(.|\n)*"),
            HasSubstr("\nrepeat the command to go on with what was interrupted\n")));
  run("demo.yaml", "fail 3");
  EXPECT_THAT(run("demo.yaml --status").out, Not(HasSubstr("report.html"))) << "there is none yet";
  write_file(house_ / "results/demo/report/report.html", "made between two jobs");
  const Finished after = run("demo.yaml --status");
  EXPECT_THAT(after.out, HasSubstr("page of the results so far: results/demo/report/report.html"));
  EXPECT_THAT(after.out, HasSubstr("4 of 6 points done, 1 job failed"));
  EXPECT_THAT(after.out, AllOf(HasSubstr("ended with exit code 3 (1 attempt"), HasSubstr("log.txt"),
                               HasSubstr("--retry-failed")));
  EXPECT_THAT(after.out, Not(HasSubstr("run_sweep is running")));
}

TEST_F(Life, WatchEndsWithTheRun) {
  EXPECT_EQ(run("demo.yaml --watch").status, 0) << "nobody is at work";
  const auto [driver, worker] = start_blocked(2, "stoppable");
  const pid_t watch = start("demo.yaml --watch", {}, "2");
  wait_until("--watch to show what runs", [&] {
    return fs::exists(house_ / "out2") &&
           read_file(house_ / "out2").find("running") != std::string::npos;
  });
  ::kill(driver, SIGINT);
  wait(driver);
  EXPECT_EQ(wait(watch, "2").status, 0);
}

TEST_F(Life, CancelStopsWhoIsAtWork) {
  EXPECT_EQ(run("demo.yaml --cancel").status, 1) << "nobody is";
  const auto [driver, worker] = start_blocked(2, "stoppable");
  const Finished cancel = run_beside("demo.yaml --cancel");
  EXPECT_EQ(cancel.status, 0) << cancel.err;
  EXPECT_THAT(cancel.err, HasSubstr("demo: stopped"));
  EXPECT_EQ(wait(driver).status, 130);
  EXPECT_EQ(run().status, 0) << "an old request does not stop a new run";
}

TEST_F(Life, CancelOnlyEndsTheJobsOfThesePointsAlone) {
  EXPECT_EQ(run("demo.yaml --cancel --only value=2").status, 1) << "nobody is at work";
  const auto [driver, worker] = start_blocked(2, "stoppable");
  const Finished shared = run_beside("demo.yaml --cancel --only value=2 --only lr=0");
  EXPECT_EQ(shared.status, 1);
  EXPECT_THAT(shared.err, HasSubstr("share their work"));
  EXPECT_EQ(::kill(worker, 0), 0) << "it goes on";
  EXPECT_EQ(run_beside("demo.yaml --cancel --only value=1").status, 1) << "it is done";
  const Finished cancel = run_beside("demo.yaml --cancel --only value=2");
  EXPECT_EQ(cancel.status, 0) << cancel.err;
  const Finished rest = wait(driver);
  EXPECT_EQ(rest.status, 1);
  EXPECT_THAT(rest.err, HasSubstr("1 job cancelled by run_sweep cancel"));
  EXPECT_EQ(read_file(job_folder_of(2) / "reached"), "chunk 3");
  EXPECT_THAT(record().rows, SizeIs(4)) << "value 3 was not named";
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 1u);
}

TEST_F(Life, CancelOnlyTakesBackWhatIsNotBegun) {
  const auto [driver, worker] = start_blocked(2, "stoppable");
  EXPECT_EQ(run_beside("demo.yaml --cancel --only value=3").status, 0);
  EXPECT_EQ(::kill(worker, 0), 0);
  EXPECT_EQ(run_beside("demo.yaml --cancel --only value=2").status, 0);
  EXPECT_EQ(wait(driver).status, 1);
  EXPECT_THAT(record().rows, SizeIs(2));
}

TEST_F(Life, LogIsFoundByPointOrJob) {
  run("demo.yaml", "fail 2");
  const fs::path folder = job_folder_of(2);
  const Finished by_job = run("demo.yaml --log " + folder.filename().string().substr(0, 8));
  EXPECT_EQ(by_job.out, read_file(folder / "log.txt"));
  const Json job = read_json_file(folder / "job.json");
  EXPECT_EQ(run("demo.yaml --log " + job.at("points")[1].at("id").get<std::string>()).out,
            by_job.out);
  EXPECT_EQ(run("demo.yaml --log zzz").status, 2);
}

TEST_F(Life, CleanDeletesWhatNoPointUsesAfterSayingWhat) {
  run();
  EXPECT_THAT(run("demo.yaml --clean --yes").out, HasSubstr("nothing to clean"));
  state("[1, 2]", "[0, 1]");
  const fs::path orphan = job_folder_of(3);
  write_file(orphan / "big", std::string(2'000'000, 'x'));
  const Finished asked = run("demo.yaml --clean");
  EXPECT_EQ(asked.status, 1);
  EXPECT_THAT(asked.out, AllOf(HasSubstr(orphan.filename().string()), HasSubstr("2.0 MB"),
                               HasSubstr("finished, 2 points of measure")));
  EXPECT_THAT(asked.err, HasSubstr("nothing was deleted"));
  EXPECT_TRUE(fs::exists(orphan));
  EXPECT_EQ(run("demo.yaml --clean --yes").status, 0);
  EXPECT_FALSE(fs::exists(orphan));
  EXPECT_TRUE(fs::exists(job_folder_of(2) / "result.h5"));
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(Life, WorkersShareTheMachineAsTold) {
  state_run("{workers: 2, threads: 3}");
  EXPECT_EQ(run("demo.yaml", "environment 2").status, 0);
  EXPECT_THAT(read_file(job_folder_of(2) / "log.txt"),
              HasSubstr("threads '3' started with --ranks 1 --threads 3\n"));
}

TEST_F(Life, AJobOfSeveralProcessesIsOneWorkerThatIsToldSo) {
  state_run("{gpus: 0, ranks: 3, threads: 2}");
  EXPECT_EQ(run("demo.yaml", "environment 2").status, 0);
  EXPECT_THAT(read_file(job_folder_of(2) / "log.txt"),
              HasSubstr("threads '2' started with --ranks 3 --threads 6\n"));
  EXPECT_EQ(started_jobs(), 3u);
}

TEST_F(Life, AJobOfSeveralGpusSeesThoseAlone) {
  state_run("{gpus: 2}");
  const pid_t process =
      start("demo.yaml", {{"FAKE_WORKER", "environment 2"}, {"CUDA_VISIBLE_DEVICES", "4,GPU-7,6"}});
  EXPECT_EQ(wait(process).status, 0);
  EXPECT_THAT(read_file(job_folder_of(2) / "log.txt"),
              AllOf(HasSubstr("devices '4,GPU-7'"), HasSubstr("started with --ranks 2")));
}

TEST_F(Life, ADeletedJobFolderCostsThatJobAlone) {
  const auto [driver, worker] = start_blocked(2, "block");
  fs::remove_all(job_folder_of(2));
  ::kill(worker, SIGKILL);
  const Finished finished = wait(driver);
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("was removed"));
  EXPECT_THAT(record().rows, SizeIs(4));
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 1u);
}

TEST_F(Life, DamagedBookkeepingIsMadeAgain) {
  run();
  for (const char* name : {"index.json", "../.cache/contents.json", "../.cache/costs.jsonl"}) {
    write_file(house_ / "results/demo" / name, "{damaged");
  }
  write_file(job_folder_of(2) / "attempts.jsonl", "{\"start\": \"half");
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_EQ(run("demo.yaml --force").status, 0);
  EXPECT_EQ(job::read_attempts(job_folder_of(2) / "attempts.jsonl").last->outcome, "done");
}

}  // namespace
}  // namespace tarflow::driver
