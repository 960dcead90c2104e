// Trainings as users start them: models that others use, interruptions, ranks, bad input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <random>
#include <set>
#include <thread>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/core/error.h"
#include "framework/core/hash.h"
#include "framework/core/json.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kFile = "tiny_model_2_64_2_1_0.10.pth";

int64_t whole(const record::Row& row, const std::string& column) {
  return std::get<int64_t>(row.at(column));
}

std::string text(const record::Row& row, const std::string& column) {
  return std::get<std::string>(row.at(column));
}

const record::Row& row_of(const record::SweepRecord& sweep, const std::string& experiment) {
  for (const record::Row& row : sweep.rows) {
    if (text(row, "experiment") == experiment) return row;
  }
  throw Error("no row of " + experiment);
}

const record::Array& array_of(const record::SweepRecord& sweep, const std::string& job,
                              const std::string& path) {
  for (const record::Array& array : sweep.jobs.at(job).arrays) {
    if (array.path == path) return array;
  }
  throw Error("no array " + path);
}

class Train : public Programs {
 protected:
  // Of 120 images of the demo, 8 x 8; `more` comes last and overrides nothing.
  std::string train(const std::string& more = "classes: 10, drop_label: 0.1, steps: 12",
                    const std::string& learning_rate = "0.003") const {
    return "  - train: {name: tiny, image_size: 8, patch_size: 2, channels: 64, blocks: 2, "
           "layers: 1, noise_std: 0.1, batch: 12, warm_up_steps: 2, learning_rate: " +
           learning_rate + ", " +
           "samples: 4, num_images: 120, images: " + asset("cifar10").string() + ", " + more +
           "}\n";
  }

  std::string failure(const std::string& more, const std::string& learning_rate = "0.003") const {
    EXPECT_NE(wait(start(train(more, learning_rate))), 0) << more;
    return read_file(folder_ / "log");
  }

  fs::path job_folder(const record::SweepRecord& sweep) const {
    return folder_ / "results/toy/jobs" / sweep.jobs.begin()->first;
  }
};

TEST_F(Train, TheLossFallsAndTheRecordTellsOfEachStep) {
  const record::SweepRecord sweep = run(
      train("classes: 10, steps: 30, samples_every: 10, held_out: " + asset("cifar10").string() +
            ", held_out_images: 20, held_out_every: 15"));
  const record::Row& row = sweep.rows.front();
  EXPECT_LT(number(row, "last_loss"), number(row, "first_loss"));
  EXPECT_EQ(whole(row, "steps_done"), 30);
  EXPECT_EQ(whole(row, "steps_skipped"), 0);
  EXPECT_EQ(whole(row, "images_seen"), 360);
  EXPECT_EQ(text(row, "checkpoint"), kFile);
  EXPECT_EQ(text(row, "status"), "ok");
  const std::string job = sweep.jobs.begin()->first;
  const auto values = [&](const char* path) {
    return record::to_doubles(array_of(sweep, job, path));
  };
  const std::vector<double> loss = values("training/loss"), square = values("training/square"),
                            logdet = values("training/logdet"),
                            blocks = values("training/block_squares"),
                            rate = values("training/learning_rate");
  ASSERT_EQ(loss.size(), 30u);
  ASSERT_EQ(blocks.size(), 60u);
  for (size_t i = 0; i < loss.size(); ++i) {
    EXPECT_NEAR(loss[i], square[i] - logdet[i], 1e-12);
    EXPECT_NEAR(square[i], 0.5 * blocks[2 * i + 1], 1e-6);
  }
  EXPECT_LT(loss.back(), loss.front() - 0.1);
  EXPECT_DOUBLE_EQ(rate[0], 1e-6);
  EXPECT_DOUBLE_EQ(rate[2], 0.003);
  EXPECT_EQ(values("held_out/step"), (std::vector<double>{15, 30}));
  EXPECT_LT(values("held_out/loss")[1], values("held_out/loss")[0]);
  EXPECT_EQ(values("samples/step"), (std::vector<double>{10, 20, 30}));
  EXPECT_EQ(array_of(sweep, job, "samples/pixels").shape, (std::vector<int64_t>{3, 4, 8, 8, 3}));
  EXPECT_TRUE(fs::exists(job_folder(sweep) / "samples_00000010.png"));
  EXPECT_TRUE(fs::exists(job_folder(sweep) / "samples_00000030.png"));
  EXPECT_TRUE(fs::exists(job_folder(sweep) / kFile));
}

