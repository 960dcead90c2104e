#include "framework/metrics/extractor.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <utility>

#include "framework/core/error.h"
#include "framework/core/hash.h"

namespace tarflow::metrics {
namespace {

constexpr const char* kFidWeights = "6726825d";  // pt_inception-2015-12-05-6726825d.pth

// The sentence that matters of a TorchScript or C++ exception, without its back trace.
std::string reason(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error ? torch_error->what_without_backtrace() : error.what();
  if (const size_t last = text.rfind("Error: "); last != std::string::npos)
    text = text.substr(last + 7);
  return text.substr(0, text.find('\n'));
}

std::string shape_text(const at::Tensor& tensor) {
  return fmt::format("{}({})", toString(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
}

}  // namespace

Extractor Extractor::load(const std::filesystem::path& path, const at::Device& device) {
  Extractor extractor;
  extractor.path_ = path;
  extractor.name_ = path.stem().string();
  extractor.sha256_ = sha256_file(path);
  extractor.device_ = device;
  try {
    extractor.module_ =
        std::make_shared<torch::jit::Module>(torch::jit::load(path.string(), device));
  } catch (const std::exception& error) {
    throw Error(
        fmt::format("the extractor {} is not a TorchScript file: {}", path.string(), reason(error)),
        "save it with torch.jit.save(torch.jit.trace(model, example), path)");
  }
  extractor.module_->eval();
  return extractor;
}

at::Tensor Extractor::run(const at::Tensor& input) const {
  c10::NoGradGuard no_grad;
  // Nothing to gain from profiling and fusing a net whose time is in convolutions; the first runs
  // would pay for it.
  torch::jit::GraphOptimizerEnabledGuard no_optimizer(false);
  c10::IValue result;
  try {
    result = module_->forward({input});
  } catch (const std::exception& error) {
    throw Error(fmt::format("the extractor {} failed on {}: {}", path_.string(), shape_text(input),
                            reason(error)),
                "it must take N x 3 x H x W float32 images of 0..255 at this size");
  }
  if (!result.isTensor()) {
    throw Error(fmt::format("the extractor {} returned a {} instead of a tensor", path_.string(),
                            result.tagKind()),
                "it must return one tensor of N x features");
  }
  return result.toTensor();
}

at::Tensor Extractor::features(const at::Tensor& images) const {
  if (images.dim() != 4 || images.size(1) != 3 || images.scalar_type() != at::kByte) {
    throw Error(
        fmt::format("an extractor needs uint8 images (N, 3, H, W), not {}", shape_text(images)));
  }
  const at::Tensor features = run(images.to(device_).to(at::kFloat));
  const at::ScalarType type = features.scalar_type();
  if (features.dim() != 2 || features.size(0) != images.size(0) ||
      (type != at::kFloat && type != at::kDouble)) {
    throw Error(
        fmt::format("the extractor {} returned {} for {} images instead of Float({}, features)",
                    path_.string(), shape_text(features), images.size(0), images.size(0)),
        "it must return one row of float32 or float64 features an image");
  }
  if (!at::isfinite(features).all().item<bool>()) {
    throw Error(
        fmt::format("the extractor {} returned features that are not finite", path_.string()));
  }
  return features;
}

std::string distance_name(const std::string& extractor_name, const std::string& sha256) {
  return sha256.starts_with(kFidWeights) ? "FID" : fmt::format("FD({})", extractor_name);
}

std::string distance_name(const Extractor& extractor) {
  return distance_name(extractor.name(), extractor.sha256());
}

at::Tensor to_uint8(const at::Tensor& images) {
  const at::Tensor finite = images.detach().to(at::kFloat).nan_to_num(-1.0);
  return finite.clamp(-1, 1).add(1).div(2).mul(255).to(at::kByte);
}

}  // namespace tarflow::metrics
