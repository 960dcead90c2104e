#include "analysis/speedup_block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tarflow::analysis {
namespace {

// What a block's points have in common: numbers are compared as numbers, so that blocks stand in
// order.
auto block_key(const Point& point) {
  const auto t = [&](const char* column) { return point.text(column); };
  const auto n = [&](const char* column) { return point.number(column); };
  return std::tuple(t("model"), point.model_id(), t("device"), t("compute"), n("num_images"),
                    n("cfg"), n("attn_temp"), n("self_denoising_lr"), n("seed"), t("distance_name"),
                    n("features"), n("reference_images"), t("labels"),
                    point.content_sha256("extractor"), point.content_sha256("reference"));
}

auto strategy_key(const Point& point) {
  return std::tuple(point.text("model"), point.text("strategy"), point.text("strategy_blocks"));
}

}  // namespace

const Point* SpeedupBlock::reference() const {
  const Point* first = nullptr;
  for (const Point& point : points) {
    if (!is_sequential(point)) continue;
    if (invalid_timing(point).empty()) return &point;
    if (!first) first = &point;
  }
  return first;
}

bool is_sequential(const Point& point) {
  const std::string blocks = point.text("strategy_blocks");
  if (blocks.empty()) return point.text("strategy") == "For";
  return blocks.find(';') == std::string::npos && blocks.ends_with(": sequential");
}

std::string invalid_timing(const Point& point) {
  if (point.flag("smoke")) return "smoke run: the time means nothing";
  if (point.flag("interrupted")) return "interrupted and resumed: the time is not valid";
  if (!point.number("exclusive")) return "whether the device was shared is not recorded";
  if (!point.flag("exclusive")) return "the device was shared: the time is not valid";
  return "";
}

std::optional<double> rate(const Point& point, const Point* reference) {
  if (!reference || !invalid_timing(point).empty() || !invalid_timing(*reference).empty()) {
    return std::nullopt;
  }
  const auto own = point.number("total_seconds"), theirs = reference->number("total_seconds");
  if (!own || !theirs || *own <= 0 || *theirs <= 0) return std::nullopt;
  return *theirs / *own;
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
  std::map<decltype(block_key(points.front())), SpeedupBlock> blocks;
  for (size_t i = 0; i < points.size(); ++i) {
    SpeedupBlock& block = blocks[block_key(points[i])];
    block.model = models[i];
    block.points.push_back(points[i]);
  }
  std::vector<SpeedupBlock> result;
  for (auto& [key, block] : blocks) {
    sort_strategies(block.points, names);
    for (const Point& point : block.points) block.names.push_back(strategy_name(names, point));
    result.push_back(std::move(block));
  }
  return result;
}

}  // namespace tarflow::analysis
