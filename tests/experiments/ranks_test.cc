// Jobs of several processes on the CPU as users start them: the same results as one process gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "framework/images/image.h"
#include "framework/images/png.h"
#include "tests/experiments/result_files.h"

namespace tarflow::experiments {
namespace {

using testing::HasSubstr;

class Ranks : public ResultFiles {
 protected:
  // The digest of the results of `experiments` in that many processes of one thread each.
  std::string digest(const std::string& experiments, int ranks) const {
    fs::remove_all(folder_ / "results");
    const record::SweepRecord sweep =
        run(experiments + "run: {gpus: 0, threads: 1, ranks: " + std::to_string(ranks) + "}\n");
    EXPECT_FALSE(sweep.rows.empty());
    return record::digest(sweep);
  }

  void expect_same_for_any_ranks(const std::string& experiments, int most = 4) const {
    const std::string one = digest(experiments, 1);
    for (int ranks = 2; ranks <= most; ++ranks)
      EXPECT_EQ(digest(experiments, ranks), one) << ranks << " processes";
  }

  const std::string images_ = asset("cifar10").string(),
                    extractor_ = asset("cifar10_extractor.pt").string();
};

TEST_F(Ranks, IgmCrmIsTheSame) {
  expect_same_for_any_ranks("  - igm_crm: {num_images: 50, batch: 8, images: " + images_ + "}\n");
}

TEST_F(Ranks, BpdIsTheSameWithMoreProcessesThanBatches) {
  expect_same_for_any_ranks("  - bpd: {num_images: 21, batch: 8, images: " + images_ + "}\n");
}

TEST_F(Ranks, FidStatsAreTheSame) {
  expect_same_for_any_ranks(
      "  - fid_stats: {num_images: 700, flips: true, image_size: 8, images: " + images_ +
      ", extractor: " + extractor_ + "}\n");
}

TEST_F(Ranks, ConvergenceIsTheSame) {
  expect_same_for_any_ranks(
      "  - convergence: {num_images: 7, chunk: 2, segments: 4, max_iterations: 5, cfg: 0.5, grid: "
      "{clamp: [0, 3], start: [sequential, iterated]}}\n");
}

TEST_F(Ranks, UnreadableFilesAreLeftOutTheSame) {
  for (int i = 0; i < 23; ++i) {
    const fs::path file = folder_ / "images" / (std::to_string(100 + i) + ".png");
    fs::create_directories(file.parent_path());
    if (i % 7 == 3) {
      write_file(file, "no image");
    } else {
      images::write_png(file, images::blank(8, 8, {static_cast<uint8_t>(10 * i), 20, 30}));
    }
  }
  const std::string igm_crm = "  - igm_crm: {num_images: 0, batch: 3, images: images, ";
  expect_same_for_any_ranks(igm_crm + "max_unreadable: 3}\n", 3);
  EXPECT_THAT(logs(), HasSubstr("left out: " + (folder_ / "images/117.png").string()));
  fs::remove_all(folder_ / "results");
  const int status = wait(start(igm_crm + "max_unreadable: 2}\nrun: {gpus: 0, ranks: 3}\n"));
  EXPECT_EQ(status, 1);
  EXPECT_THAT(read_file(folder_ / "log"),
              HasSubstr("3 image files cannot be read, and at most 2 may be left out"));
}

TEST_F(Ranks, OpenGuessesAreMeasuredOnceByAllOfThem) {
  const std::string evaluate =
      "  - evaluate: {num_images: 6, chunk: 2, guess_num_images: 20, guess_images: " + images_ +
      ", strategy: {name: \"[1-4-1-1]\", guess: auto}, self_denoising_lr: 0, extractor: " +
      extractor_ + ", reference: " + images_ + "}\n";
  expect_same_for_any_ranks(evaluate, 3);
  EXPECT_EQ(kept("guesses-").size(), 1u);
}

// The shipped demo with fewer images and strategies.
TEST_F(Ranks, TheDemoIsTheSame) {
  const auto digest_of = [&](const std::string& name, int ranks) {
    const fs::path results = folder_ / name;
    const std::string command =
        std::string("cd ") + folder_.string() + " && " + TARFLOW_RUN_SWEEP + " " +
        TARFLOW_SOURCE_DIR + "/sweeps/demo.yaml --results " + name +
        " --set evaluate.num_images=24 --set evaluate.chunk=7 --set igm_crm.num_images=130" +
        " --set 'evaluate.strategy=[For, \"[7-8-4-4]\"]' --set run.gpus=0 --set run.threads=1" +
        " --set run.ranks=" + std::to_string(ranks) + " > log 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_file(folder_ / "log");
    return record::digest(record::read_sweep(results / "demo.h5"));
  };
  EXPECT_EQ(digest_of("two", 2), digest_of("one", 1));
}

}  // namespace
}  // namespace tarflow::experiments
