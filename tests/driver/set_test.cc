// Calls with --set, whose points are others than those of the file, and with --only.
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

TEST_F(RunSweep, TheRecordKeepsResultsOfTheFileBesideThoseOfSet) {
  ASSERT_EQ(run().status, 0);
  ASSERT_THAT(record().rows, SizeIs(6));
  const Finished other = run("demo.yaml --only value=1 --only lr=0 --set num_images=2");
  EXPECT_EQ(other.status, 0) << other.err;
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_THAT(record().rows, SizeIs(7));
  EXPECT_EQ(run("demo.yaml --set run.retries=1").status, 0);
  EXPECT_EQ(started_jobs(), 0u) << "the points are those of the file";
  EXPECT_THAT(record().rows, SizeIs(6));
}

// The file alone is looked at only for its results: without any its files are not read.
TEST_F(RunSweep, AFileThatSetReplacesIsReadOnlyWhenThereAreResultsOfIt) {
  write_file(house_ / "small", "small");
  write_file(house_ / "large", "");
  fs::resize_file(house_ / "large", 256 << 20);  // without content: its reading is announced
  write_file(house_ / "demo.yaml", "experiments:\n  - measure: {value: 1, data: large}\n");
  for (const size_t jobs : {1, 0}) {
    const Finished replaced = run("demo.yaml --set data=small");
    EXPECT_EQ(replaced.status, 0) << replaced.err;
    EXPECT_THAT(replaced.err, Not(HasSubstr("reading")));
    EXPECT_EQ(started_jobs(), jobs);
    EXPECT_THAT(record().rows, SizeIs(1));
  }
  fs::resize_file(house_ / "large", 1);
  ASSERT_EQ(run().status, 0);
  EXPECT_THAT(record().rows, SizeIs(1));
  ASSERT_EQ(run("demo.yaml --set num_images=2").status, 0);
  EXPECT_THAT(record().rows, SizeIs(2)) << "those of the file are kept";
}

TEST_F(RunSweep, CleanKeepsResultsOfCallsWithSetUnlessItIsToldToDeleteThem) {
  ASSERT_EQ(run("demo.yaml --only value=1").status, 0);
  ASSERT_EQ(run("demo.yaml --only value=1 --set num_images=2").status, 0);
  ASSERT_EQ(run("demo.yaml --only value=1 --set value=7 --set 'lr=[8, 9]'").status, 2)
      << "no point has value 1";
  ASSERT_EQ(run("demo.yaml --set value=7 --set 'lr=[8, 9]'").status, 0);
  state("[2, 3]", "[0, 1]");
  ASSERT_EQ(run().status, 0);
  const Finished kept = run("clean demo.yaml --yes");
  EXPECT_EQ(kept.status, 0) << kept.err;
  EXPECT_THAT(kept.out,
              AllOf(HasSubstr("finished, 2 points of measure (computed with --set num_images=2)\n"),
                    HasSubstr("(computed with --set value=7 --set 'lr=[8, 9]')\n"),
                    HasSubstr("demo: kept 2 job folders, "),
                    HasSubstr("computed by calls with --set; clean --set-calls deletes them too\n"),
                    HasSubstr("demo: no point of the sweep uses 1 job folder, ")));
  EXPECT_EQ(run("demo.yaml --set value=7 --set 'lr=[8, 9]'").status, 0);
  EXPECT_EQ(started_jobs(), 0u) << "its results are still there";
  const Finished all = run("clean demo.yaml --yes --set-calls");
  EXPECT_THAT(all.out,
              AllOf(HasSubstr("finished, 2 points of measure, computed with --set value=7"),
                    HasSubstr("; 2 of them computed with --set\n")));
  EXPECT_EQ(run("clean demo.yaml --yes --set-calls").out, "demo: nothing to clean\n");
}

TEST_F(RunSweep, APointThatTheFileHadSinceIsNoLongerOfACallWithSet) {
  state("[1]", "[0]");
  ASSERT_EQ(run("demo.yaml --set value=7").status, 0);
  state("[1, 7]", "[0]");
  ASSERT_EQ(run().status, 0);
  state("[1]", "[0]");
  EXPECT_THAT(run("clean demo.yaml --yes").out,
              AllOf(HasSubstr("uses 1 job folder"), Not(HasSubstr("--set"))));
}

TEST_F(RunSweep, CleanKnowsTheLastCallWithSetOfAnEarlierVersion) {
  state("[1]", "[0]");
  ASSERT_EQ(run("demo.yaml --set value=7").status, 0);
  Json note = read_json_file(house_ / "results/demo/sweep.json");
  note.erase("set_calls");
  write_json_file(house_ / "results/demo/sweep.json", note);
  EXPECT_THAT(run("clean demo.yaml --yes").out, HasSubstr("computed with --set value=7"));
}

TEST_F(RunSweep, AnotherNameHasARecordOfItsOwn) {
  ASSERT_EQ(run().status, 0);
  ASSERT_EQ(run("demo.yaml --only value=1 --set num_images=2 --set name=trial").status, 0);
  EXPECT_THAT(record::read_sweep(house_ / "results/trial.h5").rows, SizeIs(2));
  EXPECT_THAT(record().rows, SizeIs(6));
}

TEST_F(RunSweep, AFileThatIsNoneWithoutSetKeepsTheResultsOfTheCall) {
  write_file(house_ / "demo.yaml", "experiments:\n  - measure: {value: 1, num_images: 0}\n");
  EXPECT_EQ(run().status, 2);
  EXPECT_EQ(run("demo.yaml --set num_images=2").status, 0);
  EXPECT_THAT(record().rows, SizeIs(1));
}

TEST_F(RunSweep, OnlyTheFilesThatSelectedPointsNeedAreMissing) {
  write_file(house_ / "demo.yaml",
             "experiments:\n  - measure: {value: 1}\n  - measure: {value: 2, data: no/two}\n"
             "  - measure: {value: 3, data: no/three}\n");
  const Finished all = run("plan demo.yaml");
  EXPECT_THAT(all.out,
              AllOf(HasSubstr("2 cannot run"), HasSubstr("no/two"), HasSubstr("no/three")));
  const Finished one = run("plan demo.yaml --only value=2");
  EXPECT_THAT(one.out,
              AllOf(HasSubstr("1 cannot run"), HasSubstr("no/two"), Not(HasSubstr("no/three"))));
  const Finished done = run("demo.yaml --only value=1");
  EXPECT_EQ(done.status, 0) << "what was asked for is done: " << done.err;
  EXPECT_THAT(done.err, Not(HasSubstr("missing")));
}

}  // namespace
}  // namespace tarflow::driver
