// The fastest strategy that samples as well as For, as a sweep file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "analysis/data/points.h"
#include "analysis/tables/measured.h"

namespace tarflow::analysis {

struct BestOptions {
  double within = 0.01;       // of For's distance that a strategy may lose
  bool each_setting = false;  // one choice for each cfg and self_denoising_lr
  bool indicative = false;    // times count as they were measured, valid or not
};

// "1%" or "0.01". Throws Error.
double share_from(const std::string& text);

struct Choice {
  Measured chosen, reference;  // For may be its own choice
  std::string family;          // what was measured: the model, and what tells it from others
  double rate = 1;             // of what was chosen
  std::string common_seeds;    // that both are over, where they were measured with others too
  std::string not_compared;    // strategies without a seed in common with For
};

struct Choices {
  std::vector<Choice> choices;
  // What has no choice, and why: families, or settings of a family; what to do about it.
  std::vector<std::string> problems;
};

// For each family of measured points (measured.h), trial runs left out: fastest_within() beside
// For, or For where nothing else is as good and faster; what is chosen holds the seeds that both
// have only. Only valid times count, unless options.indicative. Both are at the cfg and
// self_denoising_lr at which For's distance is smallest; with each_setting, at each of these.
// Temperatures and devices are never mixed.
Choices choose_best(const std::vector<Point>& points, const BestOptions& options);

// A sweep of one evaluate a choice, with the settings and the paths that were recorded, as
// run_sweep reads it. Comments say what was chosen, from what, and when the errors of the distances
// leave it open. Throws Error where the record lacks what it takes.
std::string sweep_of(const std::vector<Choice>& choices, const BestOptions& options);

}  // namespace tarflow::analysis
