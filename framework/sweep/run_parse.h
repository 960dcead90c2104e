// The `run:` part of a sweep file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framework/sweep/report.h"
#include "framework/sweep/run_settings.h"

namespace tarflow::sweep {

enum class RunType { kCount, kDuration, kBoolean, kBytes };

// A key of `run:`, for reading, help and the schema.
struct RunKey {
  const char* name;
  RunType type;
  const char* description;
  double minimum = 0, maximum = 0;  // of counts, of durations in seconds, of sizes in bytes
  bool whole_sweep = false;         // cannot differ between experiments
  bool asks_unit = false;           // of a duration: a bare number may be meant in another unit
};
const std::vector<RunKey>& run_keys();
// "10 min", "true", "1": what holds when the key is not stated.
std::string run_default(const RunKey& key);

// "30 s" -> 30, "2 h" -> 7200, "5" -> 5; nothing when it is not a number and a unit.
std::optional<double> seconds_of(const std::string& text);

// "1 GB" -> 1e9, "500 MB", "0" -> 0; nothing when it is not a number and a unit. Only 0 needs none.
std::optional<int64_t> bytes_of(const std::string& text);

// A number without a unit that may be meant in minutes, as Slurm counts its limits: up to two weeks
// of them. 0 is none.
inline constexpr double kLongestInMinutes = 14 * 24 * 60;
bool lacks_unit(const std::string& text);
// Reports it.
void ask_unit(const Node& node, const std::string& name, Report& report);

// Changes in `settings` what the map states; everything wrong is reported. `whole_sweep`: it is the
// one at the top of the file.
void read_run(const Node& map, bool whole_sweep, RunSettings& settings, Report& report);

// For an experiment that runs in one process: a map that states more is reported. `name`: of the
// experiment.
void require_one_process(const Node& map, const std::string& name, const RunSettings& settings,
                         Report& report);

}  // namespace tarflow::sweep
