#include "framework/job/owner.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "framework/core/aside.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/hash.h"
#include "framework/core/json_keys.h"

namespace tarflow::job {
namespace fs = std::filesystem;
namespace {

struct Owner {
  std::string file;      // absolute, without links
  std::string results;   // the folder, likewise
  std::string relative;  // from the folder to the file
  std::string points;    // points_digest
  std::vector<std::string> ids = {}, set = {};
  std::vector<SetCall> calls = {};
  bool operator==(const Owner&) const = default;
};

fs::path note_in(const fs::path& folder) { return folder / "sweep.json"; }

Owner owner_of(const fs::path& folder, const fs::path& sweep_file, std::string points) {
  const fs::path file = fs::weakly_canonical(sweep_file);
  const fs::path results = fs::weakly_canonical(folder);
  return {file.string(), results.string(), file.lexically_relative(results).string(),
          std::move(points)};
}

// Notes of earlier versions hold the last call alone, its points and those of the file together.
std::vector<SetCall> calls_in(const Json& note) {
  const auto call_in = [](const Json& json) {
    return SetCall{value_or(json, "set", std::vector<std::string>()),
                   value_or(json, "ids", std::set<std::string>())};
  };
  std::vector<SetCall> calls;
  if (note.contains("set_calls")) {
    for (const Json& call : note.at("set_calls")) calls.push_back(call_in(call));
  } else if (SetCall last = call_in(note); !last.set.empty()) {
    calls.push_back(std::move(last));
  }
  return calls;
}

Json to_json(const std::vector<SetCall>& calls) {
  Json json = Json::array();
  for (const SetCall& call : calls) json.push_back({{"set", call.set}, {"ids", call.ids}});
  return json;
}

// With the call of `now`, without points that the file has.
std::vector<SetCall> calls_after(std::vector<SetCall> calls, const SweepNow& now) {
  if (!now.of_set.empty()) {
    const auto same = std::find_if(calls.begin(), calls.end(),
                                   [&](const SetCall& call) { return call.set == now.set; });
    SetCall& call = same != calls.end() ? *same : calls.emplace_back(SetCall{now.set, {}});
    call.ids.insert(now.of_set.begin(), now.of_set.end());
  }
  std::set<std::string> of_file(now.ids.begin(), now.ids.end());
  for (const std::string& id : now.of_set) of_file.erase(id);
  for (SetCall& call : calls)
    std::erase_if(call.ids, [&](const std::string& id) { return of_file.contains(id); });
  std::erase_if(calls, [](const SetCall& call) { return call.ids.empty(); });
  return calls;
}

// Nothing where nothing, or nothing legible, was noted. Throws Error when the note cannot be read.
std::optional<Owner> noted(const fs::path& folder) {
  if (is_absent(note_in(folder))) return std::nullopt;
  const Json json = Json::parse(read_file(note_in(folder)), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("file")) return std::nullopt;
  try {
    return Owner{value_or(json, "file", std::string()),
                 value_or(json, "results", std::string()),
                 value_or(json, "relative", std::string()),
                 value_or(json, "points", std::string()),
                 value_or(json, "ids", std::vector<std::string>()),
                 value_or(json, "set", std::vector<std::string>()),
                 calls_in(json)};
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Whether `mine`, whose points are not known yet, is the same sweep by its place.
bool same_place(const Owner& noted, const Owner& mine, bool gone_is_moved) {
  std::error_code ignored;
  if (noted.file == mine.file) return true;
  if (is_absent(noted.file) && gone_is_moved) return true;
  if (fs::equivalent(noted.file, mine.file, ignored)) return true;
  return noted.results != mine.results && noted.relative == mine.relative;
}

}  // namespace

std::string points_digest(const Jobs& jobs) {
  std::vector<std::string> keys;
  for (const Job& job : jobs) {
    for (const JobPoint& point : job.points) keys.push_back(point.key);
  }
  std::sort(keys.begin(), keys.end());
  std::string text;
  for (const std::string& key : keys) text += key + "\n";
  return short_hash(text);
}

void require_owner(const fs::path& folder, const fs::path& sweep_file,
                   const std::function<std::string()>& digest, bool deletes) {
  const std::optional<Owner> owner = noted(folder);
  if (!owner) return;
  const Owner mine = owner_of(folder, sweep_file, "");
  if (same_place(*owner, mine, !deletes)) return;
  if (!owner->points.empty() && owner->points == digest()) return;
  throw Error(
      fmt::format("{} holds the results of {}; {} has the same name and other points",
                  folder.string(), owner->file, mine.file),
      "give one of the files a `name:` of its own (or run it with --set name=NAME), or choose "
      "another folder with --results; --adopt takes these results over for the file given here");
}

void note_owner(const fs::path& folder, const fs::path& sweep_file, const SweepNow& now,
                const std::function<void(const std::string&)>& notice) {
  const std::optional<Owner> before = noted(folder);
  Owner mine = owner_of(folder, sweep_file, now.digest);
  mine.ids = now.ids;
  mine.set = now.set;
  mine.calls = calls_after(before ? before->calls : std::vector<SetCall>(), now);
  if (before == mine) return;
  if (before && before->file != mine.file) {
    notice(fmt::format("{} belonged to {}; it belongs to {} now", folder.string(), before->file,
                       mine.file));
  }
  write_json_file(note_in(folder), {{"file", mine.file},
                                    {"results", mine.results},
                                    {"relative", mine.relative},
                                    {"points", mine.points},
                                    {"ids", mine.ids},
                                    {"set", mine.set},
                                    {"set_calls", to_json(mine.calls)}});
}

std::vector<SetCall> noted_set_calls(const fs::path& folder) {
  const std::optional<Owner> owner = noted(folder);
  return owner ? owner->calls : std::vector<SetCall>();
}

}  // namespace tarflow::job
