// Questions to Slurm's programs, asked again while the controller is away.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "framework/process/command.h"

namespace tarflow::slurm {

using process::Ask;
// With the caller's environment as slurm_variables() leaves it.
process::Said ask_program(const std::vector<std::string>& command);

// How Slurm is asked: how long a controller that does not answer is waited for, and how it is told.
struct Patience {
  std::chrono::milliseconds pause = std::chrono::seconds(3);     // before asking again, doubled
  std::chrono::milliseconds longest = std::chrono::seconds(30);  // each time up to this
  std::chrono::milliseconds limit = std::chrono::minutes(5);     // then Error
  std::function<void(const std::string&)> notice = [](const std::string&) {};  // called once
  // Called a few times a second while waiting; may throw to end it.
  std::function<void()> beat = [] {};
  // A job that Slurm does not show counts as over when a second look, this much later, shows
  // nothing either: squeue may be empty for a moment, as while slurmctld restarts. 0: at once.
  std::chrono::milliseconds second_look = std::chrono::minutes(1);
  // The repair where Slurm's programs are not installed.
  std::string elsewhere =
      "run this on a machine from which jobs are submitted, or with --cluster none to use this "
      "machine alone";
  // What is asked, and the clock: tests have their own.
  Ask ask = ask_program;
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
  std::function<void(std::chrono::milliseconds)> sleep = [](std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
  };
};

// Waits; `beat` is called meanwhile.
void wait_for(std::chrono::milliseconds time, const Patience& patience);

// A variable by which a user's shell, or the allocation that run_sweep itself runs in, changes what
// Slurm's programs do or print: SBATCH_PARTITION, SQUEUE_STATES, SLURM_TIME_FORMAT. Those that say
// how the cluster is reached are none (SLURM_CONF, SLURM_CLUSTERS).
bool steers_slurm(std::string_view name);
// `variables` without those that steer Slurm.
process::Variables slurm_variables(process::Variables variables);
// Takes those out of this process's environment that steer srun and others, and that Slurm does not
// set for its own tasks (SRUN_*, SBATCH_*): of a task, before it starts ranks.
void forget_steering_variables();
// The names of those that begin with `prefix`.
std::vector<std::string> variables_with(std::string_view prefix,
                                        const process::Variables& variables);

// What a program prints when the controller or the way to it is at fault.
bool says_away(const std::string& err);
// The controller or the way to it is at fault and not what was asked.
bool is_away(const process::Said& said);

// Throws Error where no `sbatch` is in PATH.
void require_slurm();

// The first answer for which `is_answer` holds: by default anything but that the controller is
// away. Throws Error when the program is not here or the patience ends.
process::Said ask_slurm(
    const std::vector<std::string>& command, const Patience& patience,
    const std::function<bool(const process::Said&)>& is_answer = [](const process::Said& s) {
      return !is_away(s);
    });

}  // namespace tarflow::slurm
