#include "framework/process/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "framework/core/error.h"
#include "framework/process/host.h"
#include "framework/process/process.h"
#include "tests/support/house.h"

namespace tarflow::process {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::chrono::milliseconds kShort{1200};

const auto ignore = [](const std::string&) {};

LeasePace patient(std::chrono::milliseconds patience) {
  LeasePace pace;
  pace.patience = patience;
  return pace;
}

std::string refusal(const fs::path& folder, const LeasePace& pace = patient(kShort)) {
  try {
    const LeaseFile lease(folder, "second", ignore, pace);
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
    EXPECT_THAT(text, HasSubstr("run_sweep cancel FILE"));
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
  EXPECT_EQ(refusal(folder.path(), patient(std::chrono::hours(1))), "") << "without waiting";
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
}

TEST(Lease, AMachineIsNotItsName) {
  LeaseHolder here = this_holder(""), holder = here;
  here.machine_id = holder.machine_id = "m";
  holder.boot_id = "before the last start of the machine";
  EXPECT_EQ(life_of(holder, here), Life::kDead);
  holder.machine_id = "another machine of this name";
  EXPECT_EQ(life_of(holder, here), Life::kUnknown);
  here.machine_id = holder.machine_id = "";
  EXPECT_EQ(life_of(holder, here), Life::kUnknown) << "neither says which machine it is";
  holder = here;
  holder.host = "a name it had before";
  EXPECT_EQ(life_of(holder, here), Life::kAlive) << "the same process under the same kernel";
}

TEST(Lease, ASilentHolderOnAnotherHostIsReplaced) {
  const Scratch folder;
  write_foreign(folder.path());
  std::string said;
  const Lease lease(
      folder.path(), "x", [&](const std::string& text) { said = text; }, patient(kShort));
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
  EXPECT_THAT(refusal(folder.path(), patient(std::chrono::hours(1))),
              HasSubstr("process 77 on elsewhere"));
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
  EXPECT_THAT(refusal(folder.path(), patient(std::chrono::milliseconds(600))),
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

// A clock that sleeping sets forward, and what happens meanwhile.
struct FakeTime {
  using Clock = LeasePace::Clock;
  Clock::time_point now = Clock::now();
  std::function<void()> meanwhile = [] {};

  LeasePace pace() {
    LeasePace pace;
    pace.now = [this] { return now; };
    pace.sleep = [this](std::chrono::milliseconds time) {
      now += time;
      meanwhile();
    };
    return pace;
  }
  void advance(std::chrono::milliseconds time) { now += time; }
};

TEST(Lease, AHolderThatBeatsAsItShouldIsNeverReplaced) {
  const Scratch folder;
  FakeTime time;
  for (const int late : {15, 60}) {  // after some beats that failed as well
    write_foreign(folder.path());
    const auto begin = time.now;
    time.meanwhile = [&] {
      if (time.now - begin >= std::chrono::seconds(late))
        write_foreign(folder.path(), {{"beat", 2}});
    };
    EXPECT_THAT(refusal(folder.path(), time.pace()), HasSubstr("process 77 on elsewhere")) << late;
  }
}

TEST(Lease, ASilentHolderIsReplacedNotBeforeItHasGivenUpItself) {
  const Scratch folder;
  FakeTime time;
  write_foreign(folder.path());
  const auto begin = time.now;
  EXPECT_EQ(refusal(folder.path(), time.pace()), "");
  EXPECT_GE(time.now - begin, kLeasePatience);
  EXPECT_LE(time.now - begin, kLeasePatience + std::chrono::seconds(1));
}

TEST(Lease, AWatchTellsWhoIsSilent) {
  const Scratch folder;
  FakeTime time;
  write_foreign(folder.path());
  SilenceWatch watch(folder.path(), *read_lease(folder.path()), time.pace());
  time.advance(std::chrono::seconds(89));
  EXPECT_FALSE(watch.silent());
  write_foreign(folder.path(), {{"beat", 2}});
  time.advance(std::chrono::seconds(2));
  EXPECT_FALSE(watch.silent()) << "it has beaten";
  time.advance(std::chrono::seconds(89));
  EXPECT_FALSE(watch.silent());
  time.advance(std::chrono::seconds(1));
  EXPECT_TRUE(watch.silent());
  EXPECT_EQ(watch.holder().beat, 2);
}

TEST(Lease, AProcessThatIsKnownToLiveIsNeverSilent) {
  const Scratch folder;
  FakeTime time;
  const LeaseFile lease(folder.path(), "suspended", ignore, time.pace());
  SilenceWatch watch(folder.path(), *read_lease(folder.path()), time.pace());
  time.advance(std::chrono::hours(24));
  EXPECT_FALSE(watch.silent());
}

TEST(Lease, OneThatWasFoundSilentIsNotWaitedForAgain) {
  const Scratch folder;
  FakeTime time;
  write_foreign(folder.path());
  const LeaseHolder silent = *read_lease(folder.path());
  const auto begin = time.now;
  { const LeaseFile lease(folder.path(), "x", ignore, time.pace(), silent); }
  EXPECT_EQ(time.now, begin);
  write_foreign(folder.path(), {{"beat", 2}});
  { const LeaseFile lease(folder.path(), "x", ignore, time.pace(), silent); }
  EXPECT_GE(time.now - begin, kLeasePatience) << "it has beaten since";
}

class Beats : public ::testing::Test {
 protected:
  int64_t written() const { return read_lease(folder_.path())->beat; }
  void after(int seconds) {
    time_.advance(std::chrono::seconds(seconds));
    lease_.beat();
  }

  Scratch folder_;
  FakeTime time_;
  LeaseFile lease_{folder_.path(), "x", ignore, time_.pace()};
};

TEST_F(Beats, ComeEveryFifteenSeconds) {
  after(14);
  EXPECT_EQ(written(), 0);
  after(1);
  EXPECT_EQ(written(), 1);
}

TEST_F(Beats, MayFailForAWhileAndAreTriedAgainSoon) {
  const Json mine = read_json_file(folder_ / "lease.json");
  make_unreadable(folder_.path());
  for (int i = 0; i < 5; ++i) after(15);
  write_json_file(folder_ / "lease.json", mine);
  after(1);
  EXPECT_EQ(written(), 0) << "not at once";
  after(1);
  EXPECT_EQ(written(), 1) << "two seconds after the last that failed";
  make_unreadable(folder_.path());
  after(89);
  EXPECT_THROW(after(2), Error) << "another may have taken it by now";
}

TEST_F(Beats, EndWithALeaseOfAnotherOrNone) {
  fs::remove(folder_ / "lease.json");
  after(20);  // it may be being renamed
  EXPECT_THROW(after(5), LeaseHeld);
  write_foreign(folder_.path());
  EXPECT_THROW(after(5), LeaseHeld);
}

// As after Ctrl-Z or a night with the lid closed, with another that has come and gone meanwhile.
TEST_F(Beats, AfterALongSilenceALeaseThatIsGoneIsLostAtOnce) {
  fs::remove(folder_ / "lease.json");
  EXPECT_THROW(after(91), LeaseHeld);
}

TEST_F(Beats, AfterALongSilenceALeaseThatNobodyTookGoesOn) {
  after(1000);
  EXPECT_EQ(written(), 1);
  after(15);
  EXPECT_EQ(written(), 2);
}

TEST_F(Beats, AfterALongSilenceWhoIsTakingTheLeaseGetsIt) {
  const LeaseHolder mine = *read_lease(folder_.path());
  Json other = read_json_file(folder_ / "lease.json");
  other["nonce"] = "y";
  write_json_file(folder_ / (".claim." + mine.nonce), other);
  EXPECT_THROW(after(91), LeaseHeld);
  EXPECT_EQ(written(), 0) << "nothing is written over what the other is about to write";
}

// Its thread has not beaten yet when the one that works goes on after a suspension.
TEST(Lease, ASuspendedHolderLooksBeforeItGoesOn) {
  const Scratch folder;
  std::atomic<int> slept{0};
  LeasePace pace;
  pace.beat = pace.again = std::chrono::hours(1);
  pace.now = [&, begin = LeasePace::Clock::now()] { return begin + std::chrono::seconds(slept); };
  const Lease lease(folder.path(), "x", ignore, pace);
  slept = 91;
  EXPECT_NO_THROW(lease.check()) << "nobody took it";
  EXPECT_EQ(read_lease(folder.path())->beat, 1);
  write_foreign(folder.path());
  slept = 100;
  EXPECT_NO_THROW(lease.check()) << "nobody takes it so soon";
  slept = 200;
  EXPECT_THROW(lease.check(), LeaseHeld);
  EXPECT_THROW(lease.check(), LeaseHeld) << "and it stays lost";
  EXPECT_EQ(read_lease(folder.path())->host, "elsewhere");
}

// The clock of a process in a time namespace whose machine has slept for a day since it started.
TEST(Lease, ItsClockGoesOnWhileTheMachineSleeps) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWTIME) != 0) ::_exit(77);
    std::ofstream("/proc/self/timens_offsets") << "boottime 86400 0" << std::flush;
    const auto before = LeasePace().now();
    const pid_t sleeper = ::fork();
    if (sleeper == 0) ::_exit(LeasePace().now() - before >= std::chrono::hours(24) ? 0 : 1);
    int status = 0;
    ::waitpid(sleeper, &status, 0);
    ::_exit(WEXITSTATUS(status));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "time namespaces are not permitted here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// While its holder is in one long call.
TEST(Lease, IsRenewedByAThreadOfItsOwn) {
  const Scratch folder;
  LeasePace pace;
  pace.beat = pace.again = std::chrono::milliseconds(2);
  const Lease lease(folder.path(), "x", ignore, pace);
  const auto comes = [](const auto& is_so) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!is_so() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return is_so();
  };
  EXPECT_TRUE(comes([&] { return read_lease(folder.path())->beat >= 3; }));
  EXPECT_NO_THROW(lease.check());
  fs::create_directory(folder / "other");
  EXPECT_TRUE(comes([&] {
    write_foreign(folder / "other");  // again, where a beat that had begun wrote over it
    fs::rename(folder / "other/lease.json", folder / "lease.json");
    try {
      lease.check();
      return false;
    } catch (const LeaseHeld&) {
      return true;
    }
  }));
}

// Ctrl-C ends the whole program where the thread of the lease takes it from who waits for it.
TEST(Lease, ItsThreadTakesNoSignals) {
  const Scratch folder;
  const Lease lease(folder.path(), "x", ignore);
  const HeldSignals signals;
  ::kill(::getpid(), SIGINT);
  EXPECT_EQ(signals.wait(std::chrono::seconds(60)), SIGINT);
}

TEST(Lease, OfManyAtOnceOneGetsIt) {
  const Scratch folder;
  write_foreign(folder.path(), {{"host", host_name()},
                                {"started_ticks", 1},
                                {"boot_id", boot_id()},
                                {"pid_namespace", pid_namespace()}});  // a dead one to evict
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(::fork());
    if (children.back() == 0) {
      ::close(ends[1]);
      try {
        const Lease lease(folder.path(), "x", ignore, patient(kShort));
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
