#include "analysis/tables/crm.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/show/format.h"
#include "framework/core/error.h"
#include "framework/core/statistics.h"

namespace tarflow::analysis {
namespace {

// What tells points of one model apart.
const std::vector<std::string> kDistinct = {"images_used", "num_images", "labels", "compute",
                                            "device"};

// One model's metrics, ready to be shown.
struct Measured {
  Point point;
  std::string name;
  BlockMetrics metrics;
  const PublishedModel* published = nullptr;
};

std::vector<double> vector_of(const Point& point, const std::string& path) {
  const record::Array* array = point.array(path);
  if (!array) {
    throw Error(fmt::format("point {}: array {} is not in the file", point.id(), path));
  }
  if (array->shape.size() != 1 || array->shape[0] == 0 ||
      array->type == record::ArrayType::kString) {
    throw Error(fmt::format("point {}: array {} is not a list of numbers", point.id(), path));
  }
  std::vector<double> values = record::to_doubles(*array);
  if (!std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); })) {
    throw Error(fmt::format("point {}: array {} has values that are not finite", point.id(), path));
  }
  return values;
}

bool dominant_in(const PublishedModel& model, size_t block) {
  return std::find(model.dominant.begin(), model.dominant.end(), static_cast<int>(block)) !=
         model.dominant.end();
}

Cell published_cell(const PublishedModel& model, size_t block) {
  Cell cell = number_cell(model.crm_percent[block], 2);
  cell.bold = dominant_in(model, block);
  cell.published = true;
  return cell;
}

// Four significant digits.
Cell metric_cell(double value) { return {fmt::format("{:.4g}", value), false, "", value}; }

const char* guess_name(Guess guess) { return guess == Guess::kZ ? "z" : "zero"; }

// Where IGM_z <= IGM_0, z (method.md section 3).
Guess best_guess(const BlockMetrics& metrics, size_t block) {
  return metrics.igm_z[block] <= metrics.igm_zero[block] ? Guess::kZ : Guess::kZero;
}

// `num_images: 0` stands for all images, so the number that was used is shown.
const char* images_column(const Point& point) {
  return point.number("images_used") ? "images_used" : "num_images";
}

std::string images_note(const Measured& m) {
  std::string text =
      fmt::format("{}: {} images", m.name, setting_text(m.point, images_column(m.point)));
  const std::string folder = m.point.text("images");
  if (!folder.empty()) text += " of " + std::filesystem::path(folder).filename().string();
  if (const std::string warning = m.point.warning(); !warning.empty()) text += "; " + warning;
  if (m.point.flag("smoke")) text += "; smoke run, the figures say nothing about a trained model";
  return text + ".";
}

Table crm_table(const std::vector<Measured>& models, const Published* published,
                const std::string& norm) {
  Table table;
  table.title = fmt::format("Convergence ranking: CRM %, norm {}", norm);
  table.columns.push_back({"block", Align::kLeft});
  size_t blocks = 0;
  bool any_published = false;
  for (const Measured& m : models) {
    table.columns.push_back({m.name + " CRM %"});
    if (m.published) table.columns.push_back({m.published->name + " CRM % (published)"});
    any_published |= m.published != nullptr;
    blocks = std::max(blocks, m.metrics.crm.size());
  }
  for (size_t block = 0; block < blocks; ++block) {
    std::vector<Cell> row = {{std::to_string(block)}};
    for (const Measured& m : models) {
      if (block >= m.metrics.crm.size()) {
        row.push_back({kNoValue});
      } else {
        Cell cell = number_cell(m.metrics.crm_percent[block], 2);
        cell.bold = dominant_blocks(m.metrics.crm)[block];
        cell.origins = {m.point.origin()};
        row.push_back(std::move(cell));
      }
      if (!m.published) continue;
      row.push_back(block < m.published->crm_percent.size() ? published_cell(*m.published, block)
                                                            : Cell{kNoValue});
    }
    table.rows.push_back(std::move(row));
  }
  table.footnotes.push_back(
      "CRM %: the share of a block in the sum of the CRM over the model's blocks.");
  table.footnotes.push_back(fmt::format(
      "Bold or in asterisks: tough blocks, with more than {:g} times the median CRM of the model's "
      "blocks. They need "
      "segments; the other blocks need few Jacobi iterations.",
      kDominantFactor));
  for (const Measured& m : models) {
    table.footnotes.push_back(images_note(m));
    const auto* known = published ? find_model(*published, m.point.checkpoint()) : nullptr;
    if (known && !known->has_figures)
      table.footnotes.push_back(
          fmt::format("{}: {} is published without figures.", m.name, known->checkpoint));
  }
  if (any_published) {
    table.footnotes.push_back(fmt::format("Published: {} images, norm {}, bold as printed. {}.",
                                          count_text(static_cast<double>(published->crm_images)),
                                          published->crm_norm, published->source));
  }
  return table;
}

