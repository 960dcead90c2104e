#include "framework/driver/unknown_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>

#include "framework/core/arguments.h"
#include "framework/core/error.h"
#include "framework/driver/subcommand_names.h"

namespace tarflow::driver {
namespace fs = std::filesystem;
namespace {

// What an option of another program is called here.
struct ForeignOption {
  const char* option;
  const char* here;  // in its place, or the subcommand for it; "" for nothing
  bool value;        // a value follows, which stays
  const char* why;
};
constexpr const char* kGoesOn = "the same command goes on: finished points are skipped";
constexpr const char* kForce = "--force computes points again though they are done";
constexpr const char* kResults = "--results names the folder for results";
constexpr const char* kFile = "a sweep file is named without an option";
constexpr const char* kLists = "a sweep file lists all of its points";
constexpr const char* kOnly = "--only chooses points";
constexpr const char* kSet = "--set gives a setting another value";
constexpr const char* kSmoke = "--smoke tries the sweep with 2 images per point";
constexpr const char* kPlan = "plan shows what would be done";
constexpr const char* kStatus = "status shows how far it is";
constexpr const char* kLog = "log prints the log of a job";
constexpr const char* kStop = "cancel stops the running run_sweep";
constexpr const char* kRun = "settings of `run:` are given by --set; see --help run";
constexpr const char* kCluster = "--cluster names a cluster profile; see docs/clusters.md";
constexpr std::array<ForeignOption, 40> kForeignOptions{
    {{"--resume", "", false, kGoesOn},
     {"--continue", "", false, kGoesOn},
     {"--skip-existing", "", false, kGoesOn},
     {"--overwrite", "--force", false, kForce},
     {"--rerun", "--force", false, kForce},
     {"--recompute", "--force", false, kForce},
     {"--restart", "--force", false, kForce},
     {"--output", "--results", true, kResults},
     {"--output-dir", "--results", true, kResults},
     {"--outdir", "--results", true, kResults},
     {"--out", "--results", true, kResults},
     {"-o", "--results", true, kResults},
     {"--config", "", true, kFile},
     {"--config-file", "", true, kFile},
     {"--file", "", true, kFile},
     {"-c", "", true, kFile},
     {"-f", "", true, kFile},
     {"--multirun", "", false, kLists},
     {"-m", "", false, kLists},
     {"--filter", "--only", true, kOnly},
     {"--select", "--only", true, kOnly},
     {"--where", "--only", true, kOnly},
     {"--override", "--set", true, kSet},
     {"--test", "--smoke", false, kSmoke},
     {"--debug", "--smoke", false, kSmoke},
     {"--quick", "--smoke", false, kSmoke},
     {"--plan", "plan", false, kPlan},
     {"--preview", "plan", false, kPlan},
     {"--dryrun", "plan", false, kPlan},
     {"-n", "plan", false, kPlan},
     {"--why", "plan", false, kPlan},
     {"--progress", "status", false, kStatus},
     {"--logs", "log", false, kLog},
     {"--stop", "cancel", false, kStop},
     {"--kill", "cancel", false, kStop},
     {"--workers", "--set run.workers=", true, kRun},
     {"--jobs", "--set run.workers=", true, kRun},
     {"-j", "--set run.workers=", true, kRun},
     {"--gpus", "--set run.gpus=", true, kRun},
     {"--slurm", "--cluster", true, kCluster}}};
constexpr std::array<const char*, 7> kWithValue{
    "--set", "--only", "--log", "--cluster", "--results", "--programs", "--cluster-task"};

// The command with `words` in the place of `count` arguments from `index` on.
std::string command_with(const std::vector<std::string>& arguments, size_t index, size_t count,
                         const std::string& words) {
  std::string line = "run_sweep";
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (i == index && !words.empty()) line += " " + words;
    if (i < index || i >= index + count) line += " " + shell_word(arguments[i]);
  }
  return line;
}

// The same as a command of `subcommand`.
std::string command_of(const std::string& subcommand, std::vector<std::string> arguments,
                       size_t index, size_t count) {
  arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(index),
                  arguments.begin() + static_cast<std::ptrdiff_t>(index + count));
  if (!arguments.empty() && subcommand_named(arguments[0]) != nullptr)
    arguments.erase(arguments.begin());
  return command_with(arguments, arguments.size(), 0, "").insert(9, " " + subcommand);
}

// An option, the value that is written behind it, and how many arguments both are.
struct Written {
  std::string option;
  std::optional<std::string> value;
  size_t count = 1;
};

Written written_at(const std::vector<std::string>& arguments, size_t index) {
  const std::string& word = arguments[index];
  if (const size_t equals = word.find('='); equals != std::string::npos)
    return {word.substr(0, equals), word.substr(equals + 1), 1};
  const bool follows = index + 1 < arguments.size() && !arguments[index + 1].starts_with('-');
  if (!follows) return {word, std::nullopt, 1};
  return {word, arguments[index + 1], 2};
}

