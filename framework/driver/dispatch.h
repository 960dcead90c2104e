// Sweep files on their way to the subcommand.
#pragma once

#include "framework/driver/run.h"

namespace tarflow::driver {

// Reads all files and does with one sweep after another what `options` say. Returns the exit
// status: the highest one. Throws Error for bad input, before anything runs.
int dispatch(const RunOptions& options);

}  // namespace tarflow::driver
