#include "analysis/tables/distances.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "analysis/show/format.h"
#include "analysis/tables/speedup_block.h"
#include "framework/core/statistics.h"

namespace tarflow::analysis {
namespace {

constexpr int kDecimals = 4, kKidDecimals = 5, kShareDecimals = 3;

using Values = std::vector<double>;

struct Replicates {
  Values values, sizes;  // by group
};

std::optional<Replicates> replicates_of(const Point& point) {
  const std::string folder = "jackknife/" + point.id() + "/";
  const record::Array *values = point.array(folder + "distance"),
                      *sizes = point.array(folder + "count");
  if (!values || !sizes || values->type == record::ArrayType::kString ||
      sizes->type == record::ArrayType::kString)
    return std::nullopt;
  Replicates result{record::to_doubles(*values), record::to_doubles(*sizes)};
  if (result.values.size() != result.sizes.size() || result.values.size() < 2) return std::nullopt;
  return result;
}

std::string no_error(const Point& point) {
  if (const auto groups = point.number("distance_groups"))
    return fmt::format(
        "no error: {:.0f} group{} of chunks, 10 are needed; a smaller `chunk` or "
        "{} seeds give one",
        *groups, *groups == 1 ? "" : "s", kFewestSeeds);
  return "no error was measured";
}

// What the rows of one table have in common.
auto family_key(const Point& point) {
  const auto t = [&](const char* column) { return point.text(column); };
  const auto n = [&](const char* column) { return point.number(column); };
  return std::tuple(t("model"), point.model_id(), t("device"), t("compute"), n("num_images"),
                    n("chunk"), t("labels"), t("nonfinite"), t("distance_name"), n("features"),
                    n("reference_images"), point.content_sha256("extractor"),
                    point.content_sha256("reference"),
                    std::tuple(n("kept_features"), n("kid_subset_size"), n("smoke")));
}

// What makes two rows different but for the seed.
auto settings_key(const Point& point) {
  return std::tuple(point.number("cfg"), point.number("attn_temp"),
                    point.number("self_denoising_lr"));
}

// One strategy at one setting: a point a seed, in the order of seeds.
using Seeds = std::map<std::optional<double>, Point>;

struct Series {
  std::string name;  // of the strategy
  Seeds seeds;
  const Seeds* reference = nullptr;  // of For at the same setting
};

struct Family {
  std::string model;
  std::vector<Series> series;
  Point first;  // any of its points
  bool several_temperatures = false;
};

// Of one table row: a point, or all points of a series when they are enough for an error.
struct Row {
  const Series* series = nullptr;
  std::vector<const Point*> points;

