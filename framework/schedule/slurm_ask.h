// Questions to Slurm's programs, asked again while the controller is away.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "framework/schedule/command.h"

namespace tarflow::schedule {

// How long a controller that does not answer is waited for, and how it is told.
struct Patience {
  std::chrono::milliseconds pause = std::chrono::seconds(3);     // before asking again, doubled
  std::chrono::milliseconds longest = std::chrono::seconds(30);  // each time up to this
  std::chrono::milliseconds limit = std::chrono::minutes(5);     // then Error
  std::function<void(const std::string&)> notice = [](const std::string&) {};  // called once
  // Called a few times a second while waiting; may throw to end it.
  std::function<void()> beat = [] {};
};

// Runs a command: run_command, or what stands for it in a test.
using Ask = std::function<Said(const std::vector<std::string>&)>;
Said ask_program(const std::vector<std::string>& command);

// The controller or the way to it is at fault and not what was asked.
bool is_away(const Said& said);

// The first answer for which `is_answer` holds: by default anything but that the controller is
// away. Throws Error when the program is not here or the patience ends.
Said ask_slurm(
    const std::vector<std::string>& command, const Patience& patience, const Ask& ask = ask_program,
    const std::function<bool(const Said&)>& is_answer = [](const Said& s) { return !is_away(s); });

}  // namespace tarflow::schedule
