#include "analysis/page/heat_maps.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "analysis/show/format.h"

namespace tarflow::analysis {
namespace {

constexpr double kTold = 2;       // standard errors at which two distances differ
constexpr int kLabelWidth = 44;   // pixels that a number in a cell takes
constexpr int kLabelHeight = 16;  // of each of its lines
// Pixels around and between panels.
constexpr int kLeft = 76, kRight = 156, kTop = 40, kBottom = 84, kBetween = 62, kBelow = 86;
constexpr int kPanelHeight = 190;
// Of the values on the y axis: kLeft has room for kTicLength signs of kTicWidth pixels.
constexpr int kTicLength = 3, kTicWidth = 12;

std::string estimate(const Measured& measured) { return estimate_text(*measured.distance, 4); }

// A value on an axis: what it is sorted by, and how it is shown.
using Key = std::pair<double, std::string>;

struct Axis {
  std::string title;
  std::function<std::optional<Key>(const Measured&)> key;
  std::vector<Key> values = {};  // in order

  size_t place(const Measured& measured) const {
    return static_cast<size_t>(std::lower_bound(values.begin(), values.end(), *key(measured)) -
                               values.begin());
  }
  std::string tics() const {
    std::vector<std::string> texts;
    for (size_t i = 0; i < values.size(); ++i)
      texts.push_back(fmt::format("{} {}", gnuplot_text(values[i].second), i));
    return fmt::format("({})", fmt::join(texts, ", "));
  }
};

// All with a key of this axis.
void take_values(Axis& axis, const std::vector<const Measured*>& cells) {
  std::set<Key> values;
  for (const Measured* cell : cells) values.insert(*axis.key(*cell));
  axis.values.assign(values.begin(), values.end());
}

Axis number_axis(const char* title, std::optional<double> Measured::*member) {
  return {title, [member](const Measured& measured) -> std::optional<Key> {
            const auto value = measured.*member;
            if (!value) return std::nullopt;
            return Key{*value, fmt::format("{}", *value)};
          }};
}

// A column of the points; a text where it is no number.
Axis column_axis(const std::string& column) {
  return {column, [column](const Measured& measured) -> std::optional<Key> {
            const Point& point = measured.points.front();
            if (const auto value = point.number(column))
              return Key{*value, fmt::format("{}", *value)};
            const std::string text = point.text(column);
            if (text.empty()) return std::nullopt;
            return Key{0, text};
          }};
}

struct Panel {
  std::string title;
  std::vector<const Measured*> cells = {};

  const Measured& best() const {
    return **std::min_element(cells.begin(), cells.end(), [](const Measured* a, const Measured* b) {
      return a->distance->value < b->distance->value;
    });
  }
};

struct Figure {
  Axis x, y;
  std::vector<Panel> panels = {};
  // What stands in a cell, a line each; the first is the distance.
  std::function<std::vector<std::string>(const Measured&)> label;

