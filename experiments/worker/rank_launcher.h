// Ranks of one job as processes of this machine.
#pragma once

#include <string>
#include <vector>

namespace tarflow::experiments {

// Starts `command` (a program and its arguments) `ranks` times with the variables of torchrun, and
// waits. SIGTERM, SIGINT and SIGUSR2 are passed on. When one rank fails the others are killed, and
// the last line on stderr says which it was unless it said so itself. Returns the exit status of
// the rank that failed, 128 + the signal that ended it; else that of rank 0. The ranks die with
// this process, whatever ends it. Throws Error when they cannot be started.
int launch_ranks(const std::vector<std::string>& command, int ranks);

}  // namespace tarflow::experiments
