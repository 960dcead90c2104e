#include "analysis/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "framework/core/file.h"
#include "tests/analysis/call.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kSequential = "blocks 2-0: sequential";

class AnswerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("tarflow_answer_" + std::to_string(::getpid()) + "_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A job of one point; its images all have this value.
  void add(record::Row row, float value, const Json& smoke = nullptr) {
    const std::string id = std::get<std::string>(row.at("point")), hash = "j" + id;
    row["job"] = hash;
    record::JobRecord job =
        testing::make_job(hash, std::get<std::string>(row.at("experiment")), "small.pth", {id});
    if (!smoke.is_null()) job.job["smoke"] = smoke;
    job.arrays = {testing::images_array(2, 2, std::vector<float>(24, value))};
    job.rows = {row};
    job.columns = testing::columns_of(job.rows);
    const fs::path file = folder_ / "demo/jobs" / hash / "result.h5";
    write_json_file(file.parent_path() / "job.json", job.job);
    record::write_job(file, job);
    jobs_.push_back(file);
  }

  void add_strategies(int count, double share) {
    for (int i = 0; i < count; ++i) {
      record::Row row = testing::evaluate_row(
          "p" + std::to_string(i), "", i == 0 ? "For" : "[2-8-" + std::to_string(i) + "-4]",
          i == 0 ? kSequential : "block 2: gs " + std::to_string(i), 10.0 / (i + 1));
      row["device"] = std::string("AMD EPYC, 2 threads");
      row["exclusive"] = int64_t{share == 0};
      row["foreign_cpu_share"] = share;
      add(row, 1 - 0.1f * static_cast<float>(i));
    }
  }

  // A point of evaluate of this seed.
  void add_seed(const std::string& id, const std::string& strategy, int64_t seed, double seconds,
                float value = 1) {
    record::Row row = testing::evaluate_row(
        id, "", strategy, strategy == "For" ? kSequential : "block 2: gs", seconds);
    row["seed"] = seed;
    add(row, value);
  }

  // What `analyze --short` prints.
  std::string answer() {
    EXPECT_TRUE(record::merge(folder_ / "demo.h5", "demo", jobs_).problems.empty());
    const testing::Outcome outcome =
        testing::call({(folder_ / "demo.h5").string(), "--short", "--published",
                       testing::published_file().string()});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_LE(std::count(outcome.out.begin(), outcome.out.end(), '\n'),
              static_cast<std::ptrdiff_t>(kMostAnswerLines))
        << outcome.out;
    return outcome.out;
  }

  fs::path folder_;
  std::vector<fs::path> jobs_;
};

TEST_F(AnswerTest, IsOneTableAndWhereTheRestIs) {
  add_strategies(2, 0);
  const std::string text = answer();
  EXPECT_THAT(text, StartsWith("Results of demo: 2 points of evaluate\n"));
  EXPECT_THAT(text, HasSubstr("demo at cfg 1, self_denoising_lr 0"));
  EXPECT_THAT(text, HasSubstr("For          10.00  1.00"));
  EXPECT_THAT(text, HasSubstr("[2-8-1-4]     5.00  2.00"));
  EXPECT_THAT(text, HasSubstr("0.1000"));
  EXPECT_THAT(text, Not(HasSubstr("not valid")));
  EXPECT_THAT(text, HasSubstr("report: file://" + (folder_ / "demo/report/report.html").string()));
  EXPECT_THAT(text, HasSubstr("all tables: analyze " + (folder_ / "demo.h5").string()));
  EXPECT_TRUE(fs::exists(folder_ / "demo/report/report.html"));
}

// Images are compared with those of For with the same seed, whatever else the record holds. Nothing
// is compared of seed 2, which has no For.
TEST_F(AnswerTest, TheDeviationIsAMeanOverTheSeedsOfBothAlsoBesideSample) {
  add_seed("a0", "For", 0, 4, 1);
  add_seed("a1", "For", 1, 4, 2);
  add_seed("b0", "[2-8-1-4]", 0, 2, 0.75f);  // a quarter from For's
  add_seed("b1", "[2-8-1-4]", 1, 2, 1);      // half from For's
  add_seed("b2", "[2-8-1-4]", 2, 2, 9);
  record::Row look = testing::evaluate_row("c0", "", "For", kSequential, 4);
  look["experiment"] = std::string("sample");
  add(look, 5);
  const std::string text = answer();
  EXPECT_THAT(text, StartsWith("Results of demo: 5 points of evaluate, 1 of sample\n"));
  EXPECT_THAT(text, HasSubstr("0.3750"));
}

TEST_F(AnswerTest, TheAnswerIsNoTableToChooseOrToFormat) {
  add_strategies(2, 0);
  answer();
  for (const auto& [option, value] :
       {std::pair("--format", "csv"), std::pair("--table", "Speed")}) {
    const testing::Outcome outcome =
        testing::call({(folder_ / "demo.h5").string(), "--short", option, value});
    EXPECT_EQ(outcome.status, 1) << "an option must not be ignored";
    EXPECT_THAT(outcome.err, HasSubstr(option));
  }
}

