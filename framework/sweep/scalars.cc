#include "framework/sweep/scalars.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "framework/core/characters.h"

namespace tarflow::sweep {
namespace {

constexpr size_t kListedKeys = 20;  // of more, only similar ones are told
constexpr size_t kSimilarKeys = 5;
constexpr double kExactIntegers = 9007199254740992.0;  // 2^53: beyond it a double skips integers

enum class NumberKind { kNone, kInteger, kFloat, kNotFinite };

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The core schema of YAML 1.2, decimal numbers only.
NumberKind number_kind(const Node& node) {
  if (node.kind != NodeKind::kScalar || node.quoted) return NumberKind::kNone;
  std::string_view rest = node.text;
  if (!rest.empty() && (rest[0] == '+' || rest[0] == '-')) rest.remove_prefix(1);
  for (const char* word : {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"}) {
    if (rest == word) return NumberKind::kNotFinite;
  }
  const auto digits = [&] {
    const size_t count = std::min(
        rest.size(),
        static_cast<size_t>(std::find_if_not(rest.begin(), rest.end(), is_digit) - rest.begin()));
    rest.remove_prefix(count);
    return count;
  };
  const size_t whole = digits();
  bool is_float = false;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    if (digits() + whole == 0) return NumberKind::kNone;
    is_float = true;
  } else if (whole == 0) {
    return NumberKind::kNone;
  }
  if (rest.starts_with('e') || rest.starts_with('E')) {
    rest.remove_prefix(1);
    if (rest.starts_with('+') || rest.starts_with('-')) rest.remove_prefix(1);
    if (digits() == 0) return NumberKind::kNone;
    is_float = true;
  }
  if (!rest.empty()) return NumberKind::kNone;
  return is_float ? NumberKind::kFloat : NumberKind::kInteger;
}

// Only after number_kind said that it is one. Nothing when it is too large.
template <typename T>
std::optional<T> parse(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void expected(const Node& node, const std::string& name, const char* what, Report& report,
              std::string repair = "") {
  if (repair.empty() && node.quoted && std::string_view(what) != "text")
    repair = "remove the quotes";
  if (node.kind == NodeKind::kNull) repair = "state a value or remove the key";
  if (node.kind == NodeKind::kScalar && std::string_view(what) != "text") {
    if (std::string odd = ascii_repair(node.text); !odd.empty()) repair = std::move(odd);
  }
  report.error(node.mark, fmt::format("`{}`: expected {}, found {}", name, what, found(node)),
               repair);
}

template <typename T>
std::optional<T> within(T value, const Node& node, const std::string& name, const Range<T>& range,
                        Report& report) {
  const bool low = range.minimum && value < *range.minimum;
  const bool high = range.maximum && value > *range.maximum;
  if (!low && !high) return value;
  report.error(node.mark,
               fmt::format("`{}` is {}, {} its {} of {}", name, node.text, low ? "below" : "above",
                           low ? "minimum" : "maximum", low ? *range.minimum : *range.maximum));
  return std::nullopt;
}

}  // namespace

std::string found(const Node& node) {
  switch (node.kind) {
    case NodeKind::kNull:
      return "nothing";
    case NodeKind::kList:
      return "a list";
    case NodeKind::kMap:
      return "a map";
    case NodeKind::kScalar:
      break;
  }
  const std::string shown = node.text.size() > 40 ? "a long text" : fmt::format("`{}`", node.text);
  return number_kind(node) == NumberKind::kNone ? "the text " + shown : "the number " + shown;
}

std::optional<int64_t> read_integer(const Node& node, const std::string& name, Range<int64_t> range,
                                    Report& report) {
  const NumberKind kind = number_kind(node);
  if (kind == NumberKind::kNone || kind == NumberKind::kNotFinite) {
    expected(node, name, "an integer", report);
    return std::nullopt;
  }
  std::optional<int64_t> value;
  if (kind == NumberKind::kInteger) {
    value = parse<int64_t>(node.text);
  } else if (const auto number = parse<double>(node.text)) {
    if (*number != std::floor(*number)) {
      expected(node, name, "an integer", report);
      return std::nullopt;
    }
    if (std::fabs(*number) <= kExactIntegers) value = static_cast<int64_t>(*number);
  }
  if (!value) {
    report.error(node.mark, fmt::format("`{}` is {}, too large for an integer", name, node.text));
    return std::nullopt;
  }
  return within(*value, node, name, range, report);
}

std::optional<double> read_number(const Node& node, const std::string& name, Range<double> range,
                                  Report& report) {
  const NumberKind kind = number_kind(node);
  if (kind == NumberKind::kNone) {
    expected(node, name, "a number", report);
    return std::nullopt;
  }
  const auto value = kind == NumberKind::kNotFinite ? std::nullopt : parse<double>(node.text);
  if (!value) {
    report.error(node.mark,
                 fmt::format("`{}` is {}, {}", name, node.text,
                             kind == NumberKind::kNotFinite ? "not a finite number"
                                                            : "out of the range of numbers"));
    return std::nullopt;
  }
  return within(*value + 0.0, node, name, range, report);  // + 0.0: -0 and 0 are one value
}

std::optional<bool> read_boolean(const Node& node, const std::string& name, Report& report) {
  if (node.kind == NodeKind::kScalar && !node.quoted) {
    if (node.text == "true") return true;
    if (node.text == "false") return false;
    for (const char* word :
         {"yes", "Yes", "YES", "on", "On", "ON", "y", "Y", "True", "TRUE", "1"}) {
      if (node.text != word) continue;
      report.error(node.mark, fmt::format("`{}`: expected true or false, found `{}`", name, word),
                   "write `true`");
      return std::nullopt;
    }
    for (const char* word :
         {"no", "No", "NO", "off", "Off", "OFF", "n", "N", "False", "FALSE", "0"}) {
      if (node.text != word) continue;
      report.error(node.mark, fmt::format("`{}`: expected true or false, found `{}`", name, word),
                   "write `false`");
      return std::nullopt;
    }
  }
  expected(node, name, "true or false", report);
  return std::nullopt;
}

std::optional<std::string> read_text(const Node& node, const std::string& name, Report& report) {
  if (node.kind != NodeKind::kScalar) {
    expected(node, name, "text", report);
    return std::nullopt;
  }
  if (node.text.empty()) {
    report.error(node.mark, fmt::format("`{}` is empty", name), "state a value or remove the key");
    return std::nullopt;
  }
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  if (std::any_of(node.text.begin(), node.text.end(), is_control)) {
    report.error(node.mark,
                 fmt::format("`{}` holds a line break or another control character", name),
                 "write it on one line");
    return std::nullopt;
  }
  return node.text;
}

const Node* read_list(const Node& node, const std::string& name, Report& report) {
  if (node.kind != NodeKind::kList) {
    expected(node, name, "a list", report,
             node.kind == NodeKind::kScalar ? fmt::format("write `[{}]`", node.text)
             : node.kind == NodeKind::kMap  ? "begin each item of the list with `- `"
                                            : "");
    return nullptr;
  }
  if (node.items.empty()) {
    report.error(node.mark, fmt::format("`{}` is an empty list", name), "state at least one value");
    return nullptr;
  }
  return &node;
}

const Node* read_map(const Node& node, const std::string& name, Report& report) {
  return is_filled_map(node, fmt::format("`{}`", name), report) ? &node : nullptr;
}

bool is_filled_map(const Node& node, const std::string& what, Report& report) {
  if (node.kind == NodeKind::kMap && !node.entries.empty()) return true;
  if (node.kind == NodeKind::kMap) {
    report.error(node.mark, fmt::format("{} is an empty map", what), "state at least one key");
  } else {
    report.error(
        node.mark,
        fmt::format("{}: expected a map (`key: value` lines), found {}", what, found(node)),
        node.kind == NodeKind::kNull ? "state a value or remove the key" : "");
  }
  return false;
}

std::string nearest_key(const std::string& key, const std::vector<std::string>& known,
                        const std::string& list) {
  std::vector<std::string> each, similar;
  for (const std::string& one : known) {
    if (std::find(each.begin(), each.end(), one) != each.end()) continue;
    each.push_back(one);
    if (one.find(key) != std::string::npos && similar.size() < kSimilarKeys) similar.push_back(one);
  }
  if (list.empty() || each.size() <= kListedKeys || !nearest(key, each).empty())
    return did_you_mean(key, each);
  return (similar.empty() ? "" : fmt::format("similar: {}; ", fmt::join(similar, ", "))) + list;
}

void require_keys(const Node& map, const std::string& owner, const std::vector<std::string>& known,
                  Report& report, const char* list) {
  for (const Entry& entry : map.entries) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    report.error(entry.mark, fmt::format("{} has no key `{}`", owner, entry.key),
                 nearest_key(entry.key, known, list));
  }
}

}  // namespace tarflow::sweep
