// Conversion of images to tokens and back (method.md section 1). Token t = row (W/P) + col. Feature
// d = c P^2 + py P + px.
#pragma once

#include <ATen/core/Tensor.h>

namespace tarflow {

// (N, 3, H, H) -> (N, T, D)
at::Tensor patchify(const at::Tensor& images, int patch_size);
// (N, T, D) -> (N, 3, H, H)
at::Tensor unpatchify(const at::Tensor& tokens, int patch_size);

}  // namespace tarflow
