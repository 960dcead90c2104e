// Features of images by the Inception-v3 of the FID or by any TorchScript file, and the name of the
// distance that follows from it.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>

#include "framework/metrics/gpu_arithmetic.h"

namespace torch::jit {
struct Module;
}

namespace tarflow::metrics {

inline constexpr int64_t kExtractorBatch = 128;  // images an extractor sees at once

class Inception;

// What kind of extractor a file holds is decided by its content:
// - A TorchScript module that takes (N, 3, H, W) uint8 (it scales the values itself) and returns
//   (N, F), as the demo's extractor does (method.md section 4). One whose
//   forward has an argument `return_features`, as StyleGAN's inception-2015-12-05.pt, is called
//   with it set.
// - A state dict with the tensors of Inception-v3 (inception.h), such as
//   pt_inception-2015-12-05-6726825d.pth, in the legacy or the zip format.
// - A statistics file of torchmetrics, with the same tensors below `inception.`.
// The last two are read as plain bytes; nothing in them is executed.
class Extractor {
 public:
  // Throws Error naming the file when it is missing (and who publishes it) or none of those, and
  // the tensors that are missing or of another shape, or when a TorchScript module is asked for
  // bfloat16, which its own types decide.
  static Extractor load(const std::filesystem::path& path, const at::Device& device,
                        Precision precision = Precision::kFloat32);

  const std::string& name() const { return name_; }      // the file's name without its extension
  const std::string& sha256() const { return sha256_; }  // of the file
  // Of the weights alone where they are Inception's: the same whichever file they came in. Else
  // that of the file.
  const std::string& weights_sha256() const { return weights_sha256_; }
  const at::Device& device() const { return device_; }
  // What happens to an image inside, for a record: "TensorFlow 1 bilinear to 299"; "its own", or
  // "its own, of uint8" where try_on() found that float32 images give other features: statistics
  // that were made of float32 images are then others.
  std::string input() const;
  Precision precision() const { return precision_; }
  // What a distance between its features is called: see distance_name.
  const std::string& distance_name() const { return distance_name_; }

  // images: (N, 3, H, W) uint8 on any device -> (N, F) float32 or float64 on the extractor's
  // device. Throws Error naming the file and what came out when that is something else or not
  // finite, or when the module fails. The extractor sees kExtractorBatch images at once, the first
  // of them images 0, kExtractorBatch, ..., so memory and numbers do not depend on N or the device.
  at::Tensor features(const at::Tensor& images) const;
  // The same with rows that are not finite, for those who leave such images out.
  at::Tensor any_features(const at::Tensor& images) const;

  // Runs a TorchScript module on a few made-up images of this side. Throws Error where an image's
  // features are other ones the second time or beside other images, since a distance would then
  // depend on chance or on how images are put together. Returns what its user should know, or "".
  std::string try_on(int64_t image_size);

 private:
  Extractor() = default;
  void load_inception();
  void load_module();
  at::Tensor run(const at::Tensor& images) const;
  at::Tensor checked(const at::Tensor& images) const;
  at::Tensor run_module(const at::Tensor& images) const;
  at::Tensor forward(const at::Tensor& input) const;

  std::filesystem::path path_;
  std::string name_, sha256_, weights_sha256_, distance_name_;
  at::Device device_ = at::kCPU;
  Precision precision_ = Precision::kFloat32;
  std::shared_ptr<torch::jit::Module> module_;  // one of the two
  std::shared_ptr<const Inception> inception_;
  bool only_uint8_ = false;       // float32 images give other features, or an error
  bool return_features_ = false;  // the module's forward has that argument
};

// A distance may be called FID only between features of one published network, else two papers'
// FIDs could not be compared: "FID" when the extractor's file is that network, SHA-256 beginning
// 6726825d (method.md section 4), or when Inception weights lie in a torchmetrics file with one of
// the names under which the paper's statistics were published (those files carry the network, but
// their hashes were never published). Else "FD(name)". A TorchScript file is never those weights:
// the same architecture with another resize or rounding gives other numbers.
std::string distance_name(const Extractor& extractor);
std::string distance_name(const std::string& extractor_name, const std::string& sha256);

// Samples as an extractor sees them (method.md section 4): clipped to [-1,1], (x + 1) / 2 * 255,
// truncated; the same values as images::to_image. NaN becomes 0. images: (N, 3, H, W) float32 ->
// uint8, same device.
at::Tensor to_uint8(const at::Tensor& images);

}  // namespace tarflow::metrics
