#include "framework/metrics/frechet.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "framework/core/error.h"

namespace tarflow::metrics {
namespace {

bool finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

// `who` is "first" or "second".
void require_gaussian(const Gaussian& gaussian, const char* who) {
  const int64_t width = gaussian.mean.numel();
  if (gaussian.mean.dim() != 1 || gaussian.covariance.sizes() != at::IntArrayRef({width, width})) {
    throw Error(
        fmt::format("the {} Gaussian has a mean of {} features and a covariance of {} elements",
                    who, width, gaussian.covariance.numel()));
  }
  if (!finite(gaussian.mean) || !finite(gaussian.covariance)) {
    throw Error(fmt::format("the mean or covariance of the {} Gaussian ({} features) is not finite",
                            who, width),
                "look for NaN or overflow in the features it was made from");
  }
}

// The places of the largest element of (F, F), for a message.
std::string place_of_largest(const at::Tensor& values) {
  const int64_t place = values.argmax().item<int64_t>(), width = values.size(1);
  return fmt::format("({}, {})", place / width, place % width);
}

at::Tensor non_negative_root(const at::Tensor& eigenvalues) {
  return eigenvalues.clamp_min(0).sqrt();
}

}  // namespace

void require_covariance(const Gaussian& gaussian, const std::string& source) {
  const auto refuse = [&](const std::string& reason) {
    throw Error(fmt::format("{} holds a sigma that is no covariance: {}", source, reason),
                "make the statistics again; sigma is the mean of (f - mu)(f - mu)^T over images");
  };
  const at::Tensor sigma = gaussian.covariance.to(at::kDouble);
  if (!finite(gaussian.mean) || !finite(sigma)) {
    throw Error(fmt::format("{} holds values that are not finite", source),
                "make the statistics again");
  }
  if (sigma.numel() == 0) return;
  const double norm = at::linalg_norm(sigma).item<double>();
  const double rounding = kCovarianceRounding * norm;
  if (!std::isfinite(norm)) refuse("its elements are too large to add their squares");
  const at::Tensor diagonal = sigma.diagonal();
  if (const double smallest = diagonal.min().item<double>(); smallest < -rounding) {
    refuse(fmt::format("the variance of feature {} is {:.4g}", diagonal.argmin().item<int64_t>(),
                       smallest));
  }
  const at::Tensor asymmetry = (sigma - sigma.t()).abs();
  if (const double largest = asymmetry.max().item<double>(); largest > rounding) {
    refuse(fmt::format("it is not symmetric: the element {} and the mirrored one differ by {:.4g}",
                       place_of_largest(asymmetry), largest));
  }
  // A Cholesky factor of sigma + rounding I exists unless an eigenvalue is below -rounding; it
  // takes a tenth of the time of the eigenvalues, which only the message needs.
  const at::Tensor symmetric = (sigma + sigma.t()) / 2;
  const at::Tensor shifted = symmetric + rounding * at::eye(sigma.size(0), sigma.options());
  if (std::get<1>(at::linalg_cholesky_ex(shifted)).item<int64_t>() == 0) return;
  const double lowest = at::linalg_eigvalsh(symmetric).min().item<double>();
  if (lowest < -rounding) {
    refuse(
        fmt::format("it is not positive semidefinite: its smallest eigenvalue is {:.4g}, its "
                    "largest variance {:.4g}",
                    lowest, diagonal.max().item<double>()));
  }
}

void Moments::add(const at::Tensor& features) {
  if (features.dim() != 2 || !features.is_floating_point()) {
    throw Error(
        fmt::format("features must be floating point, samples x features, not {} of {} dimensions",
                    toString(features.scalar_type()), features.dim()));
  }
  if (!finite(features))
    throw Error("features are not finite", "look for NaN in the images or the extractor");
  const at::Tensor f = features.detach().to(at::kDouble);
  const Moments parts[] = {*this, {f.size(0), f.sum(0).cpu(), f.t().matmul(f).cpu()}};
  *this = combine(parts);
}

at::Tensor Moments::mean() const {
  if (count < 1) throw Error("there are no samples to take a mean of");
  return sum / static_cast<double>(count);
}

at::Tensor Moments::covariance() const {
  if (count < 2)
    throw Error(fmt::format("a covariance needs at least 2 samples; there are {}", count));
  const double n = static_cast<double>(count);
  const at::Tensor mu = mean();
  return (outer - n * at::outer(mu, mu)) / (n - 1);
}

Gaussian Moments::gaussian() const { return {mean(), covariance(), count}; }

Moments combine(std::span<const Moments> parts) {
  Moments total;
  for (const Moments& part : parts) {
    if (part.count == 0) continue;
    if (total.count > 0 && total.sum.size(0) != part.sum.size(0)) {
      throw Error(fmt::format("samples of {} features cannot join samples of {}", part.sum.size(0),
                              total.sum.size(0)),
                  "use one feature extractor throughout");
    }
    total.sum = total.sum.defined() ? total.sum + part.sum : part.sum;
    total.outer = total.outer.defined() ? total.outer + part.outer : part.outer;
    total.count += part.count;
  }
  return total;
}

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  return FrechetReference(a).distance(b);
}

FrechetReference::FrechetReference(Gaussian reference) : gaussian_(std::move(reference)) {
  require_gaussian(gaussian_, "first");
  gaussian_.mean = gaussian_.mean.to(at::kDouble);
  gaussian_.covariance = gaussian_.covariance.to(at::kDouble);
  const auto [values, vectors] = at::linalg_eigh(gaussian_.covariance);
  // With A = V diag(w) V^T, V sqrt(w) is a root of A up to a rotation, which leaves the eigenvalues
  // alone.
  root_ = vectors * non_negative_root(values);
}

double FrechetReference::distance(const Gaussian& other) const {
  require_gaussian(other, "second");
  if (gaussian_.mean.size(0) != other.mean.size(0)) {
    throw Error(fmt::format("no Frechet distance between {} features and {} features",
                            gaussian_.mean.size(0), other.mean.size(0)),
                "make both statistics with the same extractor");
  }
  const at::Tensor covariance = other.covariance.to(at::kDouble);
  const at::Tensor product = root_.t().matmul(covariance).matmul(root_);
  const at::Tensor eigenvalues = at::linalg_eigvalsh((product + product.t()) / 2);
  const at::Tensor difference = gaussian_.mean - other.mean.to(at::kDouble);
  return (difference.square().sum() + gaussian_.covariance.trace() + covariance.trace() -
          2 * non_negative_root(eigenvalues).sum())
      .item<double>();
}

}  // namespace tarflow::metrics