  bool over_seeds() const { return points.size() > 1; }
  const Point& first() const { return *points.front(); }
};

std::vector<Row> rows_of(const Family& family) {
  std::vector<Row> rows;
  for (const Series& series : family.series) {
    std::vector<const Point*> points;
    for (const auto& [seed, point] : series.seeds) points.push_back(&point);
    if (points.size() >= kFewestSeeds) {
      rows.push_back({&series, std::move(points)});
    } else {
      for (const Point* point : points) rows.push_back({&series, {point}});
    }
  }
  return rows;
}

Values numbers_of(const std::vector<const Point*>& points, const char* column) {
  Values values;
  for (const Point* point : points) {
    if (const auto value = point->number(column)) values.push_back(*value);
  }
  return values;
}

Cell signed_cell(const Estimate& estimate, int decimals) {
  Cell cell = estimate_cell(estimate, decimals);
  if (estimate.value > 0) cell.text = "+" + cell.text;
  return cell;
}

Estimate over_seeds(const Values& values) {
  const MeanError result = mean_error(values);
  return {result.mean, result.error};
}

// Of estimates from different seeds.
std::optional<Estimate> mean_of(const std::vector<Estimate>& all) {
  if (all.size() < 2) return all.empty() ? std::nullopt : std::optional(all.front());
  Values values;
  for (const Estimate& one : all) values.push_back(one.value);
  if (all.size() >= kFewestSeeds) return over_seeds(values);
  Estimate mean{(values[0] + values[1]) / 2};
  if (all[0].error && all[1].error)
    mean.error = std::hypot(*all[0].error, *all[1].error) / 2;  // seeds are independent
  else
    mean.unknown = all[0].error ? all[1].unknown : all[0].unknown;
  return mean;
}

Cell distance_cell(const Row& row) {
  if (row.over_seeds())
    return estimate_cell(over_seeds(numbers_of(row.points, "distance")), kDecimals);
  return estimate_cell(*distance_of(row.first()), kDecimals);
}

Cell difference_cell(const Row& row) {
  if (is_sequential(row.first())) return {"0", false, "", 0.0};
  if (!row.series->reference) return {kNoValue, false, "For was not measured at these settings"};
  Values differences;
  std::optional<Estimate> single;
  for (const Point* point : row.points) {
    const auto other = row.series->reference->find(point->number("seed"));
    if (other == row.series->reference->end()) continue;
    single = difference_of(*point, other->second);
    if (single) differences.push_back(single->value);
  }
  if (differences.empty()) return {kNoValue, false, "For was not measured on this noise"};
  if (!row.over_seeds()) return signed_cell(*single, kDecimals);
  if (differences.size() < kFewestSeeds)
    return {kNoValue, false,
            fmt::format("For was measured with {} of the seeds", differences.size())};
  Cell cell = signed_cell(over_seeds(differences), kDecimals);
  if (differences.size() < row.points.size())
    cell.note = fmt::format("over the {} seeds of For", differences.size());
  return cell;
}

// How many images the distance comes from, and what is to be known of that besides what was `said`.
Cell images_cell(const Row& row, const std::string& said) {
  Values counts = numbers_of(row.points, "distance_images");
  if (counts.empty()) return {kNoValue};
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  Cell cell = count_cell(*least);
  if (*most != *least) cell.value.reset();
  if (*most != *least) cell.text += " to " + count_text(*most);
  double nonfinite = 0;
  for (const double n : numbers_of(row.points, "nonfinite_images")) nonfinite += n;
  if (nonfinite > 0) {
    cell.text += fmt::format(" ({} left out)", count_text(nonfinite));
    cell.note = "images with values that are not finite are left out of the distance";
  }
  const std::string few = too_few_images(row.first());
  if (!few.empty()) {
    cell.bold = true;
    if (few != said) cell.note += (cell.note.empty() ? "" : "; ") + few;
  }
  return cell;
}

Cell mean_cell(const Row& row, const char* column, int decimals) {
  const Values values = numbers_of(row.points, column);
  if (values.empty()) return {kNoValue};
  double sum = 0;
  for (const double value : values) sum += value;
  return number_cell(sum / static_cast<double>(values.size()), decimals);
}

std::string introduction_of(const Family& family) {
  const Point& point = family.first;
  std::string text = fmt::format("{}, {}, {} images", point.text("device"), point.text("compute"),
                                 count_text(point.number("num_images").value_or(0)));
  if (const auto chunk = point.number("chunk"))
    text += fmt::format(" in chunks of {}", count_text(*chunk));
  text += ", against ";
  if (const auto count = point.number("reference_images"))
    text += count_text(*count) + " images of ";
  text += point.text("reference").empty() ? "the reference" : point.text("reference");
  if (const auto features = point.number("features"))
    text += fmt::format(", {} features", count_text(*features));
  text += ".";
  if (!point.text("labels").empty()) text += fmt::format(" Labels {}.", point.text("labels"));
  const std::string few = too_few_images(point);
  if (!few.empty()) text += " " + few + ".";
  if (point.flag("smoke")) text += " Smoke run: the distances mean nothing.";
  return text;
}

bool has(const std::vector<Row>& rows, const char* column) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](const Row& row) { return !numbers_of(row.points, column).empty(); });
}

