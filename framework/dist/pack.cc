#include "framework/dist/pack.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "framework/core/error.h"

namespace tarflow::dist {
namespace {

constexpr int64_t kMostDimensions = 16;

void put(std::string& bytes, int64_t number) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
}

class Reader {
 public:
  explicit Reader(const std::string& bytes) : bytes_(bytes) {}

  bool done() const { return next_ == bytes_.size(); }
  const char* take(int64_t count) {
    if (count < 0 || static_cast<uint64_t>(count) > bytes_.size() - next_)
      throw Error("what another rank sent is not whole", "are all ranks of the same build?");
    const char* at = bytes_.data() + next_;
    next_ += static_cast<size_t>(count);
    return at;
  }
  int64_t number() {
    int64_t value = 0;
    std::memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }

 private:
  const std::string& bytes_;
  size_t next_ = 0;
};

at::ScalarType element_type(int64_t number) {
  constexpr int64_t kTypes = static_cast<int64_t>(at::ScalarType::NumOptions);
  if (number < 0 || number >= kTypes)
    throw Error("another rank sent elements of a type unknown here",
                "are all ranks of the same build?");
  return static_cast<at::ScalarType>(number);
}

at::Tensor tensor_from(Reader& reader) {
  const at::ScalarType type = element_type(reader.number());
  std::vector<int64_t> shape(
      static_cast<size_t>(std::min(std::max<int64_t>(reader.number(), 0), kMostDimensions)));
  for (int64_t& side : shape) side = reader.number();
  const int64_t bytes = reader.number();
  const char* content = reader.take(bytes);
  int64_t expected = static_cast<int64_t>(c10::elementSize(type));
  bool fits = true;
  for (const int64_t side : shape)
    fits = fits && side >= 0 && !__builtin_mul_overflow(expected, side, &expected);
  if (!fits || expected != bytes)
    throw Error("what another rank sent does not fit its shape",
                "are all ranks of the same build?");
  at::Tensor tensor = at::empty(shape, type);
  if (bytes > 0) std::memcpy(tensor.mutable_data_ptr(), content, static_cast<size_t>(bytes));
  return tensor;
}

}  // namespace

std::string pack(const Tensors& tensors) {
  std::string bytes;
  for (const auto& [name, given] : tensors) {
    const at::Tensor tensor = given.detach().cpu().contiguous();
    put(bytes, static_cast<int64_t>(name.size()));
    bytes += name;
    put(bytes, static_cast<int64_t>(tensor.scalar_type()));
    put(bytes, tensor.dim());
    for (const int64_t side : tensor.sizes()) put(bytes, side);
    put(bytes, static_cast<int64_t>(tensor.nbytes()));
    bytes.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  }
  return bytes;
}

Tensors unpack(const std::string& bytes) {
  Reader reader(bytes);
  Tensors tensors;
  while (!reader.done()) {
    const int64_t length = reader.number();
    std::string name(reader.take(length), static_cast<size_t>(length));
    tensors[std::move(name)] = tensor_from(reader);
  }
  return tensors;
}

}  // namespace tarflow::dist
