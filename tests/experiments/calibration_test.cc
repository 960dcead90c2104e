// The calibration of adaptive windows as users meet it: announced, made once, checked, and the same
// whoever makes it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "framework/core/json.h"
#include "framework/record/dataset_file.h"
#include "tests/experiments/result_files.h"
#include "tests/support/spoilt_checkpoint.h"

namespace tarflow::experiments {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Calibrations : public ResultFiles {
 protected:
  std::vector<fs::path> kept() const { return ResultFiles::kept("calibration-"); }

  // What --dry-run says of toy.yaml as it stands.
  std::string dry_run() const {
    const std::string command = "cd '" + folder_.string() + "' && '" + TARFLOW_RUN_SWEEP +
                                "' toy.yaml --dry-run > plan 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_file(folder_ / "plan");
    return read_file(folder_ / "plan");
  }

  static const record::Array& array(const record::JobRecord& job, const std::string& path) {
    const auto found = std::find_if(job.arrays.begin(), job.arrays.end(),
                                    [&](const record::Array& a) { return a.path == path; });
    if (found == job.arrays.end()) throw std::out_of_range(path);
    return *found;
  }

  const std::string extractor_ = asset("cifar10_extractor.pt").string();
  const std::string sample_ = "  - sample: {num_images: 4, cfg: 1, compute_type: float32, ";
};

TEST_F(Calibrations, AreAnnouncedAndMadeOnce) {
  const std::string jobs = sample_ + "grid: {seed: [0, 1], strategy: [Window-4, Window-8-0.1]}}\n";
  // A run of nothing leaves toy.yaml; the plan then tells what the first of these jobs will do.
  run("  - sample: {num_images: 2, strategy: For}\n");
  EXPECT_THAT(dry_run(), Not(HasSubstr("calibration")));
  EXPECT_TRUE(kept().empty());
  const record::SweepRecord sweep = run(jobs);
  EXPECT_EQ(sweep.rows.size(), 4u);
  ASSERT_EQ(kept().size(), 1u) << "one model, one compute type";
  size_t made = 0;
  std::string hash;
  for (const auto& [id, job] : sweep.jobs) {
    const Json& calibration = job.environment.at("calibration").at("float32");
    made += calibration.at("made_by_this_job").get<bool>();
    EXPECT_EQ(calibration.at("images"), 24);
    EXPECT_GT(calibration.at("seconds").get<double>(), 0);
    if (hash.empty()) hash = calibration.at("hash").get<std::string>();
    EXPECT_EQ(calibration.at("hash"), hash);
  }
  EXPECT_GE(made, 1u);
  EXPECT_EQ(record::read_root_attribute(kept()[0], "hash"), hash);
  EXPECT_THAT(logs(), HasSubstr("calibration " + hash + " of the adaptive window, float32"));
  EXPECT_THAT(dry_run(), Not(HasSubstr("calibration"))) << "all is done";
  write_file(folder_ / "toy.yaml",
             read_file(folder_ / "toy.yaml") + sample_ + "seed: 7, strategy: Window-4}\n");
  EXPECT_THAT(dry_run(), Not(HasSubstr("calibration"))) << "it is kept";
  fs::remove(kept()[0]);
  EXPECT_THAT(dry_run(), HasSubstr("a calibration of toy for adaptive windows will be made once in "
                                   "float32: 24 images sampled sequentially"));
}

TEST_F(Calibrations, AreNotMadeForOtherGuesses) {
  run(sample_ + "strategy: {window: 4, tolerance: 0.1, guess: up}}\n");
  EXPECT_TRUE(kept().empty());
  EXPECT_THAT(logs(), Not(HasSubstr("calibration")));
}

TEST_F(Calibrations, ThatAreDamagedAreMadeAnew) {
  const auto images = [&](int seed) {
    const record::SweepRecord sweep =
        run(sample_ + "seed: " + std::to_string(seed) + ", strategy: Window-4}\n");
    return array(sweep.jobs.begin()->second, "images/before_denoising").data;
  };
  images(0);
  ASSERT_EQ(kept().size(), 1u);
  const fs::path file = kept()[0];
  const std::string whole = read_file(file);
  const auto expect_made_anew = [&](int seed, const std::string& why) {
    images(seed);
    EXPECT_THAT(logs(), AllOf(HasSubstr("is not usable and is made again"), HasSubstr(why)));
    EXPECT_EQ(record::read_root_attribute(file, "identity"),
              record::read_root_attribute(kept()[0], "identity"));
    fs::remove_all(folder_ / "results/toy/jobs");
  };
  fs::resize_file(file, whole.size() / 2);
  expect_made_anew(1, "calibration-");
  const auto rewrite = [&](const std::string& identity, double clip) {
    std::vector<record::Array> arrays;
    for (const char* name : {"J", "j0", "up", "left"})
      arrays.push_back(record::read_dataset(file, name));
    arrays.push_back(record::make_array("clip", {2}, std::vector<double>{clip, clip}, "", ""));
    record::write_datasets(
        file, arrays,
        {{"identity", identity}, {"hash", record::read_root_attribute(file, "hash")}});
  };
  const std::string identity = record::read_root_attribute(file, "identity");
  rewrite(identity, 1e-3);
  expect_made_anew(2, "its content has changed");
  rewrite("another", 1);
  expect_made_anew(3, "it is of something else");
}

TEST_F(Calibrations, ServeEveryExperimentWithStrategies) {
  const record::SweepRecord sweep =
      run("  - evaluate: {num_images: 4, chunk: 2, strategy: Window-4, self_denoising_lr: 0, "
          "extractor: " +
          extractor_ + ", reference: " + asset("cifar10").string() +
          "}\n"
          "  - compare: {num_images: 2, strategy: Window-4-0, against: Window-16-0}\n"
          "  - trace: {num_images: 2, strategy: Window-4}\n"
          "  - benchmark: {batch: 2, repeats: 1, profile: false, strategy: Window-4}\n"
          "  - device_error: {num_images: 2, strategy: Window-4}\n");
  EXPECT_EQ(sweep.jobs.size(), 5u);
  for (const auto& [id, job] : sweep.jobs)
    EXPECT_TRUE(job.environment.contains("calibration")) << job.job.dump();
  EXPECT_EQ(kept().size(), 2u) << "device_error compares two compute types";
}

TEST_F(Calibrations, AndWindowsAreTheSameForAnyNumberOfProcesses) {
  const auto digest = [&](int ranks) {
    fs::remove_all(folder_ / "results");
    const record::SweepRecord sweep =
        run("  - evaluate: {num_images: 8, chunk: 2, cfg: 1, strategy: Window-4-0.1, "
            "self_denoising_lr: 0, extractor: " +
            extractor_ + ", reference: " + asset("cifar10").string() +
            "}\nrun: {gpus: 0, threads: 1, ranks: " + std::to_string(ranks) + "}\n");
    return record::digest(sweep) + record::read_root_attribute(kept().at(0), "hash");
  };
  const std::string one = digest(1);
  for (const int ranks : {2, 3}) EXPECT_EQ(digest(ranks), one) << ranks << " processes";
}

TEST_F(Calibrations, ThatFailEndTheJobByName) {
  // Images of class 0 are not finite, others are.
  const std::vector<float> embedding(kToyShape.channels, 1e30f);
  checkpoint::write_spoilt(folder_ / kToyFile, kToyShape, checkpoint::DType::kFloat32,
                           {{"blocks.0.class_embed", embedding}});
  const std::string sample =
      "  - sample: {num_images: 4, labels: [1], compute_type: float32, nonfinite: exclude, ";
  EXPECT_NE(wait(start(sample + "strategy: Window-4}\n")), 0);
  EXPECT_THAT(read_file(folder_ / "log") + logs(),
              AllOf(HasSubstr("the calibration of the adaptive window fails"),
                    HasSubstr("not finite"), HasSubstr("`guess: up`")));
  EXPECT_TRUE(kept().empty());
  run(sample + "strategy: {window: 4, tolerance: 0.03, guess: up}}\n");
}

}  // namespace
}  // namespace tarflow::experiments
