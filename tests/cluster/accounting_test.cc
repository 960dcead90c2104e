// A Slurm with accounting: what its database answers, limits of a QOS, memory that runs out, jobs
// that are suspended.
#include <gmock/gmock.h>

#include <sstream>

#include "framework/slurm/queue.h"
#include "tests/cluster/sweeps.h"

namespace tarflow::cluster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Accounting : public OnSlurm {
 protected:
  Accounting() { script_ = kSlurmWithAccounting; }

  void SetUp() override {
    OnSlurm::SetUp();
    if (!IsSkipped()) ::setenv("SLURM_CONF", slurm_->configuration().c_str(), 1);
  }
  void TearDown() override {
    OnSlurm::TearDown();
    ::unsetenv("SLURM_CONF");
  }

  std::string submit(const std::string& words) const {
    const Answer answer = (*slurm_)("sbatch --parsable -o /dev/null " + words);
    EXPECT_EQ(answer.status, 0) << answer.text;
    return answer.text.substr(0, answer.text.find('\n'));
  }
  void cancel(const std::string& tasks) const {
    const Answer answer = (*slurm_)("scancel " + tasks);
    EXPECT_EQ(answer.status, 0) << answer.text;
  }
  void wait_until_forgotten(const std::string& job) const {
    EXPECT_TRUE(eventually([&] {
      return (*slurm_)("scontrol show job " + job).text.find("Invalid job id") != std::string::npos;
    })) << queue();
  }
  // As the driver asks.
  slurm::TaskStates states_of(const std::string& array, size_t tasks) const {
    slurm::Patience patience;
    patience.second_look = std::chrono::milliseconds(0);
    slurm::Queue asked(patience);
    slurm::TaskStates states;
    EXPECT_TRUE(eventually([&] {
      states = asked.query({{array, tasks}});
      return !asked.unsure();
    }));
    return states;
  }

  // A second experiment in House/trial_sweep.yaml, whose jobs ask for something else.
  void add_experiment(const std::string& run) const {
    const std::string file = (house_ / "trial_sweep.yaml").string();
    write_file(file, read_file(file) + fmt::format(R"(  - evaluate:
      extractor: {0}/sweeps/assets/cifar10_extractor.pt
      reference: {0}/sweeps/assets/cifar10/airplane
      run: {{{1}}}
      grid: {{strategy: ['[7-8-4-4]']}}
)",
                                                   TARFLOW_SOURCE_DIR, run));
  }
  // That the jobs of the second experiment failed, for the limit, and the first one's are done.
  void expect_others_done(const std::string& log, const std::string& limit,
                          const std::string& repair) {
    EXPECT_EQ(run("trial_sweep.yaml --cluster trial.yaml --wait", log), 1) << printed(log);
    EXPECT_THAT(printed(log), AllOf(HasSubstr(limit), HasSubstr(repair)));
    EXPECT_EQ(points_in("results"), 2u);
    EXPECT_TRUE(eventually([&] { return queue().empty(); })) << queue();
  }
};

