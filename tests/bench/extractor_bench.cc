// bench_extractor WEIGHTS [BATCH [SIDE [PRECISION]]]: images a second that the native Inception-v3
// turns into features, from random uint8 images in the device's memory; inception_bench.py runs it
// against torch-fidelity.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "framework/checkpoint/checkpoint.h"
#include "framework/core/error.h"
#include "framework/metrics/inception.h"
#include "framework/tensor/device.h"

namespace tarflow::metrics {
namespace {

constexpr double kEnough = 3;  // seconds

// Reading a feature back waits for the device.
double use(const at::Tensor& features) { return features.sum().item<double>(); }

void measure(const std::string& weights, int64_t batch, int64_t side, Precision precision) {
  const at::Device device = device_from("auto");
  const checkpoint::Checkpoint file = checkpoint::Checkpoint::open(weights);
  const bool within = Inception::is_in(file, "inception.");
  const Inception net =
      Inception::load(within ? file.with_prefix_stripped("inception.") : file, device, precision);
  const at::Tensor images =
      at::randint(256, {batch, 3, side, side}, at::TensorOptions(at::kByte)).to(device);
  for (int i = 0; i < 3; ++i) use(net.features(images));
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  int64_t done = 0;
  double seconds = 0;
  while (seconds < kEnough) {
    use(net.features(images));
    done += batch;
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  }
  fmt::print(
      "{{\"device\": \"{}\", \"precision\": \"{}\", \"batch\": {}, \"side\": {}, "
      "\"images_per_second\": {:.1f}}}\n",
      device_name(device), to_string(precision), batch, side, static_cast<double>(done) / seconds);
}

}  // namespace
}  // namespace tarflow::metrics

int main(int count, char** words) {
  const auto word = [&](int i, const char* otherwise) {
    return std::string(count > i ? words[i] : otherwise);
  };
  try {
    tarflow::metrics::measure(word(1, ""), std::stoll(word(2, "128")), std::stoll(word(3, "256")),
                              tarflow::metrics::precision_from(word(4, "float32")));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
