// Options and words that a subcommand does not take, each answered with the line that does it here:
// those of other subcommands, of other programs, and slips.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tarflow::driver {

// Whether the next word is the option's value.
bool takes_value(const std::string& option);
// The first word that is neither an option nor the value of one; none behind `--`.
std::optional<size_t> first_file(const std::vector<std::string>& words);

// What a subcommand takes.
struct OwnOptions {
  std::string subcommand;
  std::vector<std::string> names;  // "--set"
  // Of other subcommands alone: which ones.
  std::map<std::string, std::vector<std::string>> elsewhere = {};
  // Why this subcommand does not take such an option; "" where nothing more can be said.
  std::function<std::string(const std::string& subcommand, const std::string& option)> why_not = {};
};

// `arguments`: those after the program's name. Throws Error for an option that the subcommand does
// not take: --resume, --overwrite, --cfg 1, --force with status. Words that are the value of an
// option before them are left alone.
void require_own_options(const std::vector<std::string>& arguments, const OwnOptions& own);

// `arguments`: as above. Throws Error for a mistyped subcommand: `statu a.yaml`.
void require_no_slip(const std::vector<std::string>& arguments,
                     const std::filesystem::path& shipped = {});

// `arguments` begin with a subcommand. Throws Error for `run FILE --status`.
void require_no_older_flag(const std::vector<std::string>& arguments);

// `files`: the sweep files among the arguments. Throws Error for `cfg=1`, which is no file but a
// selection, for a subcommand that stands behind a file, and for a file that is absent where one of
// a similar name is there (demo.yml, demo), also in `shipped`, the folder of the shipped sweeps.
void require_sweep_files(const std::vector<std::string>& arguments,
                         const std::vector<std::filesystem::path>& files,
                         const std::filesystem::path& shipped = {});

}  // namespace tarflow::driver
