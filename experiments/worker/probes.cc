#include "experiments/worker/probes.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "experiments/worker/job_context.h"
#include "framework/core/error.h"
#include "framework/job/device.h"
#include "framework/metrics/extractor.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

// The first layer of the MLP of the published 768-channel models, for that many tokens at once.
constexpr int64_t kChannels = 768, kHidden = 4 * kChannels;
constexpr int64_t kTokensGpu = 64 * 256, kTokensCpu = 512;
constexpr double kEnough = 0.3;  // seconds of products that make a rate

}  // namespace

Json probe_extractor(const std::filesystem::path& file, int image_size) {
  if (image_size < 1) throw Error("the side of an image is at least one pixel", "--image-size 256");
  const metrics::Extractor extractor = metrics::Extractor::load(file, at::kCPU);
  const at::Tensor image = at::full({1, 3, image_size, image_size}, 128, at::kByte);
  return {{"features", extractor.features(image).size(1)}, {"sha256", extractor.sha256()}};
}

Json measure_rate() {
  const c10::NoGradGuard no_grad;
  const at::Device device = device_from("auto");
  const ComputeType compute = compute_type_from("auto", device);
  const auto options = at::TensorOptions(device).dtype(scalar_type(compute));
  const int64_t tokens = device.is_cuda() ? kTokensGpu : kTokensCpu;
  const at::Tensor input = at::ones({tokens, kChannels}, options),
                   weight = at::ones({kHidden, kChannels}, options);
  at::Tensor output = at::linear(input, weight);  // warm-up
  const double flops = 2.0 * static_cast<double>(tokens * kChannels * kHidden);
  for (int64_t products = 1;; products *= 2) {
    const Stopwatch time(device);
    for (int64_t i = 0; i < products; ++i) output = at::linear(input, weight);
    const double seconds = time.seconds();
    if (seconds < kEnough) continue;
    return {{"device", device_name(device)},
            {"device_model", job::device_model()},
            {"compute", to_string(compute)},
            {"gemm_flops", flops * static_cast<double>(products) / seconds},
            {"seconds", seconds}};
  }
}

}  // namespace tarflow::experiments
