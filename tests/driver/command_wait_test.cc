// Sweeps on a queue of the test's own, a shell script that starts each job at once and misbehaves
// as queues do: from the file to the record.
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// The file `how` says how it misbehaves. `bad` answers are bad for the first three questions.
constexpr auto kQueue = R"sh(#!/bin/sh
how=$(cat how)
# At once, so that no look finds half a state.
state() {
  echo $1 > ".state$number"
  mv ".state$number" "queue/$number"
}
start() {
  state Q
  (
    setsid sh "$1" &
    echo $! > "pids/$number"
    state R
    wait
    state F
  ) > /dev/null 2>&1 &
}
bad() {
  asked=$(($(cat asked) + 1))
  echo $asked > asked
  [ $asked -le 3 ]
}
case $1 in
submit)
  number=$(cat number)
  echo $((number + 1)) > number
  case $how in
  lost) rm lose 2> /dev/null || start "$2" ;;
  twice) start "$2"; start "$2" ;;
  *) start "$2" ;;
  esac
  case $how in
  suffix) echo "Welcome to the cluster!"; echo "$number.server.domain" ;;
  silent) ;;
  *) echo "$number" ;;
  esac
  ;;
state)
  case $how in
  slow) sleep 0.3 ;;
  ends) touch go; while grep -qxE 'Q|R' queue/*; do sleep 0.05; done ;;
  empty) bad && exit 0 ;;
  garbage) bad && { printf '\377\376%%s \001 7 <<<\n{id} \n$(x)\n'; exit 0; } ;;
  fails) bad && { echo "cannot connect to server" >&2; exit 1; } ;;
  esac
  for job in queue/*; do
    id=${job##*/}
    state=$(cat "$job")
    case $how in
    others) echo "1$id other x C"; echo "${id}0 other x C" ;;
    case) state=$(echo "$state" | sed 's/Q/pEnding/; s/R/RUNNING/; s/F/Completed/') ;;
    suffix) id=$id.serv ;;
    words) state=$(echo "$state" | sed 's/R/flying/') ;;
    esac
    echo "$id demo ann $state"
  done
  ;;
cancel)
  [ "$how" = refuses ] && { echo "not allowed" >&2; exit 1; }
  kill -TERM "$(cat "pids/$2")"
  ;;
esac
)sh";

class OnACommand : public RunSweep {
 protected:
  void SetUp() override {
    RunSweep::SetUp();
    fs::create_directories(house_ / "queue");
    fs::create_directories(house_ / "pids");
    fs::create_symlink(TARFLOW_RUN_SWEEP, house_ / "bin/run_sweep");
    write_file(house_ / "number", "7\n");
    write_file(house_ / "asked", "0\n");
    write_file(house_ / "there.yaml", R"(executor: command
submit: ./q submit {script}
state: ./q state {ids}
cancel: ./q cancel {id}
gpu_request: none
silent_answers: 6
)");
    write_file(house_ / "q", kQueue);
    fs::permissions(house_ / "q", fs::perms::owner_all);
    misbehave("");
  }
  void add_to_profile(const std::string& text, const std::string& instead_of = "") {
    std::string profile = read_file(house_ / "there.yaml");
    if (const size_t at = profile.find(instead_of); !instead_of.empty()) {
      profile.erase(at, instead_of.size());
    }
    write_file(house_ / "there.yaml", profile + text);
  }
  // What was submitted, all of it.
  std::string scripts() {
    std::string text;
    for (const auto& entry : fs::directory_iterator(house_ / "results/demo/slurm")) {
      text += read_file(entry.path() / "job.sh");
    }
    return text;
  }
  void misbehave(const std::string& how) { write_file(house_ / "how", how + "\n"); }