TEST_F(AnswerTest, RatesOfABusyMachineAreIndicative) {
  add_strategies(2, 0.34);
  const std::string text = answer();
  EXPECT_THAT(text, HasSubstr("2.00ᵃ"));
  EXPECT_THAT(text, HasSubstr("ᵃ indicative"));
  EXPECT_THAT(text, HasSubstr("others used 34 % of the CPU"));
  EXPECT_THAT(text, HasSubstr("run_sweep SWEEP.yaml --force --only experiment=evaluate"));
}

TEST_F(AnswerTest, OfManyStrategiesTheFastestAreShownBesideFor) {
  add_strategies(12, 0.5);
  record::Row other = testing::evaluate_row("q", "", "For", kSequential, 3);
  other["num_images"] = int64_t{8};
  other["status"] = std::string("some images are not finite; " + std::string(500, 'x'));
  add(other, 1);
  const std::string text = answer();
  EXPECT_THAT(text, ContainsRegex("in the order of passes; not shown: [0-9]+ slower[ \n]+"
                                  "strategies, 1 group"));
  EXPECT_THAT(text, HasSubstr("\nFor "));
  EXPECT_THAT(text, HasSubstr("\n[2-8-11-4] "));
  EXPECT_THAT(text, Not(HasSubstr("\n[2-8-1-4] ")));
  EXPECT_THAT(text, HasSubstr("not valid: 1 point: some images are not finite"));
}

TEST_F(AnswerTest, WhatWasFoundIsToldInWholeBesideManyStrategies) {
  add_strategies(12, 0.5);
  const std::string text = answer();
  EXPECT_THAT(text, HasSubstr("its error is not known."));
  EXPECT_THAT(text, Not(HasSubstr("…")));
}

TEST_F(AnswerTest, RowsOfDifferentSeedsSayTheirs) {
  add_seed("a0", "For", 0, 4);
  add_seed("b0", "[2-8-1-4]", 0, 2);
  add_seed("b1", "[2-8-1-4]", 1, 8);
  const std::string text = answer();
  EXPECT_THAT(text, HasSubstr("seed 0 only"));
  EXPECT_THAT(text, Not(HasSubstr("seeds 0, 1 only"))) << "these are all seeds";
  EXPECT_THAT(text, HasSubstr("over seed 0, which both have"));
  EXPECT_THAT(text, HasSubstr("2.00"));
}

TEST_F(AnswerTest, OddNamesAreQuotedAsAShellTakesThem) {
  folder_ /= "a b";
  fs::create_directories(folder_);
  add_strategies(2, 0);
  const std::string text = answer();
  EXPECT_THAT(text, HasSubstr("all tables: analyze '" + (folder_ / "demo.h5").string() + "'"));
  EXPECT_THAT(text, HasSubstr("/a%20b/demo/report/report.html"));
}

