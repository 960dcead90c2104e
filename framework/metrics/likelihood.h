// The density that a flow gives to images (method.md section 5).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "framework/model/forward.h"

namespace tarflow::metrics {

struct Likelihood {
  // (N) float64: -ln p(x) / (T D), nats a dimension of the density p over the model's input, whose
  // scale is [-1, 1]: mean(0.5 z^2 + 0.5 ln 2 pi) - logdet.
  at::Tensor nats;
  at::Tensor logdets;  // (N, K) float64: what each block adds to logdet, in checkpoint order
};

// images: (N, 3, H, H) float32, noise added. labels: N, or empty: the mean over classes. The blocks
// run in the model's compute type; means over (T, D) are taken in float64. `var` has no part in it.
// Throws Error for labels that the model does not have.
Likelihood likelihood(const Model& model, const at::Tensor& images, const Labels& labels);

// From nats a dimension on the scale of [-1, 1] to bits a dimension of 8-bit images: each of the
// 256 levels is 1/128 wide there, so that the density of a level has ln 128 more. Only of uniformly
// dequantised images and models trained with them are these bits per dimension.
double nats_of_levels(double nats);      // + ln 128
double bits_per_dimension(double nats);  // (nats + ln 128) / ln 2

// 8-bit images as the model takes them, v/255*2-1, to 2 (v + u) / 256 - 1 with noise u on [0, 1).
at::Tensor dequantised(const at::Tensor& images, const at::Tensor& u);

// Mean and standard error of numbers one after another, in float64 (Welford 1962).
class RunningMean {
 public:
  void add(double value);
  int64_t count() const { return count_; }
  double mean() const { return mean_; }
  // Of the mean; not a number below two values.
  double standard_error() const;

 private:
  int64_t count_ = 0;
  double mean_ = 0, squares_ = 0;  // squares: sum of squared differences from the mean
};

}  // namespace tarflow::metrics
