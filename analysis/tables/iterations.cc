#include "analysis/tables/iterations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "analysis/show/format.h"
#include "analysis/tables/speedup_block.h"
#include "framework/core/error.h"
#include "framework/core/overloaded.h"
#include "framework/core/strategy.h"

namespace tarflow::analysis {
namespace {

// As job.json states it for the point; nothing where it does not.
std::optional<Strategy> strategy_of(const Point& point) {
  if (!point.job) return std::nullopt;
  const Json& job = point.job->job;
  const auto read = [](const Json& holder) -> std::optional<Strategy> {
    const Json::json_pointer where("/settings/strategy");
    if (!holder.is_object() || !holder.contains(where)) return std::nullopt;
    return strategy_from_json(holder.at(where));
  };
  if (auto strategy = read(job)) return strategy;
  if (!job.contains("points") || !job["points"].is_array()) return std::nullopt;
  for (const Json& other : job["points"]) {
    if (other.is_object() && other.value("id", "") == point.id()) return read(other);
  }
  return std::nullopt;
}

// Whether a block's iterations end by a rule of the strategy's own.
bool has_own_stop(const Strategy& strategy) {
  return std::any_of(strategy.blocks.begin(), strategy.blocks.end(), [](BlockPlan plan) {
    if (std::holds_alternative<Window>(plan.method) || std::holds_alternative<Tuned>(plan.method))
      return true;
    const Stop* const stop = stop_of(plan);
    return stop && *stop != Stop{Norm::kPublished, stop->threshold};
  });
}

// What the iterations of a block are summed over.
size_t segments_of_block(const BlockPlan& plan, int64_t tokens) {
  return std::visit(
      Overloaded{[](const Sequential&) { return size_t{1}; },
                 [](const Jacobi&) { return size_t{1}; }, [](const Window&) { return size_t{1}; },
                 [](const Tuned&) { return size_t{1}; },
                 [&](const Segments& segments) { return segments_of(segments, tokens).size(); }},
      plan.method);
}

// A sampling that was measured.
struct Sampled {
  Point point;
  Strategy strategy;
  std::vector<double> iterations;  // in sampling order, a segment, means over chunks
};

std::optional<Sampled> sampled(const Point& point) {
  const record::Array* const array = point.array("sampling/iterations");
  const auto strategy = strategy_of(point);
  const auto shape = point.model_shape();
  if (!array || !strategy || !shape || array->shape.size() != 2) return std::nullopt;
  const auto chunks = static_cast<size_t>(array->shape[0]),
             blocks = static_cast<size_t>(array->shape[1]);
  if (chunks == 0 || blocks != strategy->blocks.size()) return std::nullopt;
  const std::vector<double> all = record::to_doubles(*array);
  Sampled result{point, *strategy, {}};
  for (size_t b = blocks; b-- > 0;) {
    double sum = 0;
    for (size_t c = 0; c < chunks; ++c) sum += all[c * blocks + b];
    const size_t segments =
        segments_of_block(strategy->block(static_cast<int>(b)), shape->tokens());
    result.iterations.push_back(sum / static_cast<double>(chunks * std::max<size_t>(1, segments)));
  }
  return result;
}

Cell iterations_cell(double value) {
  Cell cell{fmt::format("{:.1f}", value)};
  cell.value = value;
  return cell;
}

// A row a paper: what its iterations were, of the block that is sampled first on.
std::vector<std::vector<Cell>> published_rows(const Published& published,
                                              const std::set<std::string>& names, size_t blocks) {
  std::vector<std::vector<Cell>> rows;
  for (const PublishedIterations& theirs : published.iterations) {
    if (!names.contains(theirs.strategy) || theirs.blocks.size() != blocks) continue;
    std::vector<Cell> row = {
        {fmt::format("{} on {} ({})", theirs.strategy, theirs.model, theirs.source)}, {kNoValue}};
    for (const std::optional<double>& value : theirs.blocks)
      row.push_back(value ? iterations_cell(*value) : Cell{kNoValue});
    row.push_back({kNoValue});
    for (Cell& cell : row) cell.published = true;
    rows.push_back(std::move(row));
  }
  return rows;
}

// As in the tables of distances: settings in order, in each sequential strategies first, then by
// passes and name.
void sort_rows(std::vector<Sampled>& rows, const StrategyNames& names) {
  const auto key = [&](const Sampled& row) {
    const Point& point = row.point;
    return std::tuple(point.number("cfg"), point.number("attn_temp"), !is_sequential(point),
                      point.number("block_passes").value_or(INFINITY), strategy_name(names, point),
                      point.number("seed"));
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const Sampled& a, const Sampled& b) { return key(a) < key(b); });
}

Table table_of(const std::string& model, const std::vector<Sampled>& rows,
               const Published* published) {
  Table table;
  table.title = fmt::format("Iterations of {}", model);
  table.section = "Iterations";
  table.introduction =
      "Iterations of each block, in sampling order: until the stop, or the largest number. A block "
      "in "
      "segments: iterations per segment. A window: its evaluations. Means over chunks and "
      "segments.";
  table.columns = {{"strategy", Align::kLeft}, {"cfg"}};
  const size_t blocks = rows.front().iterations.size();
  for (size_t b = blocks; b-- > 0;) table.columns.push_back({fmt::format("block {}", b)});
  table.columns.push_back({"passes"});
  std::set<std::string> names;
  for (const Sampled& sampled : rows) {
    names.insert(sampled.strategy.name);
    std::vector<Cell> row = {{sampled.strategy.name}, {setting_text(sampled.point, "cfg")}};
    row[0].origins = {sampled.point.origin()};
    for (const double value : sampled.iterations) row.push_back(iterations_cell(value));
    const auto passes = sampled.point.number("block_passes");
    row.push_back(passes ? iterations_cell(*passes) : Cell{kNoValue});
    table.rows.push_back(std::move(row));
  }
  if (published) {
    for (auto& row : published_rows(*published, names, blocks))
      table.rows.push_back(std::move(row));
  }
  table.footnotes.push_back(
      "A sequential block takes T - 1 steps of one token. passes: tokens evaluated / T, summed "
      "over "
      "blocks. An evaluation without the unconditional pass counts half.");
  return table;
}

}  // namespace

TableSet iteration_tables(const std::vector<Point>& points, const Published* published) {
  TableSet result;
  const std::vector<std::string> names = model_names(points);
  std::map<std::string, std::vector<Sampled>> models;
  std::set<std::string> jobs;  // points of a job share its sampling
  for (size_t i = 0; i < points.size(); ++i) {
    const std::string origin = points[i].origin(), job = origin.substr(0, origin.rfind('/'));
    try {
      auto found = sampled(points[i]);
      if (!found || !jobs.insert(job).second) continue;
      std::vector<Sampled>& rows = models[names[i]];
      if (!rows.empty() && rows.front().iterations.size() != found->iterations.size()) continue;
      rows.push_back(std::move(*found));
      ++result.shown;
    } catch (const Error& error) {
      result.left_out.push_back(error.what());
    }
  }
  const StrategyNames strategies = strategy_names(points);
  for (auto& [model, rows] : models) {
    sort_rows(rows, strategies);
    const bool own = std::any_of(rows.begin(), rows.end(),
                                 [](const Sampled& row) { return has_own_stop(row.strategy); });
    if (own) result.tables.push_back(table_of(model, rows, published));
  }
  return result;
}

}  // namespace tarflow::analysis
