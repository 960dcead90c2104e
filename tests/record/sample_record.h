// Records for the tests: a job with every kind of cell and array.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>

#include "framework/record/record.h"

namespace tarflow::record {

// A folder of its own for each test, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tarflow_record_XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// What `action` throws, "" when it does not.
template <typename Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline void expect_same_arrays(const std::vector<Array>& a, const std::vector<Array>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE(a[i].path);
    EXPECT_EQ(a[i].path, b[i].path);
    EXPECT_EQ(a[i].type, b[i].type);
    EXPECT_EQ(a[i].shape, b[i].shape);
    EXPECT_EQ(a[i].data, b[i].data);
    EXPECT_EQ(a[i].strings, b[i].strings);
    EXPECT_EQ(a[i].unit, b[i].unit);
    EXPECT_EQ(a[i].meaning, b[i].meaning);
    EXPECT_EQ(a[i].timing, b[i].timing);
    EXPECT_EQ(a[i].point, b[i].point);
    EXPECT_EQ(a[i].axes, b[i].axes);
  }
}

inline Array text_array(std::string path, std::vector<std::string> strings) {
  Array array;
  array.path = std::move(path);
  array.type = ArrayType::kString;
  array.shape = {static_cast<int64_t>(strings.size())};
  array.strings = std::move(strings);
  array.meaning = "names";
  return array;
}

// `points` rows named <hash>-0, <hash>-1, ...; all lists in the order in which they are read back.
inline JobRecord sample_job(const std::string& hash, int points = 2) {
  JobRecord job;
  job.hash = hash;
  job.job = {{"hash", hash}, {"settings", {{"cfg", 1.5}, {"name", "Pr\u00fcfung"}}}};
  job.environment = {{"host", "a"}, {"threads", 2}};
  job.columns = {{"cfg", ColumnType::kFloat64, "", "guidance", false},
                 {"experiment", ColumnType::kString, "", "the experiment", false},
                 {"num_images", ColumnType::kInt64, "images", "how many", false},
                 {"point", ColumnType::kString, "", "id", false},
                 {"seconds", ColumnType::kFloat64, "s", "time taken", true}};
  for (int i = 0; i < points; ++i) {
    Row row{{"point", fmt::format("{}-{}", hash, i)},
            {"experiment", std::string("evaluate, gr\u00fcn")},
            {"cfg", 0.1 * (i + 1)},
            {"seconds", 3.25}};
    if (i == 0) row["num_images"] = int64_t{1} << 60;
    job.rows.push_back(row);
  }
  job.arrays = {
      make_array("crm/norm_2", {2, 3}, std::vector<double>{1, 2, 3, 4, 5, 1.0 / 3}, "",
                 "CRM, norm x block"),
      make_array("empty", {0, 4}, std::vector<float>{}, "", "nothing, image x value"),
      make_array("images/before", {1, 2, 2}, std::vector<float>{-1, 0.5F, 1, 2}, "", "images"),
      make_array("iterations", {3}, std::vector<int64_t>{1, -2, int64_t{1} << 62}, "", "count"),
      text_array("labels", {"one", "", "dr\u00fcben"}),
      make_array("pixels", {2}, std::vector<uint8_t>{0, 255}, "grey levels", "pixels"),
      make_array("scalar", {}, std::vector<double>{std::numeric_limits<double>::infinity()}, "nats",
                 "one number"),
      make_array("seconds", {2}, std::vector<double>{0.5, 0.25}, "s", "a time each iteration")};
  job.arrays.back().timing = true;
  job.arrays[5].point = job.rows.empty() ? "" : hash + "-0";
  return job;
}

}  // namespace tarflow::record
