#include "analysis/tables/device_error.h"

#include <fmt/format.h>

#include <map>

#include "analysis/show/format.h"

namespace tarflow::analysis {
namespace {

std::vector<Cell> row_of(const Point& point, const std::string& name, const std::string& prefix) {
  std::vector<Cell> row = {{.text = name, .origins = {point.origin()}}};
  for (const char* end : {"_median", "_p99", "_max"}) {
    row.push_back(deviation_cell(point.number(prefix + end)));
  }
  row.front().note = point.warning();
  if (point.flag("smoke")) row.front().note = "smoke run: the figures mean nothing";
  return row;
}

}  // namespace

TableSet device_error_tables(const std::vector<Point>& points) {
  TableSet result;
  const std::vector<std::string> models = model_names(points);
  std::map<std::string, std::vector<Point>> groups;
  for (size_t i = 0; i < points.size(); ++i) {
    const Point& point = points[i];
    groups[fmt::format("{} against float32: {}, {}, cfg {}", point.text("compute"), models[i],
                       point.text("device"), setting_text(point, "cfg"))]
        .push_back(point);
  }
  for (const auto& [title, group] : groups) {
    Table table;
    table.title = title;
    table.columns = {{"", Align::kLeft}, {"median"}, {"p99"}, {"largest"}};
    table.rows.push_back(row_of(group.front(), "forward pass", "forward"));
    for (const Point& point : group)
      table.rows.push_back(row_of(point, point.text("strategy"), "deviation"));
    table.footnotes = {fmt::format(
        "The rms difference of each of {} images (latents of the forward pass) over the rms of all "
        "in float32.",
        setting_text(group.front(), "num_images"))};
    result.tables.push_back(std::move(table));
    result.shown += group.size();
  }
  return result;
}

}  // namespace tarflow::analysis
