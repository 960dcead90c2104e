#include "analysis/compare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "analysis/data/points.h"

namespace tarflow::analysis {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr size_t kTextShown = 24;

// Of two values that are not the same; infinite where they cannot be subtracted.
struct Deviation {
  double absolute = kInfinite, relative = kInfinite;

  double by(const CompareOptions& options) const { return options.relative ? relative : absolute; }
};

// Where a deviation is, and between what.
struct Where {
  std::string point;
  std::string element;  // "[0,3]" of an array, "" of a cell
  std::string a, b;
};

// The differences of one column, or of one array, over all points.
struct Found {
  std::set<std::string> points;
  Deviation largest;  // each of the two by itself
  Where place;        // of the one that the tolerance is about
};

struct Comparer {
  const CompareOptions& options;
  std::map<std::string, Found> found = {};  // by column, or by path with <point> for its id

  void add(const std::string& what, const Deviation& deviation, Where place) {
    const auto [at, fresh] = found.try_emplace(what);
    Found& entry = at->second;
    entry.points.insert(place.point);
    if (fresh || deviation.by(options) > entry.largest.by(options)) entry.place = std::move(place);
    if (fresh) entry.largest = deviation;
    entry.largest.absolute = std::max(entry.largest.absolute, deviation.absolute);
    entry.largest.relative = std::max(entry.largest.relative, deviation.relative);
  }
  // Of values that cannot be subtracted.
  void add_unlike(const std::string& what, const std::string& point, std::string a, std::string b) {
    add(what, {}, {point, "", std::move(a), std::move(b)});
  }
};

std::string shortened(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (text.size() <= kTextShown) return text;
  size_t end = kTextShown - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // whole letters
  return text.substr(0, end) + "...";
}

bool same_bits(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

Deviation deviation_of(double a, double b) {
  if (!std::isfinite(a) || !std::isfinite(b)) return {};
  const double larger = std::max(std::abs(a), std::abs(b));
  return {std::abs(a - b), a == b ? 0 : std::abs(a / larger - b / larger)};
}

Deviation deviation_of(int64_t a, int64_t b) {
  const auto x = static_cast<long double>(a), y = static_cast<long double>(b);
  const long double absolute = std::abs(x - y);
  return {static_cast<double>(absolute),
          static_cast<double>(absolute / std::max(std::abs(x), std::abs(y)))};
}

Deviation deviation_of(const std::string&, const std::string&) { return {}; }

std::string shown(double value) { return fmt::format("{:.9g}", value); }
std::string shown(int64_t value) { return fmt::format("{}", value); }
std::string shown(const std::string& text) { return shortened(text); }

std::string text_of(const record::Cell& cell) {
  return std::visit([](const auto& value) { return shown(value); }, cell);
}

bool absent(const record::Row& row, const std::string& name) {
  const auto cell = row.find(name);
  if (cell == row.end()) return true;
  if (const double* number = std::get_if<double>(&cell->second)) return std::isnan(*number);
  const std::string* text = std::get_if<std::string>(&cell->second);
  return text && text->empty();
}

std::optional<Deviation> deviation_of(const record::Cell& a, const record::Cell& b) {
  const std::string *text_a = std::get_if<std::string>(&a), *text_b = std::get_if<std::string>(&b);
  if (text_a || text_b) return a == b ? std::nullopt : std::optional<Deviation>(Deviation{});
  const int64_t *whole_a = std::get_if<int64_t>(&a), *whole_b = std::get_if<int64_t>(&b);
  if (whole_a && whole_b) {
    if (*whole_a == *whole_b) return std::nullopt;
    return deviation_of(*whole_a, *whole_b);
  }
  // A merge makes a column float64 when any of its jobs does.
  const double x = whole_a ? static_cast<double>(*whole_a) : std::get<double>(a);
  const double y = whole_b ? static_cast<double>(*whole_b) : std::get<double>(b);
  if (same_bits(x, y)) return std::nullopt;
  return deviation_of(x, y);
}

void compare_cells(Comparer& comparer, const std::string& point, const std::string& name,
                   const record::Row& row_a, const record::Row& row_b) {
  const bool no_a = absent(row_a, name), no_b = absent(row_b, name);
  if (no_a && no_b) return;
  const std::string a = no_a ? "absent" : text_of(row_a.at(name)),
                    b = no_b ? "absent" : text_of(row_b.at(name));
  if (no_a || no_b) {
    comparer.add_unlike(name, point, a, b);
  } else if (const auto deviation = deviation_of(row_a.at(name), row_b.at(name))) {
    comparer.add(name, *deviation, {point, "", a, b});
  }
}

std::string element_at(size_t index, const std::vector<int64_t>& shape) {
  std::vector<int64_t> place(shape.size());
  int64_t rest = static_cast<int64_t>(index);
  for (size_t axis = shape.size(); axis-- > 0; rest /= shape[axis])
    place[axis] = rest % shape[axis];
  return shape.empty() ? "" : fmt::format("[{}]", fmt::join(place, ","));
}

std::string shape_text(const record::Array& array) {
  return fmt::format("{} ({})", to_string(array.type), fmt::join(array.shape, ","));
}

template <typename Value, typename Same>
void compare_elements(Comparer& comparer, const std::string& what, const std::string& point,
                      const std::vector<int64_t>& shape, const std::vector<Value>& a,
                      const std::vector<Value>& b, const Same& same) {
  std::optional<size_t> place;
  Deviation largest{0, 0}, at_place;
  for (size_t i = 0; i < a.size(); ++i) {
    if (same(a[i], b[i])) continue;
    const Deviation deviation = deviation_of(a[i], b[i]);
    largest.absolute = std::max(largest.absolute, deviation.absolute);
    largest.relative = std::max(largest.relative, deviation.relative);
    if (place && deviation.by(comparer.options) <= at_place.by(comparer.options)) continue;
    place = i;
    at_place = deviation;
  }
  if (!place) return;
  comparer.add(what, largest,
               {point, element_at(*place, shape), shown(a[*place]), shown(b[*place])});
}

std::vector<int64_t> integers(const record::Array& array) {
  std::vector<int64_t> values(array.data.size() / sizeof(int64_t));
  std::copy(array.data.begin(), array.data.end(),
            std::as_writable_bytes(std::span(values)).begin());
  return values;
}

void compare_arrays(Comparer& comparer, const std::string& what, const std::string& point,
                    const record::Array& a, const record::Array& b) {
  if (a.type != b.type || a.shape != b.shape) {
    comparer.add_unlike(what, point, shape_text(a), shape_text(b));
  } else if (a.type == record::ArrayType::kString) {
    compare_elements(comparer, what, point, a.shape, a.strings, b.strings, std::equal_to<>());
  } else if (a.data == b.data) {
    return;                                          // as nearly all are
  } else if (a.type == record::ArrayType::kInt64) {  // which doubles do not hold
    compare_elements(comparer, what, point, a.shape, integers(a), integers(b), std::equal_to<>());
  } else {
    compare_elements(comparer, what, point, a.shape, record::to_doubles(a), record::to_doubles(b),
                     same_bits);
  }
}

using Rows = std::map<std::string, Point>;  // by id

Rows rows_of(const record::SweepRecord& sweep) {
  Rows rows;
  for (const record::Row& row : sweep.rows) {
    Point point{&row, nullptr};
    // A job's own file need not say whose its rows are.
    const auto job = row.contains("job") || sweep.jobs.size() != 1
                         ? sweep.jobs.find(point.text("job"))
                         : sweep.jobs.begin();
    if (job != sweep.jobs.end()) point.job = &job->second;
    rows[point.id()] = point;
  }
  return rows;
}

// The arrays of a point by path: its own, and those of its whole job.
std::map<std::string, const record::Array*> arrays_of(const Point& point, bool times) {
  std::map<std::string, const record::Array*> arrays;
  if (!point.job) return arrays;
  for (const record::Array& array : point.job->arrays) {
    const bool belongs = array.point.empty() || array.point == point.id();
    if (belongs && (times || !array.timing)) arrays[array.path] = &array;
  }
  return arrays;
}

std::string without_id(std::string path, const std::string& id) {
  const size_t at = id.empty() ? std::string::npos : path.find(id);
  return at == std::string::npos ? path : path.replace(at, id.size(), "<point>");
}

void compare_arrays(Comparer& comparer, const Point& a, const Point& b) {
  const auto arrays_a = arrays_of(a, comparer.options.times),
             arrays_b = arrays_of(b, comparer.options.times);
  for (const auto& [path, array] : arrays_a) {
    const auto other = arrays_b.find(path);
    const std::string what = without_id(path, a.id());
    if (other == arrays_b.end()) {
      comparer.add_unlike(what, a.id(), shape_text(*array), "absent");
    } else {
      compare_arrays(comparer, what, a.id(), *array, *other->second);
    }
  }
  for (const auto& [path, array] : arrays_b) {
    if (arrays_a.contains(path)) continue;
    comparer.add_unlike(without_id(path, a.id()), a.id(), "absent", shape_text(*array));
  }
}

std::set<std::string> columns_of(const record::SweepRecord& a, const record::SweepRecord& b,
                                 bool times) {
  std::set<std::string> names, left_out{"job"};
  if (!times) left_out.insert("device");
  for (const record::SweepRecord* sweep : {&a, &b}) {
    for (const Column& column : sweep->columns) {
      names.insert(column.name);
      if (column.timing && !times) left_out.insert(column.name);
    }
  }
  for (const std::string& name : left_out) names.erase(name);
  return names;
}

std::string number_text(double value) {
  return std::isinf(value) ? kNoValue : value == 0 ? "0" : fmt::format("{:.2e}", value);
}

using Ordered = std::vector<std::pair<std::string, Found>>;

Ordered by_deviation(const Comparer& comparer) {
  Ordered ordered(comparer.found.begin(), comparer.found.end());
  std::stable_sort(ordered.begin(), ordered.end(), [&](const auto& x, const auto& y) {
    return x.second.largest.by(comparer.options) > y.second.largest.by(comparer.options);
  });
  return ordered;
}

Table table_of(const Ordered& ordered) {
  Table table;
  table.title = "Differences, the largest first";
  table.columns = {{"result", Align::kLeft}, {"points"}, {"absolute"}, {"relative"},
                   {"where", Align::kLeft},  {"A"},      {"B"}};
  for (const auto& [what, found] : ordered) {
    table.rows.push_back(
        {{what},
         {std::to_string(found.points.size())},
         {number_text(found.largest.absolute)},
         {number_text(found.largest.relative)},
         {found.place.element.empty() ? found.place.point
                                      : found.place.point + " " + found.place.element},
         {found.place.a},
         {found.place.b}});
  }
  table.footnotes.push_back(
      "Largest |a - b| and |a - b| / max(|a|, |b|) over all points and elements; — where values "
      "cannot be subtracted. Where: the point and element of the largest; A and B are the values "
      "there.");
  return table;
}

std::string counted(size_t count) {
  return fmt::format("{} point{}", count, count == 1 ? "" : "s");
}

std::string verdict_of(const Ordered& ordered, size_t common, size_t only_a, size_t only_b,
                       bool within, const CompareOptions& options) {
  std::string text;
  if (common == 0) {
    text = only_a + only_b == 0 ? "Nothing compared: neither file holds a point"
                                : "Different: no point is in both";
  } else if (within && ordered.empty()) {
    text = fmt::format("Equal: {} agree in every bit", counted(common));
  } else if (ordered.empty()) {
    text = fmt::format("Different: {} in both agree in every bit", counted(common));
  } else {
    std::set<std::string> points;
    for (const auto& [what, found] : ordered)
      points.insert(found.points.begin(), found.points.end());
    const double largest = ordered.front().second.largest.by(options);
    text = fmt::format("{}: {} of {} differ, most in {}", within ? "Within tolerance" : "Different",
                       points.size(), counted(common), ordered.front().first);
    if (std::isfinite(largest)) {
      text += fmt::format(" by {:.2e}{}", largest, options.relative ? " of the value" : "");
    }
    text +=
        fmt::format("; tolerance {:g}{}", options.tolerance, options.relative ? ", relative" : "");
  }
  if (only_a > 0) text += fmt::format("; {} only in A", counted(only_a));
  if (only_b > 0) text += fmt::format("; {} only in B", counted(only_b));
  return text + (options.times ? "." : ". Times and devices are left out.");
}

}  // namespace

Comparison compare(const record::SweepRecord& a, const record::SweepRecord& b,
                   const CompareOptions& options) {
  const Rows rows_a = rows_of(a), rows_b = rows_of(b);
  const std::set<std::string> columns = columns_of(a, b, options.times);
  Comparer comparer{options};
  size_t common = 0;
  for (const auto& [id, point] : rows_a) {
    const auto other = rows_b.find(id);
    if (other == rows_b.end()) continue;
    ++common;
    for (const std::string& name : columns) {
      compare_cells(comparer, id, name, *point.row, *other->second.row);
    }
    compare_arrays(comparer, point, other->second);
  }
  const size_t only_a = rows_a.size() - common, only_b = rows_b.size() - common;
  const Ordered ordered = by_deviation(comparer);
  // Differences of 0, in the sign of zero, are none but to a tolerance of 0.
  const bool alike =
      ordered.empty() ||
      (options.tolerance > 0 && ordered.front().second.largest.by(options) <= options.tolerance);
  Comparison result;
  result.within = common > 0 && only_a == 0 && only_b == 0 && alike;
  result.table = table_of(ordered);
  result.verdict = verdict_of(ordered, common, only_a, only_b, result.within, options);
  return result;
}

}  // namespace tarflow::analysis