  size_t columns() const { return panels.size() == 1 ? 1 : panels.size() <= 4 ? 2 : 3; }
  size_t rows() const { return (panels.size() + columns() - 1) / columns(); }
  // gnuplot leaves out a title of the axis that long values push out of the figure.
  int left() const {
    size_t longest = kTicLength;
    for (const Key& value : y.values) longest = std::max(longest, value.second.size());
    return kLeft + kTicWidth * (static_cast<int>(longest) - kTicLength);
  }
  int width() const { return (columns() == 1 ? 500 : columns() == 2 ? 760 : 1000) + left() - kLeft; }
  int height() const {
    return kTop + kBottom + static_cast<int>(rows()) * kPanelHeight +
           static_cast<int>(rows() - 1) * kBelow;
  }
  // Whether `lines` lines of text fit into a cell.
  bool has_room(size_t lines) const {
    const auto columns = static_cast<int>(this->columns());
    const int across = (width() - left() - kRight - (columns - 1) * kBetween) / columns;
    return across / static_cast<int>(x.values.size()) >= kLabelWidth &&
           kPanelHeight / static_cast<int>(y.values.size()) >=
               kLabelHeight * static_cast<int>(lines);
  }
};

// Least and most distance of all panels.
std::pair<double, double> range_of(const Figure& figure) {
  double least = INFINITY, most = -INFINITY;
  for (const Panel& panel : figure.panels) {
    for (const Measured* cell : panel.cells) {
      least = std::min(least, cell->distance->value);
      most = std::max(most, cell->distance->value);
    }
  }
  return {least, most};
}

// Numbers in the cells are light on dark cells, dark on light ones.
std::string data_of(const Figure& figure) {
  const auto [least, most] = range_of(figure);
  std::string text = fmt::format(
      "# {} place, {} place, distance, label, colour of the label, {}, {}, error; a block for each "
      "panel\n",
      figure.x.title, figure.y.title, figure.x.title, figure.y.title);
  for (const Panel& panel : figure.panels) {
    text += "# " + data_text(panel.title) + "\n";
    for (const Measured* cell : panel.cells) {
      const double value = cell->distance->value;
      const bool dark = most > least && (value - least) / (most - least) < 0.6;
      std::vector<std::string> lines = figure.label(*cell);
      if (!figure.has_room(lines.size())) lines.resize(figure.has_room(1) ? 1 : 0);
      // gnuplot reads "\n" in a text as the end of a line.
      std::string label;
      for (const std::string& line : lines) label += (label.empty() ? "" : "\\n") + line;
      text += fmt::format("{} {} {} \"{}\" {} {} {} {}\n", figure.x.place(*cell),
                          figure.y.place(*cell), data_number(value), label,
                          dark ? 0xffffff : 0x101010, data_text(figure.x.key(*cell)->second),
                          data_text(figure.y.key(*cell)->second),
                          data_number(cell->distance->error.value_or(NAN)));
    }
    text += "\n\n";
  }
  return text;
}

std::string panel_command(const Figure& figure, size_t index) {
  const Panel& panel = figure.panels[index];
  const auto x = static_cast<double>(figure.x.place(panel.best())),
             y = static_cast<double>(figure.y.place(panel.best()));
  const bool bottom = index + figure.columns() >= figure.panels.size();
  return fmt::format(
      "set title {}\nset xlabel {}\nset ylabel {}\n"
      "set object 1 rectangle from {},{} to {},{} front fillstyle empty border lc rgb '#D55E00' lw "
      "4\n"
      "plot data index {} using 1:2:(0.5):(0.5):3 with boxxyerror fillstyle solid noborder lc "
      "palette, "
      "\\\n  data index {} using 1:2:4:5 with labels font ',11' textcolor rgb variable\n"
      "unset object 1\nunset colorbox\n",
      gnuplot_text(panel.title), gnuplot_text(bottom ? figure.x.title : ""),
      gnuplot_text(index % figure.columns() == 0 ? figure.y.title : ""), x - 0.47, y - 0.46,
      x + 0.47, y + 0.46, index, index);
}

void draw(Plot& plot, const Figure& figure, const std::string& distance) {
  const auto [least, most] = range_of(figure);
  const double width = figure.width(), height = figure.height();
  plot.width = figure.width();
  plot.height = figure.height();
  plot.data = data_of(figure);
  plot.settings = fmt::format(
      "set cblabel {}\nset xrange [-0.5:{}]\nset yrange [-0.5:{}]\nset xtics {} noenhanced\nset "
      "ytics {} "
      "noenhanced\nset cbrange [{}:{}]\nunset grid\nunset key\n",
      gnuplot_text(distance), static_cast<double>(figure.x.values.size()) - 0.5,
      static_cast<double>(figure.y.values.size()) - 0.5, figure.x.tics(), figure.y.tics(), least,
      most > least ? most : least + 1);
  // One colour box for all panels, at the right of the figure.
  plot.command = fmt::format(
      "set colorbox user origin screen {:.4f}, screen {:.4f} size screen {:.4f}, screen {:.4f}\n"
      "set multiplot layout {},{} margins screen {:.4f},{:.4f},{:.4f},{:.4f} spacing screen "
      "{:.4f},{:.4f}\n",
      1 - (kRight - 16) / width, kBottom / height, 16 / width, 1 - (kTop + kBottom) / height,
      figure.rows(), figure.columns(), figure.left() / width, 1 - kRight / width, kBottom / height,
      1 - kTop / height, kBetween / width, kBelow / height);
  for (size_t i = 0; i < figure.panels.size(); ++i) plot.command += panel_command(figure, i);
  plot.command += "unset multiplot";
}

// --- by cfg and self_denoising_lr ---

std::string settings_text(const Measured& measured) {
  return fmt::format("cfg {}, self_denoising_lr {}", *measured.cfg, *measured.lr);
}

// Cells whose distance is within kTold standard errors of the best one's. Without errors none is.
std::vector<const Measured*> not_told_apart(const Panel& panel) {
  const Measured& best = panel.best();
  std::vector<const Measured*> near;
  for (const Measured* cell : panel.cells) {
    if (cell == &best || !cell->distance->error || !best.distance->error) continue;
    const double error = std::hypot(*cell->distance->error, *best.distance->error);
    if (cell->distance->value - best.distance->value <= kTold * error) near.push_back(cell);
  }
  return near;
}

std::string panel_text(const Panel& panel) {
  const Measured& best = panel.best();
  std::string text = fmt::format(
      " {}: smallest at {}: {}{}.", panel.title, settings_text(best), estimate(best),
      best.points.size() >= kFewestSeeds ? fmt::format(" over {} seeds", best.points.size()) : "");
  if (!best.distance->error) return text + " Its error is not known.";
  std::vector<std::string> near;
  for (const Measured* cell : not_told_apart(panel))
    near.push_back(fmt::format("{} ({})", settings_text(*cell), estimate(*cell)));
  return text + (near.empty() ? " No other setting is within two standard errors of it."
                              : fmt::format(" Within two standard errors of it: {}.",
                                            fmt::join(near, "; ")));
}

std::string left_out_text(size_t panels) {
  return panels > kMostPanels ? fmt::format(" {} more panels are left out.", panels - kMostPanels)
                              : "";
}

// Panels of the strategies with two cells at least, in the order of the family.
std::vector<Panel> strategy_panels(const MeasuredFamily& family) {
  std::vector<Panel> panels;
  for (const Measured& measured : family.measured) {
    if (!measured.cfg || !measured.lr || !measured.distance) continue;
    const auto found = std::find_if(panels.begin(), panels.end(), [&](const Panel& panel) {
      return panel.title == measured.strategy;
    });
    if (found == panels.end())
      panels.push_back({measured.strategy, {&measured}});
    else
      found->cells.push_back(&measured);
  }
  std::erase_if(panels, [](const Panel& panel) { return panel.cells.size() < 2; });
  return panels;
}

std::vector<const Measured*> cells_of(const std::vector<Panel>& panels) {
  std::vector<const Measured*> cells;
  for (const Panel& panel : panels)
    cells.insert(cells.end(), panel.cells.begin(), panel.cells.end());
  return cells;
}

// --- by the settings inside a strategy ---

using Names = std::vector<std::string>;
struct Kind {
  const char* name;
  Names columns;
  size_t first, needed;  // of the columns those without which a strategy is of another kind
};
const std::vector<Kind> kKinds = {{"GS-Jacobi", {"stack", "segments", "iterations", "else"}, 1, 2},
                                  {"adaptive window", {"window", "tolerance"}, 0, 2}};

// Of the columns those that differ among the cells, by falling number of values.
std::vector<Axis> differing_axes(const Names& columns, const std::vector<const Measured*>& cells) {
  std::vector<Axis> axes;
  for (const std::string& column : columns) {
    Axis axis = column_axis(column);
    if (!std::all_of(cells.begin(), cells.end(),
                     [&](const Measured* cell) { return axis.key(*cell).has_value(); }))
      continue;
    take_values(axis, cells);
    if (axis.values.size() > 1) axes.push_back(std::move(axis));
  }
  std::stable_sort(axes.begin(), axes.end(),
                   [](const Axis& a, const Axis& b) { return a.values.size() > b.values.size(); });
  return axes;
}

// The strategies of a kind at one cfg and self_denoising_lr, two at least.
std::vector<const Measured*> cells_of_kind(const MeasuredFamily& family, const Kind& kind) {
  std::map<std::pair<std::optional<double>, std::optional<double>>, std::vector<const Measured*>>
      settings;
  for (const Measured& measured : family.measured) {
    bool has = measured.distance && !measured.points.empty();
    for (size_t i = kind.first; has && i < kind.first + kind.needed; ++i)
      has = column_axis(kind.columns[i]).key(measured).has_value();
    if (has) settings[{measured.cfg, measured.lr}].push_back(&measured);
  }
  if (const Measured* best = best_sequential(family)) {
    const auto found = settings.find({best->cfg, best->lr});
    if (found != settings.end() && found->second.size() > 1) return found->second;
  }
  std::vector<const Measured*> most;
  for (const auto& [setting, cells] : settings) {
    if (cells.size() > std::max<size_t>(1, most.size())) most = cells;
  }
  return most;
}

std::string rate_line(const MeasuredFamily& family, const Measured& measured) {
  const Measured* reference = sequential_beside(family, measured);
  const auto faster = rate(measured, reference);
  return faster ? fmt::format("{:.2f}×", *faster) : "";
}

// Puts the cell into the panel. Of several in one place, which differ in what is no axis, the one
// of the smallest distance stays; then false.
bool take(Panel& panel, const Axis& x, const Axis& y, const Measured& cell) {
  const auto same_place = [&](const Measured* other) {
    return x.key(*other) == x.key(cell) && y.key(*other) == y.key(cell);
  };
  const auto found = std::find_if(panel.cells.begin(), panel.cells.end(), same_place);
  if (found == panel.cells.end()) {
    panel.cells.push_back(&cell);
    return true;
  }
  if (cell.distance->value < (*found)->distance->value) *found = &cell;
  return false;
}

std::optional<Plot> strategy_map(const MeasuredFamily& family, const Kind& kind) {
  const std::vector<const Measured*> cells = cells_of_kind(family, kind);
  std::vector<Axis> axes = differing_axes(kind.columns, cells);
  if (axes.empty()) return std::nullopt;
  if (axes.size() == 1)  // one row
    axes.push_back({"", [](const Measured&) { return std::optional(Key{0, ""}); }, {Key{0, ""}}});
  std::map<std::vector<Key>, Panel> panels;
  size_t behind = 0;  // strategies that are not drawn, as another of the same place is
  for (const Measured* cell : cells) {
    std::vector<Key> keys;
    std::vector<std::string> title;
    for (size_t i = 2; i < axes.size(); ++i) {
      keys.push_back(*axes[i].key(*cell));
      title.push_back(fmt::format("{} {}", axes[i].title, keys.back().second));
    }
    Panel& panel = panels[keys];
    panel.title = fmt::format("{}", fmt::join(title, ", "));
    if (!take(panel, axes[0], axes[1], *cell)) ++behind;
  }
  Figure figure{axes[0], axes[1], {}, [&family](const Measured& measured) {
                  std::vector<std::string> lines = {estimate_text({measured.distance->value}, 4)};
                  const std::string rate = rate_line(family, measured);
                  if (!rate.empty()) lines.push_back(rate);
                  return lines;
                }};
  for (auto& [keys, panel] : panels) figure.panels.push_back(std::move(panel));
  const size_t all = figure.panels.size();
  if (all > kMostPanels) figure.panels.resize(kMostPanels);
  const Measured& best = Panel{"", cells}.best();
  Plot plot;
  plot.name = file_name(fmt::format("strategies_{}_{}", family.title, kind.name));
  plot.title =
      fmt::format("{}: {} by the settings of {}", family.title, family.distance_name, kind.name);
  std::string where;
  if (best.cfg && best.lr) where = " at " + settings_text(best);
  plot.caption = fmt::format(
      "{} of {} strategies{}. Darker is smaller. Framed: the smallest of each panel. The second "
      "line "
      "of a cell is the rate, where both times are valid. Smallest: {}, {}.{}{}",
      family.distance_name, cells.size(), where, best.strategy, estimate(best), left_out_text(all),
      smoke_warning(family.smoke));
  if (behind > 0) {
    plot.caption += fmt::format(
        " Not drawn: {} with the same settings as another one, whose distance is smaller.",
        behind == 1 ? "1 strategy" : fmt::format("{} strategies", behind));
  }
  draw(plot, figure, family.distance_name);
  return plot;
}

}  // namespace

std::vector<Plot> heat_maps(const std::vector<MeasuredFamily>& families) {
  std::vector<Plot> plots;
  for (const MeasuredFamily& family : families) {
    std::vector<Panel> panels = strategy_panels(family);
    if (panels.empty()) continue;
    const size_t all = panels.size();
    if (all > kMostPanels) panels.resize(kMostPanels);
    Figure figure{number_axis("cfg", &Measured::cfg),
                  number_axis("self_denoising_lr", &Measured::lr), std::move(panels),
                  [](const Measured& measured) {
                    return std::vector{estimate_text({measured.distance->value}, 4)};
                  }};
    const std::vector<const Measured*> cells = cells_of(figure.panels);
    take_values(figure.x, cells);
    take_values(figure.y, cells);
    Plot plot;
    plot.name = file_name("heat_map_" + family.title);
    plot.title =
        fmt::format("{}: {} by cfg and self_denoising_lr", family.title, family.distance_name);
    plot.caption = fmt::format(
        "{} at each cfg (across) and self_denoising_lr (upwards), one panel per strategy. Darker "
        "is "
        "smaller. Framed: the smallest of each panel.",
        family.distance_name);
    for (const Panel& panel : figure.panels) plot.caption += panel_text(panel);
    plot.caption += left_out_text(all) + smoke_warning(family.smoke);
    draw(plot, figure, family.distance_name);
    plots.push_back(std::move(plot));
  }
  return plots;
}

std::vector<Plot> strategy_maps(const std::vector<MeasuredFamily>& families) {
  std::vector<Plot> plots;
  for (const MeasuredFamily& family : families) {
    for (const Kind& kind : kKinds) {
      if (auto plot = strategy_map(family, kind)) plots.push_back(std::move(*plot));
    }
  }
  return plots;
}

}  // namespace tarflow::analysis
