#include "framework/slurm/ask.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "framework/core/error.h"

namespace tarflow::slurm {
namespace {

constexpr int kNoProgram = 127;
constexpr int kTooSlow = 124;
constexpr std::chrono::milliseconds kBeat{300};

// The beginnings of the variables that Slurm's programs read.
constexpr std::array kClientPrefixes = std::to_array<std::string_view>(
    {"SACCT_", "SACCTMGR_", "SALLOC_", "SATTACH_", "SBATCH_", "SBCAST_", "SCANCEL_", "SCONTROL_",
     "SCRONTAB_", "SDIAG_", "SINFO_", "SPRIO_", "SQUEUE_", "SREPORT_", "SRUN_", "SSHARE_", "SSTAT_",
     "STRIGGER_"});
// And those that Slurm sets in an allocation, most of which its programs read as well.
constexpr std::array kTaskPrefixes = std::to_array<std::string_view>({"SLURM_", "SLURMD_"});
// How the cluster is reached: its configuration, its name, what proves who the user is.
constexpr std::array kKept = std::to_array<std::string_view>(
    {"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_SACK_KEY", "SLURM_SACK_JWKS"});

template <typename Prefixes>
bool starts_with_one_of(std::string_view name, const Prefixes& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

}  // namespace

void wait_for(std::chrono::milliseconds time, const Patience& patience) {
  for (const auto end = patience.now() + time; patience.now() < end;) {
    patience.beat();
    patience.sleep(
        std::min(kBeat, std::chrono::ceil<std::chrono::milliseconds>(end - patience.now())));
  }
}

process::Said ask_program(const std::vector<std::string>& command) {
  process::Variables variables = slurm_variables(process::own_variables());
  variables.emplace_back("SLURM_BITSTR_LEN=0");  // long lists of array tasks are not cut
  return process::run_command(command, process::kCommandLimit, variables);
}

bool steers_slurm(std::string_view name) {
  if (std::find(kKept.begin(), kKept.end(), name) != kKept.end()) return false;
  return starts_with_one_of(name, kClientPrefixes) || starts_with_one_of(name, kTaskPrefixes);
}

process::Variables slurm_variables(process::Variables variables) {
  std::erase_if(variables,
                [](const std::string& variable) { return steers_slurm(name_of(variable)); });
  return variables;
}

void forget_steering_variables() {
  for (const std::string& variable : process::own_variables()) {
    const std::string name(name_of(variable));
    if (starts_with_one_of(name, kClientPrefixes)) ::unsetenv(name.c_str());
  }
}

std::vector<std::string> variables_with(std::string_view prefix,
                                        const process::Variables& variables) {
  std::vector<std::string> names;
  for (const std::string& variable : variables) {
    if (variable.starts_with(prefix)) names.emplace_back(name_of(variable));
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool says_away(const std::string& err) {
  static constexpr std::array<const char*, 13> kSigns{"nable to contact slurm controller",
                                                      "nable to establish c",
                                                      "ocket timed out",
                                                      "onnection refused",
                                                      "onnection reset",
                                                      "onnection timed out",
                                                      "ero Bytes were transmitted",
                                                      "emporarily unable",
                                                      "ransport endpoint is",
                                                      "o response from",
                                                      "in standby mode",
                                                      "authentication error",
                                                      "Munge"};
  return std::any_of(kSigns.begin(), kSigns.end(),
                     [&](const char* sign) { return err.find(sign) != std::string::npos; });
}

bool is_away(const process::Said& said) {
  return said.status == kTooSlow || (!said.well() && says_away(said.err));
}

void require_slurm() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((std::filesystem::path(folder) / "sbatch").c_str(), X_OK) == 0) return;
  }
  throw Error("there is no `sbatch` here", Patience().elsewhere);
}

process::Said ask_slurm(const std::vector<std::string>& command, const Patience& patience,
                        const std::function<bool(const process::Said&)>& is_answer) {
  const auto begin = patience.now();
  std::chrono::milliseconds pause = patience.pause;
  for (bool noticed = false;; noticed = true) {
    const process::Said said = patience.ask(command);
    if (said.status == kNoProgram) {
      throw Error(fmt::format("there is no `{}` here", command.front()), patience.elsewhere);
    }
    if (is_answer(said)) return said;
    const auto waited = patience.now() - begin;
    if (waited + pause > patience.limit) {
      throw Error(
          fmt::format("{} got no answer from Slurm for {:.0f} s: {}", command.front(),
                      std::chrono::duration<double>(waited).count(), said.complaint()),
          "run the same command again when the cluster answers; what was submitted is found again");
    }
    if (!noticed) {
      patience.notice(fmt::format("Slurm does not answer ({}); waiting for it", said.complaint()));
    }
    wait_for(pause, patience);
    pause = std::min(2 * pause, std::max(patience.pause, patience.longest));
  }
}

}  // namespace tarflow::slurm
