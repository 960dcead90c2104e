#include "framework/kernels/convolution.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "framework/kernels/linear.h"

namespace tarflow::kernels {
namespace {

// Whether each output pixel depends on the input pixel in the same place alone.
bool pointwise(const Convolution& layer) {
  const auto all = [](const std::vector<int64_t>& values, int64_t value) {
    return std::all_of(values.begin(), values.end(), [&](int64_t one) { return one == value; });
  };
  return layer.weight.size(2) == 1 && layer.weight.size(3) == 1 && all(layer.stride, 1) &&
         all(layer.padding, 0);
}

// product(pixels, matrix, bias) of rows of channels, one row per pixel.
template <typename Product>
at::Tensor by_pixels(const at::Tensor& x, const Convolution& layer, const Product& product) {
  const int64_t in = x.size(1), out = layer.weight.size(0);
  const at::Tensor pixels = x.permute({0, 2, 3, 1}).reshape({-1, in});
  return product(pixels, layer.weight.view({out, in}), layer.bias)
      .view({x.size(0), x.size(2), x.size(3), out})
      .permute({0, 3, 1, 2});
}

}  // namespace

at::Tensor convolution(const at::Tensor& x, const Convolution& layer) {
  if (pointwise(layer)) return by_pixels(x, layer, linear);
  return at::conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding);
}

at::Tensor convolution_relu(const at::Tensor& x, const Convolution& layer, bool fused) {
  if (pointwise(layer)) return by_pixels(x, layer, linear_relu);
  constexpr int64_t kDilation[] = {1, 1};
  if (fused) {
    return at::cudnn_convolution_relu(x, layer.weight, layer.bias, layer.stride, layer.padding,
                                      kDilation, /*groups=*/1);
  }
  return convolution(x, layer).relu_();
}

}  // namespace tarflow::kernels