void add_footnotes(Table& table, const std::vector<Row>& rows) {
  const bool seeds =
      std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.over_seeds(); });
  const bool groups = std::any_of(rows.begin(), rows.end(), [](const Row& row) {
    return !row.over_seeds() && row.first().number("distance_error");
  });
  const bool few = std::any_of(rows.begin(), rows.end(),
                               [](const Row& row) { return !too_few_images(row.first()).empty(); });
  if (few)
    table.footnotes.push_back(
        "Images in bold or in asterisks: fewer than the distance has features.");
  if (seeds) table.footnotes.push_back("Of several seeds: mean and standard error over seeds.");
  if (groups) {
    table.footnotes.push_back(
        "± of one seed: standard error by leaving out one group of images at a time; of the "
        "difference to For, out of both.");
  }
  if (has(rows, "kid")) {
    table.footnotes.push_back(
        "Kernel distance (KID), precision and recall: of the first samples whose features were "
        "kept, means over subsets and seeds.");
  }
}

Table family_table(const Family& family) {
  const std::vector<Row> rows = rows_of(family);
  Table table;
  table.title =
      fmt::format("Distances of {}: {}", family.model, family.first.text("distance_name"));
  table.introduction = introduction_of(family);
  table.columns = {{"strategy", Align::kLeft}, {"cfg"}};
  if (family.several_temperatures) table.columns.push_back({"attn_temp"});
  for (const char* title : {"self_denoising_lr", "seed", "images", "distance", "− For"})
    table.columns.push_back({title});
  const bool kid = has(rows, "kid"), shares = has(rows, "precision");
  if (kid) table.columns.push_back({"KID"});
  if (shares) table.columns.insert(table.columns.end(), {{"precision"}, {"recall"}});
  for (const Row& row : rows) {
    const Point& first = row.first();
    std::vector<Cell> cells = {{row.series->name}, {setting_text(first, "cfg")}};
    for (const Point* point : row.points) cells.front().origins.push_back(point->origin());
    if (family.several_temperatures) cells.push_back({setting_text(first, "attn_temp")});
    cells.push_back({setting_text(first, "self_denoising_lr")});
    cells.push_back({row.over_seeds() ? fmt::format("{} seeds", row.points.size())
                                      : setting_text(first, "seed")});
    cells.push_back(images_cell(row, too_few_images(family.first)));
    cells.push_back(distance_cell(row));
    cells.push_back(difference_cell(row));
    if (kid) cells.push_back(mean_cell(row, "kid", kKidDecimals));
    if (shares) {
      cells.push_back(mean_cell(row, "precision", kShareDecimals));
      cells.push_back(mean_cell(row, "recall", kShareDecimals));
    }
    table.rows.push_back(std::move(cells));
  }
  add_footnotes(table, rows);
  return table;
}

// Puts the point into the series of its strategy, from the index `begin` on. A seed that is there
// already was measured again: that is another series, so that no measurement hides another or
// counts as another seed.
void series_for(std::vector<Series>& series, size_t begin, const std::string& name,
                const Point& point) {
  for (int measurement = 1;; ++measurement) {
    const std::string own =
        measurement == 1 ? name : fmt::format("{}, measured again ({})", name, measurement);
    auto found = std::find_if(series.begin() + static_cast<long>(begin), series.end(),
                              [&](const Series& other) { return other.name == own; });
    if (found == series.end()) found = series.insert(found, Series{own, {}});
    if (found->seeds.emplace(point.number("seed"), point).second) return;
  }
}

// The points of one family as series: settings in order, and in each For first.
Family family_of(std::vector<Point> points, const StrategyNames& names) {
  Family family;
  family.first = points.front();
  std::map<decltype(settings_key(points.front())), std::vector<Point>> settings;
  for (const Point& point : points) {
    settings[settings_key(point)].push_back(point);
    family.several_temperatures |= point.number("attn_temp") != points.front().number("attn_temp");
  }
  std::vector<std::pair<size_t, size_t>> spans;  // series of one setting
  for (auto& [key, own] : settings) {
    sort_strategies(own, names);
    const size_t begin = family.series.size();
    for (const Point& point : own) {
      series_for(family.series, begin, strategy_name(names, point), point);
    }
    spans.emplace_back(begin, family.series.size());
  }
  for (const auto& [begin, end] : spans) {
    for (size_t i = begin; i < end; ++i) {
      // Sequential ones stand first.
      const Series& first = family.series[begin];
      if (is_sequential(first.seeds.begin()->second)) family.series[i].reference = &first.seeds;
    }
  }
  return family;
}

}  // namespace

