// docs/paper.md: what the paper's table costs follows from the measured seconds of the published
// shapes, and the published figures are those of published.yaml.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "framework/core/file.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

using ::testing::HasSubstr;

constexpr int kImages = 50000, kChunk = 128, kGpus = 8;

std::string page() {
  return read_file(std::filesystem::path(TARFLOW_SOURCE_DIR) / "docs/paper.md");
}

std::string row_of(const std::string& label, const std::vector<double>& hours) {
  std::string row = fmt::format("| {} |", label);
  double sum = 0;
  for (const double value : hours) {
    row += fmt::format(" {:.2f} |", value);
    sum += value;
  }
  return row + fmt::format(" {:.2f} |", sum);
}

TEST(PaperPage, CostsAreThoseOfTheMeasuredShapes) {
  const record::SweepRecord record = record::read_sweep(std::filesystem::path(TARFLOW_SOURCE_DIR) /
                                                        "results/reference/benchmark_h200.h5");
  const auto hours = [&](const std::string& model, bool exact) {
    for (const record::Row& row : record.rows) {
      const auto text = [&](const char* column) { return std::get<std::string>(row.at(column)); };
      if (std::get<int64_t>(row.at("batch")) == kChunk && text("model") == model &&
          (text("strategy") == "For") == exact)
        return std::get<double>(row.at("seconds")) * std::ceil(double{kImages} / kChunk) / 3600;
    }
    ADD_FAILURE() << model;
    return 0.0;
  };
  std::vector<double> exact, strategy, both, shared;
  const double chunks = std::ceil(double{kImages} / kChunk), rounds = std::ceil(chunks / kGpus);
  for (const char* model : {"afhq", "img128cond", "img64cond", "img64uncond"}) {
    exact.push_back(hours(model, true));
    strategy.push_back(hours(model, false));
    both.push_back(exact.back() + strategy.back());
    shared.push_back(both.back() * rounds / chunks);
  }
  const std::string text = page();
  EXPECT_THAT(text, HasSubstr(fmt::format("{:.0f} chunks of {}", chunks, kChunk)));
  EXPECT_THAT(text, HasSubstr(fmt::format("in {:.0f} rounds", rounds)));
  EXPECT_THAT(text, HasSubstr(row_of("For", exact)));
  EXPECT_THAT(text, HasSubstr(row_of("strategy", strategy)));
  EXPECT_THAT(text, HasSubstr(row_of("both on one H200", both)));
  EXPECT_THAT(text, HasSubstr(row_of("both on eight H200", shared)));
}

TEST(PaperPage, FiguresAreThePublishedOnes) {
  const Published published = testing::published_figures();
  std::string exact = "| For: time |", time = "| strategy: time |", rate = "| rate |";
  std::string exact_fid = "| For: FID |", fid = "| strategy: FID |", names = "| strategy |";
  for (const char* name : {"AFHQ", "Img128cond", "Img64cond", "Img64uncond"}) {
    const auto model = std::find_if(published.models.begin(), published.models.end(),
                                    [&](const PublishedModel& one) { return one.name == name; });
    ASSERT_NE(model, published.models.end());
    exact += fmt::format(" {:.2f} |", model->for_time);
    exact_fid += fmt::format(" {:.2f} |", model->for_distance);
    time += fmt::format(" {:.2f} |", model->strategy_time);
    fid += fmt::format(" {:.2f} |", model->strategy_distance);
    rate += fmt::format(" {:.2f} |", model->rate);
    names += fmt::format(" {} |", model->strategy.name);
  }
  for (const std::string& row : {exact, exact_fid, names, time, fid, rate})
    EXPECT_THAT(page(), HasSubstr(row));
}

}  // namespace
}  // namespace tarflow::analysis
