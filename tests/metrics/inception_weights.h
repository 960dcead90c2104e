// Inception weights that follow from a formula, as fixtures/make_inception.py makes them: uniform
// numbers from hashed counters, scaled so that activations keep their size.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "framework/checkpoint/writer.h"
#include "framework/metrics/inception.h"

namespace tarflow::metrics {

// Number i of tensor t, in [0, 1).
inline double uniform_number(uint32_t t, uint32_t i) {
  uint32_t x = i + 0x9E3779B9U * (t + 1);
  x ^= x >> 16;
  x *= 0x85EBCA6BU;
  x ^= x >> 13;
  x *= 0xC2B2AE35U;
  x ^= x >> 16;
  return x / 4294967296.0;
}

inline checkpoint::TensorToWrite formula_tensor(const std::string& name, std::vector<int64_t> shape,
                                                uint32_t t, double scale, double shift) {
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  const auto bytes = [=] {
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(scale * uniform_number(t, static_cast<uint32_t>(i)) + shift);
    }
    std::vector<std::byte> raw(values.size() * sizeof(float));
    std::memcpy(raw.data(), values.data(), raw.size());
    return raw;
  };
  return {name, checkpoint::DType::kFloat32, std::move(shape), bytes};
}

// The state dict, names beginning with `prefix`; without fc and counters, which are not needed.
inline std::vector<checkpoint::TensorToWrite> formula_weights(const std::string& prefix = "") {
  std::vector<checkpoint::TensorToWrite> tensors;
  uint32_t t = 0;
  for (const InceptionLayer& layer : inception_layers()) {
    const std::string name = prefix + layer.name;
    const double reach =
        std::sqrt(6.0 / static_cast<double>(layer.in * layer.height * layer.width));
    tensors.push_back(formula_tensor(name + ".conv.weight",
                                     {layer.out, layer.in, layer.height, layer.width}, t, 2 * reach,
                                     -reach));
    const std::vector<int64_t> channels = {layer.out};
    tensors.push_back(formula_tensor(name + ".bn.weight", channels, t + 1, 0.4, 0.8));
    tensors.push_back(formula_tensor(name + ".bn.bias", channels, t + 2, 0.2, -0.1));
    tensors.push_back(formula_tensor(name + ".bn.running_mean", channels, t + 3, 0.2, -0.1));
    tensors.push_back(formula_tensor(name + ".bn.running_var", channels, t + 4, 0.8, 0.6));
    t += 5;
  }
  return tensors;
}

}  // namespace tarflow::metrics
