#include "analysis/answer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "analysis/data/deviation.h"
#include "analysis/data/sources.h"
#include "analysis/data/timing.h"
#include "analysis/page/page_summary.h"
#include "analysis/show/format.h"
#include "analysis/show/width.h"
#include "analysis/tables/distances.h"
#include "analysis/tables/speedup_block.h"
#include "framework/core/arguments.h"
#include "framework/core/error.h"

namespace tarflow::analysis {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMostRows = 6;  // of the table
constexpr size_t kFewRows = 3;   // beside findings that take more than kFewLines lines
constexpr size_t kFewLines = 3;
constexpr size_t kMostNotValid = 3;  // kinds of what is not valid
constexpr size_t kMostModels = 4;    // of a table of several models
constexpr const char* kMore = "…";
constexpr const char* kIndicativeNote = "indicative";  // the lines below the table say why

// A cfg and self_denoising_lr of a family.
struct Setting {
  std::optional<double> cfg, lr;
  bool operator==(const Setting&) const = default;
};

Setting setting_of(const Measured& measured) { return {measured.cfg, measured.lr}; }

std::string setting_text(const Setting& setting) {
  std::vector<std::string> parts;
  if (setting.cfg) parts.push_back(fmt::format("cfg {}", *setting.cfg));
  if (setting.lr) parts.push_back(fmt::format("self_denoising_lr {}", *setting.lr));
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Of a trial: in the order of the sweep file, since its numbers mean nothing.
std::vector<const Measured*> rows_in_sweep_order(const std::vector<const Measured*>& rows) {
  std::vector<Point> firsts;
  std::map<std::string, const Measured*> by_origin;
  for (const Measured* row : rows) {
    for (const Point& point : row->points) {
      firsts.push_back(point);
      by_origin[point.origin()] = row;
    }
  }
  std::vector<const Measured*> ordered;
  for (const Point& point : in_sweep_order(std::move(firsts))) {
    const Measured* const row = by_origin.at(point.origin());
    if (std::find(ordered.begin(), ordered.end(), row) == ordered.end()) ordered.push_back(row);
  }
  return ordered;
}

std::vector<const Measured*> rows_at(const MeasuredFamily& family, const Setting& setting) {
  std::vector<const Measured*> rows;
  for (const Measured& measured : family.measured) {
    if (setting_of(measured) == setting) rows.push_back(&measured);
  }
  return family.smoke ? rows_in_sweep_order(rows) : rows;
}

// Where the distance of For is smallest, else that of any strategy; without distances the setting
// that has most strategies. Of a trial the first of the sweep file.
Setting best_setting(const MeasuredFamily& family) {
  if (family.smoke) {
    std::vector<const Measured*> all;
    for (const Measured& measured : family.measured) all.push_back(&measured);
    return setting_of(*rows_in_sweep_order(all).front());
  }
  if (const Measured* best = best_sequential(family)) return setting_of(*best);
  const Measured* nearest = nullptr;
  for (const Measured& measured : family.measured) {
    if (!measured.distance) continue;
    if (!nearest || measured.distance->value < nearest->distance->value) nearest = &measured;
  }
  if (nearest) return setting_of(*nearest);
  Setting most = setting_of(family.measured.front());
  size_t strategies = 0;
  for (const Measured& one : family.measured) {
    const auto same = [&](const Measured& other) { return setting_of(other) == setting_of(one); };
    const auto count =
        static_cast<size_t>(std::count_if(family.measured.begin(), family.measured.end(), same));
    if (count > strategies) {
      strategies = count;
      most = setting_of(one);
    }
  }
  return most;
}

// The median deviation from the images of For, a mean over the seeds of both.
Cell median_deviation(const Measured& measured, const Measured* reference) {
  if (!reference) return {kNoValue};
  double sum = 0;
  size_t seeds = 0;
  for (const Point& point : measured.points) {
    const auto same_seed = [&](const Point& other) {
      return other.number("seed") == point.number("seed");
    };
    const auto other = std::find_if(reference->points.begin(), reference->points.end(), same_seed);
    if (other == reference->points.end()) continue;
    try {
      const record::Array* images = point.array(kSampledImages);
      const record::Array* exact = other->array(kSampledImages);
      if (!images || !exact) continue;
      sum += deviation(*images, *exact).median;
      ++seeds;
    } catch (const Error&) {  // the table of the block says why
    }
  }
  return seeds > 0 ? deviation_cell(sum / static_cast<double>(seeds)) : Cell{kNoValue};
}

// Whether the rows were measured with different seeds: then each says its own.
bool seeds_differ(const std::vector<const Measured*>& rows) {
  return std::any_of(rows.begin(), rows.end(), [&](const Measured* row) {
    return !same_seeds(row->points, rows.front()->points);
  });
}

// `seeds`: a note.
Cell strategy_cell(const Measured& measured, const std::string& seeds) {
  Cell cell{measured.strategy, false, seeds};
  for (const Point& point : measured.points) cell.origins.push_back(point.origin());
  return cell;
}

// The strategy to show beside For: that of fastest_within(), else the one of the smallest distance;
// without distances the fastest. Those with a seed of For's come first. Of a trial the first of the
// sweep file. nullptr where there is no other.
const Measured* best_beside(const MeasuredFamily& family, const Measured* reference,
                            const Setting& setting) {
  std::vector<const Measured*> others = rows_at(family, setting);
  std::erase_if(others, [](const Measured* one) { return one->sequential; });
  if (others.empty() || family.smoke) return others.empty() ? nullptr : others.front();
  if (reference) {
    for (const Timing worst : {Timing::kValid, Timing::kIndicative}) {
      const Fastest fastest = fastest_within(others, *reference, kWithin, worst);
      if (fastest.strategy) return fastest.strategy;
    }
  }
  const auto key = [&](const Measured* one) {
    const bool distances = reference && reference->distance;
    const auto faster = rate(*one, reference, Timing::kIndicative);
    return std::tuple(distances ? distance_ratio(*one, reference).value_or(INFINITY) : 1,
                      faster ? 1 / *faster : INFINITY, one->indicative_seconds.value_or(INFINITY));
  };
  return *std::min_element(others.begin(), others.end(),
                           [&](const Measured* a, const Measured* b) { return key(a) < key(b); });
}

// The rows shown: For, and of more than `most` the best beside it and the fastest; of a trial the
// first of the sweep file.
std::vector<const Measured*> shown_rows(const MeasuredFamily& family, const Setting& setting,
                                        size_t most, size_t& left_out) {
  std::vector<const Measured*> rows = rows_at(family, setting);
  left_out = rows.size() > most ? rows.size() - most : 0;
  if (left_out == 0) return rows;
  if (family.smoke) {
    rows.resize(most);
    return rows;
  }
  const Measured* const best =
      best_beside(family, sequential_at(family, setting.cfg, setting.lr), setting);
  std::vector<const Measured*> order = rows;
  std::stable_sort(order.begin(), order.end(), [&](const Measured* a, const Measured* b) {
    const auto key = [&](const Measured* m) {
      return std::tuple(!m->sequential, m != best, m->indicative_seconds.value_or(INFINITY));
    };
    return key(a) < key(b);
  });
  order.resize(most);
  std::erase_if(rows, [&](const Measured* row) {
    return std::find(order.begin(), order.end(), row) == order.end();
  });
  return rows;
}

// What is left out of a table: ends its introduction; "" for nothing.
std::string not_shown(const std::vector<std::string>& parts) {
  return parts.empty() ? "" : fmt::format("; not shown: {}", fmt::join(parts, ", "));
}

std::string strategies_left_out(size_t count, bool smoke) {
  return fmt::format("{} {}{}", count, smoke ? "" : "slower ",
                     count == 1 ? "strategy" : "strategies");
}

Cell seconds_cell(const Measured& measured, int decimals, const std::string& note) {
  if (measured.seconds) return number_cell(measured.seconds, decimals);
  return number_cell(measured.indicative_seconds, decimals,
                     measured.indicative_seconds ? note : "");
}

Cell rate_cell(const Measured& measured, const Measured* reference, const std::string& note) {
  if (!reference) return {kNoValue};
  const std::string seeds = common_seeds_text(measured.points, reference->points);
  const std::string over = seeds.empty() ? "" : "over " + seeds;
  if (const auto valid = rate(measured, reference)) return number_cell(valid, 2, over);
  const auto indicative = rate(measured, reference, Timing::kIndicative);
  if (!indicative) return {kNoValue, false, no_common_seed(measured.points, reference->points)};
  return number_cell(indicative, 2, over.empty() ? note : note + ", " + over);
}

// `others`: families that have no table; `trials`: those of trial runs beside real results.
Table table_of(const MeasuredFamily& family, size_t others, size_t trials, size_t most) {
  const Setting setting = best_setting(family);
  size_t left_out = 0;
  const std::vector<const Measured*> rows = shown_rows(family, setting, most, left_out);
  const Measured* const reference = sequential_at(family, setting.cfg, setting.lr);
  std::vector<Point> points;
  std::vector<std::optional<double>> times;
  for (const Measured* row : rows) {
    points.insert(points.end(), row->points.begin(), row->points.end());
    times.push_back(row->seconds ? row->seconds : row->indicative_seconds);
  }
  const std::string note = kIndicativeNote;
  const bool distances = !family.distance_name.empty();
  Table table;
  table.title = fmt::format("{} at {}", family.title, setting_text(setting));
  const Point& first = points.front();
  table.introduction =
      fmt::format("{}, {}, {} images, {}", first.text("device"), first.text("compute"),
                  count_text(first.number("num_images").value_or(0)), seeds_text(points));
  if (rows.size() > 2)
    table.introduction += family.smoke ? ", as in the sweep file" : ", in the order of passes";
  table.columns = {{"strategy", Align::kLeft}, {"total s"}, {"rate"}};
  if (distances) table.columns.push_back({family.distance_name});
  table.columns.push_back({"deviation"});
  const int decimals = decimals_for(times);
  for (const Measured* row : rows) {
    // The introduction has all seeds.
    const std::string seeds =
        same_seeds(row->points, points) ? "" : seeds_text(row->points) + " only";
    std::vector<Cell> cells = {strategy_cell(*row, seeds), seconds_cell(*row, decimals, note),
                               rate_cell(*row, reference, note)};
    if (distances) {
      cells.push_back(row->distance ? estimate_cell(*row->distance, 4) : Cell{kNoValue});
      cells.back().note.clear();  // the table of distances says why there is no error
    }
    cells.push_back(median_deviation(*row, reference));
    table.rows.push_back(std::move(cells));
  }
  std::vector<std::string> more;
  if (left_out > 0) more.push_back(strategies_left_out(left_out, family.smoke));
  if (others > 0) more.push_back(fmt::format("{} of other settings", plural(others, "group")));
  if (trials > 0) more.push_back(fmt::format("{} of a smoke run", plural(trials, "group")));
  table.introduction += not_shown(more);
  return table;
}

// Two rows a model: For at its best setting, and the strategy that comes off best beside it.
Table table_of_models(const std::vector<const MeasuredFamily*>& models, size_t others,
                      size_t trials) {
  Table table;
  table.title = "Each model at its best setting";
  table.columns = {{"model", Align::kLeft},
                   {"setting", Align::kLeft},
                   {"strategy", Align::kLeft},
                   {"total s"},
                   {"rate"},
                   {"distance"},
                   {"deviation"}};
  std::set<std::string> distances;
  const bool smoke = models.front()->smoke;  // as all
  const size_t shown = std::min(models.size(), kMostModels);
  for (size_t i = 0; i < shown; ++i) {
    const MeasuredFamily& family = *models[i];
    const Setting setting = best_setting(family);
    const Measured* const reference = sequential_at(family, setting.cfg, setting.lr);
    if (!family.distance_name.empty()) distances.insert(family.distance_name);
    bool first = true;
    std::vector<const Measured*> rows = {reference, best_beside(family, reference, setting)};
    std::erase(rows, nullptr);
    const bool with_seeds = seeds_differ(rows);
    for (const Measured* row : rows) {
      const auto seconds = row->seconds ? row->seconds : row->indicative_seconds;
      table.rows.push_back({{first ? row->points.front().text("model") : ""},
                            {first ? setting_text(setting) : ""},
                            strategy_cell(*row, with_seeds ? seeds_text(row->points) : ""),
                            seconds_cell(*row, decimals_for({seconds}), kIndicativeNote),
                            rate_cell(*row, reference, kIndicativeNote),
                            row->distance ? estimate_cell(*row->distance, 4) : Cell{kNoValue},
                            median_deviation(*row, reference)});
      table.rows.back()[5].note.clear();  // the table of distances says why there is no error
      first = false;
    }
  }
  if (smoke) table.title = smoke_title(table.title);
  table.introduction = fmt::format(
      "For, and the {}{}",
      smoke ? "first other strategy of the sweep file"
            : "fastest strategy within 1 % of its distance, else the nearest",
      distances.empty() ? "" : fmt::format("; distance: {}", fmt::join(distances, ", ")));
  std::vector<std::string> more;
  if (const size_t groups = models.size() - shown + others; groups > 0)
    more.push_back(plural(groups, "group") + " of settings");
  if (trials > 0) more.push_back(fmt::format("{} of a smoke run", plural(trials, "group")));
  table.introduction += not_shown(more);
  return table;
}

// The largest family of each model, in the order of the families.
std::vector<const MeasuredFamily*> largest_families(const std::vector<MeasuredFamily>& all) {
  std::vector<const MeasuredFamily*> largest;
  std::map<std::pair<std::string, std::string>, size_t> places;  // by model
  for (const MeasuredFamily& family : all) {
    const Point& point = family.measured.front().points.front();
    const auto [place, fresh] =
        places.try_emplace({point.text("model"), point.model_id()}, largest.size());
    if (fresh) {
      largest.push_back(&family);
    } else if (family.measured.size() > largest[place->second]->measured.size()) {
      largest[place->second] = &family;
    }
  }
  return largest;
}

// Of the points, by experiment: "20 points of evaluate, 1 of igm_crm".
std::string what_was_run(const std::vector<Point>& points) {
  std::map<std::string, size_t> counts;
  for (const Point& point : points) ++counts[point.text("experiment")];
  std::vector<std::string> parts;
  for (const auto& [experiment, count] : counts) {
    parts.push_back(fmt::format(
        "{} of {}", parts.empty() ? plural(count, "point") : std::to_string(count), experiment));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

void add_timings(const std::vector<Point>& points, std::vector<std::string>& lines) {
  std::vector<Point> timed, disturbed;
  for (const Point& point : points) {
    if (point.text("experiment") != "evaluate") continue;
    timed.push_back(point);
    if (timing_of(point) == Timing::kIndicative) disturbed.push_back(point);
  }
  if (disturbed.empty()) return;
  lines.push_back(fmt::format("times of {} of {} are indicative: {}\n  measure again: {}",
                              disturbed.size(), plural(timed.size(), "point"),
                              disturbance(disturbed), measure_again_command(disturbed)));
}

void add_warnings(const std::vector<Point>& points, std::vector<std::string>& lines) {
  std::map<std::string, size_t> warnings;
  for (const Point& point : points) {
    if (!point.warning().empty()) ++warnings[point.warning()];
  }
  for (const auto& [text, count] : warnings)
    lines.push_back(fmt::format("{}: {}", plural(count, "point"), text));
}

// The lines of a paragraph, at most `most`; what is cut ends in "…".
std::vector<std::string> cut(const std::string& paragraph, int width, size_t most) {
  std::vector<std::string> lines = wrap(paragraph, width);
  if (lines.size() <= most) return lines;
  lines.resize(most);
  if (most > 0) {
    std::vector<std::string> last = wrap(lines.back(), width - 2);
    lines.back() = last.front() + " " + kMore;
  }
  return lines;
}

// As a terminal takes it for a link: other signs than plain ones as %XX.
std::string url_path(const std::string& path) {
  std::string text;
  for (const char c : path) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) ||
                       std::string_view("/-._~+,:=@").find(c) != std::string_view::npos;
    text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

size_t lines_in(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

Answer make_answer(const std::vector<Point>& points, const std::vector<MeasuredFamily>& families,
                   const std::vector<Source>& sources) {
  Answer answer;
  answer.findings = findings(points, families);
  std::vector<MeasuredFamily> all = evaluated_families(points);
  const auto trial = [](const MeasuredFamily& family) { return family.smoke; };
  auto trials = static_cast<size_t>(std::count_if(all.begin(), all.end(), trial));
  if (trials < all.size())
    std::erase_if(all, trial);  // no table holds both real results and a trial's
  else
    trials = 0;
  const std::vector<const MeasuredFamily*> models = largest_families(all);
  answer.what = what_was_run(points);
  add_timings(points, answer.not_valid);
  add_warnings(points, answer.not_valid);
  for (const Source& source : sources) {
    const std::vector<std::string> without = points_without_results(source);
    if (without.empty()) continue;
    answer.not_valid.push_back(
        without.size() == 1 ? without.front()
                            : fmt::format("{}; and {} more", without.front(), without.size() - 1));
  }
  // What was found is told in whole: long findings leave room for a short table.
  size_t lines = 0;
  for (const std::string& finding : answer.findings)
    lines += wrap(finding, TextStyle{}.width).size();
  for (size_t i = 0; i < std::min(answer.not_valid.size(), kMostNotValid); ++i)
    lines += answer.not_valid[i].find('\n') == std::string::npos ? 2 : 3;
  const size_t most = lines > kFewLines ? kFewRows : kMostRows;
  if (models.size() == 1)
    answer.tables.push_back(table_of(*models.front(), all.size() - 1, trials, most));
  if (models.size() > 1)
    answer.tables.push_back(table_of_models(models, all.size() - models.size(), trials));
  return answer;
}

std::string render_answer(const Report& report, const std::vector<fs::path>& files,
                          const fs::path& folder, const TextStyle& style) {
  const auto strong = [&](const std::string& text) {
    return style.bold ? "\033[1m" + text + "\033[0m" : text;
  };
  std::string table;
  for (const Table& one : report.answer.tables) table += "\n" + render_text(one, style);
  std::vector<std::string> not_valid = report.answer.not_valid;
  not_valid.insert(not_valid.begin(), report.problems.begin(), report.problems.end());
  if (not_valid.size() > kMostNotValid) {
    const size_t more = not_valid.size() - (kMostNotValid - 1);
    not_valid.resize(kMostNotValid - 1);
    not_valid.push_back(fmt::format("and {} more: analyze tells all", more));
  }
  std::string invalid;
  for (const std::string& line : not_valid) {
    const size_t end = line.find('\n');
    for (const std::string& part : cut("not valid: " + line.substr(0, end), style.width, 2))
      invalid += part + "\n";
    if (end != std::string::npos) invalid += line.substr(end + 1) + "\n";
  }
  std::string end;
  std::error_code failed;
  const fs::path page = fs::absolute(folder / "report.html", failed);
  if (fs::exists(page, failed)) end += fmt::format("report: file://{}\n", url_path(page.string()));
  std::vector<std::string> names;
  for (const fs::path& file : files) names.push_back(shell_word(file.string()));
  end += fmt::format("all tables: {} {}\n", called("analyze"), fmt::join(names, " "));

  const size_t taken = 1 + lines_in(table) + lines_in(invalid) + lines_in(end);
  size_t room = taken < kMostAnswerLines ? kMostAnswerLines - taken : 1;
  std::string text = strong(report.title) + ": " + report.answer.what + "\n";
  for (const std::string& paragraph : report.answer.findings) {
    for (const std::string& line : cut(paragraph, style.width, room)) {
      text += line + "\n";
      --room;
    }
    if (room == 0) break;
  }
  return text + table + invalid + end;
}

}  // namespace tarflow::analysis
