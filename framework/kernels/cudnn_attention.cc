#include "framework/kernels/cudnn_attention.h"

#include "framework/kernels/position.h"

#ifdef TARFLOW_USE_CUDA

#include <ATen/ATen.h>
#include <ATen/cudnn/Handle.h>
#include <c10/cuda/CUDAGuard.h>
#include <cudnn_frontend.h>
#include <fmt/format.h>

#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "framework/core/error.h"

namespace tarflow::kernels {
namespace {

namespace fe = cudnn_frontend;

enum Uid : int64_t { kQuery = 1, kKeys, kValues, kQueryLength, kKeyLength, kOut };

struct Plan {
  std::shared_ptr<fe::graph::Graph> graph;
  int64_t workspace = 0;  // bytes
};

void require(fe::error_t error, const char* step) {
  if (error.is_good()) return;
  throw Error(fmt::format("cuDNN cannot {} the attention of an adaptive window: {}", step,
                          error.get_message()),
              "use cuDNN 9.10 or newer and a GPU of compute capability 8.0 or newer, or "
              "`compute_type: float32`");
}

// (B, tokens, heads, width) as cuDNN names it: batch, heads, tokens, width.
fe::graph::Tensor_attributes described(const at::Tensor& tensor, Uid uid) {
  return fe::graph::Tensor_attributes()
      .set_uid(uid)
      .set_dim({tensor.size(0), tensor.size(2), tensor.size(1), tensor.size(3)})
      .set_stride({tensor.stride(0), tensor.stride(2), tensor.stride(1), tensor.stride(3)});
}

fe::graph::Tensor_attributes lengths(int64_t batch, Uid uid) {
  return fe::graph::Tensor_attributes()
      .set_uid(uid)
      .set_dim({batch, 1, 1, 1})
      .set_stride({1, 1, 1, 1})
      .set_data_type(fe::DataType_t::INT32);
}

Plan make_plan(const CudnnAttention& work, const at::Tensor& out, cudnnHandle_t handle) {
  Plan plan;
  plan.graph = std::make_shared<fe::graph::Graph>();
  plan.graph->set_io_data_type(fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  const int64_t batch = work.query.size(0);
  const auto query = plan.graph->tensor(described(work.query, kQuery)),
             keys = plan.graph->tensor(described(work.keys, kKeys)),
             values = plan.graph->tensor(described(work.values, kValues));
  auto options = fe::graph::SDPA_attributes()
                     .set_name("window")
                     .set_generate_stats(false)
                     .set_attn_scale(static_cast<float>(work.scale))
                     .set_padding_mask(true)
                     .set_seq_len_q(plan.graph->tensor(lengths(batch, kQueryLength)))
                     .set_seq_len_kv(plan.graph->tensor(lengths(batch, kKeyLength)))
                     .set_diagonal_alignment(fe::DiagonalAlignment_t::BOTTOM_RIGHT)
                     .set_diagonal_band_right_bound(0);
  const auto mixed = plan.graph->sdpa(query, keys, values, options)[0];
  mixed->set_output(true)
      .set_uid(kOut)
      .set_dim({out.size(0), out.size(2), out.size(1), out.size(3)})
      .set_stride({out.stride(0), out.stride(2), out.stride(1), out.stride(3)});
  require(plan.graph->build(handle, {fe::HeurMode_t::A}), "plan");
  require(plan.graph->get_workspace_size(plan.workspace), "plan");
  return plan;
}

// Plans are kept as long as the process: there are few shapes.
Plan& plan_for(const CudnnAttention& work, const at::Tensor& out, cudnnHandle_t handle) {
  static std::mutex mutex;
  static std::map<std::vector<int64_t>, Plan>& plans =
      *new std::map<std::vector<int64_t>, Plan>;  // cuDNN may be gone when statics are destroyed
  std::vector<int64_t> key = {work.query.get_device(),
                              static_cast<int64_t>(work.scale * 1e12)};
  for (const at::Tensor& tensor : {work.query, work.keys, work.values}) {
    key.insert(key.end(), tensor.sizes().begin(), tensor.sizes().end());
    key.insert(key.end(), tensor.strides().begin(), tensor.strides().end());
  }
  const std::lock_guard lock(mutex);
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  return plans.emplace(key, make_plan(work, out, handle)).first->second;
}

}  // namespace

at::Tensor cudnn_attention(const CudnnAttention& work) {
  const c10::cuda::CUDAGuard guard(work.query.device());
  const at::Tensor out = at::empty(work.query.sizes(), work.query.options());
  const cudnnHandle_t handle = at::native::getCudnnHandle();
  Plan& plan = plan_for(work, out, handle);
  const at::Tensor scratch =
      at::empty({plan.workspace}, work.query.options().dtype(at::kByte));
  std::unordered_map<int64_t, void*> tensors = {
      {kQuery, work.query.data_ptr()},
      {kKeys, work.keys.data_ptr()},
      {kValues, work.values.data_ptr()},
      {kQueryLength, work.query_length.data_ptr()},
      {kKeyLength, work.key_length.data_ptr()},
      {kOut, out.data_ptr()},
  };
  require(plan.graph->execute(handle, tensors, scratch.data_ptr()), "run");
  return out;
}

}  // namespace tarflow::kernels

#else

namespace tarflow::kernels {
at::Tensor cudnn_attention(const CudnnAttention&) { no_cuda_kernels(); }
}  // namespace tarflow::kernels

#endif
