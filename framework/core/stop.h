// When iterations of a block end before their largest number (method.md sections 2 and 6).
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace tarflow {

// How the change x' - x of an iteration is measured. The tokens are those that the iteration
// writes; Jacobi has token 0 as well.
enum class Norm {
  kPublished,    // ||x' - x||_2 / (N D), not divided by the number of tokens (the published code)
  kMaxAbs,       // the largest |x' - x| of a feature (SeJD)
  kRelativeMse,  // ||x' - x||^2 / ||x'||^2 (STARFlow)
  kTokenRms,     // the largest rms over D of a token's x' - x
};
std::string to_string(Norm norm);  // "published", "max_abs", "relative_mse", "token_rms"
std::optional<Norm> norm_from_string(const std::string& text);
std::vector<std::string> norm_names();

// Which images the change is measured over.
enum class Scope {
  kChunk,  // over all images at once: they stop together
  kImage,  // over each image: one that has stopped stays as it is while the others go on
};
std::string to_string(Scope scope);  // "chunk", "image"
std::optional<Scope> scope_from_string(const std::string& text);

// Ends the iterations before max_iterations: after the clamp, where the change is at most
// `threshold`. A change that is not a number ends them only where the published code's does: by
// the published norm over the chunk.
struct Stop {
  Norm norm = Norm::kPublished;
  double threshold = 0;
  Scope scope = Scope::kChunk;
  bool operator==(const Stop&) const = default;
};

}  // namespace tarflow
