// `guess: auto` in a strategy against the settings that it needs.
#pragma once

#include <string>
#include <unordered_map>

#include "framework/sweep/values.h"

namespace tarflow::sweep {

// Tells which rows have a strategy with a guess that is left open, and which of their settings mean
// something.
class OpenGuesses {
 public:
  // Keeps a reference to the values.
  explicit OpenGuesses(Values& values);

  // Reports each open guess without images that choose it, at the place of the strategy, and images
  // that the experiment's entry names though no guess is open.
  void require_images(const Rows& rows, const Node& entry);

  // Whether the field of this row changes nothing: what chooses guesses where none is open. Such
  // a setting is no part of a point.
  bool is_idle(size_t field, const Cell* row) {
    return (field == images_ || field == layout_ || field == count_) && !open_strategy(row);
  }

 private:
  const Value* open_strategy(const Cell* row);  // nullptr: none

  static constexpr size_t kNone = SIZE_MAX;
  Values& values_;
  size_t images_ = kNone, layout_ = kNone, count_ = kNone;  // fields
  std::unordered_map<const Setting*, bool> open_;
};

}  // namespace tarflow::sweep
