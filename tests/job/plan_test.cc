#include "framework/job/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "framework/core/error.h"
#include "tests/job/models.h"
#include "tests/support/house.h"

namespace tarflow::job {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// An experiment as `evaluate` is: the denoising rate shares the sampling, and so does the
// extractor, a file.
ExperimentSchema evaluate_schema() {
  ExperimentSchema schema;
  schema.name = "evaluate";
  schema.fields = {make_field("model", FieldType::kModel), make_field("cfg", FieldType::kNumber),
                   make_field("self_denoising_lr", FieldType::kNumber),
                   make_field("extractor", FieldType::kPath),
                   make_field("keep", FieldType::kInteger)};
  schema.fields[2].shared = true;
  schema.fields[3].shared = true;
  schema.fields[3].identity = Identity::kContent;
  schema.fields[4].identity = Identity::kNone;
  return schema;
}

struct Bench {
  Bench() {
    write_file(folder / "model.pth", "weights");
    write_file(folder / "extractor.pt", "features");
    sweep.name = "demo";
    sweep.models["cifar10"] = present_model("cifar10", folder / "model.pth");
  }

  void add(double cfg, double lr, const Json& more = Json::object()) {
    sweep::Point point;
    point.experiment = "evaluate";
    Json settings = {{"model", "cifar10"}, {"cfg", cfg}, {"self_denoising_lr", lr}};
    settings.update(more);
    point.settings = sweep::Settings(settings);
    point.id = sweep::point_id(schemas[0], point.settings);
    sweep.points.push_back(point);
  }

  Jobs plan(const std::string& device = "") { return plan_jobs(sweep, schemas, device, ""); }

  Plan make(PlanOptions options = {}) {
    options.results = folder / "results";
    JobStore store(folder / "results/demo");
    return make_plan(sweep, schemas, options, store, [](const std::string&) {});
  }

