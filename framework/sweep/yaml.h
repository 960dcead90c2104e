// A YAML document as a tree in which every value knows its place: what yaml-cpp parses, with what
// it leaves out. Duplicate keys are found, merge keys `<<` and aliases are expanded within bounds.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "framework/core/error.h"

namespace tarflow::sweep {

// A position in a document. Lines and columns (of characters, not bytes) count from 1; 0: unknown.
struct Mark {
  int line = 0;
  int column = 0;
  int source = 0;  // of Sources: the file; 0: the sweep file itself
  bool operator==(const Mark&) const = default;
};

enum class NodeKind { kNull, kScalar, kList, kMap };

struct Node;
using NodePtr = std::shared_ptr<const Node>;  // shared by aliases; never null, never cyclic

struct Entry {
  std::string key;
  Mark mark;  // of the key
  NodePtr value;
};

struct Node {
  NodeKind kind = NodeKind::kNull;
  Mark mark;
  std::string text;  // of a scalar
  bool quoted =
      false;  // a scalar that is text whatever it looks like: quotes, | or > blocks, !!str
  std::vector<NodePtr> items;  // of a list
  std::vector<Entry> entries;  // of a map, in the order of the file; no key twice

  const Entry* find(std::string_view key) const;  // nullptr when there is none
};

// Limits that no sweep written by a person or a script comes near.
inline constexpr size_t kMaxYamlBytes = size_t{16} << 20;
inline constexpr int kMaxYamlDepth = 64;            // of nested lists and maps, aliases followed
inline constexpr size_t kMaxYamlNodes = 1'000'000;  // values, aliases and merge keys expanded

struct Document {
  std::string file;  // as places name it
  std::string text;
  std::vector<size_t> line_starts;  // byte offsets in `text`
  NodePtr root;
  std::vector<Problem> problems;  // duplicate keys: the tree keeps the first of them

  // A problem at `mark`, with its source line unless that is too long to be shown.
  Problem problem(Mark mark, std::string what, std::string repair = "") const;
};

// Throws Error with its place when `text` is not one YAML document in UTF-8 within the limits
// above, when a key is not text, when a key or value holds a character that is not seen and is not
// written as an escape, or when a tag other than !!str is used. An empty document has a null root.
Document parse_yaml(std::string text, std::string file);
Document read_yaml(const std::filesystem::path& file);  // also throws Error when it cannot be read

}  // namespace tarflow::sweep
