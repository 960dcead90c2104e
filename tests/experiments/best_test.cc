// What `analyze best` prints is a sweep that runs as it stands and means the very point it chose.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/experiments/programs.h"

namespace tarflow::experiments {
namespace {

using ::testing::HasSubstr;

class Best : public Programs {
 protected:
  // A copy of the record in which times are valid and `fastest` is the fastest, whatever else this
  // machine did meanwhile.
  void write_valid(const fs::path& file, const std::string& fastest) const {
    std::vector<fs::path> results;
    for (const auto& entry : fs::directory_iterator(folder_ / "results/toy/jobs")) {
      record::JobRecord job = record::read_job(entry.path() / "result.h5");
      for (record::Row& row : job.rows) {
        row["exclusive"] = int64_t{1};
        row["interrupted"] = int64_t{0};
        row["total_seconds"] = std::get<std::string>(row.at("strategy")) == fastest ? 1.0 : 2.0;
      }
      results.push_back(folder_ / (job.hash + ".h5"));
      record::write_job(results.back(), job);
    }
    record::merge(file, "toy", results);
  }

  int shell(const std::string& command) const {
    return std::system(("cd " + folder_.string() + " && " + command).c_str());
  }

  const std::string analyze_ = (fs::path(TARFLOW_RUN_SWEEP).parent_path() / "analyze").string();
};

TEST_F(Best, IsReadUnchangedAndIsThePointThatWasMeasured) {
  run("  - evaluate:\n      num_images: 4\n      extractor: " +
      asset("cifar10_extractor.pt").string() + "\n      reference: " + asset("cifar10").string() +
      "\n      grid:\n        strategy: [For, \"[1-4-2-2]\", {label: loose, blocks: {else: "
      "{segments: 1, max_iterations: 3, guess: zero}}}]\n        self_denoising_lr: [0, 0.7]\n");
  for (const std::string fastest : {"For", "[1-4-2-2]", "loose"}) {
    write_valid(folder_ / "valid.h5", fastest);
    ASSERT_EQ(shell(analyze_ + " best valid.h5 --within 100000% --each-setting > toy.yaml"), 0);
    const std::string sweep = read_file(folder_ / "toy.yaml");
    EXPECT_THAT(sweep, HasSubstr(fmt::format("label: \"{}\"", fastest)));
    ASSERT_EQ(shell(std::string(TARFLOW_RUN_SWEEP) + " toy.yaml > again.log 2>&1"), 0)
        << sweep << read_file(folder_ / "again.log");
    EXPECT_THAT(read_file(folder_ / "again.log"), HasSubstr("0 jobs to run, 2 of its points done"))
        << sweep;
  }
}

TEST_F(Best, OutputThatCannotBeWrittenIsAFailure) {
  EXPECT_NE(shell(analyze_ + " describe-records > /dev/full 2> told.log"), 0);
  EXPECT_THAT(read_file(folder_ / "told.log"), HasSubstr("standard output"));
}

}  // namespace
}  // namespace tarflow::experiments
