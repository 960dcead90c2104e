// The size of the record in `run:`.
#include "tests/sweep/support.h"

namespace tarflow::sweep {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class RunSettingsTest : public SweepTest {
 protected:
  std::string wrong(const std::string& text) const {
    try {
      load(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.problems().size(), 1u);
      return error.what();
    }
    return "";
  }

  int64_t limit(const std::string& size) const {
    const std::string run = fmt::format("run: {{merge_limit: {}}}\n", size);
    return load(evaluate_with("") + run).points.at(0).run->merge_limit;
  }
};

TEST_F(RunSettingsTest, TheSizeOfARecordHasAUnit) {
  EXPECT_EQ(limit("0"), 0);
  EXPECT_EQ(limit("2 TB"), 2'000'000'000'000);
  EXPECT_EQ(limit("1.5MB"), 1'500'000);
  EXPECT_EQ(load(evaluate_with("")).points.at(0).run->merge_limit, 1'000'000'000);
  for (const char* size : {"1000", "-1 GB", "1 gb", "2000 TB", "GB", "[1]"}) {
    EXPECT_THAT(wrong(evaluate_with("") + fmt::format("run: {{merge_limit: {}}}\n", size)),
                AllOf(HasSubstr("`merge_limit`: expected a size, found"),
                      HasSubstr("write a number and a unit, up to 1000 TB")))
        << size;
  }
}

TEST_F(RunSettingsTest, TheSizeOfARecordHoldsForTheSweep) {
  EXPECT_THAT(wrong(evaluate_with("      run: {merge_limit: 1 GB}\n")),
              HasSubstr("`merge_limit` holds for the whole sweep"));
}

}  // namespace
}  // namespace tarflow::sweep
