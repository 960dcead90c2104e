#include "analysis/tables/crm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/show/markdown.h"
#include "framework/core/error.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::HasSubstr;

TEST(DominantBlocks, AreThePublishedBoldCells) {
  for (const PublishedModel& model : testing::published_figures().models) {
    std::vector<int> dominant;
    const std::vector<bool> marks = dominant_blocks(model.crm_percent);
    for (size_t block = 0; block < marks.size(); ++block) {
      if (marks[block]) dominant.push_back(static_cast<int>(block));
    }
    EXPECT_EQ(dominant, model.dominant) << model.name;
  }
}

TEST(DominantBlocks, NeedAMedianToStandOutFrom) {
  EXPECT_EQ(dominant_blocks({}), std::vector<bool>{});
  EXPECT_EQ(dominant_blocks({5}), std::vector<bool>{false});
  EXPECT_EQ(dominant_blocks({5, 5, 5, 5}), std::vector<bool>(4, false));
  EXPECT_EQ(dominant_blocks({1, 2, 1, 2.01}), (std::vector<bool>{false, false, false, false}));
  EXPECT_EQ(dominant_blocks({1, 1, 1, 2.01}), (std::vector<bool>{false, false, false, true}));
}

Source two_models() {
  record::JobRecord afhq =
      testing::make_job("j1", "igm_crm", "afhq_model_8_768_8_8_0.07.pth", {"p1"});
  afhq.arrays = testing::metric_arrays("2", {.1, .2, .3, .4, .5, .6, .7, .8},
                                       {.2, .2, .2, .2, .9, .9, .9, .9}, {1, 1, 1, 1, 1, 1, 1, 13});
  record::JobRecord small = testing::make_job("j2", "igm_crm", "small.pth", {"p2"});
  small.arrays = testing::metric_arrays("2", {1, 2}, {2, 1}, {3, 1});
  return testing::make_source(
      "s", {testing::igm_crm_row("p1", "j1", "afhq"), testing::igm_crm_row("p2", "j2", "small")},
      {afhq, small});
}

TEST(CrmTables, ShowModelsBesideThePublishedOnes) {
  const std::vector<Source> sources = {two_models()};
  const Published published = testing::published_figures();
  const TableSet set = crm_tables(points_of(sources), &published, "2");
  EXPECT_EQ(set.shown, 2u);
  EXPECT_THAT(set.left_out, ::testing::IsEmpty());
  ASSERT_EQ(set.tables.size(), 3u);
  const std::string text = render_markdown(set.tables[0]);
  EXPECT_THAT(text, HasSubstr("| block | afhq CRM % | AFHQ CRM % (published) | small CRM % |"));
  EXPECT_THAT(text, HasSubstr("| 0 | 5.00 | 6.33 | 75.00 |"));
  EXPECT_THAT(text, HasSubstr("| 7 | **65.00** | **42.60** | — |"));
  EXPECT_THAT(text, HasSubstr("norm 2"));
  EXPECT_THAT(text, HasSubstr("arXiv:2505.12849"));
}

TEST(CrmTables, TheMetricAndItsShareHaveDifferentNames) {
  const std::vector<Source> sources = {two_models()};
  const TableSet set = crm_tables(points_of(sources), nullptr, "2");
  for (const Table& table : set.tables) {
    for (size_t i = 0; i < table.columns.size(); ++i) {
      const std::string& title = table.columns[i].title;
      if (title.find("CRM") == std::string::npos) continue;
      double sum = 0;
      for (const auto& row : table.rows) sum += row[i].value.value_or(0);
      EXPECT_EQ(title.find("CRM %") != std::string::npos, std::abs(sum - 100) < 0.1) << title;
    }
  }
}

TEST(CrmTables, GuessIsZWhereItsIgmIsNotLarger) {
  const std::vector<Source> sources = {two_models()};
  const Published published = testing::published_figures();
  const TableSet set = crm_tables(points_of(sources), &published, "2");
  const std::string text = render_markdown(set.tables[1]);
  EXPECT_THAT(
      text, HasSubstr("| 1 | 1 | 5.00 | 0.2 | 0.2 | z | zero |"));  // equal: z; published [6] is 1
  EXPECT_THAT(text, HasSubstr("| 2 | 1 | 5.00 | 0.3 | 0.2 | zero | zero |"));
  EXPECT_THAT(text, HasSubstr("guess\\_list: \\[0, 0, 0, 0, 1, 1, 0, 0\\]"));  // sampling order
}

TEST(CrmTables, NamesPointsItCannotShow) {
  Source source = two_models();
  source.sweep.jobs.at("j1").arrays.pop_back();
  source.sweep.jobs.at("j2").arrays[0].data.assign(16, std::byte{0xff});  // NaN
  const std::vector<Source> sources = {source};
  const TableSet set = crm_tables(points_of(sources), nullptr, "2");
  EXPECT_EQ(set.shown, 0u);
  ASSERT_EQ(set.left_out.size(), 2u);
  EXPECT_THAT(set.left_out[0], HasSubstr("p1"));
  EXPECT_THAT(set.left_out[0], HasSubstr("igm_crm/norm_2/igm_zero"));
  EXPECT_THAT(set.left_out[1], HasSubstr("not finite"));
  EXPECT_THROW(block_metrics(points_of(sources)[0], "fro"), Error);
}

TEST(CrmTables, PointsMeasuredInAnotherNormAloneHaveATableOfTheirOwn) {
  Source source = two_models();
  source.sweep.jobs.at("j2").arrays = testing::metric_arrays("fro", {1, 2}, {2, 1}, {3, 1});
  const std::vector<Source> sources = {source};
  const TableSet set = crm_tables(points_of(sources), nullptr, "");
  EXPECT_EQ(set.shown, 2u);
  EXPECT_THAT(set.left_out, ::testing::IsEmpty());
  ASSERT_EQ(set.tables.size(), 4u);
  EXPECT_THAT(set.tables[0].title, HasSubstr("norm 2"));
  EXPECT_THAT(render_markdown(set.tables[0]), HasSubstr("| block | afhq CRM % |"));
  EXPECT_THAT(set.tables[2].title, HasSubstr("norm fro"));
  EXPECT_THAT(render_markdown(set.tables[2]), HasSubstr("| block | small CRM % |"));
  EXPECT_EQ(crm_tables(points_of(sources), nullptr, "2").left_out.size(), 1u);
}

TEST(CrmTables, TellEqualModelNamesApart) {
  Source source = two_models();
  source.sweep.rows[1]["model"] = std::string("afhq");
  source.sweep.rows[1]["num_images"] = int64_t{100};
  const std::vector<Source> sources = {source};
  const TableSet set = crm_tables(points_of(sources), nullptr, "2");
  EXPECT_THAT(render_markdown(set.tables[0]),
              HasSubstr("| block | afhq, num\\_images 100 CRM % | afhq, num\\_images 500 CRM % |"));
}

TEST(CrmTables, AllImagesAreShownAsTheNumberThatWasUsed) {
  Source source = two_models();
  source.sweep.rows[0]["num_images"] = int64_t{0};
  source.sweep.rows[0]["images_used"] = int64_t{6};
  const std::vector<Source> sources = {source};
  const TableSet set = crm_tables(points_of(sources), nullptr, "2");
  const std::string text = render_markdown(set.tables[0]);
  EXPECT_THAT(text, HasSubstr("afhq: 6 images"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("0 images.")));
}

}  // namespace
}  // namespace tarflow::analysis
