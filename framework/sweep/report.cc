#include "framework/sweep/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace tarflow::sweep {

void Report::error(Mark mark, std::string what, std::string repair) {
  if (std::find(silenced.begin(), silenced.end(), mark) != silenced.end()) return;
  errors.push_back(sources.problem(mark, std::move(what), std::move(repair)));
}

Report Report::fresh() const {
  Report report(sources);
  report.silenced = silenced;
  report.incomplete = incomplete;
  return report;
}

void Report::take_errors(const Report& other) {
  errors.insert(errors.end(), other.errors.begin(), other.errors.end());
}

std::vector<Problem> in_order(std::vector<Problem> problems, const std::string& first_file,
                              size_t limit) {
  const auto key = [&](const Problem& problem) {
    return std::tuple<bool, const std::string&, int, int, const std::string&>(
        problem.place.file != first_file, problem.place.file, problem.place.line,
        problem.place.column, problem.what);
  };
  std::stable_sort(problems.begin(), problems.end(),
                   [&](const Problem& a, const Problem& b) { return key(a) < key(b); });
  problems.erase(std::unique(problems.begin(), problems.end(),
                             [&](const Problem& a, const Problem& b) { return key(a) == key(b); }),
                 problems.end());
  if (problems.size() > limit) {
    Problem rest;
    rest.place.file = first_file;
    rest.what = fmt::format("and {} more", problems.size() - limit);
    problems.resize(limit);
    problems.push_back(std::move(rest));
  }
  return problems;
}

}  // namespace tarflow::sweep
