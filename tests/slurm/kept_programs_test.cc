#include "framework/slurm/kept_programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "tests/record/sample_record.h"

namespace tarflow::slurm {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class KeptPrograms : public ::testing::Test {
 protected:
  KeptPrograms() {
    write("run_sweep", "a");
    write("run_job", "b");
  }
  void write(const std::string& name, const std::string& text) const {
    write_file(programs_ / name, text);
    fs::permissions(programs_ / name, fs::perms::owner_all);
  }
  fs::path keep() const { return keep_programs(programs_, store_); }

  record::ScratchFolder folder_;
  fs::path programs_ = folder_ / "tree/bin", store_ = folder_ / "results/programs";
};

TEST_F(KeptPrograms, StayWhatTheyWere) {
  const fs::path kept = keep();
  EXPECT_TRUE(kept.string().starts_with(store_.string()));
  EXPECT_EQ(keep(), kept) << "nothing changed";
  write("run_job", "another build");
  const fs::path next = keep();
  EXPECT_NE(next, kept);
  EXPECT_EQ(read_file(kept / "run_sweep"), "a");
  EXPECT_EQ(read_file(kept / "run_job"), "b");
  EXPECT_EQ(read_file(next / "run_job"), "another build");
  EXPECT_NE(fs::status(next / "run_job").permissions() & fs::perms::owner_exec, fs::perms::none);
  fs::remove_all(programs_);
  EXPECT_EQ(read_file(kept / "run_job"), "b");
  EXPECT_EQ(std::distance(fs::directory_iterator(store_), {}), 2) << "and no half copies";
}

TEST_F(KeptPrograms, FindTheLibrariesTheyWereInstalledWith) {
  EXPECT_FALSE(fs::exists(keep().parent_path() / "lib"));
  write_file(folder_ / "tree/lib/libtorch.so", "library");
  write("run_job", "installed");
  EXPECT_EQ(read_file(keep().parent_path() / "lib/libtorch.so"), "library");
}

TEST_F(KeptPrograms, AbsentOnesAreNamed) {
  fs::remove(programs_ / "run_job");
  EXPECT_THAT(record::error_of([&] { keep(); }), HasSubstr("bin/run_job"));
  EXPECT_FALSE(fs::exists(store_));
  write("run_job", "b");
  write_file(store_, "a file in the place of the folder");
  EXPECT_THAT(record::error_of([&] { keep(); }), HasSubstr("cannot copy the programs of"));
}

}  // namespace
}  // namespace tarflow::slurm
