#include "framework/sampling/convergence.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "framework/core/error.h"
#include "framework/core/overloaded.h"
#include "framework/sampling/solve.h"
#include "framework/sampling/solvers/iterations.h"

namespace tarflow {
namespace {

// Rows of Followed::squares.
constexpr int64_t kSolution = 0, kGuess = 1;
int64_t error_row(int k) { return 2 * int64_t{k}; }
int64_t change_row(int k) { return 2 * int64_t{k} + 1; }
int64_t row_count(int iterations) { return 2 + 2 * int64_t{iterations}; }

// (N) on the CPU: squares summed over tokens and features in float64.
at::Tensor squares(const at::Tensor& x) {
  return x.to(at::kDouble).square().sum(at::IntArrayRef{1, 2}).cpu();
}

void add_in_order(double& sum, const double* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum += values[i];
}

// The iterations of a plan and the tokens that are compared. Each range has its own curve.
struct Compared {
  const Iterations& iterations;
  std::vector<Segment> ranges;  // compared tokens
};

// Throws std::logic_error for a plan without iterations or with a stop.
Compared compared_of(const BlockPlan& plan, int64_t tokens) {
  const Compared compared = std::visit(
      Overloaded{[](const Sequential&) -> Compared {
                   throw std::logic_error("convergence needs a plan with iterations");
                 },
                 [](const Window&) -> Compared {
                   throw std::logic_error("convergence needs a plan with iterations of all tokens");
                 },
                 [](const Tuned&) -> Compared {
                   throw std::logic_error("convergence is followed where the method is stated");
                 },
                 // All tokens: the clamp moves token 0 as well.
                 [&](const Jacobi& jacobi) -> Compared {
                   return {jacobi, {{0, tokens}}};
                 },
                 [&](const Segments& segments) -> Compared {
                   std::vector<Segment> written;
                   for (const Segment& range : segments_of(segments, tokens))
                     written.push_back({range.first + 1, range.last + 1});
                   return {segments, written};
                 }},
      plan.method);
  if (compared.iterations.stop) throw std::logic_error("convergence needs a plan without a stop");
  return compared;
}

at::Tensor part_of(const at::Tensor& x, const Segment& range) {
  return x.slice(1, range.first, range.last);
}

std::vector<double> roots_over(const std::vector<double>& squares, double divisor) {
  std::vector<double> values;
  for (const double square : squares) values.push_back(std::sqrt(square) / divisor);
  return values;
}

}  // namespace

Curve::Curve(int iterations, int64_t tokens, int64_t width)
    : tokens_(tokens),
      width_(width),
      errors_(static_cast<size_t>(iterations)),
      changes_(static_cast<size_t>(iterations)) {}

void Curve::add(const at::Tensor& squares) {
  if (squares.dim() != 2 || squares.size(0) != row_count(iterations()) ||
      squares.scalar_type() != at::kDouble)
    throw Error("the distances have another shape or type than those of this curve");
  const at::Tensor rows = squares.contiguous();
  const int64_t count = rows.size(1);
  const auto row = [&](int64_t index) { return rows.const_data_ptr<double>() + index * count; };
  images_ += count;
  add_in_order(solution_, row(kSolution), count);
  add_in_order(guess_, row(kGuess), count);
  for (int k = 1; k <= iterations(); ++k) {
    const size_t index = static_cast<size_t>(k - 1);
    add_in_order(errors_[index], row(error_row(k)), count);
    add_in_order(changes_[index], row(change_row(k)), count);
  }
}

std::vector<double> Curve::distances() const {
  return roots_over(errors_, static_cast<double>(images_ * tokens_ * width_));
}

std::vector<double> Curve::relative_distances() const {
  return roots_over(errors_, std::sqrt(solution_));
}

std::vector<double> Curve::residuals() const {
  return roots_over(changes_, static_cast<double>(images_ * width_));
}

std::vector<double> Curve::error_ratios() const {
  std::vector<double> ratios;
  for (size_t k = 0; k < errors_.size(); ++k)
    ratios.push_back(std::sqrt(errors_[k]) / std::sqrt(changes_[k]));
  return ratios;
}

double Curve::guess_distance() const {
  return std::sqrt(guess_) / static_cast<double>(images_ * tokens_ * width_);
}

std::optional<int> settled_below(const std::vector<double>& values, double bound) {
  size_t first = values.size();
  // NaN is not below the bound.
  while (first > 0 && values[first - 1] < bound) --first;
  if (first == values.size()) return std::nullopt;
  return static_cast<int>(first) + 1;
}

std::vector<Curve> make_curves(const BlockPlan& plan, int64_t tokens, int64_t width) {
  const Compared compared = compared_of(plan, tokens);
  std::vector<Curve> curves;
  for (const Segment& range : compared.ranges)
    curves.emplace_back(compared.iterations.max_iterations, range.last - range.first, width);
  return curves;
}

Followed follow_convergence(Evaluator& evaluator, const BlockPlan& plan, const at::Tensor& z,
                            const at::Tensor& solution, const std::function<void()>& between) {
  const Compared compared = compared_of(plan, z.size(1));
  const at::Tensor guess = initial_guess(compared.iterations, z);
  Followed followed;
  for (const Segment& range : compared.ranges) {
    const at::Tensor part = part_of(solution, range);
    at::Tensor rows =
        at::zeros({row_count(compared.iterations.max_iterations), z.size(0)}, at::kDouble);
    rows[kSolution].copy_(squares(part));
    rows[kGuess].copy_(squares(part - part_of(guess, range)));
    followed.squares.push_back(std::move(rows));
  }
  SolveOptions options;
  options.observe = [&](const Iteration& iteration) {
    const size_t segment = static_cast<size_t>(iteration.segment);
    const Segment& range = compared.ranges[segment];
    const at::Tensor& rows = followed.squares[segment];
    rows[error_row(iteration.number)].copy_(
        squares(part_of(solution, range) - part_of(iteration.x, range)));
    at::Tensor changes = rows[change_row(iteration.number)];
    std::copy_n(iteration.change, changes.numel(), changes.mutable_data_ptr<double>());
    if (between) between();
  };
  BlockWork work;
  followed.last = invert_block(evaluator, plan, z, options, &work);
  return followed;
}

}  // namespace tarflow