TEST_F(Train, TheLastStepsAreProfiled) {
  const record::SweepRecord sweep = run(train("classes: 10, steps: 5, profile_steps: 2"));
  const record::Row& row = sweep.rows.front();
  EXPECT_EQ(whole(row, "profiled_steps"), 2);
  EXPECT_GT(number(row, "profiled_step_seconds"), 0);
  EXPECT_GE(number(row, "idle_share"), 0);
  EXPECT_LT(number(row, "idle_share"), 1);
  const std::string job = sweep.jobs.begin()->first;
  const std::vector<std::string>& names = array_of(sweep, job, "training/kernels/name").strings;
  const std::vector<double> calls =
      record::to_doubles(array_of(sweep, job, "training/kernels/calls"));
  const auto product = std::find(names.begin(), names.end(), "aten::addmm");
  ASSERT_NE(product, names.end());
  // Forwards: 4 linear layers and 2 projections a block, once each: all activations fit into
  // memory.
  EXPECT_EQ(calls[static_cast<size_t>(product - names.begin())], 2 * 6);
  // Also where there are no other steps.
  const record::SweepRecord all = run(train("classes: 10, steps: 2, profile_steps: 3"));
  EXPECT_EQ(whole(all.rows.front(), "profiled_steps"), 2);
  // Not part of what the training is.
  EXPECT_EQ(whole(run(train("classes: 10, steps: 5")).rows.front(), "profiled_steps"), 2);
}

// On a CPU both kernels give the same bits. On a GPU they do not, so they are two trainings.
TEST_F(Train, KernelsArePartOfWhatTheTrainingIs) {
  std::string log;
  const auto trained = [&](const std::string& more) {
    const record::SweepRecord sweep =
        run(train("classes: 10, steps: 4, compute_type: bfloat16" + more));
    log = read_file(job_folder(sweep) / "log.txt");
    return sweep.rows.front();
  };
  const record::Row plain = trained("");
  EXPECT_THAT(log, Not(HasSubstr("fused")));
  const record::Row fused = trained(", kernels: fused");
  EXPECT_THAT(log, HasSubstr("bfloat16, fused kernels: 4 steps"));
  EXPECT_EQ(text(plain, "kernels"), "composed");
  EXPECT_EQ(text(fused, "kernels"), "fused");
  EXPECT_NE(text(plain, "point"), text(fused, "point"));
  EXPECT_EQ(text(plain, "checkpoint_sha256"), text(fused, "checkpoint_sha256"));
  EXPECT_THAT(failure("classes: 10, steps: 4, kernels: fuse"), HasSubstr("fused"));
}

TEST_F(Train, OthersUseTheModelAndWaitForIt) {
  models_ = "  mine: {trained_by: tiny}\n  averaged: {trained_by: tiny, weights: ema}\n";
  const std::string uses = "  - bpd: {num_images: 20, images: " + asset("cifar10").string() +
                           ", grid: {model: [mine, averaged]}}\n"
                           "  - evaluate: {model: mine, num_images: 4, strategy: For}\n";
  const std::string experiments = uses + train("classes: 10, epochs: 1, output: models, ema: 0.5");
  const record::SweepRecord sweep = run(experiments);
  EXPECT_EQ(sweep.rows.size(), 4u);
  EXPECT_TRUE(fs::exists(folder_ / "models" / kFile));
  EXPECT_TRUE(fs::exists(folder_ / "models/tiny_ema_model_2_64_2_1_0.10.pth"));
  const record::Row& row = row_of(sweep, "train");
  EXPECT_EQ(sha256_file(folder_ / "models" / kFile), text(row, "checkpoint_sha256"));
  const ModelShape shape = checkpoint::open_tarflow(folder_ / "models" / kFile).shape;
  EXPECT_EQ(shape.classes, 10);
  EXPECT_EQ(shape.noise_std, 0.1);
  std::set<double> densities;
  for (const record::Row& one : sweep.rows) {
    if (text(one, "experiment") == "bpd") densities.insert(number(one, "noisy_nats_per_dimension"));
  }
  EXPECT_EQ(densities.size(), 2u) << "averaged weights are others";

  // A file that is gone is put back from the job's folder; nothing is trained again.
  fs::remove(folder_ / "models" / kFile);
  const record::SweepRecord more = run(experiments + "  - igm_crm: {model: mine, num_images: 4, " +
                                       "images: " + asset("cifar10").string() + "}\n");
  EXPECT_EQ(more.rows.size(), 5u);
  EXPECT_THAT(read_file(folder_ / "log"), HasSubstr("1 job to run"));
  EXPECT_TRUE(fs::exists(folder_ / "models" / kFile));
}

