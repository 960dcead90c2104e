#include "framework/dist/gpu_bytes.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>
#include <vector>

#include "framework/core/error.h"

namespace tarflow::dist {
namespace {

// The first letter of a name in a message.
constexpr char kHere = 'c', kOnGpu = 'g';
constexpr int64_t kAlignment = 16;  // of any element type

int64_t padded(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

struct Description {
  at::ScalarType type = at::kFloat;
  std::vector<int64_t> shape;

  int64_t bytes() const {
    int64_t count = static_cast<int64_t>(c10::elementSize(type));
    for (const int64_t side : shape) count *= side;
    return count;
  }
};

// Its type, then its shape.
at::Tensor described(const at::Tensor& tensor) {
  std::vector<int64_t> numbers = {static_cast<int64_t>(tensor.scalar_type())};
  numbers.insert(numbers.end(), tensor.sizes().begin(), tensor.sizes().end());
  return at::tensor(numbers, at::kLong);
}

Description description(const at::Tensor& numbers) {
  const int64_t* data = numbers.const_data_ptr<int64_t>();
  return {static_cast<at::ScalarType>(data[0]), {data + 1, data + numbers.numel()}};
}

}  // namespace

SplitTensors split(const Tensors& tensors) {
  SplitTensors parts;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.is_cpu()) {
      parts.message[kHere + name] = tensor;
    } else {
      parts.message[kOnGpu + name] = described(tensor);
      parts.on_gpu[name] = tensor;
    }
  }
  return parts;
}

int64_t gpu_bytes(const Tensors& message) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : message)
    if (name[0] == kOnGpu) bytes += padded(description(tensor).bytes());
  return bytes;
}

at::Tensor flat_bytes(const Tensors& on_gpu, int64_t length, const at::Device& device) {
  at::Tensor bytes = at::empty({length}, at::TensorOptions(at::kByte).device(device));
  int64_t offset = 0;
  for (const auto& [name, tensor] : on_gpu) {
    const int64_t count = static_cast<int64_t>(tensor.nbytes());
    if (count > 0)
      bytes.slice(0, offset, offset + count)
          .copy_(tensor.detach().contiguous().reshape({-1}).view(at::kByte));
    offset += padded(count);
  }
  return bytes;
}

Tensors joined(const Tensors& message, const at::Tensor& bytes) {
  Tensors tensors;
  int64_t offset = 0;
  for (const auto& [name, tensor] : message) {
    if (name[0] == kHere) {
      tensors[name.substr(1)] = tensor;
      continue;
    }
    const Description known = description(tensor);
    if (known.bytes() == 0) {
      tensors[name.substr(1)] = at::empty(known.shape, known.type);
      continue;
    }
    tensors[name.substr(1)] =
        bytes.slice(0, offset, offset + known.bytes()).view(known.type).view(known.shape);
    offset += padded(known.bytes());
  }
  return tensors;
}

}  // namespace tarflow::dist
