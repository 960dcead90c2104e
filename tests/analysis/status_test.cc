#include "analysis/tables/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/page/page_summary.h"
#include "analysis/tables/crm.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(StatusTable, ShowsPointsWhoseStatusIsNotOk) {
  record::Row good = testing::evaluate_row("p0", "j", "For", "For", 1), bad = good, old = good;
  good["status"] = std::string("ok");
  bad["point"] = std::string("p1");
  bad["status"] = std::string("2 of 6 samples are not finite and left out");
  old["point"] = std::string("p2");  // of a version without the column
  const std::vector<Source> some = {testing::make_source("s", {good, old}, {})};
  EXPECT_FALSE(status_table(points_of(some)));
  const std::vector<Source> all = {testing::make_source("s", {good, bad, old}, {})};
  const auto table = status_table(points_of(all));
  ASSERT_TRUE(table);
  ASSERT_EQ(table->rows.size(), 1u);
  EXPECT_EQ(table->rows[0][0].text, "evaluate");
  EXPECT_EQ(table->rows[0][3].text, "p1");
  EXPECT_EQ(table->rows[0][4].text, "2 of 6 samples are not finite and left out");
}

TEST(StatusTable, NoBlockIsToughestByMetricsThatAreNotFinite) {
  EXPECT_EQ(dominant_blocks({1, 1, 9}), (std::vector<bool>{false, false, true}));
  for (const double value : {double{NAN}, double{INFINITY}}) {
    EXPECT_EQ(dominant_blocks({1, value, 9}), std::vector<bool>(3, false)) << value;
    record::Row row = testing::evaluate_row("p0", "j", "For", "For", 1);
    row["experiment"] = std::string("igm_crm");
    row["toughest_block"] = int64_t{0};
    row["toughest_crm_percent"] = value;  // as versions before wrote it, with status ok
    const std::vector<Source> sources = {testing::make_source("s", {row}, {})};
    EXPECT_THAT(plain_summary(points_of(sources), {}), Each(Not(HasSubstr("hardest"))));
  }
}

}  // namespace
}  // namespace tarflow::analysis
