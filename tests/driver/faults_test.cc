// What the world does to a sweep: a full or read-only file system, a clock that jumps.
#include <sched.h>
#include <sys/mount.h>

#include "tests/driver/run_fixture.h"

namespace tarflow::driver {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class Faults : public RunSweep {
 protected:
  // results/ becomes a file system of its own, of this process and its children alone.
  bool mount_results(const std::string& options) {
    fs::create_directories(house_ / "results");
    if (::unshare(CLONE_NEWNS) != 0) return false;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    mounted_ =
        ::mount("tarflow_test", (house_ / "results").c_str(), "tmpfs", 0, options.c_str()) == 0;
    return mounted_;
  }
  bool remount(unsigned long flags, const std::string& options) {
    return ::mount("tarflow_test", (house_ / "results").c_str(), "tmpfs", MS_REMOUNT | flags,
                   options.c_str()) == 0;
  }
  void TearDown() override {
    RunSweep::TearDown();
    if (mounted_) ::umount((house_ / "results").c_str());
  }

  bool mounted_ = false;
};

#define REQUIRE_MOUNT(options) \
  if (!mount_results(options)) GTEST_SKIP() << "mounting a file system is not permitted here"

TEST_F(Faults, AFullDiskCostsNothingThatIsFinished) {
  REQUIRE_MOUNT("size=20m");
  ASSERT_EQ(run("demo.yaml --only value=1").status, 0);
  std::ofstream filler(house_ / "results/filler", std::ios::binary);
  const std::string block(4096, 'x');
  while (filler.write(block.data(), 4096).flush()) {
  }
  filler.close();
  const Finished full = run();
  EXPECT_THAT(full.status, AnyOf(1, 2));
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  fs::remove(house_ / "results/filler");
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 2u) << "the first was kept";
  EXPECT_THAT(record().rows, SizeIs(6));
}

TEST_F(Faults, ADiskThatFillsUpMeanwhile) {
  REQUIRE_MOUNT("size=64k");  // room for some jobs, not for all
  state("[1, 2, 3, 4, 5, 6, 7, 8, 9]", "[0, 1]");
  const Finished full = run();
  EXPECT_NE(full.status, 0);
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  ASSERT_TRUE(remount(0, "size=20m"));
  EXPECT_EQ(run().status, 0) << full.err;
  EXPECT_THAT(record().rows, SizeIs(18));
  const std::string digest = record::digest(record());
  EXPECT_EQ(digest, undisturbed());
}

TEST_F(Faults, AReadOnlyFolderIsSaidAndCanBeLookedAt) {
  REQUIRE_MOUNT("size=20m");
  run();
  ASSERT_TRUE(remount(MS_RDONLY, "size=20m"));
  const Finished refused = run();
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("Read-only file system"));
  EXPECT_THAT(refused.err, HasSubstr("--results"));
  EXPECT_THAT(run("demo.yaml --status").out, HasSubstr("6 of 6 points done"));
  EXPECT_THAT(run("demo.yaml --dry-run").out, HasSubstr("6 points, of which 6 done"));
}

std::string faketime_library() {
  for (const char* path : {"/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
                           "/usr/lib64/faketime/libfaketime.so.1"}) {
    if (fs::exists(path)) return path;
  }
  return "";
}

TEST_F(Faults, AClockThatJumpsChangesNothing) {
  const std::string library = faketime_library();
  if (library.empty()) GTEST_SKIP() << "libfaketime is not installed";
  const auto variables = [&](const char* jump) {
    return std::map<std::string, std::string>{{"LD_PRELOAD", library},
                                              {"FAKETIME", jump},
                                              {"DONT_FAKE_MONOTONIC", "1"},
                                              {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}};
  };
  EXPECT_EQ(wait(start("demo.yaml --only value=1", variables("+400d"))).status, 0);
  EXPECT_EQ(wait(start("demo.yaml --only value=2", variables("-400d"))).status, 0);
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 1u);
  EXPECT_EQ(run().status, 0);
  EXPECT_EQ(started_jobs(), 0u);
  const std::string digest = record::digest(record());
  EXPECT_EQ(digest, undisturbed());
}

TEST_F(Faults, AClockThatJumpsWhileRunningEndsNothing) {
  const std::string library = faketime_library();
  if (library.empty()) GTEST_SKIP() << "libfaketime is not installed";
  write_file(house_ / "clock", "+0");
  fs::remove(house_ / "started");
  const pid_t driver = start("demo.yaml", {{"LD_PRELOAD", library},
                                           {"FAKETIME_TIMESTAMP_FILE", house_ / "clock"},
                                           {"FAKETIME_NO_CACHE", "1"},
                                           {"DONT_FAKE_MONOTONIC", "1"},
                                           {"FAKETIME_DONT_FAKE_MONOTONIC", "1"},
                                           {"FAKE_WORKER", "wait_for_file 2"},
                                           {"FAKE_WORKER_FILE", house_ / "go"}});
  wait_for_worker();
  write_file(house_ / "clock", "+30d");
  EXPECT_EQ(run_beside("demo.yaml").status, 3) << "the lease still holds";
  write_file(house_ / "clock", "-30d");
  write_file(house_ / "go", "");
  const Finished finished = wait(driver);
  EXPECT_EQ(finished.status, 0) << finished.err;
  EXPECT_THAT(record().rows, SizeIs(6));
}

}  // namespace
}  // namespace tarflow::driver
