#include "analysis/best.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "analysis/data/timing.h"
#include "analysis/show/format.h"
#include "framework/core/error.h"
#include "framework/core/strategy.h"

namespace tarflow::analysis {
namespace {

// The time that counts; nothing without one.
std::optional<double> seconds_of(const Measured& measured, const BestOptions& options) {
  return options.indicative && !measured.seconds ? measured.indicative_seconds : measured.seconds;
}

Timing worst_of(const BestOptions& options) {
  return options.indicative ? Timing::kIndicative : Timing::kValid;
}

// What strategies are compared with: For where its distance is smallest; with each_setting at each
// cfg and self_denoising_lr.
std::vector<const Measured*> references_of(const MeasuredFamily& family,
                                           const BestOptions& options) {
  if (!options.each_setting) {
    const Measured* const best = best_sequential(family);
    return best ? std::vector{best} : std::vector<const Measured*>{};
  }
  std::vector<const Measured*> found;
  for (const Measured& measured : family.measured) {
    if (measured.sequential && sequential_beside(family, measured) == &measured)
      found.push_back(&measured);
  }
  return found;
}

Choice choice_of(const MeasuredFamily& family, const Measured& reference,
                 const BestOptions& options) {
  const std::vector<const Measured*> others = rivals(family, reference);
  const Fastest fastest = fastest_within(others, reference, options.within, worst_of(options));
  const bool faster = fastest.strategy && fastest.rate > 1;
  const Measured& chosen = faster ? *fastest.strategy : reference;
  return {over_common_seeds(chosen, reference),
          over_common_seeds(reference, chosen),
          family.title,
          faster ? fastest.rate : 1,
          common_seeds_text(chosen.points, reference.points),
          without_common_seed(others, reference)};
}

// What of job.json holds for the point: the settings of the job and its own.
Json settings_of(const Point& point) {
  Json settings = Json::object();
  const auto add = [&](const Json& owner) {
    if (owner.is_object() && owner.contains("settings") && owner["settings"].is_object())
      settings.update(owner["settings"]);
  };
  if (!point.job) return settings;
  add(point.job->job);
  const auto points = point.job->job.find("points");
  if (points == point.job->job.end() || !points->is_array()) return settings;
  for (const Json& other : *points) {
    if (other.is_object() && other.value("id", "") == point.id()) add(other);
  }
  return settings;
}

// JSON is YAML, but for texts in which JSON leaves signs that YAML does not print.
std::string yaml_value(const Json& value) {
  return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string block_text(const Json& block) {
  // A record's block has the keys of a block in YAML, which read best in this order.
  std::string text;
  const auto add = [&](const std::string& key, const Json& value) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", key,
                        value.is_string() ? value.get<std::string>() : yaml_value(value));
  };
  const std::vector<std::string> first = {"segments", "segment_length", "max_iterations", "guess",
                                          "clamp"};
  for (const std::string& key : first) {
    if (block.contains(key)) add(key, block[key]);
  }
  for (const auto& [key, value] : block.items()) {
    if (std::find(first.begin(), first.end(), key) == first.end()) add(key, value);
  }
  return text == "segments: 0" ? "sequential" : "{" + text + "}";
}

// Blocks by their number in the checkpoint; the record lists them in sampling order.
std::string strategy_text(const Json& strategy, const std::string& indent) {
  const auto& blocks = strategy.at("blocks");
  std::string text = fmt::format("{}label: {}\n{}blocks:\n", indent,
                                 yaml_value(strategy.value("name", "")), indent);
  for (size_t i = 0; i < blocks.size(); ++i) {
    text += fmt::format("{}  {}: {}\n", indent, blocks.size() - 1 - i, block_text(blocks[i]));
  }
  return text;
}

// Models by the name they get in the sweep: that of the record, with a number where it is taken.
class Models {
 public:
  const std::string& name_of(const Point& point) {
    const Json::json_pointer where("/model");
    if (!point.job || !point.job->job.contains(where) ||
        point.job->job[where].value("checkpoint", "").empty()) {
      throw Error(fmt::format("the record of point {} names no checkpoint", point.id()),
                  "write the strategy into a sweep of your own");
    }
    const Json& model = point.job->job[where];
    const std::string checkpoint = model["checkpoint"];
    for (int number = 1;; ++number) {
      std::string name = model.value("name", "model");
      if (number > 1) name += fmt::format("_{}", number);
      const auto [entry, fresh] = models_.try_emplace(name, checkpoint, std::optional<double>{});
      if (entry->second.first != checkpoint) continue;
      const Json::json_pointer noise("/shape/noise_std");
      if (model.contains(noise) && model[noise].is_number() && model[noise] > 0)
        entry->second.second = model[noise].get<double>();
      return entry->first;
    }
  }

