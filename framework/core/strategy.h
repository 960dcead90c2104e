// A sampling strategy as a plain value: how each block of the flow is inverted (method.md section
// 2).
#pragma once

#include <string>
#include <vector>

#include "framework/core/json.h"

namespace tarflow {

enum class Guess {
  kZ,
  kZero
};  // the initial iterate: z itself, or token 0 of z and zeros elsewhere

// When an iteration stops before max_iterations.
enum class StopRule {
  kNone,       // never
  kPublished,  // ||x' - x||_2 over the whole chunk / (N*D) <= threshold, after the clamp (the
               // published code)
};

// How one block is inverted.
struct BlockStrategy {
  int segments = 0;  // 0: sequential; 1: Jacobi over all tokens; G > 1: GS-Jacobi with G segments
  int max_iterations = 0;  // Jacobi iterations at most, per segment; unused when sequential
  Guess guess = Guess::kZ;
  double clamp = 0;  // iterates are clamped to [-clamp, clamp]; 0: not at all
  StopRule stop = StopRule::kNone;
  double stop_threshold = 0;

  bool sequential() const { return segments == 0; }
  bool operator==(const BlockStrategy&) const = default;
};

inline constexpr double kPublishedClamp = 3.0;
inline constexpr double kPublishedStop = 1e-6;

// One entry a block in sampling order: index 0 is block K-1 of the checkpoint.
struct Strategy {
  std::string
      name;  // as the user wrote it, normalised: "For", "[7-8-32-10]", or a label of their own
  std::vector<BlockStrategy> blocks;

  bool sequential() const;                      // every block is
  const BlockStrategy& block(int index) const;  // by checkpoint index
  // The name is a label and not part of the identity.
  bool operator==(const Strategy& other) const { return blocks == other.blocks; }
};

Json to_json(const Strategy& strategy);
Strategy strategy_from_json(const Json& json);  // throws Error
// One short line that states every block, equal blocks run together; for records and logs.
std::string describe(const Strategy& strategy);

}  // namespace tarflow
