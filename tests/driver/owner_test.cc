// Two sweep files of one name in different folders.
#include "framework/job/owner.h"

#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Owners : public RunSweep {
 protected:
  // A sweep called config in a folder of its own, of this value.
  std::string config(const std::string& folder, int value) {
    state(fmt::format("[{}]", value), "[0]");
    const std::string name = folder + "/config.yaml";
    fs::create_directories((house_ / name).parent_path());
    fs::rename(house_ / "demo.yaml", house_ / name);
    return name;
  }
  std::set<double> values() {
    std::set<double> values;
    for (const record::Row& row : record::read_sweep(house_ / "results/config.h5").rows) {
      values.insert(std::get<double>(row.at("value")));
    }
    return values;
  }
};

TEST_F(Owners, ASecondFileOfTheNameIsRefusedByEveryAction) {
  const std::string one = config("one", 1), two = config("two", 2);
  ASSERT_EQ(run(one).status, 0);
  for (const char* action : {"", "--dry-run", "--status", "--list-jobs", "--clean --yes",
                             "--cancel", "--force", "--log x"}) {
    const Finished refused = run(fmt::format("{} {}", two, action));
    EXPECT_EQ(refused.status, 2) << action;
    EXPECT_THAT(refused.err, AllOf(HasSubstr("one/config.yaml"), HasSubstr("two/config.yaml"),
                                   HasSubstr("`name:`")))
        << action;
  }
  EXPECT_EQ(values(), std::set<double>{1});
  EXPECT_EQ(run(two + " --set name=other").status, 0) << "as the message says";
  EXPECT_EQ(run(one).status, 0);
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(Owners, AMovedFileKeepsItsResults) {
  const std::string one = config("one", 1);
  ASSERT_EQ(run(one).status, 0);
  fs::create_directories(house_ / "kept");
  fs::rename(house_ / one, house_ / "kept/config.yaml");
  const Finished moved = run("kept/config.yaml");
  EXPECT_EQ(moved.status, 0) << moved.err;
  EXPECT_EQ(started_jobs(), 0u);
  EXPECT_THAT(moved.err, AllOf(HasSubstr("one/config.yaml"), HasSubstr("kept/config.yaml")));
  EXPECT_EQ(run("kept/config.yaml").err.find("belonged"), std::string::npos) << "said once";
}

// The noted file may lie on a disk that is not mounted now.
TEST_F(Owners, CleanDeletesNothingOfAFileThatIsGone) {
  const std::string one = config("one", 1), two = config("two", 2);
  ASSERT_EQ(run(one).status, 0);
  fs::rename(house_ / one, house_ / "away.yaml");
  EXPECT_EQ(run(two + " --clean --yes").status, 2);
  fs::rename(house_ / "away.yaml", house_ / one);
  EXPECT_EQ(run(one).status, 0);
  EXPECT_EQ(started_jobs(), 0u);
}

TEST_F(Owners, OneFileByTwoNamesAndACopyWithTheSamePoints) {
  const std::string one = config("one", 1);
  ASSERT_EQ(run(one).status, 0);
  fs::create_directory_symlink(house_ / "one", house_ / "link");
  EXPECT_EQ(run("link/config.yaml").status, 0);
  fs::create_directories(house_ / "copy");
  fs::copy_file(house_ / one, house_ / "copy/config.yaml");
  EXPECT_EQ(run("copy/config.yaml").status, 0) << "nothing is taken away";
  EXPECT_EQ(started_jobs(), 0u);
  state("[2]", "[0]");
  fs::rename(house_ / "demo.yaml", house_ / "copy/config.yaml");
  EXPECT_EQ(run("copy/config.yaml").status, 0) << "the last to run is noted, and it has changed";
  EXPECT_EQ(run(one).status, 2);
}

TEST_F(Owners, ACheckoutCopiedWithItsResultsIsOneOfItsOwn) {
  const std::string one = config("work/sweeps", 1);
  ASSERT_EQ(run(one + " --results work/results").status, 0);
  fs::copy(house_ / "work", house_ / "copy", fs::copy_options::recursive);
  state("[1, 2]", "[0]");
  fs::rename(house_ / "demo.yaml", house_ / "copy/sweeps/config.yaml");
  EXPECT_EQ(run("copy/sweeps/config.yaml --results copy/results").status, 0);
  EXPECT_EQ(started_jobs(), 1u);
}

TEST_F(Owners, AdoptTakesThemOver) {
  const std::string one = config("one", 1), two = config("two", 2);
  ASSERT_EQ(run(one).status, 0);
  EXPECT_EQ(run(two + " --adopt").status, 0);
  EXPECT_EQ(values(), std::set<double>{2});
  EXPECT_EQ(run(two).status, 0);
  EXPECT_EQ(run(one).status, 2);
}

// So that the analysis can tell which jobs without result are still the sweep's.
TEST_F(Owners, TheNoteHasAllPointsOfTheSweepAsItIsNow) {
  const auto ids = [&] {
    return read_json_file(house_ / "results/config/sweep.json")
        .at("ids")
        .get<std::set<std::string>>();
  };
  state("[1, 2]", "[0]");
  fs::rename(house_ / "demo.yaml", house_ / "config.yaml");
  EXPECT_EQ(run("config.yaml --only value=1").status, 0);
  const std::set<std::string> both = ids();
  EXPECT_THAT(both, SizeIs(2)) << "also what is not selected";
  EXPECT_EQ(run("config.yaml").status, 0);
  EXPECT_EQ(ids(), both);
  config(".", 1);
  EXPECT_EQ(run("config.yaml --set lr=0").status, 0);
  EXPECT_EQ(read_json_file(house_ / "results/config/sweep.json").at("set"), Json::array({"lr=0"}));
  ASSERT_THAT(ids(), SizeIs(1));
  EXPECT_TRUE(both.contains(*ids().begin()));
}

TEST_F(Owners, NotesOfOtherVersionsAndNoNote) {
  const std::string one = config("one", 1);
  ASSERT_EQ(run(one).status, 0);
  for (const char* text : {"", "{", "[]", "{}", R"({"file": 3})"}) {
    write_file(house_ / "results/config/sweep.json", text);
    EXPECT_EQ(run(one).status, 0) << text;
  }
  fs::remove(house_ / "results/config/sweep.json");
  EXPECT_EQ(run(one).status, 0);
  EXPECT_EQ(started_jobs(), 0u);
}

}  // namespace
}  // namespace tarflow::driver
