// Jobs that are stopped, killed or continued: the worker alone, with the job folders it is given.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <torch/csrc/jit/api/module.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <thread>

#include "framework/core/json.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::HasSubstr;

constexpr int kStopped = 75;
constexpr int kChunks = 300;

int64_t whole(const record::Row& row, const std::string& column) {
  return std::get<int64_t>(row.at(column));
}

class Resume : public Programs {
 protected:
  // Runs the sweep undisturbed; its one job is what the trials repeat. Two rates, features of three
  // colours, and a guidance so large that some images overflow.
  void run_undisturbed() {
    torch::jit::Module mean("__torch__.mean");
    mean.define("def forward(self, x):\n    return x.float().flatten(2).mean(2)\n");
    mean.save((folder_ / "mean.pt").string());
    undisturbed_ = run(evaluate("seed: 0"));
    ASSERT_EQ(undisturbed_.jobs.size(), 1u);
    hash_ = undisturbed_.jobs.begin()->first;
  }

  std::string evaluate(const std::string& more) const {
    return "  - evaluate:\n      {num_images: " + std::to_string(2 * kChunks) +
           ", chunk: 2, cfg: 1000, strategy: For, nonfinite: exclude, extractor: mean.pt, " +
           "kid_subset_size: 20, kept_features: 200, reference: " + asset("cifar10").string() +
           ", " + more + ", grid: {self_denoising_lr: [0, 1]}}\n";
  }

  // A folder with the undisturbed job and no result.
  fs::path trial(const std::string& name) const {
    const fs::path folder = folder_ / "results/toy/trials" / name;
    fs::create_directories(folder);
    fs::copy_file(folder_ / "results/toy/jobs" / hash_ / "job.json", folder / "job.json",
                  fs::copy_options::overwrite_existing);
    return folder;
  }

  static pid_t start_job(const fs::path& folder, const char* threads = "1") {
    const std::string program = (fs::path(TARFLOW_RUN_SWEEP).parent_path() / "run_job").string();
    fs::remove(folder / "progress.json");
    const pid_t process = ::fork();
    if (process != 0) return process;
    if (!::freopen((folder / "log.txt").c_str(), "w", stdout) || ::dup2(1, 2) < 0) ::_exit(99);
    ::execl(program.c_str(), program.c_str(), folder.c_str(), "--threads", threads, nullptr);
    ::_exit(99);
  }

  static std::string log_of(const fs::path& folder) {
    return fs::exists(folder / "log.txt") ? read_file(folder / "log.txt") : "";
  }

