#include "tests/analysis/many_points.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/data/sources.h"
#include "analysis/report.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ManyPoints, EachHasItsRow) {
  constexpr size_t kPoints = 430;  // two cfg and a job of two points
  const fs::path folder =
      fs::path(::testing::TempDir()) / ("tarflow_many_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const fs::path file = folder / "many.h5";
  testing::write_many_points(file, kPoints, {.images = 1, .image_side = 2, .features = 2});
  const Report report = make_report({file}, folder / "report", {"2", testing::published_file()});
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_THAT(report.coverage, Contains(HasSubstr("430 points with results, all in the tables")));
  std::set<std::string> shown, wanted;  // a row may stand for several seeds
  for (const Table& table : report.tables) {
    const bool times = !table.columns.empty() && table.columns[1].title == "total s";
    for (const auto& row : table.rows) {
      if (times) shown.insert(row.front().origins.begin(), row.front().origins.end());
    }
  }
  std::vector<std::string> problems;
  const std::vector<Source> sources = read_sources({file}, problems);
  for (const Point& point : points_of(sources)) wanted.insert(point.origin());
  EXPECT_EQ(shown, wanted);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace tarflow::analysis
