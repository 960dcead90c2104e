#include "framework/training/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/tensor/memory.h"

namespace tarflow::training {

State initial_state(const Recipe& recipe, const at::Tensor& row) {
  State state;
  state.row = row;
  state.var = at::ones({recipe.shape.tokens(), recipe.shape.token_width()}, row.options());
  state.optimizer = initial_state(row);
  if (recipe.ema > 0) state.average = row.clone();
  return state;
}

Reduction one_rank() {
  return {[](const at::Tensor&) {}, [] {}};
}

Trainer::Trainer(const Recipe& recipe, int64_t batch, State state, Reduction reduction,
                 ActivationMemory memory)
    : recipe_(recipe),
      layout_(recipe.shape),
      batch_(batch),
      reduction_(std::move(reduction)),
      memory_(std::move(memory)),
      state_(std::move(state)),
      gradient_(at::zeros_like(state_.row)) {
  round();
}

void Trainer::round() {
  const at::ScalarType type = scalar_type(recipe_.compute);
  if (type == at::kFloat) {
    rounded_ = state_.row;
  } else if (rounded_.defined()) {
    rounded_.copy_(state_.row);
  } else {
    rounded_ = state_.row.to(type);
  }
}

PassResult Trainer::pass(const at::Tensor& images, const Labels& labels, bool last) {
  const PassInput input{images, labels, 1 / static_cast<double>(batch_), kept_blocks(),
                        !kept_.has_value()};
  bool begun = false;  // the gradient is written to
  try {
    return Pass(layout_, recipe_.compute, state_.row, rounded_, gradient_, recipe_.kernels)
        .run(input, sums_.defined(), [&](int block) {
          begun = true;
          if (last) reduction_.begin(layout_.part(gradient_, block));
        });
  } catch (const c10::OutOfMemoryError&) {
    // Others may have taken memory meanwhile.
    if (begun || kept_blocks() == 0) throw;
  }
  kept_ = 0;
  release_unused_memory(state_.row.device());
  return pass(images, labels, last);
}

void Trainer::choose_kept(const PassResult& first) {
  block_bytes_ = first.block_bytes;
  kept_ = 0;
  if (!memory_ || block_bytes_ <= 0) return;
  const int64_t fitting = std::max<int64_t>(memory_(first.peak_bytes), 0) / block_bytes_;
  kept_ = static_cast<int>(std::min<int64_t>(fitting, recipe_.shape.blocks - 1));
}

void Trainer::add(const at::Tensor& images, const Labels& labels, bool last) {
  const PassResult result = pass(images, labels, last);
  if (!kept_) choose_kept(result);
  if (recipe_.shape.volume_preserving) {
    const at::Tensor squares = result.z.square().sum(0);
    squares_ = sums_.defined() ? squares_ + squares : squares;
  }
  sums_ = sums_.defined() ? sums_ + result.sums : result.sums;
}

StepReport Trainer::report_of(const at::Tensor& numbers) const {
  const at::Tensor host = numbers.cpu();
  const double *number = host.const_data_ptr<double>(), *end = number + host.numel();
  StepReport report;
  report.square = *number++;
  report.logdet = *number++;
  report.gradient_norm = *--end;
  report.flagged = *--end != 0;
  report.block_squares.assign(number, end);
  report.skipped = !std::isfinite(report.loss()) || !std::isfinite(report.gradient_norm);
  return report;
}

StepReport Trainer::finish(double learning_rate, bool flag) {
  const c10::NoGradGuard no_grad;
  const at::Tensor sums =
      at::cat({std::exchange(sums_, {}) / static_cast<double>(batch_),
               at::full({1}, flag ? 1.0 : 0.0, state_.row.options().dtype(at::kDouble))});
  reduction_.begin(sums);
  if (squares_.defined()) reduction_.begin(squares_);
  reduction_.finish();
  const at::Tensor norm = norm_of(layout_, gradient_);
  const StepReport report = report_of(at::cat({sums, norm.view({1})}));
  ++state_.steps;
  if (report.skipped) {
    ++state_.skipped;
    return report;
  }
  const at::Tensor divisor = recipe_.clip > 0 ? clip_divisor(norm, recipe_.clip) : at::Tensor();
  update(recipe_.adamw, learning_rate, state_.row, gradient_, divisor, state_.optimizer);
  if (squares_.defined()) state_.var.lerp_(squares_ / static_cast<double>(batch_), kVarianceRate);
  if (state_.average.defined()) follow(state_.average, state_.row, recipe_.ema);
  round();
  return report;
}

Model Trainer::model(ComputeType compute, bool averaged) const {
  return model_of(layout_, averaged ? state_.average : state_.row, state_.var, compute);
}

}  // namespace tarflow::training
