// Conversion of images to tokens and back (method.md section 1). Token t = row (W/P) + col. Feature
// d = c P^2 + py P + px.
#pragma once

#include <ATen/core/Tensor.h>

namespace tarflow {

// (N, colours, H, H) -> (N, T, D), D = colours P^2
at::Tensor patchify(const at::Tensor& images, int patch_size);
// (N, T, D) -> (N, colours, H, H)
at::Tensor unpatchify(const at::Tensor& tokens, int patch_size);

}  // namespace tarflow