  pid_t start_there(const std::string& arguments, const std::string& behaviour = "") {
    return start("demo.yaml --cluster ./there.yaml " + arguments,
                 {{"FAKE_WORKER", behaviour},
                  {"FAKE_WORKER_FILE", (house_ / "go").string()},
                  {"TARFLOW_POLL_SECONDS", "0.05"}});
  }
  Finished run_there(const std::string& arguments, const std::string& behaviour = "") {
    return wait(start_there(arguments, behaviour));
  }
  // All is computed, once.
  Finished expect_all(const std::string& how) {
    misbehave(how);
    const Finished finished = run_there("--wait");
    EXPECT_EQ(finished.status, 0) << how << ": " << finished.err;
    EXPECT_EQ(record::digest(record()), undisturbed()) << how;
    return finished;
  }
  // The same, with a job that runs until there were bad answers and good ones.
  Finished expect_all_while_bad(const std::string& how) {
    misbehave(how);
    const pid_t waiting = start_there("--wait", "wait_for_file 2");
    wait_until("there were good answers", [&] {
      const std::string asked = read_file(house_ / "asked");
      return !asked.empty() && std::stoi(asked) > 8;
    });
    write_file(house_ / "go", "");
    const Finished finished = wait(waiting);
    EXPECT_EQ(finished.status, 0) << how << ": " << finished.err;
    EXPECT_EQ(record::digest(record()), undisturbed()) << how;
    return finished;
  }
};

TEST_F(OnACommand, AllIsComputedAndGathered) {
  const Finished finished = expect_all("");
  EXPECT_THAT(finished.err, HasSubstr("3 jobs submitted to the queue as jobs 7, 8, 9"));
}

TEST_F(OnACommand, OnWholeNodesSeveralJobsRunAtOnceInOneJobOfTheQueue) {
  add_to_profile("node_gpus: 3\n", "gpu_request: none\n");
  ::setenv("CUDA_VISIBLE_DEVICES", "", 1);  // whatever this machine has
  const pid_t waiting = start_there("--wait", "wait_for_file 1 wait_for_file 2 wait_for_file 3");
  wait_until("all jobs to run", [&] { return started_jobs() == 3; });
  write_file(house_ / "go", "");
  const Finished finished = wait(waiting);
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("3 jobs submitted to the queue as job 7"));
  EXPECT_THAT(scripts(), HasSubstr("# 3 jobs at once on the 3 GPUs of a node.\n"));
  EXPECT_EQ(record::digest(record()), undisturbed());
}

TEST_F(OnACommand, WhatWasSubmittedIsGatheredLater) {
  const Finished submitted = run_there("");
  EXPECT_EQ(submitted.status, 0) << submitted.err;
  EXPECT_THAT(submitted.err, HasSubstr("3 jobs with the queue"));
  const Finished waited = run_there("--wait");
  EXPECT_EQ(waited.status, 0) << waited.err;
  EXPECT_EQ(read_file(house_ / "number"), "10\n") << "nothing is submitted again";
  EXPECT_EQ(started_jobs(), 3u);
  EXPECT_THAT(record().rows, SizeIs(6));
}

TEST_F(OnACommand, AJobThatEndsWhileTheQueueIsAskedIsNotComputedAgain) {
  EXPECT_EQ(wait(start_there("", "wait_for_file 2")).status, 0);
  misbehave("ends");
  const Finished waited = run_there("--wait");
  EXPECT_EQ(waited.status, 0) << waited.err;
  EXPECT_EQ(read_file(house_ / "number"), "10\n") << waited.err;
  EXPECT_EQ(started_jobs(), 3u);
  EXPECT_THAT(record().rows, SizeIs(6));
}

TEST_F(OnACommand, AJobThatFailsIsReportedWithItsLog) {
  const Finished finished = run_there("--wait", "fail 2");
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("exit code 3"), HasSubstr("| line 29"),
                                  HasSubstr("that of its task"), HasSubstr("1 of 3 jobs failed")));
  EXPECT_EQ(read_file(house_ / "number"), "10\n") << "it would fail again";
}

TEST_F(OnACommand, SlowAnswersAreWaitedFor) { expect_all("slow"); }

