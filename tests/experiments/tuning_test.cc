// `strategy: auto` and `tune` as users meet them: announced, made once, recorded, used again, and
// made anew for another model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "framework/core/json.h"
#include "framework/record/dataset_file.h"
#include "tests/experiments/result_files.h"

namespace tarflow::experiments {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Tunings : public ResultFiles {
 protected:
  std::vector<fs::path> kept() const {
    std::vector<fs::path> files = ResultFiles::kept("tuning-");
    std::erase_if(files, [](const fs::path& file) { return file.extension() != ".h5"; });
    return files;
  }

  std::string dry_run() const {
    const std::string command = "cd '" + folder_.string() + "' && '" + TARFLOW_RUN_SWEEP +
                                "' toy.yaml --dry-run > plan 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_file(folder_ / "plan");
    return read_file(folder_ / "plan");
  }

  // The only point of a run.
  record::Row row_of(const std::string& experiments) const {
    const record::SweepRecord sweep = run(experiments);
    EXPECT_EQ(sweep.rows.size(), 1u);
    return sweep.rows.at(0);
  }

  static std::string text(const record::Row& row, const std::string& column) {
    const auto found = row.find(column);
    return found == row.end() ? "" : std::get<std::string>(found->second);
  }

  static std::vector<double> doubles(const record::JobRecord& job, const std::string& path) {
    const auto found = std::find_if(job.arrays.begin(), job.arrays.end(),
                                    [&](const record::Array& array) { return array.path == path; });
    if (found == job.arrays.end()) throw std::out_of_range(path);
    return record::to_doubles(*found);
  }

