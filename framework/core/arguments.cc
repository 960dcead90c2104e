#include "framework/core/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "framework/core/characters.h"
#include "framework/core/error.h"

namespace tarflow {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code failed;
  return fs::exists(path, failed) && !failed;
}

// How much of the text, from its beginning, is a path that exists.
size_t existing_part(const std::string& text) {
  fs::path path = text;
  while (!path.empty() && !is_there(path) && path != path.parent_path()) path = path.parent_path();
  return is_there(path) ? path.string().size() : 0;
}

void require_plain(int number, const std::string& text) {
  const std::string odd = ascii_repair(text.substr(0, text.find_first_of(" =")));
  const bool dash = static_cast<unsigned char>(text[0]) >= 0x80 && odd.ends_with("write `-`");
  if (dash && !is_there(text)) {
    throw Error(fmt::format("argument {}, `{}`, begins with another dash than `-`", number, text),
                fmt::format("{}; options begin with `--`", odd));
  }
  const size_t equals = text.starts_with("--") ? text.find('=') : std::string::npos;
  const size_t begin = equals == std::string::npos ? 0 : equals + 1;
  const auto in_name = find_invisible(text.substr(0, begin));
  const auto found =
      in_name ? in_name : find_invisible(text, begin + existing_part(text.substr(begin)));
  if (!found) return;
  throw Error(fmt::format("argument {}, `{}`, holds the invisible character {} behind `{}`", number,
                          text, character_name(found->code), text.substr(0, found->at)),
              "type the argument again");
}

}  // namespace

void require_plain_arguments(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '\0') require_plain(i, argv[i]);
  }
}

std::string nearest_option(const std::string& option, const std::vector<std::string>& options) {
  constexpr size_t kLeast = 4;  // "--ab"
  std::string begins;
  size_t count = 0;
  for (const std::string& known : options) {
    if (option.size() < kLeast || !known.starts_with(option)) continue;
    begins = known;
    ++count;
  }
  return count == 1 ? begins : nearest(option, options);
}

std::string nearest_subcommand(const std::string& word, const std::vector<std::string>& names) {
  constexpr size_t kLeast = 4;  // shorter words are near many
  if (word.size() < kLeast || word.find_first_of("./") != std::string::npos || is_there(word))
    return "";
  return nearest(word, names);
}

std::string called(const std::string& program) {
  std::string variable = "TARFLOW_CALL_" + program;
  std::transform(variable.begin(), variable.end(), variable.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const char* words = std::getenv(variable.c_str());
  return words && *words ? shell_word(words) : program;
}

std::string shell_word(const std::string& word) {
  const bool plain =
      !word.empty() && word.find_first_of(" \t\"'\\$&|;<>()*?[]{}!#~`") == std::string::npos;
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace tarflow
