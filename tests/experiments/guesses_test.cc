// `guess: auto` as users meet it: what is chosen, that it is measured once, and what it changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "framework/core/json.h"
#include "framework/record/dataset_file.h"
#include "tests/experiments/result_files.h"

namespace tarflow::experiments {
namespace {

using testing::HasSubstr;

class Guesses : public ResultFiles {
 protected:
  static const record::Array& array(const record::JobRecord& job, const std::string& path) {
    const auto found = std::find_if(job.arrays.begin(), job.arrays.end(),
                                    [&](const record::Array& a) { return a.path == path; });
    if (found == job.arrays.end()) throw std::out_of_range(path);
    return *found;
  }
  static std::vector<double> numbers(const record::JobRecord& job, const std::string& path) {
    return record::to_doubles(array(job, path));
  }

  std::vector<fs::path> kept() const { return ResultFiles::kept("guesses-"); }

  const std::string images_ = asset("cifar10").string();
  const std::string igm_ = "  - igm_crm: {num_images: 20, images: " + images_ + "}\n";
  // Both blocks iterate little, so that the guess matters.
  const std::string auto_ =
      "{name: \"[1-4-1-1]\", guess: auto}, guess_num_images: 20, guess_images: " + images_;
  const std::string sample_ = "  - sample: {num_images: 4, strategy: ";
};

TEST_F(Guesses, AreTheBetterOnesThatIgmCrmMeasures) {
  const record::SweepRecord measured = run(igm_);
  const record::JobRecord& igm = measured.jobs.begin()->second;
  fs::rename(folder_ / "results", folder_ / "measured");
  const record::SweepRecord sampled = run(sample_ + auto_ + "}\n");
  const record::JobRecord& job = sampled.jobs.begin()->second;
  EXPECT_EQ(numbers(job, "guess/igm_z"), numbers(igm, "igm_crm/norm_2/igm_z"));
  EXPECT_EQ(numbers(job, "guess/igm_zero"), numbers(igm, "igm_crm/norm_2/igm_zero"));
  std::vector<std::string> guesses = array(igm, "igm_crm/guess").strings;
  std::reverse(guesses.begin(), guesses.end());  // sampling order
  const record::Row& row = sampled.rows.at(0);
  EXPECT_EQ(std::get<std::string>(row.at("chosen_guesses")), canonical(Json(guesses)));
  EXPECT_THAT(std::get<std::string>(row.at("strategy_blocks")), HasSubstr("guess auto"));
  EXPECT_THAT(logs(), HasSubstr("guess auto, IGM z against IGM zero on 20 images of " + images_));
  EXPECT_THAT(logs(), HasSubstr("block 1 " + guesses[0] + " ("));
}

TEST_F(Guesses, SampleAsIfTheyHadBeenStated) {
  const record::SweepRecord chosen = run(sample_ + auto_ + "}\n");
  const Json guesses = Json::parse(std::get<std::string>(chosen.rows.at(0).at("chosen_guesses")));
  const record::SweepRecord stated =
      run(sample_ + "{name: \"[1-4-1-1]\", guess_list: " + guesses.dump() + "}}\n");
  EXPECT_NE(stated.rows.at(0).at("point"), chosen.rows.at(0).at("point"));
  const std::string path = "images/before_denoising";
  EXPECT_EQ(array(stated.jobs.begin()->second, path).data,
            array(chosen.jobs.begin()->second, path).data);
  EXPECT_FALSE(stated.rows.at(0).contains("chosen_guesses"));
}

TEST_F(Guesses, AreMeasuredOnceForAllJobs) {
  const std::string grid =
      "  - sample: {num_images: 4, strategy: " + auto_ + ", grid: {cfg: [0, 1]}}\n";
  EXPECT_EQ(run(grid).jobs.size(), 2u);
  ASSERT_EQ(kept().size(), 1u) << "one model, one folder, one number, one compute type";
  // What is kept is what counts: made up to say that zeros are better everywhere.
  const fs::path file = kept()[0];
  const std::string identity = record::read_root_attribute(file, "identity");
  const auto write = [&](double igm_z, const std::string& of) {
    record::write_datasets(
        file,
        {record::make_array("igm_z", {2}, std::vector<double>{igm_z, igm_z}, "", ""),
         record::make_array("igm_zero", {2}, std::vector<double>{1, 1}, "", "")},
        {{"identity", of}});
  };
  const auto chosen_by = [&](int seed) {
    const record::SweepRecord sweep =
        run("  - sample: {num_images: 4, seed: " + std::to_string(seed) + ", strategy: " + auto_ +
            "}\n");
    return std::get<std::string>(sweep.rows.at(0).at("chosen_guesses"));
  };
  write(2, identity);
  EXPECT_EQ(chosen_by(1), R"(["zero","zero"])");
  write(1, identity);
  EXPECT_EQ(chosen_by(2), R"(["z","z"])") << "equal metrics choose z";
  // A file of something else, or half of one, is made anew.
  write(2, "something else");
  const std::string true_ones = chosen_by(3);
  EXPECT_EQ(record::read_root_attribute(file, "identity"), identity);
  fs::resize_file(file, 100);
  EXPECT_EQ(chosen_by(4), true_ones);
  EXPECT_THAT(logs(), HasSubstr("is not usable and is made again"));
}

TEST_F(Guesses, OfIgmCrmAreNotMeasuredAgain) {
  run(igm_);
  ASSERT_EQ(kept().size(), 1u);
  const auto before = fs::last_write_time(kept()[0]);
  run(sample_ + auto_ + ", compute_type: float32}\n");
  ASSERT_EQ(kept().size(), 1u) << "the same model, images, number and compute type";
  EXPECT_EQ(fs::last_write_time(kept()[0]), before);
}

TEST_F(Guesses, StatedOnesAreKeptAndSequentialBlocksHaveNone) {
  const record::SweepRecord sweep =
      run("  - sample: {num_images: 2, guess_num_images: 20, guess_images: " + images_ +
          ", strategy: {blocks: {1: sequential, 0: {segments: 1, max_iterations: 2, guess: "
          "auto}}}}\n");
  const std::string chosen = std::get<std::string>(sweep.rows.at(0).at("chosen_guesses"));
  const std::vector<double> z = numbers(sweep.jobs.begin()->second, "guess/igm_z"),
                            zero = numbers(sweep.jobs.begin()->second, "guess/igm_zero");
  EXPECT_EQ(chosen, z[0] <= zero[0] ? R"(["none","z"])" : R"(["none","zero"])");
}

TEST_F(Guesses, WithoutImagesAreAMistakeInTheFile) {
  EXPECT_EQ(wait(start(sample_ + "{name: \"[1-4-1-1]\", guess: auto}}\n")), 2);
  const std::string log = read_file(folder_ / "log");
  EXPECT_THAT(log, HasSubstr("toy.yaml:6:39"));
  EXPECT_THAT(log, HasSubstr("`guess: auto` needs real images"));
  EXPECT_THAT(log, HasSubstr("guess_images: FOLDER"));
  EXPECT_FALSE(fs::exists(folder_ / "results/toy.h5"));
}

}  // namespace
}  // namespace tarflow::experiments
