#include "framework/record/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <set>

#include "framework/core/file.h"
#include "framework/core/strategy.h"
#include "tests/record/sample_record.h"

namespace tarflow::record {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(JobFile, ReadsBackWhatWasWritten) {
  const ScratchFolder folder;
  const JobRecord job = sample_job("aa", 3);
  write_job(folder / "result.h5", job);
  const JobRecord back = read_job(folder / "result.h5");
  EXPECT_EQ(back.hash, job.hash);
  EXPECT_EQ(back.job, job.job);
  EXPECT_EQ(back.environment, job.environment);
  EXPECT_EQ(back.columns, job.columns);
  EXPECT_EQ(back.rows, job.rows);
  expect_same_arrays(back.arrays, job.arrays);
}

TEST(JobFile, AbsentCellsStayAbsent) {
  const ScratchFolder folder;
  JobRecord job = sample_job("aa", 1);
  job.rows[0] = {{"point", std::string("p")}, {"cfg", std::nan("")}, {"experiment", std::string()}};
  write_job(folder / "result.h5", job);
  EXPECT_EQ(read_job(folder / "result.h5").rows[0], (Row{{"point", std::string("p")}}));
}

TEST(JobFile, WithoutRowsOrArrays) {
  const ScratchFolder folder;
  JobRecord job = sample_job("aa", 0);
  job.arrays.clear();
  write_job(folder / "result.h5", job);
  EXPECT_THAT(read_job(folder / "result.h5").rows, SizeIs(0));
  EXPECT_THAT(read_job(folder / "result.h5").arrays, SizeIs(0));
}

TEST(JobFile, ManyColumnsAndGroups) {
  const ScratchFolder folder;
  JobRecord job = sample_job("aa", 1);
  for (int i = 0; i < 300; ++i) {
    job.columns.push_back(
        {fmt::format("x{:03}", i), ColumnType::kInt64, "", std::string(500, 'm'), false});
    job.rows[0][fmt::format("x{:03}", i)] = int64_t{i};
    job.arrays.push_back(
        make_array(fmt::format("z{:03}/a/b", i), {1}, std::vector<double>{1.0 * i}, "", "m"));
  }
  write_job(folder / "result.h5", job);
  const JobRecord back = read_job(folder / "result.h5");
  EXPECT_EQ(back.rows, job.rows);
  EXPECT_EQ(back.columns, job.columns);
  expect_same_arrays(back.arrays, job.arrays);
}

TEST(JobFile, ContradictionsAreRefusedAndLeaveTheOldFile) {
  const ScratchFolder folder;
  const auto path = folder / "result.h5";
  write_job(path, sample_job("aa"));
  const std::string before = read_file(path);
  const auto refused = [&](const auto& change) {
    JobRecord job = sample_job("bb");
    change(job);
    return error_of([&] { write_job(path, job); });
  };
  EXPECT_THAT(refused([](JobRecord& j) { j.rows[1].erase("point"); }), HasSubstr("`point`"));
  EXPECT_THAT(refused([](JobRecord& j) { j.rows[0]["cgf"] = 1.0; }),
              HasSubstr("`cgf` has no column"));
  EXPECT_THAT(refused([](JobRecord& j) { j.rows[0]["cfg"] = int64_t{1}; }),
              HasSubstr("no float64"));
  EXPECT_THAT(refused([](JobRecord& j) { j.arrays[0].shape = {5}; }), HasSubstr("fill its shape"));
  EXPECT_THAT(refused([](JobRecord& j) { j.arrays.push_back(j.arrays[0]); }),
              HasSubstr("there twice"));
  EXPECT_THAT(refused([](JobRecord& j) { j.arrays[0].path = "labels/x"; }), HasSubstr("result.h5"));
  EXPECT_THAT(refused([](JobRecord& j) { j.rows[0]["experiment"] = std::string("a\0b", 3); }),
              HasSubstr("zero byte"));
  EXPECT_EQ(read_file(path), before);
  const auto files = std::filesystem::directory_iterator(path.parent_path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "parts of a failed write stay behind";
}

TEST(JobFile, ArraysAsDoubles) {
  const JobRecord job = sample_job("aa");
  EXPECT_EQ(to_doubles(job.arrays[2]), (std::vector<double>{-1, 0.5, 1, 2}));
  EXPECT_EQ(to_doubles(job.arrays[5]), (std::vector<double>{0, 255}));
  EXPECT_THAT(error_of([&] { to_doubles(job.arrays[4]); }), HasSubstr("labels"));
  EXPECT_THAT(error_of([] { make_array("a", {3}, std::vector<double>{1}, "", ""); }),
              HasSubstr("`a`"));
}

TEST(Damage, AnyFlippedByteIsFound) {
  const ScratchFolder folder;
  write_job(folder / "good.h5", sample_job("aa"));
  const std::string good = read_file(folder / "good.h5");
  std::mt19937 random(7);
  for (int trial = 0; trial < 400; ++trial) {
    std::string bad = good;
    // The first trials go through the first block byte by byte, where all that is not hashed lies.
    const size_t at = trial < 200 ? static_cast<size_t>(trial) : random() % bad.size();
    bad[at] = static_cast<char>(bad[at] ^ (1 << (random() % 8)));
    std::ofstream(folder / "bad.h5", std::ios::binary) << bad;
    EXPECT_THAT(error_of([&] { read_job(folder / "bad.h5"); }), HasSubstr("bad.h5"))
        << "byte " << at;
  }
}

TEST(Damage, CutOrLengthenedFilesAreFound) {
  const ScratchFolder folder;
  write_job(folder / "good.h5", sample_job("aa"));
  const std::string good = read_file(folder / "good.h5");
  for (const size_t size :
       {size_t{0}, size_t{5}, size_t{15}, size_t{511}, size_t{512}, good.size() - 1}) {
    std::ofstream(folder / "bad.h5", std::ios::binary) << good.substr(0, size);
    EXPECT_THAT(error_of([&] { read_job(folder / "bad.h5"); }), HasSubstr("bad.h5")) << size;
  }
  std::ofstream(folder / "bad.h5", std::ios::binary) << good << "x";
  EXPECT_THAT(error_of([&] { read_sweep(folder / "bad.h5"); }), HasSubstr("damaged"));
}

TEST(Damage, ForeignNewerAndAbsentFilesAreNamed) {
  const ScratchFolder folder;
  write_job(folder / "good.h5", sample_job("aa"));
  std::string bytes = read_file(folder / "good.h5");
  std::ofstream(folder / "foreign.h5") << bytes.substr(512);  // HDF5 without our block
  EXPECT_THAT(error_of([&] { read_job(folder / "foreign.h5"); }),
              HasSubstr("foreign.h5 is not a record"));
  bytes.replace(0, 17, "tarflow record 9\n");
  std::ofstream(folder / "newer.h5") << bytes;
  EXPECT_THAT(error_of([&] { read_job(folder / "newer.h5"); }),
              HasSubstr("newer.h5 has record version 9"));
  EXPECT_THAT(error_of([&] { read_job(folder / "absent.h5"); }), HasSubstr("absent.h5"));
  EXPECT_THAT(error_of([&] { read_job(folder / "."); }), HasSubstr("folder"));
}

SweepRecord sample_sweep() {
  SweepRecord sweep;
  const JobRecord a = sample_job("aa"), b = sample_job("bb");
  sweep.columns = a.columns;
  sweep.columns.push_back(standard_columns()[0]);
  for (const JobRecord& job : {a, b}) {
    for (Row row : job.rows) {
      row["device"] = std::string("some CPU");
      sweep.rows.push_back(row);
    }
    sweep.jobs[job.hash] = job;
  }
  return sweep;
}

TEST(Digest, LeavesOutTimesEnvironmentAndLayout) {
  const std::string expected = digest(sample_sweep());
  SweepRecord sweep = sample_sweep();
  sweep.name = "another";
  sweep.rows[0]["seconds"] = 99.0;
  sweep.rows[1]["device"] = std::string("another CPU");
  sweep.rows[2]["cfg_2"] = std::nan("");
  sweep.rows[2]["note"] = std::string();
  sweep.jobs["aa"].environment = {{"host", "b"}};
  sweep.jobs["aa"].arrays.back() = make_array("seconds", {1}, std::vector<double>{7}, "s", "");
  sweep.jobs["aa"].arrays.back().timing = true;
  std::reverse(sweep.rows.begin(), sweep.rows.end());
  std::reverse(sweep.columns.begin(), sweep.columns.end());
  std::reverse(sweep.jobs["bb"].arrays.begin(), sweep.jobs["bb"].arrays.end());
  EXPECT_EQ(digest(sweep), expected);
}

TEST(Digest, SeesEveryOtherChange) {
  const std::string expected = digest(sample_sweep());
  const auto changed = [&](const auto& change) {
    SweepRecord sweep = sample_sweep();
    change(sweep);
    return digest(sweep) != expected;
  };
  EXPECT_TRUE(changed([](SweepRecord& s) { s.rows[0]["cfg"] = std::nextafter(0.1, 1); }));
  EXPECT_TRUE(changed([](SweepRecord& s) { s.rows[1]["num_images"] = int64_t{0}; }));
  EXPECT_TRUE(changed([](SweepRecord& s) { s.rows.pop_back(); }));
  EXPECT_TRUE(changed([](SweepRecord& s) { s.jobs["aa"].arrays[4].strings[1] = " "; }));
  EXPECT_TRUE(changed([](SweepRecord& s) { s.jobs["aa"].arrays[0].data[3] ^= std::byte{1}; }));
  EXPECT_TRUE(changed([](SweepRecord& s) { s.jobs["aa"].arrays[0].shape = {3, 2}; }));
  EXPECT_TRUE(changed([](SweepRecord& s) { s.jobs.erase("bb"); }));
}

TEST(Digest, SurvivesTheFile) {
  const ScratchFolder folder;
  write_job(folder / "1.h5", sample_job("aa"));
  write_job(folder / "2.h5", sample_job("bb"));
  merge(folder / "m.h5", "one", std::vector{folder / "1.h5", folder / "2.h5"});
  merge(folder / "n.h5", "two", std::vector{folder / "2.h5", folder / "1.h5"});
  EXPECT_EQ(digest(read_sweep(folder / "m.h5")), digest(read_sweep(folder / "n.h5")));
}

ExperimentSchema every_field() {
  ExperimentSchema schema;
  schema.name = "evaluate";
  const auto add = [&](const char* name, FieldType type) {
    Field field;
    field.name = name;
    field.type = type;
    schema.fields.push_back(field);
  };
  add("model", FieldType::kModel);
  add("strategy", FieldType::kStrategy);
  add("num_images", FieldType::kInteger);
  add("cfg", FieldType::kNumber);
  add("trace", FieldType::kBoolean);
  add("norm", FieldType::kChoice);
  add("images", FieldType::kPath);
  add("labels", FieldType::kIntegerList);
  add("absent", FieldType::kNumber);
  schema.columns = {{"fd", ColumnType::kFloat64, "", "Frechet distance", false}};
  return schema;
}

TEST(Settings, EveryFieldHasItsColumn) {
  const Strategy strategy{"mine", {BlockPlan{}, BlockPlan{Jacobi{{10, Guess::kZero}}}}};
  const Json settings = {{"model", "m"},
                         {"strategy", to_json(strategy)},
                         {"num_images", 7},
                         {"cfg", 1.5},
                         {"trace", true},
                         {"norm", "fro"},
                         {"images", "/somewhere/cats/"},
                         {"labels", {1, 2}}};
  const Row row = settings_row(every_field(), settings);
  const Row expected{{"model", std::string("m")},
                     {"strategy", std::string("mine")},
                     {"strategy_blocks", describe(strategy)},
                     {"num_images", int64_t{7}},
                     {"cfg", 1.5},
                     {"trace", int64_t{1}},
                     {"norm", std::string("fro")},
                     {"images", std::string("cats")},
                     {"labels", std::string("[1,2]")}};
  EXPECT_EQ(row, expected);
  const std::vector<Column> columns = all_columns(every_field());
  EXPECT_TRUE(std::is_sorted(columns.begin(), columns.end(),
                             [](const Column& a, const Column& b) { return a.name < b.name; }));
  EXPECT_THAT(columns, SizeIs(standard_columns().size() + 10 + 1 + 6));
  JobRecord job;
  job.hash = "cc";
  job.columns = columns;
  job.rows = {row};
  job.rows[0]["point"] = std::string("p");
  const ScratchFolder folder;
  write_job(folder / "r.h5", job);
  EXPECT_EQ(read_job(folder / "r.h5").rows, job.rows);
}

TEST(Settings, OfSeveralStrategiesTheFirstHasColumnsForItsNumbers) {
  ExperimentSchema schema = every_field();
  const auto strategy =
      std::find_if(schema.fields.begin(), schema.fields.end(),
                   [](const Field& field) { return field.type == FieldType::kStrategy; });
  Field against = *strategy;
  against.name = "against";
  schema.fields.push_back(against);
  std::set<std::string> names;
  for (const Column& column : all_columns(schema)) {
    EXPECT_TRUE(names.insert(column.name).second) << column.name;
  }
  EXPECT_TRUE(names.contains("against_blocks"));
  const Strategy jacobi{"mine", {BlockPlan{Jacobi{{10, Guess::kZ}}}}},
      other{"other", {BlockPlan{Jacobi{{4, Guess::kZ}}}}};
  const Row row = settings_row(
      schema, {{"strategy", to_json(jacobi)}, {"against", to_json(other)}});
  EXPECT_EQ(row.at("else"), Cell(int64_t{10}));
}

TEST(Settings, GiveWayToStandardColumns) {
  ExperimentSchema schema = every_field();
  schema.fields[5].name = "device";
  const std::vector<Column> columns = all_columns(schema);
  const auto device = std::find_if(columns.begin(), columns.end(),
                                   [](const Column& column) { return column.name == "device"; });
  ASSERT_NE(device, columns.end());
  EXPECT_EQ(*device, standard_columns()[0]);
  EXPECT_FALSE(settings_row(schema, {{"device", "auto"}}).contains("device"));
}

TEST(Settings, WrongTypesAndDoubleNamesAreNamed) {
  EXPECT_THAT(error_of([] { settings_row(every_field(), {{"cfg", "high"}}); }), HasSubstr("`cfg`"));
  ExperimentSchema schema = every_field();
  schema.columns[0].name = "strategy_blocks";
  EXPECT_THAT(error_of([&] { all_columns(schema); }), HasSubstr("`strategy_blocks`"));
}

}  // namespace
}  // namespace tarflow::record
