#include "framework/sweep/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

namespace tarflow::sweep {

void Report::error(Mark mark, std::string what, std::string repair) {
  if (std::find(silenced.begin(), silenced.end(), mark) != silenced.end()) return;
  errors.push_back(sources.problem(mark, std::move(what), std::move(repair)));
}

void Report::miss(Mark mark, const std::string& key, const std::string& name,
                  const std::string& written, const std::string& repair) {
  Problem problem = sources.problem(mark, "", repair);
  const auto known = std::find_if(missing.begin(), missing.end(),
                                  [&](const Missing& other) { return other.key == key; });
  if (known == missing.end()) {
    missing.push_back({std::move(problem), key, {name}, written});
    return;
  }
  if (std::find(known->names.begin(), known->names.end(), name) == known->names.end())
    known->names.push_back(name);
  const std::string also = "also named in " + problem.place.str();
  if (problem.place != known->problem.place &&
      known->problem.repair.find(also) == std::string::npos)
    known->problem.repair += "\n  " + also;
}

std::vector<Problem> Report::missing_files() const {
  std::vector<Problem> problems;
  for (const Missing& one : missing) {
    problems.push_back(one.problem);
    problems.back().what = one.names.size() == 1
                               ? fmt::format("{} is missing: {}", one.names.front(), one.written)
                               : fmt::format("{} are missing: {}, one file",
                                             fmt::join(one.names, " and "), one.written);
  }
  return problems;
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
