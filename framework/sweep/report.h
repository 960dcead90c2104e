// Collects what is wrong with a sweep, so that all of it is reported at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/sweep/sources.h"

namespace tarflow::sweep {

struct Report {
  explicit Report(const Sources& from) : sources(from) {}

  const Sources& sources;
  std::vector<Problem> errors;
  std::vector<Problem> warnings;
  // An absent file, told once however often it is named.
  struct Missing {
    Problem problem;
    std::string key;  // what settings of points hold: the path, or the name of a model
    std::vector<std::string> names;  // what needs it: "`extractor`"
    std::string written;
  };
  std::vector<Missing> missing;
  // Values that could not be had (a `use:` or `${env:...}` that failed): nothing more is said of
  // them.
  std::vector<Mark> silenced;
  // Keys are lacking because a `use:` failed: what is absent is not reported.
  bool incomplete = false;

  void error(Mark mark, std::string what, std::string repair = "");
  void warn(Mark mark, std::string what, std::string repair = "") {
    warnings.push_back(sources.problem(mark, std::move(what), std::move(repair)));
  }
  void miss(Mark mark, const std::string& key, const std::string& name, const std::string& written,
            const std::string& repair);
  std::vector<Problem> missing_files() const;
  // An empty report on the same files.
  Report fresh() const;
  void take_errors(const Report& other);
};

// Sorted by place, those of `first_file` first, each once (defaults are read for several
// experiments), at most `limit` and then a count.
std::vector<Problem> in_order(std::vector<Problem> problems, const std::string& first_file,
                              size_t limit = SIZE_MAX);

}  // namespace tarflow::sweep
