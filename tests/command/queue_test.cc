// A queue made of answers.
#include "framework/command/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tarflow::command {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

class Queues : public ::testing::Test {
 protected:
  Queues() {
    templates_.submit = "qsub {script}";
    templates_.state = "qstat {ids}";
    templates_.cancel = "qdel {id}";
    templates_.silent_answers = 3;
  }
  // "waiting 7", ...
  std::vector<std::string> look(const process::Said& answer,
                                const std::vector<std::string>& ids = {"7"}) {
    answer_ = answer;
    std::vector<std::string> words;
    for (const auto& [id, standing] : watch_.look(templates_, ids)) {
      words.push_back(std::string(name_of(standing.state)) + " " + id);
    }
    return words;
  }

  Templates templates_;
  process::Said answer_;
  std::vector<std::string> asked_, notices_;
  process::Ask ask_ = [this](const std::vector<std::string>& command) {
    EXPECT_THAT(command, ElementsAre("/bin/sh", "-c", ::testing::_));
    asked_.push_back(command.back());
    return answer_;
  };
  Watch watch_{ask_, [this](const std::string& text) { notices_.push_back(text); }, [] {}};
};

TEST_F(Queues, SilenceIsCountedBeforeAJobIsLost) {
  EXPECT_THAT(look({0, "", ""}), ElementsAre("waiting 7"));
  EXPECT_THAT(look({0, "", ""}), ElementsAre("waiting 7"));
  EXPECT_THAT(look({0, "", ""}), IsEmpty()) << "the third in a row";
}

TEST_F(Queues, AServerThatIsAwayForAnHourLosesNoJob) {
  for (int i = 0; i < 299; ++i)
    ASSERT_THAT(look({1, "", "cannot connect"}), ElementsAre("waiting 7")) << i;
  EXPECT_THAT(notices_, ElementsAre(HasSubstr("cannot connect"))) << "said once";
  EXPECT_THAT(look({124, "", ""}), IsEmpty()) << "not for ever";
}

TEST_F(Queues, AServerThatDoesNotAnswerIsAskedOnceALook) {
  templates_.state = "qstat {id}";
  EXPECT_THAT(look({124, "", ""}, {"7", "8", "9"}),
              ElementsAre("waiting 7", "waiting 8", "waiting 9"));
  EXPECT_THAT(asked_, ElementsAre("qstat 7"));
}

TEST_F(Queues, AnAnswerEndsTheSilence) {
  look({0, "", ""});
  look({0, "", ""});
  EXPECT_THAT(look({0, "7 R\n", ""}), ElementsAre("running 7"));
  EXPECT_THAT(look({0, "", ""}), ElementsAre("waiting 7"));
  EXPECT_THAT(look({0, "7 strange\n", ""}), ElementsAre("waiting 7"));
  EXPECT_THAT(look({0, "", ""}), ElementsAre("waiting 7"));
}

TEST_F(Queues, GoneIsGoneAtOnce) {
  EXPECT_THAT(look({153, "8 Q\n", "qstat: Unknown Job Id 7\n"}, {"7", "8"}),
              ElementsAre("waiting 8"));
}

TEST_F(Queues, AnUnknownWordIsSaidOnceAndCountsAsWaiting) {
  EXPECT_THAT(look({0, "7 zombie\n8 zombie\n", ""}, {"7", "8"}),
              ElementsAre("waiting 7", "waiting 8"));
  for (int i = 0; i < 10; ++i) EXPECT_THAT(look({0, "7 zombie\n", ""}), ElementsAre("waiting 7"));
  EXPECT_THAT(notices_, ElementsAre(HasSubstr("7 zombie")));
}

TEST_F(Queues, JobsAreAskedAboutTogetherOrOneByOne) {
  std::vector<std::string> many;
  for (int i = 100; i < 350; ++i) many.push_back(std::to_string(i));
  look({0, "", ""}, many);
  EXPECT_THAT(asked_, SizeIs(2)) << "a command line has an end";
  asked_.clear();
  templates_.state = "qstat {id}";
  look({0, "R\n", ""}, {"7", "8"});
  EXPECT_THAT(asked_, ElementsAre("qstat 7", "qstat 8"));
  asked_.clear();
  templates_.state = "qstat -u $USER";
  look({0, "", ""}, many);
  EXPECT_THAT(asked_, ElementsAre("qstat -u $USER"));
}

TEST_F(Queues, SubmittingTellsWhatIsKnown) {
  const Fields fields{{{"script", "/a b/job.sh"}}, {}};
  answer_ = {0, "Hello\n7.server\n", ""};
  EXPECT_EQ(submit(templates_, fields, ask_), "7.server");
  EXPECT_EQ(asked_.back(), "qsub '/a b/job.sh'");
  answer_ = {2, "", "no such queue"};
  EXPECT_THROW(submit(templates_, fields, ask_), Refused);
  for (const process::Said& doubtful : {process::Said{124, "", ""}, process::Said{0, "\n", ""}}) {
    answer_ = doubtful;
    try {
      submit(templates_, fields, ask_);
      FAIL();
    } catch (const Refused&) {
      FAIL() << "the queue may have it";
    } catch (const Error& failure) {
      EXPECT_THAT(failure.what(), HasSubstr("runs nothing"));
    }
  }
}

TEST_F(Queues, CancellingWhatHasEndedIsWell) {
  EXPECT_EQ(cancel(templates_, "7", ask_), "");
  EXPECT_EQ(asked_.back(), "qdel 7");
  answer_ = {153, "", "qdel: Unknown Job Id 7"};
  EXPECT_EQ(cancel(templates_, "7", ask_), "");
  answer_ = {1, "", "qdel: Unauthorized Request 7"};
  EXPECT_EQ(cancel(templates_, "7", ask_), "qdel: Unauthorized Request 7");
}

TEST(Programs, AreTheFirstWordsOfTemplates) {
  EXPECT_EQ(program_of("qsub -N {name} {script}"), "qsub");
  EXPECT_EQ(program_of("LANG=C /opt/pbs/bin/qstat {ids}"), "/opt/pbs/bin/qstat");
  EXPECT_EQ(program_of("$(which qsub) {script}"), "");
}

}  // namespace
}  // namespace tarflow::command