TEST_F(Accounting, TheDatabaseTellsHowEachTaskEndedOnceTheControllerHasForgottenIt) {
  const std::string script =
      "'case $SLURM_ARRAY_TASK_ID in 1) exit 3;; 2) kill -9 $$;; 3) sleep 600;; esac'";
  const std::string array = submit("--array=0-3 -w n2 --wrap " + script);
  const std::string wide = submit("-N 2 -n 2 --wrap true");
  EXPECT_TRUE(eventually([&] { return queue().find(array + "_3 R") != std::string::npos; }));
  cancel(array + "_3");
  // Tasks that never began, in a list that is too long for Slurm's ordinary answer.
  const std::string held = submit("--hold --array=0-99 --wrap true");
  std::string odd;
  for (int task = 1; task < 100; ++task) {
    if (task % 3 == 0 || task % 7 == 0) odd += fmt::format(" {}_{}", held, task);
  }
  cancel(odd);
  cancel(held);
  wait_until_forgotten(array);
  wait_until_forgotten(wide);
  wait_until_forgotten(held);
  const slurm::TaskStates states = states_of(array, 4);
  ASSERT_EQ(states.size(), 4u);
  for (const auto& [id, state] : states) EXPECT_EQ(state.nodes, "n2") << id.str();
  EXPECT_EQ(states.at({array, 0}).state, "COMPLETED");
  EXPECT_EQ(states.at({array, 1}).state, "FAILED");
  EXPECT_EQ(states.at({array, 1}).exit_code, 3);
  EXPECT_EQ(states.at({array, 2}).state, "FAILED");
  EXPECT_EQ(states.at({array, 2}).signal, SIGKILL);
  EXPECT_EQ(states.at({array, 3}).state, "CANCELLED");
  EXPECT_EQ(states.at({array, 3}).cancelled, "0");
  const slurm::TaskStates never = states_of(held, 100);
  EXPECT_EQ(never.size(), 57u) << "of those cancelled one by one Slurm keeps nothing";
  for (const auto& [id, state] : never) EXPECT_EQ(state.state, "CANCELLED") << id.str();
  EXPECT_EQ((*slurm_)("sacct -n -X -P -o NodeList -j " + wide).text, "n[1-2]\n");
  // And lists of nodes are read as Slurm reads them.
  for (const char* list :
       {"n1", "n[1-2]", "n[1-3,7]", "n[1-2,07],gpu-a[09-10],z", "a[1,3-4]b[08-10],c2"}) {
    std::istringstream names((*slurm_)(fmt::format("scontrol show hostnames '{}'", list)).text);
    std::vector<std::string> expected;
    for (std::string name; names >> name;) expected.push_back(name);
    EXPECT_EQ(slurm::node_names(list), expected) << list;
  }
}

TEST_F(Accounting, StatusAndTheNextRunTellWhatTheDatabaseKnows) {
  profile("partition: main\nextra: [--hold]\n");
  sweep("trial_sweep", 8, "{strategy: [For, '[7-8-4-4]']}");
  ASSERT_EQ(run("trial_sweep.yaml --cluster trial.yaml", "trial_sweep"), 0) << printed();
  ASSERT_EQ(submissions().size(), 1u);
  const std::string array = read_json_file(submissions()[0] / "submission.json").at("job_id");
  cancel(array);
  wait_until_forgotten(array);
  EXPECT_EQ(run("trial_sweep.yaml --cluster trial.yaml --status", "status"), 0);
  EXPECT_THAT(printed("status"), HasSubstr("cancelled by user 0"));
  profile("partition: main\n");
  EXPECT_EQ(end_of(start_on_slurm()), 0) << printed();
  EXPECT_THAT(printed(), HasSubstr("it was cancelled by user 0"));
  EXPECT_EQ(points_in("results"), 2u);
}

TEST_F(Accounting, ASweepOfMoreJobsThanTheQosTakesIsToppedUpToItsEnd) {
  sweep("trial_sweep", 8, "{strategy: [For], seed: [0, 1, 2, 3, 4]}");
  profile("qos: few\nmax_queued: 3\n");
  EXPECT_EQ(end_of(start_on_slurm()), 0) << printed();
  EXPECT_THAT(printed(), Not(HasSubstr("QOSMaxSubmitJobPerUserLimit")));
  expect_as_undisturbed(5);
}

TEST_F(Accounting, WithoutMaxQueuedTheLimitIsFoundAndTold) {
  sweep("trial_sweep", 8, "{strategy: [For], seed: [0, 1, 2, 3, 4]}");
  profile("qos: few\n");
  const std::string other = submit("--hold --qos=few --array=0-2 --wrap true");
  EXPECT_EQ(end_of(start_on_slurm()), 1) << printed();
  EXPECT_THAT(printed(), AllOf(HasSubstr("Slurm has no room for a single job of this sweep"),
                               HasSubstr("QOSMaxSubmitJobPerUserLimit"), HasSubstr("squeue --me")));
  cancel(other);
  EXPECT_EQ(end_of(start_on_slurm()), 0) << printed();
  EXPECT_THAT(printed(), HasSubstr("`max_queued: 2` in the cluster profile"));
  EXPECT_EQ(points_in("results"), 5u);
}

