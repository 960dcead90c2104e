#include "framework/model/patchify.h"

#include <cmath>

namespace tarflow {

at::Tensor patchify(const at::Tensor& images, int patch_size) {
  const int64_t n = images.size(0), colours = images.size(1), p = patch_size,
                side = images.size(2) / p;
  return images.reshape({n, colours, side, p, side, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({n, side * side, colours * p * p});
}

at::Tensor unpatchify(const at::Tensor& tokens, int patch_size) {
  const int64_t n = tokens.size(0), p = patch_size, colours = tokens.size(2) / (p * p);
  const int64_t side = std::llround(std::sqrt(static_cast<double>(tokens.size(1))));
  return tokens.reshape({n, side, side, colours, p, p})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({n, colours, side * p, side * p});
}

}  // namespace tarflow
