// evaluate as ranks on CPUs, one thread each: the same numbers for any count of them, and an end
// within seconds when one of them dies or stands still.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <sstream>
#include <thread>

#include "framework/core/json.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kStopped = 75;
using Words = std::vector<std::string>;

class EvaluateRanks : public Programs {
 protected:
  // A point for each of two rates, with features; what the trials repeat.
  void plan(int64_t images) {
    const record::SweepRecord sweep =
        run("  - evaluate:\n      {num_images: " + std::to_string(images) +
            ", chunk: 2, strategy: For, kid_subset_size: 5, kept_features: 20, extractor: " +
            asset("cifar10_extractor.pt").string() + ", reference: " + asset("cifar10").string() +
            ", grid: {self_denoising_lr: [0, 1]}}\n");
    ASSERT_EQ(sweep.jobs.size(), 1u);
    hash_ = sweep.jobs.begin()->first;
  }

  // A folder with the planned job, of so many images if that is stated, and no result.
  fs::path trial(const std::string& name, int64_t images = 0) const {
    const fs::path folder = folder_ / "results/toy/trials" / name;
    fs::create_directories(folder);
    Json job = read_json_file(folder_ / "results/toy/jobs" / hash_ / "job.json");
    if (images > 0) job["settings"]["num_images"] = images;
    write_json_file(folder / "job.json", job);
    return folder;
  }

