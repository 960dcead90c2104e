#include "analysis/data/provenance.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <set>

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

// Points of one experiment, and what tells them apart.
struct Experiment {
  std::string name;
  std::vector<const Point*> points;
  std::vector<Settings> settings;  // of each point
  Settings common;
};

std::vector<Experiment> experiments_of(const std::vector<Point>& points) {
  std::map<std::string, std::vector<const Point*>> by_name;
  for (const Point& point : points) by_name[point.text("experiment")].push_back(&point);
  std::vector<Experiment> experiments;
  for (auto& [name, own] : by_name) {
    Experiment experiment{name, std::move(own), {}, {}};
    for (const Point* point : experiment.points) {
      Settings& settings = experiment.settings.emplace_back();
      if (point->job) add_settings(settings, point->job->job);
      add_settings(settings, part_of(*point));
    }
    experiment.common = common_to(experiment.settings);
    experiments.push_back(std::move(experiment));
  }
  return experiments;
}

// A row a measurement: id, job, environment, and a column a setting that is not common to all. Rows
// are short, for there may be many thousand.
std::string points_table(const Experiment& experiment, size_t first_number,
                         const std::vector<size_t>& environments) {
  std::set<std::string> columns;
  for (const Settings& settings : experiment.settings) {
    for (const auto& [name, value] : settings) {
      if (!experiment.common.contains(name)) columns.insert(name);
    }
  }
  const std::string what = fmt::format(
      "Each point of {}: its job, its own settings, where and with which source it was "
      "computed",
      escape_html(experiment.name));
  std::string text = fmt::format(
      "<details><summary>{0}</summary>\n<div class=scroll role=region tabindex=0 "
      "aria-label=\"Each point of {1}\"><table><caption>{0}</caption>\n<thead><tr><th scope=col "
      "class=l>point<th scope=col class=l>job<th scope=col>environment",
      what, escape_html(experiment.name));
  for (const std::string& name : columns)
    text += fmt::format("<th scope=col>{}", escape_html(name));
  text += "</thead>\n<tbody>";
  for (size_t i = 0; i < experiment.points.size(); ++i) {
    const Point& point = *experiment.points[i];
    text += fmt::format("\n<tr id=p{}><th scope=row>{}<td>{}", first_number + i,
                        escape_html(point.id()), escape_html(point.text("job")));
    text +=
        environments[i] > 0 ? fmt::format("<td><a href=#e{0}>{0}</a>", environments[i]) : "<td>";
    const Settings& settings = experiment.settings[i];
    for (const std::string& name : columns) {
      const auto found = settings.find(name);
      text += "<td>" + (found == settings.end() ? "" : escape_html(found->second));
    }
  }
  return text + "\n</tbody></table></div></details>\n";
}

}  // namespace

Provenance provenance(const std::vector<Point>& points, Detail detail) {
  Provenance result;
  Environments environments;
  std::map<const record::JobRecord*, size_t> by_job;  // read once a job
  const auto environment_of = [&](const Point& point) {
    const auto found = by_job.find(point.job);
    if (found != by_job.end()) return found->second;
    return by_job[point.job] = environments.number_of(point.environment());
  };
  size_t number = 1;  // of an experiment's first point
  for (const Experiment& experiment : experiments_of(points)) {
    result.html += fmt::format(
        "<h3>{0}</h3>\n<details class=print><summary>Settings {1} of {0}</summary>"
        "{2}</details>\n",
        escape_html(experiment.name),
        experiment.points.size() == 1
            ? "of the only point"
            : fmt::format("shared by all {} points", experiment.points.size()),
        definition_list(experiment.common));
    std::vector<size_t> where;
    for (const Point* point : experiment.points) where.push_back(environment_of(*point));
    if (detail == Detail::kShared) continue;
    for (size_t i = 0; i < experiment.points.size(); ++i)
      result.anchors[experiment.points[i]->origin()] = fmt::format("p{}", number + i);
    result.html += points_table(experiment, number, where);
    number += experiment.points.size();
  }
  const std::string list = environments.html();
  if (!list.empty()) result.html += "<h3>Environments</h3>\n" + list;
  return result;
}

}  // namespace tarflow::analysis
