#include "framework/metrics/igm_crm.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "framework/core/error.h"
#include "framework/model/forward.h"
#include "framework/model/patchify.h"

namespace tarflow::metrics {
namespace {

const std::vector<std::string> kNormNames = {"2", "1", "fro"};  // in the order of MatrixNorm

enum Part : int64_t { kResidualZ, kResidualZero, kScaledX, kParts };

// The sum over the batch of `values` (N, T, D) in float64.
at::Tensor sum_of(const at::Tensor& values) {
  return values.sum(at::IntArrayRef{0}, false, at::kDouble);
}

// One evaluation of x = exp(a(guess)) z + g(guess), minus the true x.
at::Tensor residual(const Model& model, const BlockWeights& block, const Labels& labels,
                    const at::Tensor& guess, const at::Tensor& z, const at::Tensor& x) {
  const Shifted shifted = shift_outputs(block_outputs(model, block, guess, labels));
  return at::exp(shifted.a) * z + shifted.g - x;
}

// Token 0 of x, zeros elsewhere.
at::Tensor first_token(const at::Tensor& x) {
  at::Tensor guess = at::zeros_like(x);
  guess.select(1, 0).copy_(x.select(1, 0));
  return guess;
}

}  // namespace

std::string to_string(MatrixNorm norm) { return kNormNames[static_cast<size_t>(norm)]; }

MatrixNorm matrix_norm_from(const std::string& text) {
  for (size_t i = 0; i < kNormNames.size(); ++i) {
    if (kNormNames[i] == text) return static_cast<MatrixNorm>(i);
  }
  throw Error(fmt::format("`{}` is not a matrix norm", text), did_you_mean(text, kNormNames));
}

double matrix_norm(const at::Tensor& matrix, MatrixNorm norm) {
  const at::Tensor m = matrix.detach().to(at::kCPU, at::kDouble);
  if (!at::isfinite(m).all().item<bool>()) return std::numeric_limits<double>::infinity();
  switch (norm) {
    case MatrixNorm::kSpectral:
      return at::linalg_svdvals(m).max().item<double>();
    case MatrixNorm::kColumnSum:
      return m.abs().sum(0).max().item<double>();
    case MatrixNorm::kFrobenius:
      return m.square().sum().sqrt().item<double>();
  }
  throw Error("unknown matrix norm");
}

IgmCrm::IgmCrm(const Model& model) : model_(model) {
  sums_ = at::zeros({static_cast<int64_t>(model.blocks.size()), kParts, model.shape.tokens(),
                     model.shape.token_width()},
                    at::TensorOptions().dtype(at::kDouble).device(model.device));
}

at::Tensor IgmCrm::sums_of(const at::Tensor& images, const Labels& labels) const {
  const int64_t side = model_.shape.image_size, colours = model_.shape.colours;
  if (images.dim() != 4 || images.sizes().slice(1) != at::IntArrayRef({colours, side, side})) {
    throw Error(fmt::format("images of another shape than (N, {1}, {0}, {0})", side, colours),
                fmt::format("resize them to the model's {} pixels", side));
  }
  if (!labels.empty() && static_cast<int64_t>(labels.size()) != images.size(0)) {
    throw Error(fmt::format("{} labels for {} images", labels.size(), images.size(0)));
  }
  c10::NoGradGuard no_grad;
  at::Tensor tokens = patchify(images.to(model_.device, at::kFloat), model_.shape.patch_size);
  std::vector<at::Tensor> sums;
  for (const BlockWeights& block : model_.blocks) {
    const at::Tensor x = to_block_order(block, tokens);
    const BlockForward forward = block_forward(model_, block, x, labels);
    sums.push_back(at::stack({sum_of(residual(model_, block, labels, forward.z, forward.z, x)),
                              sum_of(residual(model_, block, labels, first_token(x), forward.z, x)),
                              sum_of(at::exp(-forward.shifted.a) * x)}));
    tokens = to_block_order(block, forward.z);
  }
  return at::stack(sums);
}

at::Tensor IgmCrm::finite_images(const at::Tensor& images, const Labels& labels) const {
  const at::Tensor finite = at::empty({images.size(0)}, at::kBool);
  for (int64_t i = 0; i < images.size(0); ++i) {
    const Labels own = labels.empty() ? Labels{} : Labels{labels[static_cast<size_t>(i)]};
    finite[i] = sums_of(images.slice(0, i, i + 1), own).isfinite().all().cpu();
  }
  return finite;
}

void IgmCrm::add_sums(const at::Tensor& sums, int64_t count) {
  if (sums.sizes() != sums_.sizes()) throw Error("sums over images of another model");
  sums_ += sums.to(sums_.device());
  count_ += count;
}

std::vector<BlockMetrics> IgmCrm::result(MatrixNorm norm) const {
  if (count_ == 0) throw Error("IGM and CRM need at least one image");
  const double n = static_cast<double>(count_);
  std::vector<BlockMetrics> blocks;
  double total = 0;
  for (size_t b = 0; b < model_.blocks.size(); ++b) {
    const at::Tensor means = sums_[static_cast<int64_t>(b)] / n;
    const std::vector<at::Tensor> halves = model_.blocks[b].proj_out_weight.chunk(2, 0);
    BlockMetrics metrics;
    metrics.igm_z = matrix_norm(means[kResidualZ], norm);
    metrics.igm_zero = matrix_norm(means[kResidualZero], norm);
    metrics.crm_x = matrix_norm(means[kScaledX], norm);
    metrics.crm_ws = matrix_norm(halves[0], norm);
    metrics.crm_wu = matrix_norm(halves[1], norm);
    metrics.crm = metrics.crm_x * metrics.crm_ws + metrics.crm_wu;
    metrics.guess = metrics.igm_z <= metrics.igm_zero ? Guess::kZ : Guess::kZero;
    for (const double value : {metrics.igm_z, metrics.igm_zero, metrics.crm}) {
      if (std::isfinite(value)) continue;
      throw Error(fmt::format("the IGM or CRM of block {} is not finite", b),
                  "the model overflows; compute_type: float32 has the widest range there is");
    }
    total += metrics.crm;
    blocks.push_back(metrics);
  }
  for (BlockMetrics& metrics : blocks)
    metrics.crm_percent = total > 0 ? 100 * metrics.crm / total : 0;
  return blocks;
}

}  // namespace tarflow::metrics
