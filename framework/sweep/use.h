// `use:`: values and maps from other files, put into the tree before anything else looks at it.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/sweep/report.h"

namespace tarflow::sweep {

inline constexpr size_t kMaxUseDepth = 16;  // of a file that uses a file that uses ...

// Expands `use:` and `${env:...}`:
//   a: {use: FILE#key}              a is what stands below `key` in FILE, of whatever kind
//   [x, {use: FILE#key}]            of a list the items; else one item
//   a: {use: FILE#key, b: 1}        the keys of the map below `key` join those of a, at the place
//   of
//                                   `use`; a key that both have is a's, but where it is one of
//                                   kMerged and both are maps, their keys are joined the same way
//   use: [FILE#key, FILE2, "#key"]  several, the earlier one wins; of lists all items; FILE: the
//                                   whole file, #key: of this file
// `key` leads through maps: models.afhq. FILE is looked for beside the file that names it, then in
// the preset folders.
class Expander {
 public:
  // `root_folders` are searched for relative paths after those of a used file's own place.
  Expander(Sources& sources, std::vector<std::filesystem::path> preset_folders,
           std::shared_ptr<const Folders> root_folders, Report& report);

  // The tree of a source, which `sources` has. What is wrong is reported; what remains is returned.
  // Throws Error when everything together is larger than a sweep may be.
  NodePtr expand(const NodePtr& node, int source);

 private:
  struct Loaded {
    std::shared_ptr<const Document> document;
    std::shared_ptr<const Folders> folders;
  };

  NodePtr expand(const NodePtr& node, int source, int level);
  NodePtr expand_scalar(const NodePtr& node, Mark mark);
  NodePtr expand_list(const NodePtr& node, Mark mark, int level);
  NodePtr expand_map(const NodePtr& node, Mark mark, int level);
  NodePtr expand_value(const Node& map, Mark mark, int level);
  std::vector<NodePtr> targets(const Entry& use, int source, int level);
  NodePtr target(const Node& text, Mark mark, int level);
  NodePtr follow(NodePtr node, std::string key, int source, Mark mark, int level,
                 const std::string& file);
  const Loaded* load(const std::string& file, Mark mark);
  void charge(Mark mark, int level);

  Sources& sources_;
  std::vector<std::filesystem::path> preset_folders_;
  std::shared_ptr<const Folders> root_folders_;
  Report& report_;
  std::map<std::filesystem::path, Loaded> loaded_;
  std::vector<std::string> open_;  // the `use:` being followed, to find circles
  size_t nodes_ = 0;
  size_t bytes_ = 0;
};

// The place as one in the source.
inline Mark in_source(Mark mark, int source) { return {mark.line, mark.column, source}; }

}  // namespace tarflow::sweep
