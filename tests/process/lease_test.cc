#include "framework/process/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "framework/core/error.h"
#include "framework/process/host.h"
#include "tests/support/house.h"

namespace tarflow::process {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::chrono::milliseconds kShort{1200};

const auto ignore = [](const std::string&) {};

std::string refusal(const fs::path& folder, std::chrono::milliseconds patience = kShort) {
  try {
    const Lease lease(folder, "second", ignore, patience);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

// A lease file that this process did not write.
void write_foreign(const fs::path& folder, const Json& changes = Json::object()) {
  Json json = {{"host", "elsewhere"}, {"boot_id", "b"}, {"pid_namespace", "n"},
               {"nonce", "x"},        {"pid", 77},      {"started_ticks", 5},
               {"beat", 1},           {"since", "now"}, {"command", "run_sweep a.yaml"}};
  json.update(changes);
  write_json_file(folder / "lease.json", json);
}

TEST(Lease, TheSecondIsToldWhoHoldsIt) {
  const Scratch folder;
  {
    const Lease lease(folder / "demo", "run_sweep demo.yaml", ignore);
    const std::string text = refusal(folder / "demo");
    EXPECT_THAT(text, HasSubstr(fmt::format("process {} on {}", ::getpid(), host_name())));
    EXPECT_THAT(text, HasSubstr("run_sweep demo.yaml"));
    EXPECT_THAT(text, HasSubstr("--cancel"));
  }
  EXPECT_FALSE(read_lease(folder / "demo"));
  EXPECT_EQ(refusal(folder / "demo"), "") << "it was given back";
}

TEST(Lease, ADeadHolderIsReplacedAtOnce) {
  const Scratch folder;
  const pid_t child = ::fork();
  if (child == 0) {
    new Lease(folder.path(), "killed", ignore);  // never given back
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  ASSERT_TRUE(read_lease(folder.path()));
  EXPECT_EQ(life_of(*read_lease(folder.path())), Life::kDead);
  EXPECT_EQ(refusal(folder.path(), std::chrono::hours(1)), "") << "without waiting";
}

TEST(Lease, AUsedAgainProcessNumberIsNotTheHolder) {
  const Scratch folder;
  LeaseHolder holder;
  {
    const Lease lease(folder.path(), "x", ignore);
    holder = *read_lease(folder.path());
    EXPECT_EQ(life_of(holder), Life::kAlive);
  }
  holder.started_ticks -= 1;
  EXPECT_EQ(life_of(holder), Life::kDead);
  holder.started_ticks += 1;
  holder.boot_id = "before the last start of the machine";
  EXPECT_EQ(life_of(holder), Life::kDead);
}

TEST(Lease, ASilentHolderOnAnotherHostIsReplaced) {
  const Scratch folder;
  write_foreign(folder.path());
  std::string said;
  const Lease lease(
      folder.path(), "x", [&](const std::string& text) { said = text; }, kShort);
  EXPECT_THAT(said, HasSubstr("process 77 on elsewhere"));
  EXPECT_EQ(read_lease(folder.path())->host, host_name());
}

TEST(Lease, ALivingHolderOnAnotherHostIsLeftAlone) {
  const Scratch folder;
  write_foreign(folder.path());
  std::thread holder([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    write_foreign(folder.path(), {{"beat", 2}});
  });
  EXPECT_THAT(refusal(folder.path(), std::chrono::hours(1)), HasSubstr("process 77 on elsewhere"));
  holder.join();
}

TEST(Lease, DamagedLeaseIsNobodys) {
  const Scratch folder;
  for (const char* text : {"", "{", "[]", "{\"host\": 3}"}) {
    write_file(folder / "lease.json", text);
    EXPECT_EQ(refusal(folder.path()), "") << text;
  }
}

// Reading it fails with EIO, for root as well.
void make_unreadable(const fs::path& folder) {
  fs::remove(folder / "lease.json");
  fs::create_symlink("/proc/self/mem", folder / "lease.json");
}

TEST(Lease, AnUnreadableLeaseIsSomebodys) {
  const Scratch folder;
  make_unreadable(folder.path());
  EXPECT_THAT(refusal(folder.path(), std::chrono::milliseconds(600)),
              HasSubstr("is not known whether another run_sweep is running"));
  EXPECT_TRUE(fs::is_symlink(folder / "lease.json"));
}

TEST(Lease, WithoutKeysOfToday) {
  const Scratch folder;
  write_foreign(folder.path());
  for (const char* key : {"pid_namespace", "started_ticks", "beat", "since", "command"}) {
    Json json = read_json_file(folder / "lease.json");
    json.erase(key);
    write_json_file(folder / "lease.json", json);
    ASSERT_TRUE(read_lease(folder.path())) << key;
    EXPECT_EQ(read_lease(folder.path())->nonce, "x") << key;
  }
}

TEST(Lease, BeatsMayFailForAWhile) {
  using std::chrono::seconds;
  const Scratch folder;
  Lease lease(folder.path(), "x", ignore);
  const auto start = std::chrono::steady_clock::now() + seconds(1);
  const Json mine = read_json_file(folder / "lease.json");
  const auto beat_of = [&] { return read_lease(folder.path())->beat; };
  lease.beat(start + seconds(20));
  EXPECT_EQ(beat_of(), 1);
  make_unreadable(folder.path());
  for (int i = 0; i < 10; ++i) lease.beat(start + seconds(40 + 5 * i));
  write_json_file(folder / "lease.json", mine);
  lease.beat(start + seconds(95));
  EXPECT_EQ(beat_of(), 2) << "it goes on";
  make_unreadable(folder.path());
  lease.beat(start + seconds(115));
  EXPECT_THROW(lease.beat(start + seconds(200)), Error) << "another may have taken it by now";
}

TEST(Lease, ALeaseOfAnotherOrNoneIsLost) {
  using std::chrono::seconds;
  const Scratch folder;
  Lease lease(folder.path(), "x", ignore);
  const auto start = std::chrono::steady_clock::now() + seconds(1);
  fs::remove(folder / "lease.json");
  lease.beat(start + seconds(20));  // it may be being renamed
  EXPECT_THROW(lease.beat(start + seconds(25)), LeaseHeld);
  write_foreign(folder.path());
  EXPECT_THROW(lease.beat(start + seconds(30)), LeaseHeld);
}

TEST(Lease, OfManyAtOnceOneGetsIt) {
  const Scratch folder;
  write_foreign(folder.path(), {{"host", host_name()}, {"boot_id", "old"}});  // a dead one to evict
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(::fork());
    if (children.back() == 0) {
      ::close(ends[1]);
      try {
        const Lease lease(folder.path(), "x", ignore, kShort);
        char byte;
        if (::read(ends[0], &byte, 1) < 0) ::_exit(2);  // until all have tried
        ::_exit(0);
      } catch (const Error&) {
        ::_exit(1);
      }
    }
  }
  int refused = 0, taken = 0, status = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (refused + taken < 7 && std::chrono::steady_clock::now() < end) {
    const pid_t ended = ::waitpid(-1, &status, WNOHANG);
    if (ended < 0) break;
    if (ended == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    ++(WEXITSTATUS(status) == 1 ? refused : taken);
  }
  ::close(ends[1]);  // ends whoever holds it
  while (::waitpid(-1, &status, 0) > 0) taken += WEXITSTATUS(status) == 0;
  ::close(ends[0]);
  EXPECT_EQ(refused, 7);
  EXPECT_EQ(taken, 1);
}

}  // namespace
}  // namespace tarflow::process
