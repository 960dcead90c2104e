#include "framework/schedule/inputs.h"

#include <fmt/format.h>

#include <cstring>

#include "framework/schedule/file_facts.h"
#include "framework/schedule/job_index.h"

namespace tarflow::schedule {
namespace {

constexpr const char* kMadeBy = "made by ";
constexpr const char* kRepair = "run the same command again; it plans with the file as it is now";

[[noreturn]] void changed(const std::string& path, const std::string& detail = "") {
  throw Error(fmt::format("{} has changed since the sweep was planned{}", path, detail), kRepair);
}

// Of a path that a job names: a file that is gone has changed as well.
std::string stamp_now(const std::string& path) {
  try {
    return content_stamp(path);
  } catch (const Error& failure) {
    changed(path, fmt::format(": {}", failure.problems().front().what));
  }
}

// Whether the file is as the result of the point that makes it says; true without such a result.
bool is_as_made(const std::string& path, const std::string& key,
                const std::filesystem::path& sweep) {
  Job maker;
  maker.points.emplace_back().key = key;
  Jobs jobs;
  jobs.push_back(std::move(maker));
  const DonePoints done = JobIndex(sweep).find_done(jobs);
  const auto found = done.by_key.find(key);
  return found == done.by_key.end() ||
         holds_statistics_of(path, found->second.result, found->second.job);
}

const std::string* text_in(const Json& object, const std::string& key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? &found->get_ref<const std::string&>()
                                                     : nullptr;
}

}  // namespace

std::vector<Input> inputs_of(const Job& job) {
  std::map<std::string, Input> inputs;
  const auto add = [&](const std::string* path, const Json& content) {
    if (!path || path->empty() || !content.is_string()) return;
    const std::string* stamp = text_in(job.stamps.get(), *path);
    inputs[*path] = {*path, content.get<std::string>(), stamp ? *stamp : ""};
  };
  const auto add_all = [&](const sweep::Settings& settings, const Json& contents) {
    if (!contents.is_object()) return;
    for (const auto& [field, content] : contents.items()) {
      if (const Json* setting = settings.find(field); setting && setting->is_string())
        add(&setting->get_ref<const std::string&>(), content);
    }
  };
  if (const std::string* content = text_in(job.contents.get(), "checkpoint"))
    add(text_in(job.model.get(), "checkpoint"), *content);
  add_all(job.settings, job.contents.get());
  for (const JobPoint& point : job.points) add_all(point.settings, point.contents.get());
  std::vector<Input> list;
  for (auto& [path, input] : inputs) list.push_back(std::move(input));
  return list;
}

Inputs::Inputs(const Job& job, std::filesystem::path cache_folder, ReadNotice notice)
    : cache_folder_(std::move(cache_folder)), notice_(std::move(notice)) {
  for (Input& input : inputs_of(job)) {
    open_[input.path] = "";
    planned_[input.path] = std::move(input);
  }
}

std::string Inputs::prove(const std::string& path) {
  const auto planned = planned_.find(path);
  // Whoever reads a path that the job does not name says best what is wrong with it.
  if (planned == planned_.end())
    return std::filesystem::exists(path) ? content_stamp(path) : std::string();
  const Input& input = planned->second;
  const std::string stamp = stamp_now(path);
  if (input.content.starts_with(kMadeBy)) {
    const std::string key = input.content.substr(std::strlen(kMadeBy));
    if (!cache_folder_.empty() && !is_as_made(path, key, cache_folder_.parent_path()))
      changed(path, ": it is not what this sweep made");
  } else if (stamp != input.stamp) {
    ContentHasher hasher(cache_folder_, notice_);
    if (hasher.hash(path) != input.content) changed(path);
    hasher.save();
    require_stamp(path, stamp);
  }
  return open_[path] = stamp;
}

void Inputs::require_stamp(const std::string& path, const std::string& stamp) const {
  if (stamp_now(path) != stamp) changed(path, ": it was changed while it was read");
}

std::vector<std::string> Inputs::require_unchanged() {
  const std::map<std::string, std::string> open = open_;
  std::vector<std::string> unread;
  for (const auto& [path, stamp] : open) {
    const bool read = !stamp.empty();
    if (!read) unread.push_back(path);
    if (read && stamp_now(path) == stamp) continue;
    if (read && planned_.at(path).content.starts_with(kMadeBy)) changed(path);
    prove(path);
  }
  return unread;
}

}  // namespace tarflow::schedule