  const std::string evaluate_ =
      "  - evaluate: {num_images: 8, chunk: 4, cfg: 1, self_denoising_lr: 0, compute_type: "
      "float32, ";
  const std::string tune_ = "  - tune: {batch: 4, cfg: 1, compute_type: float32, deviation: ";
};

TEST_F(Tunings, GiveAStrategyWithinTheDeviation) {
  const record::SweepRecord sweep = run(tune_ + "0.05}\n");
  const record::Row& row = sweep.rows.at(0);
  EXPECT_LE(number(row, "measured_deviation"), 0.05);
  EXPECT_LE(number(row, "predicted_deviation"), 0.05 * 1.5);
  EXPECT_GT(number(row, "predicted_seconds"), 0);
  EXPECT_GT(number(row, "measured_seconds"), 0);
  EXPECT_GE(std::get<int64_t>(row.at("trials")), 2);
  const record::JobRecord& job = sweep.jobs.begin()->second;
  const std::vector<double> predicted = doubles(job, "tune/predicted_seconds"),
                            crm = doubles(job, "tune/crm_percent");
  ASSERT_EQ(predicted.size(), 2u);
  EXPECT_NEAR(predicted[0] + predicted[1], number(row, "predicted_seconds"), 1e-9);
  EXPECT_NEAR(crm[0] + crm[1], 100, 1e-6);
  const size_t trials = doubles(job, "tune/trials/seconds").size();
  EXPECT_EQ(trials, static_cast<size_t>(std::get<int64_t>(row.at("trials"))));
  for (const char* name : {"evaluations", "passes", "change", "deviation", "block"})
    EXPECT_EQ(doubles(job, std::string("tune/trials/") + name).size(), trials) << name;
  // The file is a strategy, and what it gives is what was measured.
  const fs::path file = folder_ / "results" / text(row, "strategy_file");
  ASSERT_TRUE(fs::exists(file)) << file;
  const record::Row used =
      row_of("  - sample: {num_images: 4, cfg: 1, strategy: " + text(row, "strategy_yaml") + "}\n");
  EXPECT_EQ(text(used, "strategy_blocks"), text(row, "tuned_strategy"));
  EXPECT_THAT(read_file(file), HasSubstr("blocks:\n"));
}

TEST_F(Tunings, MeasureWhatRoundingDoes) {
  const auto most = [&](const std::string& compute_type) {
    const record::SweepRecord sweep =
        run("  - tune: {batch: 4, cfg: 1, deviation: 0.5, compute_type: " + compute_type + "}\n");
    const std::vector<double> rounding = doubles(sweep.jobs.begin()->second, "tune/rounding");
    EXPECT_EQ(rounding.size(), 2u);
    return *std::max_element(rounding.begin(), rounding.end());
  };
  const double exact = most("float32"), rounded = most("bfloat16");
  EXPECT_LT(exact, 1e-4);
  EXPECT_GT(rounded, 20 * exact);
  EXPECT_LT(rounded, 0.5);
}

TEST_F(Tunings, ServeAutoAndAreMadeOnce) {
  const std::string jobs = evaluate_ + "grid: {strategy: [For, auto], seed: [0, 1]}}\n" + tune_ +
                           "0.03}\n  - sample: {num_images: 4, chunk: 4, cfg: 1, compute_type: "
                           "float32, strategy: auto}\n";
  run("  - sample: {num_images: 2, strategy: For}\n");
  EXPECT_TRUE(kept().empty());
  const record::SweepRecord sweep = run(jobs);
  ASSERT_EQ(kept().size(), 1u) << "one model, batch, cfg and deviation";
  std::set<std::string> methods, hashes;
  size_t made = 0;
  for (const record::Row& row : sweep.rows) {
    const bool open = text(row, "strategy") == "auto" || text(row, "experiment") == "tune";
    EXPECT_EQ(text(row, "tuned_strategy").empty(), !open) << text(row, "strategy");
    if (!open) continue;
    methods.insert(text(row, "tuned_strategy"));
    hashes.insert(text(row, "tuned_hash"));
    const Json& tuning = sweep.jobs.at(text(row, "job")).environment.at("tuning");
    made += tuning.at("made_by_this_job").get<bool>();
    EXPECT_EQ(tuning.at("hash"), text(row, "tuned_hash"));
    EXPECT_GT(tuning.at("seconds").get<double>(), 0);
  }
  EXPECT_EQ(methods.size(), 1u);
  EXPECT_EQ(hashes.size(), 1u);
  EXPECT_EQ(made, 1u) << "the others wait for it or read it";
  EXPECT_TRUE(fs::is_empty(folder_ / "results/toy/cache") == false);
  for (const auto& entry : fs::directory_iterator(folder_ / "results/toy/cache"))
    EXPECT_THAT(entry.path().string(), AllOf(Not(HasSubstr(".lease")), Not(HasSubstr(".part"))));
}

TEST_F(Tunings, AreAnnounced) {
  run("  - sample: {num_images: 4, chunk: 4, cfg: 1, compute_type: float32, strategy: auto}\n");
  EXPECT_THAT(dry_run(), Not(HasSubstr("tuning"))) << "all is done";
  const std::string yaml = read_file(folder_ / "toy.yaml");
  const auto with = [&](const std::string& experiment) {
    write_file(folder_ / "toy.yaml", yaml + experiment);
    return dry_run();
  };
  const std::string sample = "  - sample: {num_images: 4, chunk: 4, compute_type: float32, ";
  EXPECT_THAT(with(sample + "cfg: 1, seed: 5, strategy: auto}\n"), Not(HasSubstr("a tuning of")))
      << "it is kept";
  EXPECT_THAT(with(sample + "cfg: 2, strategy: auto}\n"),
              HasSubstr("a tuning of toy for deviation 0.03, 4 images at once, cfg 2, will be made "
                        "once in float32: about "));
  EXPECT_THAT(with(sample + "cfg: 1, strategy: auto-0.1}\n"), HasSubstr("for deviation 0.1"));
  EXPECT_THAT(with(tune_ + "0.2}\n"), HasSubstr("for deviation 0.2"));
}

TEST_F(Tunings, OfAnotherModelAreMadeAnew) {
  const std::string sample = "  - sample: {num_images: 4, cfg: 1, strategy: auto}\n";
  run(sample);
  ASSERT_EQ(kept().size(), 1u);
  write_toy(7);
  run(sample);
  EXPECT_EQ(kept().size(), 2u);
}

TEST_F(Tunings, ThatAreDamagedAreMadeAnew) {
  const auto sample = [&](int seed) {
    run("  - sample: {num_images: 4, cfg: 1, strategy: auto, seed: " + std::to_string(seed) +
        "}\n");
    const std::string text = logs();
    fs::remove_all(folder_ / "results/toy/jobs");
    return text;
  };
  sample(0);
  ASSERT_EQ(kept().size(), 1u);
  const fs::path file = kept()[0];
  const std::string identity = record::read_root_attribute(file, "identity");
  const auto rewrite = [&](const std::string& content, const std::string& what) {
    record::write_datasets(
        file,
        {record::make_array("tuning", {static_cast<int64_t>(content.size())},
                            std::vector<uint8_t>(content.begin(), content.end()), "", "")},
        {{"identity", what}});
  };
  const auto damaged = [&](int seed) {
    EXPECT_THAT(sample(seed), HasSubstr("is not usable and is made again"));
    EXPECT_EQ(record::read_root_attribute(file, "identity"), identity);
  };
  rewrite("{}", identity);
  damaged(1);
  rewrite("no JSON", identity);
  damaged(2);
  rewrite(R"({"deviation": 1, "batch": 4, "images": 8, "probes": 8, "blocks": [], "rounds": [],
              "chosen": 0, "seconds": 1})",
          identity);
  damaged(3);
  rewrite("{}", "another");
  damaged(4);
  fs::resize_file(file, fs::file_size(file) / 2);
  damaged(5);
}

