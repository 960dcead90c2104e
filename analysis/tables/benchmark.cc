#include "analysis/tables/benchmark.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "analysis/show/format.h"
#include "framework/core/strategy.h"

namespace tarflow::analysis {
namespace {

Cell scaled_cell(const Point& point, const char* column, double unit, int decimals) {
  const std::optional<double> value = point.number(column);
  return number_cell(value ? std::optional(*value / unit) : std::nullopt, decimals);
}

Cell percent_cell(const Point& point, const char* column) {
  return scaled_cell(point, column, 0.01, 1);
}

Cell seconds_cell(const Point& point, int decimals) {
  Cell cell = number_cell(point.number("seconds"), decimals);
  if (point.flag("smoke")) {
    cell.note = "smoke run: the time means nothing";
  } else if (!point.flag("exclusive")) {
    cell.note = "something else used the device meanwhile";
  }
  return cell;
}

// Half the range of the repeats, in percent of their median.
Cell spread_cell(const Point& point) {
  const auto least = point.number("seconds_min"), most = point.number("seconds_max"),
             median = point.number("seconds");
  if (!least || !most || !median || *median <= 0) return {kNoValue};
  const double percent = 50 * (*most - *least) / *median;
  return {.text = fmt::format("±{:.1f} %", percent), .value = percent};
}

Cell quotient_cell(std::optional<double> numerator, std::optional<double> denominator,
                   int decimals) {
  if (!numerator || !denominator || *denominator <= 0) return {kNoValue};
  return number_cell(*numerator / *denominator, decimals);
}

struct Named {
  Point point;
  std::string model;
};

std::vector<Cell> time_row(const Named& named, const Published* published, int decimals) {
  const Point& point = named.point;
  const auto seconds = point.number("seconds");
  const auto theirs = published ? published_seconds(point, *published) : std::nullopt;
  return {{.text = named.model, .origins = {point.origin()}},
          {point.text("strategy")},
          count_cell(point.number("batch")),
          seconds_cell(point, decimals),
          spread_cell(point),
          {.text = fixed(theirs, 2), .value = theirs, .published = theirs.has_value()},
          quotient_cell(theirs, seconds, 1),
          quotient_cell(seconds, point.number("floor_seconds"), 2),
          scaled_cell(point, "achieved_flops", 1e12, 1),
          scaled_cell(point, "achieved_bandwidth", 1e9, 0),
          percent_cell(point, "own_share"),
          scaled_cell(point, "peak_memory", 1e9, 2)};
}

std::string rates_text(const Point& point) {
  const auto rate = [&](const char* column, double unit) {
    const auto value = point.number(column);
    return value ? fmt::format("{:.3g}", *value / unit) : std::string(kNoValue);
  };
  return fmt::format(
      "Measured in the same job: matrix products {} TFLOP/s, causal attention {}, of segments {}, "
      "copies {} GB/s.",
      rate("gemm_rate", 1e12), rate("attention_rate", 1e12), rate("segment_attention_rate", 1e12),
      rate("copy_rate", 1e9));
}

Table time_table(const std::string& title, const std::vector<Named>& group,
                 const Published* published) {
  Table table;
  table.title = "Times: " + title;
  table.introduction = rates_text(group.front().point);
  table.columns = {{"model", Align::kLeft},
                   {"strategy", Align::kLeft},
                   {"batch"},
                   {"s"},
                   {"spread"},
                   {"published code s"},
                   {"ratio"},
                   {"over floor"},
                   {"TFLOP/s"},
                   {"GB/s"},
                   {"own %"},
                   {"GB"}};
  std::vector<std::optional<double>> seconds;
  for (const Named& named : group) seconds.push_back(named.point.number("seconds"));
  const int decimals = decimals_for(seconds);
  bool beside = false;
  for (const Named& named : group) {
    table.rows.push_back(time_row(named, published, decimals));
    beside = beside || (published && published_seconds(named.point, *published));
  }
  table.footnotes = {
      "s: noise to images, all blocks, the median of the repeats; spread: half their range.",
      "over floor: the time over what the rates above allow, of each block the longer of its "
      "arithmetic and its bytes; LayerNorm, GELU and updates are not counted.",
      "TFLOP/s, GB/s: by the shape's counts (linear layers and attention; weights, keys and "
      "values). own: no kernel and no copy running. GB: memory beyond the weights."};
  if (beside) {
    table.footnotes.push_back(fmt::format(
        "published code: seconds for {} images on one {}, {} autocast, random weights.",
        published->benchmark_batch, published->benchmark_device, published->benchmark_compute));
  }
  return table;
}

// Nothing when no point was profiled.
std::optional<Table> share_table(const std::string& title, const std::vector<Named>& group) {
  Table table;
  table.title = "Where the time goes: " + title;
  table.introduction = "Percent of the time of all kernels, in one profiled sampling.";
  table.columns = {{"model", Align::kLeft}, {"strategy", Align::kLeft}, {"batch"}};
  for (const auto& [column, name] : kKernelKinds) table.columns.push_back({name});
  for (const Named& named : group) {
    if (!named.point.number("share_gemm")) continue;
    std::vector<Cell> row = {{.text = named.model, .origins = {named.point.origin()}},
                             {named.point.text("strategy")},
                             count_cell(named.point.number("batch"))};
    for (const auto& [column, name] : kKernelKinds)
      row.push_back(percent_cell(named.point, column));
    table.rows.push_back(std::move(row));
  }
  if (table.rows.empty()) return std::nullopt;
  return table;
}

}  // namespace

std::optional<double> published_seconds(const Point& point, const Published& published) {
  const auto shape = point.model_shape();
  const PublishedModel* model = shape ? find_figures(published, *shape) : nullptr;
  const bool alike = model && point.text("device") == published.benchmark_device &&
                     point.text("compute") == published.benchmark_compute &&
                     point.number("batch") == static_cast<double>(published.benchmark_batch) &&
                     point.number("cfg").value_or(0) > 0 && !point.flag("smoke");
  if (!alike) return std::nullopt;
  const std::string blocks = point.text("strategy_blocks");
  if (blocks == describe(model->strategy)) return model->strategy_seconds;
  const Strategy sequential{"For", std::vector<BlockPlan>(model->strategy.blocks.size())};
  if (blocks == describe(sequential)) return model->for_seconds;
  return std::nullopt;
}

std::vector<Point> neighbours_together(std::vector<Point> points) {
  const auto place = [](const Point& point) {
    return std::tuple(point.text("model"), point.text("strategy") != "For", point.text("strategy"),
                      point.number("batch").value_or(0));
  };
  std::stable_sort(points.begin(), points.end(),
                   [&](const Point& a, const Point& b) { return place(a) < place(b); });
  return points;
}

TableSet benchmark_tables(const std::vector<Point>& measured, const Published* published) {
  TableSet result;
  const std::vector<Point> points = neighbours_together(measured);
  const std::vector<std::string> models = model_names(points);
  std::map<std::string, std::vector<Named>> groups;
  for (size_t i = 0; i < points.size(); ++i) {
    const std::string title =
        fmt::format("{}, {}", points[i].text("device"), points[i].text("compute"));
    groups[title].push_back({points[i], models[i]});
  }
  for (auto& [title, group] : groups) {
    result.tables.push_back(time_table(title, group, published));
    if (auto shares = share_table(title, group)) result.tables.push_back(std::move(*shares));
    result.shown += group.size();
  }
  return result;
}

}  // namespace tarflow::analysis
