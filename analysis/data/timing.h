// What the times of points are worth, and rates of them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analysis/data/points.h"

namespace tarflow::analysis {

enum class Timing {
  kValid,        // of an undisturbed run
  kIndicative,   // as measured, but the run was disturbed: shown with a mark
  kMeaningless,  // of a smoke run
};
Timing timing_of(const Point& point);

// Why the point's times are not those of an undisturbed run; "" when they are.
std::string invalid_timing(const Point& point);

// "others used 34 % to 61 % of the CPU": what disturbed those of the points whose times are
// indicative; "" where there are none.
std::string disturbance(const std::vector<Point>& points);
// "indicative: others used 34 % to 61 % of the CPU (at most 10 % is valid)"; "" likewise.
std::string indicative_note(const std::vector<Point>& points);

// The command that measures those of the points again whose times are indicative, and as few others
// as --only can tell from them: "run_sweep sweeps/demo.yaml --force --only experiment=evaluate
// --only cfg=1". Of the first of the points' files, as far as that tells its sweep file.
std::string measure_again_command(const std::vector<Point>& points);

// Seconds by seed: total times of the points that are not worse than `worst`; of a seed that was
// measured again the mean.
using SeedSeconds = std::map<std::optional<double>, double>;
SeedSeconds seconds_by_seed(const std::vector<Point>& points, Timing worst);
// The reference's total time over that of the points, each summed over the seeds of which both have
// a time that is not worse than `worst`. Nothing where there is no such seed.
std::optional<double> rate(const std::vector<Point>& points, const std::vector<Point>& reference,
                           Timing worst);

}  // namespace tarflow::analysis