TEST_F(Train, WhatStoodInThePlaceOfTheModelIsKept) {
  fs::create_directories(folder_ / "models");
  write_file(folder_ / "models" / kFile, "somebody's");
  run(train("classes: 10, steps: 2, output: models"));
  EXPECT_EQ(read_file(folder_ / "models" / (std::string(kFile) + ".before-1")), "somebody's");
  EXPECT_NO_THROW(checkpoint::open_tarflow(folder_ / "models" / kFile));
}

TEST_F(Train, DistancesAreMeasured) {
  const record::SweepRecord sweep = run(
      train("steps: 4, distance_every: 2, distance_images: 70, extractor: " +
            asset("cifar10_extractor.pt").string() + ", reference: " + asset("cifar10").string()));
  const std::string job = sweep.jobs.begin()->first;
  EXPECT_EQ(record::to_doubles(array_of(sweep, job, "distance/step")), (std::vector<double>{2, 4}));
  const std::vector<double> values = record::to_doubles(array_of(sweep, job, "distance/value"));
  EXPECT_GT(values[0], 0);
  EXPECT_NE(values[0], values[1]);
  EXPECT_EQ(number(sweep.rows.front(), "distance"), values[1]);
  EXPECT_EQ(text(sweep.rows.front(), "distance_name"), "FD(cifar10_extractor)");
}

TEST_F(Train, SavesTheNewestModels) {
  const record::SweepRecord sweep = run(train("steps: 9, save_every: 2, keep: 2"));
  const fs::path saved = job_folder(sweep) / "checkpoints";
  EXPECT_FALSE(fs::exists(saved / "step_00000004"));
  EXPECT_TRUE(fs::exists(saved / "step_00000006" / kFile));
  EXPECT_TRUE(fs::exists(saved / "step_00000008" / kFile));
}

TEST_F(Train, UniformNoiseMakesADensityInBits) {
  models_ = "  mine: {trained_by: tiny}\n";
  const record::SweepRecord sweep =
      run(train("steps: 20, noise: uniform, output: models, held_out_images: 20, held_out: " +
                asset("cifar10").string()) +
          "  - bpd: {model: mine, num_images: 20, images: " + asset("cifar10").string() + "}\n");
  EXPECT_TRUE(fs::exists(folder_ / "models/tiny_model_2_64_2_1_uniform.pth"));
  const double held_out = number(row_of(sweep, "train"), "held_out_bits"),
               bpd = number(row_of(sweep, "bpd"), "bits_per_dimension");
  EXPECT_NEAR(held_out, bpd, 1e-5 * bpd) << "the same images with the same noise";
  EXPECT_LT(bpd, 9);
}

TEST_F(Train, GreyAndVolumePreservingModelsServeTheOthers) {
  models_ = "  mine: {trained_by: tiny}\n";
  const std::string images = asset("cifar10").string();
  const record::SweepRecord sweep =
      run(train("classes: 10, steps: 8, output: models, colours: 1, volume_preserving: true") +
          "  - evaluate: {model: mine, num_images: 8, cfg: 1, reference: " + images +
          ", extractor: " + asset("cifar10_extractor.pt").string() +
          ", grid: {strategy: [For, {blocks: {else: {segments: 1, max_iterations: 15}}}]}}\n"
          "  - sample: {model: mine, num_images: 4, strategy: For}\n"
          "  - igm_crm: {model: mine, num_images: 8, images: " +
          images + "}\n");
  for (const record::Row& row : sweep.rows) EXPECT_EQ(text(row, "status"), "ok");
  const ModelShape shape = checkpoint::open_tarflow(folder_ / "models" / kFile).shape;
  EXPECT_EQ(shape.colours, 1);
  EXPECT_TRUE(shape.volume_preserving);
  std::vector<double> distances;
  for (const record::Row& row : sweep.rows) {
    if (text(row, "experiment") == "evaluate") distances.push_back(number(row, "distance"));
  }
  ASSERT_EQ(distances.size(), 2u);
  EXPECT_NEAR(distances[0], distances[1], 1e-3 * distances[0]) << "15 iterations are exact";
}

