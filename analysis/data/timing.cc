#include "analysis/data/timing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <set>

#include "analysis/data/sweep_note.h"
#include "framework/core/arguments.h"
#include "framework/core/foreign_share.h"

namespace tarflow::analysis {
namespace fs = std::filesystem;
namespace {

// A device of a CPU is named with its threads.
bool on_cpu(const Point& point) { return point.text("device").ends_with(" threads"); }

// The share of the CPU that others used, where that is why the time is not valid.
std::optional<double> foreign_share(const Point& point) {
  const auto share = point.number("foreign_cpu_share");
  const bool shared = point.number("exclusive") && !point.flag("exclusive");
  return shared && on_cpu(point) && share && *share > kForeignShareLimit ? share : std::nullopt;
}

// What else disturbed the run.
std::vector<std::string> other_reasons(const Point& point) {
  std::vector<std::string> reasons;
  if (point.flag("interrupted")) reasons.push_back("the job was interrupted and resumed");
  if (!point.number("exclusive")) {
    reasons.push_back("whether the device was shared is not recorded");
  } else if (!point.flag("exclusive") && !foreign_share(point)) {
    reasons.push_back(on_cpu(point) || point.text("device").empty()
                          ? "the device was shared"
                          : "the GPU was shared with another process or job");
  }
  return reasons;
}

constexpr size_t kMostNamedValues = 6;  // of a setting, in a command

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

// The sweep file that results/NAME.h5 is of; "" where that is not known.
std::string sweep_file_of(const SweepNote& note) {
  const fs::path path = note.file;
  if (path.empty()) return "";
  std::error_code failed;
  const fs::path relative = fs::relative(path, failed);
  return failed || relative.empty() || *relative.begin() == ".." ? path.string()
                                                                 : relative.string();
}

// The values of the points in a column as --only takes them; nothing where one cannot be stated so.
std::optional<std::set<std::string>> values_of(const std::vector<Point>& points,
                                               const std::string& column) {
  std::set<std::string> values;
  for (const Point& point : points) {
    const std::string value = setting_text(point, column);
    if (value.empty() || value.find(',') != std::string::npos) return std::nullopt;
    values.insert(value);
  }
  return values;
}

// " --only KEY=VALUES" for each setting in which the points are fewer than all that the file has of
// experiment evaluate. Their product may hold more points than these, never fewer.
std::string narrowing(const std::vector<Point>& points) {
  std::vector<Point> named, all;
  for (const Point& point : points) {
    if (point.source == points.front().source && timing_of(point) == Timing::kIndicative)
      named.push_back(point);
  }
  for (const record::Row& row : points.front().source->sweep.rows) {
    const Point point{&row, nullptr, points.front().source};
    if (point.text("experiment") == "evaluate") all.push_back(point);
  }
  std::string text;
  for (const char* column :
       {"model", "strategy", "cfg", "self_denoising_lr", "attn_temp", "num_images", "seed"}) {
    const auto own = values_of(named, column), those = values_of(all, column);
    if (!own || own->empty() || !those || own->size() == those->size() ||
        own->size() > kMostNamedValues)
      continue;
    text += " --only " + shell_word(fmt::format("{}={}", column, fmt::join(*own, ",")));
  }
  return text;
}

// Measures points of one source again.
std::string command_for(const Source* source, const std::vector<Point>& points) {
  const SweepNote note = source ? sweep_note(*source) : SweepNote();
  const std::string file = sweep_file_of(note);
  std::string command = called("run_sweep") + " ";
  command += file.empty() ? "SWEEP.yaml" : shell_word(file);
  for (const std::string& set : note.set) command += " --set " + shell_word(set);
  command += " --force --only experiment=evaluate";
  if (source) command += narrowing(points);
  const fs::path folder = source ? source->file.parent_path() : fs::path();
  if (!file.empty() && folder != "results" && !folder.empty())
    command += " --results " + shell_word(folder.string());
  return command;
}

}  // namespace

Timing timing_of(const Point& point) {
  if (point.smoke()) return Timing::kMeaningless;
  const bool undisturbed = point.flag("exclusive") && !point.flag("interrupted");
  return undisturbed ? Timing::kValid : Timing::kIndicative;
}

std::string invalid_timing(const Point& point) {
  switch (timing_of(point)) {
    case Timing::kValid:
      return "";
    case Timing::kIndicative:
      return indicative_note({point});
    case Timing::kMeaningless:
      break;
  }
  return "smoke run: the time means nothing";
}

std::string disturbance(const std::vector<Point>& points) {
  std::optional<double> least, most;
  std::vector<std::string> reasons;
  for (const Point& point : points) {
    if (timing_of(point) != Timing::kIndicative) continue;
    if (const auto share = foreign_share(point)) {
      least = std::min(least.value_or(*share), *share);
      most = std::max(most.value_or(*share), *share);
    }
    for (const std::string& reason : other_reasons(point)) {
      if (std::find(reasons.begin(), reasons.end(), reason) == reasons.end())
        reasons.push_back(reason);
    }
  }
  if (most) {
    const std::string from = percent(*least), to = percent(*most);
    reasons.insert(reasons.begin(),
                   fmt::format("others used {} of the CPU", from == to ? to : from + " to " + to));
  }
  return fmt::format("{}", fmt::join(reasons, "; "));
}

std::string indicative_note(const std::vector<Point>& points) {
  const std::string text = disturbance(points);
  if (text.empty()) return "";
  const bool share = text.starts_with("others");
  return fmt::format(
      "indicative: {}{}", text,
      share ? fmt::format(" (a time is valid up to {})", percent(kForeignShareLimit)) : "");
}

std::string measure_again_command(const std::vector<Point>& points) {
  std::vector<const Source*> sources;
  for (const Point& point : points) {
    if (timing_of(point) != Timing::kIndicative) continue;
    if (std::find(sources.begin(), sources.end(), point.source) == sources.end())
      sources.push_back(point.source);
  }
  std::vector<std::string> commands;
  for (const Source* source : sources) {
    std::vector<Point> own;
    std::copy_if(points.begin(), points.end(), std::back_inserter(own),
                 [&](const Point& point) { return point.source == source; });
    commands.push_back(command_for(source, own));
  }
  if (commands.empty())
    return command_for(points.empty() ? nullptr : points.front().source, points);
  return fmt::format("{}", fmt::join(commands, "; "));
}

SeedSeconds seconds_by_seed(const std::vector<Point>& points, Timing worst) {
  SeedSeconds sums;
  std::map<std::optional<double>, int> counts;
  for (const Point& point : points) {
    const auto seconds = point.number("total_seconds");
    if (!seconds || *seconds <= 0 || timing_of(point) > worst) continue;
    sums[point.number("seed")] += *seconds;
    ++counts[point.number("seed")];
  }
  for (auto& [seed, sum] : sums) sum /= counts.at(seed);
  return sums;
}

std::optional<double> rate(const std::vector<Point>& points, const std::vector<Point>& reference,
                           Timing worst) {
  const SeedSeconds own = seconds_by_seed(points, worst);
  const SeedSeconds theirs = seconds_by_seed(reference, worst);
  double sum = 0, reference_sum = 0;
  for (const auto& [seed, seconds] : own) {
    const auto other = theirs.find(seed);
    if (other == theirs.end()) continue;
    sum += seconds;
    reference_sum += other->second;
  }
  return sum > 0 ? std::optional(reference_sum / sum) : std::nullopt;
}

}  // namespace tarflow::analysis
