// A disk that is full when a submission is to be noted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/slurm/events.h"
#include "framework/slurm/standing.h"
#include "framework/slurm/submit.h"
#include "tests/support/house.h"

namespace tarflow::slurm {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

// The next time that this process writes the file, the disk is full.
void fill_disk_for(const fs::path& file) {
  fs::create_directories(file.parent_path());
  fs::create_symlink("/dev/full", aside_of(file, ::getpid()));
}

class FullDisk : public ::testing::Test {
 protected:
  FullDisk() {
    submission_.name = "one";
    submission_.job_name = "sweep-one";
    submission_.tasks = {{"0123"}};
    patience_.pause = patience_.longest = patience_.second_look = std::chrono::milliseconds(1);
    patience_.notice = [this](const std::string& text) { said_ += text + "\n"; };
    patience_.ask = [this](const std::vector<std::string>& command) {
      asked_.push_back(command.front());
      if (command.front() == "scancel") asked_.back() += " " + command.back();
      if (command.front() == "sbatch" && fills_) fill_disk_for(folder_.submission());
      const auto answer = answers_.find(command.front());
      return answer == answers_.end() ? process::Said{} : answer->second;
    };
  }
  void submit() { slurm::submit(folder_, submission_, house_.path(), patience_); }
  // As the next run_sweep finds it.
  Submission found_again() {
    Submission found = read_submission(folder_);
    if (found.submitting()) recover(folder_, found, patience_);
    return read_submission(folder_);
  }

  Scratch house_;
  SubmissionFolder folder_{house_ / "results/sweep/slurm/one"};
  Submission submission_;
  Patience patience_;
  bool fills_ = false;  // while sbatch runs
  std::map<std::string, process::Said> answers_;
  std::vector<std::string> asked_;
  std::string said_;
};

TEST_F(FullDisk, NothingIsGivenToSlurmThatCouldNotBeFoundAgain) {
  for (const fs::path& file : {folder_.submission(), folder_.script()}) {
    fill_disk_for(file);
    EXPECT_THAT([&] { submit(); },
                ThrowsMessage<Error>(AllOf(HasSubstr(file.string()), HasSubstr("No space left"),
                                           HasSubstr("nothing of this array was given to Slurm"),
                                           HasSubstr("make room there"))));
    EXPECT_THAT(asked_, IsEmpty());
    std::vector<Problem> problems;
    EXPECT_THAT(read_submissions(house_ / "results/sweep", problems), IsEmpty());
    EXPECT_THAT(problems, IsEmpty());
  }
}

TEST_F(FullDisk, AnArrayThatSlurmTookIsNamedAndFoundAgain) {
  fills_ = true;
  answers_["sbatch"] = {0, "1001\n", ""};
  answers_["squeue"] = {0, "1001\n", ""};
  EXPECT_THAT([&] { submit(); },
              ThrowsMessage<Error>(AllOf(HasSubstr(folder_.submission().string()),
                                         HasSubstr("took the job array 1001"),
                                         HasSubstr("No space left"), HasSubstr("sweep-one"))));
  EXPECT_EQ(found_again().job_id, "1001");
  EXPECT_THAT(asked_, ElementsAre("sbatch", "squeue")) << "it is not given twice";
}

TEST_F(FullDisk, ARefusalIsToldAlthoughItCannotBeNoted) {
  fills_ = true;
  answers_["sbatch"] = {1, "", "Invalid account"};
  EXPECT_THAT([&] { submit(); }, ThrowsMessage<Error>(AllOf(HasSubstr("Invalid account"),
                                                            HasSubstr("No space left"))));
  EXPECT_THAT(found_again().given_up, HasSubstr("before Slurm had it"));
}

TEST_F(FullDisk, WhatCanNeitherBeNotedNorFoundIsCancelled) {
  fills_ = true;
  answers_["sbatch"] = {0, "taken\n", ""};
  EXPECT_THAT([&] { submit(); },
              ThrowsMessage<Error>(AllOf(HasSubstr(folder_.submission().string()),
                                         HasSubstr("it was cancelled by its name"))));
  EXPECT_EQ(asked_.back(), "scancel --name=sweep-one");
}

TEST_F(FullDisk, WhatIsLearntOfASubmissionHoldsAlthoughItCannotBeNoted) {
  write_submission(folder_, submission_);
  fill_disk_for(folder_.submission());
  answers_["squeue"] = {0, "1001\n", ""};
  recover(folder_, submission_, patience_);
  EXPECT_EQ(submission_.job_id, "1001");
  EXPECT_THAT(said_, AllOf(HasSubstr(folder_.submission().string()), HasSubstr("No space left")));
  EXPECT_EQ(found_again().job_id, "1001");
}

TEST_F(FullDisk, ALookGoesOn) {
  write_submission(folder_, submission_);
  TaskEvent event;
  event.what = "end";
  append_event(folder_, event);
  fill_disk_for(folder_.submission());
  Queue queue(patience_);
  const Standing standing =
      standing_of(house_ / "results/sweep", queue, patience_, [](const Problem&) {});
  EXPECT_THAT(standing.held, IsEmpty());
  EXPECT_FALSE(read_submission(folder_).over);
}

TEST_F(FullDisk, CancellingReachesAllArrays) {
  Standing standing;
  for (const char* number : {"1001", "1002"}) {
    submission_.job_id = number;
    standing.submissions.push_back({{house_ / "results/sweep/slurm" / number}, submission_});
  }
  const fs::path first = standing.submissions[0].folder.submission();
  fill_disk_for(first);
  EXPECT_THAT([&] { take_back(standing, patience_); },
              ThrowsMessage<Error>(AllOf(HasSubstr(first.string()), HasSubstr("No space left"),
                                         HasSubstr("make room there"))));
  EXPECT_THAT(asked_, ElementsAre("scancel 1001", "scancel 1002"));
  EXPECT_TRUE(read_submission(standing.submissions[1].folder).cancelled);
}

TEST_F(FullDisk, OneArrayThatSlurmDoesNotCancelKeepsNoOtherFromIt) {
  Standing standing;
  for (const char* number : {"1001", "1002"}) {
    submission_.job_id = number;
    standing.submissions.push_back({{house_ / "results/sweep/slurm" / number}, submission_});
  }
  answers_["scancel"] = {1, "", "Access denied"};
  EXPECT_THAT([&] { take_back(standing, patience_); },
              ThrowsMessage<Error>(AllOf(HasSubstr("scancel 1001"), HasSubstr("scancel 1002"))));
}

}  // namespace
}  // namespace tarflow::slurm
