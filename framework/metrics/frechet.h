// The Frechet distance between Gaussians fitted to features (method.md section 4), in float64
// throughout.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>

namespace tarflow::metrics {

// A Gaussian over F features, float64 on the CPU.
struct Gaussian {
  at::Tensor mean;        // (F)
  at::Tensor covariance;  // (F, F)
  int64_t count = 0;      // samples it was fitted to; 0 when its source does not say

  // The covariance is then singular and the distance depends on the number of samples: to be said
  // wherever the distance is shown.
  bool fewer_samples_than_features() const { return count > 0 && count < mean.size(0); }
};

// Throws Error unless the covariance can be one: finite, with a diagonal that is not negative,
// symmetric, and positive semidefinite, each but for rounding. Rounding to float32 and sums in
// float64 move an eigenvalue by less than kCovarianceRounding of the Frobenius norm; a singular
// covariance, as few samples give, is accepted. `source`: what the message calls it.
void require_covariance(const Gaussian& gaussian, const std::string& source);
inline constexpr double kCovarianceRounding = 1e-5;

// Sums over samples from which mean and covariance follow. A value without samples has undefined
// tensors and takes its width from what is added first.
struct Moments {
  int64_t count = 0;
  at::Tensor sum;    // (F) float64 on the CPU: sum of f
  at::Tensor outer;  // (F, F) float64 on the CPU: sum of f f^T

  // features: (N, F) floating point on any device; multiplied in float64 there. Throws Error for
  // other shapes, another F, or values that are not finite.
  void add(const at::Tensor& features);

  at::Tensor mean() const;  // (F); throws Error without samples
  at::Tensor covariance()
      const;  // (F, F): (outer - n mu mu^T) / (n - 1); throws Error below two samples
  Gaussian gaussian() const;  // throws Error below two samples
};

// The sums in the given order, so that the same parts give the same bits. Throws Error when their F
// differ.
Moments combine(std::span<const Moments> parts);

// |mu_a - mu_b|^2 + tr A + tr B - 2 sum of the roots of the eigenvalues of sqrt(A) B sqrt(A),
// negative rounding of eigenvalues set to 0. Equal Gaussians may give a rounding error below 0.
// Throws Error naming both widths when they differ, and for values that are not finite.
double frechet_distance(const Gaussian& a, const Gaussian& b);

// One Gaussian that many others are compared with: the root of its covariance, half of the work, is
// computed once. F^2 doubles are kept twice.
class FrechetReference {
 public:
  // Throws Error for values that are not finite or shapes that do not agree.
  explicit FrechetReference(Gaussian reference);

  // The same bits as frechet_distance(gaussian(), other), which throws for the same reasons.
  double distance(const Gaussian& other) const;

  const Gaussian& gaussian() const { return gaussian_; }

 private:
  Gaussian gaussian_;
  at::Tensor root_;  // (F, F): R with R R^T the covariance
};

}  // namespace tarflow::metrics
