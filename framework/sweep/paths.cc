#include "framework/sweep/paths.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

namespace tarflow::sweep {
namespace fs = std::filesystem;
namespace {

bool is_present(const fs::path& path) {
  std::error_code failed;
  return fs::exists(path, failed);
}

}  // namespace

std::string shown_path(const fs::path& path) {
  std::error_code failed;
  const std::string near = fs::proximate(path, failed).string();
  return failed || near.size() >= path.string().size() ? path.string() : near;
}

std::vector<fs::path> search_folders(const fs::path& yaml_file) {
  const fs::path own = fs::absolute(yaml_file).lexically_normal().parent_path();
  const fs::path current = fs::current_path();
  std::vector<fs::path> folders;
  const auto add = [&](const fs::path& folder) {
    if (std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(folder);
  };
  add(own);
  for (const fs::path& base : {current, own, own.parent_path()}) {
    add(base / "models");
    add(base / "data");
  }
  add(current);
  add(own.parent_path());
  return folders;
}

FoundPath find_path(const std::string& written, const std::vector<fs::path>& folders,
                    const std::set<fs::path>& made) {
  const auto is_there = [&](const fs::path& path) {
    return made.contains(path) || is_present(path);
  };
  fs::path path = written;
  const char* home = std::getenv("HOME");
  if (home && (written == "~" || written.starts_with("~/"))) {
    path = fs::path(home) / (written.size() > 2 ? written.substr(2) : "");
  }
  if (path.is_absolute()) {
    path = path.lexically_normal();
    return {path, is_there(path), ""};
  }
  FoundPath result{(folders.front() / path).lexically_normal(), false, ""};
  for (const fs::path& folder : folders) {
    const fs::path candidate = (folder / path).lexically_normal();
    if (is_there(candidate)) return {candidate, true, ""};
    result.looked_in += (result.looked_in.empty() ? "" : ", ") + shown_path(folder);
  }
  return result;
}

}  // namespace tarflow::sweep