class RiseTunings : public Tunings {
 protected:
  void SetUp() override {
    Tunings::SetUp();
    // Three features: the means of the colours.
    torch::jit::Module module("__torch__.features");
    module.define("def forward(self, x):\n    return x.float().flatten(2).mean(2)\n");
    module.save((folder_ / "mean.pt").string());
  }

  std::string tune(const std::string& rise) const {
    return tune_ +
           "0.1, distance_images: 24, extractor: mean.pt, reference: " + asset("cifar10").string() +
           ", fd_rise: " + rise + "}\n";
  }
};

TEST_F(RiseTunings, KeepTheDistance) {
  const record::SweepRecord sweep = run(tune("0.5"));
  const record::Row& row = sweep.rows.at(0);
  EXPECT_LE(number(row, "distance_rise"), 0.5);
  EXPECT_FALSE(row.contains("distance_rise_error")) << "6 chunks are too few groups";
  EXPECT_EQ(text(row, "distance_name"), "FD(mean)");
  const std::vector<double> rises =
      doubles(sweep.jobs.begin()->second, "tune/rounds/distance_rise");
  ASSERT_EQ(rises.size(), static_cast<size_t>(std::get<int64_t>(row.at("rounds"))));
  EXPECT_THAT(rises, testing::Contains(number(row, "distance_rise")));
  EXPECT_EQ(kept().size(), 1u);
}

TEST_F(RiseTunings, TakeSequentialSamplingWhereEverythingRises) {
  // The least rise that can be stated is less than any that differs from 0.
  const record::Row row = row_of(tune("1e-300"));
  if (text(row, "tuned_strategy") == "blocks 1-0: sequential") {
    EXPECT_EQ(number(row, "distance_rise"), 0);
  } else {
    EXPECT_LE(number(row, "distance_rise"), 1e-300) << "a distance may fall by chance";
  }
}

TEST_F(RiseTunings, NeedWhatTheDistanceIsOf) {
  EXPECT_NE(wait(start(tune_ + "0.1, fd_rise: 0.1}\n")), 0);
  EXPECT_THAT(logs(), HasSubstr("`fd_rise` needs both `extractor` and `reference`"));
  EXPECT_NE(wait(start(tune("0"))), 0);
  EXPECT_THAT(logs(), HasSubstr("are for `fd_rise`, which is not stated"));
}

TEST_F(Tunings, RefuseWhatTheyCannotDo) {
  const auto message = [&](const std::string& experiments) {
    EXPECT_NE(wait(start(experiments)), 0) << experiments;
    return read_file(folder_ / "log");
  };
  const std::string tune = "  - tune: {batch: 4, ";
  EXPECT_THAT(message(tune + "deviation: 0}\n"), HasSubstr("toy.yaml:6:33"));
  EXPECT_THAT(message(tune + "deviation: -1}\n"), HasSubstr("`deviation`"));
  EXPECT_THAT(message(tune + "deviation: .nan}\n"), HasSubstr("`deviation`"));
  EXPECT_THAT(message("  - tune: {batch: 0}\n"), HasSubstr("`batch`"));
  EXPECT_THAT(message("  - sample: {strategy: auto-0}\n"),
              HasSubstr("`0` is no deviation, a number above 0"));
  EXPECT_THAT(message("  - compare: {strategy: auto}\n"),
              HasSubstr("`strategy` cannot choose the strategy auto"));
}

TEST_F(Tunings, AreTheSameForAllProcessesOfAJob) {
  const record::Row row =
      row_of(evaluate_ + "strategy: auto}\nrun: {gpus: 0, threads: 1, ranks: 2}\n");
  EXPECT_FALSE(text(row, "tuned_hash").empty());
  EXPECT_EQ(kept().size(), 1u);
}

}  // namespace
}  // namespace tarflow::experiments
