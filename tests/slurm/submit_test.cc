// sbatch that prints more than a number, or less.
#include "framework/slurm/submit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "tests/support/house.h"

namespace tarflow::slurm {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

constexpr auto kBanner = "Sun Jul  7 03:08:22 2019 [INFO4] auks_api: cred added\n";

TEST(JobNumbers, AreTheLinesThatAreNumbers) {
  EXPECT_THAT(job_numbers("12\n"), ElementsAre("12"));
  EXPECT_THAT(job_numbers("12;far\n"), ElementsAre("12"));
  EXPECT_THAT(job_numbers(kBanner + std::string("  12 \r\n")), ElementsAre("12"));
  EXPECT_THAT(job_numbers("12\nYou have 3 jobs\n2024-01-01\n"), ElementsAre("12"));
  EXPECT_THAT(job_numbers("12\n12\n13"), ElementsAre("12", "13"));
  for (const char* text :
       {"", "\n", "a", "12 jobs", "0", "12;", "-3", "1.5", "12; a b", "99999999999"}) {
    EXPECT_THAT(job_numbers(text), IsEmpty()) << text;
  }
}

class Submitting : public ::testing::Test {
 protected:
  Submitting() {
    submission_.name = "one";
    submission_.job_name = "sweep-one";
    submission_.tasks = {{"0123"}};
    patience_.pause = patience_.longest = patience_.second_look = std::chrono::milliseconds(1);
    patience_.limit = std::chrono::hours(1);
  }

  // What each program answers, in order, the last again and again.
  Patience asking() {
    Patience patience = patience_;
    patience.ask = ask();
    return patience;
  }
  Ask ask() {
    return [this](const std::vector<std::string>& command) {
      asked_[command.front()] += 1;
      std::vector<process::Said>& answers = answers_[command.front()];
      if (answers.empty()) return process::Said{1, "", "there is none"};
      const process::Said said = answers.front();
      if (answers.size() > 1) answers.erase(answers.begin());
      return said;
    };
  }
  void submit() { slurm::submit(folder_, submission_, house_.path(), asking()); }
  void recover() { slurm::recover(folder_, submission_, asking()); }

  Scratch house_;
  SubmissionFolder folder_{house_ / "results/sweep/slurm/one"};
  Submission submission_;
  Patience patience_;
  std::map<std::string, std::vector<process::Said>> answers_;
  std::map<std::string, int> asked_;
};

TEST_F(Submitting, ABannerDoesNoHarm) {
  answers_["sbatch"] = {{0, kBanner + std::string("1001\nhave a nice day\n"), "and a warning"}};
  submit();
  EXPECT_EQ(read_submission(folder_).job_id, "1001");
  EXPECT_EQ(asked_["squeue"], 0);
}

TEST_F(Submitting, WithoutANumberTheJobIsFoundByItsName) {
  for (const char* printed : {"Submitted batch job 1001\n", "", "2024\n1001\n"}) {
    submission_.job_id.clear();
    asked_.clear();
    answers_["sbatch"] = {{0, printed, ""}};
    answers_["squeue"] = {{0, "", ""}, {0, "a banner\n1001 \n1001 \n", ""}};
    submit();
    EXPECT_EQ(read_submission(folder_).job_id, "1001") << printed;
    EXPECT_EQ(asked_["sbatch"], 1) << printed;
  }
}

TEST_F(Submitting, AJobThatCannotBeFoundIsNeverGivenAgain) {
  answers_["sbatch"] = {{0, "taken\n", ""}};
  answers_["squeue"] = {{0, "", ""}};
  EXPECT_THAT([&] { submit(); },
              ThrowsMessage<Error>(AllOf(HasSubstr("sweep-one"), HasSubstr("`taken"),
                                         HasSubstr(folder_.path.string()))));
  submission_ = read_submission(folder_);
  EXPECT_TRUE(submission_.submitting());
  EXPECT_THAT([&] { recover(); }, ThrowsMessage<Error>(HasSubstr("nothing more is submitted")));
  EXPECT_TRUE(read_submission(folder_).submitting()) << "the next run asks as well";
  answers_["squeue"] = {{0, "1001\n", ""}};
  recover();
  EXPECT_EQ(read_submission(folder_).job_id, "1001");
}

TEST_F(Submitting, WhatWasNeverGivenIsGivenUpAfterASecondLook) {
  answers_["squeue"] = {{0, "", ""}, {0, "1001\n", ""}};
  recover();
  EXPECT_EQ(submission_.job_id, "1001") << "the first look showed nothing";
  submission_.job_id.clear();
  answers_["squeue"] = {{0, "", ""}};
  recover();
  EXPECT_EQ(asked_["squeue"], 4);
  EXPECT_THAT(submission_.given_up, HasSubstr("killed"));
}

TEST_F(Submitting, AnAnswerThatIsLostIsLookedForBeforeItIsGivenAgain) {
  answers_["sbatch"] = {{1, "", "Socket timed out on send/recv operation"}, {0, "1002\n", ""}};
  answers_["squeue"] = {{0, "", ""}, {0, "1001\n", ""}};
  submit();
  EXPECT_EQ(submission_.job_id, "1001");
  EXPECT_EQ(asked_["sbatch"], 1);
}

TEST_F(Submitting, AControllerThatWasNotReachedIsGivenItAgain) {
  answers_["sbatch"] = {{1, "", "Unable to contact slurm controller (connect failure)"},
                        {0, "1002\n", ""}};
  answers_["squeue"] = {{0, "", ""}};
  submit();
  EXPECT_EQ(submission_.job_id, "1002");
}

TEST_F(Submitting, AProgramAroundSbatchThatFailsAfterItDoesNotHideTheJob) {
  answers_["sbatch"] = {{1, "1001\n", "cannot write the site's log"}};
  answers_["squeue"] = {{0, "1001\n", ""}};
  submit();
  EXPECT_EQ(submission_.job_id, "1001");
}

TEST_F(Submitting, ARefusalIsNoted) {
  answers_["sbatch"] = {{1, "", "Invalid account"}};
  EXPECT_THAT([&] { submit(); }, ThrowsMessage<Error>(HasSubstr("Invalid account")));
  EXPECT_THAT(read_submission(folder_).given_up, HasSubstr("Invalid account"));
}

}  // namespace
}  // namespace tarflow::slurm
