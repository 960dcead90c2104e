#include "analysis/tables/measured.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "analysis/tables/speedup_block.h"

namespace tarflow::analysis {
namespace {

auto family_key(const Point& point) {
  const auto t = [&](const char* column) { return point.text(column); };
  const auto n = [&](const char* column) { return point.number(column); };
  return std::tuple(t("model"), point.model_id(), t("device"), t("compute"), n("num_images"),
                    n("chunk"), n("attn_temp"), t("labels"), t("nonfinite"), t("distance_name"),
                    n("features"), n("reference_images"), point.content_sha256("extractor"),
                    point.content_sha256("reference"), point.smoke());
}

constexpr size_t kNamedStrategies = 4;

// Of each seed its first measurement.
std::map<std::optional<double>, Point> first_of_seeds(const std::vector<Point>& points) {
  std::map<std::optional<double>, Point> by_seed;
  for (const Point& point : points) by_seed.emplace(point.number("seed"), point);
  return by_seed;
}

std::set<std::optional<double>> seeds_of(const std::vector<Point>& points) {
  std::set<std::optional<double>> seeds;
  for (const Point& point : points) seeds.insert(point.number("seed"));
  return seeds;
}

// The mean over seeds, of each its first measurement.
std::optional<Estimate> distance_over_seeds(const std::vector<Point>& points) {
  const auto by_seed = first_of_seeds(points);
  std::vector<Point> firsts;
  for (const auto& [seed, point] : by_seed) firsts.push_back(point);
  return mean_distance(firsts);
}

std::optional<double> mean_seconds(const std::vector<Point>& points, Timing worst) {
  const SeedSeconds seconds = seconds_by_seed(points, worst);
  if (seconds.empty()) return std::nullopt;
  double sum = 0;
  for (const auto& [seed, value] : seconds) sum += value;
  return sum / static_cast<double>(seconds.size());
}

// The points, and what they come to.
void take_means(Measured& measured, std::vector<Point> points) {
  measured.seconds = mean_seconds(points, Timing::kValid);
  measured.indicative_seconds = mean_seconds(points, Timing::kIndicative);
  measured.distance = distance_over_seeds(points);
  measured.points = std::move(points);
}

MeasuredFamily family_of(std::vector<Point> points, const StrategyNames& names) {
  MeasuredFamily family;
  family.distance_name = points.front().text("distance_name");
  family.device = points.front().text("device");
  family.smoke = points.front().smoke();
  sort_strategies(points, names);
  using Key = std::tuple<size_t, std::optional<double>, std::optional<double>>;
  std::map<std::string, size_t> order;  // of strategies
  std::map<Key, std::vector<Point>> groups;
  for (const Point& point : points) {
    const size_t place = order.try_emplace(strategy_name(names, point), order.size()).first->second;
    groups[{place, point.number("cfg"), point.number("self_denoising_lr")}].push_back(point);
  }
  for (auto& [key, own] : groups) {
    std::stable_sort(own.begin(), own.end(), [](const Point& a, const Point& b) {
      return a.number("seed") < b.number("seed");
    });
    Measured measured;
    measured.strategy = strategy_name(names, own.front());
    measured.cfg = std::get<1>(key);
    measured.lr = std::get<2>(key);
    measured.sequential = is_sequential(own.front());
    take_means(measured, std::move(own));
    family.measured.push_back(std::move(measured));
  }
  return family;
}

std::vector<MeasuredFamily> families_of(const std::vector<Point>& points, bool with_distance) {
  const StrategyNames names = strategy_names(points);
  const std::vector<std::string> models = model_names(points);
  std::map<decltype(family_key(Point{})), std::pair<std::string, std::vector<Point>>> groups;
  for (size_t i = 0; i < points.size(); ++i) {
    const auto distance = points[i].number("distance");
    const bool measured = distance && std::isfinite(*distance);
    if (points[i].text("experiment") != "evaluate" || (with_distance && !measured)) continue;
    auto& [model, own] = groups[family_key(points[i])];
    model = models[i];
    own.push_back(points[i]);
  }
  std::vector<MeasuredFamily> families;
  std::vector<std::string> titles;
  std::vector<Point> firsts;
  for (auto& [key, group] : groups) {
    titles.push_back(group.first);
    firsts.push_back(group.second.front());
    families.push_back(family_of(std::move(group.second), names));
  }
  for (const char* column : {"device", "compute", "num_images", "attn_temp", "labels", "reference",
                             "distance_name", "chunk"}) {
    add_differing(titles, firsts, column);
  }
  for (size_t i = 0; i < families.size(); ++i)
    families[i].title = families[i].smoke ? smoke_title(titles[i]) : titles[i];
  return families;
}

}  // namespace

std::optional<double> rate(const Measured& measured, const Measured* reference, Timing worst) {
  return reference ? rate(measured.points, reference->points, worst) : std::nullopt;
}

std::optional<double> distance_ratio(const std::vector<Point>& points,
                                     const std::vector<Point>& reference) {
  const auto theirs = first_of_seeds(reference);
  double sum = 0, reference_sum = 0;
  for (const auto& [seed, point] : first_of_seeds(points)) {
    const auto other = theirs.find(seed);
    if (other == theirs.end()) continue;
    const auto own = point.number("distance"), beside = other->second.number("distance");
    if (!own || !beside) continue;
    sum += *own;
    reference_sum += *beside;
  }
  return reference_sum > 0 ? std::optional(sum / reference_sum) : std::nullopt;
}

std::optional<double> distance_ratio(const Measured& measured, const Measured* reference) {
  return reference ? distance_ratio(measured.points, reference->points) : std::nullopt;
}

std::vector<Point> common_points(const std::vector<Point>& points,
                                 const std::vector<Point>& reference) {
  const auto seeds = seeds_of(reference);
  std::vector<Point> common = points;
  std::erase_if(common, [&](const Point& point) { return !seeds.contains(point.number("seed")); });
  return common;
}

Measured over_common_seeds(const Measured& measured, const Measured& other) {
  Measured common = measured;
  take_means(common, common_points(measured.points, other.points));
  return common;
}

bool same_seeds(const std::vector<Point>& points, const std::vector<Point>& others) {
  return seeds_of(points) == seeds_of(others);
}

std::string common_seeds_text(const std::vector<Point>& points,
                              const std::vector<Point>& reference) {
  const std::vector<Point> common = common_points(points, reference);
  if (common.empty() || same_seeds(points, reference)) return "";
  return seeds_text(common) + ", which both have";
}

std::string no_common_seed(const std::vector<Point>& points, const std::vector<Point>& reference) {
  if (!common_points(points, reference).empty()) return "";
  return "For was not measured with " + seeds_text(points);
}

std::string without_common_seed(const std::vector<const Measured*>& others,
                                const Measured& reference) {
  std::vector<std::string> names;
  for (const Measured* other : others) {
    if (common_points(other->points, reference.points).empty()) names.push_back(other->strategy);
  }
  if (names.size() > kNamedStrategies) {
    const size_t more = names.size() - kNamedStrategies;
    names.resize(kNamedStrategies);
    names.push_back(fmt::format("{} more", more));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::vector<MeasuredFamily> measured_families(const std::vector<Point>& points) {
  return families_of(points, /*with_distance=*/true);
}

std::vector<MeasuredFamily> evaluated_families(const std::vector<Point>& points) {
  return families_of(points, /*with_distance=*/false);
}

const Measured* best_sequential(const MeasuredFamily& family) {
  const Measured* best = nullptr;
  for (const Measured& measured : family.measured) {
    if (!measured.sequential || !measured.distance) continue;
    if (!best || measured.distance->value < best->distance->value) best = &measured;
  }
  return best;
}

const Measured* sequential_at(const MeasuredFamily& family, std::optional<double> cfg,
                              std::optional<double> lr) {
  for (const Measured& measured : family.measured) {
    if (measured.sequential && measured.cfg == cfg && measured.lr == lr) return &measured;
  }
  return nullptr;
}

const Measured* sequential_beside(const MeasuredFamily& family, const Measured& measured) {
  return sequential_at(family, measured.cfg, measured.lr);
}

std::string cfg_and_lr_text(const Measured& measured) {
  std::vector<std::string> parts;
  if (measured.cfg) parts.push_back(fmt::format("cfg {}", *measured.cfg));
  if (measured.lr) parts.push_back(fmt::format("self_denoising_lr {}", *measured.lr));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<const Measured*> rivals(const MeasuredFamily& family, const Measured& reference) {
  std::vector<const Measured*> found;
  for (const Measured& measured : family.measured) {
    if (!measured.sequential && measured.cfg == reference.cfg && measured.lr == reference.lr)
      found.push_back(&measured);
  }
  return found;
}

Fastest fastest_within(const std::vector<const Measured*>& others, const Measured& reference,
                       double within, Timing worst) {
  Fastest fastest;
  for (const Measured* other : others) {
    const auto ratio = distance_ratio(*other, &reference);
    if (!ratio || *ratio > 1 + within) continue;
    ++fastest.close;
    if (!other->seconds && other->indicative_seconds) ++fastest.without_valid_time;
    auto faster = rate(*other, &reference, Timing::kValid);
    if (!faster) faster = rate(*other, &reference, worst);
    if (faster && (!fastest.strategy || *faster > fastest.rate)) {
      fastest.strategy = other;
      fastest.rate = *faster;
    }
  }
  return fastest;
}

std::string too_few_images(const MeasuredFamily& family) {
  for (const Measured& measured : family.measured) {
    for (const Point& point : measured.points) {
      if (!point.number("distance")) continue;
      if (std::string few = too_few_images(point); !few.empty()) return few;
    }
  }
  return "";
}

std::string smoke_warning(bool smoke) {
  return smoke ? " Smoke run: the numbers mean nothing." : "";
}

}  // namespace tarflow::analysis