TEST_F(OnACommand, EmptyAnswersLoseNoJob) {
  expect_all_while_bad("empty");
  EXPECT_EQ(read_file(house_ / "number"), "10\n");
}

TEST_F(OnACommand, GarbageLosesNoJob) {
  expect_all_while_bad("garbage");
  EXPECT_EQ(read_file(house_ / "number"), "10\n");
}

TEST_F(OnACommand, AStateCommandThatFailsLosesNoJob) {
  const Finished finished = expect_all_while_bad("fails");
  EXPECT_EQ(read_file(house_ / "number"), "10\n");
  EXPECT_THAT(finished.err, HasSubstr("cannot connect to server"));
}

TEST_F(OnACommand, AfterTooManySilentAnswersAJobCountsAsLost) {
  add_to_profile("silent_answers: 2\n", "silent_answers: 6\n");
  const Finished finished = expect_all_while_bad("empty");
  EXPECT_EQ(read_file(house_ / "number"), "11\n");
  EXPECT_THAT(finished.err, HasSubstr("the queue knows nothing of it any more"));
}

TEST_F(OnACommand, ALostJobIsSubmittedAgain) {
  write_file(house_ / "lose", "");
  const Finished finished = expect_all("lost");
  EXPECT_THAT(finished.err, AllOf(HasSubstr("left no trace"), HasSubstr("it is submitted again")));
  EXPECT_EQ(read_file(house_ / "number"), "11\n");
}

// Both may give way to each other; the job is then submitted once more.
TEST_F(OnACommand, AJobThatRunsTwiceDoesNoHarm) { expect_all("twice"); }

TEST_F(OnACommand, AnIdMayHaveASuffixAndABannerBeforeIt) {
  const Finished finished = expect_all("suffix");
  EXPECT_THAT(finished.err, HasSubstr("jobs 7.server.domain, 8.server.domain, 9.server.domain"));
}

TEST_F(OnACommand, JobsOfOthersAreNotOurs) {
  expect_all("others");
  EXPECT_EQ(read_file(house_ / "number"), "10\n") << "other jobs of similar numbers have ended";
}

TEST_F(OnACommand, WordsMayBeInAnotherCase) { expect_all("case"); }

TEST_F(OnACommand, UnknownWordsAreSaidOnce) {
  misbehave("words");
  const pid_t waiting = start_there("--wait", "wait_for_file 2");
  wait_until("it was said", [&] {
    return fs::exists(house_ / "err") &&
           read_file(house_ / "err").find("no word that is known") != std::string::npos;
  });
  write_file(house_ / "go", "");
  const Finished finished = wait(waiting);
  EXPECT_EQ(finished.status, 0) << finished.err;
  const size_t first = finished.err.find("no word that is known");
  EXPECT_EQ(finished.err.find("no word that is known", first + 1), std::string::npos);
}

TEST_F(OnACommand, ASubmissionWithoutAnIdIsAnErrorAndRunsNothingTwice) {
  misbehave("silent");
  const Finished finished = run_there("--wait");
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("printed no job id"), HasSubstr("id: 'Job <")));
  expect_all("");
}

// No queue sends a signal ahead of its time limit: the task looks at the clock.
TEST_F(OnACommand, ATaskStopsBeforeItsTimeLimitAndIsSubmittedAgainWithMoreTime) {
  add_to_profile("time: 2 s * attempt\nsignal_lead: 1 s\nmax_resubmissions: 1\n");
  const Finished finished = run_there("--wait", "stoppable 2");
  EXPECT_EQ(finished.status, 1) << "it never comes to its end";
  EXPECT_THAT(finished.err, HasSubstr("it is submitted again"));
  EXPECT_EQ(read_file(house_ / "number"), "11\n");
  EXPECT_THAT(scripts(), AllOf(HasSubstr("# time: 2.0 s * attempt; this is attempt 1."),
                               HasSubstr("# time: 2.0 s * attempt; this is attempt 2.")));
}

