#include "analysis/tables/measured.h"

#include <gmock/gmock.h>

#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::DoubleEq;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::SizeIs;

record::Row row(const std::string& id, const std::string& strategy, double seconds, double distance,
                int64_t seed = 0, double cfg = 1) {
  const std::string blocks =
      strategy == "For" ? "blocks 1-0: sequential" : "blocks 1-0: jacobi 4 guess z";
  record::Row made = testing::evaluate_row(id, "j" + id, strategy, blocks, seconds);
  made["distance"] = distance;
  made["seed"] = seed;
  made["cfg"] = cfg;
  return made;
}

// Families and what they point into.
struct Made {
  std::vector<Source> sources;
  std::vector<MeasuredFamily> families;
};

Made make(std::vector<record::Row> rows) {
  Made made;
  made.sources.push_back(testing::make_source("demo", std::move(rows), {}));
  made.families = measured_families(points_of(made.sources));
  return made;
}

TEST(Measured, SeedsOfOneSettingAreOne) {
  const Made made =
      make({row("a", "For", 9, 1.0, 0), row("b", "For", 10, 1.2, 1), row("c", "For", 12, 1.4, 2)});
  const auto& result = made.families;
  ASSERT_THAT(result, SizeIs(1));
  ASSERT_THAT(result[0].measured, SizeIs(1));
  const Measured& measured = result[0].measured[0];
  EXPECT_THAT(measured.points, SizeIs(3));
  EXPECT_NEAR(measured.distance->value, 1.2, 1e-12);
  EXPECT_NEAR(*measured.distance->error, std::sqrt(0.08 / 6), 1e-12);
  EXPECT_THAT(measured.seconds, Optional(DoubleEq((9 + 10 + 12) / 3.0)));
}

TEST(Measured, ARateIsOfTheSeedsThatBothHave) {
  const Made made =
      make({row("a", "For", 9, 1.0, 0), row("b", "For", 11, 1.2, 1), row("c", "A", 2, 1.0, 1),
            row("d", "A", 3, 1.2, 1), row("e", "A", 100, 1.2, 2)});
  const std::vector<Measured>& all = made.families[0].measured;
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_THAT(rate(all[1], &all[0]), Optional(DoubleEq(11 / 2.5)));
  EXPECT_THAT(rate(all[0], &all[0]), Optional(DoubleEq(1)));
  EXPECT_FALSE(rate(all[1], nullptr).has_value());
}

TEST(Measured, ARatioOfDistancesIsOfTheSeedsThatBothHave) {
  const Made made = make({row("a", "For", 9, 2.0, 0), row("b", "A", 3, 2.1, 0),
                          row("c", "A", 3, 9.0, 1), row("d", "B", 3, 2.0, 2)});
  // A and B share their blocks here, so they are told apart by their names.
  const std::vector<Measured>& all = made.families[0].measured;
  ASSERT_THAT(all, SizeIs(3));
  EXPECT_THAT(distance_ratio(all[1], &all[0]), Optional(DoubleEq(1.05)));
  EXPECT_EQ(distance_ratio(all[2], &all[0]), std::nullopt);
  EXPECT_EQ(common_seeds_text(all[1].points, all[0].points), "seed 0, which both have");
  EXPECT_EQ(no_common_seed(all[1].points, all[0].points), "");
  EXPECT_EQ(no_common_seed(all[2].points, all[0].points), "For was not measured with seed 2");
  EXPECT_EQ(without_common_seed({&all[1], &all[2]}, all[0]), "B");
  EXPECT_NEAR(over_common_seeds(all[1], all[0]).distance->value, 2.1, 1e-12);
}

TEST(Measured, OnlyValidTimesCount) {
  std::vector<record::Row> rows = {row("a", "For", 1, 1.0, 0), row("b", "For", 10, 1.2, 1),
                                   row("c", "For", 2, 1.4, 2)};
  rows[0]["exclusive"] = int64_t{0};
  rows[2]["interrupted"] = int64_t{1};
  EXPECT_THAT(make(rows).families[0].measured[0].seconds, Optional(DoubleEq(10)));
  rows[1]["smoke"] = int64_t{1};
  const auto result = make(rows).families;
  ASSERT_THAT(result, SizeIs(2));  // a smoke run compares with nothing
  for (const MeasuredFamily& family : result) EXPECT_EQ(family.measured[0].seconds, std::nullopt);
}

TEST(Measured, DevicesAreNeverPutTogether) {
  std::vector<record::Row> rows = {row("a", "For", 9, 1.0), row("b", "For", 10, 1.2)};
  rows[1]["device"] = std::string("gpu");
  const auto result = make(rows).families;
  ASSERT_THAT(result, SizeIs(2));
  EXPECT_EQ(result[0].title, "demo, device cpu");
  EXPECT_EQ(result[1].title, "demo, device gpu");
}

TEST(Measured, TheSequentialOneBesideAStrategy) {
  const Made made = make({row("a", "For", 9, 1.0, 0, 1), row("b", "For", 9, 2.0, 0, 2),
                          row("c", "J", 3, 2.5, 0, 2), row("d", "J", 3, 2.5, 0, 3)});
  const auto& result = made.families;
  ASSERT_THAT(result, SizeIs(1));
  const auto& measured = result[0].measured;
  ASSERT_THAT(measured, SizeIs(4));
  EXPECT_EQ(sequential_beside(result[0], measured[2]), &measured[1]);
  EXPECT_EQ(sequential_beside(result[0], measured[3]), nullptr);
}

TEST(Measured, PointsWithoutADistanceAreNone) {
  std::vector<record::Row> rows = {row("a", "For", 9, 1.0)};
  rows[0].erase("distance");
  EXPECT_THAT(make(rows).families, IsEmpty());
}

}  // namespace
}  // namespace tarflow::analysis
