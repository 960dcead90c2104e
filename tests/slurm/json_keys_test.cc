// Job descriptions and submissions that another version wrote.
#include "framework/core/json_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/job/job.h"
#include "framework/slurm/submission.h"
#include "tests/support/house.h"

namespace tarflow::slurm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

template <typename Call>
std::string message_of(const Call& call) {
  try {
    call();
  } catch (const Error& failure) {
    return failure.what();
  }
  return "";
}

Json submission_json() {
  Submission submission;
  submission.name = "20260102-030405-000";
  submission.job_name = "demo-x";
  submission.job_id = "1001";
  submission.tasks = {{"a", "b"}, {"c"}};
  submission.cancelled_tasks = {1};
  submission.avoided = {"n1"};
  submission.profile.executor = Executor::kSlurm;
  return to_json(submission);
}

// All paths to keys in a tree of objects.
void keys_below(const Json& json, const std::string& at, std::vector<std::string>& keys) {
  for (const auto& [key, value] : json.items()) {
    const std::string here = at + "/" + key;
    keys.push_back(here);
    if (value.is_object()) keys_below(value, here, keys);
  }
}

TEST(JsonKeys, NumbersTextsAndBooleansAreToldApart) {
  const Json json = {{"whole", 3}, {"part", 1.5}, {"text", "x"}, {"yes", true}, {"none", nullptr}};
  EXPECT_EQ(value_or(json, "whole", int64_t{1}), 3);
  EXPECT_EQ(value_or(json, "whole", 0.5), 3.0);
  EXPECT_EQ(value_or(json, "absent", 0.5), 0.5);
  EXPECT_THROW(value_or(json, "part", int64_t{1}), Error);
  EXPECT_THROW(value_or(json, "yes", int64_t{1}), Error);
  EXPECT_THROW(value_or(json, "yes", 1.0), Error);
  EXPECT_THROW(value_or(json, "whole", false), Error);
  EXPECT_THROW(value_or(json, "none", std::string()), Error);
  EXPECT_THAT(message_of([&] { value_or(json, "text", 1.0); }), HasSubstr("`text`"));
  EXPECT_THAT(message_of([&] { required_value<double>(json, "absent"); }), HasSubstr("`absent`"));
  EXPECT_THROW(value_or(Json(3), "x", 1.0), Error);
}

TEST(JsonKeys, ASubmissionThatLacksAKeyIsRead) {
  const Json whole = submission_json();
  EXPECT_EQ(to_json(submission_from_json(whole)), whole);
  std::vector<std::string> keys;
  keys_below(whole, "", keys);
  for (const std::string& key : keys) {
    Json json = whole;
    const Json::json_pointer at(key);
    json[at.parent_pointer()].erase(at.back());
    if (key == "/tasks") {
      EXPECT_THAT(message_of([&] { submission_from_json(json); }), HasSubstr("`tasks`"));
      continue;
    }
    const Submission read = submission_from_json(json);
    EXPECT_EQ(read.tasks, (std::vector<std::vector<std::string>>{{"a", "b"}, {"c"}})) << key;
    EXPECT_TRUE(read.open()) << key;
    EXPECT_EQ(read.job_id, key == "/job_id" ? "" : "1001") << key;
  }
  Json nameless = whole;
  nameless.erase("job_id");
  nameless.erase("job_name");
  EXPECT_THROW(submission_from_json(nameless), Error) << "it cannot be looked for in the queue";
  Json more = whole;
  more["of a newer version"] = 3;
  EXPECT_EQ(to_json(submission_from_json(more)), whole);
}

TEST(JsonKeys, ASubmissionWithAWrongTypeNamesFileAndKey) {
  const Scratch house;
  const SubmissionFolder folder{house / "slurm/x"};
  const Json whole = submission_json();
  std::vector<std::string> keys;
  keys_below(whole, "", keys);
  for (const std::string& key : keys) {
    Json json = whole;
    const Json::json_pointer at(key);
    json[at] = Json::array({nullptr});
    write_json_file(folder.submission(), json);
    const std::string text = message_of([&] { read_submission(folder); });
    EXPECT_THAT(text, AllOf(HasSubstr(folder.submission().string()),
                            HasSubstr(key == "/run" || key == "/profile" ? "JSON object"
                                                                         : "`" + at.back() + "`")))
        << key;
  }
}

TEST(JsonKeys, SubmissionsThatCannotBeReadOrListedAreProblems) {
  const Scratch house;
  std::vector<Problem> problems;
  EXPECT_THAT(read_submissions(house.path(), problems), IsEmpty());
  EXPECT_THAT(problems, IsEmpty()) << "there are none";
  write_json_file(house / "slurm/a/submission.json", submission_json());
  std::filesystem::create_directories(house / "slurm/b/submission.json");
  std::filesystem::create_directories(house / "slurm/c");
  EXPECT_THAT(read_submissions(house.path(), problems), SizeIs(1));
  EXPECT_THAT(problems, SizeIs(1));
  problems.clear();
  std::filesystem::create_symlink("/no/such/disk", house / "elsewhere");
  std::filesystem::remove_all(house / "slurm");
  std::filesystem::create_symlink("/no/such/disk", house / "slurm");
  read_submissions(house.path(), problems);
  EXPECT_THAT(problems, SizeIs(1));
}

TEST(JsonKeys, AJobThatLacksAKeyIsReadButNotRun) {
  const Json whole = {{"hash", "h"},
                      {"experiment", "measure"},
                      {"settings", {{"value", 1.0}}},
                      {"points", {{{"id", "i"}, {"key", "k"}, {"settings", {{"lr", 0.0}}}}}},
                      {"model", nullptr},
                      {"contents", Json::object()},
                      {"sweep", "demo"},
                      {"smoke", nullptr},
                      {"generation", 2}};
  const Scratch house;
  const auto run = [&](const Json& json) {
    write_json_file(house / "job.json", json);
    return message_of([&] { job::read_job_to_run(house / "job.json"); });
  };
  EXPECT_EQ(run(whole), "");
  for (const auto& [key, value] : whole.items()) {
    Json json = whole;
    json.erase(key);
    EXPECT_EQ(message_of([&] { job::job_from_json(json); }), "") << key;
    const bool may = key == "sweep" || key == "smoke" || key == "generation";
    const std::string text = run(json);
    if (may) {
      EXPECT_EQ(text, "") << key;
    } else {
      EXPECT_THAT(text, AllOf(HasSubstr("job.json"), HasSubstr("`" + key + "`")));
    }
  }
  for (const char* key : {"id", "key", "settings"}) {
    Json json = whole;
    json["points"][0].erase(key);
    EXPECT_EQ(message_of([&] { job::job_from_json(json); }), "") << key;
    EXPECT_THAT(run(json), HasSubstr(key));
  }
  Json wrong = whole;
  wrong["generation"] = "two";
  EXPECT_THAT(run(wrong), AllOf(HasSubstr("job.json"), HasSubstr("`generation`")));
}

}  // namespace
}  // namespace tarflow::slurm
