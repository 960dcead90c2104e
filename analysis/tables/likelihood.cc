#include "analysis/tables/likelihood.h"

#include <fmt/format.h>

#include <algorithm>

#include "analysis/show/format.h"

namespace tarflow::analysis {
namespace {

constexpr int kDecimals = 4;

// One of the two quantities.
struct Quantity {
  const char* column;
  const char* error_column;
  const char* title;
  const char* heading;  // of the value, with its unit
  const char* meaning;
};

constexpr Quantity kBits = {
    "bits_per_dimension", "bits_standard_error", "Bits per dimension", "bits/dim",
    "Uniformly dequantised images: (mean(0.5 z² + 0.5 ln 2π) + ln 128 - logdet) / ln 2."};
constexpr Quantity kNats = {
    "noisy_nats_per_dimension", "noisy_nats_standard_error",
    "Density of noisy images, nats a dimension", "nats/dim",
    "Images in [-1, 1] with the model's Gaussian noise added: mean(0.5 z² + 0.5 ln 2π) - logdet. "
    "With ln 128 = 4.8520 it is the density over 256 levels. It depends on the noise, so that "
    "models "
    "of different noise cannot be compared, and is no bits per dimension."};

Cell with_error(const Point& point, const Quantity& quantity) {
  Cell cell = number_cell(point.number(quantity.column), kDecimals);
  cell.error = point.number(quantity.error_column);
  if (cell.error) cell.text += fmt::format(" ± {}", fixed(cell.error, kDecimals));
  return cell;
}

Table table_of(const std::vector<Point>& points, const std::vector<std::string>& names,
               const Quantity& quantity, bool noisy) {
  Table table;
  table.title = quantity.title;
  table.columns = {{"model", Align::kLeft},
                   {"images", Align::kLeft},
                   {"labels", Align::kLeft},
                   {"N"},
                   {"draws"},
                   {std::string(quantity.heading)}};
  if (noisy) table.columns.insert(table.columns.end() - 1, {"noise"});
  bool smoke = false;
  for (size_t i = 0; i < points.size(); ++i) {
    const Point& point = points[i];
    std::vector<Cell> row = {{names[i]},
                             {point.text("images")},
                             {point.text("labels")},
                             count_cell(point.number("images_used")),
                             {setting_text(point, "draws")},
                             with_error(point, quantity)};
    row.front().origins = {point.origin()};
    row.front().note = point.warning();
    if (noisy) row.insert(row.end() - 1, {setting_text(point, "noise_std")});
    table.rows.push_back(std::move(row));
    smoke = smoke || point.flag("smoke");
  }
  table.footnotes.push_back(quantity.meaning);
  table.footnotes.push_back("±: standard error of the mean over images.");
  if (smoke) table.footnotes.push_back("Smoke run: the figures say nothing about a trained model.");
  return table;
}

}  // namespace

TableSet likelihood_tables(const std::vector<Point>& points) {
  TableSet result;
  std::vector<Point> bits, nats;
  for (const Point& point : points) {
    if (point.number(kBits.column)) {
      bits.push_back(point);
    } else if (point.number(kNats.column)) {
      nats.push_back(point);
    } else {
      result.left_out.push_back(fmt::format("point {}: it has neither {} nor {}", point.id(),
                                            kBits.column, kNats.column));
    }
  }
  for (const auto& [own, quantity] : {std::pair(&bits, &kBits), std::pair(&nats, &kNats)}) {
    if (own->empty()) continue;
    std::stable_sort(own->begin(), own->end(), [](const Point& a, const Point& b) {
      return a.text("model") < b.text("model");
    });
    std::vector<std::string> names = model_names(*own);
    for (const char* column : {"seed", "compute", "device"}) add_differing(names, *own, column);
    result.tables.push_back(table_of(*own, names, *quantity, quantity == &kNats));
    result.shown += own->size();
  }
  return result;
}

}  // namespace tarflow::analysis
