// run_sweep: from a sweep file to its tables.
#include <fmt/format.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "framework/core/arguments.h"
#include "framework/driver/check.h"
#include "framework/driver/command_line.h"
#include "framework/driver/dispatch.h"
#include "framework/driver/help.h"
#include "framework/slurm/task.h"

namespace tarflow::driver {
namespace {

// As it was typed.
std::string typed(int argc, char** argv) {
  std::string line = std::filesystem::path(argv[0]).filename().string();
  for (int i = 1; i < argc; ++i) line += fmt::format(" {}", argv[i]);
  return line;
}

int main_of(int argc, char** argv) {
  require_plain_arguments(argc, argv);
  CommandLine line =
      read_command_line(std::vector<std::string>(argv + 1, argv + argc),
                        std::filesystem::read_symlink("/proc/self/exe").parent_path());
  if (!line.help.empty()) {
    fmt::print("{}", line.help);
    return kAllDone;
  }
  line.options.command = typed(argc, argv);
  switch (line.options.action) {
    case Action::kSchema:
      return print_schema(line.options);
    case Action::kCheck:
      return check_cluster(line.options);
    case Action::kClusterTask:
      return slurm::run_cluster_task(line.options.cluster_task);
    case Action::kRun:
      // `run_sweep ... | head` must not end the jobs with the pipe.
      ::signal(SIGPIPE, SIG_IGN);
      break;
    default:
      break;
  }
  return dispatch(line.options);
}

}  // namespace
}  // namespace tarflow::driver

int main(int argc, char** argv) {
  try {
    return tarflow::driver::main_of(argc, argv);
  } catch (const std::exception& failure) {
    std::fflush(stdout);
    fmt::print(stderr, "error: {}\n", failure.what());
    return tarflow::driver::kBadInput;
  }
}
