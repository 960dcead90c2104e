#include "framework/sweep/sources.h"

#include <fmt/format.h>

namespace tarflow::sweep {

Sources::Sources(Document document) {
  add({std::make_shared<const Document>(std::move(document)), {}, std::make_shared<Folders>()});
}

int Sources::add(Source source) {
  sources_.push_back(std::move(source));
  return static_cast<int>(sources_.size()) - 1;
}

int Sources::depth(Mark mark) const {
  int depth = 0;
  while ((mark = at(mark).used_at).line > 0) ++depth;
  return depth;
}

Problem Sources::problem(Mark mark, std::string what, std::string repair) const {
  Problem problem = at(mark).document->problem(mark, std::move(what), std::move(repair));
  std::string chain;
  for (Mark user = at(mark).used_at; user.line > 0; user = at(user).used_at) {
    chain += fmt::format("{}used in {}:{}:{}", chain.empty() ? "" : ", ", at(user).document->file,
                         user.line, user.column);
  }
  if (!chain.empty()) problem.repair += (problem.repair.empty() ? "" : "\n  ") + chain;
  return problem;
}

std::string Sources::line(Mark mark, Mark from) const {
  const std::string& file = at(mark).document->file;
  if (file == at(from).document->file) return fmt::format("line {}", mark.line);
  return fmt::format("line {} of {}", mark.line, file);
}

}  // namespace tarflow::sweep
