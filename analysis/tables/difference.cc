#include "analysis/tables/difference.h"

#include <fmt/format.h>

#include <map>

#include "analysis/show/format.h"

namespace tarflow::analysis {
namespace {

// What is compared on the same noise.
std::string title_of(const Point& point, const std::string& model) {
  const std::string against = point.text("against");
  return fmt::format("Differences from {}: {}, cfg {}, attn_temp {}, self_denoising_lr {}, seed {}",
                     against.empty() ? "For" : against, model, setting_text(point, "cfg"),
                     setting_text(point, "attn_temp"), setting_text(point, "self_denoising_lr"),
                     setting_text(point, "seed"));
}

std::vector<Cell> row_of(const Point& point, const std::string& name) {
  Cell strategy{name};
  if (point.number("nonfinite_images").value_or(0) > 0) {
    strategy.note = fmt::format("{} images had values that are not finite",
                                count_text(*point.number("nonfinite_images")));
  }
  if (const std::string warning = point.warning(); !warning.empty()) strategy.note = warning;
  if (point.flag("smoke")) strategy.note = "smoke run: the figures mean nothing";
  strategy.origins = {point.origin()};
  return {strategy, deviation_cell(point.number("deviation_median")),
          deviation_cell(point.number("deviation_p99")),
          deviation_cell(point.number("deviation_max")),
          count_cell(point.number("images_compared"))};
}

}  // namespace

TableSet difference_tables(const std::vector<Point>& points) {
  TableSet result;
  const std::vector<std::string> models = model_names(points);
  std::map<std::string, std::vector<Point>> groups;
  for (size_t i = 0; i < points.size(); ++i)
    groups[title_of(points[i], models[i])].push_back(points[i]);
  for (const auto& [title, group] : groups) {
    Table table;
    table.title = title;
    table.columns = {{"strategy", Align::kLeft}, {"median"}, {"p99"}, {"largest"}, {"images"}};
    std::vector<std::string> names;
    for (const Point& point : group) names.push_back(point.text("strategy"));
    for (const char* column : {"strategy_blocks", "compute", "device", "num_images"})
      add_differing(names, group, column);
    for (size_t i = 0; i < group.size(); ++i) table.rows.push_back(row_of(group[i], names[i]));
    table.footnotes = {
        "Of the images' rms difference on the same noise, relative to the rms of all."};
    result.shown += group.size();
    result.tables.push_back(std::move(table));
  }
  return result;
}

}  // namespace tarflow::analysis
