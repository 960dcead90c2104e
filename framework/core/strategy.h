// A sampling strategy as a plain value: how each block of the flow is inverted (method.md section
// 2).
#pragma once

#include <string>
#include <vector>

#include "framework/core/json.h"

namespace tarflow {

// The initial iterate.
enum class Guess {
  kZ,     // z itself
  kZero,  // token 0 of z, zeros elsewhere
  kAuto,  // that of the two which has the smaller initial guessing metric on real images (method.md
          // section 3); chosen before sampling starts
};
std::string to_string(Guess guess);                // "z", "zero", "auto"
Guess guess_from_string(const std::string& text);  // throws Error

// Settings beside a strategy that has Guess::kAuto, and of no use beside another: the folder of
// real images, and how many of them are used.
inline constexpr const char* kGuessImages = "guess_images";
inline constexpr const char* kGuessNumImages = "guess_num_images";

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
  bool has_open_guess() const;                  // a block's guess is Guess::kAuto
  const BlockStrategy& block(int index) const;  // by checkpoint index
  // The name is a label and not part of the identity.
  bool operator==(const Strategy& other) const { return blocks == other.blocks; }
};

Json to_json(const Strategy& strategy);
Strategy strategy_from_json(const Json& json);  // throws Error
// One short line that states every block, equal blocks run together; for records and logs.
std::string describe(const Strategy& strategy);

}  // namespace tarflow
