#include "framework/training/state_file.h"

#include <ATen/ATen.h>

#include <cstddef>
#include <cstring>
#include <map>
#include <vector>

#include "framework/checkpoint/tarflow_state.h"
#include "framework/checkpoint/writer.h"

namespace tarflow::training {
namespace {

std::vector<std::byte> bytes_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  std::vector<std::byte> bytes(host.nbytes());
  std::memcpy(bytes.data(), host.const_data_ptr(), bytes.size());
  return bytes;
}

}  // namespace

void write_state(const std::filesystem::path& path, const ParameterLayout& layout,
                 const at::Tensor& row, const at::Tensor& var) {
  std::map<std::string, at::Tensor> values = {{"var", var}};
  for (int b = 0; b < layout.shape().blocks; ++b) {
    const std::vector<at::Tensor> tensors = layout.views(row, b);
    for (size_t i = 0; i < tensors.size(); ++i)
      values.emplace(layout.of_block(b)[i].name, tensors[i]);
  }
  std::vector<checkpoint::TensorToWrite> written;
  for (const checkpoint::ExpectedTensor& expected : checkpoint::expected_tensors(layout.shape())) {
    const auto found = values.find(expected.name);
    const bool mask = found == values.end();
    const at::Tensor value = mask ? at::Tensor() : found->second;
    const int64_t tokens = layout.shape().tokens();
    written.push_back(
        {expected.name, checkpoint::DType::kFloat32, expected.shape, [value, mask, tokens] {
           return bytes_of(mask ? at::ones({tokens, tokens}).tril() : value);
         }});
  }
  checkpoint::write_checkpoint(path, written);
}

}  // namespace tarflow::training