TEST_F(Train, RanksAgreeUpToTheOrderOfSums) {
  const record::SweepRecord one = run(train());
  const std::string job = one.jobs.begin()->first;
  const std::vector<double> expected = record::to_doubles(array_of(one, job, "training/loss"));
  fs::rename(folder_ / "results", folder_ / "of_one");
  const record::SweepRecord two =
      run(train("classes: 10, drop_label: 0.1, steps: 12, run: {gpus: 0, ranks: 2}"));
  const std::vector<double> found = record::to_doubles(array_of(two, job, "training/loss"));
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-5 * std::abs(expected[i])) << i;
  EXPECT_THAT(read_file(folder_ / "results/toy/jobs" / job / "log.txt"), HasSubstr("12 steps"));
}

TEST_F(Train, PartsOfABatchGiveTheSameTraining) {
  const record::SweepRecord whole = run(train());
  const std::vector<double> expected =
      record::to_doubles(array_of(whole, whole.jobs.begin()->first, "training/loss"));
  const record::SweepRecord parts =
      run(train("classes: 10, drop_label: 0.1, steps: 12, accumulation: 3"));
  for (const auto& [hash, job] : parts.jobs) {
    const std::vector<double> found = record::to_doubles(array_of(parts, hash, "training/loss"));
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 1e-5 * std::abs(expected[i])) << i;
  }
}

TEST_F(Train, ATrainingThatIsNotFiniteEndsWithTheLastGoodState) {
  const std::string log =
      failure("steps: 40, save_every: 1, max_skipped_steps: 3", /*learning_rate=*/"10");
  EXPECT_THAT(
      log, AllOf(HasSubstr("is not finite, and 4 steps were skipped"), HasSubstr("learning_rate")));
  size_t saved = 0;
  for (const auto& job : fs::directory_iterator(folder_ / "results/toy/jobs")) {
    for (const auto& step : fs::directory_iterator(job.path() / "checkpoints")) {
      EXPECT_LT(step.path().filename(), "step_00000004") << "steps that were skipped save nothing";
      ++saved;
    }
  }
  EXPECT_GT(saved, 0u);
}

TEST_F(Train, WhatIsWrongWithTrainedByIsSaidAtItsPlace) {
  const auto message = [&](const std::string& model, const std::string& experiments) {
    models_ = "  mine: " + model + "\n";
    EXPECT_NE(wait(start(experiments + "  - evaluate: {model: mine, strategy: For}\n")), 0);
    return read_file(folder_ / "log");
  };
  const std::string good = train("steps: 2, output: models");
  EXPECT_THAT(message("{trained_by: tinny}", good),
              AllOf(HasSubstr("toy.yaml:4:"), HasSubstr("has the name `tinny`"),
                    HasSubstr("did you mean `tiny`?")));
  EXPECT_THAT(message("{trained_by: tiny}", train("steps: 2")),
              AllOf(HasSubstr("does not say where its model goes"), HasSubstr("output: models")));
  EXPECT_THAT(message("{trained_by: tiny, weights: ema}", good),
              HasSubstr("makes no weights `ema`"));
  EXPECT_THAT(message("{trained_by: tiny, channels: 128}", good),
              AllOf(HasSubstr("`channels` is 128"), HasSubstr("the training says 64")));
  EXPECT_THAT(message("{trained_by: tiny, checkpoint: x.pth}", good),
              HasSubstr("the model comes from one of them"));
  EXPECT_THAT(message("{trained_by: tiny}", train("output: models, grid: {steps: [2, 3]}")),
              HasSubstr("several points of `train` have the name `tiny`"));
}

