// Short commands of other programs, found through PATH: what they print and how they end.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "framework/process/process.h"

namespace tarflow::process {

struct Said {
  int status = 0;  // 127: there is no such program; 128 + n: signal n ended it; 124: too slow
  std::string out, err;

  bool well() const { return status == 0; }
  std::string complaint() const;  // what it printed as errors, on one line, or its status
};

// Runs a command: run_command, or what stands for it in a test.
using Ask = std::function<Said(const std::vector<std::string>&)>;

inline constexpr std::chrono::milliseconds kCommandLimit{60'000};

// Its input is empty, and Ctrl-C does not reach it: half a submission helps nobody. The command and
// its children are killed when the command takes longer than `limit`; a child that outlives the
// command is not waited for. Throws Error when no process can be made.
Said run_command(const std::vector<std::string>& command,
                 std::chrono::milliseconds limit = kCommandLimit,
                 const Variables& variables = own_variables());

// What a program prints to its standard output. It is killed when this process dies. Throws Error
// when it cannot be started, fails or takes longer.
std::string output_of(const std::vector<std::string>& command, std::chrono::milliseconds limit);

}  // namespace tarflow::process
