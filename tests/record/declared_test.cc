#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/record/record.h"
#include "tests/record/sample_record.h"

namespace tarflow::record {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

ExperimentSchema schema() {
  ExperimentSchema schema;
  schema.name = "evaluate";
  schema.arrays = {
      {"moments/<point>/sum", ElementType::kFloat64, {"chunk", "feature"}, "", "sums", false},
      {"moments/<point>/<block>/seconds", ElementType::kFloat64, {"step"}, "s", "times", true},
      {"scalar", ElementType::kInt64, {}, "", "one number", false}};
  return schema;
}

Array sum(const std::string& path) {
  return make_array(path, {1, 2}, std::vector<double>{1, 2}, "", "sums");
}

Array seconds() {
  Array array = make_array("moments/p/b/seconds", {1}, std::vector<double>{1}, "s", "times");
  array.timing = true;
  return array;
}

std::string refusal(const Array& array) {
  return error_of([&] { require_declared(schema(), {array}); });
}

TEST(Declared, ArraysAsDeclaredPass) {
  EXPECT_EQ(error_of([] {
              require_declared(schema(),
                               {sum("moments/p/sum"), sum("moments/q/sum"), seconds(),
                                make_array("scalar", {}, std::vector<int64_t>{1}, "", "")});
            }),
            "");
  EXPECT_EQ(error_of([] { require_declared({}, {}); }), "");
}

TEST(Declared, APlaceholderMatchesOneComponent) {
  for (const char* path : {"moments/sum", "moments/p/q/sum", "moments/p/sum/x", "sum", "moments"}) {
    EXPECT_THAT(refusal(sum(path)),
                HasSubstr(std::string("does not declare the array `") + path + "`"));
  }
}

TEST(Declared, EveryDifferenceIsNamed) {
  Array array = sum("moments/p/sum");
  array.shape = {2};
  EXPECT_THAT(refusal(array), AllOf(HasSubstr("`moments/p/sum` of the experiment evaluate"),
                                    HasSubstr("has 1 axis, not 2 axes")));
  array = sum("moments/p/sum");
  array.unit = "s";
  EXPECT_THAT(refusal(array), HasSubstr("has the unit `s`, not none"));
  array = sum("moments/p/sum");
  array.axes = {"feature", "chunk"};
  EXPECT_THAT(refusal(array), HasSubstr("names the axes feature,chunk, not chunk,feature"));
  array = seconds();
  array.timing = false;
  EXPECT_THAT(refusal(array), HasSubstr("is declared as a time and is none"));
  EXPECT_THAT(refusal(make_array("scalar", {}, std::vector<double>{1}, "", "")),
              HasSubstr("holds float64, not int64"));
}

TEST(Declared, AllThatIsWrongIsSaidAtOnce) {
  const std::string text = error_of([] {
    require_declared(schema(), {sum("scalars"), sum("scalar")});
  });
  EXPECT_THAT(text, AllOf(HasSubstr("`scalars`"), HasSubstr("did you mean `scalar`?"),
                          HasSubstr("holds float64")));
}

TEST(Declared, AxesAreReadBack) {
  const ScratchFolder folder;
  JobRecord job = sample_job("aa");
  job.arrays[0].axes = {"norm, first", "block in checkpoint order"};
  write_job(folder / "r.h5", job);
  expect_same_arrays(read_job(folder / "r.h5").arrays, job.arrays);
  job.arrays[0].axes = {"norm"};
  EXPECT_THAT(error_of([&] { write_job(folder / "r.h5", job); }), HasSubstr("names 1 axes"));
}

}  // namespace
}  // namespace tarflow::record
