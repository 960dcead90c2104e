// Files of version 1, which tests/record/version_1 keeps, and of versions to come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/core/file.h"
#include "framework/record/record.h"
#include "tests/record/sample_record.h"

namespace tarflow::record {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

const std::filesystem::path kOld =
    std::filesystem::path(TARFLOW_SOURCE_DIR) / "tests/record/version_1";
// As version 1 printed it.
constexpr const char* kOldDigest =
    "6a52a892fc25183387d7bcb7999ae1a909082ad873d14b43c5c9efc61b0dfbc0";

TEST(Version, JobsOfVersion1AreRead) {
  ASSERT_THAT(read_file(kOld / "job_aa.h5"), StartsWith("tarflow record 1\n"));
  const JobRecord back = read_job(kOld / "job_aa.h5"), job = sample_job("aa", 2);
  EXPECT_EQ(back.hash, job.hash);
  EXPECT_EQ(back.job, job.job);
  EXPECT_EQ(back.environment, job.environment);
  EXPECT_EQ(back.columns, job.columns);
  EXPECT_EQ(back.rows, job.rows);
  expect_same_arrays(back.arrays, job.arrays);
  EXPECT_EQ(verify(kOld / "job_aa.h5"), content_sha256(kOld / "job_aa.h5"));
}

TEST(Version, SweepsOfVersion1HaveTheirDigest) {
  const SweepRecord sweep = read_sweep(kOld / "sweep.h5");
  EXPECT_EQ(sweep.name, "old");
  EXPECT_THAT(sweep.rows, SizeIs(3));
  EXPECT_EQ(digest(sweep), kOldDigest);
}

TEST(Version, TheDigestOfTheSameResultsIsTheSameInBoth) {
  const ScratchFolder folder;
  write_job(folder / "aa.h5", sample_job("aa", 2));
  write_job(folder / "bb.h5", sample_job("bb", 1));
  const auto digest_of = [&](const std::filesystem::path& a, const std::filesystem::path& b) {
    EXPECT_THAT(merge(folder / "m.h5", "any", std::vector{a, b}).problems, SizeIs(0));
    return digest(read_sweep(folder / "m.h5"));
  };
  EXPECT_EQ(digest_of(kOld / "job_aa.h5", kOld / "job_bb.h5"), kOldDigest);
  EXPECT_EQ(digest_of(folder / "aa.h5", folder / "bb.h5"), kOldDigest);
  EXPECT_EQ(digest_of(kOld / "job_aa.h5", folder / "bb.h5"), kOldDigest) << "mixed";
}

TEST(Version, ASweepFileOfVersion1IsMergedAnew) {
  const ScratchFolder folder;
  std::filesystem::copy_file(kOld / "sweep.h5", folder / "m.h5");
  const std::vector files{kOld / "job_aa.h5", kOld / "job_bb.h5"};
  EXPECT_TRUE(merge(folder / "m.h5", "old", files).wrote);
  EXPECT_THAT(read_file(folder / "m.h5"), StartsWith("tarflow record 2\n"));
  EXPECT_FALSE(merge(folder / "m.h5", "old", files).wrote);
}

TEST(Version, NewerFilesAreRefusedWithBothVersionsAndWhatToDo) {
  const ScratchFolder folder;
  write_job(folder / "newer.h5", sample_job("aa"));
  std::string bytes = read_file(folder / "newer.h5");
  bytes[std::string("tarflow record ").size()] = '3';
  std::ofstream(folder / "newer.h5") << bytes;
  const auto refused =
      AllOf(HasSubstr("newer.h5 has record version 3; this program reads versions up to 2"),
            HasSubstr("update this program"));
  EXPECT_THAT(error_of([&] { read_job(folder / "newer.h5"); }), refused);
  EXPECT_THAT(error_of([&] { verify(folder / "newer.h5"); }), refused);
  EXPECT_THAT(error_of([&] { content_sha256(folder / "newer.h5"); }), refused);
  EXPECT_THAT(merge(folder / "m.h5", "demo", std::vector{folder / "newer.h5"}).problems, SizeIs(1));
}

TEST(Envelope, TellsTheContentWithoutReadingIt) {
  const ScratchFolder folder;
  const auto file = folder / "result.h5";
  write_job(file, sample_job("aa"));
  EXPECT_EQ(content_sha256(file), verify(file));
  const std::string good = read_file(file);
  std::ofstream(file, std::ios::binary) << good.substr(0, good.size() - 1);
  EXPECT_THAT(error_of([&] { content_sha256(file); }), HasSubstr("damaged"));
  std::ofstream(file, std::ios::binary) << good << '\0';
  EXPECT_THAT(error_of([&] { content_sha256(file); }), HasSubstr("damaged"));
  for (size_t at = 0; at < 512; ++at) {
    std::string bad = good;
    bad[at] ^= 1;
    std::ofstream(file, std::ios::binary) << bad;
    EXPECT_THAT(error_of([&] { content_sha256(file); }), HasSubstr("result.h5")) << "byte " << at;
  }
  std::ofstream(file, std::ios::trunc).close();
  EXPECT_THAT(error_of([&] { content_sha256(file); }), HasSubstr("it is empty"));
}

}  // namespace
}  // namespace tarflow::record
