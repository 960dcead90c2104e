#include "framework/job/estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/core/strategy.h"
#include "tests/support/house.h"

namespace tarflow::job {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const ModelShape kShape{32, 4, 128, 2, 2, 10, 0.05};

ExperimentSchemas schemas() {
  ExperimentSchema evaluate, look;
  evaluate.name = "evaluate";
  evaluate.work = Work::kSampling;
  look.name = "look";
  look.work = Work::kForward;
  return {evaluate, look};
}

Json strategy(int segments, int iterations) {
  Strategy strategy;
  strategy.name = "x";
  strategy.blocks = {published_plan(segments, iterations), published_plan(segments, iterations)};
  return to_json(strategy);
}

Job job_of(const std::string& experiment, int64_t images, double cfg, const Json& how,
           const std::string& model = "m") {
  Job job;
  job.experiment = experiment;
  Json settings = {{"num_images", images}, {"cfg", cfg}, {"seed", 0}};
  if (!how.is_null()) settings["strategy"] = how;
  job.settings = sweep::Settings(settings);
  job.model = Json{{"sha256", model}, {"shape", to_json(kShape)}};
  job.points.push_back({"p", "k", {}, {}, true});
  return job;
}

TEST(Estimate, FlopsFollowTheStrategy) {
  const Scratch folder;
  const ExperimentSchemas known = schemas();
  Estimator estimator(known, "gpu", folder.path());
  const double pass = 64 * kShape.block_flops_per_token(32);
  EXPECT_DOUBLE_EQ(estimator.flops(job_of("evaluate", 10, 0, strategy(0, 0))), 10 * 2 * pass);
  EXPECT_DOUBLE_EQ(estimator.flops(job_of("evaluate", 10, 1, strategy(8, 5))),
                   10 * 2 * 2 * 5 * pass)
      << "guided, five iterations in each of two blocks";
  EXPECT_DOUBLE_EQ(estimator.flops(job_of("look", 3, 0, nullptr)), 3 * 2 * pass);
}

TEST(Estimate, PointsThatShareAJobAddUpTheirStrategies) {
  const Scratch folder;
  const ExperimentSchemas known = schemas();
  Estimator estimator(known, "gpu", folder.path());
  const auto job_with = [](const std::vector<Json>& strategies) {
    Job job = job_of("evaluate", 10, 0, nullptr);
    job.points.clear();
    for (const Json& how : strategies)
      job.points.push_back({"p", "k", sweep::Settings(Json{{"strategy", how}}), {}, true});
    return job;
  };
  const double pass = 64 * kShape.block_flops_per_token(32);
  const Job both = job_with({strategy(0, 0), strategy(8, 5)});
  EXPECT_DOUBLE_EQ(estimator.flops(both), 10 * 2 * (1 + 5) * pass);
  estimator.learn(both, 60, 0, 1000);
  EXPECT_THAT(estimator.estimate(both).source, HasSubstr("these settings"));
  const Job other = job_with({strategy(0, 0), strategy(8, 2)});
  EXPECT_DOUBLE_EQ(*estimator.estimate(other).seconds, 30)
      << "by FLOPs: as many points, fewer passes";
}

TEST(Estimate, ComesFromTheNearestKnowledgeAndSaysFromWhich) {
  const Scratch folder;
  const ExperimentSchemas known = schemas();
  const Job job = job_of("evaluate", 100, 0, strategy(0, 0));
  {
    Estimator estimator(known, "gpu", folder.path());
    EXPECT_FALSE(estimator.estimate(job).seconds) << "nothing is known";
    EXPECT_FALSE(estimator.knows_device());
    estimator.set_device_rate(1e9);
    EXPECT_DOUBLE_EQ(*estimator.estimate(job).seconds, estimator.flops(job) / 1e9);
    EXPECT_THAT(estimator.estimate(job).source, HasSubstr("at the 0.001 TFLOP/s"));
    estimator.learn(job_of("evaluate", 50, 1, strategy(8, 5), "other"), 20, 0, 1000);
  }
  Estimator estimator(known, "gpu", folder.path());
  EXPECT_NEAR(*estimator.estimate(job).seconds, 20.0 * 100 / 50 / 2 / 5, 1e-9);
  EXPECT_THAT(estimator.estimate(job).source, HasSubstr("other models"));
  estimator.learn(job_of("evaluate", 50, 1, strategy(8, 5)), 40, 0, 5000);
  EXPECT_NEAR(*estimator.estimate(job).seconds, 40.0 * 100 / 50 / 2 / 5, 1e-9);
  EXPECT_THAT(estimator.estimate(job).source, HasSubstr("this model"));
  EXPECT_DOUBLE_EQ(*estimator.estimate(job).bytes, 5000);
  estimator.learn(job_of("evaluate", 50, 0, strategy(0, 0)), 3, 1, 5000);
  EXPECT_DOUBLE_EQ(*estimator.estimate(job).seconds, 1 + 2 * 2) << "a second goes into starting";
  EXPECT_EQ(estimator.estimate(job).source, "1 earlier job with these settings");
}

TEST(Estimate, SeveralGpusShareTheWorkAndProcessesOnTheCpuDoNot) {
  const Scratch folder;
  const ExperimentSchemas known = schemas();
  const auto job_on = [](int64_t gpus, int64_t ranks, int64_t images) {
    Job job = job_of("evaluate", images, 0, strategy(0, 0));
    auto run = std::make_shared<sweep::RunSettings>();
    run->gpus = gpus;
    run->ranks = ranks;
    job.run = run;
    return job;
  };
  Estimator(known, "gpu", folder.path()).learn(job_on(4, 1, 400), 30, 10, 100);
  Estimator estimator(known, "gpu", folder.path());
  EXPECT_DOUBLE_EQ(*estimator.estimate(job_on(4, 1, 800)).seconds, 10 + 2 * 20);
  EXPECT_DOUBLE_EQ(*estimator.estimate(job_on(2, 1, 400)).seconds, 10 + 2 * 20);
  EXPECT_DOUBLE_EQ(estimator.estimate(job_on(2, 1, 400)).devices, 2);
  EXPECT_DOUBLE_EQ(*estimator.estimate(job_on(0, 4, 100)).seconds,
                   *estimator.estimate(job_on(0, 1, 100)).seconds);
  EXPECT_DOUBLE_EQ(estimator.estimate(job_on(0, 4, 100)).devices, 1);
}

TEST(Estimate, ASmallJobThatStartedSlowlyMakesNoLongJobOfALargerOne) {
  const Scratch folder;
  const ExperimentSchemas known = schemas();
  const auto learn_result = [&](Estimator& estimator, const Job& job, const Json& progress) {
    const JobFolder done{folder / "job"};
    fs::create_directories(done.path);
    write_file(done.result(), "result");
    write_json_file(done.progress(), progress);
    estimator.learn_result(job, 20, done);
  };
  const Job small = job_of("evaluate", 8, 0, strategy(0, 0));
  {
    Estimator estimator(known, "gpu", folder.path());
    learn_result(estimator, small, {{"working_seconds", 0.5}, {"done_before", 0.75}});
    EXPECT_FALSE(estimator.estimate(small).seconds) << "the rest of a job tells nothing of it";
    learn_result(estimator, small, {{"working_seconds", 0.5}});
  }
  Estimator estimator(known, "gpu", folder.path());
  EXPECT_DOUBLE_EQ(*estimator.estimate(small).seconds, 20);
  const Job large = job_of("evaluate", 8000, 0, strategy(0, 0));
  EXPECT_NEAR(*estimator.estimate(large).seconds, 19.5 + 500, 1e-6);
  const Job other = job_of("evaluate", 8000, 1, strategy(0, 0));
  EXPECT_NEAR(*estimator.estimate(other).seconds, 19.5 + 2 * 500, 1e-6) << "by FLOPs";
  EXPECT_NEAR(*estimator.estimate(job_of("look", 8000, 0, nullptr)).seconds, 19.5 + 500, 1e-6)
      << "by FLOPs of another experiment";
  learn_result(estimator, job_of("look", 8, 0, nullptr), Json::object());
  EXPECT_NEAR(*estimator.estimate(job_of("look", 16, 0, nullptr)).seconds, 40, 1e-6)
      << "a worker that does not tell worked all the time";
}

TEST(Estimate, OtherDevicesAndDamagedLinesTellNothing) {
  const Scratch folder;
  const ExperimentSchemas known = schemas();
  const Job job = job_of("evaluate", 100, 0, strategy(0, 0));
  Estimator(known, "gpu", folder.path()).learn(job, 5, 0, 100);
  std::ofstream(folder / "costs.jsonl", std::ios::app) << "{\"device\": \"gpu\", \"half\n[3]\n";
  EXPECT_FALSE(Estimator(known, "cpu", folder.path()).estimate(job).seconds);
  EXPECT_DOUBLE_EQ(*Estimator(known, "gpu", folder.path()).estimate(job).seconds, 5);
}

TEST(Estimate, SecondsOfWhatIsMadeOnce) {
  const Scratch folder;
  const ExperimentSchemas known = schemas();
  Estimator estimator(known, "gpu", folder.path());
  EXPECT_FALSE(estimator.seconds_of(100)) << "nothing is known of the device";
  estimator.set_device_rate(50);
  EXPECT_DOUBLE_EQ(*estimator.seconds_of(100), 2);
  const Job job = job_of("evaluate", 100, 0, strategy(0, 0));
  estimator.learn(job, 7, 2, 1000);
  EXPECT_DOUBLE_EQ(*estimator.seconds_of(estimator.flops(job)), 5) << "as earlier jobs worked";
}

TEST(Estimate, TheRateOfThisMachineIsNotTakenForAnotherDevice) {
  const Scratch folder;
  const fs::path worker = folder / "worker";
  write_file(worker, "#!/bin/sh\necho '{\"gemm_flops\": 1e9}'\n");
  fs::permissions(worker, fs::perms::owner_all);
  EXPECT_EQ(measured_rate(worker, "A100", /*here=*/false, folder.path()), 0);
  EXPECT_EQ(measured_rate(worker, "CPU", /*here=*/true, folder.path()), 1e9);
  EXPECT_EQ(measured_rate(worker, "A100", /*here=*/false, folder.path()), 0);
  EXPECT_EQ(measured_rate(folder / "none", "CPU", /*here=*/false, folder.path()), 1e9)
      << "it was measured where the device is";
  write_json_file(folder / "rates.json", {{"A100", 5e8}});
  EXPECT_EQ(measured_rate(worker, "A100", /*here=*/false, folder.path()), 0)
      << "earlier versions saved the rate of the login node";
}

TEST(Estimate, DeviceHours) {
  EXPECT_EQ(device_hours_text(122.4), "0.034 device hours (2:02)");
  EXPECT_EQ(device_hours_text(55618.0 * 3600), "55,600 device hours (2,320 days)");
  EXPECT_EQ(device_hours_text(100.0 * 3600), "100 device hours (4 days)");
}

TEST(Estimate, Bytes) {
  EXPECT_EQ(bytes_text(12), "12 bytes");
  EXPECT_EQ(bytes_text(1234), "1.2 kB");
  EXPECT_EQ(bytes_text(45e6), "45 MB");
  EXPECT_EQ(bytes_text(3.21e12), "3.2 TB");
}

}  // namespace
}  // namespace tarflow::job
