#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(RunSweep, RunsEverythingThenNothing) {
  const Finished first = run();
  EXPECT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(started_jobs(), 3u) << "points that share work are one job";
  EXPECT_EQ(first.out, "TABLES of results/demo.h5\n");
  EXPECT_THAT(record().rows, SizeIs(6));
  const fs::path folder = job_folder_of(2);
  EXPECT_EQ(record::read_job(folder / "result.h5").hash, folder.filename().string());
  EXPECT_THAT(read_file(folder / "log.txt"), HasSubstr("=== attempt 1 of 2"));
  const job::Attempts attempts = job::read_attempts(folder / "attempts.jsonl");
  EXPECT_EQ(attempts.count, 1);
  EXPECT_EQ(attempts.last->outcome, "done");
  EXPECT_FALSE(attempts.last->start.empty() || attempts.last->end.empty());
  EXPECT_GT(attempts.last->pid, 1);

  const std::string bytes = read_file(house_ / "results/demo.h5");
  const Finished second = run();
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_EQ(second.out, first.out);
  EXPECT_TRUE(read_file(house_ / "results/demo.h5") == bytes);
}

TEST_F(RunSweep, ExtendingTheGridRunsOnlyTheNewPoints) {
  run();
  state("[1, 2, 3, 4]", "[0, 1]");
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_THAT(record().rows, SizeIs(8));
  state("[1, 2, 3, 4]", "[0, 1, 2]");
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 4u);
  EXPECT_THAT(record().rows, SizeIs(12));
  for (const auto& [hash, job] : record().jobs) EXPECT_LE(job.job.at("points").size(), 2u);
  state("[2]", "[1]");
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_THAT(record().rows, SizeIs(1)) << "the table is of the sweep as it is now";
}

TEST_F(RunSweep, LargeArraysStayInTheFilesOfTheJobs) {
  const std::string digest = undisturbed();
  state("[1, 2, 3]", "[0, 1]", "run: {merge_limit: 0}\n");
  ASSERT_EQ(run().status, 0);
  const fs::path file = house_ / "results/demo.h5";
  EXPECT_EQ(record::digest(file), digest);
  EXPECT_THAT(run("demo.yaml --force").err, Not(HasSubstr("which")));
  EXPECT_EQ(record::digest(file), digest) << "links to the new results";
  fs::rename(house_ / "results/demo", house_ / "results/away");
  EXPECT_THROW(record::digest(file), Error);
  fs::rename(house_ / "results/away", house_ / "results/demo");
  state("[1, 2, 3]", "[0, 1]");
  ASSERT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
  fs::rename(house_ / "results/demo", house_ / "results/away");
  EXPECT_EQ(record::digest(file), digest) << "it holds all arrays itself";
}

TEST_F(RunSweep, ChangedContentRunsAgain) {
  write_file(house_ / "noise", "1");
  const std::string data = fmt::format("        data: [{}]\n", (house_ / "noise").string());
  state("[1, 2]", "[0]", data);
  run();
  write_file(house_ / "noise", "2");
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 2u);
  EXPECT_THAT(record().rows, SizeIs(2)) << "results of the old content are not mixed in";
  write_file(house_ / "noise", "1");
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(RunSweep, AFailedJobIsReportedAndLeavesTheRest) {
  const Finished failed = run("demo.yaml", "fail 2");
  EXPECT_EQ(failed.status, 1);
  EXPECT_EQ(started_jobs(), 3u);
  EXPECT_THAT(record().rows, SizeIs(4));
  EXPECT_THAT(failed.out, HasSubstr("TABLES"));
  EXPECT_THAT(failed.err, HasSubstr("ended with exit code 3"));
  EXPECT_THAT(failed.err,
              HasSubstr((job_folder_of(2) / "log.txt").lexically_relative(house_.path()).string()));
  EXPECT_THAT(failed.err, HasSubstr("| line 29\n"));
  EXPECT_THAT(failed.err, HasSubstr("| line 15\n"));
  EXPECT_THAT(failed.err, Not(HasSubstr("line 14\n"))) << "the last 15 lines";
  EXPECT_THAT(failed.err, HasSubstr("1 of 3 jobs failed"));

  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_EQ(job::read_attempts(job_folder_of(2) / "attempts.jsonl").count, 2);
  const std::string digest = record::digest(record());
  EXPECT_EQ(digest, undisturbed());
}

