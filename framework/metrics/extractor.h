// Features of images by any TorchScript file, and the name of the distance that follows from it.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>

namespace torch::jit {
struct Module;
}

namespace tarflow::metrics {

// A TorchScript module that takes (N, 3, H, W) float32 of raw 0..255 values (it scales them itself)
// and returns (N, F), as the demo's extractor does (method.md section 4).
class Extractor {
 public:
  // Throws Error naming the file when it is missing or no TorchScript module.
  static Extractor load(const std::filesystem::path& path, const at::Device& device);

  const std::string& name() const { return name_; }      // the file's name without its extension
  const std::string& sha256() const { return sha256_; }  // of the file

  // images: (N, 3, H, W) uint8 on any device -> (N, F) float32 or float64 on the extractor's
  // device. Throws Error naming the file and what came out when that is something else or not
  // finite, or when the module fails.
  at::Tensor features(const at::Tensor& images) const;

 private:
  Extractor() = default;
  at::Tensor run(const at::Tensor& input) const;

  std::filesystem::path path_;
  std::string name_, sha256_;
  at::Device device_ = at::kCPU;
  std::shared_ptr<torch::jit::Module> module_;
};

// "FID" when the extractor's file is the known Inception weights: SHA-256 beginning 6726825d
// (method.md section 4). Else "FD(name)". A TorchScript file is never those weights, so its
// distance is always an FD.
std::string distance_name(const Extractor& extractor);
std::string distance_name(const std::string& extractor_name, const std::string& sha256);

// Samples as an extractor sees them (method.md section 4): clipped to [-1,1], (x + 1) / 2 * 255,
// truncated; the same values as images::to_image. NaN becomes 0. images: (N, 3, H, W) float32 ->
// uint8, same device.
at::Tensor to_uint8(const at::Tensor& images);

}  // namespace tarflow::metrics
