#include "framework/sampling/evaluator.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "framework/core/error.h"

namespace tarflow {

Evaluator::Evaluator(const Model& model, int64_t capacity, const Guidance& guidance)
    : model_(model), capacity_(capacity), guidance_(guidance), workspace_(model.device, capacity) {}

void Evaluator::begin(int block, const Labels& labels, int64_t images) {
  if (images < 1 || images > capacity_) {
    throw Error(
        fmt::format("{} images were given to an evaluator of at most {}", images, capacity_),
        "make the evaluator with a larger capacity");
  }
  const auto count = static_cast<int64_t>(labels.size());
  if (count > 1 && count != images)
    throw Error(fmt::format("{} labels for {} images", count, images),
                "give one label per image, or one label for all images");
  images_ = images;
  turn_to(block, count == 1 ? Labels(static_cast<size_t>(images), labels.front()) : labels);
}

Outputs Evaluator::evaluate(const at::Tensor& x, const Step& step) {
  if (x.size(0) != images_)
    throw Error(
        fmt::format("x has {} images, but the block was begun with {}", x.size(0), images_));
  const at::Tensor outputs = outputs_of(x, step);
  const bool both = guided() && step.passes == Passes::kBoth;
  return {outputs.slice(0, 0, images_),
          both ? outputs.slice(0, images_, 2 * images_) : at::Tensor()};
}

namespace {

std::unique_ptr<Evaluator> make_fused(const Model& model, int64_t capacity,
                                      const Guidance& guidance) {
  return make_fused_evaluator(model, capacity, guidance);
}

// How an evaluator is made, and the bytes that it takes.
struct Kind {
  std::unique_ptr<Evaluator> (*make)(const Model& model, int64_t capacity,
                                     const Guidance& guidance);
  EvaluatorBytes (*bytes)(const Model& model, int64_t rows, int64_t longest);
};

Kind kind_for(const Model& model) {
  if (model.device.is_cuda() && can_fuse(model)) return {make_fused, fused_bytes};
  if (model.device.is_cpu() && model.compute == ComputeType::kFloat32)
    return {make_cpu_evaluator, cpu_bytes};
  return {make_tensor_evaluator, tensor_bytes};
}

}  // namespace

std::unique_ptr<Evaluator> make_evaluator(const Model& model, int64_t capacity,
                                          const Guidance& guidance) {
  return kind_for(model).make(model, capacity, guidance);
}

EvaluatorBytes evaluator_bytes(const Model& model, int64_t capacity, const Guidance& guidance,
                               int64_t longest) {
  return kind_for(model).bytes(model, rows_of(model.shape, capacity, guidance), longest);
}

}  // namespace tarflow
