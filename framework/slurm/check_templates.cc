#include <fmt/format.h>

#include "framework/command/queue.h"
#include "framework/slurm/check.h"

namespace tarflow::slurm {
namespace {

Finding find_program(const char* key, const std::string& text, const Patience& patience) {
  const std::string program = command::program_of(text);
  if (program.empty()) {
    return {Finding::Kind::kUnknown, fmt::format("{}: `{}`", key, text), ""};
  }
  const process::Said said = patience.ask({"/bin/sh", "-c", fmt::format("command -v {}", program)});
  std::string place = said.out.substr(0, said.out.find('\n'));
  if (said.well() && !place.empty()) {
    return {Finding::Kind::kGood, fmt::format("{}: {}", key, place), ""};
  }
  return {Finding::Kind::kBad, fmt::format("{}: there is no `{}` here", key, program),
          patience.elsewhere};
}

}  // namespace

std::vector<Finding> check_templates(const ClusterProfile& profile, const Patience& patience) {
  const command::Templates& templates = profile.templates;
  return {find_program("submit", templates.submit, patience),
          find_program("state", templates.state, patience),
          find_program("cancel", templates.cancel, patience)};
}

}  // namespace tarflow::slurm