TEST_F(Accounting, AJobThatIsTooLargeForItsQosFailsAloneWhetherItWaitsOrIsRefused) {
  sweep("trial_sweep", 8, "{strategy: [For], seed: [0, 1]}");
  add_experiment("threads: 2");
  profile("qos: narrow\n");
  expect_others_done("waits", "more CPUs than its QOS allows one job (QOSMaxCpuPerJobLimit)",
                     "cpus_per_task");
  EXPECT_EQ(run("trial_sweep.yaml --cluster trial.yaml --status", "status"), 0);
  EXPECT_THAT(printed("status"), HasSubstr("QOSMaxCpuPerJobLimit"));
  fs::remove_all(house_ / "results");
  profile("qos: strict\n");
  expect_others_done("refused", "sbatch refused it", "cpus_per_task");
}

TEST_F(Accounting, AJobOfMoreGpusThanItsQosAllowsAUserFailsAlone) {
  sweep("trial_sweep", 8, "{strategy: [For], seed: [0, 1]}");
  add_experiment("gpus: 2");
  profile("qos: gpus\n");
  expect_others_done("gpus",
                     "more GPUs than its QOS allows all running jobs of a user (QOSMaxGRESPerUser)",
                     "fewer `gpus`");
}

TEST_F(Accounting, AJobWhoseMemoryRunsOutIsToldAsThat) {
  if (const std::string why = slurm_->no_groups(); !why.empty()) {
    GTEST_SKIP() << "Slurm cannot limit the memory of jobs here: " << why;
  }
  sweep("trial_sweep", 8, "{strategy: [For]}");
  profile("partition: main\nmem: 60M\n");
  EXPECT_EQ(end_of(start_on_slurm()), 1) << printed();
  EXPECT_THAT(printed(), AllOf(HasSubstr("memory"), HasSubstr("(mem)")));
  EXPECT_EQ(points_in("results"), 0u);
  ASSERT_EQ(submissions().size(), 1u);
  const std::string array = read_json_file(submissions()[0] / "submission.json").at("job_id");
  EXPECT_EQ(states_of(array, 1).at({array, 0}).state, "OUT_OF_MEMORY");
  profile("partition: main\nmem: 2G\n");
  EXPECT_EQ(end_of(start_on_slurm()), 0) << printed();
  EXPECT_EQ(points_in("results"), 1u);
}

TEST_F(Accounting, ATimeInWhichTheJobWasSuspendedDoesNotCount) {
  sweep("trial_sweep", 320, "{strategy: [For], cfg: [0, 1]}");
  const pid_t driver = start_on_slurm();
  std::optional<Worker> worker;  // in the middle of its work, and not frozen: that is Slurm's part
  EXPECT_TRUE(eventually([&] {
    for (const Worker& one : workers_below(house_ / "results")) {
      if (fs::exists(one.folder / "partial.h5")) worker = one;
    }
    return worker.has_value() || !somebody_waits();
  }));
  ASSERT_TRUE(worker);
  const Answer suspended = (*slurm_)("scontrol suspend " + worker->task());
  ASSERT_EQ(suspended.status, 0) << suspended.text;
  EXPECT_TRUE(eventually([&] { return state_of(worker->pid) == "T"; }));
  EXPECT_THAT(queue(), HasSubstr(worker->task() + " S"));
  const Answer resumed = (*slurm_)("scontrol resume " + worker->task());
  ASSERT_EQ(resumed.status, 0) << resumed.text;
  EXPECT_EQ(end_of(driver), 0) << printed();
  const record::SweepRecord record = record::read_sweep(house_ / "results/trial_sweep.h5");
  ASSERT_EQ(record.rows.size(), 2u);
  int interrupted = 0;
  for (const auto& row : record.rows) interrupted += std::get<int64_t>(row.at("interrupted"));
  EXPECT_EQ(interrupted, 1);
}

}  // namespace
}  // namespace tarflow::cluster
