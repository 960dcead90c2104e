#include "framework/core/json.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>

#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow {
namespace {

TEST(Json, CanonicalIsOneSortedLine) {
  Json value = {{"b", 1}, {"a", {{"d", nullptr}, {"c", true}}}, {"Z", "x\ny"}};
  EXPECT_EQ(canonical(value), R"({"Z":"x\ny","a":{"c":true,"d":null},"b":1})");
}

TEST(Json, NumbersPrintShortestAndKeepTheirType) {
  EXPECT_EQ(canonical(0.1), "0.1");
  EXPECT_EQ(canonical(1.0), "1.0");
  EXPECT_EQ(canonical(1), "1");
  EXPECT_EQ(canonical(1e-6), "1e-06");
  EXPECT_EQ(canonical(int64_t{9007199254740993}), "9007199254740993");
  for (const double number : {1.0 / 3, 1e300, 5e-324, -2.5, std::nextafter(1.0, 2.0)}) {
    EXPECT_EQ(Json::parse(canonical(number)).get<double>(), number);
  }
}

TEST(Json, NumbersThatAreNotFiniteAreRefused) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_THROW(canonical({{"a", {1.0, infinity}}}), Error);
  EXPECT_THROW(canonical(std::nan("")), Error);
}

TEST(Json, TextThatIsNotUtf8IsReplacedNotThrown) {
  EXPECT_EQ(canonical("a\xff"), "\"a\xEF\xBF\xBD\"");
}

TEST(Json, FilesRoundTripAndDamagedOnesAreNamed) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("tarflow_json_" + std::to_string(::getpid()) + ".json");
  const Json value = {{"a", {1, 2.5, "x"}}};
  write_json_file(path, value);
  EXPECT_EQ(read_json_file(path), value);
  write_file(path, "{\"a\": ");
  try {
    read_json_file(path);
    FAIL() << "read damaged JSON";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos);
  }
  std::filesystem::remove(path);
  EXPECT_THROW(read_json_file(path), Error);
}

}  // namespace
}  // namespace tarflow
