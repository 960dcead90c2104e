#include "analysis/tables/likelihood.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "analysis/show/markdown.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

record::Row bpd_row(const std::string& id, double bits, double nats) {
  return {{"point", id},
          {"job", std::string("j")},
          {"experiment", std::string("bpd")},
          {"model", std::string("demo")},
          {"device", std::string("cpu")},
          {"compute", std::string("float32")},
          {"images", std::string("cifar10")},
          {"labels", std::string("none")},
          {"num_images", int64_t{0}},
          {"draws", int64_t{2}},
          {"seed", int64_t{0}},
          {"images_used", int64_t{10000}},
          {"noise_std", bits > 0 ? kNothing : 0.05},
          {"bits_per_dimension", bits},
          {"bits_standard_error", bits > 0 ? 0.0125 : kNothing},
          {"noisy_nats_per_dimension", nats},
          {"noisy_nats_standard_error", bits > 0 ? kNothing : 0.025},
          {"smoke", int64_t{0}}};
}

TEST(LikelihoodTables, NeverMixBitsAndNats) {
  const std::vector<Source> sources = {
      testing::make_source("s", {bpd_row("p1", 3.25, kNothing), bpd_row("p2", kNothing, -1.5)},
                           {testing::make_job("j", "bpd", "demo.pth", {"p1", "p2"})})};
  const TableSet set = likelihood_tables(points_of(sources));
  ASSERT_EQ(set.tables.size(), 2u);
  EXPECT_EQ(set.shown, 2u);
  const std::string bits = render_markdown(set.tables[0]), nats = render_markdown(set.tables[1]);
  EXPECT_THAT(bits, HasSubstr("Bits per dimension"));
  EXPECT_THAT(bits, HasSubstr("| demo | cifar10 | none | 10,000 | 2 | 3.2500 ± 0.0125 |"));
  EXPECT_THAT(bits, HasSubstr("bits/dim"));
  EXPECT_THAT(bits, Not(HasSubstr("nats")));
  EXPECT_THAT(nats, HasSubstr("nats/dim"));
  EXPECT_THAT(nats, HasSubstr("| demo | cifar10 | none | 10,000 | 2 | 0.05 | -1.5000 ± 0.0250 |"));
  EXPECT_THAT(nats, Not(HasSubstr("bits/dim")));
}

TEST(LikelihoodTables, TellPointsOfOneModelApartAndNameWhatIsLeftOut) {
  record::Row other = bpd_row("p2", kNothing, -1.25);
  other["seed"] = int64_t{7};
  const std::vector<Source> sources = {testing::make_source(
      "s", {bpd_row("p1", kNothing, -1.5), other, bpd_row("p3", kNothing, kNothing)},
      {testing::make_job("j", "bpd", "demo.pth", {"p1", "p2", "p3"})})};
  const TableSet set = likelihood_tables(points_of(sources));
  ASSERT_EQ(set.tables.size(), 1u);
  EXPECT_EQ(set.shown, 2u);
  EXPECT_THAT(render_markdown(set.tables[0]), HasSubstr("| demo, seed 7 |"));
  EXPECT_THAT(set.left_out, ::testing::ElementsAre(HasSubstr("point p3")));
}

}  // namespace
}  // namespace tarflow::analysis
