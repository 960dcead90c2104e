#include "framework/sweep/paths.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "framework/core/error.h"
#include "framework/core/model_filename.h"
#include "framework/core/share.h"

namespace tarflow::sweep {
namespace fs = std::filesystem;
namespace {

bool is_present(const fs::path& path) {
  std::error_code failed;
  return fs::exists(path, failed);
}

constexpr size_t kMaxListed = 500;  // entries of a folder that are looked at for a message
constexpr size_t kMinSimilar = 4;   // letters; two changes make any shorter name of any other

// The names in a folder; of its sub-folders alone when `folders`.
std::vector<std::string> names_in(const fs::path& folder, bool folders) {
  std::vector<std::string> names;
  std::error_code failed;
  size_t seen = 0;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end && seen < kMaxListed;
       at.increment(failed), ++seen) {
    std::error_code ignored;
    if (!folders || at->is_directory(ignored)) names.push_back(at->path().filename().string());
  }
  std::ranges::sort(names);  // the same message whatever the file system's order
  return names;
}

// "afhq" of "afhq_model_8_768_8_8_0.07.pth"; "" of a name of another form.
std::string dataset_of(const std::string& name) {
  const size_t at = name.find("_model_");
  return at == std::string::npos ? "" : name.substr(0, at);
}

// The same model under another ending or as a browser's second copy, else a similar name. Names of
// models share most of their letters, so that their datasets must be similar by themselves.
std::string similar_name(const std::string& name, const std::vector<std::string>& names) {
  const auto stem = model_stem(name);
  for (const std::string& candidate : names) {
    if (stem && model_stem(candidate) == stem) return candidate;
  }
  if (name.size() < kMinSimilar) return "";
  const std::string dataset = dataset_of(name);
  std::vector<std::string> likely = names;
  std::erase_if(likely, [&](const std::string& candidate) {
    const std::string other = dataset_of(candidate);
    return !dataset.empty() && !other.empty() && nearest(dataset, {other}).empty();
  });
  return nearest(name, likely);
}

// What the parts of a path from `part` on may have meant in `folder`; "" for nothing.
fs::path similar_path(const fs::path& folder, fs::path::const_iterator part,
                      fs::path::const_iterator end) {
  const fs::path name = *part;
  if (std::next(part) == end) {
    const std::string similar = similar_name(name.string(), names_in(folder, false));
    return similar.empty() ? fs::path() : folder / similar;
  }
  if (is_present(folder / name)) return similar_path(folder / name, std::next(part), end);
  const std::string similar = similar_name(name.string(), names_in(folder, true));
  return similar.empty() ? fs::path() : similar_path(folder / similar, std::next(part), end);
}

// A path that is there and that may have been meant: the same file in a folder of a similar name or
// in another folder, else `path` relative to one of `folders` with other letters.
std::string near_path(const fs::path& path, const std::vector<fs::path>& folders) {
  if (!path.has_filename()) return "";
  fs::path similar;
  for (const fs::path& folder : folders) {
    const fs::path found = similar_path(folder, path.begin(), path.end());
    if (!found.empty() && found.filename() == path.filename()) return shown_path(found);
    if (similar.empty()) similar = found;
  }
  for (const fs::path& folder : folders) {
    std::vector<std::string> below = names_in(folder, true);
    below.emplace(below.begin(), "");
    for (const std::string& name : below) {
      // Of a folder the same name says little: many are called `images` or `data`.
      const fs::path elsewhere = (folder / name / path.filename()).lexically_normal();
      if (std::error_code failed; fs::is_regular_file(elsewhere, failed))
        return shown_path(elsewhere);
    }
  }
  return similar.empty() ? "" : shown_path(similar);
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
  for (const char* shared : {"models", "data"}) {
    if (is_present(site_folder() / shared)) add(site_folder() / shared);
  }
  // Sweeps write `data/afhq`, which is site/data/afhq.
  if (is_present(site_folder() / "models") || is_present(site_folder() / "data"))
    add(site_folder());
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
    if (is_there(path)) return {path, true, "", ""};
    return {path, false, "", near_path(path.relative_path(), {path.root_path()})};
  }
  FoundPath result{(folders.front() / path).lexically_normal(), false, "", ""};
  for (const fs::path& folder : folders) {
    const fs::path candidate = (folder / path).lexically_normal();
    if (is_there(candidate)) return {candidate, true, "", ""};
    result.looked_in += (result.looked_in.empty() ? "" : ", ") + shown_path(folder);
  }
  result.near = near_path(path.lexically_normal(), folders);
  return result;
}

}  // namespace tarflow::sweep
