#include "framework/core/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "framework/core/characters.h"

namespace tarflow {
namespace {

std::string join(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    if (!text.empty()) text += "\n";
    text += problem.str();
  }
  return text;
}

// Damerau-Levenshtein distance (optimal string alignment): swapped neighbours count once, as
// typists slip.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

}  // namespace

std::string Place::str() const {
  if (file.empty()) return "";
  if (line <= 0) return file;
  if (column <= 0) return fmt::format("{}:{}", file, line);
  return fmt::format("{}:{}:{}", file, line, column);
}

std::string Problem::str() const {
  const std::string where = place.str();
  std::string text = where.empty() ? what : where + ": " + what;
  if (!source_line.empty()) {
    text += "\n  " + source_line;
    if (place.column > 0) {
      // Tabs are kept so that the caret stays under its column whatever the tab width.
      std::string pad;
      const size_t width =
          std::min<size_t>(static_cast<size_t>(place.column - 1), source_line.size());
      for (size_t i = 0; i < width; ++i) pad += source_line[i] == '\t' ? '\t' : ' ';
      text += "\n  " + pad + "^";
    }
  }
  if (!repair.empty()) text += "\n  " + repair;
  return text;
}

Error::Error(std::string what, std::string repair, Place place)
    : Error(Problem{std::move(place), std::move(what), std::move(repair), ""}) {}

Error::Error(Problem problem) : Error(std::vector<Problem>{std::move(problem)}) {}

Error::Error(std::vector<Problem> problems)
    : std::runtime_error(join(problems)), problems_(std::move(problems)) {}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  if (!near.empty()) {
    const std::string odd = ascii_repair(near).empty() ? ascii_repair(word) : "";
    return fmt::format("did you mean `{}`?{}", near, odd.empty() ? "" : fmt::format(" ({})", odd));
  }
  return fmt::format("valid: {}", fmt::join(candidates, ", "));
}

}  // namespace tarflow