// Only submissions in which a job gets no further count.
TEST_F(OnACommand, AJobMayNeedMoreAllocationsThanItMayBeSubmittedAgain) {
  add_to_profile("time: 2 s\nsignal_lead: 1 s\nmax_resubmissions: 1\n");
  const Finished finished = run_there("--wait", "resumes 2");
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, AllOf(HasSubstr("is not done yet"), HasSubstr("it came to 25 %"),
                                  HasSubstr("it came to 75 %"), Not(HasSubstr("FAILED"))));
  EXPECT_EQ(read_file(house_ / "number"), "13\n") << "three more";
}

TEST_F(OnACommand, AJobThatIsKilledForMemoryIsSubmittedAgainWithMore) {
  add_to_profile("mem: 1 GB * attempt\nmax_resubmissions: 1\n");
  const pid_t waiting = start_there("--wait", "block 2");
  for (int attempt = 1; attempt <= 2; ++attempt) {
    wait_for_worker();
    const pid_t worker = std::stoi(read_file(house_ / "started"));
    fs::remove(house_ / "started");
    ::kill(worker, SIGKILL);
  }
  const Finished finished = wait(waiting);
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("signal 9"), HasSubstr("it is submitted again")));
  EXPECT_EQ(read_file(house_ / "number"), "11\n") << "once more, and not in the same allocation";
  EXPECT_THAT(scripts(), HasSubstr("# mem: 1G * attempt; this is attempt 2."));
}

TEST_F(OnACommand, StatusAndCancelWork) {
  ASSERT_EQ(run_there("", "stoppable 2").status, 0);
  wait_for_worker();
  const Finished status = run_there("--status");
  EXPECT_THAT(status.out, AllOf(HasSubstr("running"), HasSubstr("(8 on ")));
  const Finished cancelled = run_there("--cancel");
  EXPECT_EQ(cancelled.status, 0) << cancelled.err;
  EXPECT_THAT(cancelled.err, HasSubstr("taken back from the queue"));
  EXPECT_THAT(run_there("--status").out, Not(HasSubstr("running")));
  expect_all("");
  EXPECT_EQ(read_file(house_ / "number"), "11\n") << "the others were done";
}

TEST_F(OnACommand, ACancelThatIsRefusedIsSaid) {
  ASSERT_EQ(run_there("", "wait_for_file 2").status, 0);
  wait_for_worker();
  misbehave("refuses");
  const Finished cancelled = run_there("--cancel");
  EXPECT_NE(cancelled.status, 0);
  EXPECT_THAT(cancelled.err, HasSubstr("did not cancel job 8: not allowed"));
  write_file(house_ / "go", "");
  expect_all("");
  EXPECT_EQ(read_file(house_ / "number"), "10\n") << "what it had goes on to its end";
}

TEST_F(OnACommand, PlanShowsTheCommandsAndCheckThePrograms) {
  const Finished plan = run_there("--dry-run");
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.out,
              AllOf(HasSubstr("would be submitted with these commands"), HasSubstr("./q submit "),
                    HasSubstr("--cluster-task"), HasSubstr("and 2 more like")));
  const Finished check = wait(start("check --cluster ./there.yaml"));
  EXPECT_EQ(check.status, 0) << check.err;
  EXPECT_THAT(check.out, HasSubstr("submit: ./q"));
  fs::remove(house_ / "q");
  const Finished without = wait(start("check --cluster ./there.yaml"));
  EXPECT_EQ(without.status, 1);
  EXPECT_THAT(without.out, HasSubstr("there is no `./q` here"));
}

TEST_F(OnACommand, SeveralNodesAreRefusedBeforeAnythingIsSubmitted) {
  state("[1]", "[0]", "      run: {nodes: 2}\n");
  const Finished plan = run_there("--dry-run");
  EXPECT_NE(plan.status, 0);
  EXPECT_THAT(plan.err, HasSubstr("runs each job on one node"));
  EXPECT_EQ(read_file(house_ / "number"), "7\n");
}

}  // namespace
}  // namespace tarflow::driver
