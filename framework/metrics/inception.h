// The Inception-v3 of the TensorFlow FID code (method.md section 4), natively: what FIDs are
// measured with. The architecture is that of torch-fidelity's FeatureExtractorInceptionV3, which is
// torchvision's with three repairs that follow TensorFlow: average pools that do not count their
// padding, a max pool in Mixed_7c, and a resize of its own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "framework/checkpoint/checkpoint.h"
#include "framework/kernels/convolution.h"
#include "framework/metrics/gpu_arithmetic.h"

namespace tarflow::metrics {

inline constexpr int64_t kInceptionFeatures = 2048;
inline constexpr int64_t kInceptionSide = 299;

// A convolution without bias followed by a batch normalisation, as the state dict names them:
// NAME.conv.weight (out, in, height, width) and NAME.bn.{weight,bias,running_mean,running_var}.
struct InceptionLayer {
  std::string name;  // "Mixed_5b.branch1x1"
  int64_t in = 0, out = 0, height = 1, width = 1, stride = 1;
  bool padded = false;  // (height / 2, width / 2), so that stride 1 keeps the size
};

// The 94 of them, in the order of the network.
const std::vector<InceptionLayer>& inception_layers();

// (N, 3, H, W) uint8 -> (N, 3, side, side) float32 on the same device, 0..255, not rounded: the
// bilinear resize of TensorFlow 1, source = destination * in / out without a half pixel, lower =
// floor, upper = min(lower + 1, in - 1). The same operations as torch-fidelity's
// interpolate_bilinear_2d_like_tensorflow1x, and on the CPU the same bits.
at::Tensor tensorflow_resize(const at::Tensor& images, int64_t side);

class Inception {
 public:
  // Whether tensors of these names are there, under `prefix` ("" or "inception.").
  static bool is_in(const checkpoint::Checkpoint& file, const std::string& prefix);

  // Reads the layers; the classifier `fc` and counters `num_batches_tracked` are passed over.
  // Throws Error naming every tensor that is missing, of another shape, not finite, or a negative
  // variance.
  static Inception load(const checkpoint::Checkpoint& file, const at::Device& device,
                        Precision precision = Precision::kFloat32);

  // images: (N, 3, H, W) uint8 on any device -> (N, 2048) float32 on the network's device.
  at::Tensor features(const at::Tensor& images) const;

  // SHA-256 over the layers' names, shapes and float32 values: the same for a legacy file, a zip
  // file and the copy inside a statistics file.
  const std::string& weights_sha256() const { return weights_sha256_; }
  Precision precision() const { return precision_; }

 private:
  Inception() = default;
  bool runs() const;
  at::Tensor network(const at::Tensor& x) const;
  // relu of the layer's convolution and batch normalisation.
  at::Tensor layer(const std::string& name, const at::Tensor& x) const;
  at::Tensor chain(const std::string& block, const std::vector<std::string>& names,
                   const at::Tensor& x) const;
  at::Tensor average_branch(const std::string& block, const at::Tensor& x) const;
  at::Tensor block_a(const std::string& block, const at::Tensor& x) const;
  at::Tensor block_b(const std::string& block, const at::Tensor& x) const;
  at::Tensor block_c(const std::string& block, const at::Tensor& x) const;
  at::Tensor block_d(const std::string& block, const at::Tensor& x) const;
  at::Tensor block_e(const std::string& block, const at::Tensor& x, bool max_pool) const;

  at::Device device_ = at::kCPU;
  Precision precision_ = Precision::kFloat32;
  bool fused_ = false;  // whether convolutions add the bias and apply relu themselves
  std::string weights_sha256_;
  // The batch normalisations are folded into weight and bias.
  std::map<std::string, kernels::Convolution> layers_;
};

}  // namespace tarflow::metrics
