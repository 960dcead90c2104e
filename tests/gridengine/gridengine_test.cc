// Sweeps on a real Grid Engine that the test starts itself, with `executor: command`.
#include "framework/process/command.h"
#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kScript = fs::path(TARFLOW_SOURCE_DIR) / "tests/gridengine/gridengine.sh";

constexpr std::chrono::minutes kPatience{3};

class OnGridEngine : public RunSweep {
 protected:
  void SetUp() override {
    const std::string missing = act({"missing"}).out;
    if (!missing.empty()) GTEST_SKIP() << "this machine lacks:\n" << missing;
    RunSweep::SetUp();
    fs::create_symlink(TARFLOW_RUN_SWEEP, house_ / "bin/run_sweep");
    write_file(house_ / "there.yaml", R"(executor: command
submit: . engine/environment; qsub -terse -b n -V -N {name} -j y -o {log} -l h_rt={seconds} {script}
state: . engine/environment; qstat
cancel: . engine/environment; qdel {id}
time: 1 h
gpu_request: none
silent_answers: 3
)");
    fs::create_directories(engine());
    const process::Said up = act({"up", engine().string(), std::to_string(::getpid())});
    ASSERT_TRUE(up.well()) << up.out << up.err;
  }
  void TearDown() override {
    if (fs::exists(engine())) act({"down", engine().string()});
    RunSweep::TearDown();
  }

  fs::path engine() { return house_ / "engine"; }
  static process::Said act(std::vector<std::string> words) {
    words.insert(words.begin(), kScript.string());
    return process::run_command(words, kPatience);
  }
  std::string ask(const std::string& command) {
    return process::run_command(
               {"/bin/bash", "-c", fmt::format(". {}/environment; {}", engine().string(), command)})
        .out;
  }
  pid_t start_there(const std::string& arguments, const std::string& behaviour = "") {
    return start("demo.yaml --cluster ./there.yaml " + arguments,
                 {{"FAKE_WORKER", behaviour},
                  {"FAKE_WORKER_FILE", (house_ / "go").string()},
                  {"TARFLOW_POLL_SECONDS", "0.5"}});
  }
  Finished run_there(const std::string& arguments, const std::string& behaviour = "") {
    return wait(start_there(arguments, behaviour));
  }
};

TEST_F(OnGridEngine, AllIsComputedAndGathered) {
  const Finished finished = run_there("--wait");
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("3 jobs submitted to the queue as jobs 1, 2, 3"));
  EXPECT_EQ(record::digest(record()), undisturbed());
}

TEST_F(OnGridEngine, StatusAndCancelWork) {
  ASSERT_EQ(run_there("", "stoppable 2").status, 0);
  wait_for_worker();
  EXPECT_THAT(run_there("--status").out, AllOf(HasSubstr("running"), HasSubstr("(2 on ")));
  const Finished cancelled = run_there("--cancel");
  EXPECT_EQ(cancelled.status, 0) << cancelled.err;
  EXPECT_EQ(ask("qstat"), "");
  const Finished again = run_there("--wait");
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(record::digest(record()), undisturbed());
}

TEST_F(OnGridEngine, AJobThatSomebodyElseEndsIsSubmittedAgain) {
  const pid_t waiting = start_there("--wait", "wait_for_file 2");
  wait_for_worker();
  ask("qdel 2");
  wait_until("the job was submitted again",
             [&] { return ask("qstat").find("      4 ") != std::string::npos; });
  write_file(house_ / "go", "");
  const Finished finished = wait(waiting);
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("it is submitted again"));
  EXPECT_EQ(record::digest(record()), undisturbed());
}

}  // namespace
}  // namespace tarflow::driver
