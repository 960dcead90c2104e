#include "analysis/tables/speedup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/data/deviation.h"
#include "analysis/show/format.h"
#include "analysis/tables/distances.h"
#include "analysis/tables/measured.h"
#include "analysis/tables/paper_layout.h"
#include "analysis/tables/speedup_block.h"
#include "framework/core/error.h"

namespace tarflow::analysis {
namespace {

constexpr const char* kNoReference = "For was not measured at these settings";

std::string distance_text(const SpeedupBlock& block) {
  const Point& first = block.first();
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

double sum_of(const SpeedupRow& row, const char* column) {
  return row.mean(column).value_or(0) * static_cast<double>(row.points.size());
}

Cell distance_cell(const SpeedupRow& row, int decimals) {
  const auto distance = mean_distance(row.points);
  Cell cell = distance ? estimate_cell(*distance, decimals) : Cell{kNoValue};
  cell.note.clear();  // the table of distances says why there is no error
  if (const double nonfinite = sum_of(row, "nonfinite_images"); nonfinite > 0) {
    cell.note = fmt::format("{} images had values that are not finite", count_text(nonfinite));
  }
  if (row.first().flag("smoke") && cell.text != kNoValue) {
    cell.note +=
        fmt::format("{}smoke run: the distance means nothing", cell.note.empty() ? "" : "; ");
  }
  return cell;
}

// Deviations that are known already, by the images and those they are compared with: points that
// differ in self-denoising share both.
using Deviations =
    std::map<std::pair<const record::Array*, const record::Array*>, std::optional<Deviation>>;

// The deviation from For's images of the same noise. `known` saves computing it again. Throws Error
// where there is nothing to compare.
const Deviation& deviation_from(const Point& point, const Point& reference, Deviations& known) {
  const record::Array* images = point.array(kSampledImages);
  const record::Array* exact = reference.array(kSampledImages);
  if (!images) throw Error("its images before self-denoising were not kept");
  if (!exact) throw Error("For's images before self-denoising were not kept");
  auto& result = known[{images, exact}];
  if (!result) result = deviation(*images, *exact);
  return *result;
}

// Median and 99th percentile, means over seeds; `compared` collects the numbers of images.
std::pair<Cell, Cell> deviation_cells(const SpeedupRow& row, const SpeedupRow* reference,
                                      Deviations& known, std::set<size_t>& compared) {
  const auto missing = [](const std::string& note) {
    return std::pair(Cell{kNoValue, false, note}, Cell{kNoValue, false, note});
  };
  if (!reference) return missing(kNoReference);
  double median = 0, p99 = 0;
  size_t seeds = 0, nonfinite = 0, images = 0;
  std::string why = no_common_seed(row.points, reference->points);
  for (const Point& point : row.points) {
    const Point* const other = reference->of_seed(point);
    if (!other) continue;
    try {
      const Deviation& result = deviation_from(point, *other, known);
      compared.insert(result.images);
      median += result.median;
      p99 += result.p99;
      nonfinite += result.nonfinite;
      images += result.images;
      ++seeds;
    } catch (const Error& error) {
      why = error.what();  // of a seed whose images were not kept, for example
    }
  }
  if (seeds == 0) return missing(why);
  std::string note;
  if (nonfinite > 0)
    note = fmt::format("{} of {} images have values that are not finite", nonfinite, images);
  return {deviation_cell(median / static_cast<double>(seeds), note),
          deviation_cell(p99 / static_cast<double>(seeds), note)};
}

// Nothing where there is no distance.
std::optional<double> distance_images(const SpeedupRow& row) {
  return row.mean("distance") ? row.mean("distance_images") : std::nullopt;
}

// `indicative`: the note of a rate of times that are not valid.
Cell rate_cell(const SpeedupRow& row, const SpeedupRow* reference, const std::string& indicative) {
  if (const auto value = rate(row, reference)) return number_cell(value, 2);
  if (const auto value = rate(row, reference, Timing::kIndicative))
    return number_cell(value, 2, indicative);
  if (!reference) return {kNoValue, false, kNoReference};
  const std::string other_seeds = no_common_seed(row.points, reference->points);
  if (!other_seeds.empty()) return {kNoValue, false, other_seeds};
  const std::string own = invalid_timing(row);
  if (!own.empty()) return {kNoValue, false, own};
  const std::string theirs = invalid_timing(*reference);
  if (!theirs.empty()) return {kNoValue, false, "For: " + theirs};
  return {kNoValue, false, "a total time is missing"};
}

std::string block_title(const SpeedupBlock& block) {
  const Point& point = block.first();
  return fmt::format("Speed-up of {}: cfg {}, attn_temp {}, self_denoising_lr {}", block.model,
                     setting_text(point, "cfg"), setting_text(point, "attn_temp"),
                     setting_text(point, "self_denoising_lr"));
}

// The strategies' names; with the point where the same strategy was measured more than once, with
// the file where the same point was, and with the seeds where others were measured with more.
std::vector<Cell> name_cells(const SpeedupBlock& block) {
  std::map<std::string, int> names, ids;
  size_t most = 0;
  for (const SpeedupRow& row : block.rows) {
    ++names[row.name];
    most = std::max(most, row.points.size());
    for (const Point& point : row.points) ++ids[point.id()];
  }
  std::vector<Cell> cells;
  for (const SpeedupRow& row : block.rows) {
    Cell cell{row.name};
    const Point& point = row.first();
    if (names.at(row.name) > 1 && !row.over_seeds())
      cell.note = "point " + point.id();
    else if (row.points.size() < most)
      cell.note = seeds_text(row.points) + " only";
    if (!row.over_seeds() && ids.at(point.id()) > 1) {
      cell.note =
          fmt::format("measured more than once: this is of {}", point.source->file.string());
    }
    for (const Point& one : row.points) cell.origins.push_back(one.origin());
    cells.push_back(std::move(cell));
  }
  return cells;
}

int column_decimals(const SpeedupBlock& block, const char* column, int least = 2) {
  std::vector<std::optional<double>> values;
  for (const SpeedupRow& row : block.rows) values.push_back(row.mean(column));
  return std::max(least, decimals_for(values));
}

// All images over all seconds, of the seeds whose times are valid: a mean of rates is none.
std::optional<double> images_per_second(const SpeedupRow& row) {
  double images = 0, seconds = 0;
  for (const Point* point : row.timed()) {
    const auto count = point->number("num_images"), speed = point->number("images_per_second");
    if (!count || !speed || *speed <= 0) continue;
    images += *count;
    seconds += *count / *speed;
  }
  return seconds > 0 ? std::optional(images / seconds) : std::nullopt;
}

// `value` is a mean over the seeds whose times are valid.
Cell time_cell(const SpeedupRow& row, std::optional<double> value, int decimals,
               const std::string& indicative) {
  std::string note = timing_of(row) == Timing::kIndicative ? indicative : invalid_timing(row);
  const size_t timed = row.timed().size();
  if (timed < row.points.size())
    note = fmt::format("the times of {} of {} seeds are valid; means of these", timed,
                       row.points.size());
  return number_cell(value, decimals, note);
}

Table block_table(const SpeedupBlock& block, Deviations& deviations) {
  Table table;
  table.title = block_title(block);
  table.columns = {{"strategy", Align::kLeft},
                   {"total s"},
                   {"sampling s"},
                   {"images/s (total)"},
                   {"rate"},
                   {"distance"},
                   {"N"},
                   {"deviation median"},
                   {"deviation p99"},
                   {"passes"}};
  const int total = column_decimals(block, "total_seconds");
  const int sampling = column_decimals(block, "sampling_seconds");
  std::vector<std::optional<double>> speeds;
  for (const SpeedupRow& row : block.rows) speeds.push_back(images_per_second(row));
  const int speed = std::max(2, decimals_for(speeds));
  const int distance = column_decimals(block, "distance", 4);
  const SpeedupRow* reference = block.reference();
  const std::string note = indicative_note(block.all_points());
  std::vector<Cell> names = name_cells(block);
  std::set<size_t> compared;
  for (size_t i = 0; i < block.rows.size(); ++i) {
    const SpeedupRow& row = block.rows[i];
    auto [median, p99] = deviation_cells(row, reference, deviations, compared);
    table.rows.push_back(
        {std::move(names[i]), time_cell(row, row.mean_time("total_seconds"), total, note),
         time_cell(row, row.mean_time("sampling_seconds"), sampling, note),
         time_cell(row, speeds[i], speed, note), rate_cell(row, reference, note),
         distance_cell(row, distance), count_cell(distance_images(row)), std::move(median),
         std::move(p99), number_cell(row.mean("block_passes"), 1)});
  }
  const Point& first = block.first();
  const std::string labels = first.text("labels");
  table.introduction =
      fmt::format("{}, {}, {} images, {}{}. {}", first.text("device"), first.text("compute"),
                  count_text(first.number("num_images").value_or(0)), seeds_text(block),
                  labels.empty() ? "" : ", labels " + labels, distance_text(block));
  if (!compared.empty()) {
    table.introduction += fmt::format(
        " Deviation of the first {} images.",
        compared.size() == 1 ? fmt::format("{}", *compared.begin())
                             : fmt::format("{} to {}", *compared.begin(), *compared.rbegin()));
  }
  const bool seeds = std::any_of(block.rows.begin(), block.rows.end(),
                                 [](const SpeedupRow& row) { return row.over_seeds(); });
  if (seeds)
    table.introduction +=
        fmt::format(" Means over seeds; ± over {} seeds or more is the standard error over seeds.",
                    kFewestSeeds);
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
  compare("attn_temp", "attn_temp", model.attn_temp);
  compare("self_denoising_lr", "self_denoising_lr", model.self_denoising_lr);
  compare("num_images", "images", static_cast<double>(published.num_images));
  if (point.text("compute") != published.compute_type) {
    list.push_back(fmt::format("{} (published {})", point.text("compute"), published.compute_type));
  }
  return list;
}

// The measured row that runs the published strategy, guesses and bounds included.
const SpeedupRow* same_strategy(const SpeedupBlock& block, const Strategy& strategy) {
  const std::string text = describe(strategy);
  for (const SpeedupRow& row : block.rows) {
    if (row.first().text("strategy_blocks") == text) return &row;
  }
  return nullptr;
}

std::vector<Point> points_of_rows(const std::vector<const SpeedupRow*>& rows) {
  std::vector<Point> points;
  for (const SpeedupRow* row : rows) {
    if (row) points.insert(points.end(), row->points.begin(), row->points.end());
  }
  return points;
}

std::vector<Cell> published_row(const std::string& name, const SpeedupRow* measured,
                                const SpeedupRow* reference, double time, double rate_value,
                                double distance) {
  const std::string note = measured ? invalid_timing(*measured) : "not measured at these settings";
  const std::string indicative = indicative_note(points_of_rows({measured, reference}));
  const auto theirs = [](double value) {
    Cell cell = number_cell(value, 2);
    cell.published = true;
    return cell;
  };
  const auto seconds = measured ? measured->mean_time("total_seconds") : std::nullopt;
  const auto own = measured ? measured->mean("distance") : std::nullopt;
  Cell strategy{name};
  if (measured) {
    for (const Point& point : measured->points) strategy.origins.push_back(point.origin());
  }
  return {std::move(strategy),
          number_cell(seconds, decimals_for({seconds}), note),
          theirs(time),
          measured ? rate_cell(*measured, reference, indicative) : Cell{kNoValue, false, note},
          theirs(rate_value),
          number_cell(own, 2, measured ? "" : note),
          theirs(distance)};
}

Table published_table(const SpeedupBlock& block, const Published& published,
                      const PublishedModel& model) {
  const Point& first = block.first();
  const std::string ours = first.text("distance_name");
  Table table;
  table.title =
      fmt::format("Beside the published figures of {}. {}", model.name, block_title(block));
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

Table introduction(const std::vector<Point>& points) {
  Table table;
  table.title = "Speed-up";
  table.introduction =
      "Each table below compares strategies at the same settings. "
      "total s: seconds for sampling, self-denoising and features. "
      "images/s (total): images over total s; the line of a job shows images/s of sampling alone. "
      "rate: speed-up over For (2 = twice as fast). A time is valid if the job was not interrupted "
      "and had the device to itself; times and rates that are not valid are shown as measured and "
      "marked indicative. "
      "deviation: relative RMS difference from For's image for the same noise, before "
      "self-denoising; median and 99th percentile over images. "
      "passes: amount of computation (tokens evaluated / tokens of an image, summed over blocks).";
  if (const std::string indicative = indicative_times(points); !indicative.empty())
    table.introduction += " " + indicative;
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
  table.introduction =
      "How each strategy inverts each block. Numbers of blocks are those of the checkpoint; the "
      "last "
      "block is sampled first.";
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
  result.tables.push_back(introduction(points));
  const std::vector<SpeedupBlock> blocks = speedup_blocks(points);
  if (auto table = paper_layout(blocks, published)) result.tables.push_back(std::move(*table));
  const auto model_of = [&](const SpeedupBlock& block) {
    return published ? find_figures(*published, block.first().checkpoint()) : nullptr;
  };
  // Published figures hold for one cfg, temperature and rate: they stand beside the nearest blocks
  // only.
  std::map<const PublishedModel*, size_t> fewest;
  for (const SpeedupBlock& block : blocks) {
    if (const PublishedModel* model = model_of(block)) {
      const size_t count = differences(block.first(), *published, *model).size();
      fewest[model] = std::min(fewest.try_emplace(model, count).first->second, count);
    }
  }
  Deviations deviations;
  for (const SpeedupBlock& block : blocks) {
    result.shown += block.points();
    result.tables.push_back(block_table(block, deviations));
    const PublishedModel* model = model_of(block);
    if (model && differences(block.first(), *published, *model).size() == fewest.at(model)) {
      result.tables.push_back(published_table(block, *published, *model));
    }
  }
  for (Table& table : distance_tables(points)) {
    table.section = "Distances";
    result.tables.push_back(std::move(table));
  }
  result.tables.push_back(strategies_table(strategy_names(points), points));
  result.tables.back().section = "Strategies";
  return result;
}

}  // namespace tarflow::analysis
