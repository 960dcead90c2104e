#include "analysis/page/curve_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "analysis/tables/benchmark.h"

namespace tarflow::analysis {
namespace {

// Curves of one point, a row a curve: (rows, iterations).
struct Curves {
  size_t rows = 0, iterations = 0;
  std::vector<double> distance, residual;  // relative to X*, and what a stop looks at
};

// Of convergence/<point>/jacobi or /segments; nothing where the arrays are absent or of other
// shapes.
std::optional<Curves> curves_of(const Point& point, const char* mode, size_t axes) {
  const std::string folder = fmt::format("convergence/{}/{}/", point.id(), mode);
  const record::Array *distance = point.array(folder + "relative_distance"),
                      *residual = point.array(folder + "residual");
  if (!distance || !residual || distance->shape.size() != axes ||
      distance->shape != residual->shape || distance->type == record::ArrayType::kString ||
      residual->type == record::ArrayType::kString)
    return std::nullopt;
  Curves curves{0, static_cast<size_t>(distance->shape.back()), record::to_doubles(*distance),
                record::to_doubles(*residual)};
  if (curves.iterations == 0 || curves.distance.empty()) return std::nullopt;
  curves.rows = curves.distance.size() / curves.iterations;
  return curves;
}

// Blocks of data, one a row of `curves`: iteration, distance, residual.
std::string curve_data(const Curves& curves, size_t first, size_t rows) {
  std::string text = "# iteration, relative distance, residual; a block a curve\n";
  for (size_t row = first; row < first + rows; ++row) {
    for (size_t k = 0; k < curves.iterations; ++k) {
      const size_t place = row * curves.iterations + k;
      text += fmt::format("{} {} {}\n", k + 1, data_log_number(curves.distance[place]),
                          data_log_number(curves.residual[place]));
    }
    text += "\n\n";
  }
  return text;
}

// One line a row; more rows than line types take their colours from the colour map, in order.
std::string curve_command(size_t rows, size_t iterations, const char* columns, const char* noun) {
  const size_t every = std::max<size_t>(1, iterations / 10);
  std::string text = "plot ";
  for (size_t row = 0; row < rows; ++row) {
    if (row > 0) text += ", \\\n  ";
    text += fmt::format("data index {} using {} with linespoints ", row, columns);
    if (rows <= kLineTypes) {
      text += fmt::format("lt {} pointinterval {} title '{} {}'", row + 1, every, noun, row);
    } else {
      text += fmt::format("lc palette frac {:.4f} lw 1.5 pointinterval -1 pointsize 0 notitle",
                          static_cast<double>(row) / static_cast<double>(rows - 1));
    }
  }
  return text;
}

// The colour map beside curves that take their colours from it.
std::string colour_key(size_t rows, const char* noun) {
  if (rows <= kLineTypes) return "";
  return fmt::format("set cbrange [0:{}]\nset cblabel '{}'\n", rows - 1, noun);
}

constexpr const char* kIterations =
    "set xlabel 'iteration'\nset ylabel 'relative distance to X*'\n"
    "set logscale y\nset format y '1e%T'\n";
constexpr int kHeight = 430;  // with a key of eight lines

Plot block_plot(const Point& point, const std::string& name, const Curves& curves) {
  Plot plot;
  plot.name = file_name("convergence_" + name);
  plot.title = fmt::format("{}: convergence of each block", name);
  plot.caption = fmt::format(
      "Distance of Jacobi iterates to the block's sequential solution, relative to its norm, by "
      "iteration, on a logarithmic axis; one line a block, numbered as in the checkpoint. {} "
      "images, cfg {}, guess {}. The steeper, the fewer iterations it needs.",
      setting_text(point, "num_images"), setting_text(point, "cfg"), point.text("guess"));
  plot.data = curve_data(curves, 0, curves.rows);
  plot.height = kHeight;
  plot.settings = kIterations + colour_key(curves.rows, "block");
  plot.command = curve_command(curves.rows, curves.iterations, "1:2", "block");
  return plot;
}

Plot residual_plot(const std::string& name, const Curves& curves) {
  Plot plot;
  plot.name = file_name("residual_" + name);
  plot.title = fmt::format("{}: residual against true error", name);
  plot.caption =
      "Each point is an iteration: across, the residual that a stop looks at, the norm of the last "
      "step over images and dimensions; upwards, how far the iterate truly is from the sequential "
      "solution. A stop at a residual leaves the error that the line has there.";
  plot.data = curve_data(curves, 0, curves.rows);
  plot.height = kHeight;
  plot.settings =
      "set xlabel 'residual |x(k) - x(k-1)| / (N D)'\nset ylabel 'true error, relative'\n"
      "set logscale xy\nset format x '1e%T'\nset format y '1e%T'\nset xtics 100\n" +
      colour_key(curves.rows, "block");
  plot.command = curve_command(curves.rows, curves.iterations, "3:2", "block");
  return plot;
}

std::vector<Plot> segment_plots(const Point& point, const std::string& name) {
  std::vector<Plot> plots;
  const auto curves = curves_of(point, "segments", 3);
  const record::Array* entries = point.array("convergence/segment_blocks");
  if (!curves || !entries || entries->type == record::ArrayType::kString) return plots;
  const std::vector<double> blocks = record::to_doubles(*entries);
  if (blocks.empty() || curves->rows % blocks.size() != 0) return plots;
  const size_t segments = curves->rows / blocks.size();
  for (size_t i = 0; i < blocks.size(); ++i) {
    Plot plot;
    plot.name = file_name(fmt::format("segments_{}_block_{}", name, blocks[i]));
    plot.title = fmt::format("{}: segments of block {}", name, blocks[i]);
    plot.caption = fmt::format(
        "As above, of block {} alone solved in {} segments, each from the segments before it: one "
        "line a segment, over the tokens it writes, on a logarithmic axis.",
        blocks[i], segments);
    plot.data = curve_data(*curves, i * segments, segments);
    plot.height = kHeight;
    plot.settings = kIterations + colour_key(segments, "segment");
    plot.command = curve_command(segments, curves->iterations, "1:2", "segment");
    plots.push_back(std::move(plot));
  }
  return plots;
}

// A bar a point: for each kind of kernel where its part begins and ends, in percent.
Plot kernel_plot(const std::string& title, const std::vector<Point>& points,
                 const std::vector<std::string>& names) {
  Plot plot;
  plot.name = file_name("kernels_" + title);
  plot.title = "Where the time goes: " + title;
  plot.caption = "Shares of the time of all kernels in one profiled sampling, a bar a strategy.";
  plot.data = "# row, then begin and end of each kind's share in percent\n";
  std::string tics;
  for (size_t row = 0; row < points.size(); ++row) {
    double begin = 0;
    plot.data += fmt::format("{}", row);
    for (const auto& [column, kind] : kKernelKinds) {
      const double end = begin + 100 * points[row].number(column).value_or(0);
      plot.data += fmt::format(" {} {}", begin, end);
      begin = end;
    }
    plot.data += "  # " + data_text(names[row]) + "\n";
    tics += fmt::format("{}{} {}", row ? ", " : "", gnuplot_text(names[row]), row);
  }
  plot.width = 640;
  plot.height = 260 + 34 * static_cast<int>(points.size());  // the key takes most of 260
  plot.settings = fmt::format(
      "set xlabel 'share of the time, percent'\nset xrange [0:100]\nset yrange [{}:-0.6]\n"
      "set ytics ({}) noenhanced\n"
      "set key at screen 0.5, screen 0.02 center bottom horizontal maxcols 4\nset bmargin 7\n",
      points.size() - 0.4, tics);
  plot.command = "plot ";
  for (size_t kind = 0; kind < kKernelKinds.size(); ++kind) {
    // Fill patterns tell the kinds apart where colours do not.
    plot.command += fmt::format(
        "{0}data using {1}:1:{1}:{2}:($1-0.35):($1+0.35) with boxxyerror lt {3} dt solid lw 1 "
        "fillstyle pattern {3} title '{4}'",
        kind ? ", \\\n  " : "", 2 * kind + 2, 2 * kind + 3, kind + 1, kKernelKinds[kind].second);
  }
  return plot;
}

}  // namespace

std::vector<Plot> convergence_plots(const std::vector<Point>& points) {
  std::vector<Plot> plots;
  const auto names =
      distinct_names(points, {"clamp", "guess", "cfg", "attn_temp", "start", "segments", "seed",
                              "num_images", "max_iterations", "compute", "device"});
  for (size_t i = 0; i < points.size(); ++i) {
    const auto curves = curves_of(points[i], "jacobi", 2);
    if (!curves) continue;
    plots.push_back(block_plot(points[i], names[i], *curves));
    plots.push_back(residual_plot(names[i], *curves));
    for (Plot& plot : segment_plots(points[i], names[i])) plots.push_back(std::move(plot));
  }
  return plots;
}

std::vector<Plot> kernel_plots(const std::vector<Point>& measured) {
  const std::vector<Point> points = neighbours_together(measured);
  const std::vector<std::string> models = model_names(points);
  std::map<std::string, std::pair<std::vector<Point>, std::vector<std::string>>> groups;
  for (size_t i = 0; i < points.size(); ++i) {
    const Point& point = points[i];
    if (!point.number("share_gemm")) continue;
    auto& [own, names] = groups[point.text("device") + ", " + point.text("compute")];
    own.push_back(point);
    names.push_back(
        fmt::format("{} {} × {}", models[i], point.text("strategy"), setting_text(point, "batch")));
  }
  std::vector<Plot> plots;
  for (const auto& [title, group] : groups)
    plots.push_back(kernel_plot(title, group.first, group.second));
  return plots;
}

}  // namespace tarflow::analysis