Table guess_table(const Measured& m, const std::string& norm) {
  Table table;
  table.title = fmt::format("Initial guesses of {}, norm {}", m.name, norm);
  table.section = "Initial guesses";
  table.columns = {{"block", Align::kLeft}, {"CRM"}, {"CRM %"}, {"IGM z"}, {"IGM zero"},
                   {"guess", Align::kLeft}};
  if (m.published) table.columns.push_back({"guess (published)", Align::kLeft});
  std::vector<int> list;  // sampling order
  for (size_t block = 0; block < m.metrics.crm.size(); ++block) {
    const Guess guess = best_guess(m.metrics, block);
    std::vector<Cell> row = {{std::to_string(block)},
                             metric_cell(m.metrics.crm[block]),
                             number_cell(m.metrics.crm_percent[block], 2),
                             metric_cell(m.metrics.igm_z[block]),
                             metric_cell(m.metrics.igm_zero[block]),
                             {guess_name(guess)}};
    if (m.published) {
      const bool known = block < m.published->strategy.blocks.size();
      const Guess* const theirs =
          known ? guess_of(m.published->strategy.block(static_cast<int>(block))) : nullptr;
      Cell cell{!known ? kNoValue : !theirs ? "none (sequential)" : guess_name(*theirs)};
      cell.published = known;
      row.push_back(std::move(cell));
    }
    row.front().origins = {m.point.origin()};
    table.rows.push_back(std::move(row));
    list.insert(list.begin(), guess == Guess::kZ ? 0 : 1);
  }
  table.footnotes.push_back(
      "CRM: the convergence ranking metric itself. CRM %: its share in the sum over blocks. The "
      "guess "
      "is z where IGM z is at most IGM zero; else it is token 0 of z and zeros elsewhere.");
  table.footnotes.push_back(fmt::format(
      "As a list in sampling order (last block first): guess_list: [{}]", fmt::join(list, ", ")));
  return table;
}

}  // namespace

std::vector<bool> dominant_blocks(const std::vector<double>& crm) {
  std::vector<bool> dominant;
  if (crm.empty()) return dominant;
  // Nothing ranks above a metric that is not a number.
  if (!std::all_of(crm.begin(), crm.end(), [](double value) { return std::isfinite(value); }))
    return std::vector<bool>(crm.size(), false);
  const double threshold = kDominantFactor * median(crm);
  for (const double value : crm) dominant.push_back(value > threshold);
  return dominant;
}

BlockMetrics block_metrics(const Point& point, const std::string& norm) {
  const std::string folder = "igm_crm/norm_" + norm + "/";
  BlockMetrics metrics{vector_of(point, folder + "igm_z"), vector_of(point, folder + "igm_zero"),
                       vector_of(point, folder + "crm"), vector_of(point, folder + "crm_percent")};
  for (const auto* values : {&metrics.igm_z, &metrics.igm_zero, &metrics.crm_percent}) {
    if (values->size() != metrics.crm.size()) {
      throw Error(fmt::format("point {}: the arrays in {} differ in length", point.id(), folder));
    }
  }
  return metrics;
}

namespace {

// Adds what the points have in one norm.
void add_tables(TableSet& result, const std::vector<Point>& points, const Published* published,
                const std::string& norm) {
  std::vector<Measured> models;
  std::vector<Point> usable;
  for (const Point& point : points) {
    try {
      models.push_back({point, "", block_metrics(point, norm),
                        published ? find_figures(*published, point.checkpoint()) : nullptr});
      usable.push_back(point);
    } catch (const Error& error) {
      result.left_out.push_back(error.what());
    }
  }
  const auto names = distinct_names(usable, kDistinct);
  for (size_t i = 0; i < models.size(); ++i) models[i].name = names[i];
  std::sort(models.begin(), models.end(),
            [](const Measured& a, const Measured& b) { return a.name < b.name; });
  result.shown += models.size();
  if (models.empty()) return;
  result.tables.push_back(crm_table(models, published, norm));
  for (const Measured& m : models) result.tables.push_back(guess_table(m, norm));
}

// The paper's norm 2, or the first that was measured instead.
std::string default_norm(const Point& point) {
  const std::vector<std::string> paths = point.array_paths();
  for (const std::string norm : {"2", "1", "fro"}) {
    const std::string folder = "igm_crm/norm_" + norm + "/";
    const auto has = [&](const std::string& path) { return path.starts_with(folder); };
    if (std::any_of(paths.begin(), paths.end(), has)) return norm;
  }
  return "2";
}

}  // namespace

std::vector<BlockRanking> block_rankings(const std::vector<Point>& points) {
  std::vector<BlockRanking> rankings;
  std::vector<Point> usable;
  for (const Point& point : points) {
    if (point.text("experiment") != "igm_crm") continue;
    try {
      const std::string norm = default_norm(point);
      BlockMetrics metrics = block_metrics(point, norm);
      std::vector<bool> tough = dominant_blocks(metrics.crm);
      rankings.push_back({point, "", norm, std::move(metrics), std::move(tough)});
      usable.push_back(point);
    } catch (const Error&) {
      continue;  // crm_tables() names it
    }
  }
  const auto names = distinct_names(usable, kDistinct);
  for (size_t i = 0; i < rankings.size(); ++i) rankings[i].name = names[i];
  std::sort(rankings.begin(), rankings.end(),
            [](const BlockRanking& a, const BlockRanking& b) { return a.name < b.name; });
  return rankings;
}

TableSet crm_tables(const std::vector<Point>& points, const Published* published,
                    const std::string& norm) {
  TableSet result;
  std::map<std::string, std::vector<Point>> by_norm;
  for (const Point& point : points)
    by_norm[norm.empty() ? default_norm(point) : norm].push_back(point);
  // Norm 2 first, for others are shown only where it is absent.
  std::vector<std::string> norms;
  for (const auto& [one, own] : by_norm)
    norms.insert(one == "2" ? norms.begin() : norms.end(), one);
  for (const std::string& one : norms) add_tables(result, by_norm.at(one), published, one);
  return result;
}

}  // namespace tarflow::analysis
