#include "framework/sweep/space.h"

#include <fmt/format.h>

#include <algorithm>

namespace tarflow::sweep {
namespace {

// Rows made on the way to the points; more are a space that multiplies and then excludes.
constexpr size_t kMaxWork = 20 * kMaxPoints;

class Evaluator {
 public:
  Evaluator(Values& values, size_t limit)
      : values_(values), report_(values.report()), limit_(limit) {}

  // The points of a space, with all cells of `context` that it does not set.
  Rows points(Space& space, const Cell* context) {
    std::vector<Cell> start(context, context + values_.width());
    for (const auto& [field, plain] : space.plain) start[field] = plain.first;
    Rows rows = empty();
    if (space.own_points) rows.add(start.data());
    for (Factor& factor : space.factors) {
      const Rows changes = combinations(factor, start.data());
      rows = product(rows, changes, factor.value_mark);
      if (stopped_) return rows;
    }
    for (Include& include : space.includes) {
      rows = include.when ? extended(std::move(rows), include)
                          : joined(std::move(rows), points(*include.space, start.data()), include);
      if (stopped_) return rows;
    }
    return without_excluded(std::move(rows), space.excludes);
  }

 private:
  Rows empty() const { return {values_.width(), 0, {}}; }

  SettingOf settings_of(const Cell* row) {
    return [this, row](size_t field) { return values_.setting(field, row); };
  }

  // `count` rows, of which `made` are new.
  bool is_within(size_t count, size_t made, Mark mark) {
    work_ += made;
    if (count <= limit_ && work_ <= kMaxWork) return true;
    if (!stopped_) {
      report_.error(mark, fmt::format("the sweep has more than {} points", kMaxPoints),
                    "split it into several files");
    }
    stopped_ = true;
    return false;
  }

  // Every row with every change, the changes varying faster.
  Rows product(const Rows& rows, const Rows& changes, Mark mark) {
    Rows result = empty();
    const size_t count = rows.count * changes.count;  // both are within the limit
    if (rows.count == 0 || !is_within(count, count, mark)) return result;
    result.cells.reserve(count * rows.width);
    for (size_t i = 0; i < rows.count; ++i) {
      for (size_t k = 0; k < changes.count; ++k) add_changed(result, rows.row(i), changes.row(k));
    }
    return result;
  }

  static void add_changed(Rows& rows, const Cell* row, const Cell* change) {
    const size_t at = rows.cells.size();
    rows.add(row);
    for (size_t field = 0; field < rows.width; ++field) {
      if (change[field]) rows.cells[at + field] = change[field];
    }
  }

  // What a factor sets, in rows with 0 for all other fields.
  Rows combinations(Factor& factor, const Cell* context) {
    Rows rows = empty();
    const std::vector<Cell> none(values_.width(), 0);
    switch (factor.kind) {
      case Factor::Kind::kAxis:
        for (const Cell cell : factor.cells) {
          rows.add(none.data());
          rows.cells[rows.cells.size() - rows.width + factor.field] = cell;
        }
        return rows;
      case Factor::Kind::kSpace:
        rows = points(*factor.space, context);
        for (size_t i = 0; i < rows.cells.size(); ++i) {
          if (!factor.fields.contains(i % rows.width)) rows.cells[i] = 0;
        }
        return rows;
      case Factor::Kind::kGrid:
        rows.add(none.data());
        for (Factor& part : factor.parts) {
          rows = product(rows, combinations(part, context), factor.value_mark);
        }
        return rows;
      case Factor::Kind::kZip:
        return zipped(factor, context);
    }
    return rows;
  }

  std::string describe(const Factor& part) const {
    if (part.kind == Factor::Kind::kAxis) {
      return fmt::format("`{}`", values_.schema().fields[part.field].name);
    }
    if (part.kind == Factor::Kind::kSpace) return "this space";
    return part.kind == Factor::Kind::kZip ? "`zip`" : "`grid`";
  }

