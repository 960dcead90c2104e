// Words of command lines: what they were copied with, and how a shell is given them.
#pragma once

#include <string>
#include <vector>

namespace tarflow {

// Throws Error for an argument that holds a character which is not seen (U+00A0, U+200B, ...),
// unless it is in the name of a file or folder that exists, and for an option that begins with a
// dash other than `-`, as documents have it.
void require_plain_arguments(int argc, const char* const* argv);

// The option that was meant by a mistyped or cut one (`--sett`, `--res`): the only one that begins
// with it, else the nearest; "" when none is near.
std::string nearest_option(const std::string& option, const std::vector<std::string>& options);

// The subcommand that was meant by a mistyped one. "" when none is near, for words of up to
// three letters, and for words that are likely to name a file: one that is there, and one with a
// dot or a slash.
std::string nearest_subcommand(const std::string& word, const std::vector<std::string>& names);

// How the user calls a program of this one: the words that the script ./run_sweep states of
// `run_sweep` and `analyze` in TARFLOW_CALL_RUN_SWEEP and TARFLOW_CALL_ANALYZE, else the name.
std::string called(const std::string& program);

// The word in quotes, where a shell would read it otherwise.
std::string shell_word(const std::string& word);

}  // namespace tarflow
