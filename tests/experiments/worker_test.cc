// What the worker says about itself: declared arrays, environment, answers to run_sweep's
// questions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <memory>
#include <regex>
#include <set>

#include "framework/core/experiment.h"
#include "framework/core/hash.h"
#include "framework/core/json.h"
#include "framework/core/strategy.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::HasSubstr;

const fs::path kPrograms = fs::path(TARFLOW_RUN_SWEEP).parent_path();

class Worker : public Programs {
 protected:
  struct Answer {
    int status = 0;
    Json json;
  };

  // What run_job prints with these arguments.
  Answer ask(const std::string& arguments) const {
    const fs::path out = folder_ / "answer.json";
    const int status = std::system(
        ((kPrograms / "run_job").string() + " " + arguments + " > " + out.string()).c_str());
    return {WEXITSTATUS(status), read_json_file(out)};
  }

  // One small job of every experiment.
  record::SweepRecord run_all() const {
    const std::string images = asset("cifar10").string(),
                      extractor = asset("cifar10_extractor.pt").string(),
                      chosen = ", guess_num_images: 4, guess_images: " + images +
                               ", strategy: {name: 1-4-2-3, guess: auto}";
    return run(
        "  - igm_crm: {images: " + images + ", num_images: 10}\n" +
        "  - sample: {num_images: 3, strategy: \"[1-4-2-3]\", trace: true}\n" +
        "  - fid_stats: {images: " + images + ", num_images: 10, image_size: 8, extractor: " +
        extractor + "}\n" + "  - bpd: {num_images: 10, images: " + images + "}\n" +
        "  - evaluate: {num_images: 10, chunk: 1, guess_num_images: 4, guess_images: " + images +
        ", extractor: " + extractor + ", reference: " + images +
        ", strategy: {blocks: {else: {segments: 1, max_iterations: 3, guess: auto, stop: "
        "{published: "
        "1.0e-9}}}}}\n" +
        "  - benchmark: {batch: 2, warm_up: 0, repeats: 1, strategy: \"[1-4-2-3]\"}\n" +
        "  - device_error: {compute_type: bfloat16, num_images: 2" + chosen + "}\n" +
        "  - convergence: {num_images: 2, segments: 4, max_iterations: 3}\n" +
        "  - trace: {num_images: 2" + chosen + "}\n  - compare: {num_images: 2" + chosen + "}\n" +
        "  - tune: {batch: 8, deviation: 0.5}\n" + "  - train: {name: small, images: " + images +
        ", held_out: " + images +
        ", held_out_images: 10, num_images: 20, image_size: 8, patch_size: 2, channels: 64, " +
        "blocks: 1, layers: 1, batch: 4, steps: 2, profile_steps: 1, samples: 2, samples_every: "
        "1, " +
        "held_out_every: 1, distance_images: 10, distance_every: 1, extractor: " + extractor +
        ", reference: " + images + "}\n");
  }
};

ExperimentSchemas schemas() {
  return read_experiment_schemas(kPrograms / "../share/experiments.json");
}

const ExperimentSchema& schema_of(const ExperimentSchemas& schemas, const std::string& name) {
  for (const ExperimentSchema& schema : schemas) {
    if (schema.name == name) return schema;
  }
  throw std::out_of_range(name);
}

// The declarations that `path` matches.
std::vector<const ArrayInfo*> matching(const ExperimentSchema& schema, const std::string& path) {
  std::vector<const ArrayInfo*> found;
  for (const ArrayInfo& info : schema.arrays) {
    const std::string pattern = std::regex_replace(info.path, std::regex("<[^>]*>"), "[^/]+");
    if (std::regex_match(path, std::regex(pattern))) found.push_back(&info);
  }
  return found;
}

