// A sampling strategy as a plain value: how each block of the flow is inverted (method.md sections
// 2 and 6).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "framework/core/json.h"
#include "framework/core/stop.h"

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

// What Jacobi iterations have in common.
struct Iterations {
  int max_iterations = 0;  // at most, per segment
  Guess guess = Guess::kZ;
  double clamp = 0;  // iterates are clamped to [-clamp, clamp]; 0: not at all
  std::optional<Stop> stop = {};
  bool operator==(const Iterations&) const = default;
};

// The ways to invert a block. Each is an alternative of BlockPlan; what is said of one is an
// overload below, so that a way that lacks it does not compile.

// Token after token.
struct Sequential {
  bool operator==(const Sequential&) const = default;
};

// All tokens at once.
struct Jacobi : Iterations {
  bool operator==(const Jacobi&) const = default;
};

// Segments of equal length, as nearly as T allows; at least 2.
struct SegmentCount {
  int value = 2;
  bool operator==(const SegmentCount&) const = default;
};
// Segments of so many tokens, the last one shorter; at least 1.
struct SegmentLength {
  int value = 1;
  bool operator==(const SegmentLength&) const = default;
};

// GS-Jacobi: segments one after another, Jacobi inside each.
struct Segments : Iterations {
  std::variant<SegmentCount, SegmentLength> size = {};
  bool operator==(const Segments&) const = default;
};

// What stands for the tokens of an adaptive window that are not final (method.md section 7).
enum class WindowGuess {
  kZ,       // z for a token that was never evaluated
  kUp,      // what the token above has: the block's last outputs there
  kLinear,  // a linear model of the block's outputs, from a calibration of the checkpoint
};
std::string to_string(WindowGuess guess);                       // "z", "up", "linear"
WindowGuess window_guess_from_string(const std::string& text);  // throws Error

// The adaptive window (method.md section 7): a front moves over the tokens that no longer change.
struct Window {
  int width = 64;        // inputs an evaluation; more than T - 1 mean T - 1
  double tolerance = 0;  // the largest rms over D of a settled token's last change
  WindowGuess guess = WindowGuess::kLinear;
  int sweeps = 3;             // solves of the linear model's system; of kLinear alone
  std::string pattern = "F";  // of evaluations, repeated: F full, H the conditional pass alone
  // Above 0, in benchmarks alone: a full evaluation settles so many tokens whatever they change.
  int advance = 0;
  bool operator==(const Window&) const = default;
};
// Why `pattern` is none; "" for one of F and H with an F in it.
std::string pattern_fault(const std::string& pattern);

// Left open: one of the others is chosen from measurements before sampling starts, so that images
// deviate no more than stated from those of sequential sampling (docs/tuning.md).
struct Tuned {
  double deviation = 0.03;  // median over images of the relative rms difference
  bool operator==(const Tuned&) const = default;
};

// How one block is inverted.
struct BlockPlan {
  std::variant<Sequential, Jacobi, Segments, Window, Tuned> method;

  bool sequential() const { return std::holds_alternative<Sequential>(method); }
  bool operator==(const BlockPlan&) const = default;
};

// The initial guess of a plan's iterations; nullptr where it has none to choose.
Guess* guess_of(BlockPlan& plan);
const Guess* guess_of(const BlockPlan& plan);
// The stop of a plan's iterations; nullptr where there is none.
Stop* stop_of(BlockPlan& plan);
// Whether the number of evaluations depends on the values that are computed: by a stop, by the
// front of a window that is not forced (Window::advance), or since the method is still open.
bool work_depends_on_values(const BlockPlan& plan);
// Inputs of the longest evaluation over T tokens.
int64_t longest_evaluation(const BlockPlan& plan, int64_t tokens);
// Passes over all T tokens, evaluated tokens / T: at most, or of a window as measured.
double most_passes(const BlockPlan& plan);

// Inputs [first, last) of a segment; it writes the same indices plus one.
struct Segment {
  int64_t first = 0, last = 0;
  bool operator==(const Segment&) const = default;
};
// Over T tokens, whose last one is never an input. Throws Error for more segments than tokens.
std::vector<Segment> segments_of(const Segments& plan, int64_t tokens);

inline constexpr double kPublishedClamp = 3.0;
inline constexpr double kPublishedStop = 1e-6;

// The plan of the published code's lists, with its clamp and stop. num_gs 0: sequential, 1: Jacobi,
// more: as many segments.
BlockPlan published_plan(int num_gs, int max_jacobi, Guess guess = Guess::kZ);

// One entry a block in sampling order: index 0 is block K-1 of the checkpoint.
struct Strategy {
  std::string
      name;  // as the user wrote it, normalised: "For", "[7-8-32-10]", or a label of their own
  std::vector<BlockPlan> blocks;

  bool sequential() const;              // every block is
  bool has_open_guess() const;          // a block's guess is Guess::kAuto
  bool work_depends_on_values() const;  // that of a block does
  bool needs_calibration() const;       // a block's window guesses by the linear model
  // The deviation for which the methods are still to be chosen; nothing where all are stated.
  std::optional<double> open_deviation() const;
  const BlockPlan& block(int index) const;  // by checkpoint index
  // The name is a label and not part of the identity.
  bool operator==(const Strategy& other) const { return blocks == other.blocks; }
};

// A block's keys and values are those of a block in YAML.
Json to_json(const Strategy& strategy);
Strategy strategy_from_json(const Json& json);  // throws Error
// The numbers that a sweep varies, of a strategy that has them.
struct StrategyNumbers {
  std::string stack;  // "7", "0/6": the blocks that are not as all others; "" where there are none
  std::optional<int64_t> segments, iterations;  // of these; nothing where they differ among them
  std::optional<int64_t> others;                // largest number of Jacobi iterations of the others
  std::optional<int64_t> window;                // of all blocks
  std::optional<double> tolerance;              // of all blocks
  bool operator==(const StrategyNumbers&) const = default;
};
StrategyNumbers numbers_of(const Strategy& strategy);

// One short line that states every block, equal blocks run together; for records and logs.
std::string describe(const Strategy& strategy);
std::string describe(const BlockPlan& plan);  // a block of it

}  // namespace tarflow