TEST_F(RunSweep, WorkersWithoutAWholeResultHaveFailed) {
  for (const auto& [behaviour, message] :
       std::map<std::string, std::string>{{"crash 2", "killed by signal 6"},
                                          {"nothing 2", "ended without a result"},
                                          {"garbage 2", "is not a record"},
                                          {"other 2", "result of job 0123456789abcdef"}}) {
    fs::remove_all(house_ / "results");
    const Finished failed = run("demo.yaml", behaviour);
    EXPECT_EQ(failed.status, 1) << behaviour;
    EXPECT_THAT(failed.err, HasSubstr(message)) << behaviour;
    EXPECT_THAT(record().rows, SizeIs(4)) << behaviour;
    EXPECT_EQ(run().status, 0) << behaviour;
    EXPECT_EQ(started_jobs(), 1u) << behaviour;
    EXPECT_THAT(record().rows, SizeIs(6)) << behaviour;
  }
}

TEST_F(RunSweep, AWorkerThatFallsAfterItsWorkHasDoneIt) {
  const Finished finished = run("demo.yaml", "late 2");
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(record().rows, SizeIs(6));
  EXPECT_THAT(read_file(job_folder_of(2) / "attempts.jsonl"),
              HasSubstr(fmt::format("\"signal\":{}", SIGABRT)));
}

TEST_F(RunSweep, NothingToMergeWhenAllFail) {
  state("[1]", "[0]");
  const Finished failed = run("demo.yaml", "fail 1");
  EXPECT_EQ(failed.status, 1);
  EXPECT_EQ(failed.out, "");
  EXPECT_FALSE(fs::exists(house_ / "results/demo.h5"));
}

TEST_F(RunSweep, KilledWorkerThenResumedIsAsUndisturbed) {
  const auto [driver, worker] = start_blocked(2);
  ::kill(worker, SIGKILL);
  const Finished killed = wait(driver);
  EXPECT_EQ(killed.status, 1);
  EXPECT_THAT(killed.err, HasSubstr("killed by signal 9"));
  EXPECT_THAT(record().rows, SizeIs(4));
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_FALSE(fs::exists(job_folder_of(2) / ".result.h5.123.part"));
  const std::string digest = record::digest(record());
  EXPECT_EQ(digest, undisturbed());
}

TEST_F(RunSweep, KilledItselfThenResumedIsAsUndisturbed) {
  const auto [driver, worker] = start_blocked(2);
  ::kill(driver, SIGKILL);
  EXPECT_EQ(wait(driver).status, 128 + SIGKILL);
  // The worker must not outlive run_sweep; it is no child of this process, so its end is seen by
  // its absence.
  while (::kill(worker, 0) == 0 &&
         read_file(fmt::format("/proc/{}/stat", worker)).find(") Z ") == std::string::npos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_FALSE(fs::exists(house_ / "results/demo.h5"));
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 2u);
  const std::string digest = record::digest(record());
  EXPECT_EQ(digest, undisturbed());
}

TEST_F(RunSweep, CtrlCStopsTheWorkerAndKeepsWhatIsDone) {
  const auto [driver, worker] = start_blocked(2);
  ::kill(driver, SIGINT);
  const Finished stopped = wait(driver);
  EXPECT_EQ(stopped.status, 130);
  EXPECT_NE(::kill(worker, 0), 0) << "the worker is gone";
  EXPECT_EQ(stopped.out, "TABLES of results/demo.h5\n") << "of what is done";
  EXPECT_THAT(record().rows, SizeIs(2));
  EXPECT_THAT(stopped.err, HasSubstr("finished jobs are kept"));
  EXPECT_EQ(job::read_attempts(job_folder_of(2) / "attempts.jsonl").last->outcome, "stopped");
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 2u);
}

TEST_F(RunSweep, TwoAtOnceInOneFolderAreRefused) {
  const auto [driver, worker] = start_blocked(2);
  const Finished second = wait(start("demo.yaml"));
  EXPECT_EQ(second.status, 3) << "nothing is wrong with the input";
  EXPECT_THAT(second.err, HasSubstr("another run_sweep is running in results/demo"));
  ::kill(driver, SIGTERM);
  EXPECT_EQ(wait(driver).status, 130);
}

