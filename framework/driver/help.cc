#include "framework/driver/help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "framework/core/error.h"
#include "framework/core/experiment.h"
#include "framework/core/share.h"
#include "framework/driver/subcommand_names.h"
#include "framework/slurm/cluster_profile_file.h"
#include "framework/sweep/help_topics.h"

namespace tarflow::driver {
namespace {

std::string range_text(const Field& field) {
  if (field.minimum && field.maximum)
    return fmt::format("{:g} to {:g}", *field.minimum, *field.maximum);
  if (field.minimum) return fmt::format("at least {:g}", *field.minimum);
  if (field.maximum) return fmt::format("at most {:g}", *field.maximum);
  return "";
}

std::string field_text(const Field& field) {
  std::vector<std::string> facts{to_string(field.type)};
  if (!field.unit.empty()) facts.push_back(field.unit);
  if (const std::string range = range_text(field); !range.empty()) facts.push_back(range);
  if (!field.choices.empty())
    facts.push_back(fmt::format("one of {}", fmt::join(field.choices, ", ")));
  if (field.required) facts.push_back("required");
  if (!field.default_value.is_null() && field.default_value != "") {
    facts.push_back("default " + field.default_value.dump());
  }
  if (!field.example.is_null()) facts.push_back("for example " + field.example.dump());
  if (field.shared) facts.push_back("points that differ only here share their work");
  return fmt::format("  {}: {}\n      {}\n", field.name, fmt::join(facts, "; "), field.description);
}

std::string experiment_text(const ExperimentSchema& schema) {
  std::string text = fmt::format("{}: {}\n\nSettings:\n", schema.name, schema.description);
  for (const Field& field : schema.fields) text += field_text(field);
  text += "\nResults, columns of /points (docs/records.md has all):\n";
  for (const Column& column : schema.columns) {
    text += fmt::format("  {}{}: {}\n", column.name,
                        column.unit.empty() ? "" : fmt::format(" [{}]", column.unit),
                        column.description);
  }
  return text;
}

constexpr const char* kClusters = "cluster profiles: --cluster";

std::string clusters_text() {
  std::string text = fmt::format(
      "{0}\n\nA profile is a YAML file that says how to submit jobs to a cluster.\n"
      "  without --cluster   {1}/cluster.yaml, else {2}/cluster.yaml, else this machine\n"
      "  --cluster NAME      {1}/clusters/NAME.yaml, else {2}/clusters/NAME.yaml, else a shipped "
      "one\n"
      "  --cluster ./FILE    this file\n"
      "  --cluster none      this machine\n"
      "{2} is the folder of the site: $TARFLOW_SITE, else /etc/tarflow.\n\nIts keys:\n",
      kClusters, slurm::config_folder().string(), site_folder().string());
  for (const slurm::ProfileKey& key : slurm::profile_keys()) {
    text += fmt::format("  {}: {}\n", key.name, key.description);
  }
  return text;
}

}  // namespace

ExperimentSchemas schemas_of(const RunOptions& options) {
  return read_experiment_schemas(share_folder(options.programs) / "experiments.json");
}

std::string help_on(const std::string& topic, const RunOptions& options) {
  std::string list = "topics: this list\n";
  std::vector<std::string> names{"topics"};
  const auto listed = [&](const std::string& name, const std::string& title) {
    list += fmt::format("{}: {}\n", name, title);
    names.push_back(name);
    return name == topic;
  };
  for (const sweep::HelpTopic& known : sweep::help_topics()) {
    if (listed(known.name, known.title)) return fmt::format("{}\n\n{}", known.title, known.text);
  }
  std::string subcommands;
  for (const Subcommand& known : kSubcommands) {
    if (!*known.what) continue;
    subcommands += fmt::format("{}{}", subcommands.empty() ? "" : ", ", known.name);
    names.emplace_back(known.name);
  }
  listed(kSubcommandsTopic, subcommands);
  if (listed("clusters", kClusters)) return clusters_text();
  for (const ExperimentSchema& schema : schemas_of(options)) {
    if (listed(schema.name, schema.description)) return experiment_text(schema);
  }
  if (topic == "topics") return list;
  throw Error(fmt::format("there is no help on `{}`", topic), did_you_mean(topic, names));
}

}  // namespace tarflow::driver
