// What a worker reads is what its job was planned with, for every experiment and every path.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <set>
#include <utility>

#include "framework/core/experiment.h"
#include "framework/core/json.h"
#include "framework/record/dataset_file.h"
#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const fs::path kPrograms = fs::path(TARFLOW_RUN_SWEEP).parent_path();
constexpr const char* kChanged = "has changed since the sweep was planned";

class WorkersInputs : public Programs {
 protected:
  // One small job of every experiment, with every path that it takes.
  record::SweepRecord run_all() const {
    const std::string images = asset("cifar10").string(),
                      extractor = asset("cifar10_extractor.pt").string(),
                      noise = ", noise: noise.h5",
                      chosen = ", guess_num_images: 4, guess_images: " + images +
                               ", strategy: {name: 1-4-2-3, guess: auto}";
    write_noise();
    return run(
        "  - igm_crm: {images: " + images + ", num_images: 10}\n" + "  - sample: {num_images: 2" +
        noise + chosen + "}\n" + "  - fid_stats: {images: " + images +
        ", num_images: 10, image_size: 8, extractor: " + extractor + "}\n" +
        "  - bpd: {num_images: 10, images: " + images + "}\n" +
        "  - evaluate: {num_images: 10, extractor: " + extractor + ", reference: " + images +
        chosen + "}\n" +
        "  - benchmark: {batch: 2, warm_up: 0, repeats: 1, strategy: \"[1-4-2-3]\"}\n" +
        "  - device_error: {compute_type: bfloat16, num_images: 2" + chosen + "}\n" +
        "  - convergence: {num_images: 2, segments: 4, max_iterations: 3" + noise + "}\n" +
        "  - trace: {num_images: 2" + noise + chosen + "}\n" + "  - compare: {num_images: 2" +
        noise + chosen + "}\n" +
        "  - tune: {batch: 8, deviation: 0.5, fd_rise: 0.5, distance_images: 16, extractor: " +
        extractor + ", reference: " + images + "}\n" +
        "  - train: {name: small, images: " + images + ", held_out: " + images +
        ", held_out_images: 10, num_images: 20, image_size: 8, patch_size: 2, channels: 64, " +
        "blocks: 1, layers: 1, batch: 4, steps: 2, samples: 2, distance_images: 10, " +
        "extractor: " + extractor + ", reference: " + images + "}\n");
  }

  // Of two images of the toy model, which has 16 tokens of width 12.
  void write_noise() const {
    std::vector<float> noise(2 * 16 * 12);
    for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<float>(i % 7) / 3 - 1;
    record::write_datasets(
        folder_ / "noise.h5",
        {record::make_array("noise", {2, 16, 12}, noise, "", "noise"),
         record::make_array("labels", {2}, std::vector<int64_t>{0, 1}, "", "labels")},
        {});
  }

  std::vector<fs::path> job_folders() const {
    std::vector<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(folder_ / "results/toy/jobs"))
      folders.push_back(entry.path());
    return folders;
  }

  // Runs the job of a folder anew with another description; returns what it says.
  std::pair<int, std::string> run_job(const fs::path& folder, const Json& job) const {
    const fs::path anew = folder_ / "anew/toy/jobs" / folder.filename();
    fs::remove_all(folder_ / "anew");
    fs::create_directories(anew);
    write_json_file(anew / "job.json", job);
    const std::string command = (kPrograms / "run_job").string() + " " + anew.string() + " > " +
                                (folder_ / "anew.log").string() + " 2>&1";
    const int status = WEXITSTATUS(std::system(command.c_str()));
    EXPECT_EQ(fs::exists(anew / "result.h5"), status == 0);
    return {status, read_file(folder_ / "anew.log")};
  }
};

// Calls `use` with every object of contents that a job has.
template <typename Use>
void for_contents(Json& job, const Use& use) {
  use(job.at("contents"));
  for (Json& point : job.at("points"))
    if (point.contains("contents")) use(point.at("contents"));
}

// The fields of a job that name files or folders, with the contents that were planned.
std::set<std::pair<std::string, std::string>> planned_contents(Json job) {
  std::set<std::pair<std::string, std::string>> found;
  for_contents(job, [&](Json& contents) {
    for (const auto& [field, content] : contents.items())
      found.emplace(field, content.get<std::string>());
  });
  return found;
}

TEST_F(WorkersInputs, AreProvenWhateverTheExperiment) {
  run_all();
  std::set<std::pair<std::string, std::string>> covered;
  for (const fs::path& folder : job_folders()) {
    const Json job = read_json_file(folder / "job.json");
    const std::string experiment = job.at("experiment").get<std::string>();
    // What is proven at the end alone may have been another file when it was read.
    EXPECT_THAT(read_file(folder / "log.txt"), Not(HasSubstr("was named and not read")))
        << experiment;
    for (const auto& [field, content] : planned_contents(job)) {
      covered.emplace(experiment, field);
      Json other = job;
      other.erase("stamps");
      for_contents(other, [&, planned = content](Json& contents) {
        for (auto& value : contents)
          if (value == planned) value = std::string(64, '0');
      });
      const auto [status, said] = run_job(folder, other);
      EXPECT_EQ(status, 1) << experiment << " " << field << "\n" << said;
      EXPECT_THAT(said, AllOf(HasSubstr(kChanged), HasSubstr("run the same command again")))
          << experiment << " " << field;
    }
  }
  for (const ExperimentSchema& schema :
       read_experiment_schemas(kPrograms / "../share/experiments.json")) {
    for (const Field& field : schema.fields) {
      const bool path = field.type == FieldType::kPath && field.identity == Identity::kContent;
      if (!path && field.type != FieldType::kModel) continue;
      EXPECT_TRUE(covered.contains({schema.name, path ? field.name : "checkpoint"}))
          << "no job of run_all() has `" << field.name << "` of " << schema.name;
    }
  }
}

TEST_F(WorkersInputs, AreReadWithoutHashingWhereTheirStampIsThePlannedOne) {
  run("  - sample: {num_images: 1, strategy: For}\n");
  const fs::path folder = job_folders().at(0);
  Json job = read_json_file(folder / "job.json");
  // A stamp as a plan of a settled file notes it, beside a content that reading would refute.
  struct stat status {};
  const std::string path = job.at("model").at("checkpoint").get<std::string>();
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  job["contents"]["checkpoint"] = std::string(64, '0');
  job["stamps"][path] = fmt::format("{} {}.{:09} {}.{:09} {}", status.st_size,
                                    status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                                    status.st_ctim.tv_sec, status.st_ctim.tv_nsec, status.st_ino);
  EXPECT_EQ(run_job(folder, job).first, 0);
  fs::last_write_time(path, fs::file_time_type::clock::now());
  EXPECT_THAT(run_job(folder, job).second, HasSubstr(path + " " + kChanged));
}

TEST_F(WorkersInputs, ThatChangedArePlannedAnewByTheSameCommand) {
  const std::string experiment = "  - sample: {num_images: 1, strategy: For}\n";
  const record::SweepRecord before = run(experiment);
  const fs::path model = folder_ / "toy_model_2_64_2_1_0.10.pth";
  write_toy(5);
  const fs::path folder = job_folders().at(0);
  const auto [status, said] = run_job(folder, read_json_file(folder / "job.json"));
  EXPECT_EQ(status, 1);
  EXPECT_THAT(said, HasSubstr(model.string() + " " + kChanged));
  const record::SweepRecord after = run(experiment);
  EXPECT_NE(after.jobs.begin()->first, before.jobs.begin()->first);
}

}  // namespace
}  // namespace tarflow::experiments