TEST_F(RunSweep, DamagedResultIsComputedAgain) {
  run();
  const std::string digest = record::digest(record());
  const fs::path result = job_folder_of(2) / "result.h5";
  std::string bytes = read_file(result);
  bytes[bytes.size() / 2] ^= 1;
  write_file(result, bytes);
  const Finished again = run();
  EXPECT_EQ(again.status, 0);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_THAT(again.err, HasSubstr("result.h5 is damaged"));
  EXPECT_THAT(again.err, HasSubstr("computed again"));
  EXPECT_EQ(record::digest(record()), digest);
}

TEST_F(RunSweep, StrangeFoldersAreHarmless) {
  const fs::path jobs = house_ / "results/demo/jobs";
  fs::create_directories(jobs / "empty");
  write_file(jobs / "a_file", "x");
  write_file(jobs / "half/result.h5", "x");
  write_file(jobs / "not_json/job.json", "{");
  write_file(jobs / "not_json/result.h5", "x");
  write_json_file(jobs / "other/job.json", {{"points", 3}});
  write_file(jobs / "other/result.h5", "x");
  const Finished finished = run();
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(record().rows, SizeIs(6));
}

TEST_F(RunSweep, AMachineWithoutSlurmIsToldBeforeAnythingElse) {
  const std::string profile = (house_ / "lab.yaml").string();
  write_file(profile, "executor: slurm\npartition: gpu\n");
  const auto here = [&](const std::string& arguments) {
    return wait(start(arguments, {{"PATH", "/nowhere"}}));
  };
  const Finished ran = here("demo.yaml --cluster " + profile);
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("there is no `sbatch` here"), Not(HasSubstr("to run"))));
  EXPECT_THAT(here("plan demo.yaml --cluster " + profile).out,
              HasSubstr("would be given to sbatch (profile lab, " + profile + ")"));
  const Finished asked = here("check --cluster " + profile);
  EXPECT_EQ(asked.status, 2);
  EXPECT_THAT(asked.err, AllOf(HasSubstr("there is no `sinfo` here"),
                               HasSubstr("run check on a machine"), Not(HasSubstr("none"))));
  EXPECT_THAT(here("check --cluster none").err,
              AllOf(HasSubstr("the profile here is none: jobs run on this machine"),
                    HasSubstr("/cluster.yaml")));
  EXPECT_THAT(here("--help clusters").out, HasSubstr("$TARFLOW_SITE, else /etc/tarflow"));
}

TEST_F(RunSweep, DryRunAndListRunNothing) {
  run();
  state("[1, 2, 3, 4]", "[0, 1]",
        fmt::format("        data: [{}]\n", (house_ / "absent").string()));
  const Finished missing = run("demo.yaml --dry-run");
  EXPECT_EQ(missing.status, 0) << missing.err;
  EXPECT_THAT(missing.out, HasSubstr("8 points, of which 0 done, 8 cannot run"));
  EXPECT_THAT(missing.out, HasSubstr("absent"));
  EXPECT_THAT(missing.out, HasSubstr("with the missing files: 8 points in 4 jobs, expected on"));
  const Finished absent = run("plan demo.yaml --list");
  EXPECT_THAT(absent.out, HasSubstr("cannot-run  2  measure value=4"));
  EXPECT_THAT(absent.err, HasSubstr("absent"));
  state("[1, 2, 3, 4]", "[0, 1]");
  const Finished dry = run("demo.yaml --dry-run");
  EXPECT_THAT(dry.out, HasSubstr("8 points, of which 6 done\nto run: 2 points in 1 job\n"));
  EXPECT_THAT(dry.out, HasSubstr("measure value=4, 2 points by lr"));
  EXPECT_THAT(dry.out, HasSubstr("share their work"));
  const Finished list = run("demo.yaml --list-jobs");
  EXPECT_EQ(std::count(list.out.begin(), list.out.end(), '\n'), 4);
  EXPECT_THAT(list.out, HasSubstr("pending  2  measure value=4"));
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_EQ(std::distance(fs::directory_iterator(house_ / "results/demo/jobs"), {}), 3);
}

