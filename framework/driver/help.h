// `run_sweep --help TOPIC` and `run_sweep schema`.
#pragma once

#include <string>

#include "framework/driver/run.h"

namespace tarflow::driver {

inline constexpr const char* kSubcommandsTopic = "subcommands";  // what --help alone prints

// The text of any other topic: `topics`, a topic of sweep files, or an experiment with its settings
// and results. Throws Error with the nearest topic.
std::string help_on(const std::string& topic, const RunOptions& options);

// The experiments that this program knows. Throws Error.
ExperimentSchemas schemas_of(const RunOptions& options);

// Prints the JSON Schema of sweep files. Returns kAllDone.
int print_schema(const RunOptions& options);

}  // namespace tarflow::driver