[[noreturn]] void answer(const std::vector<std::string>& arguments, size_t index,
                         const ForeignOption& foreign, const Written& written) {
  const std::string what =
      fmt::format("run_sweep has no option {}: {}", written.option, foreign.why);
  if (subcommand_named(foreign.here) != nullptr)
    throw Error(what, "write " + command_of(foreign.here, arguments, index, 1));
  const bool takes = foreign.value && written.value;
  std::string words = foreign.here;
  if (takes) {
    const bool joined = words.empty() || words.ends_with('=');
    words += (joined ? "" : " ") + shell_word(*written.value);
  }
  throw Error(what, "write " + command_with(arguments, index, takes ? written.count : 1, words));
}

// "--cfg" as a setting would be called; "" for what cannot be one.
std::string setting_named(const std::string& option) {
  if (!option.starts_with("--") || option.size() < 3) return "";
  std::string name = option.substr(2);
  std::replace(name.begin(), name.end(), '-', '_');
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.';
  });
  return plain ? name : "";
}

// "cfg=1", "strategy!=For": what --only takes.
bool is_condition(const std::string& word) {
  const size_t at = word.find_first_of("=<>!");
  if (at == std::string::npos || at == 0) return false;
  return std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(at),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.'; });
}

// What to write in the place of a slip of an option that is known.
std::string with_known(const std::vector<std::string>& arguments, size_t index,
                       const Written& written, const std::string& known) {
  const auto line = [&] {
    const bool takes = takes_value(known) && written.value;
    const std::string words = takes ? known + " " + shell_word(*written.value) : known;
    return command_with(arguments, index, takes ? written.count : 1, words);
  };
  const OlderFlag* older = older_flag_named(known);
  if (older == nullptr || older->value)
    return fmt::format("did you mean {}? write {}", known, line());
  return fmt::format("did you mean the subcommand {}? write {}", older->subcommand,
                     command_of(older->subcommand, arguments, index, 1));
}

// What no setting has as its value: a condition, which is a value of --set and --only, and a sweep
// file, which stands behind a flag.
bool is_no_setting(const std::string& value) {
  return is_condition(value) || value.ends_with(".yaml") || value.ends_with(".yml");
}

// That a slip is near an option of other subcommands; "" where it is not.
std::string of_others(const std::string& option, const OwnOptions& own) {
  std::vector<std::string> names;
  for (const auto& [name, owners] : own.elsewhere) names.push_back(name);
  const std::string near = nearest_option(option, names);
  if (near.empty()) return "";
  return fmt::format("did you mean {}? it belongs to {}", near,
                     fmt::join(own.elsewhere.at(near), ", "));
}

[[noreturn]] void refuse(const std::vector<std::string>& arguments, size_t index,
                         const Written& written, const OwnOptions& own) {
  const std::string what = fmt::format("run_sweep has no option {}", written.option);
  const std::string known = nearest_option(written.option, own.names);
  const std::string setting = setting_named(written.option);
  const bool no_setting = setting.empty() || !written.value || is_no_setting(*written.value);
  if (no_setting && !known.empty()) throw Error(what, with_known(arguments, index, written, known));
  std::string near = known.empty() ? of_others(written.option, own) : "";
  if (!known.empty() && older_flag_named(known) == nullptr)
    near = fmt::format("did you mean {}?", known);
  if (setting.empty() || !written.value)
    throw Error(what, near.empty() ? "run_sweep --help lists them" : near);
  const std::string pair = shell_word(setting + "=" + *written.value);
  const auto with = [&](const char* option) {
    return command_with(arguments, index, written.count, option + pair);
  };
  throw Error(what,
              fmt::format("for this value in all points write {}\n"
                          "  for the points with this value alone {}{}",
                          with("--set "), with("--only "), near.empty() ? "" : "\n  or " + near));
}

// Of an option that other subcommands have: the line without it or, where no subcommand was named,
// the lines of those that have it.
[[noreturn]] void refuse_here(const std::vector<std::string>& arguments, size_t index,
                              const Written& written, const OwnOptions& own) {
  const std::vector<std::string>& owners = own.elsewhere.at(written.option);
  std::string why = own.why_not ? own.why_not(own.subcommand, written.option) : "";
  if (why.empty()) why = fmt::format("it belongs to {}", fmt::join(owners, ", "));
  const size_t count = takes_value(written.option) ? written.count : 1;
  std::string lines = command_with(arguments, index, count, "");
  if (own.subcommand == "run" && subcommand_named(arguments[0]) == nullptr) {
    lines.clear();
    for (const std::string& owner : owners) {
      lines += (lines.empty() ? "" : "\n  or ") + command_of(owner, arguments, arguments.size(), 0);
    }
  }
  throw Error(fmt::format("{} has no option {}: {}", own.subcommand, written.option, why),
              "write " + lines);
}

