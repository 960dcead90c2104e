#include "experiments/worker/tuning_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace tarflow::experiments {
namespace {

constexpr int kStartWidth = 64;  // of blocks with a small CRM

// Two significant digits, as people write tolerances.
double rounded(double value) { return std::stod(fmt::format("{:.2g}", value)); }

// Of windows, narrow ones first.
std::vector<int> widths_of(int64_t tokens) {
  constexpr int kMost = 256;
  std::vector<int> widths;
  for (int width = 8; width <= kMost && width < tokens - 1; width *= 2) widths.push_back(width);
  if (tokens - 1 <= kMost && tokens > 2) widths.push_back(static_cast<int>(tokens - 1));
  return widths;
}

class Search {
 public:
  Search(const SearchSpace& space, const Measure& measure)
      : space_(space), measure_(measure), widths_(widths_of(space.tokens)) {}

  std::vector<Trial> run() {
    if (widths_.empty()) return {};
    if (!space_.above_mean) short_list();
    if (space_.above_mean || !faster_than_sequential()) long_list();
    return trials_;
  }

 private:
  void short_list() {
    const int width = walk_from(kStartWidth);
    for (const double factor : {1.0 / 3, 3.0}) window(width, factor);
    if (space_.guided) window(width, 1, "FH");
    jacobi(4);
    jacobi(8);
  }

  void long_list() {
    for (const int width : widths_) window(width);
    const int width = fastest_width();
    for (const double factor : {0.25, 0.5, 2.0, 4.0}) window(width, factor);
    if (space_.guided) {
      window(width, 1, "FH");
      window(width, 2, "FH");
      window(width, 1, "F");
    }
    segments(8, 4);
    segments(8, 8);
    if (space_.tokens >= 256) segments(16, 4);
  }

  // The fastest width: from one on to narrower or wider ones while that saves time.
  int walk_from(int start) {
    size_t at = 0;
    while (at + 1 < widths_.size() && widths_[at + 1] <= start) ++at;
    std::optional<double> best = window(widths_[at]);
    for (const int step : {-1, 1}) {
      bool moved = false;
      while (step < 0 ? at > 0 : at + 1 < widths_.size()) {
        const size_t next = step < 0 ? at - 1 : at + 1;
        const std::optional<double> seconds = window(widths_[next]);
        if (!seconds || (best && *seconds >= *best)) break;
        best = seconds;
        at = next;
        moved = true;
      }
      if (moved) break;  // the other side was slower at the start
    }
    return widths_[at];
  }

  std::optional<double> window(int width, double factor = 1, const char* pattern = "HF") {
    Window plan;
    plan.width = width;
    plan.tolerance = rounded(space_.deviation * factor);
    plan.guess = space_.linear ? WindowGuess::kLinear : WindowGuess::kUp;
    plan.pattern = space_.guided ? pattern : "F";
    return measure({plan});
  }

  void jacobi(int iterations) { measure(published_plan(1, iterations)); }

  void segments(int count, int iterations) {
    if (space_.tokens >= 2 * count) measure(published_plan(count, iterations));
  }

  // Seconds of a plan, which is tried once.
  std::optional<double> measure(const BlockPlan& plan) {
    const auto known = std::find_if(trials_.begin(), trials_.end(),
                                    [&](const Trial& trial) { return trial.plan == plan; });
    if (known != trials_.end()) return known->seconds;
    const std::optional<Trial> trial = measure_(plan);
    if (!trial) return std::nullopt;
    trials_.push_back(*trial);
    return trial->seconds;
  }

  bool faster_than_sequential() const {
    return std::any_of(trials_.begin(), trials_.end(), [&](const Trial& trial) {
      return trial.seconds < space_.sequential_seconds && std::isfinite(trial.change);
    });
  }

  // Of finite outputs where any width has them.
  int fastest_width() const {
    int width = widths_.front();
    std::pair<bool, double> best{true, INFINITY};  // whether the outputs are not finite, seconds
    for (const Trial& trial : trials_) {
      const Window* const window = std::get_if<Window>(&trial.plan.method);
      if (!window) continue;
      const std::pair own{!std::isfinite(trial.change), trial.seconds};
      if (own >= best) continue;
      best = own;
      width = window->width;
    }
    return width;
  }

  const SearchSpace& space_;
  const Measure& measure_;
  const std::vector<int> widths_;
  std::vector<Trial> trials_;
};

}  // namespace

std::vector<Trial> search(const SearchSpace& space, const Measure& measure) {
  return Search(space, measure).run();
}

}  // namespace tarflow::experiments