TEST_F(AnswerTest, WithoutDistancesTheSettingWithMostStrategiesIsShown) {
  add_strategies(2, 0);
  jobs_.clear();
  for (const auto& [id, strategy, cfg] : std::vector<std::tuple<std::string, std::string, double>>{
           {"a", "For", 0}, {"b", "For", 2}, {"c", "[2-8-1-4]", 2}}) {
    record::Row row =
        testing::evaluate_row(id, "", strategy, strategy == "For" ? kSequential : "block 2: gs", 4);
    for (const char* column : {"distance", "distance_name", "distance_images"}) row.erase(column);
    row["cfg"] = cfg;
    add(row, 1);
  }
  const std::string text = answer();
  EXPECT_THAT(text, HasSubstr("demo at cfg 2, self_denoising_lr 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("FD(small)")));
}

TEST_F(AnswerTest, OfSeveralModelsEachHasForAndTheBestStrategyBesideIt) {
  for (const std::string model : {"afhq", "img64"}) {
    const auto one = [&](const std::string& id, const std::string& strategy, double seconds,
                         double distance) {
      record::Row row = testing::evaluate_row(
          model + id, "", strategy, strategy == "For" ? kSequential : "block 2: gs " + id, seconds);
      row["model"] = model;
      row["distance"] = distance;
      add(row, 1);
    };
    one("a", "For", 8, 1);
    one("b", "near", 4, 1.005);
    one("c", "fast", 1, 1.5);
  }
  const std::string text = answer();
  EXPECT_THAT(text, HasSubstr("Each model at its best setting"));
  EXPECT_THAT(text, ContainsRegex("afhq +cfg 1, self_denoising_lr 0 +For +8"));
  EXPECT_THAT(text, ContainsRegex("img64 +cfg 1, self_denoising_lr 0 +For +8"));
  EXPECT_THAT(text, ContainsRegex("near +4.* 2.00 +1.0050"));
  EXPECT_THAT(text, Not(ContainsRegex("fast +1")));
}

TEST_F(AnswerTest, DistancesOfTooFewImagesAreNotJudgedWithoutAWarning) {
  for (const std::string id : {"a", "b"}) {
    record::Row row = testing::evaluate_row(id, "", id == "a" ? "For" : "[2-8-1-4]",
                                            id == "a" ? kSequential : "block 2: gs", 4);
    row["distance_images"] = int64_t{8};
    add(row, 1);
  }
  EXPECT_THAT(answer(), HasSubstr("FEWER IMAGES (8) THAN FEATURES\n(96)"));
  EXPECT_THAT(read_file(folder_ / "demo/report/report.html"),
              ContainsRegex("In short</h2>[^/]*</p>[^/]*FEWER IMAGES \\(8\\)"));
}

// A trial of the same model, and real results.
TEST_F(AnswerTest, ATrialIsInNoTableBesideRealResults) {
  add_strategies(2, 0);
  record::Row trial = testing::evaluate_row("t", "", "[2-9-9-4]", "block 2: gs", 4);
  trial["smoke"] = int64_t{1};
  trial["model"] = std::string("another");
  add(trial, 1, {{"num_images", 2}});
  const std::string text = answer();
  EXPECT_THAT(text, HasSubstr("SMOKE: 1 of 3 points are of a smoke run"));
  EXPECT_THAT(text, HasSubstr("\ndemo at cfg 1, self_denoising_lr 0\n"));
  EXPECT_THAT(text, HasSubstr("not shown: 1 group of a smoke run"));
  EXPECT_THAT(text, Not(HasSubstr("[2-9-9-4]")));
  EXPECT_THAT(text, Not(HasSubstr("Each model")));
}

// Numbers of a trial choose nothing: neither its times nor its distances.
TEST_F(AnswerTest, OfATrialTheFirstStrategiesOfTheSweepAreShown) {
  const std::vector<std::string> order = {"8", "3", "7", "1", "0", "6", "2", "5", "4"};
  for (const std::string& id : order) {
    record::Row row = testing::evaluate_row("p" + id, "", "[2-" + id + "]", "block 2: gs " + id, 4);
    row["block_passes"] = std::stod(id);
    row["distance"] = 1 + std::stod(id);
    row["smoke"] = int64_t{1};
    add(row, 1, {{"num_images", 2}});
  }
  std::vector<std::string> ids;
  for (const std::string& id : order) ids.push_back("p" + id);
  std::vector<record::JobFile> files;
  for (const fs::path& job : jobs_) files.push_back({job, {}});
  record::merge(folder_ / "demo.h5", "demo", files, {.order = ids});
  const std::string text = testing::call({(folder_ / "demo.h5").string(), "--short"}).out;
  EXPECT_THAT(text, HasSubstr("as in the sweep file; not shown: 3 strategies\n")) << text;
  EXPECT_THAT(text, ContainsRegex("\\[2-8\\][^[]*\\[2-3\\][^[]*\\[2-7\\][^[]*\\[2-1\\]"));
  EXPECT_THAT(text, Not(HasSubstr("[2-4]")));
}

TEST_F(AnswerTest, NothingFollowsTheErrorOfAFolderThatIsNoRecord) {
  add_strategies(2, 0);
  answer();
  for (const std::string name : {"demo", "demo/"}) {
    const testing::Outcome outcome = testing::call({(folder_ / name).string(), "--short"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("it is a folder"));
    EXPECT_TRUE(outcome.err.ends_with(
        "give the record beside it: " + (folder_ / "demo.h5").string() + "\n"))
        << outcome.err;
  }
}

TEST_F(AnswerTest, ASmokeRunSaysSoInEveryTitleAndHasNoRate) {
  for (const char* id : {"a", "b"}) {
    record::Row row = testing::evaluate_row(id, "", id[0] == 'a' ? "For" : "[2-8-1-4]",
                                            id[0] == 'a' ? kSequential : "block 2: gs", 4);
    row["smoke"] = int64_t{1};
    add(row, 1, {{"num_images", 2}});
  }
  record::Row look = testing::evaluate_row("c", "", "For", kSequential, 4);
  look["experiment"] = std::string("sample");
  look.erase("smoke");
  add(look, 1, {{"num_images", 2}});
  const std::string text = answer();
  EXPECT_THAT(text, StartsWith("SMOKE: Results of demo"));
  EXPECT_THAT(text, HasSubstr("\nSMOKE: demo at cfg 1"));
  EXPECT_THAT(text, HasSubstr("Its times, distances and images mean\nnothing."));
  EXPECT_THAT(text, Not(HasSubstr("smallest distance")));
  const testing::Outcome tables =
      testing::call({(folder_ / "demo.h5").string(), "--format", "markdown", "--published",
                     testing::published_file().string()});
  std::istringstream lines(tables.out);
  size_t titles = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("#") || line == "## Points") continue;
    ++titles;
    EXPECT_THAT(line, HasSubstr("SMOKE"));
  }
  EXPECT_GE(titles, 4u) << tables.out;
  EXPECT_THAT(tables.out, HasSubstr("SMOKE RUN: all points are of a trial"));
  EXPECT_THAT(read_file(folder_ / "demo/report/report.html"), HasSubstr("<title>SMOKE: "));
}

}  // namespace
}  // namespace tarflow::analysis