bool is_there(const fs::path& path) {
  std::error_code failed;
  return fs::exists(path, failed) && !failed;
}

// A sweep file of nearly this name, in its folder, in sweeps/ or among the shipped ones; "" without
// one.
fs::path similar_file(const fs::path& file, const fs::path& shipped) {
  for (const fs::path& folder : {file.parent_path(), fs::path("sweeps"), shipped}) {
    for (const char* extension : {".yaml", ".yml"}) {
      fs::path other = folder / file.filename();
      other.replace_extension(extension);
      if (other != file && is_there(other)) return other;
    }
    if (is_there(folder / file.filename())) return folder / file.filename();
  }
  return {};
}

}  // namespace

bool takes_value(const std::string& option) {
  return std::find(kWithValue.begin(), kWithValue.end(), option) != kWithValue.end();
}

std::optional<size_t> first_file(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (takes_value(words[i])) {
      ++i;
    } else if (!words[i].starts_with('-')) {
      return i;
    }
  }
  return std::nullopt;
}

void require_own_options(const std::vector<std::string>& arguments, const OwnOptions& own) {
  for (size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    const std::string& word = arguments[i];
    const bool there = std::find(own.names.begin(), own.names.end(), word) != own.names.end();
    if (there && takes_value(word)) {
      ++i;
      continue;
    }
    if (!word.starts_with('-') || word == "-") continue;
    const Written written = written_at(arguments, i);
    if (std::find(own.names.begin(), own.names.end(), written.option) != own.names.end()) {
      if (word == written.option || takes_value(written.option)) continue;
      throw Error(fmt::format("{} takes no value", written.option),
                  "write " + command_with(arguments, i, 1, written.option));
    }
    const auto elsewhere = own.elsewhere.find(written.option);
    if (elsewhere != own.elsewhere.end()) refuse_here(arguments, i, written, own);
    const auto foreign =
        std::find_if(kForeignOptions.begin(), kForeignOptions.end(),
                     [&](const ForeignOption& known) { return written.option == known.option; });
    if (foreign != kForeignOptions.end()) answer(arguments, i, *foreign, written);
    refuse(arguments, i, written, own);
  }
}

void require_no_slip(const std::vector<std::string>& arguments, const fs::path& shipped) {
  if (first_file(arguments) != 0u) return;  // behind an unknown option it may be its value
  const std::string& word = arguments[0];
  if (subcommand_named(word) != nullptr || is_condition(word) ||
      !similar_file(word, shipped).empty())
    return;
  std::vector<std::string> names;
  for (const Subcommand& known : kSubcommands) {
    if (*known.what) names.emplace_back(known.name);
  }
  const std::string near = nearest_subcommand(word, names);
  if (near.empty()) return;
  throw Error(fmt::format("there is no subcommand {0} and no file {0}", word),
              fmt::format("did you mean {}? write {}", near, command_of(near, arguments, 0, 1)));
}

void require_no_older_flag(const std::vector<std::string>& arguments) {
  for (size_t i = 1; i < arguments.size() && arguments[i] != "--"; ++i) {
    const OlderFlag* flag = older_flag_named(arguments[i]);
    if (flag != nullptr) {
      const std::string line = command_of(flag->subcommand, arguments, i,
                                          flag->value && i + 1 < arguments.size() ? 2 : 1);
      throw Error(fmt::format("{} has no option {}, which is the subcommand {}", arguments[0],
                              flag->flag, flag->subcommand),
                  fmt::format("write {}{}", line, flag->value ? " POINT" : ""));
    }
    if (takes_value(arguments[i])) ++i;
  }
}

void require_sweep_files(const std::vector<std::string>& arguments,
                         const std::vector<fs::path>& files, const fs::path& shipped) {
  for (const fs::path& file : files) {
    if (is_there(file)) continue;
    const std::string word = file.string();
    const auto found = std::find(arguments.begin(), arguments.end(), word);
    if (found == arguments.end()) continue;
    const auto index = static_cast<size_t>(found - arguments.begin());
    const auto with = [&](const std::string& words) {
      return command_with(arguments, index, 1, words);
    };
    if (subcommand_named(word) != nullptr && files.size() > 1 && index > 0) {
      throw Error(fmt::format("there is no file {}; the subcommand {} comes first", word, word),
                  "write " + command_of(word, arguments, index, 1));
    }
    if (is_condition(word)) {
      throw Error(
          fmt::format("`{}` is not a sweep file", word),
          fmt::format("for the points with this value alone write {}\n"
                      "  for this value in all points {}",
                      with("--only " + shell_word(word)), with("--set " + shell_word(word))));
    }
    if (const fs::path other = similar_file(file, shipped); !other.empty()) {
      throw Error(fmt::format("there is no file {}", word),
                  "write " + with(shell_word(other.string())));
    }
  }
}

}  // namespace tarflow::driver