  std::string text() const {
    std::string text = "models:\n";
    for (const auto& [name, model] : models_) {
      text += fmt::format("  {}:\n    checkpoint: {}\n", yaml_value(name), yaml_value(model.first));
      if (model.second) text += fmt::format("    noise_std: {}\n", *model.second);
    }
    return text;
  }

 private:
  std::map<std::string, std::pair<std::string, std::optional<double>>> models_;
};

std::string measured_text(const Measured& measured, const BestOptions& options) {
  const std::optional<double> seconds = seconds_of(measured, options);
  return fmt::format(
      "{} at cfg {}, self_denoising_lr {}: {} s{}, {} {}", measured.strategy,
      setting_text(measured.points.front(), "cfg"),
      setting_text(measured.points.front(), "self_denoising_lr"),
      fixed(seconds, decimals_for({seconds})), measured.seconds ? "" : " (indicative)",
      measured.points.front().text("distance_name"), estimate_text(*measured.distance, 4));
}

// What is known of the difference, and whether it may be more than was asked for.
std::vector<std::string> difference_texts(const Choice& choice, const BestOptions& options) {
  const auto difference = mean_difference(choice.chosen.points, choice.reference.points);
  if (!difference) return {};  // not so: both have a distance of a common seed
  std::vector<std::string> texts = {"difference of the distances on the same noise: " +
                                    estimate_text(*difference, 4)};
  const double margin = options.within * choice.reference.distance->value;
  if (!difference->error) {
    texts.push_back(difference->unknown);
  } else if (difference->value + 2 * *difference->error > margin) {
    texts.push_back(fmt::format(
        "two standard errors reach beyond the margin of {:.4f}: more images or seeds would tell",
        margin));
  }
  return texts;
}

// Why the times of the two are indicative.
std::vector<std::string> disturbance_texts(const Choice& choice) {
  std::vector<Point> points = choice.chosen.points;
  points.insert(points.end(), choice.reference.points.begin(), choice.reference.points.end());
  if (choice.chosen.seconds && choice.reference.seconds) return {};
  return {fmt::format("INDICATIVE: {}; measure again on a quiet machine before you rely on it:",
                      disturbance(points)),
          measure_again_command(points)};
}

bool same(const Measured& a, const Measured& b) {
  return a.strategy == b.strategy && a.cfg == b.cfg && a.lr == b.lr;
}

std::string comment(const std::string& text) { return "    # " + text + "\n"; }

std::string entry_of(const Choice& choice, const BestOptions& options, Models& models) {
  const Point& point = choice.chosen.points.front();
  Json settings = settings_of(point);
  const auto strategy = settings.find("strategy");
  if (strategy == settings.end() || !strategy->is_object() || !strategy->contains("blocks")) {
    throw Error(fmt::format("the record of point {} does not state its strategy", point.id()),
                "write it into a sweep of your own");
  }
  std::string text = "  - evaluate:\n";
  text += comment(
      fmt::format("{}, {}, {}", choice.family, point.text("device"), point.text("compute")));
  text += comment(measured_text(choice.chosen, options));
  if (const std::string few = too_few_images(point); !few.empty()) text += comment(few);
  if (same(choice.chosen, choice.reference)) {
    text += comment("nothing else is as good and faster");
  } else {
    text += comment(fmt::format("{:.2f} times as fast as {}", choice.rate,
                                measured_text(choice.reference, options)));
    if (!choice.common_seeds.empty()) text += comment("all over " + choice.common_seeds);
    for (const std::string& line : difference_texts(choice, options)) text += comment(line);
  }
  if (!choice.not_compared.empty())
    text += comment("not compared, as For was measured with other seeds: " + choice.not_compared);
  for (const std::string& line : disturbance_texts(choice)) text += comment(line);
  text += fmt::format("      model: {}\n      strategy:\n{}", yaml_value(models.name_of(point)),
                      strategy_text(*strategy, "        "));
  for (const auto& [name, value] : settings.items()) {
    if (name != "model" && name != "strategy" && !value.is_null())
      text += fmt::format("      {}: {}\n", name, yaml_value(value));
  }
  return text;
}

// Why For has no time that counts, and what to do about it.
std::string no_time(const MeasuredFamily& family, const Measured& reference,
                    const BestOptions& options) {
  const std::string why = disturbance(reference.points);
  const std::string what =
      options.each_setting ? family.title + " at " + cfg_and_lr_text(reference) : family.title;
  if (why.empty() || options.indicative) return what + ": For has no time; run the sweep again";
  return fmt::format(
      "{}: no time of For is valid: {}. --indicative takes the times as they were measured; to "
      "measure again on a quiet machine: {}",
      what, why, measure_again_command(reference.points));
}

// Of a family without any distance.
std::string no_distance(const MeasuredFamily& family) {
  if (!family.distance_name.empty())
    return family.title + ": no distance is a finite number; the log of the job says why";
  return family.title +
         ": no distance was measured, so nothing tells whether a strategy is as good as For; add "
         "`extractor` and `reference` to this evaluate and run the sweep again";
}

// Of the settings at which strategies were measured without For: all of them, or each.
std::vector<std::string> no_reference(const MeasuredFamily& family, const BestOptions& options) {
  const std::string add = "; add For to the strategies of this evaluate and run the sweep again";
  const bool any = std::any_of(family.measured.begin(), family.measured.end(),
                               [](const Measured& measured) { return measured.sequential; });
  if (!any) return {family.title + ": For was not measured with a distance" + add};
  std::vector<std::string> settings;
  for (const Measured& measured : family.measured) {
    const std::string where = cfg_and_lr_text(measured);
    if (!options.each_setting || sequential_beside(family, measured) ||
        std::find(settings.begin(), settings.end(), where) != settings.end())
      continue;
    settings.push_back(where);
  }
  for (std::string& where : settings)
    where =
        fmt::format("{}: For was not measured with a distance at {}{}", family.title, where, add);
  return settings;
}

}  // namespace

