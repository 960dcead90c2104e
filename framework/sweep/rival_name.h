// The samplers of others by name (method.md section 6).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/sweep/strategy_name.h"

namespace tarflow::sweep {

// SeJD, "Inference Acceleration of Autoregressive Normalizing Flows by Selective Jacobi Decoding"
// (arXiv 2505.24791): block K-1, which is sampled first, is sequential; all others are Jacobi until
// the largest absolute change is at most 0.5.
struct SelectiveJacobi {
  static constexpr double kThreshold = 0.5;
  bool operator==(const SelectiveJacobi&) const = default;
};

// STARFlow (github.com/apple/ml-starflow, `jacobi` of transformer_flow.py): every block in segments
// of 32 tokens, in each Jacobi until the mean square of the change is at most 1e-3 of that of the
// tokens, at most 32 times.
struct StarFlow {
  static constexpr int kLength = 32, kIterations = 32;
  static constexpr double kThreshold = 1e-3;
  int length = kLength;  // tokens a segment; a model of fewer tokens has one segment
  bool operator==(const StarFlow&) const = default;
};

using Rival = std::variant<SelectiveJacobi, StarFlow>;

// SeJD, STARFlow or STARFlow-16 in upper or lower case; nothing for other names. Throws Error
// without a place for a STARFlow without a proper length.
std::optional<Rival> parse_rival_name(std::string_view text);
std::string to_string(const Rival& rival);  // "SeJD", "STARFlow", "STARFlow-16"
std::vector<std::string> rival_names();     // without lengths

// The blocks for a model; all guesses are z.
Strategy rival_strategy(const Rival& rival, const FlowSize& flow);

}  // namespace tarflow::sweep
