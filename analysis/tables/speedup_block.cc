#include "analysis/tables/speedup_block.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "analysis/show/format.h"

namespace tarflow::analysis {
namespace {

// What a block's points have in common: numbers are compared as numbers, so that blocks stand in
// order.
auto block_key(const Point& point) {
  const auto t = [&](const char* column) { return point.text(column); };
  const auto n = [&](const char* column) { return point.number(column); };
  return std::tuple(t("model"), point.model_id(), t("device"), t("compute"), n("num_images"),
                    n("cfg"), n("attn_temp"), n("self_denoising_lr"), t("distance_name"),
                    n("features"), n("reference_images"), t("labels"),
                    point.content_sha256("extractor"), point.content_sha256("reference"),
                    point.smoke());
}

constexpr size_t kNamedSeeds = 8;

std::optional<double> mean_over(const std::vector<const Point*>& points,
                                const std::string& column) {
  double sum = 0;
  size_t count = 0;
  for (const Point* point : points) {
    const auto value = point->number(column);
    if (!value) continue;
    sum += *value;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

// Adds the point to the row of its strategy that has no point of its seed yet. Points that differ
// in another setting than the seed do not share a row.
void add_to_rows(std::vector<SpeedupRow>& rows, const std::string& name, const Point& point) {
  const auto settings = [](const Point& p) {
    return std::tuple(p.number("chunk"), p.text("nonfinite"));
  };
  for (SpeedupRow& row : rows) {
    if (row.name != name || settings(row.first()) != settings(point) || row.of_seed(point))
      continue;
    row.points.push_back(point);
    return;
  }
  rows.push_back({name, {point}});
}

auto strategy_key(const Point& point) {
  return std::tuple(point.text("model"), point.text("strategy"), point.text("strategy_blocks"));
}

}  // namespace

std::optional<double> SpeedupRow::mean(const std::string& column) const {
  std::vector<const Point*> all;
  for (const Point& point : points) all.push_back(&point);
  return mean_over(all, column);
}

std::vector<const Point*> SpeedupRow::timed() const {
  std::vector<const Point*> valid, all;
  for (const Point& point : points) {
    all.push_back(&point);
    if (invalid_timing(point).empty()) valid.push_back(&point);
  }
  return valid.empty() ? all : valid;
}

std::optional<double> SpeedupRow::mean_time(const std::string& column) const {
  return mean_over(timed(), column);
}

const Point* SpeedupRow::of_seed(const Point& other) const {
  const auto same = [&](const Point& point) {
    return point.number("seed") == other.number("seed");
  };
  const auto found = std::find_if(points.begin(), points.end(), same);
  return found == points.end() ? nullptr : &*found;
}

const SpeedupRow* SpeedupBlock::reference() const {
  const SpeedupRow* first = nullptr;
  for (const SpeedupRow& row : rows) {
    if (!is_sequential(row.first())) continue;
    if (invalid_timing(row).empty()) return &row;
    if (!first) first = &row;
  }
  return first;
}

size_t SpeedupBlock::points() const {
  size_t count = 0;
  for (const SpeedupRow& row : rows) count += row.points.size();
  return count;
}

std::string seeds_text(const std::vector<Point>& points) {
  std::map<double, std::string> seeds;  // in order, each once
  for (const Point& point : points) {
    if (const auto seed = point.number("seed")) seeds[*seed] = setting_text(point, "seed");
  }
  if (seeds.size() > kNamedSeeds) return fmt::format("{} seeds", seeds.size());
  std::vector<std::string> names;
  for (const auto& [seed, name] : seeds) names.push_back(name);
  return fmt::format("{} {}", names.size() == 1 ? "seed" : "seeds", fmt::join(names, ", "));
}

std::vector<Point> SpeedupBlock::all_points() const {
  std::vector<Point> points;
  for (const SpeedupRow& row : rows)
    points.insert(points.end(), row.points.begin(), row.points.end());
  return points;
}

std::string seeds_text(const SpeedupBlock& block) { return seeds_text(block.all_points()); }

std::string invalid_timing(const SpeedupRow& row) { return invalid_timing(*row.timed().front()); }

Timing timing_of(const SpeedupRow& row) { return timing_of(*row.timed().front()); }

std::optional<double> rate(const SpeedupRow& row, const SpeedupRow* reference, Timing worst) {
  return reference ? rate(row.points, reference->points, worst) : std::nullopt;
}

bool is_sequential(const Point& point) {
  const std::string blocks = point.text("strategy_blocks");
  if (blocks.empty()) return point.text("strategy") == "For";
  return blocks.find(';') == std::string::npos && blocks.ends_with(": sequential");
}

StrategyNames strategy_names(const std::vector<Point>& points) {
  StrategyNames names;
  for (const Point& point : points) names[strategy_key(point)] = point.text("strategy");
  std::map<std::pair<std::string, std::string>, int> uses;
  for (auto& [key, name] : names) {
    const int use = ++uses[{std::get<0>(key), std::get<1>(key)}];
    if (use > 1) name += fmt::format(" ({})", use);
  }
  return names;
}

const std::string& strategy_name(const StrategyNames& names, const Point& point) {
  return names.at(strategy_key(point));
}

std::string indicative_times(const std::vector<Point>& points) {
  const auto disturbed = std::count_if(points.begin(), points.end(), [](const Point& point) {
    return timing_of(point) == Timing::kIndicative;
  });
  if (disturbed == 0) return "";
  return fmt::format(
      "Times of {} of {} are indicative: {}. To measure again on a quiet machine: {}", disturbed,
      plural(points.size(), "point"), disturbance(points), measure_again_command(points));
}

void sort_strategies(std::vector<Point>& points, const StrategyNames& names) {
  const auto key_of = [&](const Point& p) {
    return std::tuple(!is_sequential(p), p.number("block_passes").value_or(INFINITY),
                      strategy_name(names, p), p.id());
  };
  std::vector<std::pair<decltype(key_of(points.front())), Point>> keyed;
  for (const Point& point : points) keyed.emplace_back(key_of(point), point);
  // Stable, so that measurements of one point stay in the order of their files.
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 0; i < points.size(); ++i) points[i] = keyed[i].second;
}

std::vector<SpeedupBlock> speedup_blocks(const std::vector<Point>& points) {
  const StrategyNames names = strategy_names(points);
  const std::vector<std::string> models = model_names(points);
  std::map<decltype(block_key(points.front())), std::pair<std::string, std::vector<Point>>> blocks;
  for (size_t i = 0; i < points.size(); ++i) {
    auto& [model, own] = blocks[block_key(points[i])];
    model = models[i];
    own.push_back(points[i]);
  }
  std::vector<SpeedupBlock> result;
  for (auto& [key, block] : blocks) {
    auto& [model, own] = block;
    sort_strategies(own, names);
    result.push_back({model, {}});
    std::vector<SpeedupRow>& rows = result.back().rows;
    for (const Point& point : own) add_to_rows(rows, strategy_name(names, point), point);
    for (SpeedupRow& row : rows) {
      std::stable_sort(row.points.begin(), row.points.end(), [](const Point& a, const Point& b) {
        return a.number("seed") < b.number("seed");
      });
    }
  }
  return result;
}

}  // namespace tarflow::analysis