  Scratch folder;
  ExperimentSchemas schemas{evaluate_schema()};
  sweep::Sweep sweep;
};

Jobs without_done(const Jobs& jobs, const std::set<std::string>& done) {
  return with_points(jobs, [&](const JobPoint& point) { return !done.contains(point.key); });
}

std::string key_of(const Job& job, size_t index = 0) { return job.points.at(index).key; }

TEST(PlanJobs, PointsThatDifferInSharedFieldsRunAsOne) {
  Bench bench;
  for (const double cfg : {0.0, 1.0}) {
    for (const double lr : {0.0, 1.0, 2.0}) bench.add(cfg, lr);
  }
  const Jobs jobs = bench.plan();
  ASSERT_THAT(jobs, SizeIs(2));
  EXPECT_THAT(jobs[0].points, SizeIs(3));
  EXPECT_EQ(jobs[0].settings.json(), (Json{{"model", "cifar10"}, {"cfg", 0.0}}));
  EXPECT_EQ(jobs[0].points[1].settings.json(), (Json{{"self_denoising_lr", 1.0}}));
  EXPECT_EQ(jobs[0].points[1].id, bench.sweep.points[1].id);
  EXPECT_EQ(jobs[0].model.at("shape"), to_json(bench.sweep.models["cifar10"].shape));
  EXPECT_EQ(jobs[0].contents.at("checkpoint"), jobs[0].model.at("sha256"));
  EXPECT_NE(jobs[0].hash, jobs[1].hash);
}

TEST(PlanJobs, IdentityFollowsContentAndNotPlaceOrOrder) {
  Bench bench;
  bench.add(0, 0);
  bench.add(0, 1);
  const Jobs before = bench.plan();
  std::filesystem::rename(bench.folder / "model.pth", bench.folder / "moved.pth");
  bench.sweep.models["cifar10"].checkpoint = bench.folder / "moved.pth";
  std::reverse(bench.sweep.points.begin(), bench.sweep.points.end());
  EXPECT_EQ(bench.plan()[0].hash, before[0].hash);
  write_file(bench.folder / "moved.pth", "other weights");
  EXPECT_NE(bench.plan()[0].hash, before[0].hash);
  EXPECT_NE(key_of(bench.plan()[0], 1), key_of(before[0], 0));
}

TEST(PlanJobs, IdentityFollowsTheModelOfAFileThatHoldsSeveral) {
  Bench bench;
  bench.add(0, 0);
  const Job only = bench.plan().at(0);
  bench.sweep.models["cifar10"].weights = "model";
  const Job model = bench.plan().at(0);
  bench.sweep.models["cifar10"].weights = "ema";
  const Job ema = bench.plan().at(0);
  EXPECT_NE(model.hash, only.hash);
  EXPECT_NE(model.hash, ema.hash);
  EXPECT_NE(key_of(model), key_of(ema));
  EXPECT_EQ(ema.model.at("weights"), "ema");
  EXPECT_EQ(ema.model.at("sha256"), only.model.at("sha256"));  // of the file
  EXPECT_FALSE(only.contents.contains("weights"));             // as before there was a choice
}

TEST(PlanJobs, ContentOfASharedFileIsItsPointsAlone) {
  Bench bench;
  bench.add(0, 0);
  bench.add(0, 1, {{"extractor", (bench.folder / "extractor.pt").string()}});
  const Job before = bench.plan().at(0);
  ASSERT_THAT(before.points, SizeIs(2));
  EXPECT_TRUE(before.points[1].contents.contains("extractor"));
  write_file(bench.folder / "extractor.pt", "other features");
  const Job after = bench.plan().at(0);
  EXPECT_EQ(key_of(after, 0), key_of(before, 0));
  EXPECT_NE(key_of(after, 1), key_of(before, 1));
}

TEST(PlanJobs, DeviceCountsForTimedExperimentsOnly) {
  Bench bench;
  bench.add(0, 0);
  EXPECT_EQ(bench.plan("A")[0].hash, bench.plan("B")[0].hash);
  bench.schemas[0].timed = true;
  EXPECT_NE(bench.plan("A")[0].hash, bench.plan("B")[0].hash);
}

TEST(PlanJobs, JobsOfTheCpuAreKeyedByIt) {
  Bench bench;
  bench.schemas[0].timed = true;
  bench.schemas[0].fields.push_back(make_field("device", FieldType::kString, "auto"));
  bench.schemas[0].fields.back().identity = Identity::kNone;
  bench.add(0, 0, {{"device", "cpu"}});
  const auto hash = [&](const DeviceModels& devices) {
    return plan_jobs(bench.sweep, bench.schemas, devices, "")[0].hash;
  };
  EXPECT_EQ(hash({"a GPU", "a CPU"}), hash({"another GPU", "a CPU"}));
  EXPECT_NE(hash({"a GPU", "a CPU"}), hash({"a GPU", "another CPU"}));
  bench.sweep.points.clear();
  bench.add(0, 0);
  EXPECT_NE(hash({"a GPU", "a CPU"}), hash({"another GPU", "a CPU"}));
  sweep::RunSettings on_cpu;
  on_cpu.gpus = 0;
  bench.sweep.points[0].run = std::make_shared<const sweep::RunSettings>(on_cpu);
  EXPECT_EQ(hash({"a GPU", "a CPU"}), hash({"another GPU", "a CPU"}));
}

TEST(PlanJobs, OfADeviceThatAProfileStatesTheJobTells) {
  Bench bench;
  bench.add(0, 0);
  DeviceModels devices("a GPU", "a CPU");
  const auto job = [&] {
    return job_from_json(to_json(plan_jobs(bench.sweep, bench.schemas, devices, "")[0]));
  };
  bench.schemas[0].timed = true;
  EXPECT_EQ(job().device, "") << "that of the machine on which it is planned may be another";
  const std::string hash = job().hash;
  devices.stated = "a GPU";
  EXPECT_EQ(job().device, "a GPU");
  EXPECT_EQ(job().hash, hash);
  sweep::RunSettings on_cpu;
  on_cpu.gpus = 0;
  bench.sweep.points[0].run = std::make_shared<const sweep::RunSettings>(on_cpu);
  EXPECT_EQ(job().device, "");
  bench.schemas[0].timed = false;
  bench.sweep.points[0].run = sweep::default_run_settings();
  EXPECT_EQ(job().device, "") << "its results are the same on all devices";
}

TEST(PlanJobs, WithoutDonePointsKeepsTheOthers) {
  Bench bench;
  bench.add(0, 0);
  bench.add(0, 1);
  bench.add(1, 0);
  const Jobs all = bench.plan();
  const Jobs left = without_done(all, {key_of(all[0], 0), key_of(all[1], 0)});
  ASSERT_THAT(left, SizeIs(1));
  ASSERT_THAT(left[0].points, SizeIs(1));
  EXPECT_EQ(left[0].points[0].key, all[0].points[1].key);
  EXPECT_NE(left[0].hash, all[0].hash);
  bench.sweep.points = {bench.sweep.points[1]};
  EXPECT_EQ(left[0].hash, bench.plan()[0].hash) << "the hash is that of the points";
  EXPECT_EQ(without_done(all, {})[0].hash, all[0].hash);
}

TEST(PlanJobs, JsonBothWays) {
  Bench bench;
  bench.add(0, 0, {{"extractor", (bench.folder / "extractor.pt").string()}, {"keep", 3}});
  Job job = bench.plan().at(0);
  job.smoke = {{"num_images", 2}};
  EXPECT_EQ(to_json(job_from_json(to_json(job))), to_json(job));
  Json damaged = to_json(job);
  damaged["points"][0]["key"] = 3;
  EXPECT_THROW(job_from_json(damaged), Error);
  EXPECT_THROW(job_from_json(Json(3)), Error);
}

TEST(PlanJobs, AbsentFilesAndUnknownExperimentsAreNamed) {
  Bench bench;
  bench.add(0, 0);
  std::filesystem::remove(bench.folder / "model.pth");
  try {
    bench.plan();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("model.pth"));
  }
  EXPECT_THROW(schema_of(bench.schemas, "evaluat"), Error);
}