  static pid_t start_job(const fs::path& folder, const Words& more,
                         const std::map<std::string, std::string>& variables = {}) {
    Words words = {(fs::path(TARFLOW_RUN_SWEEP).parent_path() / "run_job").string(),
                   folder.string()};
    words.insert(words.end(), more.begin(), more.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t process = ::fork();
    if (process != 0) return process;
    ::setpgid(0, 0);
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
    if (!::freopen((folder / "log.txt").c_str(), "a", stdout) || ::dup2(1, 2) < 0) ::_exit(99);
    ::execv(arguments.front(), arguments.data());
    ::_exit(99);
  }

  static pid_t start_ranks(const fs::path& folder, int ranks, const Words& more = {}) {
    const std::string count = std::to_string(ranks);
    Words words = {"--ranks", count, "--threads", count};
    words.insert(words.end(), more.begin(), more.end());
    return start_job(folder, words);
  }

  static std::string log_of(const fs::path& folder) {
    return fs::exists(folder / "log.txt") ? read_file(folder / "log.txt") : "";
  }

  static std::string digest_of(const fs::path& folder) {
    const fs::path merged = folder / "merged.h5";
    const std::vector<fs::path> results = {folder / "result.h5"};
    EXPECT_TRUE(record::merge(merged, "toy", results).problems.empty());
    return record::digest(record::read_sweep(merged));
  }

  // Waits until `reached`; fails the test when the process ended before.
  template <typename Condition>
  static void wait_until(pid_t process, const fs::path& folder, const Condition& reached) {
    siginfo_t ended{};
    while (!reached()) {
      ended.si_pid = 0;
      ::waitid(P_PID, static_cast<id_t>(process), &ended, WEXITED | WNOHANG | WNOWAIT);
      ASSERT_NE(ended.si_pid, process) << log_of(folder);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  // Whether the job is past what belongs to starting.
  static bool samples(const fs::path& folder) {
    return fs::exists(folder / "progress.json") &&
           read_json_file(folder / "progress.json").value("phase", "") == "sampling";
  }

  // By rank, from the line "3 ranks, processes 7, 8, 9".
  static std::vector<pid_t> processes_of(const fs::path& folder) {
    const std::string log = log_of(folder), mark = "ranks, processes ";
    const size_t begin = log.rfind(mark);
    if (begin == std::string::npos || log.find('\n', begin) == std::string::npos) return {};
    std::istringstream list(log.substr(begin + mark.size(), log.find('\n', begin) - begin));
    std::vector<pid_t> processes;
    for (std::string word; list >> word;) {
      if (word.find_first_not_of("0123456789,") != std::string::npos) break;
      processes.push_back(std::stoi(word));
    }
    return processes;
  }

  // Ranks that are at work on more than they will ever finish.
  std::vector<pid_t> long_job(const fs::path& folder, int ranks, const Words& more,
                              pid_t& launcher) const {
    launcher = start_ranks(folder, ranks, more);
    wait_until(launcher, folder, [&] { return samples(folder); });
    std::vector<pid_t> processes = processes_of(folder);
    EXPECT_EQ(processes.size(), static_cast<size_t>(ranks)) << log_of(folder);
    return processes;
  }

  static void expect_all_gone(const std::vector<pid_t>& processes) {
    for (const pid_t process : processes) {
      // Those whose parent was killed are waited for by init, which may take a moment.
      for (int round = 0; round < 500 && ::kill(process, 0) == 0; ++round)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      EXPECT_NE(::kill(process, 0), 0) << process;
    }
  }

  std::string hash_;
};

constexpr int64_t kEndless = 400000;

TEST_F(EvaluateRanks, AnyCountOfThemGivesTheSameBits) {
  plan(21);
  std::string one;
  for (int ranks = 1; ranks <= 4; ++ranks) {
    const fs::path folder = trial("ranks" + std::to_string(ranks));
    ASSERT_EQ(wait(start_ranks(folder, ranks)), 0) << log_of(folder);
    if (ranks == 1) one = digest_of(folder);
    EXPECT_EQ(digest_of(folder), one) << ranks << " ranks";
    const record::JobRecord record = record::read_job(folder / "result.h5");
    for (const record::Row& row : record.rows) {
      EXPECT_EQ(std::get<int64_t>(row.at("ranks")), ranks);
      EXPECT_GT(number(row, "sampling_seconds"), 0);
      EXPECT_EQ(number(row, "gather_seconds") > 0, ranks > 1);
      EXPECT_GE(number(row, "total_seconds"),
                number(row, "sampling_seconds") + number(row, "gather_seconds"));
    }
    EXPECT_EQ(record.environment.contains("ranks"), ranks > 1);
    EXPECT_FALSE(fs::exists(folder / "partial.h5"));
  }
}

TEST_F(EvaluateRanks, StoppedAndContinuedWithAnotherCountTheBitsAreTheSame) {
  plan(400);
  const fs::path whole = trial("whole");
  ASSERT_EQ(wait(start_ranks(whole, 1)), 0) << log_of(whole);
  const fs::path folder = trial("stopped");
  bool stopped = true;
  for (const int ranks : {3, 1, 2, 4}) {
    fs::remove(folder / "progress.json");
    const pid_t process = start_ranks(folder, ranks);
    if (ranks == 4) {
      ASSERT_EQ(wait(process), 0) << log_of(folder);
      break;
    }
    // It is at work; since it hears of the stop at once it is not done soon after.
    wait_until(process, folder, [&] { return samples(folder); });
    ::kill(process, ranks == 1 ? SIGTERM : SIGUSR2);
    stopped = stopped && wait(process) == kStopped;
    ASSERT_TRUE(stopped) << log_of(folder);
    EXPECT_TRUE(fs::exists(folder / "partial.h5"));
  }
  EXPECT_THAT(log_of(folder), AllOf(HasSubstr("continued at chunk"), Not(HasSubstr("not cont"))));
  EXPECT_EQ(digest_of(folder), digest_of(whole));
}

TEST_F(EvaluateRanks, ARankThatIsKilledEndsTheJobAndIsNamed) {
  plan(2);
  for (const size_t killed : {size_t{0}, size_t{2}}) {
    const fs::path folder = trial("killed" + std::to_string(killed), kEndless);
    pid_t launcher = 0;
    const std::vector<pid_t> processes = long_job(folder, 3, {}, launcher);
    ASSERT_EQ(processes.size(), 3u);
    ::kill(processes[killed], SIGKILL);
    EXPECT_EQ(wait(launcher), 128 + SIGKILL);
    EXPECT_THAT(log_of(folder),
                HasSubstr("error: rank " + std::to_string(killed) + " was killed by signal 9"));
    expect_all_gone(processes);
  }
}

TEST_F(EvaluateRanks, ARankThatStandsStillIsNamedAfterTheLimit) {
  plan(2);
  for (const size_t stopped : {size_t{0}, size_t{2}}) {
    const fs::path folder = trial("still" + std::to_string(stopped), kEndless);
    pid_t launcher = 0;
    const std::vector<pid_t> processes = long_job(folder, 3, {"--silence-limit", "4"}, launcher);
    ASSERT_EQ(processes.size(), 3u);
    ::kill(processes[stopped], SIGSTOP);
    EXPECT_EQ(wait(launcher), 1);
    EXPECT_THAT(log_of(folder), AllOf(HasSubstr("rank " + std::to_string(stopped) + " (host "),
                                      HasSubstr("silent")));
    expect_all_gone(processes);
  }
}

TEST_F(EvaluateRanks, RanksDieWithWhatStartedThem) {
  plan(2);
  const fs::path folder = trial("orphans", kEndless);
  pid_t launcher = 0;
  const std::vector<pid_t> processes = long_job(folder, 2, {}, launcher);
  ::kill(launcher, SIGKILL);
  wait(launcher);
  expect_all_gone(processes);
}

// As under srun and torchrun, where another rank's end is to be noticed by the rank itself.
TEST_F(EvaluateRanks, WithoutALauncherTheOthersNameTheRankThatDied) {
  plan(2);
  for (const int killed : {0, 1}) {
    const fs::path folder = trial("apart" + std::to_string(killed), kEndless);
    std::vector<pid_t> processes;
    for (int rank = 0; rank < 2; ++rank) {
      processes.push_back(start_job(folder, {"--threads", "1", "--silence-limit", "4"},
                                    {{"RANK", std::to_string(rank)},
                                     {"LOCAL_RANK", std::to_string(rank)},
                                     {"WORLD_SIZE", "2"},
                                     {"MASTER_ADDR", "127.0.0.1"},
                                     {"MASTER_PORT", std::to_string(20000 + ::getpid() % 10000)}}));
    }
    wait_until(processes[0], folder, [&] { return samples(folder); });
    ::kill(processes[static_cast<size_t>(killed)], SIGKILL);
    EXPECT_EQ(wait(processes[static_cast<size_t>(1 - killed)]), 1);
    wait(processes[static_cast<size_t>(killed)]);
    EXPECT_THAT(log_of(folder), HasSubstr("error: rank " + std::to_string(killed) + " (host "));
  }
}

TEST_F(EvaluateRanks, WhatOneOfThemFindsWrongIsInTheLog) {
  run("  - sample: {num_images: 2, strategy: For}\n");
  hash_ = fs::directory_iterator(folder_ / "results/toy/jobs")->path().filename();
  const fs::path folder = trial("sample");
  EXPECT_EQ(wait(start_ranks(folder, 2)), 1);
  EXPECT_THAT(log_of(folder), HasSubstr("error: sample runs in one process"));
}

TEST_F(EvaluateRanks, WhatStartsThemIsNeverGuessed) {
  plan(2);
  const fs::path folder = trial("guessed");
  EXPECT_EQ(wait(start_job(folder, {"--ranks-from", "torchrun"})), 1);
  EXPECT_EQ(wait(start_job(folder, {}, {{"RANK", "1"}})), 1);
  EXPECT_THAT(log_of(folder), HasSubstr("WORLD_SIZE, LOCAL_RANK"));
  EXPECT_FALSE(fs::exists(folder / "result.h5"));
}

}  // namespace
}  // namespace tarflow::experiments
