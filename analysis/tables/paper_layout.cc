#include "analysis/tables/paper_layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <set>

#include "analysis/show/format.h"
#include "analysis/tables/distances.h"
#include "analysis/tables/measured.h"

namespace tarflow::analysis {
namespace {

// Whether the row has a distance, and times that are not worse than `worst`.
bool comparable(const SpeedupRow& row, Timing worst) {
  return timing_of(row) <= worst && row.mean_time("total_seconds") && row.mean("distance");
}

// What one column shows.
struct Shown {
  const SpeedupBlock* block = nullptr;
  const SpeedupRow* reference = nullptr;
  const PublishedModel* published = nullptr;
};

// The fastest whose distance is within 1 % of For's; nullptr where none is.
const SpeedupRow* fastest_within(const Shown& shown, Timing worst) {
  const SpeedupRow* best = nullptr;
  double best_rate = 0;
  for (const SpeedupRow& row : shown.block->rows) {
    const auto distance = distance_ratio(row.points, shown.reference->points);
    const auto faster = rate(row, shown.reference, worst);
    if (is_sequential(row.first()) || !faster || !distance || *distance > 1 + kWithin) continue;
    if (!best || *faster > best_rate) {
      best = &row;
      best_rate = *faster;
    }
  }
  return best;
}

std::string no_strategy_text(const Shown& shown) {
  std::set<std::string> other_seeds;
  for (const SpeedupRow& row : shown.block->rows) {
    if (!no_common_seed(row.points, shown.reference->points).empty()) other_seeds.insert(row.name);
  }
  std::string text = "no strategy is within 1 % of For's distance";
  if (!other_seeds.empty())
    text += fmt::format("; not compared, as For was measured with other seeds: {}",
                        fmt::join(other_seeds, ", "));
  return text;
}

// The row over the seeds of For; as it is where none is common.
SpeedupRow over_common_seeds(const SpeedupRow& row, const SpeedupRow& reference) {
  std::vector<Point> common = common_points(row.points, reference.points);
  return common.empty() ? row : SpeedupRow{row.name, std::move(common)};
}

// The strategy to show; nullptr where none will do.
const SpeedupRow* strategy_of(const Shown& shown) {
  if (shown.published) {
    const std::string blocks = describe(shown.published->strategy);
    for (const SpeedupRow& row : shown.block->rows) {
      if (comparable(row, Timing::kIndicative) && row.first().text("strategy_blocks") == blocks)
        return &row;
    }
  }
  const SpeedupRow* const valid = fastest_within(shown, Timing::kValid);
  return valid ? valid : fastest_within(shown, Timing::kIndicative);
}

// One column a model and device: the block of the smallest distance.
std::vector<Shown> columns_of(const std::vector<SpeedupBlock>& blocks, const Published* published) {
  std::map<std::pair<std::string, std::string>, Shown> columns;
  for (const SpeedupBlock& block : blocks) {
    const SpeedupRow* reference = block.reference();
    if (!reference || !comparable(*reference, Timing::kIndicative)) continue;
    Shown& shown = columns[{block.model, block.first().text("device")}];
    if (shown.block && *shown.reference->mean("distance") <= *reference->mean("distance")) continue;
    shown = {&block, reference,
             published ? find_figures(*published, block.first().checkpoint()) : nullptr};
  }
  std::vector<Shown> result;
  for (const auto& [key, shown] : columns) result.push_back(shown);
  return result;
}

// "For" time, its distance, the strategy, its time, its distance, the rate.
std::vector<Cell> measured_cells(const Shown& shown) {
  const std::string note = indicative_note(shown.block->all_points());
  const auto time = [&](const SpeedupRow& row) {
    const auto seconds = row.mean_time("total_seconds");
    return number_cell(seconds, decimals_for({seconds}),
                       timing_of(row) == Timing::kIndicative ? note : "");
  };
  const auto distance = [](const SpeedupRow& row) {
    Cell cell = estimate_cell(*mean_distance(row.points), 4);
    cell.note.clear();  // the table of distances says why there is no error
    return cell;
  };
  const auto lead_to = [](Cell& cell, const SpeedupRow& row) {
    for (const Point& point : row.points) cell.origins.push_back(point.origin());
  };
  std::vector<Cell> cells = {time(*shown.reference), distance(*shown.reference)};
  lead_to(cells.front(), *shown.reference);
  const SpeedupRow* const row = strategy_of(shown);
  if (!row) {
    cells.push_back({kNoValue, false, no_strategy_text(shown)});
    cells.resize(6, {kNoValue});
    return cells;
  }
  const SpeedupRow common = over_common_seeds(*row, *shown.reference);
  const std::string missing = no_common_seed(row->points, shown.reference->points);
  const std::string seeds = common_seeds_text(row->points, shown.reference->points);
  cells.push_back({row->name, false, seeds.empty() ? missing : "over " + seeds});
  lead_to(cells.back(), *row);
  cells.push_back(time(common));
  cells.push_back(distance(common));
  const auto valid = rate(*row, shown.reference);
  cells.push_back(valid ? number_cell(valid, 2)
                        : number_cell(rate(*row, shown.reference, Timing::kIndicative), 2,
                                      missing.empty() ? note : missing));
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
  const Point& point = shown.reference->first();
  const std::string few = too_few_images(point);
  return fmt::format(
      "{}: seconds for {} images on {}, {}; {} of {} images; cfg {}, attn_temp {}, "
      "self_denoising_lr {}, {}.{}",
      name, count_text(point.number("num_images").value_or(0)), point.text("device"),
      point.text("compute"), point.text("distance_name"),
      count_text(point.number("distance_images").value_or(0)), setting_text(point, "cfg"),
      setting_text(point, "attn_temp"), setting_text(point, "self_denoising_lr"),
      seeds_text(shown.reference->points), few.empty() ? "" : " " + few + ".");
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
  for (const Shown& shown : columns) devices.insert(shown.reference->first().text("device"));
  bool beside = false;
  for (const Shown& shown : columns) {
    std::string name = shown.block->model;
    if (devices.size() > 1) name += ", " + shown.reference->first().text("device");
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
