// The words of run_sweep's command line: subcommands, their options, and the older flags that mean
// the same.
#pragma once

#include <string>
#include <vector>

#include "framework/driver/run.h"

namespace tarflow::driver {

struct CommandLine {
  RunOptions options;
  std::string help;  // to be printed instead of doing anything; "" for none
};

// `words`: those after the program's name. `programs`: the folder of this program. `--help TOPIC`
// and `--version` are answered wherever they stand. Throws Error for what the subcommand does not
// take, with the line that does it.
CommandLine read_command_line(const std::vector<std::string>& words,
                              const std::filesystem::path& programs);

// `words` with a subcommand first: their own, that of an older flag (`FILE --status` is `status
// FILE`), or `run`. Throws Error for two of them.
std::vector<std::string> with_subcommand(const std::vector<std::string>& words);

}  // namespace tarflow::driver
