#include "framework/job/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "framework/job/file_facts.h"
#include "framework/job/store.h"

namespace tarflow::job {
namespace {

constexpr const char* kMadeBy = "made by ";
constexpr const char* kWhileRead = ": it was changed while it was read";
constexpr const char* kRepair = "run the same command again; it plans with the file as it is now";

[[noreturn]] void changed(const std::string& path, const std::string& detail = "") {
  throw Error(fmt::format("{} has changed since the sweep was planned{}", path, detail), kRepair);
}

// Of a path that a job names: a file that is gone has changed as well.
std::string stamp_now(const Input& input) {
  try {
    return content_stamp(input.path, input.layout);
  } catch (const Error& failure) {
    changed(input.path, fmt::format(": {}", failure.problems().front().what));
  }
}

// Of a path that a job does not name: whoever reads it says best what is wrong with it.
std::string stamp_of_unnamed(const std::string& path) {
  try {
    return content_stamp(path);
  } catch (const Error&) {
    return "";
  }
}

bool is_made(const Input& input) { return input.content.starts_with(kMadeBy); }

// Whether the file is as the result of the point that makes it says; true without such a result.
bool is_as_made(const std::string& path, const std::string& key,
                const std::filesystem::path& cache_folder) {
  Job maker;
  maker.points.emplace_back().key = key;
  Jobs jobs;
  jobs.push_back(std::move(maker));
  const DonePoints done = JobStore(cache_folder.parent_path()).find_done(jobs);
  const auto found = done.by_key.find(key);
  return found == done.by_key.end() ||
         holds_what_was_made(path, found->second.result, found->second.job, cache_folder);
}

const std::string* text_in(const Json& object, const std::string& key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? &found->get_ref<const std::string&>()
                                                     : nullptr;
}

}  // namespace

std::string stamp_key(const std::string& path, images::Layout layout) {
  static constexpr const char* kLayouts[] = {"", " (flat)", " (classes)"};
  return path + kLayouts[static_cast<int>(layout)];
}

std::vector<Input> inputs_of(const Job& job) {
  std::map<std::pair<std::string, images::Layout>, Input> inputs;
  const auto add = [&](const std::string* path, images::Layout layout, const Json& content) {
    if (!path || path->empty() || !content.is_string()) return;
    const std::string* stamp = text_in(job.stamps.get(), stamp_key(*path, layout));
    inputs[{*path, layout}] = {*path, layout, content.get<std::string>(), stamp ? *stamp : ""};
  };
  const auto add_all = [&](const sweep::Settings& settings, const Json& contents) {
    if (!contents.is_object()) return;
    for (const auto& [field, content] : contents.items()) {
      const Json* setting = settings.find(field);
      if (!setting || !setting->is_string()) continue;
      add(&setting->get_ref<const std::string&>(), layout_of(field, settings, job.settings),
          content);
    }
  };
  if (const std::string* content = text_in(job.contents.get(), "checkpoint"))
    add(text_in(job.model.get(), "checkpoint"), images::Layout::kAuto, *content);
  add_all(job.settings, job.contents.get());
  for (const JobPoint& point : job.points) add_all(point.settings, point.contents.get());
  std::vector<Input> list;
  for (auto& [key, input] : inputs) list.push_back(std::move(input));
  return list;
}

Inputs::Inputs(const Job& job, std::filesystem::path cache_folder, ReadNotice notice)
    : cache_folder_(std::move(cache_folder)), notice_(std::move(notice)) {
  for (Input& input : inputs_of(job)) {
    open_[input.path] = "";
    std::vector<Input>& planned = planned_[input.path];
    planned.push_back(std::move(input));
  }
}

std::string Inputs::prove(const std::string& path) {
  const auto planned = planned_.find(path);
  if (planned == planned_.end()) return stamp_of_unnamed(path);
  std::string stamps;
  for (const Input& input : planned->second) stamps += prove(input) + "\n";
  return open_[path] = stamps;
}

std::string Inputs::prove(const Input& input) {
  const std::string stamp = stamp_now(input);
  if (is_made(input)) {
    const std::string key = input.content.substr(std::strlen(kMadeBy));
    if (!cache_folder_.empty() && !is_as_made(input.path, key, cache_folder_))
      changed(input.path, ": it is not what this sweep made");
  } else if (stamp != input.stamp) {
    ContentHasher hasher(cache_folder_, notice_);
    if (hasher.hash(input.path, input.layout) != input.content) changed(input.path);
    hasher.save();
    if (stamp_now(input) != stamp) changed(input.path, kWhileRead);
  }
  return stamp;
}

std::string Inputs::stamps_now(const std::string& path) const {
  const auto planned = planned_.find(path);
  if (planned == planned_.end()) return stamp_of_unnamed(path);
  std::string stamps;
  for (const Input& input : planned->second) stamps += stamp_now(input) + "\n";
  return stamps;
}

void Inputs::require_stamp(const std::string& path, const std::string& stamps) const {
  if (stamps_now(path) != stamps) changed(path, kWhileRead);
}

std::vector<std::string> Inputs::require_unchanged() {
  const std::map<std::string, std::string> open = open_;
  std::vector<std::string> unread;
  for (const auto& [path, stamps] : open) {
    const bool read = !stamps.empty();
    if (!read) unread.push_back(path);
    if (read && stamps_now(path) == stamps) continue;
    if (read && std::ranges::any_of(planned_.at(path), is_made)) changed(path);
    prove(path);
  }
  return unread;
}

}  // namespace tarflow::job