double share_from(const std::string& text) {
  const bool percent = text.ends_with('%');
  const std::string digits = percent ? text.substr(0, text.size() - 1) : text;
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  if (digits.empty() || *end != '\0' || !std::isfinite(value) || value < 0) {
    throw Error(fmt::format("`{}` is no share", text), "write --within 1% or --within 0.01");
  }
  return percent ? value / 100 : value;
}

Choices choose_best(const std::vector<Point>& points, const BestOptions& options) {
  Choices result;
  for (const MeasuredFamily& family : evaluated_families(points)) {
    const bool distance =
        std::any_of(family.measured.begin(), family.measured.end(), [](const Measured& measured) {
          return measured.distance && std::isfinite(measured.distance->value);
        });
    if (family.smoke)
      result.problems.push_back(family.title + ": a trial run, whose times mean nothing");
    else if (!distance)
      result.problems.push_back(no_distance(family));
  }
  for (const MeasuredFamily& family : measured_families(points)) {
    if (family.smoke) continue;
    for (std::string& problem : no_reference(family, options))
      result.problems.push_back(std::move(problem));
    for (const Measured* reference : references_of(family, options)) {
      if (seconds_of(*reference, options))
        result.choices.push_back(choice_of(family, *reference, options));
      else
        result.problems.push_back(no_time(family, *reference, options));
    }
  }
  return result;
}

std::string sweep_of(const std::vector<Choice>& choices, const BestOptions& options) {
  Models models;
  std::string entries;
  for (const Choice& choice : choices) entries += entry_of(choice, options, models);
  return fmt::format(
             "# The fastest strategies whose distance is at most {:g} % above For's. Paths are "
             "those of the run\n# that was measured.\n",
             100 * options.within) +
         models.text() + "experiments:\n" + entries;
}

}  // namespace tarflow::analysis