TEST_F(Worker, EveryArrayIsDeclaredAndEveryDeclarationHasItsArray) {
  const record::SweepRecord sweep = run_all();
  const ExperimentSchemas all = schemas();
  std::set<const ArrayInfo*> written;
  for (const auto& [hash, job] : sweep.jobs) {
    const ExperimentSchema& schema = schema_of(all, job.job.at("experiment").get<std::string>());
    for (const record::Array& array : job.arrays) {
      const auto infos = matching(schema, array.path);
      ASSERT_EQ(infos.size(), 1u) << schema.name << " " << array.path;
      EXPECT_EQ(infos[0]->type, array.type) << array.path;
      EXPECT_EQ(infos[0]->axes.size(), array.shape.size()) << array.path;
      EXPECT_EQ(infos[0]->unit, array.unit) << array.path;
      EXPECT_EQ(infos[0]->timing, array.timing) << array.path;
      EXPECT_THAT(array.meaning, HasSubstr(infos[0]->meaning));
      written.insert(infos[0]);
    }
  }
  for (const ExperimentSchema& schema : all) {
    for (const ArrayInfo& info : schema.arrays)
      // Only a stop measures residuals, and sample's strategy above has none.
      EXPECT_TRUE(written.contains(&info) || schema.name == "sample")
          << schema.name << " " << info.path;
  }
}

TEST_F(Worker, AJobKeepsItsSettingsAndItsEnvironment) {
  const record::SweepRecord sweep = run_all();
  const ExperimentSchemas all = schemas();
  for (const auto& [hash, job] : sweep.jobs) {
    const ExperimentSchema& schema = schema_of(all, job.job.at("experiment").get<std::string>());
    Json settings = job.job.at("settings");
    settings.update(job.job.at("points").at(0).at("settings"));
    for (const Field& field : schema.fields) {
      // A strategy that leaves no guess open has no use for it.
      if (field.name == kGuessNumImages && !settings.contains(kGuessImages)) continue;
      EXPECT_TRUE(settings.contains(field.name) || field.default_value.empty() ||
                  field.default_value == "")
          << schema.name << " " << field.name << " of " << settings.dump();
    }
    for (const char* key :
         {"program", "git_revision", "git_dirty", "compiler", "libtorch", "host", "kernel", "cores",
          "cpu", "cpu_capability", "threads", "command", "at_start", "at_end"}) {
      EXPECT_TRUE(job.environment.contains(key)) << key;
    }
    EXPECT_TRUE(job.environment.at("at_start").contains("time"));
    EXPECT_THAT(job.environment.at("command").at(1).get<std::string>(),
                testing::EndsWith("results/toy/jobs/" + hash));
  }
}

TEST_F(Worker, SamplingJobsTellTheirRate) {
  for (const record::Row& row : run_all().rows) {
    const std::string experiment = std::get<std::string>(row.at("experiment"));
    if (experiment != "evaluate" && experiment != "sample") continue;
    const ModelShape shape{8, 2, 64, 2, 1, 3, 0.1};
    const auto images = static_cast<double>(std::get<int64_t>(row.at("num_images")));
    // Attention sees fewer keys than T in each evaluation: between none and all of them.
    const double tokens = images * number(row, "block_passes") * shape.tokens(),
                 flops = number(row, "achieved_flops") * number(row, "sampling_seconds");
    EXPECT_GT(flops, tokens * shape.block_flops_per_token(0));
    EXPECT_LT(flops, tokens * shape.block_flops_per_token(shape.tokens()));
  }
}

TEST_F(Worker, ProbesExtractors) {
  const fs::path extractor = asset("cifar10_extractor.pt");
  const Answer answer = ask("--image-size 32 --probe-extractor " + extractor.string());
  EXPECT_EQ(answer.status, 0);
  EXPECT_EQ(answer.json, (Json{{"features", 96}, {"sha256", sha256_file(extractor)}}));
  write_file(folder_ / "broken.pt", "no TorchScript");
  const Answer broken =
      ask("--image-size 32 --probe-extractor " + (folder_ / "broken.pt").string());
  EXPECT_EQ(broken.status, 1);
  EXPECT_THAT(broken.json.at("error").get<std::string>(), HasSubstr("broken.pt"));
}

TEST_F(Worker, MeasuresTheDevice) {
  const Answer answer = ask("--measure-rate --threads 1");
  EXPECT_EQ(answer.status, 0);
  EXPECT_GT(answer.json.at("gemm_flops").get<double>(), 1e6);
  EXPECT_GT(answer.json.at("seconds").get<double>(), 0);
  EXPECT_FALSE(answer.json.at("device").get<std::string>().empty());
}

}  // namespace
}  // namespace tarflow::experiments
