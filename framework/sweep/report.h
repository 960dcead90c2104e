// Collects what is wrong with a sweep file, so that all of it is reported at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/sweep/yaml.h"

namespace tarflow::sweep {

struct Report {
  const Document& document;
  std::vector<Problem> errors;
  std::vector<Problem> warnings;
  std::vector<Problem> missing;  // absent files

  void error(Mark mark, std::string what, std::string repair = "") {
    errors.push_back(document.problem(mark, std::move(what), std::move(repair)));
  }
  void warn(Mark mark, std::string what, std::string repair = "") {
    warnings.push_back(document.problem(mark, std::move(what), std::move(repair)));
  }
  void miss(Mark mark, std::string what, std::string repair = "") {
    missing.push_back(document.problem(mark, std::move(what), std::move(repair)));
  }
};

// Sorted by place, each once (defaults are read for several experiments), at most `limit` and then
// a count.
std::vector<Problem> in_order(std::vector<Problem> problems, size_t limit = SIZE_MAX);

}  // namespace tarflow::sweep
