// Commands that hang, and what they leave behind.
#include "framework/process/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/process/pipe.h"
#include "tests/support/house.h"

namespace tarflow::process {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

bool ends(pid_t process) {
  for (int i = 0; i < 1000 && ::kill(process, 0) == 0; ++i) {
    // A child that lost its parent is there until its new one has looked.
    if (run_command({"ps", "-o", "stat=", "-p", std::to_string(process)}).out.starts_with("Z")) {
      return true;
    }
    std::this_thread::sleep_for(milliseconds(10));
  }
  return ::kill(process, 0) != 0;
}

TEST(Command, TellsWhatItPrintedAndHowItEnded) {
  const Said said = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(said.status, 3);
  EXPECT_EQ(said.out, "out\n");
  EXPECT_EQ(said.complaint(), "err");
  EXPECT_EQ(run_command({"/no/such/program"}).status, 127);
  EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"}).status, 128 + SIGKILL);
}

TEST(Command, ThatHangsIsKilledWithItsChildren) {
  const Said said = run_command({"sh", "-c", "sleep 600 & echo $!; wait"}, milliseconds(300));
  EXPECT_EQ(said.status, 124);
  EXPECT_THAT(said.complaint(), HasSubstr("in time"));
  EXPECT_TRUE(ends(std::stoi(said.out))) << said.out;
}

TEST(Command, ThatClosesItsOutputsAndHangsIsKilled) {
  EXPECT_EQ(run_command({"sh", "-c", "exec >&- 2>&-; sleep 600"}, milliseconds(300)).status, 124);
}

TEST(Command, IsOverThoughAChildKeepsItsOutputsOpen) {
  const Said said = run_command({"sh", "-c", "sleep 600 & echo $!"});
  EXPECT_EQ(said.status, 0);
  const pid_t child = std::stoi(said.out);
  EXPECT_EQ(::kill(child, SIGKILL), 0) << "it was not ended with the command";
}

TEST(Command, SeesTheVariablesItIsGiven) {
  EXPECT_EQ(
      run_command({"sh", "-c", "echo $A-$HOME"}, kCommandLimit, {"PATH=/usr/bin:/bin", "A=1"}).out,
      "1-\n");
}

// Of what run_sweep holds back for itself its children know nothing, however they are started.
TEST(Command, NoChildHasSignalsBlocked) {
  const Scratch folder;
  const HeldSignals held;
  const std::string show = "grep SigBlk /proc/self/status";
  EXPECT_THAT(run_command({"sh", "-c", show}).out, HasSubstr("0000000000000000"));
  EXPECT_THAT(output_of({"sh", "-c", show}, kCommandLimit), HasSubstr("0000000000000000"));
  EXPECT_EQ(run_program({"/bin/sh", "-c", show + " | grep -q 0000000000000000"}), 0);
  const pid_t worker = start_worker({"/bin/sh", "-c", show}, {}, folder / "log");
  int status = 0;
  ASSERT_EQ(wait_for_child(worker, status, 0), worker);
  EXPECT_THAT(read_file(folder / "log"), HasSubstr("0000000000000000"));
}

TEST(Command, AChildRunsInItsFolderAndWritesItsLog) {
  const Scratch folder;
  std::filesystem::create_directories(folder / "in");
  write_file(folder / "log", "earlier\n");
  const auto say_where = [&](Log how) {
    int status = 0;
    const pid_t child =
        spawn({.command = {"sh", "-c", "pwd; echo no >&2"}, .folder = folder / "in"},
              folder / "log", how);
    EXPECT_EQ(wait_for_child(child, status, 0), child);
    EXPECT_EQ(status, 0);
    return read_file(folder / "log");
  };
  const std::string said = std::filesystem::canonical(folder / "in").string() + "\nno\n";
  EXPECT_EQ(say_where(Log::kAppended), "earlier\n" + said);
  EXPECT_EQ(say_where(Log::kReplaced), said);
  EXPECT_THROW(spawn({.command = {"true"}}, folder / "absent" / "log", Log::kReplaced), Error);
}

TEST(Command, AProgramWithoutStandardDescriptorsHasLogsOfItsChildren) {
  const Scratch folder;
  int status = 0;
  const pid_t child = run_aside([&] {
    for (int end = 0; end < 3; ++end) ::close(end);
    int ended = 0;
    const pid_t writer = spawn({.command = {"sh", "-c", "cat; echo out; echo err >&2"}},
                               folder / "log", Log::kReplaced);
    if (wait_for_child(writer, ended, 0) != writer || ended != 0) throw Error("it failed");
  });
  ASSERT_EQ(wait_for_child(child, status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(folder / "log"), "out\nerr\n");
}

TEST(Command, AChildOfAFolderThatIsAbsentRunsNothing) {
  const Scratch folder;
  int status = 0;
  const pid_t child = spawn(
      {.command = {"touch", (folder / "made").string()}, .folder = folder / "absent", .says = true},
      folder / "log", Log::kReplaced);
  ASSERT_EQ(wait_for_child(child, status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 127);
  EXPECT_FALSE(std::filesystem::exists(folder / "made"));
  EXPECT_THAT(read_file(folder / "log"), HasSubstr("cannot start"));
}

TEST(Command, AChildHasOnlyTheDescriptorsItIsGiven) {
  const Pipe given, other;
  const auto writes_to = [](int end, std::vector<int> inherited) {
    int status = 0;
    const pid_t child = spawn({.command = {"sh", "-c", "echo x >&" + std::to_string(end)},
                               .inherited = std::move(inherited)});
    EXPECT_EQ(wait_for_child(child, status, 0), child);
    return status == 0;
  };
  ASSERT_LT(other.write, 10) << "sh takes one digit";
  EXPECT_TRUE(writes_to(given.write, {given.write}));
  EXPECT_FALSE(writes_to(other.write, {given.write}));
}

TEST(Command, APipeIsNoneOfTheStandardDescriptors) {
  int status = 0;
  const pid_t child = run_aside([] {
    ::close(STDIN_FILENO);
    ::close(STDERR_FILENO);
    const Pipe pipe;
    if (pipe.read < 3 || pipe.write < 3) throw Error("it is one");
    char byte = 'x';
    if (::write(pipe.write, &byte, 1) != 1 || ::read(pipe.read, &byte, 1) != 1) throw Error("no");
  });
  ASSERT_EQ(wait_for_child(child, status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Command, WorkAsideEndsBySomeStatusAndIsNotHeard) {
  const Scratch folder;
  const HeldSignals held;
  int status = 0;
  const pid_t good = run_aside([&] { write_file(folder / "made", "x"); });
  ASSERT_EQ(wait_for_child(good, status, 0), good);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(std::filesystem::exists(folder / "made"));
  const pid_t bad = run_aside([] { throw Error("no"); });
  ASSERT_EQ(wait_for_child(bad, status, 0), bad);
  EXPECT_EQ(WEXITSTATUS(status), 1);
  const pid_t endless = run_aside([] { run_program({"/bin/sleep", "600"}); });
  signal_group(endless, SIGTERM);
  ASSERT_EQ(wait_for_child(endless, status, 0), endless);
  EXPECT_EQ(WTERMSIG(status), SIGTERM) << "no signal is blocked there";
}

TEST(Command, WhatTakesTooLongIsAnErrorWhereItsOutputIsWanted) {
  EXPECT_THROW(output_of({"sh", "-c", "sleep 600"}, milliseconds(200)), Error);
  EXPECT_THROW(output_of({"sh", "-c", "exit 3"}, kCommandLimit), Error);
}

}  // namespace
}  // namespace tarflow::process
