// Plans of a block in few words.
#pragma once

#include <optional>

#include "framework/core/strategy.h"

namespace tarflow {

// By segments as a record counts them: 0 sequential, 1 Jacobi, more GS-Jacobi.
inline BlockPlan plan_of(int segments, int iterations = 0, Guess guess = Guess::kZ,
                         double clamp = 0, std::optional<Stop> stop = {}) {
  if (segments == 0) return {Sequential{}};
  const Iterations shared{iterations, guess, clamp, stop};
  if (segments == 1) return {Jacobi{shared}};
  return {Segments{shared, SegmentCount{segments}}};
}

inline Stop published_stop(double threshold = kPublishedStop) {
  return {Norm::kPublished, threshold};
}

}  // namespace tarflow
