// The files that a sweep is read from: the sweep file, what it takes in with `use:`, and the
// command line.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "framework/sweep/yaml.h"

namespace tarflow::sweep {

using Folders = std::vector<std::filesystem::path>;

struct Source {
  std::shared_ptr<const Document> document;
  // The `use:` that took it in; line 0: nothing did. A file that is used twice is two sources, so
  // that messages tell which use of it is at fault.
  Mark used_at;
  std::shared_ptr<const Folders> folders;  // where its relative paths are looked for
};

// Indexed by Mark::source.
class Sources {
 public:
  Sources() = default;
  explicit Sources(Document document);  // a file that uses no other, looked for nowhere

  int add(Source source);  // returns its index
  const Source& at(Mark mark) const { return sources_.at(static_cast<size_t>(mark.source)); }
  int depth(Mark mark) const;  // number of `use:` between the sweep file and the place

  // With the source line, and the places of the `use:` that led there.
  Problem problem(Mark mark, std::string what, std::string repair = "") const;
  // "line 3", and the file as well when it is not that of `from`.
  std::string line(Mark mark, Mark from) const;

 private:
  std::vector<Source> sources_;
};

}  // namespace tarflow::sweep