TEST_F(RunSweep, JobsBeyondThisMachineAreAnErrorBeforeAnythingRuns) {
  state("[1, 2]", "[0]", "      run: {gpus: 3}\n  - measure: {value: 3}\nrun: {nodes: 2}\n");
  const pid_t process = start("demo.yaml", {{"CUDA_VISIBLE_DEVICES", "0,1"}});
  const Finished finished = wait(process);
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err,
              AllOf(HasSubstr("demo.yaml:6:13: jobs of 3 GPUs, but this machine has 2"),
                    HasSubstr("demo.yaml:8:7: jobs of 2 nodes, but this machine is one"),
                    HasSubstr("run the sweep on a cluster")));
  EXPECT_EQ(started_jobs(), 0u);
  const Finished dry = run("demo.yaml --dry-run");
  EXPECT_THAT(dry.out, HasSubstr("(6 processes, one a GPU, 3 on each of 2 nodes)"));
  EXPECT_THAT(dry.err, HasSubstr("jobs of 2 nodes, but this machine is one"));
  EXPECT_THAT(run("demo.yaml --list-jobs --set run.nodes=1").out,
              HasSubstr("pending  1  measure value=1 (3 processes, one a GPU)\n"));
  EXPECT_THAT(run("demo.yaml --list-jobs --set run.nodes=1").out,
              HasSubstr("pending  1  measure value=3\n"));
}

TEST_F(RunSweep, AVisibleDeviceThatIsNoneIsAnErrorBeforeAnythingRuns) {
  for (const char* named : {"0,,1", "0,-1,1"}) {
    for (const char* words : {"demo.yaml", "demo.yaml --dry-run"}) {
      const Finished finished = wait(start(words, {{"CUDA_VISIBLE_DEVICES", named}}));
      EXPECT_EQ(finished.status, 2) << words;
      EXPECT_THAT(finished.err, HasSubstr(fmt::format("CUDA_VISIBLE_DEVICES is `{}`", named)));
    }
  }
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(RunSweep, AnArgumentWithWhatIsNotSeenIsNamed) {
  const Finished finished = run("demo.yaml\u00A0");
  EXPECT_EQ(finished.status, 2);
  EXPECT_THAT(finished.err, HasSubstr("U+00A0"));
  EXPECT_THAT(run("demo.yaml –dry-run").err, HasSubstr("U+2013 (en dash)"));
  EXPECT_THAT(run("demo.yaml --set value=1\u200B").err, HasSubstr("U+200B"));
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(RunSweep, WhenAllPointsAreExcludedTheConditionIsNamed) {
  state("[1, 2]", "[0]", "      exclude: [{value: {min: 0}}]\n");
  for (const char* words : {"demo.yaml", "demo.yaml --dry-run", "demo.yaml --status"}) {
    const Finished finished = run(words);
    EXPECT_EQ(finished.status, 2) << words;
    EXPECT_THAT(finished.err, HasSubstr("excludes all points of `measure`")) << words;
  }
}

TEST_F(RunSweep, DryRunInAFreshFolderMakesNoResults) {
  EXPECT_EQ(run("demo.yaml --dry-run").status, 0);
  EXPECT_FALSE(fs::exists(house_ / "results"));
}

TEST_F(RunSweep, BadInputRunsNothingAndIsSaidOnce) {
  write_file(house_ / "bad.yaml", "experiments:\n  - measure:\n      valeu: 1\n");
  const Finished bad = run("demo.yaml bad.yaml");
  EXPECT_EQ(bad.status, 2);
  EXPECT_THAT(bad.err, HasSubstr("bad.yaml:3"));
  EXPECT_EQ(bad.err.find("did you mean `value`?"), bad.err.rfind("did you mean `value`?"));
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_FALSE(fs::exists(house_ / "results"));
  EXPECT_EQ(run("absent.yaml").status, 2);
  EXPECT_EQ(run("").status, 2);
  EXPECT_EQ(run("demo.yaml demo.yaml").status, 2);
  state("[1]", "[0]", fmt::format("        data: [{}]\n", (house_ / "absent").string()));
  const Finished absent = run();
  EXPECT_EQ(absent.status, 2);
  EXPECT_THAT(absent.err, HasSubstr("absent"));
  fs::remove(house_ / "bin/run_job");
  state("[1]", "[0]");
  EXPECT_THAT(run().err, HasSubstr("run_job"));
}

TEST_F(RunSweep, SeveralSweepsOneAfterAnother) {
  write_file(house_ / "second.yaml", "name: other\nexperiments:\n  - measure: {value: 5}\n");
  const Finished both = run("demo.yaml second.yaml", "fail 1");
  EXPECT_EQ(both.status, 1);
  EXPECT_EQ(both.out, "TABLES of results/demo.h5\nTABLES of results/other.h5\n");
}

TEST_F(RunSweep, FailingTablesAreReportedAndCostNothing) {
  write_file(house_ / "bin/analyze", "#!/bin/sh\nexit 7\n");
  fs::permissions(house_ / "bin/analyze", fs::perms::owner_all);
  const Finished finished = run();
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, HasSubstr("status 7"));
  EXPECT_THAT(record().rows, SizeIs(6));
}

TEST_F(RunSweep, TheEndIsTheAnswerInShortUnlessTablesAreWanted) {
  write_file(house_ / "bin/analyze", "#!/bin/sh\necho \"analyze $*\"\n");
  fs::permissions(house_ / "bin/analyze", fs::perms::owner_all);
  EXPECT_EQ(run().out, "analyze results/demo.h5 --short\n");
  EXPECT_EQ(run().out, "analyze results/demo.h5 --short\n") << "also with nothing to do";
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_EQ(run("demo.yaml --tables").out, "analyze results/demo.h5\n");
}

TEST_F(RunSweep, OnlySelectsInTheListOfJobs) {
  EXPECT_EQ(run("demo.yaml --only value=1,2").status, 0);
  const std::string all = run("demo.yaml --list-jobs").out,
                    one = run("demo.yaml --list-jobs --only value=1").out,
                    open = run("demo.yaml --list-jobs --only value=3").out;
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 3);
  EXPECT_EQ(std::count(one.begin(), one.end(), '\n'), 1);
  EXPECT_THAT(one, HasSubstr("done  2  measure value=1"));
  EXPECT_THAT(open, HasSubstr("pending  2  measure value=3"));
  EXPECT_EQ(std::count(open.begin(), open.end(), '\n'), 1);
}

