#include "framework/slurm/profile_difference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framework/job/progress.h"

namespace tarflow::slurm {
namespace {

bool is_duration(const std::string& key) {
  return key == "time" || key == "signal_lead" || key == "pack_time";
}

std::string value_text(const std::string& key, const Json& value) {
  if (value.is_number() && value == 0) return key == "signal_lead" ? "never" : "not stated";
  if (value.is_number() && is_duration(key)) return job::duration(value.get<double>());
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.empty() || value == "") return "not stated";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array())
    return fmt::format("{}", fmt::join(value.get<std::vector<std::string>>(), ", "));
  return value.dump();
}

}  // namespace

std::vector<std::string> profile_differences(const ClusterProfile& then,
                                             const ClusterProfile& now) {
  const Json before = to_json(then), after = to_json(now);
  std::vector<std::string> texts;
  for (const auto& [key, value] : after.items()) {
    if (key == "name" || key == "poll" || before.at(key) == value) continue;
    texts.push_back(fmt::format("{} was {}, is {}", key, value_text(key, before.at(key)),
                                value_text(key, value)));
  }
  return texts;
}

ClusterProfile profile_as_stated(const Submission& submission, const ClusterProfile& now) {
  ClusterProfile profile = submission.profile;
  profile.max_parallel = now.max_parallel;
  std::string added;
  for (const std::string& node : submission.avoided) added += "," + node;
  if (("," + profile.exclude).ends_with(added)) {
    const size_t kept = 1 + profile.exclude.size() - added.size();
    profile.exclude = kept > 0 ? profile.exclude.substr(0, kept - 1) : "";
  }
  return profile;
}

}  // namespace tarflow::slurm
