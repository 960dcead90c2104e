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
