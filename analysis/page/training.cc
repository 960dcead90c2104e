#include "analysis/page/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include "analysis/page/sample_grid.h"
#include "analysis/show/format.h"

namespace tarflow::analysis {
namespace {

constexpr int kDecimals = 4;
constexpr size_t kMostDots = 300;  // of a curve: longer ones show means of equal stretches of steps
constexpr size_t kMostLooks = 12;  // rows of samples: of more, those equally far apart

// NAME, and what differs among trainings of one name.
std::vector<std::string> training_names(const std::vector<Point>& points) {
  std::vector<std::string> names;
  for (const Point& point : points) names.push_back(point.text("name"));
  for (const char* column : {"learning_rate", "batch", "noise", "noise_std", "ema", "seed",
                             "compute", "device", "point"})
    add_differing(names, points, column);
  return names;
}

std::string shape_text(const Point& point) {
  return fmt::format("{}px P{} C{} K{} L{}", setting_text(point, "image_size"),
                     setting_text(point, "patch_size"), setting_text(point, "channels"),
                     setting_text(point, "blocks"), setting_text(point, "layers"));
}

// Whether a column of the table has anything to say.
bool any(const std::vector<Point>& points, const char* column) {
  return std::any_of(points.begin(), points.end(),
                     [&](const Point& point) { return point.number(column).has_value(); });
}

// The values of a numeric array of these axes; none where it is absent or of another shape.
std::vector<double> values_of(const Point& point, const char* path, size_t axes) {
  const record::Array* array = point.array(path);
  if (!array || array->shape.size() != axes || array->type == record::ArrayType::kString) return {};
  return record::to_doubles(*array);
}

// (step, mean) of equal stretches of the steps; values that are not finite have no part in it.
std::string curve(const std::vector<double>& values, size_t width, size_t column) {
  const size_t steps = values.size() / width, stretch = (steps + kMostDots - 1) / kMostDots;
  std::string text;
  for (size_t first = 0; first < steps; first += stretch) {
    const size_t end = std::min(first + stretch, steps);
    double sum = 0;
    size_t used = 0;
    for (size_t step = first; step < end; ++step) {
      const double value = values[step * width + column];
      if (!std::isfinite(value)) continue;
      sum += value;
      ++used;
    }
    const double mean = used > 0 ? sum / static_cast<double>(used) : std::nan("");
    text += fmt::format("{:g} {}\n", static_cast<double>(first + end + 1) / 2, data_number(mean));
  }
  return text + "\n\n";
}

std::string looks(const std::vector<double>& steps, const std::vector<double>& values) {
  std::string text;
  for (size_t i = 0; i < std::min(steps.size(), values.size()); ++i)
    text += fmt::format("{:g} {}\n", steps[i], data_number(values[i]));
  return text + "\n\n";
}

std::string stretch_text(size_t steps) {
  const size_t stretch = (steps + kMostDots - 1) / kMostDots;
  return stretch == 1 ? "each step" : fmt::format("means of {} steps", stretch);
}

void add_loss_plot(std::vector<Plot>& plots, const Point& point, const std::string& name) {
  const std::vector<double> loss = values_of(point, "training/loss", 1);
  if (loss.size() < 2) return;
  const std::vector<double> steps = values_of(point, "held_out/step", 1),
                            held_out = values_of(point, "held_out/loss", 1);
  Plot plot;
  plot.name = file_name("training_" + name);
  plot.title = fmt::format("{}: loss by step", name);
  plot.caption = fmt::format(
      "0.5 mean(z²) - logdet, nats a dimension, of the training's batches ({}){}.",
      stretch_text(loss.size()), held_out.empty() ? "" : " and of held-out images without labels");
  plot.values = fmt::format("First step {}, end {}.", fixed(loss.front(), kDecimals),
                            fixed(point.number("last_loss"), kDecimals));
  plot.data = "# step, loss\n" + curve(loss, 1, 0) + looks(steps, held_out);
  plot.settings = "set xlabel 'step'\nset ylabel 'loss'\n";
  plot.command = "plot data index 0 using 1:2 with lines lt 1 title 'batches'";
  if (!held_out.empty())
    plot.command += ", \\\n  data index 1 using 1:2 with linespoints lt 2 title 'held out'";
  plots.push_back(std::move(plot));
}

void add_block_plot(std::vector<Plot>& plots, const Point& point, const std::string& name) {
  const record::Array* array = point.array("training/block_squares");
  const std::vector<double> squares = values_of(point, "training/block_squares", 2);
  if (squares.empty() || array->shape[0] < 2) return;
  const auto blocks = static_cast<size_t>(array->shape[1]);
  if (blocks == 0 || blocks > kLineTypes) return;
  Plot plot;
  plot.name = file_name("training_blocks_" + name);
  plot.title = fmt::format("{}: mean z² after each block", name);
  plot.caption = fmt::format(
      "Of the training's batches ({}); one line a block, numbered as in the checkpoint. The last "
      "block's goes to 1 where the latents become standard normal.",
      stretch_text(squares.size() / blocks));
  plot.data = "# step, mean z^2; a block a curve\n";
  plot.settings = "set xlabel 'step'\nset ylabel 'mean z^2'\nset logscale y\n";
  for (size_t block = 0; block < blocks; ++block) {
    plot.data += curve(squares, blocks, block);
    plot.command += fmt::format("{}data index {} using 1:2 with lines lt {} title 'block {}'",
                                block == 0 ? "plot " : ", \\\n  ", block, block + 1, block);
  }
  plots.push_back(std::move(plot));
}

void add_distance_plot(std::vector<Plot>& plots, const Point& point, const std::string& name) {
  const std::vector<double> steps = values_of(point, "distance/step", 1),
                            distances = values_of(point, "distance/value", 1);
  if (distances.size() < 2) return;
  Plot plot;
  plot.name = file_name("training_distance_" + name);
  plot.title = fmt::format("{}: {} by step", name, point.text("distance_name"));
  plot.caption = fmt::format("Of {} samples from the same noise at each look.",
                             setting_text(point, "distance_images"));
  plot.data = "# step, distance\n" + looks(steps, distances);
  plot.settings = "set xlabel 'step'\nset ylabel 'distance'\nset logscale y\n";
  plot.command = "plot data index 0 using 1:2 with linespoints lt 1 notitle";
  plots.push_back(std::move(plot));
}

// The images of one look; {} where the array is of another kind.
std::vector<images::Image> images_at(const record::Array& array, int64_t look) {
  const int64_t height = array.shape[2], width = array.shape[3];
  const int64_t count = std::min<int64_t>(array.shape[1], kGridColumns);
  const auto bytes = static_cast<size_t>(3 * height * width);
  std::vector<images::Image> result;
  for (int64_t i = 0; i < count; ++i) {
    images::Image image = images::blank(static_cast<int>(width), static_cast<int>(height), {});
    std::memcpy(image.rgb.data(),
                array.data.data() + static_cast<size_t>(look * array.shape[1] + i) * bytes, bytes);
    result.push_back(std::move(image));
  }
  return result;
}

// The kernels that took most of the profiled steps; nothing where none were profiled.
std::optional<Table> kernel_table(const Point& point, const std::string& name) {
  constexpr size_t kMostKernels = 12, kMostLetters = 60;
  const record::Array *const names = point.array("training/kernels/name"), *const kinds = point.array(
                                                                            "training/kernels/kind");
  const std::vector<double> seconds = values_of(point, "training/kernels/seconds", 1),
                            calls = values_of(point, "training/kernels/calls", 1);
  if (!names || !kinds || seconds.empty() || names->strings.size() != seconds.size() ||
      kinds->strings.size() != seconds.size() || calls.size() != seconds.size())
    return std::nullopt;
  const double all = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  Table table;
  table.title = "Where a training step's time goes: " + name;
  table.columns = {{"kernel", Align::kLeft}, {"kind", Align::kLeft}, {"calls"}, {"ms"}, {"%"}};
  for (size_t k = 0; k < std::min(seconds.size(), kMostKernels); ++k) {
    std::string kernel = names->strings[k];
    if (kernel.size() > kMostLetters) kernel = kernel.substr(0, kMostLetters) + " ...";
    table.rows.push_back({{.text = kernel, .origins = {point.origin()}},
                          {kinds->strings[k]},
                          number_cell(calls[k], 1),
                          number_cell(1000 * seconds[k], 2),
                          number_cell(all > 0 ? 100 * seconds[k] / all : 0, 1)});
  }
  table.footnotes = {fmt::format(
      "Of {} profiled steps on {}, a step each; {} of {} kernels, the longest first. A step took "
      "{:.4g} s. {:.1f} % of the time no kernel ran.",
      count_text(point.number("profiled_steps").value_or(0)), point.text("device"),
      table.rows.size(), seconds.size(), point.number("profiled_step_seconds").value_or(0),
      100 * point.number("idle_share").value_or(0))};
  return table;
}

}  // namespace

TableSet training_tables(const std::vector<Point>& points) {
  TableSet result;
  if (points.empty()) return result;
  const bool held_out = any(points, "held_out_loss"), bits = any(points, "held_out_bits"),
             distance = any(points, "distance"), skipped = any(points, "steps_skipped");
  Table table;
  table.title = "Trainings";
  table.columns = {{"training", Align::kLeft},
                   {"shape", Align::kLeft},
                   {"images"},
                   {"batch"},
                   {"steps"},
                   {"first loss"},
                   {"last loss"}};
  if (held_out) table.columns.push_back({"held out"});
  if (bits) table.columns.push_back({"bits/dim"});
  if (distance) table.columns.push_back({"distance"});
  if (skipped) table.columns.push_back({"skipped"});
  const std::vector<std::string> names = training_names(points);
  bool smoke = false;
  for (size_t i = 0; i < points.size(); ++i) {
    const Point& point = points[i];
    std::vector<Cell> row = {{names[i]},
                             {shape_text(point)},
                             count_cell(point.number("images_used")),
                             {setting_text(point, "batch")},
                             count_cell(point.number("steps_done")),
                             number_cell(point.number("first_loss"), kDecimals),
                             number_cell(point.number("last_loss"), kDecimals)};
    row.front().origins = {point.origin()};
    row.front().note = point.warning();
    if (held_out) row.push_back(number_cell(point.number("held_out_loss"), kDecimals));
    if (bits) row.push_back(number_cell(point.number("held_out_bits"), kDecimals));
    if (distance) {
      row.push_back(number_cell(point.number("distance"), kDecimals,
                                fmt::format("{} of {} samples", point.text("distance_name"),
                                            setting_text(point, "distance_images"))));
    }
    if (skipped) row.push_back(count_cell(point.number("steps_skipped")));
    table.rows.push_back(std::move(row));
    smoke = smoke || point.flag("smoke");
  }
  table.footnotes.push_back(
      "Losses: 0.5 mean(z²) - logdet, nats a dimension; last: the mean of the last 100 batches. "
      "Losses of different noise cannot be compared.");
  if (smoke) table.footnotes.push_back("Smoke run: the figures say nothing about a training.");
  result.tables.push_back(std::move(table));
  for (size_t i = 0; i < points.size(); ++i) {
    if (auto kernels = kernel_table(points[i], names[i]))
      result.tables.push_back(std::move(*kernels));
  }
  result.shown = points.size();
  return result;
}

std::vector<Plot> training_plots(const std::vector<Point>& points) {
  const std::vector<std::string> names = training_names(points);
  std::vector<Plot> plots;
  for (size_t i = 0; i < points.size(); ++i) {
    add_loss_plot(plots, points[i], names[i]);
    add_distance_plot(plots, points[i], names[i]);
    add_block_plot(plots, points[i], names[i]);
  }
  return plots;
}

std::vector<Strips> training_strips(const std::vector<Point>& points,
                                    std::vector<std::string>& problems) {
  const std::vector<std::string> names = training_names(points);
  std::vector<Strips> all;
  for (size_t i = 0; i < points.size(); ++i) {
    const record::Array* pixels = array_or_problem(points[i], "samples/pixels", problems);
    const std::vector<double> steps = values_of(points[i], "samples/step", 1);
    if (!pixels || pixels->type != record::ArrayType::kUInt8 || pixels->shape.size() != 5 ||
        pixels->shape[4] != 3 || pixels->shape[0] != static_cast<int64_t>(steps.size()) ||
        steps.empty() || pixels->shape[1] == 0)
      continue;
    Strips strips;
    strips.name = file_name("training_samples_" + names[i]);
    strips.caption =
        fmt::format("Samples of {} from the same noise while it was trained, sequentially, cfg {}.",
                    names[i], setting_text(points[i], "samples_cfg"));
    const size_t every = (steps.size() + kMostLooks - 1) / kMostLooks;
    for (size_t look = (steps.size() - 1) % every; look < steps.size(); look += every) {
      strips.rows.push_back(
          {fmt::format("step {:g}", steps[look]), images_at(*pixels, static_cast<int64_t>(look))});
    }
    all.push_back(std::move(strips));
  }
  return all;
}

}  // namespace tarflow::analysis
