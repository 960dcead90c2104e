#include "framework/sweep/run_parse.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "framework/sweep/scalars.h"

namespace tarflow::sweep {
namespace {

constexpr double kDay = 86400;
constexpr std::array<std::pair<const char*, double>, 5> kSizes{
    {{"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}}};
constexpr double kMostGpus = 64, kMostNodes = 4096, kMostRanks = 1024;

constexpr std::array<std::pair<const char*, double>, 13> kUnits{{{"s", 1},
                                                                 {"sec", 1},
                                                                 {"second", 1},
                                                                 {"seconds", 1},
                                                                 {"min", 60},
                                                                 {"minute", 60},
                                                                 {"minutes", 60},
                                                                 {"h", 3600},
                                                                 {"hour", 3600},
                                                                 {"hours", 3600},
                                                                 {"d", kDay},
                                                                 {"day", kDay},
                                                                 {"days", kDay}}};

std::optional<std::pair<double, std::string>> number_and_unit(const std::string& text) {
  double number = 0;
  // YAML numbers may have a plus sign, which from_chars refuses.
  const char* const first = text.data() + (text.starts_with('+') && text.find('-') != 1 ? 1 : 0);
  const auto [end, failure] = std::from_chars(first, text.data() + text.size(), number);
  if (failure != std::errc() || !std::isfinite(number)) return std::nullopt;
  std::string unit(end, text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' '));
  return std::pair{number, unit};
}

std::optional<int64_t> read_bytes(const RunKey& key, const Node& node, Report& report) {
  const auto bytes =
      node.kind == NodeKind::kScalar ? bytes_of(node.text) : std::optional<int64_t>();
  if (bytes && static_cast<double>(*bytes) >= key.minimum &&
      static_cast<double>(*bytes) <= key.maximum)
    return bytes;
  report.error(node.mark, fmt::format("`{}`: expected a size, found {}", key.name, found(node)),
               fmt::format("write a number and a unit, up to {:.0f} TB: 500 MB, 1 GB, 2 TB; or 0",
                           key.maximum / 1e12));
  return std::nullopt;
}

std::optional<double> read_duration(const RunKey& key, const Node& node, Report& report) {
  if (node.kind == NodeKind::kScalar) {
    if (node.text == "none" && key.minimum == 0) return 0;
    const auto seconds = seconds_of(node.text);
    if (key.asks_unit && lacks_unit(node.text)) {
      ask_unit(node, key.name, report);
      return std::nullopt;
    }
    if (seconds && *seconds >= key.minimum && *seconds <= key.maximum) return *seconds;
    if (seconds) {
      report.error(node.mark, fmt::format("`{}` is {}, not within {} and {} seconds", key.name,
                                          node.text, key.minimum, key.maximum));
      return std::nullopt;
    }
  }
  report.error(node.mark, fmt::format("`{}`: expected a duration, found {}", key.name, found(node)),
               key.asks_unit ? "write a number and a unit: 30 s, 10 min, 2 h, 1 d"
                             : "a number of seconds, or with a unit: 30 s, 10 min, 2 h, 1 d");
  return std::nullopt;
}

int64_t* count_of(RunSettings& settings, const std::string& name) {
  if (name == "gpus") return &settings.gpus;
  if (name == "nodes") return &settings.nodes;
  if (name == "ranks") return &settings.ranks;
  if (name == "jobs_per_gpu") return &settings.jobs_per_gpu;
  if (name == "workers") return &settings.workers;
  if (name == "threads") return &settings.threads;
  return &settings.retries;
}

double* duration_of(RunSettings& settings, const std::string& name) {
  return name == "backoff" ? &settings.backoff : &settings.time_limit;
}

bool* flag_of(RunSettings& settings, const std::string& name) {
  return name == "fail_fast" ? &settings.fail_fast : &settings.exclusive;
}

StatedAt* place_of(RunSettings& settings, const std::string& name) {
  if (name == "gpus") return &settings.gpus_at;
  return name == "nodes" ? &settings.nodes_at : nullptr;
}

void read_key(const RunKey& key, const Node& node, RunSettings& settings, Report& report) {
  switch (key.type) {
    case RunType::kCount: {
      const Range<int64_t> range{static_cast<int64_t>(key.minimum),
                                 static_cast<int64_t>(key.maximum)};
      if (const auto value = read_integer(node, key.name, range, report)) {
        *count_of(settings, key.name) = *value;
      }
      return;
    }
    case RunType::kDuration:
      if (const auto value = read_duration(key, node, report)) {
        *duration_of(settings, key.name) = *value;
      }
      return;
    case RunType::kBoolean:
      if (const auto value = read_boolean(node, key.name, report)) {
        *flag_of(settings, key.name) = *value;
      }
      return;
    case RunType::kBytes:
      if (const auto value = read_bytes(key, node, report)) settings.merge_limit = *value;
      return;
  }
}

}  // namespace

std::optional<double> seconds_of(const std::string& text) {
  const auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  const auto& [number, unit] = *parts;
  if (unit.empty()) return number;
  for (const auto& [name, seconds] : kUnits) {
    if (unit == name) return number * seconds;
  }
  return std::nullopt;
}

std::optional<int64_t> bytes_of(const std::string& text) {
  const auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  const auto& [number, unit] = *parts;
  if (unit.empty() && number == 0) return 0;
  for (const auto& [name, bytes] : kSizes) {
    if (unit == name && std::abs(number * bytes) < 9e18)
      return static_cast<int64_t>(number * bytes);
  }
  return std::nullopt;
}

bool lacks_unit(const std::string& text) {
  const auto seconds = seconds_of(text);
  return seconds && text.find_first_of("smhd") == std::string::npos && *seconds > 0 &&
         *seconds <= kLongestInMinutes;
}

void ask_unit(const Node& node, const std::string& name, Report& report) {
  report.error(node.mark, fmt::format("`{}` is {}, without a unit", name, node.text),
               fmt::format("write {0} s, {0} min or {0} h", node.text));
}

const std::vector<RunKey>& run_keys() {
  using enum RunType;
  static const std::vector<RunKey> keys = {
      {"gpus", kCount,
       "GPUs per job on each of its nodes, one process per GPU. 1: one GPU if the machine has any, "
       "else the CPU. 0: the CPU.",
       0, kMostGpus},
      {"nodes", kCount, "Machines per job; more than 1 on a cluster only.", 1, kMostNodes},
      {"ranks", kCount, "Processes per job on each of its nodes if gpus is 0.", 1, kMostRanks},
      {"jobs_per_gpu", kCount, "How many untimed one-GPU jobs may share a GPU.", 1, 64},
      {"workers", kCount, "Parallel jobs on a machine without GPUs.", 1, 1024, true},
      {"threads", kCount, "CPU threads per process. 0: the cores divided among the processes.", 0,
       4096},
      {"retries", kCount, "Further attempts after a job failed.", 0, 100},
      {"backoff", kDuration,
       "Pause before the first further attempt, doubled before each next one.", 0, kDay},
      {"fail_fast", kBoolean, "Stop the sweep when a job has failed for good."},
      {"time_limit", kDuration, "Maximum time of an attempt. 0 or none: no limit.", 0, 366 * kDay,
       false, true},
      {"exclusive", kBoolean, "Timed jobs have their device to themselves."},
      {"merge_limit", kBytes,
       "Size of all arrays up to which the sweep's record holds them itself. Beyond it the large "
       "ones stay in the files of the jobs, to which the record links.",
       0, 1e15, true}};
  return keys;
}

std::string run_default(const RunKey& key) {
  RunSettings settings;
  switch (key.type) {
    case RunType::kCount:
      return fmt::format("{}", *count_of(settings, key.name));
    case RunType::kDuration:
      return fmt::format("{} s", *duration_of(settings, key.name));
    case RunType::kBoolean:
      return *flag_of(settings, key.name) ? "true" : "false";
    case RunType::kBytes:
      return fmt::format("{} GB", settings.merge_limit / 1'000'000'000);
  }
  return "";
}

void read_run(const Node& map, bool whole_sweep, RunSettings& settings, Report& report) {
  if (!read_map(map, "run", report)) return;
  std::vector<std::string> known;
  for (const RunKey& key : run_keys()) known.push_back(key.name);
  require_keys(map, "`run`", known, report);
  for (const RunKey& key : run_keys()) {
    const Entry* entry = map.find(key.name);
    if (!entry) continue;
    if (key.whole_sweep && !whole_sweep) {
      report.error(entry->mark, fmt::format("`{}` holds for the whole sweep", key.name),
                   "state it in the `run:` at the top of the file");
      continue;
    }
    read_key(key, *entry->value, settings, report);
    if (StatedAt* at = place_of(settings, key.name)) {
      const Problem there = report.sources.problem(entry->mark, "", "");
      *at = {there.place, there.source_line};
    }
  }
  const Entry* ranks = map.find("ranks");
  if (ranks && settings.gpus > 0 && settings.ranks > 1) {
    report.error(ranks->mark,
                 fmt::format("`ranks` counts processes on the CPU, but gpus is {}", settings.gpus),
                 "state gpus: 0 as well; on GPUs there is a process for each");
  }
}

void require_one_process(const Node& map, const std::string& name, const RunSettings& settings,
                         Report& report) {
  const std::array<std::pair<const char*, int64_t>, 3> counts{
      {{"gpus", settings.gpus}, {"nodes", settings.nodes}, {"ranks", settings.ranks}}};
  for (const auto& [key, count] : counts) {
    const Entry* entry = map.find(key);
    if (!entry || count <= 1) continue;
    report.error(entry->mark,
                 fmt::format("{} runs in one process, but `{}` is {}", name, key, count),
                 fmt::format("leave it out; what the `run:` at the top says of {} does not hold "
                             "for {}",
                             key, name));
  }
}

}  // namespace tarflow::sweep
