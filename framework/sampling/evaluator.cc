#include "framework/sampling/evaluator.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "framework/core/error.h"

namespace tarflow {

Evaluator::Evaluator(const Model& model, int64_t capacity, const Guidance& guidance)
    : model_(model), capacity_(capacity), guidance_(guidance), workspace_(model.device, capacity) {}

void Evaluator::begin(int block, const Labels& labels, int64_t images) {
  if (images < 1 || images > capacity_) {
    throw Error(fmt::format("{} images for an evaluator of {} at most", images, capacity_),
                "make it with room for as many images as it is given");
  }
  const auto count = static_cast<int64_t>(labels.size());
  if (count > 1 && count != images)
    throw Error(fmt::format("{} labels for {} images", count, images),
                "give a label an image, or one for all of them");
  images_ = images;
  turn_to(block, count == 1 ? Labels(static_cast<size_t>(images), labels.front()) : labels);
}

Outputs Evaluator::evaluate(const at::Tensor& x, const Step& step) {
  if (x.size(0) != images_)
    throw Error(fmt::format("{} images for a block that was begun with {}", x.size(0), images_));
  const at::Tensor outputs = outputs_of(x, step);
  const bool both = guided() && step.passes == Passes::kBoth;
  return {outputs.slice(0, 0, images_),
          both ? outputs.slice(0, images_, 2 * images_) : at::Tensor()};
}

namespace {

enum class Kind { kFused, kCpu, kTensor };

Kind kind_for(const Model& model) {
  if (model.device.is_cuda() && can_fuse(model)) return Kind::kFused;
  const bool cpu_float = model.device.is_cpu() && model.compute == ComputeType::kFloat32;
  return cpu_float ? Kind::kCpu : Kind::kTensor;
}

}  // namespace

std::unique_ptr<Evaluator> make_evaluator(const Model& model, int64_t capacity,
                                          const Guidance& guidance) {
  switch (kind_for(model)) {
    case Kind::kFused:
      return make_fused_evaluator(model, capacity, guidance);
    case Kind::kCpu:
      return make_cpu_evaluator(model, capacity, guidance);
    case Kind::kTensor:
      break;
  }
  return make_tensor_evaluator(model, capacity, guidance);
}

EvaluatorBytes evaluator_bytes(const Model& model, int64_t capacity, const Guidance& guidance,
                               int64_t longest) {
  const int64_t rows = rows_of(model.shape, capacity, guidance);
  switch (kind_for(model)) {
    case Kind::kFused:
      return fused_bytes(model, rows, longest);
    case Kind::kCpu:
      return cpu_bytes(model, rows, longest);
    case Kind::kTensor:
      break;
  }
  return tensor_bytes(model, rows, longest);
}

}  // namespace tarflow