TEST_F(RunSweep, ASmokeRunIsLookedAtAsTheSweepIs) {
  const Finished plan = run("demo.yaml --smoke --dry-run");
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("SMOKE RUN of demo-smoke"));
  EXPECT_THAT(plan.out, HasSubstr("demo-smoke: 6 points, of which 0 done"));
  EXPECT_THAT(plan.out, AllOf(HasSubstr(": this smoke run will take roughly "),
                              Not(HasSubstr("times unknown"))));
  EXPECT_EQ(started_jobs(), 0u);
  const Finished smoke = run("demo.yaml --smoke");
  EXPECT_EQ(smoke.status, 0) << smoke.err;
  EXPECT_THAT(smoke.out, HasSubstr("*** will take roughly "));
  EXPECT_THAT(run("demo.yaml --smoke --status").out, HasSubstr("demo-smoke: 6 of 6 points done"));
  EXPECT_THAT(run("demo.yaml --status").out, HasSubstr("demo: 0 of 6 points done"));
  const Finished cancel = run("demo.yaml --smoke --cancel");
  EXPECT_THAT(cancel.err, HasSubstr("demo-smoke: no run_sweep is running, nothing to cancel"));
  EXPECT_THAT(run("demo.yaml --smoke --list-jobs").out, HasSubstr("done  2  measure value=1"));
}

TEST_F(RunSweep, NoSmokeRunIsMadeByLookingForOne) {
  for (const char* look : {"--cancel", "--clean --yes", "--log 0"}) {
    const Finished none = run(fmt::format("demo.yaml --smoke {}", look));
    EXPECT_EQ(none.status, 1) << look;
    EXPECT_THAT(none.err, HasSubstr("demo-smoke: no smoke run of this sweep was started here"));
  }
  EXPECT_FALSE(fs::exists(house_ / "results/demo-smoke"));
}