std::optional<Estimate> distance_of(const Point& point) {
  const auto value = point.number("distance");
  if (!value) return std::nullopt;
  const auto error = point.number("distance_error");
  return Estimate{*value, error, error ? "" : no_error(point)};
}

std::optional<Estimate> mean_distance(const std::vector<Point>& points) {
  std::vector<Estimate> all;
  for (const Point& point : points) {
    if (const auto distance = distance_of(point)) all.push_back(*distance);
  }
  return mean_of(all);
}

std::optional<Estimate> mean_difference(const std::vector<Point>& points,
                                        const std::vector<Point>& reference) {
  std::map<std::optional<double>, Point> by_seed;
  for (const Point& point : reference) by_seed.emplace(point.number("seed"), point);
  std::vector<Estimate> all;
  for (const Point& point : points) {
    const auto found = by_seed.find(point.number("seed"));
    if (found == by_seed.end()) continue;
    if (const auto difference = difference_of(point, found->second)) all.push_back(*difference);
    by_seed.erase(found);  // a seed that was measured again counts once
  }
  return mean_of(all);
}

std::optional<Estimate> difference_of(const Point& point, const Point& reference) {
  const auto own = point.number("distance"), theirs = reference.number("distance");
  if (!own || !theirs) return std::nullopt;
  Estimate result{*own - *theirs};
  const auto mine = replicates_of(point), other = replicates_of(reference);
  if (!mine || !other) {
    result.unknown = no_error(mine ? reference : point);
    return result;
  }
  if (mine->values.size() != other->values.size()) {
    result.unknown = "no error: groups without finite images make the groups differ";
    return result;
  }
  Values differences, sizes;
  for (size_t g = 0; g < mine->values.size(); ++g) {
    differences.push_back(mine->values[g] - other->values[g]);
    sizes.push_back((mine->sizes[g] + other->sizes[g]) / 2);  // equal but for images left out
  }
  result.error = jackknife_error(differences, sizes, result.value);
  return result;
}

std::string estimate_text(const Estimate& estimate, int decimals) {
  std::string text = fmt::format("{:.{}f}", estimate.value, decimals);
  if (estimate.error) text += fmt::format(" ± {:.{}f}", *estimate.error, decimals);
  return text;
}

Cell estimate_cell(const Estimate& estimate, int decimals) {
  return {estimate_text(estimate, decimals), false, estimate.unknown, estimate.value,
          estimate.error};
}

std::string too_few_images(const Point& point) {
  const auto images = point.number("distance_images"), features = point.number("features");
  if (!images || !features || *images >= *features) return "";
  return fmt::format(
      "FEWER IMAGES ({}) THAN FEATURES ({}): the distance means little, and it compares only with "
      "distances of as many images",
      count_text(*images), count_text(*features));
}

std::vector<Table> distance_tables(const std::vector<Point>& points) {
  const StrategyNames names = strategy_names(points);
  const std::vector<std::string> models = model_names(points);
  std::map<decltype(family_key(Point{})), std::pair<std::string, std::vector<Point>>> families;
  for (size_t i = 0; i < points.size(); ++i) {
    if (!points[i].number("distance")) continue;
    auto& [model, own] = families[family_key(points[i])];
    model = models[i];
    own.push_back(points[i]);
  }
  std::vector<Table> tables;
  for (auto& [key, named] : families) {
    Family family = family_of(std::move(named.second), names);
    family.model = named.first;
    tables.push_back(family_table(family));
  }
  return tables;
}

}  // namespace tarflow::analysis
