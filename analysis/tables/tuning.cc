#include "analysis/tables/tuning.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <optional>

#include "analysis/show/format.h"
#include "framework/core/error.h"

namespace tarflow::analysis {
namespace {

constexpr const char* kRoundingOnce =
    "rounding: the same where the block's input alone changes, by less than the compute type "
    "resolves; it counts once, for the first block that is not sequential. error: what the block "
    "adds beyond rounding to the square of the predicted deviation.";
constexpr const char* kSquaresSummed =
    "The squares are summed: this tuning did not measure rounding. error: the block's share.";

// What one point recorded, a value a block in checkpoint order.
struct Blocks {
  std::vector<std::string> methods;
  std::vector<double> crm, sequential, predicted, measured, deviation, rounding, share,
      amplification;
};

// Throws Error for an array that is not there or has another length.
std::vector<double> numbers(const Point& point, const char* name, size_t blocks) {
  const record::Array* const array = point.array(fmt::format("tune/{}", name));
  std::vector<double> values = array ? record::to_doubles(*array) : std::vector<double>();
  if (values.size() != blocks)
    throw Error(fmt::format("point {}: tune/{} has no {} values", point.id(), name, blocks));
  return values;
}

// Records of older programs have no rounding: it was counted in each block then.
std::vector<double> rounding_of(const Point& point, size_t blocks) {
  return point.array("tune/rounding") ? numbers(point, "rounding", blocks)
                                      : std::vector<double>(blocks, NAN);
}

Blocks blocks_of(const Point& point) {
  const record::Array* const methods = point.array("tune/method");
  if (!methods || methods->strings.empty())
    throw Error(fmt::format("point {} has no tune/method", point.id()));
  const size_t count = methods->strings.size();
  return {methods->strings,
          numbers(point, "crm_percent", count),
          numbers(point, "sequential_seconds", count),
          numbers(point, "predicted_seconds", count),
          numbers(point, "measured_seconds", count),
          numbers(point, "deviation", count),
          rounding_of(point, count),
          numbers(point, "error_share", count),
          numbers(point, "amplification", count)};
}

std::optional<double> finite(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::vector<Cell> total_row(const Point& point, const std::string& title, int decimals) {
  std::string note = point.warning();
  if (point.flag("smoke")) {
    note = "smoke run: the times mean nothing";
  } else if (!point.flag("exclusive")) {
    note = "something else used the device while it was tuned, or another job tuned";
  }
  return {{.text = title, .note = note, .origins = {point.origin()}},
          {},
          {},
          number_cell(point.number("sequential_seconds"), decimals),
          number_cell(point.number("predicted_seconds"), decimals),
          number_cell(point.number("measured_seconds"), decimals),
          deviation_cell(point.number("predicted_deviation")),
          {},
          {},
          {}};
}

// "predicted within 3 % of the measured time".
std::string error_text(const Point& point) {
  const auto predicted = point.number("predicted_seconds"),
             measured = point.number("measured_seconds");
  if (!predicted || !measured || *measured <= 0) return "";
  return fmt::format("The predicted time is {:+.1f} % from the measured one. ",
                     100 * (*predicted / *measured - 1));
}

// "FID rises by +0.32 ± 0.20 %, at most 1 % was asked for. "; "" where the deviation is the bound.
std::string rise_text(const Point& point) {
  const auto rise = point.number("distance_rise"), error = point.number("distance_rise_error");
  if (!rise) return "";
  return fmt::format(
      "{} of {} images rises by {:+.2f}{} % over sequential sampling, at most {:g} % "
      "was asked for. ",
      point.text("distance_name"), count_text(point.number("distance_images").value_or(0)),
      100 * *rise, error ? fmt::format(" ± {:.2f}", 100 * *error) : "",
      100 * point.number("fd_rise").value_or(0));
}

Table table_of(const Point& point, const std::string& model) {
  const Blocks blocks = blocks_of(point);
  Table table;
  table.title =
      fmt::format("Tuning: {}, {}, {}, {} images at once, cfg {}, deviation {}", model,
                  point.text("device"), point.text("compute"), setting_text(point, "batch"),
                  setting_text(point, "cfg"), setting_text(point, "deviation"));
  table.introduction = "Strategy in YAML: " + point.text("strategy_yaml");
  table.columns = {{"block"},       {"method", Align::kLeft}, {"CRM %"},     {"For s"},
                   {"predicted s"}, {"measured s"},           {"deviation"}, {"rounding"},
                   {"error %"},     {"per tolerance"}};
  std::vector<std::optional<double>> seconds;
  for (const double value : blocks.predicted) seconds.emplace_back(value);
  const int decimals = decimals_for(seconds);
  for (size_t b = blocks.methods.size(); b-- > 0;) {
    table.rows.push_back({number_cell(static_cast<double>(b), 0),
                          {blocks.methods[b]},
                          number_cell(finite(blocks.crm[b]), 1),
                          number_cell(finite(blocks.sequential[b]), decimals),
                          number_cell(finite(blocks.predicted[b]), decimals),
                          number_cell(finite(blocks.measured[b]), decimals),
                          deviation_cell(finite(blocks.deviation[b])),
                          deviation_cell(finite(blocks.rounding[b])),
                          number_cell(100 * blocks.share[b], 1),
                          number_cell(finite(blocks.amplification[b]), 2)});
  }
  table.rows.push_back(total_row(point, "all", decimals));
  table.footnotes = {
      fmt::format("{}{}The deviation of the whole is {} as measured, {} as predicted.",
                  error_text(point), rise_text(point),
                  deviation_text(point.number("measured_deviation").value_or(NAN)),
                  deviation_text(point.number("predicted_deviation").value_or(NAN))),
      "s: of a batch, sequential (For), by the method as predicted from its trial, and within the "
      "whole strategy. deviation: of the final images where this block alone is not sequential, "
      "the median over images of the rms difference over the rms of all. " +
          std::string(point.array("tune/rounding") ? kRoundingOnce : kSquaresSummed) +
          " per tolerance: deviation per unit of tolerance of the block's windows.",
      fmt::format(
          "{} methods tried, {} strategies measured, in {:.3g} s. The strategy is also in {}.",
          setting_text(point, "trials"), setting_text(point, "rounds"),
          point.number("tuning_seconds").value_or(0), point.text("strategy_file"))};
  return table;
}

}  // namespace

TableSet tuning_tables(const std::vector<Point>& points) {
  TableSet result;
  const std::vector<std::string> models = model_names(points);
  for (size_t i = 0; i < points.size(); ++i) {
    try {
      result.tables.push_back(table_of(points[i], models[i]));
      ++result.shown;
    } catch (const Error& failure) {
      result.left_out.push_back(failure.problems().front().what);
    }
  }
  return result;
}

}  // namespace tarflow::analysis
