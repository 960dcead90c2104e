#include "analysis/tables/status.h"

namespace tarflow::analysis {

std::optional<Table> status_table(const std::vector<Point>& points) {
  Table table;
  table.title = "To be known before use";
  table.columns = {{"experiment", Align::kLeft},
                   {"model", Align::kLeft},
                   {"strategy", Align::kLeft},
                   {"point", Align::kLeft},
                   {"status", Align::kLeft}};
  for (const Point& point : points) {
    if (point.warning().empty()) continue;
    table.rows.push_back({{.text = point.text("experiment"), .origins = {point.origin()}},
                          {point.text("model")},
                          {point.text("strategy").empty() ? kNoValue : point.text("strategy")},
                          {point.id()},
                          {point.warning()}});
  }
  if (table.rows.empty()) return std::nullopt;
  table.footnotes = {"All other points have the status ok."};
  return table;
}

}  // namespace tarflow::analysis
