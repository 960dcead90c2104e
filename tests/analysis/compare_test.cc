#include "analysis/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "analysis/command.h"
#include "framework/core/file.h"
#include "tests/analysis/sweeps.h"

namespace tarflow::analysis {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

record::Array own(record::Array array, const std::string& point) {
  array.point = point;
  return array;
}

record::Array timing(record::Array array) {
  array.timing = true;
  return array;
}

// Two points of one job: shared arrays of each kind, one a point, and one of times.
record::SweepRecord sample(const std::string& job = "j") {
  record::JobRecord record = testing::make_job(job, "evaluate", "a.pth", {"p1", "p2"});
  record.arrays = {
      own(record::make_array("moments/p1/sum", {2}, std::vector<double>{1, 2}, "", ""), "p1"),
      own(record::make_array("moments/p2/sum", {2}, std::vector<double>{3, 4}, "", ""), "p2"),
      record::make_array("iterations", {2, 2}, std::vector<int64_t>{1, 2, 3, int64_t{1} << 60}, "",
                         ""),
      record::make_array("images", {2}, std::vector<float>{0.5F, -0.5F}, "", ""),
      timing(record::make_array("seconds", {1}, std::vector<double>{3}, "s", ""))};
  std::vector<record::Row> rows = {testing::evaluate_row("p1", job, "For", "all", 10),
                                   testing::evaluate_row("p2", job, "For", "all", 10)};
  record::SweepRecord sweep = testing::make_source("demo", rows, {record}).sweep;
  for (Column& column : sweep.columns) column.timing = column.name.ends_with("seconds");
  return sweep;
}

record::Array& array_of(record::SweepRecord& sweep, size_t index) {
  return sweep.jobs.begin()->second.arrays[index];
}

// The table's only row as text: result, points, absolute, relative, where, A, B.
std::string only_row(const Comparison& comparison) {
  if (comparison.table.rows.size() != 1) return "not one row";
  std::string text;
  for (const Cell& cell : comparison.table.rows[0]) text += cell.text + ";";
  return text;
}

TEST(Compare, ARecordEqualsItself) {
  const Comparison comparison = compare(sample(), sample(), {});
  EXPECT_TRUE(comparison.within);
  EXPECT_THAT(comparison.table.rows, IsEmpty());
  EXPECT_EQ(comparison.verdict,
            "Equal: 2 points agree in every bit. Times and devices are left out.");
}

TEST(Compare, TimesDevicesAndJobsDifferBetweenMachines) {
  record::SweepRecord other = sample("another_job");
  for (record::Row& row : other.rows) {
    row["device"] = std::string("gpu");
    row["total_seconds"] = 1.0;
  }
  array_of(other, 4) =
      timing(record::make_array("seconds", {2}, std::vector<double>{1, 2}, "s", ""));
  EXPECT_TRUE(compare(sample(), other, {}).within);
  const Comparison times = compare(sample(), other, {.times = true});
  EXPECT_FALSE(times.within);
  EXPECT_THAT(times.table.rows, SizeIs(3)) << "device, total_seconds and seconds";
}

TEST(Compare, CellsDeviateAbsolutelyAndRelatively) {
  record::SweepRecord other = sample();
  other.rows[1]["distance"] = 1.25 + 0.25;
  EXPECT_EQ(only_row(compare(sample(), other, {})), "distance;1;2.50e-01;1.67e-01;p2;1.25;1.5;");
  EXPECT_FALSE(compare(sample(), other, {.tolerance = 0.24}).within);
  EXPECT_TRUE(compare(sample(), other, {.tolerance = 0.25}).within);
  EXPECT_FALSE(compare(sample(), other, {.tolerance = 0.16, .relative = true}).within);
  const Comparison relative = compare(sample(), other, {.tolerance = 0.17, .relative = true});
  EXPECT_TRUE(relative.within);
  EXPECT_THAT(relative.verdict,
              StartsWith("Within tolerance: 1 of 2 points differ, most in distance by 1.67e-01 of "
                         "the value; tolerance 0.17, relative."));
}

TEST(Compare, TheSmallestStepAndTheSignOfZeroAreSeenWithoutATolerance) {
  record::SweepRecord other = sample();
  other.rows[0]["distance"] = std::nextafter(1.25, 2.0);
  EXPECT_FALSE(compare(sample(), other, {}).within);
  other = sample();
  other.rows[0]["self_denoising_lr"] = -0.0;
  EXPECT_FALSE(compare(sample(), other, {}).within);
  EXPECT_TRUE(compare(sample(), other, {.tolerance = 1e-300}).within);
}

TEST(Compare, TextsAndAbsentValuesAreBeyondAnyTolerance) {
  for (const auto& change : std::vector<std::function<void(record::Row&)>>{
           [](record::Row& row) { row["distance_name"] = std::string("FID"); },
           [](record::Row& row) { row.erase("features"); },
           [](record::Row& row) { row["distance"] = std::nan(""); },
           [](record::Row& row) { row["distance"] = std::numeric_limits<double>::infinity(); }}) {
    record::SweepRecord other = sample();
    change(other.rows[0]);
    EXPECT_FALSE(compare(sample(), other, {.tolerance = 1e300}).within);
    EXPECT_FALSE(compare(other, sample(), {.tolerance = 1e300}).within);
    EXPECT_TRUE(compare(other, other, {}).within) << "NaN equals NaN";
  }
}

TEST(Compare, ArraysTellWhereTheyDeviateMost) {
  record::SweepRecord other = sample();
  array_of(other, 1) =
      own(record::make_array("moments/p2/sum", {2}, std::vector<double>{3, 5}, "", ""), "p2");
  EXPECT_EQ(only_row(compare(sample(), other, {})),
            "moments/<point>/sum;1;1.00e+00;2.00e-01;p2 [1];4;5;");
  other = sample();
  array_of(other, 2) = record::make_array(
      "iterations", {2, 2}, std::vector<int64_t>{1, 2, 3, (int64_t{1} << 60) + 1}, "", "");
  EXPECT_EQ(only_row(compare(sample(), other, {})),
            "iterations;2;1.00e+00;8.67e-19;p1 [1,1];1152921504606846976;1152921504606846977;");
  other = sample();
  array_of(other, 3) = record::make_array("images", {1, 2}, std::vector<float>{0, 0}, "", "");
  EXPECT_EQ(only_row(compare(sample(), other, {.tolerance = 1e9})),
            "images;2;—;—;p1;float32 (2);float32 (1,2);");
}

TEST(Compare, MissingArraysAndPointsAreNamed) {
  record::SweepRecord other = sample();
  auto& arrays = other.jobs.begin()->second.arrays;
  arrays.erase(arrays.begin() + 3);
  EXPECT_EQ(only_row(compare(sample(), other, {})), "images;2;—;—;p1;float32 (2);absent;");
  EXPECT_EQ(only_row(compare(other, sample(), {})), "images;2;—;—;p1;absent;float32 (2);");
  other = sample();
  other.rows.pop_back();
  const Comparison fewer = compare(sample(), other, {.tolerance = 1});
  EXPECT_FALSE(fewer.within);
  EXPECT_THAT(fewer.verdict, AllOf(StartsWith("Different: 1 point in both agree"),
                                   HasSubstr("1 point only in A")));
  EXPECT_THAT(compare(other, sample(), {}).verdict, HasSubstr("1 point only in B"));
  EXPECT_FALSE(compare({}, {}, {}).within) << "nothing was compared";
}

TEST(Compare, PointsInOtherJobsAreFound) {
  record::SweepRecord other = sample();
  record::JobRecord apart = other.jobs.at("j");
  apart.hash = "k";
  other.rows[1]["job"] = std::string("k");
  other.jobs["k"] = apart;
  EXPECT_TRUE(compare(sample(), other, {}).within);
}

TEST(Compare, TheLargestDeviationComesFirst) {
  record::SweepRecord other = sample();
  other.rows[0]["distance"] = 1.5;
  other.rows[1]["distance"] = 1.75;
  other.rows[1]["block_passes"] = 102.0;
  other.rows[0]["model"] = std::string("another");
  const Comparison comparison = compare(sample(), other, {});
  ASSERT_THAT(comparison.table.rows, SizeIs(3));
  EXPECT_EQ(comparison.table.rows[0][0].text, "model");
  EXPECT_EQ(comparison.table.rows[1][0].text, "block_passes");
  EXPECT_EQ(comparison.table.rows[2][0].text, "distance");
  EXPECT_EQ(comparison.table.rows[2][1].text, "2") << "points";
  EXPECT_EQ(comparison.table.rows[2][4].text, "p2");
}

class CompareFiles : public ::testing::Test {
 protected:
  CompareFiles() {
    std::string name = (fs::temp_directory_path() / "tarflow_compare_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~CompareFiles() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const record::SweepRecord& sweep) const {
    record::JobRecord job = sweep.jobs.begin()->second;
    job.columns = sweep.columns;
    job.rows = sweep.rows;
    record::write_job(folder_ / name, job);
    return (folder_ / name).string();
  }

  // Exit status; what was printed is kept.
  int call(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "analyze");
    std::vector<const char*> argv;
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out, err;
    const int status = analyze(static_cast<int>(argv.size()), argv.data(), out, err, false);
    out_ = out.str();
    err_ = err.str();
    return status;
  }

