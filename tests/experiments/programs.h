// The programs as users start them, on a small model with random weights, in a folder of their own.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "framework/checkpoint/untrained.h"
#include "framework/core/file.h"
#include "framework/record/record.h"

namespace tarflow::experiments {

namespace fs = std::filesystem;

inline constexpr const char* kToyFile = "toy_model_2_64_2_1_0.10.pth";
inline constexpr ModelShape kToyShape{.image_size = 8,
                                      .patch_size = 2,
                                      .channels = 64,
                                      .blocks = 2,
                                      .layers = 1,
                                      .classes = 3,
                                      .noise_std = 0.1};

class Programs : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tarflow_programs_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    write_toy(0);
  }

  // The toy model's checkpoint with other random weights.
  void write_toy(uint64_t seed) const {
    checkpoint::write_untrained(folder_ / kToyFile, kToyShape, seed, checkpoint::DType::kFloat32);
  }

  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  // Starts run_sweep on `experiments` (the list under that key), its output in FOLDER/log.
  pid_t start(const std::string& experiments) const {
    const bool golden = fs::exists(folder_ / "tiny_uncond_2_64_4_2_0.10.pth");
    const char* tiny = golden ? "  tiny: {checkpoint: tiny_uncond_2_64_4_2_0.10.pth}\n" : "";
    write_file(
        folder_ / "toy.yaml",
        "models:\n  toy: {checkpoint: toy_model_2_64_2_1_0.10.pth}\n"
        "  drawn: {random_weights: 1, image_size: 8, patch_size: 2, channels: 64, blocks: 2, "
        "layers: 1, classes: 3, noise_std: 0.1}\n" +
            std::string(tiny) + models_ + "defaults: {model: toy, device: cpu}\nexperiments:\n" +
            experiments);
    const pid_t process = ::fork();
    if (process != 0) return process;
    if (::chdir(folder_.c_str()) != 0 || !::freopen("log", "w", stdout) || ::dup2(1, 2) < 0)
      ::_exit(99);
    ::execl(TARFLOW_RUN_SWEEP, TARFLOW_RUN_SWEEP, "toy.yaml", nullptr);
    ::_exit(99);
  }

  static int wait(pid_t process) {
    int status = 0;
    ::waitpid(process, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  // Runs to the end; the log is shown when it fails.
  record::SweepRecord run(const std::string& experiments) const {
    const int status = wait(start(experiments));
    EXPECT_EQ(status, 0) << read_file(folder_ / "log");
    return record::read_sweep(folder_ / "results/toy.h5");
  }

  fs::path asset(const std::string& name) const {
    return fs::path(TARFLOW_SOURCE_DIR) / "sweeps/assets" / name;
  }

  fs::path folder_;
  std::string models_;  // further lines under `models:`, each with its line break
};

inline double number(const record::Row& row, const std::string& column) {
  return std::get<double>(row.at(column));
}

}  // namespace tarflow::experiments
