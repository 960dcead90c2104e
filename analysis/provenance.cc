#include "analysis/provenance.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>

namespace tarflow::analysis {
namespace {

using Settings = std::map<std::string, std::string>;

// A setting in few words: a strategy by its name, a file by the last component of its path.
std::string setting_words(const Json& value) {
  if (value.is_object() && value.contains("name") && value["name"].is_string())
    return value["name"].get<std::string>();
  if (!value.is_string()) return value.dump();
  const std::string text = value.get<std::string>();
  return text.starts_with("/") ? std::filesystem::path(text).filename().string() : text;
}

void add_settings(Settings& settings, const Json& owner) {
  if (!owner.is_object()) return;
  const auto own = owner.find("settings");
  if (own == owner.end() || !own->is_object()) return;
  for (const auto& [name, value] : own->items()) settings[name] = setting_words(value);
}

const Json& part_of(const Point& point) {
  static const Json none;
  if (!point.job || !point.job->job.is_object() || !point.job->job.contains("points")) return none;
  for (const Json& part : point.job->job["points"]) {
    if (part.is_object() && part.value("id", Json()) == Json(point.id())) return part;
  }
  return none;
}

// What is the same in all of `all`.
Settings common_to(const std::vector<Settings>& all) {
  Settings common = all.front();
  for (const Settings& one : all) {
    std::erase_if(common, [&](const auto& entry) {
      const auto found = one.find(entry.first);
      return found == one.end() || found->second != entry.second;
    });
  }
  return common;
}

std::string words_of(const Settings& settings, const Settings& but) {
  std::string text;
  for (const auto& [name, value] : settings) {
    if (but.contains(name)) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", escape_html(name), escape_html(value));
  }
  return text;
}

std::string definition_list(const Settings& settings) {
  std::string text = "<dl>";
  for (const auto& [name, value] : settings)
    text += fmt::format("<dt>{}<dd>{}", escape_html(name), escape_html(value));
  return text + "</dl>\n";
}

// The parts of an environment as "gpu.name" and its value.
void flatten(const Json& json, const std::string& prefix, Settings& out) {
  for (const auto& [name, value] : json.items()) {
    if (value.is_object()) {
      flatten(value, prefix + name + ".", out);
    } else {
      out[prefix + name] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
}

// Environments that are equal but for times, loads and what each job was called with.
class Environments {
 public:
  // The number of the environment, from 1; 0 where none is known.
  size_t number_of(const Json& environment) {
    if (!environment.is_object()) return 0;
    Settings settings;
    flatten(environment, "", settings);
    std::erase_if(settings, [](const auto& entry) {
      return entry.first == "command" || entry.first.starts_with("at_start.") ||
             entry.first.starts_with("at_end.");
    });
    return numbers_.try_emplace(std::move(settings), numbers_.size() + 1).first->second;
  }

  std::string html() const {
    std::vector<const Settings*> in_order(numbers_.size());
    for (const auto& [settings, number] : numbers_) in_order[number - 1] = &settings;
    std::string text;
    for (size_t i = 0; i < in_order.size(); ++i) {
      const auto named = [&](const char* name) {
        const auto found = in_order[i]->find(name);
        return found == in_order[i]->end() ? std::string() : found->second;
      };
      const std::string device =
          named("gpu.name").empty() ? named("cpu") : named("gpu.name") + ", " + named("cpu");
      text += fmt::format(
          "<details id=e{0} class=print><summary>Environment {0}: {1}, source {2}"
          "</summary>{3}</details>\n",
          i + 1, escape_html(device), escape_html(named("git_revision")),
          definition_list(*in_order[i]));
    }
    return text;
  }

 private:
  std::map<Settings, size_t> numbers_;
};

// One measurement: id, job, what is its own among the settings, environment.
std::string entry(const Point& point, size_t number, const Settings& settings,
                  const Settings& common, size_t environment) {
  std::string text = fmt::format("<li id=p{}><code>{}</code>, job <code>{}</code>: {}", number,
                                 escape_html(point.id()), escape_html(point.text("job")),
                                 words_of(settings, common));
  if (environment > 0) text += fmt::format("; <a href=#e{0}>environment {0}</a>", environment);
  return text + "\n";
}

}  // namespace

Provenance provenance(const std::vector<Point>& points) {
  std::map<std::string, std::vector<const Point*>> experiments;
  for (const Point& point : points) experiments[point.text("experiment")].push_back(&point);
  Provenance result;
  Environments environments;
  std::map<const record::JobRecord*, size_t> by_job;  // read once a job
  const auto environment_of = [&](const Point& point) {
    const auto found = by_job.find(point.job);
    if (found != by_job.end()) return found->second;
    return by_job[point.job] = environments.number_of(point.environment());
  };
  size_t number = 0;
  for (const auto& [experiment, own] : experiments) {
    std::vector<Settings> settings(own.size());
    for (size_t i = 0; i < own.size(); ++i) {
      if (own[i]->job) add_settings(settings[i], own[i]->job->job);
      add_settings(settings[i], part_of(*own[i]));
    }
    const Settings common = common_to(settings);
    result.html += fmt::format(
        "<h3>{0}</h3>\n<details class=print><summary>Settings that all {1} points of {0} share"
        "</summary>{2}</details>\n<details><summary>Each point of {0}: its job, its own settings, "
        "where and with which source it was computed</summary><ul class=points>\n",
        escape_html(experiment), own.size(), definition_list(common));
    for (size_t i = 0; i < own.size(); ++i) {
      ++number;
      result.anchors[own[i]->origin()] = fmt::format("p{}", number);
      result.html += entry(*own[i], number, settings[i], common, environment_of(*own[i]));
    }
    result.html += "</ul></details>\n";
  }
  const std::string list = environments.html();
  if (!list.empty()) result.html += "<h3>Environments</h3>\n" + list;
  return result;
}

}  // namespace tarflow::analysis