  // The first of all parts together, then the second, and so on.
  Rows zipped(Factor& factor, const Cell* context) {
    Rows rows = empty();
    const std::vector<Cell> none(values_.width(), 0);
    for (size_t part = 0; part < factor.parts.size(); ++part) {
      const Rows changes = combinations(factor.parts[part], context);
      if (part == 0) rows = changes;
      if (changes.count != rows.count && !stopped_) {
        const Factor& first = factor.parts[0];
        const Factor& other = factor.parts[part];
        report_.error(other.mark,
                      fmt::format("{} has {} values in this zip, but {} on {} has {}",
                                  describe(other), changes.count, describe(first),
                                  report_.sources.line(first.mark, other.mark), rows.count),
                      "a zip takes equally many of each");
        stopped_ = true;
      }
      if (stopped_) return empty();
      for (size_t i = 0; part > 0 && i < rows.cells.size(); ++i) {
        if (changes.cells[i]) rows.cells[i] = changes.cells[i];
      }
    }
    if (factor.parts.empty()) rows.add(none.data());  // all of its axes are overridden
    return rows;
  }

  Rows joined(Rows rows, const Rows& more, const Include& include) {
    if (!is_within(rows.count + more.count, more.count, include.mark)) return rows;
    rows.cells.insert(rows.cells.end(), more.cells.begin(), more.cells.end());
    rows.count += more.count;
    return rows;
  }

  // Every row that matches is replaced by the entry's points on top of it.
  Rows extended(Rows rows, Include& include) {
    Rows result = empty();
    for (size_t i = 0; i < rows.count && !stopped_; ++i) {
      if (!include.when->counted(settings_of(rows.row(i)))) {
        result.add(rows.row(i));
      } else {
        result = joined(std::move(result), points(*include.space, rows.row(i)), include);
      }
    }
    return result;
  }

  Rows without_excluded(Rows rows, std::vector<Condition>& excludes) {
    if (excludes.empty()) return rows;
    Rows kept = empty();
    for (size_t i = 0; i < rows.count; ++i) {
      bool dropped = false;
      for (Condition& condition : excludes) {
        dropped = condition.counted(settings_of(rows.row(i))) || dropped;
      }
      if (!dropped) kept.add(rows.row(i));
    }
    return kept;
  }

  Values& values_;
  Report& report_;
  size_t limit_;
  size_t work_ = 0;
  bool stopped_ = false;  // what is returned is of no use, which has been reported
};

void warn_of(const Condition& condition, const char* key, Report& report) {
  if (condition.matches > 0) return;
  report.warn(condition.mark, fmt::format("no point matches this condition of `{}`", key),
              "correct or remove it");
}

void warn_of_idle(const Factor& factor, Report& report) {
  if (factor.space) warn_of_idle_conditions(*factor.space, report);
  for (const Factor& part : factor.parts) warn_of_idle(part, report);
}

void add_at_work(const Space& space, std::vector<Mark>& marks);

void add_at_work(const Factor& factor, std::vector<Mark>& marks) {
  if (factor.space) add_at_work(*factor.space, marks);
  for (const Factor& part : factor.parts) add_at_work(part, marks);
}

void add_at_work(const Space& space, std::vector<Mark>& marks) {
  for (const Factor& factor : space.factors) add_at_work(factor, marks);
  for (const Include& include : space.includes) add_at_work(*include.space, marks);
  for (const Condition& condition : space.excludes) {
    if (condition.matches > 0) marks.push_back(condition.mark);
  }
}

}  // namespace

std::vector<Mark> conditions_at_work(const Space& space) {
  std::vector<Mark> marks;
  add_at_work(space, marks);
  return marks;
}

Rows points_of(Space& space, const Cell* context, Values& values, size_t limit) {
  return Evaluator(values, limit).points(space, context);
}

void warn_of_idle_conditions(const Space& space, Report& report) {
  for (const Factor& factor : space.factors) warn_of_idle(factor, report);
  for (const Include& include : space.includes) {
    if (include.when) warn_of(*include.when, "include", report);
    warn_of_idle_conditions(*include.space, report);
  }
  for (const Condition& condition : space.excludes) warn_of(condition, "exclude", report);
}

}  // namespace tarflow::sweep
