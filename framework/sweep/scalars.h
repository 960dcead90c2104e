// Typed reading of YAML scalars (YAML 1.2): what a value must be, what it is instead, and its
// range.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "framework/sweep/report.h"

namespace tarflow::sweep {

// "number", "boolean", "text `abc`", "list", "map" or "nothing", as messages name what was found.
std::string found(const Node& node);

template <typename T>
struct Range {
  std::optional<T> minimum, maximum;  // inclusive
};

// Each reports at the node's place and returns nothing when the node is not such a value. `name` is
// what messages call it, without quotes. Integers may be written as integral floats: 4.0, 1e3.
std::optional<int64_t> read_integer(const Node& node, const std::string& name, Range<int64_t> range,
                                    Report& report);
std::optional<double> read_number(const Node& node, const std::string& name, Range<double> range,
                                  Report& report);
std::optional<bool> read_boolean(const Node& node, const std::string& name, Report& report);
std::optional<std::string> read_text(const Node& node, const std::string& name,
                                     Report& report);  // one line, not empty

// The node if it is a list, or map, with at least one item; else reports and returns nullptr.
const Node* read_list(const Node& node, const std::string& name, Report& report);
const Node* read_map(const Node& node, const std::string& name, Report& report);
// The same; `what` is what messages call it, with its quotes if it has any.
bool is_filled_map(const Node& node, const std::string& what, Report& report);

inline constexpr const char* kListOfKeys = "all keys of an experiment: run_sweep --help NAME";
// "did you mean `x`?", else "valid: a, b, c". Where there are many keys and `list` says where they
// are listed: "similar: a, b; " and `list`.
std::string nearest_key(const std::string& key, const std::vector<std::string>& known,
                        const std::string& list);
// Reports every key of the map that is not among `known`, with the one it was probably meant to be.
void require_keys(const Node& map, const std::string& owner, const std::vector<std::string>& known,
                  Report& report, const char* list = "");

}  // namespace tarflow::sweep
