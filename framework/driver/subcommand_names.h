// The subcommands of run_sweep and the older flags for them.
#pragma once

#include <array>
#include <string_view>

#include "framework/driver/run.h"

namespace tarflow::driver {

struct Subcommand {
  const char* name;
  Action action;
  const char* what;  // it does; "": not listed, programs use it
};
inline constexpr std::array<Subcommand, 10> kSubcommands{{
    {"run", Action::kRun, "run the points that are not done, then print the answer"},
    {"plan", Action::kPlan, "list points, jobs, finished work and expected time"},
    {"status", Action::kStatus, "print the progress of the sweep"},
    {"watch", Action::kWatch, "like status, again and again while the sweep runs"},
    {"log", Action::kLog, "print the log of a job"},
    {"cancel", Action::kCancel, "stop the running run_sweep and cancel its jobs on the cluster"},
    {"clean", Action::kClean, "delete job folders that no point uses, after asking"},
    {"check", Action::kCheck, "ask the cluster whether it has what the profile asks for"},
    {"schema", Action::kSchema, "print the JSON Schema of sweep files, for editors"},
    {"cluster-task", Action::kClusterTask, ""},
}};

// A flag of a line without a subcommand.
struct OlderFlag {
  const char* flag;
  const char* subcommand;
  const char* option = "";  // of the subcommand, in the place of the flag
  bool value = false;       // a word follows, which the subcommand takes last
};
inline constexpr std::array<OlderFlag, 10> kOlderFlags{{
    {"--dry-run", "plan"},
    {"--list-jobs", "plan", "--list"},
    {"--status", "status"},
    {"--watch", "watch"},
    {"--log", "log", "", true},
    {"--cancel", "cancel"},
    {"--clean", "clean"},
    {"--check", "check"},
    {"--print-schema", "schema"},
    {"--cluster-task", "cluster-task", "", true},
}};

// Nothing: `name` is no subcommand.
inline const Subcommand* subcommand_named(std::string_view name) {
  for (const Subcommand& known : kSubcommands) {
    if (name == known.name) return &known;
  }
  return nullptr;
}

inline const OlderFlag* older_flag_named(std::string_view flag) {
  for (const OlderFlag& known : kOlderFlags) {
    if (flag == known.flag) return &known;
  }
  return nullptr;
}

}  // namespace tarflow::driver
