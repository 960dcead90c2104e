// The values that the fields of one experiment take anywhere in its entry, each read once; a point
// names them by number.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "framework/sweep/fields.h"
#include "framework/sweep/settings.h"

namespace tarflow::sweep {

// A value of a field; 0: none.
using Cell = uint32_t;

// Points in the making, one after another: a cell for every field of the experiment.
struct Rows {
  size_t width = 0;
  size_t count = 0;
  std::vector<Cell> cells;

  const Cell* row(size_t i) const { return cells.data() + i * width; }
  void add(const Cell* row) {
    cells.insert(cells.end(), row, row + width);
    ++count;
  }
};

struct Value {
  SettingPtr setting;    // nullptr: not legal, which has been reported
  std::string identity;  // identity_text
  Mark mark;
};

class Values {
 public:
  Values(const ExperimentSchema& schema, const Surroundings& surroundings, Report& report);

  // Reads a value, reporting what is wrong with it; strategies wait for the model of a point.
  Cell add(size_t field, NodePtr node);

  // What the field is in a row; nullptr when it is nothing or not legal. A strategy that the row's
  // model cannot have is reported by require_strategies only.
  const Value* at(size_t field, const Cell* row);
  // The same for conditions: a strategy that the model cannot have still has its name.
  const Setting* setting(size_t field, const Cell* row);

  // Reports what is wrong with the strategies of these rows, and with those in none of them as far
  // as that can be told without a model.
  void require_strategies(const Rows& rows);

  // A text that equal values of a field share, whatever the model; nothing for values that are not
  // legal.
  std::optional<std::string> equality_text(size_t field, Cell cell);

  // Why two values that are written differently are equal, where it is not plain: ": ...", else "".
  std::string why_equal(size_t field, Cell one, Cell other);

  const ExperimentSchema& schema() const { return schema_; }
  const Surroundings& surroundings() const { return surroundings_; }
  Report& report() { return report_; }
  size_t width() const { return schema_.fields.size(); }
  Mark mark(size_t field, Cell cell) const { return pools_[field][cell - 1].node->mark; }
  std::optional<size_t> model_field() const { return model_field_; }
  // Of the models that the file states and that are sound, each once.
  const std::vector<FlowSize>& flows() const { return flows_; }

 private:
  struct Choice {
    NodePtr node;
    Value value;
    SettingPtr named;      // of a strategy: its name alone
    bool checked = false;  // of a strategy: read for a model
  };
  struct ForModel {
    Value value;
    std::vector<Problem> errors;
  };

  const ForModel& strategy(size_t field, Cell cell, Cell model);
  std::optional<FlowSize> flow(Cell model) const;

  const ExperimentSchema& schema_;
  const Surroundings& surroundings_;
  Report& report_;
  std::optional<size_t> model_field_;
  std::vector<FlowSize> flows_;
  std::vector<std::vector<Choice>> pools_;
  std::unordered_map<uint64_t, ForModel> strategies_;
};

}  // namespace tarflow::sweep
