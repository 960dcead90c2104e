#include "analysis/speedup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/deviation.h"
#include "analysis/distances.h"
#include "analysis/format.h"
#include "analysis/paper_layout.h"
#include "analysis/speedup_block.h"
#include "framework/core/error.h"

namespace tarflow::analysis {
namespace {

constexpr const char* kNoReference = "no For was measured at these settings";

std::string distance_text(const SpeedupBlock& block) {
  const Point& first = block.points.front();
  const std::string name = first.text("distance_name");
  if (name.empty()) return "No distance was measured.";
  std::string text = "Distance: " + name;
  if (const auto n = first.number("distance_images"))
    text += fmt::format(" of {} images", count_text(*n));
  if (const auto n = first.number("reference_images")) {
    text += fmt::format(" against {} reference images", count_text(*n));
  }
  if (const auto n = first.number("features")) text += fmt::format(", {} features", count_text(*n));
  const std::string few = too_few_images(first);
  return text + (few.empty() ? "." : ". " + few + ".");
}

Cell distance_cell(const Point& point, int decimals) {
  const auto distance = distance_of(point);
  Cell cell = distance ? estimate_cell(*distance, decimals) : Cell{kNoValue};
  cell.note.clear();  // the table of distances says why there is no error
  const double nonfinite = point.number("nonfinite_images").value_or(0);
  if (nonfinite > 0) {
    cell.note = fmt::format("{} images had values that are not finite", count_text(nonfinite));
  }
  if (point.flag("smoke") && cell.text != kNoValue) {
    cell.note +=
        fmt::format("{}smoke run: the distance means nothing", cell.note.empty() ? "" : "; ");
  }
  return cell;
}

// Deviations that are known already, by the images and those they are compared with: points that
// differ in self-denoising share both.
using Deviations =
    std::map<std::pair<const record::Array*, const record::Array*>, std::optional<Deviation>>;

// Median and 99th percentile; `compared` collects the numbers of images.
std::pair<Cell, Cell> deviation_cells(const Point& point, const Point* reference, Deviations& known,
                                      std::set<size_t>& compared) {
  const auto missing = [](const std::string& note) {
    return std::pair(Cell{kNoValue, false, note}, Cell{kNoValue, false, note});
  };
  if (!reference) return missing(kNoReference);
  const record::Array* images = point.array(kSampledImages);
  const record::Array* exact = reference->array(kSampledImages);
  if (!images) return missing("its images before self-denoising were not kept");
  if (!exact) return missing("For's images before self-denoising were not kept");
  try {
    auto& result = known[{images, exact}];
    if (!result) result = deviation(*images, *exact);
    compared.insert(result->images);
    std::string note;
    if (result->nonfinite > 0) {
      note = fmt::format("{} of {} images have values that are not finite", result->nonfinite,
                         result->images);
    }
    return {deviation_cell(result->median, note), deviation_cell(result->p99, note)};
  } catch (const Error& error) {
    return missing(error.what());
  }
}

// Nothing where there is no distance.
std::optional<double> distance_images(const Point& point) {
  return point.number("distance") ? point.number("distance_images") : std::nullopt;
}

Cell rate_cell(const Point& point, const Point* reference) {
  if (const auto value = rate(point, reference)) return number_cell(value, 2);
  if (!reference) return {kNoValue, false, kNoReference};
  const std::string own = invalid_timing(point);
  if (!own.empty()) return {kNoValue, false, own};
  const std::string theirs = invalid_timing(*reference);
  return {kNoValue, false, theirs.empty() ? "a total time is missing" : "For: " + theirs};
}

std::string block_title(const SpeedupBlock& block) {
  const Point& point = block.points.front();
  return fmt::format("{}: cfg {}, attention temperature {}, self-denoising {}", block.model,
                     setting_text(point, "cfg"), setting_text(point, "attn_temp"),
                     setting_text(point, "self_denoising_lr"));
}

// The strategies' names; with the point where the same strategy was measured more than once, and
// with the file where the same point was.
std::vector<Cell> name_cells(const SpeedupBlock& block) {
  std::map<std::string, int> names, ids;
  for (const std::string& name : block.names) ++names[name];
  for (const Point& point : block.points) ++ids[point.id()];
  std::vector<Cell> cells;
  for (size_t i = 0; i < block.points.size(); ++i) {
    const Point& point = block.points[i];
    Cell cell{block.names[i]};
    if (names.at(block.names[i]) > 1) cell.note = "point " + point.id();
    if (ids.at(point.id()) > 1) {
      cell.note =
          fmt::format("measured more than once: this is of {}", point.source->file.string());
    }
    cell.origins = {point.origin()};
    cells.push_back(std::move(cell));
  }
  return cells;
}

int column_decimals(const SpeedupBlock& block, const char* column, int least = 2) {
  std::vector<std::optional<double>> values;
  for (const Point& point : block.points) values.push_back(point.number(column));
  return std::max(least, decimals_for(values));
}

Table block_table(const SpeedupBlock& block, Deviations& deviations) {
  Table table;
  table.title = block_title(block);
  table.columns = {{"strategy", Align::kLeft},
                   {"total s"},
                   {"sampling s"},
                   {"images/s"},
                   {"rate"},
                   {"distance"},
                   {"N"},
                   {"deviation median"},
                   {"deviation p99"},
                   {"passes"}};
  const int total = column_decimals(block, "total_seconds");
  const int sampling = column_decimals(block, "sampling_seconds");
  const int speed = column_decimals(block, "images_per_second");
  const int distance = column_decimals(block, "distance", 4);
  const Point* reference = block.reference();
  std::vector<Cell> names = name_cells(block);
  std::set<size_t> compared;
  for (size_t i = 0; i < block.points.size(); ++i) {
    const Point& point = block.points[i];
    const std::string invalid = invalid_timing(point);
    auto [median, p99] = deviation_cells(point, reference, deviations, compared);
    table.rows.push_back({std::move(names[i]),
                          number_cell(point.number("total_seconds"), total, invalid),
                          number_cell(point.number("sampling_seconds"), sampling, invalid),
                          number_cell(point.number("images_per_second"), speed, invalid),
                          rate_cell(point, reference), distance_cell(point, distance),
                          count_cell(distance_images(point)), std::move(median), std::move(p99),
                          number_cell(point.number("block_passes"), 1)});
  }
  const Point& first = block.points.front();
  const std::string labels = first.text("labels");
  table.introduction =
      fmt::format("{}, {}, {} images, seed {}{}. {}", first.text("device"), first.text("compute"),
                  count_text(first.number("num_images").value_or(0)), setting_text(first, "seed"),
                  labels.empty() ? "" : ", labels " + labels, distance_text(block));
  if (!compared.empty()) {
    table.introduction += fmt::format(
        " Deviation of the first {} images.",
        compared.size() == 1 ? fmt::format("{}", *compared.begin())
                             : fmt::format("{} to {}", *compared.begin(), *compared.rbegin()));
  }
  return table;
}

// Settings in which a block differs from the published run.
std::vector<std::string> differences(const Point& point, const Published& published,
                                     const PublishedModel& model) {
  std::vector<std::string> list;
  const auto compare = [&](const char* column, const char* name, double theirs) {
    const auto ours = point.number(column);
    if (ours != theirs) {
      list.push_back(
          fmt::format("{} {} (published {})", name, setting_text(point, column), theirs));
    }
  };
  compare("cfg", "cfg", model.cfg);
  compare("attn_temp", "attention temperature", model.attn_temp);
  compare("self_denoising_lr", "self-denoising", model.self_denoising_lr);
  compare("num_images", "images", static_cast<double>(published.num_images));
  if (point.text("compute") != published.compute_type) {
    list.push_back(fmt::format("{} (published {})", point.text("compute"), published.compute_type));
  }
  return list;
}

// The measured point that runs the published strategy, guesses and bounds included.
const Point* same_strategy(const SpeedupBlock& block, const Strategy& strategy) {
  const std::string text = describe(strategy);
  for (const Point& point : block.points) {
    if (point.text("strategy_blocks") == text) return &point;
  }
  return nullptr;
}

std::vector<Cell> published_row(const std::string& name, const Point* measured,
                                const Point* reference, double time, double rate_value,
                                double distance) {
  const std::string note = measured ? invalid_timing(*measured) : "not measured at these settings";
  const auto ours = [&](const char* column) {
    return measured ? measured->number(column) : std::nullopt;
  };
  const auto theirs = [](double value) {
    Cell cell = number_cell(value, 2);
    cell.published = true;
    return cell;
  };
  Cell strategy{name};
  if (measured) strategy.origins = {measured->origin()};
  return {std::move(strategy),
          number_cell(ours("total_seconds"), decimals_for({ours("total_seconds")}), note),
          theirs(time),
          measured ? rate_cell(*measured, reference) : Cell{kNoValue, false, note},
          theirs(rate_value),
          number_cell(ours("distance"), 2, measured ? "" : note),
          theirs(distance)};
}

Table published_table(const SpeedupBlock& block, const Published& published,
                      const PublishedModel& model) {
  const Point& first = block.points.front();
  const std::string ours = first.text("distance_name");
  Table table;
  table.title = "Beside the published figures of " + model.name + " — " + block_title(block);
  table.introduction = fmt::format("Published: {}; time: {}. Measured: {}.", published.settings,
                                   published.time, first.text("device"));
  table.columns = {{"strategy", Align::kLeft},
                   {"measured total s"},
                   {"published time"},
                   {"measured rate"},
                   {"published rate"},
                   {"measured " + (ours.empty() ? "distance" : ours)},
                   {"published " + published.distance_name}};
  table.rows.push_back(published_row("For", block.reference(), block.reference(), model.for_time,
                                     1.0, model.for_distance));
  table.rows.push_back(published_row(model.strategy.name, same_strategy(block, model.strategy),
                                     block.reference(), model.strategy_time, model.rate,
                                     model.strategy_distance));
  const double quotient = model.for_time / model.strategy_time;
  if (std::abs(quotient - model.rate) > 0.01) {
    table.rows.back()[4].note =
        fmt::format("as printed; the published times give {:.2f}", quotient);
  }
  std::string different;
  for (const std::string& item : differences(first, published, model)) {
    different += (different.empty() ? "" : ", ") + item;
  }
  if (!different.empty()) table.footnotes.push_back("Settings that differ: " + different + ".");
  table.footnotes.push_back(published.source + ".");
  return table;
}

Table introduction() {
  Table table;
  table.title = "Speed-up";
  table.introduction =
      "One table for points that differ in nothing but the strategy. Total: sampling, "
      "self-denoising and features. Rate: For's total over the strategy's; only runs that had "
      "their device to themselves and were not interrupted count. Deviation: rms difference of "
      "each image, before self-denoising, from For's image of the same noise, over the rms of "
      "For's images; median and 99th percentile. Passes: tokens evaluated over tokens an image, "
      "summed over blocks.";
  return table;
}

// What auto came to, of guesses and of strategies, by the strategy's name and blocks: a text for
// each model, and of strategies for each batch and guidance.
std::map<std::pair<std::string, std::string>, std::set<std::string>> chosen_parts(
    const std::vector<Point>& points, const StrategyNames& names) {
  std::map<std::pair<std::string, std::string>, std::set<std::string>> chosen;
  for (const Point& point : points) {
    const std::pair key{strategy_name(names, point), point.text("strategy_blocks")};
    if (const std::string methods = point.text("tuned_strategy"); !methods.empty()) {
      chosen[key].insert(fmt::format("chosen for {}, cfg {}, chunk {}: {} ({})",
                                     point.text("model"), setting_text(point, "cfg"),
                                     setting_text(point, "chunk"), methods,
                                     point.text("tuned_hash")));
    }
    const std::string list = point.text("chosen_guesses");
    if (list.empty()) continue;
    std::string plain;  // of ["z","zero"]
    for (const char c : list) {
      if (c != '"') plain += c;
      if (c == ',') plain += ' ';
    }
    chosen[key].insert(
        fmt::format("chosen, last block first: {} for {}", plain, point.text("model")));
  }
  return chosen;
}

Table strategies_table(const StrategyNames& names, const std::vector<Point>& points) {
  Table table;
  table.title = "Strategies";
  table.introduction = "Blocks by their number in the checkpoint; the last is sampled first.";
  table.columns = {{"strategy", Align::kLeft}, {"blocks", Align::kLeft}};
  std::set<std::pair<std::string, std::string>> rows;  // models of equal strategies share a line
  for (const auto& [key, name] : names) rows.insert({name, std::get<2>(key)});
  const auto chosen = chosen_parts(points, names);
  for (const auto& [name, blocks] : rows) {
    std::string text = blocks;
    if (const auto found = chosen.find({name, blocks}); found != chosen.end())
      text += fmt::format("; {}", fmt::join(found->second, "; "));
    table.rows.push_back({{name}, {text}});
  }
  return table;
}

}  // namespace

TableSet speedup_tables(const std::vector<Point>& points, const Published* published) {
  TableSet result;
  if (points.empty()) return result;
  result.tables.push_back(introduction());
  const std::vector<SpeedupBlock> blocks = speedup_blocks(points);
  if (auto table = paper_layout(blocks, published)) result.tables.push_back(std::move(*table));
  const auto model_of = [&](const SpeedupBlock& block) {
    return published ? find_figures(*published, block.points.front().checkpoint()) : nullptr;
  };
  // Published figures hold for one cfg, temperature and rate: they stand beside the nearest blocks
  // only.
  std::map<const PublishedModel*, size_t> fewest;
  for (const SpeedupBlock& block : blocks) {
    if (const PublishedModel* model = model_of(block)) {
      const size_t count = differences(block.points.front(), *published, *model).size();
      fewest[model] = std::min(fewest.try_emplace(model, count).first->second, count);
    }
  }
  Deviations deviations;
  for (const SpeedupBlock& block : blocks) {
    result.shown += block.points.size();
    result.tables.push_back(block_table(block, deviations));
    const PublishedModel* model = model_of(block);
    if (model && differences(block.points.front(), *published, *model).size() == fewest.at(model)) {
      result.tables.push_back(published_table(block, *published, *model));
    }
  }
  for (Table& table : distance_tables(points)) result.tables.push_back(std::move(table));
  result.tables.push_back(strategies_table(strategy_names(points), points));
  return result;
}

}  // namespace tarflow::analysis
