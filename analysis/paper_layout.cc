#include "analysis/paper_layout.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "analysis/distances.h"
#include "analysis/format.h"

namespace tarflow::analysis {
namespace {

constexpr double kWithin = 0.01;  // of For's distance

bool comparable(const Point& point) {
  return invalid_timing(point).empty() && point.number("total_seconds") && point.number("distance");
}

// What one column shows.
struct Shown {
  const SpeedupBlock* block = nullptr;
  Point reference;
  const PublishedModel* published = nullptr;
};

// The strategy's index in the block; nothing where none will do.
std::optional<size_t> strategy_of(const Shown& shown) {
  const auto& points = shown.block->points;
  const double limit = *shown.reference.number("distance") * (1 + kWithin);
  std::optional<size_t> best;
  for (size_t i = 0; i < points.size(); ++i) {
    if (is_sequential(points[i]) || !comparable(points[i])) continue;
    if (shown.published && points[i].text("strategy_blocks") == describe(shown.published->strategy))
      return i;
    if (*points[i].number("distance") > limit) continue;
    if (!best || *points[i].number("total_seconds") < *points[*best].number("total_seconds"))
      best = i;
  }
  return best;
}

// One column a model and device: the block of the smallest distance.
std::vector<Shown> columns_of(const std::vector<SpeedupBlock>& blocks, const Published* published) {
  std::map<std::pair<std::string, std::string>, Shown> columns;
  for (const SpeedupBlock& block : blocks) {
    const Point* reference = block.reference();
    if (!reference || !comparable(*reference)) continue;
    Shown& shown = columns[{block.model, reference->text("device")}];
    if (shown.block && *shown.reference.number("distance") <= *reference->number("distance"))
      continue;
    shown = {&block, *reference,
             published ? find_figures(*published, reference->checkpoint()) : nullptr};
  }
  std::vector<Shown> result;
  for (const auto& [key, shown] : columns) result.push_back(shown);
  return result;
}

// "For" time, its distance, the strategy, its time, its distance, the rate.
std::vector<Cell> measured_cells(const Shown& shown) {
  const auto time = [](const Point& point) {
    const auto seconds = point.number("total_seconds");
    return number_cell(seconds, decimals_for({seconds}));
  };
  const auto distance = [](const Point& point) {
    Cell cell = estimate_cell(*distance_of(point), 4);
    cell.note.clear();  // the table of distances says why there is no error
    return cell;
  };
  std::vector<Cell> cells = {time(shown.reference), distance(shown.reference)};
  cells.front().origins = {shown.reference.origin()};
  const auto index = strategy_of(shown);
  if (!index) {
    cells.push_back({kNoValue, false, "no strategy is within 1 % of For's distance"});
    cells.resize(6, {kNoValue});
    return cells;
  }
  const Point& point = shown.block->points[*index];
  cells.push_back({shown.block->names[*index]});
  cells.back().origins = {point.origin()};
  cells.push_back(time(point));
  cells.push_back(distance(point));
  cells.push_back(number_cell(rate(point, &shown.reference), 2));
  return cells;
}

std::vector<Cell> published_cells(const PublishedModel& model) {
  std::vector<Cell> cells = {number_cell(model.for_time, 2),
                             number_cell(model.for_distance, 2),
                             {model.strategy.name},
                             number_cell(model.strategy_time, 2),
                             number_cell(model.strategy_distance, 2),
                             number_cell(model.rate, 2)};
  for (Cell& cell : cells) cell.published = true;
  return cells;
}

std::string footnote_of(const Shown& shown, const std::string& name) {
  const Point& point = shown.reference;
  const std::string few = too_few_images(point);
  return fmt::format(
      "{}: seconds for {} images on {}, {}; {} of {} images; cfg {}, attention temperature {}, "
      "self-denoising {}, seed {}.{}",
      name, count_text(point.number("num_images").value_or(0)), point.text("device"),
      point.text("compute"), point.text("distance_name"),
      count_text(point.number("distance_images").value_or(0)), setting_text(point, "cfg"),
      setting_text(point, "attn_temp"), setting_text(point, "self_denoising_lr"),
      setting_text(point, "seed"), few.empty() ? "" : " " + few + ".");
}

}  // namespace

std::optional<Table> paper_layout(const std::vector<SpeedupBlock>& blocks,
                                  const Published* published) {
  const std::vector<Shown> columns = columns_of(blocks, published);
  if (columns.empty()) return std::nullopt;
  Table table;
  table.title = "Speed-up in the paper's layout";
  table.columns.push_back({"", Align::kLeft});
  for (const char* title :
       {"\"For\" time", "\"For\" distance", "strategy", "time", "distance", "rate"})
    table.rows.push_back({{title}});
  const auto add = [&](const std::string& title, const std::vector<Cell>& cells) {
    table.columns.push_back({title});
    for (size_t i = 0; i < cells.size(); ++i) table.rows[i].push_back(cells[i]);
  };
  std::set<std::string> devices;
  for (const Shown& shown : columns) devices.insert(shown.reference.text("device"));
  bool beside = false;
  for (const Shown& shown : columns) {
    std::string name = shown.block->model;
    if (devices.size() > 1) name += ", " + shown.reference.text("device");
    add(name, measured_cells(shown));
    table.footnotes.push_back(footnote_of(shown, name));
    if (!shown.published) continue;
    beside = true;
    add(shown.published->name + " (published)", published_cells(*shown.published));
  }
  table.footnotes.push_back(fmt::format(
      "Where For's distance is smallest, with {}the fastest strategy whose distance is at most 1 % "
      "above it.",
      beside ? "the published strategy where it was measured, else " : ""));
  if (beside) {
    table.footnotes.push_back(fmt::format("Published: {}; {}; time: {}. {}.",
                                          published->distance_name, published->settings,
                                          published->time, published->source));
  }
  return table;
}

}  // namespace tarflow::analysis
