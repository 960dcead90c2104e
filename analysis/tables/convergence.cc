#include "analysis/tables/convergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/show/format.h"
#include "framework/core/error.h"

namespace tarflow::analysis {
namespace {

const char* const kPercent = "iterations_to_percent";
const char* const kPermille = "iterations_to_permille";

// An array of the point's own below convergence/<point>/, with that many axes.
const record::Array& array_of(const Point& point, const std::string& name, size_t axes) {
  const std::string path = "convergence/" + point.id() + "/" + name;
  const record::Array* array = point.array(path);
  if (!array) throw Error(fmt::format("point {}: array {} is not in the file", point.id(), path));
  const bool empty = std::find(array->shape.begin(), array->shape.end(), 0) != array->shape.end();
  if (array->shape.size() != axes || empty || array->type == record::ArrayType::kString) {
    throw Error(
        fmt::format("point {}: array {} is not of {} axes of numbers", point.id(), path, axes));
  }
  return *array;
}

// The same as numbers, of which there must be `count`.
std::vector<double> numbers_of(const Point& point, const std::string& name, size_t axes,
                               size_t count) {
  std::vector<double> values = record::to_doubles(array_of(point, name, axes));
  if (values.size() != count) {
    throw Error(fmt::format("point {}: array {} has {} values, not {}", point.id(), name,
                            values.size(), count));
  }
  return values;
}

Cell count_or_never(double count) {
  if (count < 0) return {"never"};
  return {fmt::format("{:g}", count), false, "", count};
}

Cell significant(double value) {
  if (std::isnan(value)) return {kNoValue};
  return {fmt::format("{:.3g}", value), false, "", value};
}

// The largest count of a block's segments, where -1 stands for none that was enough.
double slowest(const std::vector<double>& counts, size_t row, size_t segments) {
  const auto first = counts.begin() + static_cast<long>(row * segments);
  const auto last = first + static_cast<long>(segments);
  return std::any_of(first, last, [](double count) { return count < 0; })
             ? -1
             : *std::max_element(first, last);
}

// Of the blocks measured segment by segment: the iterations of the slowest segment.
struct Segmented {
  std::map<size_t, std::pair<double, double>> by_block;  // to 1e-2, to 1e-3
};

Segmented segmented_of(const Point& point) {
  Segmented result;
  const record::Array* blocks = point.array("convergence/segment_blocks");
  if (!blocks) return result;
  const std::vector<double> names = record::to_doubles(*blocks);
  const std::vector<int64_t>& shape =
      array_of(point, fmt::format("segments/{}", kPercent), 2).shape;
  const size_t segments = static_cast<size_t>(shape[1]), count = names.size() * segments;
  const auto percent = numbers_of(point, fmt::format("segments/{}", kPercent), 2, count);
  const auto permille = numbers_of(point, fmt::format("segments/{}", kPermille), 2, count);
  for (size_t i = 0; i < names.size(); ++i) {
    result.by_block[static_cast<size_t>(names[i])] = {slowest(percent, i, segments),
                                                      slowest(permille, i, segments)};
  }
  return result;
}

std::string introduction(const Point& point) {
  const double clamp = point.number("clamp").value_or(0);
  return fmt::format(
      "{} images, cfg {}, attn_temp {}, seed {}, guess {}, {}. Each block starts from the {} "
      "output "
      "of the block before. At most {} iterations. Distances are to the sequential solution X*, "
      "relative to its norm.",
      setting_text(point, "num_images"), setting_text(point, "cfg"),
      setting_text(point, "attn_temp"), setting_text(point, "seed"), point.text("guess"),
      clamp > 0 ? fmt::format("clamp {:g}", clamp) : "no clamp", point.text("start"),
      setting_text(point, "max_iterations"));
}

Table table_of(const Point& point, const std::string& name) {
  const size_t blocks =
      static_cast<size_t>(array_of(point, fmt::format("jacobi/{}", kPercent), 1).shape[0]);
  const record::Array& curves = array_of(point, "jacobi/relative_distance", 2);
  const size_t iterations = static_cast<size_t>(curves.shape[1]);
  const auto numbers = [&](const char* array) {
    return numbers_of(point, fmt::format("jacobi/{}", array), 1, blocks);
  };
  const auto percent = numbers(kPercent), permille = numbers(kPermille),
             medians = numbers("error_ratio_median"), largest = numbers("error_ratio_max"),
             distances = numbers_of(point, "jacobi/relative_distance", 2, blocks * iterations);
  const Segmented segmented = segmented_of(point);
  Table table;
  table.title = fmt::format("Convergence of {}", name);
  table.introduction = introduction(point);
  table.columns = {{"block", Align::kLeft}, {"to 1e-2"},        {"to 1e-3"},
                   {"at the end"},          {"error/residual"}, {"largest"}};
  if (!segmented.by_block.empty()) {
    table.columns.push_back({fmt::format("{} segments to 1e-2", setting_text(point, "segments"))});
    table.columns.push_back({"to 1e-3"});
  }
  const std::optional<double> slow = point.number("slowest_block");
  for (size_t b = 0; b < blocks; ++b) {
    const bool bold = slow && *slow == static_cast<double>(b);
    std::vector<Cell> row = {
        {std::to_string(b)},         count_or_never(percent[b]),
        count_or_never(permille[b]), deviation_cell(distances[(b + 1) * iterations - 1]),
        significant(medians[b]),     significant(largest[b])};
    row[0].origins = {point.origin()};
    row[1].bold = row[2].bold = bold;
    if (!segmented.by_block.empty()) {
      const auto found = segmented.by_block.find(b);
      const bool measured = found != segmented.by_block.end();
      row.push_back(measured ? count_or_never(found->second.first) : Cell{kNoValue});
      row.push_back(measured ? count_or_never(found->second.second) : Cell{kNoValue});
    }
    table.rows.push_back(std::move(row));
  }
  table.footnotes.push_back(
      "To 1e-2: Jacobi iterations until the distance stays below it; bold: the slowest block. "
      "Error/residual: ||X* - x^k|| / ||x^k - x^(k-1)||, median and largest over iterations at a "
      "distance of 1e-4 to 0.1.");
  if (!segmented.by_block.empty())
    table.footnotes.push_back("Segments: iterations of the slowest one.");
  if (const std::string warning = point.warning(); !warning.empty())
    table.footnotes.push_back(fmt::format("To be known: {}.", warning));
  if (point.flag("smoke"))
    table.footnotes.push_back("Smoke run: the figures say nothing about a trained model.");
  return table;
}

}  // namespace

TableSet convergence_tables(const std::vector<Point>& points) {
  TableSet result;
  const auto names =
      distinct_names(points, {"clamp", "guess", "cfg", "attn_temp", "start", "segments", "seed",
                              "num_images", "max_iterations", "compute", "device"});
  for (size_t i = 0; i < points.size(); ++i) {
    try {
      result.tables.push_back(table_of(points[i], names[i]));
      ++result.shown;
    } catch (const Error& error) {
      result.left_out.push_back(error.what());
    }
  }
  return result;
}

}  // namespace tarflow::analysis