TEST(Plan, PointsWithAbsentFilesCannotRunAndTheOthersCan) {
  Bench bench;
  bench.add(0, 0);
  bench.add(1, 0, {{"extractor", (bench.folder / "absent.pt").string()}});
  const Plan plan = bench.make();
  EXPECT_THAT(plan.all, SizeIs(1));
  ASSERT_THAT(plan.cannot_run, SizeIs(1));
  EXPECT_EQ(plan.cannot_run[0].id, bench.sweep.points[1].id);
  EXPECT_EQ(plan.record(), bench.folder / "results/demo.h5");
}

TEST(Plan, TellsTheTimeOfPointsWithAbsentFiles) {
  Bench bench;
  bench.schemas[0].work = Work::kForward;
  bench.schemas[0].fields.push_back(make_field("num_images", FieldType::kInteger));
  bench.sweep.models["cifar10"].present = false;
  std::filesystem::remove(bench.folder / "model.pth");
  for (const double lr : {0, 1})
    bench.add(1, lr, {{"num_images", 100}, {"extractor", (bench.folder / "absent.pt").string()}});
  bench.add(2, 0, {{"num_images", 100}});
  bench.sweep.points.back().selected = false;
  const Plan plan = bench.make();
  EXPECT_THAT(plan.all, SizeIs(0));
  EXPECT_THAT(plan.absent, SizeIs(1)) << "two points share their work, and one is not selected";
  EXPECT_THAT(plan.cannot_run, SizeIs(3));
  Estimator estimator(bench.schemas, plan.device, plan.cache());
  estimator.set_device_rate(1e9);
  const std::string text = describe(plan, estimator, [](const Job&) { return std::string(); });
  EXPECT_THAT(text, HasSubstr("to run: 0 points in 0 jobs\n"));
  EXPECT_THAT(text, HasSubstr("with the missing files: 2 points in 1 job, expected on "));
  EXPECT_THAT(text, HasSubstr("at least"));
  EXPECT_EQ(job_list(plan),
            "----------------  cannot-run  2  evaluate model=cifar10 cfg=1, 2 points by "
            "self_denoising_lr, extractor\n");
}

TEST(Plan, LabelsNameWhatDiffers) {
  Bench bench;
  bench.add(0.5, 0);
  bench.add(0.5, 1);
  bench.add(1, 0);
  EXPECT_THAT(varying_fields(bench.sweep.points, bench.schemas[0]),
              ElementsAre("model", "cfg", "self_denoising_lr"));
  const Plan plan = bench.make();
  EXPECT_EQ(job_label(plan, plan.all[0]),
            "evaluate model=cifar10 cfg=0.5, 2 points by self_denoising_lr");
  EXPECT_EQ(job_label(plan, plan.all[1]), "evaluate model=cifar10 cfg=1 self_denoising_lr=0");
}

TEST(PlanText, TimesOfADeviceThatIsNotStatedAreUnknown) {
  Bench bench;
  bench.add(1, 0, {{"num_images", 100}});
  bench.add(2, 0, {{"num_images", 100}, {"extractor", (bench.folder / "extractor.pt").string()}});
  PlanOptions options;
  options.runs_on = "nodes of `lab` (device not stated)";
  const Plan plan = bench.make(options);
  Estimator estimator(bench.schemas, plan.runs_on, plan.cache());
  const std::string text = describe(plan, estimator, [](const Job&) { return std::string(); });
  EXPECT_THAT(text, HasSubstr("expected on nodes of `lab` (device not stated): times unknown"));
  EXPECT_THAT(text,
              HasSubstr(" extractor=" + bench.folder.path().filename().string() + "/extractor.pt"));
}

}  // namespace
}  // namespace tarflow::job
