// SIGKILL at a hundred random moments, to run_sweep or to a worker, and the same digest at the end.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include "framework/core/file.h"
#include "framework/record/record.h"
#include "tests/support/house.h"

namespace tarflow {
namespace {

namespace fs = std::filesystem;

constexpr int kKills = 100;
constexpr auto kSweep = R"(
models:
  m: {{checkpoint: {}/sweeps/assets/cifar10_demo_model_4_128_8_2_0.05.pth}}
defaults: {{model: m, chunk: 8, num_images: 40}}
run: {{workers: 2, exclusive: false, threads: 1}}
experiments:
  - evaluate:
      extractor: {}/sweeps/assets/cifar10_extractor.pt
      reference: {}/sweeps/assets/cifar10
      grid:
        strategy: [For, "[7-8-4-4]"]
        cfg: [0, 1]
        self_denoising_lr: [0, 1]
)";

class Kills : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(house_ / "chaos.yaml",
               fmt::format(kSweep, TARFLOW_SOURCE_DIR, TARFLOW_SOURCE_DIR, TARFLOW_SOURCE_DIR));
  }

  pid_t start(const std::string& results) {
    const pid_t process = ::fork();
    if (process != 0) return process;
    if (::chdir(house_.path().c_str()) != 0) ::_exit(99);
    const std::string line = fmt::format("exec {} chaos.yaml --results {} >>{}.log 2>&1",
                                         TARFLOW_RUN_SWEEP, results, results);
    ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    ::_exit(99);
  }

  static int wait(pid_t process) {
    int status = 0;
    ::waitpid(process, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  std::string digest(const std::string& results) {
    return record::digest(record::read_sweep(house_ / (results + "/chaos.h5")));
  }

  // Children of `process` that run a job now.
  static std::vector<pid_t> workers_of(pid_t process) {
    std::ifstream list(fmt::format("/proc/{}/task/{}/children", process, process));
    std::vector<pid_t> workers;
    for (pid_t worker; list >> worker;) workers.push_back(worker);
    return workers;
  }

  Scratch house_;
  std::mt19937 random_{20260102};
};

TEST_F(Kills, AHundredTimesThenTheUndisturbedDigest) {
  ASSERT_EQ(wait(start("undisturbed")), 0) << read_file(house_ / "undisturbed.log");
  const std::string expected = digest("undisturbed");
  int kills = 0, continued = 0;
  for (int round = 0; kills < kKills; ++round) {
    const std::string results = fmt::format("round{}", round);
    for (;;) {
      const pid_t driver = start(results);
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 2500));
      const std::vector<pid_t> workers = workers_of(driver);
      const bool hit_worker = !workers.empty() && random_() % 2 == 0;
      if (kills < kKills &&
          ::kill(hit_worker ? workers[random_() % workers.size()] : driver, SIGKILL) == 0) {
        ++kills;
      }
      if (wait(driver) == 0) break;  // it had come to its end before
    }
    EXPECT_EQ(digest(results), expected) << "round " << round;
    for (const auto& job : fs::directory_iterator(house_ / results / "chaos/jobs")) {
      continued += read_file(job.path() / "log.txt").find("continu") != std::string::npos;
    }
    fs::remove_all(house_ / results);
  }
  RecordProperty("kills", kills);
  EXPECT_GT(continued, 0) << "no job was ever continued at a chunk: the test kills too late";
}

}  // namespace
}  // namespace tarflow
