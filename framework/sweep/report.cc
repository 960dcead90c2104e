#include "framework/sweep/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace tarflow::sweep {

std::vector<Problem> in_order(std::vector<Problem> problems, size_t limit) {
  const auto key = [](const Problem& problem) {
    return std::tie(problem.place.line, problem.place.column, problem.what);
  };
  std::stable_sort(problems.begin(), problems.end(),
                   [&](const Problem& a, const Problem& b) { return key(a) < key(b); });
  problems.erase(std::unique(problems.begin(), problems.end(),
                             [&](const Problem& a, const Problem& b) { return key(a) == key(b); }),
                 problems.end());
  if (problems.size() > limit) {
    Problem rest;
    rest.place.file = problems.front().place.file;
    rest.what = fmt::format("and {} more", problems.size() - limit);
    problems.resize(limit);
    problems.push_back(std::move(rest));
  }
  return problems;
}

}  // namespace tarflow::sweep