  // Waits until `reached` or the process ended; the process is left to be waited for.
  template <typename Condition>
  static void wait_until(pid_t process, const Condition& reached) {
    siginfo_t ended{};
    while (!reached()) {
      ended.si_pid = 0;
      ::waitid(P_PID, static_cast<id_t>(process), &ended, WEXITED | WNOHANG | WNOWAIT);
      if (ended.si_pid == process) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  static int64_t images_done(const fs::path& folder) {
    if (!fs::exists(folder / "progress.json")) return 0;
    return read_json_file(folder / "progress.json").value("done", int64_t{0});
  }

  // Ends with partial.h5, stopped after some chunks.
  static void start_and_stop(const fs::path& folder, const char* threads = "1") {
    const pid_t process = start_job(folder, threads);
    wait_until(process, [&] { return images_done(folder) > 0; });
    ::kill(process, SIGTERM);
    ASSERT_EQ(wait(process), kStopped) << log_of(folder);
    ASSERT_TRUE(fs::exists(folder / "partial.h5"));
    ASSERT_FALSE(fs::exists(folder / "result.h5"));
  }

  void expect_undisturbed_result(const fs::path& folder) const {
    const fs::path merged = folder / "merged.h5";
    const std::vector<fs::path> results = {folder / "result.h5"};
    EXPECT_TRUE(record::merge(merged, "toy", results).problems.empty());
    EXPECT_EQ(record::digest(record::read_sweep(merged)), record::digest(undisturbed_));
    EXPECT_FALSE(fs::exists(folder / "partial.h5")) << "what stands in the result is not kept";
  }

  void expect_finishes(const fs::path& folder) const {
    ASSERT_EQ(wait(start_job(folder)), 0) << log_of(folder);
    expect_undisturbed_result(folder);
  }

  record::SweepRecord undisturbed_;
  std::string hash_;
};

TEST_F(Resume, StoppedAndContinuedHasTheUndisturbedDigest) {
  run_undisturbed();
  ASSERT_EQ(undisturbed_.rows.size(), 2u);
  for (const record::Row& row : undisturbed_.rows) {
    EXPECT_GT(whole(row, "nonfinite_images"), 0) << "some images are to be left out";
    EXPECT_GT(whole(row, "distance_images"), 10) << "and some not";
    EXPECT_GT(std::get<double>(row.at("distance_error")), 0);
    EXPECT_GT(whole(row, "feature_samples"), 20) << "for these, which go on as well:";
    for (const char* column : {"kid", "kid_deviation", "precision", "recall"})
      EXPECT_FALSE(std::isnan(std::get<double>(row.at(column)))) << column;
    EXPECT_EQ(whole(row, "interrupted"), 0);
  }
  const fs::path folder = trial("stopped");
  start_and_stop(folder);
  EXPECT_THAT(log_of(folder), HasSubstr("stopped at chunk "));
  EXPECT_THAT(log_of(folder), HasSubstr(" of 300; to be continued"));
  expect_finishes(folder);
  EXPECT_THAT(log_of(folder), HasSubstr("continued at chunk "));
  EXPECT_GT(read_json_file(folder / "progress.json").at("done_before"), 0.0);
  for (const record::Row& row : record::read_job(folder / "result.h5").rows)
    EXPECT_EQ(whole(row, "interrupted"), 1);
}

// Threads that do not hold SIGTERM back would let it end the process.
TEST_F(Resume, StopsWithSeveralThreads) {
  run_undisturbed();
  const fs::path folder = trial("threads");
  start_and_stop(folder, "3");
  EXPECT_THAT(log_of(folder), HasSubstr("to be continued"));
}

TEST_F(Resume, KilledAtAnyMomentItHasTheUndisturbedDigest) {
  run_undisturbed();
  const fs::path folder = trial("killed");
  for (const int64_t share : {0, 1, 2, 3}) {  // of the images, in fourths
    const int64_t wanted = share * 2 * kChunks / 4;
    const pid_t process = start_job(folder);
    wait_until(process, [&] {
      return share == 0 ? !log_of(folder).empty() : images_done(folder) >= wanted;
    });
    ::kill(process, SIGKILL);
    wait(process);
    if (fs::exists(folder / "result.h5")) break;
  }
  expect_finishes(folder);
}

TEST_F(Resume, StoppedBeforeTheFirstChunkItStartsAnew) {
  run_undisturbed();
  const fs::path folder = trial("early");
  const pid_t process = start_job(folder);
  wait_until(process, [&] { return !log_of(folder).empty(); });
  ::kill(process, SIGUSR2);
  EXPECT_EQ(wait(process), kStopped) << log_of(folder);
  expect_finishes(folder);
}

// Bytes of `file` changed by `damage`.
void damage(const fs::path& file, const std::function<void(std::string&)>& damage) {
  std::string bytes = read_file(file);
  damage(bytes);
  write_file(file, bytes);
}

TEST_F(Resume, WhatDoesNotFitIsNotContinued) {
  run_undisturbed();
  const fs::path folder = trial("unfit");
  start_and_stop(folder);
  fs::copy_file(folder / "partial.h5", folder / "good.h5");
  const auto expect_not_continued = [&](const char* reason, const char* threads) {
    const pid_t process = start_job(folder, threads);
    wait_until(process, [&] { return images_done(folder) > 0; });
    ::kill(process, SIGKILL);
    wait(process);
    EXPECT_THAT(log_of(folder), HasSubstr("is not continued"));
    EXPECT_THAT(log_of(folder), HasSubstr(reason));
    EXPECT_EQ(log_of(folder).find("continued at chunk"), std::string::npos);
    fs::copy_file(folder / "good.h5", folder / "partial.h5", fs::copy_options::overwrite_existing);
  };
  expect_not_continued("threads 1, now 2", "2");
  damage(folder / "partial.h5", [](std::string& bytes) { bytes[bytes.size() / 2] ^= 1; });
  expect_not_continued("damaged", "1");
  damage(folder / "partial.h5", [](std::string& bytes) { bytes.resize(bytes.size() - 100); });
  expect_not_continued("damaged", "1");
  damage(folder / "partial.h5", [](std::string& bytes) { bytes.clear(); });
  expect_not_continued("not a record", "1");
  Json job = read_json_file(folder / "job.json");
  job["points"][1]["key"] = "of other contents";
  write_json_file(folder / "job.json", job);
  expect_not_continued("made with another points", "1");
  trial("unfit");
  fs::remove(folder / "partial.h5");
  fs::create_directory(folder / "partial.h5");  // what is there may be work that cannot be read now
  EXPECT_EQ(wait(start_job(folder)), 1);
  EXPECT_THAT(log_of(folder), HasSubstr("nothing is computed over it"));
}

TEST_F(Resume, TheLogSaysWhatAStopCosts) {
  run("  - sample: {num_images: 3000, chunk: 2, strategy: For}\n");
  hash_ = fs::directory_iterator(folder_ / "results/toy/jobs")->path().filename();
  const fs::path folder = trial("sample");
  const pid_t process = start_job(folder);
  wait_until(process, [&] { return images_done(folder) > 0; });
  const Json progress = read_json_file(folder / "progress.json");
  ::kill(process, SIGTERM);
  EXPECT_EQ(wait(process), kStopped) << log_of(folder);
  EXPECT_THAT(log_of(folder), HasSubstr("the job will start from the beginning"));
  EXPECT_FALSE(fs::exists(folder / "partial.h5"));
  EXPECT_EQ(progress.at("resumable"), false);
  EXPECT_EQ(progress.at("done_before"), 0.0);
  EXPECT_GT(progress.at("working_seconds"), 0.0);
  EXPECT_EQ(progress.at("phase"), "sampling");
  EXPECT_EQ(progress.at("total"), 3000);
  EXPECT_GT(progress.at("updated").get<int>(), 1);
  EXPECT_GT(progress.at("seconds_left").get<double>(), 0);
}

TEST_F(Resume, ASecondRequestEndsItAtOnce) {
  run("  - sample: {num_images: 2, chunk: 2, strategy: For}\n");
  hash_ = fs::directory_iterator(folder_ / "results/toy/jobs")->path().filename();
  const fs::path folder = trial("long");
  Json job = read_json_file(folder / "job.json");
  job["settings"]["num_images"] = 100000;
  job["settings"]["chunk"] = 100000;  // one chunk that lasts
  write_json_file(folder / "job.json", job);
  const pid_t process = start_job(folder);
  wait_until(process, [&] { return fs::exists(folder / "progress.json"); });
  ::kill(process, SIGTERM);
  wait_until(process, [&] { return log_of(folder).find("asked to stop") != std::string::npos; });
  ::kill(process, SIGTERM);
  EXPECT_EQ(wait(process), 128 + SIGTERM) << log_of(folder);
}

}  // namespace
}  // namespace tarflow::experiments
