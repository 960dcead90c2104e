// How hard each block is to iterate and which initial guess suits it, from real images (method.md
// section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "framework/core/strategy.h"
#include "framework/model/forward.h"
#include "framework/model/weights.h"

namespace tarflow::metrics {

enum class MatrixNorm { kSpectral, kColumnSum, kFrobenius };

std::string to_string(MatrixNorm norm);                // "2", "1", "fro"
MatrixNorm matrix_norm_from(const std::string& text);  // throws Error
double matrix_norm(const at::Tensor& matrix,
                   MatrixNorm norm);  // in float64; infinity when an element is not finite

// The metrics of one block in one norm, pure numbers.
struct BlockMetrics {
  double igm_z = 0;     // initial guess metric of z
  double igm_zero = 0;  // and of token 0 with zeros elsewhere
  double crm_x = 0;     // |mean_N(alpha * x)|
  double crm_ws =
      0;  // |W_s|, the first D rows of proj_out.weight as the model holds it (compute type)
  double crm_wu = 0;        // |W_u|, its last D rows
  double crm = 0;           // convergence ranking metric: crm_x crm_ws + crm_wu
  double crm_percent = 0;   // of the sum over blocks
  Guess guess = Guess::kZ;  // z where igm_z <= igm_zero
};

// Sums over a stream of images, in float64, so that the result is the same for any batch size up to
// the rounding of the model itself. Images run forward without added noise.
class IgmCrm {
 public:
  explicit IgmCrm(const Model& model);  // keeps a reference

  // images: (N, 3, H, H) in [-1, 1]. labels: N, or empty as published: the mean over classes.
  // Throws Error for other shapes and for labels that the model does not have.
  void add(const at::Tensor& images, const Labels& labels = {}) {
    add_sums(sums_of(images, labels), images.size(0));
  }
  // The two steps of it, which may be taken in different processes: the sums over a batch, (K, 3,
  // T, D) float64 on the model's device, and adding them. Batches added in the same order give the
  // same bits.
  at::Tensor sums_of(const at::Tensor& images, const Labels& labels = {}) const;
  void add_sums(const at::Tensor& sums, int64_t count);
  // Which images have finite sums: (N) bool on the CPU. Runs them one at a time, for batches whose
  // sums are not finite.
  at::Tensor finite_images(const at::Tensor& images, const Labels& labels = {}) const;

  int64_t count() const { return count_; }
  // Blocks in checkpoint order. crm_percent is 0 where the CRM of all blocks is 0. Throws Error
  // without images, or where a metric is not finite.
  std::vector<BlockMetrics> result(MatrixNorm norm) const;

 private:
  const Model& model_;
  int64_t count_ = 0;
  // Over images, by block: exp(a(guess)) z + g(guess) - x of the guesses z and zeros, and alpha x
  // with alpha = exp(-xa); (T, D) each in the block's token order.
  at::Tensor sums_;
};

}  // namespace tarflow::metrics
