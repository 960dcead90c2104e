#include "framework/metrics/extractor.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <string_view>
#include <utility>

#include "framework/checkpoint/checkpoint.h"
#include "framework/core/error.h"
#include "framework/core/file_kind.h"
#include "framework/core/hash.h"
#include "framework/metrics/inception.h"

namespace tarflow::metrics {
namespace {

constexpr const char* kFidWeights = "6726825d";  // pt_inception-2015-12-05-6726825d.pth
// Published with the paper's code, each with the Inception that made it.
constexpr std::array<std::string_view, 4> kPublishedStatistics = {
    "imagenet_128_fid_stats.pth", "afhq_256_fid_stats.pth", "imagenet_64_fid_stats.pth",
    "imagenet64_64_fid_stats.pth"};
constexpr const char* kWithin = "inception.";  // a statistics file of torchmetrics

constexpr const char* kPublishers =
    "the FID's own weights are pt_inception-2015-12-05-6726825d.pth, which the project "
    "toshas/torch-fidelity publishes as a release file, "
    "weights-inception-2015-12-05-6726825d.pth; a *_fid_stats.pth, which the paper's authors "
    "publish on Hugging Face (encoreus/Transformer_Autoregressive_Flow), holds them as well";

constexpr const char* kEvaluationMode =
    "save it in evaluation mode (net.eval() before torch.jit.trace or script): a normalisation "
    "over the batch must use its running statistics";
// Differences over the largest feature that rounding explains: of the same batch, of batches of
// different sizes, which libraries may compute in another order, and of those in TF32.
constexpr double kSameAgain = 1e-4, kSameAlone = 5e-3, kSameAloneTf32 = 2e-2;

// (4, 3, H, H) uint8 of fixed noise, each image brighter than the one before.
at::Tensor probe_images(int64_t side) {
  const at::Tensor counter = at::arange(4 * 3 * side * side, at::kLong);
  const at::Tensor noise =
      counter.mul(1103515245).add(12345).floor_divide(1 << 16).bitwise_and(255);
  const at::Tensor brightness = at::arange(1, 5, at::kLong).view({4, 1, 1, 1});
  return noise.view({4, 3, side, side}).mul(brightness).floor_divide(4).to(at::kByte);
}

// float64, with 0 for what is not finite.
at::Tensor finite_part(const at::Tensor& features) {
  return features.to(at::kDouble).nan_to_num(0.0, 0.0, 0.0);
}

// Largest difference between features of equal images, over `scale`. What is not finite
// counts as 0.
double deviation(const at::Tensor& found, const at::Tensor& expected, double scale) {
  if (found.sizes() != expected.sizes()) return INFINITY;
  const at::Tensor difference = finite_part(found) - finite_part(expected);
  const double largest = difference.abs().max().item<double>();
  return largest > 0 ? largest / scale : 0;
}

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

// PyTorch's zip or legacy format without code: everything else is TorchScript's to read or refuse.
bool is_state_dict(const std::filesystem::path& path) {
  std::string head(10, '\0');
  std::ifstream(path, std::ios::binary)
      .read(head.data(), static_cast<std::streamsize>(head.size()));
  if (head.starts_with('\x80') || head.starts_with("L119547037")) return true;
  return checkpoint::is_checkpoint_archive(path);
}

}  // namespace

Extractor Extractor::load(const std::filesystem::path& path, const at::Device& device,
                          Precision precision) {
  std::error_code failed;
  if (!std::filesystem::exists(path, failed))
    throw Error(fmt::format("the extractor {} does not exist", path.string()), kPublishers);
  Extractor extractor;
  extractor.path_ = path;
  extractor.name_ = path.stem().string();
  extractor.sha256_ = sha256_file(path);
  extractor.device_ = device;
  extractor.precision_ = precision;
  if (is_state_dict(path)) {
    extractor.load_inception();
  } else {
    extractor.load_module();
  }
  return extractor;
}

void Extractor::load_inception() {
  const checkpoint::Checkpoint file = checkpoint::Checkpoint::open(path_);
  const bool within = Inception::is_in(file, kWithin);
  if (!within && !Inception::is_in(file, "")) {
    throw Error(fmt::format("the extractor {} is a checkpoint without the tensors of Inception-v3",
                            path_.string()),
                kPublishers);
  }
  inception_ = std::make_shared<const Inception>(
      Inception::load(within ? file.with_prefix_stripped(kWithin) : file, device_, precision_));
  weights_sha256_ = inception_->weights_sha256();
  const bool published =
      within && std::ranges::count(kPublishedStatistics, path_.filename().string()) > 0;
  distance_name_ = published ? "FID" : metrics::distance_name(name_, sha256_);
}

void Extractor::load_module() {
  if (precision_ == Precision::kBFloat16) {
    throw Error(fmt::format("the extractor {} is TorchScript, whose types cannot be told to be "
                            "bfloat16",
                            path_.string()),
                "use float32 or tf32, or Inception weights");
  }
  const ContentKind kind = kind_of_file(path_);
  if (!kind.name.empty() && !kind.name.starts_with("a zip") && kind.name != "a PyTorch file")
    throw wrong_kind(path_, "a TorchScript file", kPublishers, "the extractor ");
  try {
    module_ = std::make_shared<torch::jit::Module>(torch::jit::load(path_.string(), device_));
  } catch (const std::exception& error) {
    throw Error(fmt::format("the extractor {} is not a TorchScript file: {}", path_.string(),
                            reason(error)),
                "save it with torch.jit.save(torch.jit.trace(model, example), path), or name "
                "Inception weights");
  }
  module_->eval();
  const auto forward = module_->find_method("forward");
  if (!forward) {
    throw Error(fmt::format("the extractor {} has no method forward", path_.string()),
                "let forward take the images and return their features, and save it again");
  }
  const auto& arguments = forward->function().getSchema().arguments();
  return_features_ = std::ranges::any_of(
      arguments, [](const auto& argument) { return argument.name() == "return_features"; });
  weights_sha256_ = sha256_;
  distance_name_ = fmt::format("FD({})", name_);
}

std::string Extractor::input() const {
  if (inception_) return fmt::format("TensorFlow 1 bilinear to {}", kInceptionSide);
  return only_uint8_ ? "its own, of uint8" : "its own";
}

at::Tensor Extractor::run(const at::Tensor& images) const {
  return inception_ ? inception_->features(images) : run_module(images.to(device_));
}

at::Tensor Extractor::run_module(const at::Tensor& images) const {
  try {
    return forward(images);
  } catch (const Error&) {
    at::Tensor features;
    try {
      features = forward(images.to(at::kFloat));
    } catch (const Error&) {
      // Another type does not help: what is wrong is what the first error says.
    }
    if (!features.defined()) throw;
  }
  throw Error(
      fmt::format("the extractor {} fails on uint8 images and takes float32 ones", path_.string()),
      "extractors get uint8 (N, 3, H, W): let forward begin with images = "
      "images.to(torch.float32) and save it again");
}

at::Tensor Extractor::forward(const at::Tensor& input) const {
  c10::NoGradGuard no_grad;
  const GpuArithmetic arithmetic(precision_);
  // Nothing to gain from profiling and fusing a net whose time is in convolutions; the first runs
  // would pay for it.
  torch::jit::GraphOptimizerEnabledGuard no_optimizer(false);
  c10::IValue result;
  try {
    std::unordered_map<std::string, c10::IValue> named;
    if (return_features_) named["return_features"] = true;
    result = module_->forward({input}, named);
  } catch (const std::exception& error) {
    throw Error(fmt::format("the extractor {} failed on {}: {}", path_.string(), shape_text(input),
                            reason(error)),
                "it must take N x 3 x H x W uint8 images at this size");
  }
  if (!result.isTensor()) {
    throw Error(fmt::format("the extractor {} returned a {} instead of a tensor", path_.string(),
                            result.tagKind()),
                "it must return one tensor of N x features");
  }
  return result.toTensor();
}

std::string Extractor::try_on(int64_t image_size) {
  if (inception_) return "";
  const at::Tensor images = probe_images(image_size);
  // What is not finite is left to those who know whether they leave such images out.
  const at::Tensor together = any_features(images);
  if (together.numel() == 0) return "";
  const double scale = finite_part(together).abs().max().item<double>();
  const auto refuse = [&](const std::string& what, const std::string& repair) {
    throw Error(fmt::format("the extractor {} {}", path_.string(), what), repair);
  };
  if (const double found = deviation(any_features(images), together, scale);
      !(found <= kSameAgain)) {
    refuse(fmt::format("gives other features for the same images the second time (by {:.3g} of the "
                       "largest)",
                       found),
           "save it in evaluation mode (net.eval() before torch.jit.trace or script), without "
           "dropout or noise");
  }
  for (int64_t i = 0; i < images.size(0); ++i) {
    at::Tensor alone;
    try {
      alone = any_features(images.slice(0, i, i + 1));
    } catch (const Error& error) {
      refuse(fmt::format("works on {} images and fails on one of them: {}", images.size(0),
                         error.problems().front().what),
             kEvaluationMode);
    }
    const double found = deviation(alone, together.slice(0, i, i + 1), scale);
    if (found <= (precision_ == Precision::kFloat32 ? kSameAlone : kSameAloneTf32)) continue;
    refuse(fmt::format("gives an image other features beside other images than alone (by {:.3g} of "
                       "the largest): they depend on the rest of the batch",
                       found),
           kEvaluationMode);
  }
  at::Tensor floats;
  try {
    floats = forward(images.to(device_).to(at::kFloat));
  } catch (const Error&) {
    only_uint8_ = true;  // as documented
    return "";
  }
  const double found = deviation(floats, together, scale);
  only_uint8_ = !(found <= kSameAlone);
  if (!only_uint8_) return "";
  return fmt::format(
      "the extractor {} gives other features for float32 images than for uint8 (by "
      "{:.3g} of the largest); it gets uint8",
      path_.string(), found);
}

at::Tensor Extractor::checked(const at::Tensor& images) const {
  const at::Tensor features = run(images);
  const at::ScalarType type = features.scalar_type();
  if (features.dim() != 2 || features.size(0) != images.size(0) ||
      (type != at::kFloat && type != at::kDouble)) {
    throw Error(
        fmt::format("the extractor {} returned {} for {} images instead of Float({}, features)",
                    path_.string(), shape_text(features), images.size(0), images.size(0)),
        "it must return one row of float32 or float64 features an image");
  }
  return features;
}

at::Tensor Extractor::any_features(const at::Tensor& images) const {
  if (images.dim() != 4 || images.size(1) != 3 || images.scalar_type() != at::kByte) {
    throw Error(
        fmt::format("an extractor needs uint8 images (N, 3, H, W), not {}", shape_text(images)));
  }
  if (images.size(0) <= kExtractorBatch) return checked(images);
  std::vector<at::Tensor> parts;
  for (int64_t first = 0; first < images.size(0); first += kExtractorBatch)
    parts.push_back(checked(images.slice(0, first, first + kExtractorBatch)));
  return at::cat(parts);
}

at::Tensor Extractor::features(const at::Tensor& images) const {
  const at::Tensor features = any_features(images);
  const at::Tensor finite = at::isfinite(features).all(1);
  if (const int64_t bad = finite.numel() - finite.sum().item<int64_t>(); bad > 0) {
    throw Error(
        fmt::format("the extractor {} returned features that are not finite for {} of {} "
                    "images",
                    path_.string(), bad, features.size(0)));
  }
  return features;
}

std::string distance_name(const std::string& extractor_name, const std::string& sha256) {
  return sha256.starts_with(kFidWeights) ? "FID" : fmt::format("FD({})", extractor_name);
}

std::string distance_name(const Extractor& extractor) { return extractor.distance_name(); }

at::Tensor to_uint8(const at::Tensor& images) {
  const at::Tensor finite = images.detach().to(at::kFloat).nan_to_num(-1.0);
  const at::Tensor bytes = finite.clamp(-1, 1).add(1).div(2).mul(255).to(at::kByte);
  // Extractors take three colours.
  return bytes.size(1) == 1 ? bytes.expand({-1, 3, -1, -1}).contiguous() : bytes;
}

}  // namespace tarflow::metrics
