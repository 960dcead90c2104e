// Sweeps on a Slurm of the test's own, and the same on this machine alone.
#pragma once

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "framework/core/json.h"
#include "framework/record/record.h"
#include "tests/cluster/slurm.h"
#include "tests/support/house.h"

namespace tarflow::cluster {

inline constexpr auto kModel = R"(
models:
  m: {{checkpoint: {0}/sweeps/assets/cifar10_demo_model_4_128_8_2_0.05.pth}}
defaults: {{model: m, self_denoising_lr: 0, chunk: 8, num_images: {1}}}
run: {{gpus: 0, threads: 1{2}}}
experiments:
  - evaluate:
      extractor: {0}/sweeps/assets/cifar10_extractor.pt
      reference: {0}/sweeps/assets/cifar10/airplane
      grid: {3}
)";

// Waits for what happens by itself, however slow the machine is; a test that waits in vain fails.
inline ::testing::AssertionResult eventually(
    const std::function<bool()>& condition,
    std::chrono::seconds patience = std::chrono::minutes(25)) {
  const auto start = std::chrono::steady_clock::now();
  while (!condition()) {
    if (std::chrono::steady_clock::now() - start > patience) {
      return ::testing::AssertionFailure() << "it never happened";
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return ::testing::AssertionSuccess();
}

class OnSlurm : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string missing = Slurm::missing(script_);
    if (!missing.empty()) {
      GTEST_SKIP() << "a Slurm of its own cannot be started here; missing: " << missing;
    }
    slurm_ = std::make_unique<Slurm>(script_);
    fs::create_directory(house_ / "home");
    profile("partition: main\n");
  }

  void TearDown() override {
    for (const auto& [process, log] : drivers_) ::kill(process, SIGKILL);
    for (const auto& [process, log] : drivers_) ::waitpid(process, nullptr, 0);
    if (slurm_ && HasFailure()) show();
  }

  // --- what users write ---
  // House/NAME.yaml with one evaluate over `grid`.
  void sweep(const std::string& name, int images, const std::string& grid,
             const std::string& run = "") const {
    write_file(house_ / (name + ".yaml"), fmt::format(kModel, TARFLOW_SOURCE_DIR, images,
                                                      run.empty() ? "" : ", " + run, grid));
  }
  void profile(const std::string& lines) const {
    write_file(house_ / "trial.yaml", "executor: slurm\ncpus_per_task: 1\npoll: 3\n" + lines);
  }

  // --- run_sweep ---
  // `words` after run_sweep; what it prints goes to House/LOG.log.
  pid_t start(const std::string& words, const std::string& log) {
    const pid_t process = ::fork();
    if (process == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // of a test that is killed nothing stays
      ::setenv("SLURM_CONF", slurm_->configuration().c_str(), 1);
      ::setenv("TARFLOW_POLL_SECONDS", "0.5", 1);
      ::setenv("HOME", (house_ / "home").c_str(), 1);
      ::setenv("XDG_CONFIG_HOME", (house_ / "home").c_str(), 1);
      if (::chdir(house_.path().c_str()) != 0) ::_exit(99);
      const std::string line =
          fmt::format("exec {} {} >>{}.log 2>&1 </dev/null", run_sweep_.string(), words, log);
      ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      ::_exit(99);
    }
    drivers_[process] = log;
    return process;
  }
  // Submits and waits until all of it has ended.
  pid_t start_on_slurm(const std::string& name = "trial_sweep") {
    return start(name + ".yaml --cluster trial.yaml --wait", name);
  }

  int end_of(pid_t process) {
    int status = 0;
    const bool ended = eventually([&] { return ::waitpid(process, &status, WNOHANG) == process; });
    EXPECT_TRUE(ended) << "run_sweep does not end";
    if (!ended) {
      ::kill(process, SIGKILL);
      ::waitpid(process, &status, 0);
    }
    drivers_.erase(process);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  int run(const std::string& words, const std::string& log) { return end_of(start(words, log)); }

  // Without the tables.
  std::string printed(const std::string& log = "trial_sweep") const {
    std::ifstream file(house_ / (log + ".log"));
    std::string text;
    bool table = false;
    for (std::string line; std::getline(file, line);) {
      table = table || line.starts_with("Results of ");
      if (!table) text += line + "\n";
      table = table && !line.starts_with("Report folder: ");
    }
    return text;
  }

  // --- what must hold ---
  // That every point of the sweep is in its record, with what a run on this machine alone has.
  void expect_as_undisturbed(size_t points, const std::string& name = "trial_sweep") {
    ASSERT_EQ(run(fmt::format("{}.yaml --results alone --cluster none --set run.nodes=1 "
                              "--set run.ranks=1 --set run.workers=2 --set run.exclusive=false",
                              name),
                  "alone"),
              0)
        << printed("alone");
    EXPECT_EQ(points_in("alone", name), points);
    EXPECT_EQ(points_in("results", name), points);
    EXPECT_EQ(digest("results", name), digest("alone", name));
  }

  size_t points_in(const std::string& results, const std::string& name = "trial_sweep") const {
    const fs::path file = house_ / (results + "/" + name + ".h5");
    return fs::exists(file) ? record::read_sweep(file).rows.size() : 0;
  }

  std::string digest(const std::string& results, const std::string& name) const {
    const Answer answer =
        ask(fmt::format("{} digest {}/{}.h5", TARFLOW_ANALYZE, (house_ / results).string(), name));
    EXPECT_EQ(answer.status, 0) << answer.text;
    return answer.text;
  }

  // --- what Slurm did ---
  std::vector<fs::path> submissions(const std::string& name = "trial_sweep") const {
    std::vector<fs::path> folders;
    std::error_code absent;
    for (const auto& entry :
         fs::directory_iterator(house_ / ("results/" + name + "/slurm"), absent)) {
      if (fs::exists(entry.path() / "submission.json")) folders.push_back(entry.path());
    }
    return folders;
  }
  // The nodes on which jobs have ended, as Slurm wrote it down.
  std::set<std::string> nodes_used() const {
    std::set<std::string> nodes;
    std::istringstream words((*slurm_)("cat $(dirname $SLURM_CONF)/log/jobcomp.txt").text);
    for (std::string word; words >> word;) {
      if (word.starts_with("NodeList=")) nodes.insert(word.substr(9));
    }
    return nodes;
  }
  std::string queue(const std::string& format = "%i %t %r") const {
    return (*slurm_)(fmt::format("squeue -h -r -o '{}'", format)).text;
  }

  // --- faults ---
  // A worker that has done a part of its job, with no time passing for it until `thaw`: whatever is
  // done to it or around it meanwhile hits it in the middle, on the slowest and the fastest
  // machine.
  std::optional<Worker> freeze_one() const {
    std::optional<Worker> frozen;
    EXPECT_TRUE(eventually([&] {
      if (!somebody_waits()) return true;
      for (const Worker& worker : workers_below(house_ / "results")) {
        if (fs::exists(worker.folder / "partial.h5") && freeze(worker)) {
          frozen = worker;
          return true;
        }
      }
      return false;
    }));
    EXPECT_TRUE(frozen) << "no worker was found in the middle of its job\n" << printed();
    return frozen;
  }
  static void thaw(const Worker& worker) { ::kill(worker.pid, SIGCONT); }

  // Whether a run_sweep is alive.
  bool somebody_waits() const {
    for (const auto& [process, log] : drivers_) {
      siginfo_t ended{};
      ::waitid(P_PID, static_cast<id_t>(process), &ended, WEXITED | WNOHANG | WNOWAIT);
      if (ended.si_pid == 0) return true;
    }
    return false;
  }

  bool has_result(const Worker& worker) const { return fs::exists(worker.folder / "result.h5"); }
  // How often a job went on from where an attempt before had come.
  int continued() const {
    int count = 0;
    for (const auto& job : fs::directory_iterator(house_ / "results/trial_sweep/jobs")) {
      const fs::path log = job.path() / "log.txt";
      count += fs::exists(log) && read_file(log).find("continu") != std::string::npos;
    }
    return count;
  }

  Scratch house_;
  std::unique_ptr<Slurm> slurm_;
  fs::path run_sweep_ = TARFLOW_RUN_SWEEP;
  fs::path script_ = kPlainSlurm;  // that starts the Slurm

 private:
  bool freeze(const Worker& worker) const {
    if (::kill(worker.pid, SIGSTOP) != 0) return false;
    for (int i = 0; i < 500 && state_of(worker.pid) != "T"; ++i) ::usleep(1000);
    if (state_of(worker.pid) == "T" && !has_result(worker)) return true;
    thaw(worker);  // it has come to its end
    return false;
  }

  void show() const {
    for (const auto& entry : fs::directory_iterator(house_.path())) {
      if (entry.path().extension() != ".log") continue;
      std::cerr << "--- " << entry.path().string() << "\n" << printed(entry.path().stem());
    }
    for (const fs::path& folder : submissions()) {
      std::cerr << ask("tail -n 40 " + folder.string() + "/*").text;
    }
    std::cerr << "--- squeue\n" << queue("%i %t %r %N") << "--- slurmctld\n" << slurm_->log();
  }

  std::map<pid_t, std::string> drivers_;
};

}  // namespace tarflow::cluster
