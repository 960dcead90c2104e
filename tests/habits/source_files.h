// The repository's own text files, for tests about habits.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace tarflow::habits {

inline const std::filesystem::path kRoot = TARFLOW_SOURCE_DIR;

// Paths relative to the root, sorted, of the files under `folders` whose extension is among
// `extensions`; no fixtures. A folder may be a file.
inline std::vector<std::filesystem::path> source_files(const std::vector<std::string>& folders,
                                                       const std::set<std::string>& extensions) {
  std::vector<std::filesystem::path> files;
  const auto add = [&](const std::filesystem::path& file) {
    const std::filesystem::path relative = file.lexically_relative(kRoot);
    const bool fixture = std::find(relative.begin(), relative.end(), "fixtures") != relative.end();
    if (!fixture && extensions.contains(file.extension())) files.push_back(relative);
  };
  for (const std::string& folder : folders) {
    if (std::filesystem::is_regular_file(kRoot / folder)) add(kRoot / folder);
    if (!std::filesystem::is_directory(kRoot / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(kRoot / folder)) {
      if (entry.is_regular_file()) add(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

inline std::vector<std::string> read_lines(const std::filesystem::path& relative) {
  std::ifstream stream(kRoot / relative);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// A line without its comment and the content of its texts.
inline std::string code_of(const std::string& line) {
  static const std::regex text(R"re("(\\.|[^"\\])*")re");
  const std::string code = std::regex_replace(line, text, "\"\"");
  return code.substr(0, code.find("//"));
}

}  // namespace tarflow::habits
