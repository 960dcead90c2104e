// Answers as PBS, LSF and Grid Engine print them.
#include "framework/command/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tarflow::command {
namespace {

constexpr const char* kPbs =
    "Job id            Name             User              Time Use S Queue\n"
    "----------------  ---------------- ----------------  -------- - -----\n"
    "123.pbs01         demo-2026        ann               00:01:02 R workq\n"
    "1234.pbs01        other            bob               0        Q workq\n"
    "124.pbs01         demo-2026        ann                      0 H workq\n"
    "125.pbs01         demo-2026        ann               00:00:09 F workq\n"
    "126.pbs01         demo-2026        ann               00:00:09 Z workq\n";
constexpr const char* kLsf =
    "JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME\n"
    "123     ann     RUN   normal     login       n1          demo       Dec  1 12:00\n"
    "124     ann     PEND  normal     login                   demo       Dec  1 12:00\n"
    "125     ann     EXIT  normal     login       n1          demo       Dec  1 12:00\n"
    "126     ann     DONE  normal     login       n1          demo       Dec  1 12:00\n";
constexpr const char* kSge =
    "job-ID  prior   name       user         state submit/start at     queue          slots\n"
    "--------------------------------------------------------------------------------------\n"
    "    123 0.55500 demo-2026  ann          r     12/01/2026 12:00:00 main.q@n1          1\n"
    "    124 0.00000 demo-2026  ann          qw    12/01/2026 12:00:00                    1\n"
    "    125 0.00000 demo-2026  ann          Eqw   12/01/2026 12:00:00                    1\n";

std::optional<State> state(const std::string& id, const std::string& out,
                           const std::map<std::string, std::string>& words = {}) {
  return told_of(id, false, {0, out, ""}, words).state;
}
std::optional<State> alone(const process::Said& said) {
  return told_of("123.pbs01", true, said, {}).state;
}

TEST(Answers, ListsOfPbsLsfAndGridEngineAreRead) {
  EXPECT_EQ(state("123.pbs01", kPbs), State::kRunning);
  EXPECT_EQ(state("124.pbs01", kPbs), State::kWaiting);
  EXPECT_EQ(state("125.pbs01", kPbs), State::kDone);
  EXPECT_EQ(state("123", kLsf), State::kRunning);
  EXPECT_EQ(state("124", kLsf), State::kWaiting);
  EXPECT_EQ(state("125", kLsf), State::kFailed);
  EXPECT_EQ(state("126", kLsf), State::kDone);
  EXPECT_EQ(state("123", kSge), State::kRunning);
  EXPECT_EQ(state("124", kSge), State::kWaiting);
  EXPECT_EQ(state("125", kSge), State::kFailed);
}

TEST(Answers, AJobIsFoundWithItsServerOrWithout) {
  EXPECT_EQ(state("123", kPbs), State::kRunning);
  EXPECT_EQ(state("123.pbs01.a.long.domain", kPbs), State::kRunning) << "cut short in the list";
  EXPECT_EQ(state("1234.pbs01", kPbs), State::kWaiting);
  EXPECT_EQ(state("12.pbs01", kPbs), std::nullopt) << "another number begins so";
}

TEST(Answers, WordsInOtherCasesAreTheSame) {
  EXPECT_EQ(state("7", "7 PENDING\n"), State::kWaiting);
  EXPECT_EQ(state("7", "7 pending\n"), State::kWaiting);
  EXPECT_EQ(state("7", "7 Running\n"), State::kRunning);
}

TEST(Answers, TheProfileHasTheFirstWord) {
  EXPECT_EQ(state("126.pbs01", kPbs), std::nullopt);
  EXPECT_EQ(state("126.pbs01", kPbs, {{"Z", "failed"}}), State::kFailed);
  EXPECT_EQ(state("123.pbs01", kPbs, {{"r", "waiting"}}), State::kWaiting);
  EXPECT_EQ(told_of("7", false, {0, "job 7 left us\n", ""}, {{"left us", "gone"}}).state,
            State::kGone);
}

TEST(Answers, AnUnknownWordIsToldWithItsLine) {
  const Told told = told_of("126.pbs01", false, {0, kPbs, ""}, {});
  EXPECT_FALSE(told.state);
  EXPECT_THAT(told.line, ::testing::HasSubstr("Z workq"));
  EXPECT_EQ(told_of("9", false, {0, kPbs, ""}, {}).line, "") << "it is not in the list";
}

TEST(Answers, PhrasesSayThatAJobIsGone) {
  EXPECT_EQ(alone({153, "", "qstat: Unknown Job Id 123.pbs01\n"}), State::kGone);
  EXPECT_EQ(alone({35, "", "qstat: 123.pbs01 Job has finished, use -x\n"}), State::kDone);
  EXPECT_EQ(told_of("123", true, {255, "", "Job <123> is not found\n"}, {}).state, State::kGone);
  EXPECT_EQ(alone({153, "", "qstat: Unknown Job Id 99.pbs01\n"}), std::nullopt) << "another";
}

TEST(Answers, FailuresSayNothing) {
  EXPECT_EQ(alone({1, "", "qstat: cannot connect to server pbs01 (errno=111)\n"}), std::nullopt);
  EXPECT_EQ(alone({124, "", ""}), std::nullopt);
  EXPECT_EQ(alone({0, "", ""}), std::nullopt);
}

// Of `qstat -f {id}`, and a command that prints the state alone.
TEST(Answers, OfOneJobItsLinesNeedNotNameIt) {
  EXPECT_EQ(alone({0, "Job Id: 123.pbs01\n    Job_Name = demo\n    job_state = Q\n", ""}),
            State::kWaiting);
  EXPECT_EQ(alone({0, "R\n", ""}), State::kRunning);
  EXPECT_EQ(alone({0, "The cluster is running again since noon.\n", ""}), std::nullopt)
      << "a banner";
  EXPECT_EQ(alone({0, "99.pbs01 R\n", ""}), std::nullopt) << "a job of somebody else";
}

TEST(Answers, TheIdIsTheFirstWordOfTheLastLineOrAsAsked) {
  EXPECT_EQ(job_id("123.pbs01\n", ""), "123.pbs01");
  EXPECT_EQ(job_id("Welcome!\n\n  123.pbs01  \n\n", ""), "123.pbs01");
  EXPECT_EQ(job_id("Your job 77 (\"demo\") has been submitted\n", "job ([0-9]+)"), "77");
  EXPECT_EQ(job_id("Job <123> is submitted to queue <normal>.\n", "Job <([0-9]+)>"), "123");
  EXPECT_EQ(job_id("nothing\n", "([0-9]+)"), "");
  EXPECT_EQ(job_id("\n", ""), "");
}

}  // namespace
}  // namespace tarflow::command