  fs::path folder_;
  std::string out_, err_;
};

TEST_F(CompareFiles, TheExitStatusTellsTheVerdict) {
  record::SweepRecord other = sample("another");
  other.rows[0]["distance"] = 1.26;
  const std::string a = write("a.h5", sample()), b = write("b.h5", other);
  EXPECT_EQ(call({"compare", a, a}), 0);
  EXPECT_THAT(out_, HasSubstr("Equal: 2 points"));
  EXPECT_EQ(call({"compare", a, b}), 1);
  EXPECT_THAT(out_, AllOf(HasSubstr("distance"), HasSubstr("Different: 1 of 2 points")));
  EXPECT_EQ(call({"compare", a, b, "--tolerance", "0.011"}), 0);
  EXPECT_EQ(call({"compare", a, b, "--tolerance", "0.001", "--relative"}), 1);
  EXPECT_EQ(err_, "");
}

TEST_F(CompareFiles, JobsAreComparedWithTheirSweep) {
  const std::string job = write("a.h5", sample());
  const fs::path merged = folder_ / "m.h5";
  EXPECT_THAT(record::merge(merged, "demo", std::vector<fs::path>{job}).problems, IsEmpty());
  EXPECT_EQ(call({"compare", job, merged.string()}), 0) << out_;
}

TEST_F(CompareFiles, WhatCannotBeReadIsNamedWithStatus2) {
  const std::string a = write("a.h5", sample());
  std::ofstream(folder_ / "empty.h5").close();
  std::ofstream(folder_ / "foreign.h5") << "\x89HDF\r\n\x1a\n and so on";
  EXPECT_EQ(call({"compare", a, (folder_ / "absent.h5").string()}), 2);
  EXPECT_THAT(err_, HasSubstr("absent.h5"));
  EXPECT_EQ(call({"compare", (folder_ / "empty.h5").string(), (folder_ / "foreign.h5").string()}),
            2);
  EXPECT_THAT(err_, AllOf(HasSubstr("empty.h5 is not a record: it is empty"),
                          HasSubstr("foreign.h5 is not a record"),
                          HasSubstr("another program's HDF5 file")));
  EXPECT_EQ(call({"compare", a}), 2);
  EXPECT_EQ(call({"compare", a, a, "--tolerance", "-1"}), 2);
  EXPECT_EQ(call({"compare", a, a, "--tolerance", "much"}), 2);
}

TEST_F(CompareFiles, FilesThatCannotBeReadCostTheOthersNothing) {
  const std::string good = write("good.h5", sample());
  std::string bytes = read_file(good);
  std::ofstream(folder_ / "damaged.h5") << bytes.substr(0, bytes.size() / 2);
  bytes[std::string("tarflow record ").size()] = '9';
  std::ofstream(folder_ / "newer.h5") << bytes;
  std::ofstream(folder_ / "empty.h5").close();
  std::ofstream(folder_ / "foreign.h5") << "name,value\n";
  const auto at = [&](const char* name) { return (folder_ / name).string(); };
  const auto all_named =
      AllOf(HasSubstr("damaged.h5 is damaged"), HasSubstr("newer.h5 has record version 9"),
            HasSubstr("empty.h5 is not a record"), HasSubstr("foreign.h5 is not a record"));
  EXPECT_EQ(call({at("damaged.h5"), at("newer.h5"), good, at("empty.h5"), at("foreign.h5"), "--out",
                  at("report"), "--published", testing::published_file().string()}),
            1);
  EXPECT_THAT(err_, all_named);
  EXPECT_THAT(out_, HasSubstr("2 points of 1 job"));
  EXPECT_EQ(
      call({"digest", at("damaged.h5"), at("newer.h5"), good, at("empty.h5"), at("foreign.h5")}),
      1);
  EXPECT_THAT(err_, all_named);
  EXPECT_THAT(out_, HasSubstr("  " + good + "\n"));
}

TEST_F(CompareFiles, DescribesTheRecordsOfSchemas) {
  ExperimentSchema schema;
  schema.name = "evaluate";
  schema.description = "Samples | denoises.";
  schema.columns = {{"distance", ColumnType::kFloat64, "nats", "how far", false}};
  schema.arrays = {
      {"moments/<point>/sum", ElementType::kFloat64, {"chunk", "feature"}, "", "sums", false}};
  write_json_file(folder_ / "schemas.json", to_json(ExperimentSchemas{schema}));
  EXPECT_EQ(call({"describe-records", "--schemas", (folder_ / "schemas.json").string()}), 0);
  EXPECT_THAT(out_, AllOf(HasSubstr("## evaluate\n\nSamples \\| denoises. Revision 1."),
                          HasSubstr("| `distance` | float64 | nats | how far |  |"),
                          HasSubstr("| `moments/<point>/sum` | float64 | chunk, feature |")));
  EXPECT_EQ(call({"describe-records", "--schemas", (folder_ / "absent.json").string()}), 1);
  EXPECT_THAT(err_, HasSubstr("absent.json"));
}

}  // namespace
}  // namespace tarflow::analysis