TEST_F(RunSweep, ALookAtASmokeRunWritesNoStandIns) {
  write_file(
      house_ / "demo.yaml",
      "models:\n  tiny: {checkpoint: tiny_model_4_64_2_1_0.1.pth, image_size: 8, classes: 0}\n"
      "experiments:\n  - look: {model: tiny, images: absent}\n");
  const std::string plan = run("demo.yaml --smoke --dry-run").out;
  EXPECT_THAT(plan, AllOf(HasSubstr("UNTRAINED"), HasSubstr("SYNTHETIC"),
                          HasSubstr("demo-smoke: 1 point, of which 0 done\nto run: 1 point")));
  EXPECT_THAT(run("demo.yaml --smoke --status").out, HasSubstr("demo-smoke: 0 of 1 point done"));
  EXPECT_EQ(run("demo.yaml --smoke --watch").status, 0);
  EXPECT_FALSE(fs::exists(house_ / "results/demo-smoke"));

  ASSERT_EQ(run("demo.yaml --smoke").status, 0);
  const fs::path picture = house_ / "results/demo-smoke/pictures/8px/wave_0.png";
  const auto written = fs::last_write_time(picture);
  EXPECT_THAT(run("demo.yaml --smoke --status").out, HasSubstr("demo-smoke: 1 of 1 point done"));
  EXPECT_EQ(fs::last_write_time(picture), written) << "what the run has left is taken";
  fs::remove_all(house_ / "results/demo-smoke/pictures");
  EXPECT_THAT(run("demo.yaml --smoke --status").out, HasSubstr("demo-smoke: 0 of 1 point done"));
  EXPECT_FALSE(fs::exists(picture));
}

TEST_F(RunSweep, HabitsOfOtherProgramsAreAnsweredWithTheLineHere) {
  const auto refused = [&](const std::string& arguments) {
    const Finished finished = run(arguments);
    EXPECT_EQ(finished.status, 2) << arguments;
    EXPECT_EQ(started_jobs(), 0u) << arguments;
    return finished.err;
  };
  EXPECT_THAT(refused("demo.yaml value=1"), HasSubstr("demo.yaml --only value=1"));
  EXPECT_THAT(refused("demo.yml"), HasSubstr("write run_sweep --programs bin demo.yaml"));
  EXPECT_THAT(refused("demo.yaml --resume"),
              HasSubstr("write run_sweep --programs bin demo.yaml\n"));
  EXPECT_THAT(refused("demo.yaml --set lr=0.5,1"), HasSubstr("--set 'lr=[0.5, 1]'"));
  state("[1]", "[0]");
  write_file(house_ / "demo.yaml", "experiments:\n  - measure: {value: [1, 2]}\n");
  EXPECT_THAT(refused("demo.yaml"), HasSubstr("grid: {value: [1, 2]}"));
}

TEST_F(RunSweep, SmokeHasResultsOfItsOwn) {
  write_file(
      house_ / "demo.yaml",
      "models:\n  tiny: {checkpoint: tiny_model_4_64_2_1_0.1.pth, image_size: 8, classes: 0}\n"
      "experiments:\n  - measure: {value: 1}\n  - look: {model: tiny, images: absent}\n");
  const Finished absent = run();
  EXPECT_EQ(absent.status, 1) << "what needs no absent file runs";
  EXPECT_THAT(absent.err, HasSubstr("1 point cannot run"));
  EXPECT_THAT(record().rows, SizeIs(1));
  fs::remove_all(house_ / "results");
  const Finished smoke = run("demo.yaml --smoke");
  EXPECT_EQ(smoke.status, 0) << smoke.err;
  EXPECT_THAT(smoke.out, HasSubstr("SMOKE RUN of demo-smoke"));
  EXPECT_THAT(smoke.out, HasSubstr("UNTRAINED"));
  EXPECT_THAT(smoke.out, HasSubstr("TABLES of results/demo-smoke.h5"));
  EXPECT_FALSE(fs::exists(house_ / "results/demo"));
  const record::SweepRecord record = record::read_sweep(house_ / "results/demo-smoke.h5");
  ASSERT_THAT(record.rows, SizeIs(2));
  for (const record::Row& row : record.rows) EXPECT_EQ(std::get<int64_t>(row.at("num_images")), 2);
  for (const auto& [hash, job] : record.jobs) {
    EXPECT_EQ(job.job.at("smoke").at("untrained"), Json::array({"tiny"}));
  }
  EXPECT_EQ(run("demo.yaml --smoke").status, 0);
  EXPECT_EQ(started_jobs(), 0u);
}

}  // namespace
}  // namespace tarflow::driver