TEST_F(Train, BadInputIsAnErrorWithARepair) {
  const std::vector<std::pair<std::string, std::string>> faults = {
      {"steps: 4, epochs: 2", "`epochs` and `steps` are both stated"},
      {"classes: 10", "neither `epochs` nor `steps` is stated"},
      {"steps: 2, classes: 1", "`classes: 1`"},
      {"steps: 2, classes: 9", "has 10 classes"},
      {"steps: 2, drop_label: 0.1", "`drop_label` with `classes: 0`"},
      {"steps: 2, least_learning_rate: 1", "is above `learning_rate`"},
      {"steps: 2, accumulation: 5", "does not divide into 5 equal parts"}};
  for (const auto& [more, message] : faults) EXPECT_THAT(failure(more), HasSubstr(message)) << more;
}

// The worker alone, with the job folder it is given.
class TrainResume : public Train {
 protected:
  static constexpr int kStopped = 75;

  void run_undisturbed() {
    undisturbed_ =
        run(train("classes: 10, drop_label: 0.1, steps: 60, ema: 0.9, samples_every: 25") +
            "run: {threads: 1}\n");  // another number of threads gives other bits
    hash_ = undisturbed_.jobs.begin()->first;
  }

  fs::path trial(const std::string& name) const {
    const fs::path folder = folder_ / "results/toy/trials" / name;
    fs::create_directories(folder);
    fs::copy_file(folder_ / "results/toy/jobs" / hash_ / "job.json", folder / "job.json");
    return folder;
  }

  static pid_t start_job(const fs::path& folder) {
    const std::string program = (fs::path(TARFLOW_RUN_SWEEP).parent_path() / "run_job").string();
    const pid_t process = ::fork();
    if (process != 0) return process;
    if (!::freopen((folder / "log.txt").c_str(), "a", stdout) || ::dup2(1, 2) < 0) ::_exit(99);
    ::execl(program.c_str(), program.c_str(), folder.c_str(), "--threads", "1", nullptr);
    ::_exit(99);
  }

  // Ended by `signal` after so many milliseconds of training; false when it was done before.
  static bool start_and_end(const fs::path& folder, int signal, int milliseconds) {
    fs::remove(folder / "progress.json");
    const pid_t process = start_job(folder);
    siginfo_t ended{};
    while (!fs::exists(folder / "progress.json")) {
      ::waitid(P_PID, static_cast<id_t>(process), &ended, WEXITED | WNOHANG | WNOWAIT);
      if (ended.si_pid == process) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    ::kill(process, signal);
    const int status = wait(process);
    EXPECT_THAT(status, testing::AnyOf(0, kStopped, 128 + SIGKILL))
        << read_file(folder / "log.txt");
    return status != 0;
  }

  void expect_undisturbed_result(const fs::path& folder) const {
    const fs::path merged = folder / "merged.h5";
    const std::vector<fs::path> results = {folder / "result.h5"};
    EXPECT_TRUE(record::merge(merged, "toy", results).problems.empty());
    EXPECT_EQ(record::digest(record::read_sweep(merged)), record::digest(undisturbed_));
    const fs::path original = folder_ / "results/toy/jobs" / hash_;
    for (const char* file : {kFile, "tiny_ema_model_2_64_2_1_0.10.pth"})
      EXPECT_EQ(sha256_file(folder / file), sha256_file(original / file)) << file;
  }

  record::SweepRecord undisturbed_;
  std::string hash_;
};

TEST_F(TrainResume, StoppedAndKilledTrainingsEndInTheUndisturbedBits) {
  run_undisturbed();
  std::mt19937 random(7);
  int interruptions = 0;
  for (const int signal : {SIGTERM, SIGKILL}) {
    const fs::path folder = trial("signal_" + std::to_string(signal));
    for (int i = 0; i < 4; ++i)
      interruptions += start_and_end(folder, signal, static_cast<int>(random() % 400));
    const int status = fs::exists(folder / "result.h5") ? 0 : wait(start_job(folder));
    ASSERT_EQ(status, 0) << read_file(folder / "log.txt");
    expect_undisturbed_result(folder);
  }
  EXPECT_GT(interruptions, 0);
}

}  // namespace
}  // namespace tarflow::experiments
