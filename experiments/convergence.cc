// How fast the iterations of each block come to its sequential solution, and how well the change an
// iteration makes tells the error that is left (method.md section 3, "Convergence curves"). Points
// that differ only in clamp and guess share the sequential solutions.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <tuple>

#include "experiments/convergence_record.h"
#include "experiments/worker/dealing.h"
#include "experiments/worker/noise_input.h"
#include "experiments/worker/registry.h"
#include "experiments/worker/sampling_job.h"
#include "framework/core/error.h"
#include "framework/core/statistics.h"
#include "framework/sampling/convergence.h"
#include "framework/sampling/solve.h"
#include "framework/tensor/device.h"

namespace tarflow::experiments {
namespace {

constexpr double kPercent = 1e-2, kPermille = 1e-3;
constexpr int64_t kNotReached = -1;
// Relative errors between which the residual is asked to tell the error: above, the iteration has
// not begun to converge; below is float32 rounding.
constexpr double kLeastError = 1e-4, kMostError = 1e-1;

struct Settings : SamplingSettings {
  int64_t segments = 8;
  std::vector<int64_t> segment_blocks;
  double clamp = 0;
  std::string guess = "z", start = "sequential";
  int64_t max_iterations = 64;
  NoiseSettings noise;

  Settings() { compute_type = "float32"; }

  void bind(Binder& binder) {
    SamplingSettings::bind(binder, StrategyField::kNone);
    binder.integer(
        segments,
        {.name = "segments",
         .description = "Number of segments of the GS-Jacobi curves. 0: only pure Jacobi.",
         .minimum = 0});
    binder.integers(
        segment_blocks,
        {.name = "segment_blocks",
         .description = "Blocks (numbers of the checkpoint) with GS-Jacobi curves. Default: all.",
         .minimum = 0,
         .example = {7}});
    binder.number(
        clamp,
        {.name = "clamp",
         .description = "Iterates are limited to [-clamp, clamp] (published: 3). 0: no clamp.",
         .minimum = 0,
         .example = 3,
         .shared = true});
    binder.choice(guess,
                  {.name = "guess",
                   .description = "Initial guess: z itself, or token 0 of z and zeros elsewhere.",
                   .choices = {"z", "zero"},
                   .shared = true});
    binder.choice(start,
                  {.name = "start",
                   .description = "Each block starts from the sequential output of the previous "
                                  "block, or (as published) from its last Jacobi iterate.",
                   .choices = {"sequential", "iterated"}});
    binder.integer(max_iterations,
                   {.name = "max_iterations",
                    .description = "Number of iterations measured. At most as many as are exact: T "
                                   "- 1, or the tokens of a segment.",
                    .minimum = 1});
    noise.bind(binder);
  }

  Iterations iterations(int64_t longest) const {
    return {static_cast<int>(std::min(max_iterations, longest)),
            guess == "z" ? Guess::kZ : Guess::kZero, clamp};
  }
};

int64_t iterations_to(const Curve& curve, double bound) {
  return settled_below(curve.relative_distances(), bound).value_or(kNotReached);
}

// Error over change of the iterations whose error is in the range above.
std::vector<double> ratios_of(const Curve& curve) {
  const std::vector<double> relative = curve.relative_distances(), all = curve.error_ratios();
  std::vector<double> ratios;
  for (size_t k = 0; k < all.size(); ++k) {
    if (relative[k] >= kLeastError && relative[k] <= kMostError && std::isfinite(all[k]))
      ratios.push_back(all[k]);
  }
  return ratios;
}

// What one point measures.
struct PointCurves {
  Jacobi jacobi;
  Segments segmented;
  std::vector<std::vector<Curve>> jacobi_curves;     // by block; one curve each
  std::vector<std::vector<Curve>> segmented_curves;  // by entry of segment_blocks, by segment
};

// Of a point's curves, for the values of a chunk: "0/jacobi/7" or "0/segments/7/3" of point 0,
// block (or entry of segment_blocks) 7, segment 3.
std::string curve_key(size_t point, const char* mode, size_t block, size_t curve) {
  return fmt::format("{}/{}/{}/{}", point, mode, block, curve);
}

// Points that start each block from the same tokens, and those tokens in image order.
struct Chain {
  std::vector<size_t> points;
  at::Tensor x;
  at::Tensor finite;  // (N) bool: the sequential solutions of all blocks so far are
};

std::string left_out_key(size_t point) { return fmt::format("{}/left_out", point); }
std::string overflowed_key(size_t point) { return fmt::format("{}/overflowed", point); }

// What comes of a chunk from what came of its parts, in their order: squares (rows, N) side by
// side, counts added up.
Piece joined(const std::vector<Piece>& parts) {
  if (parts.size() == 1) return parts.front();
  Piece piece;
  for (const auto& [name, first] : parts.front()) {
    std::vector<at::Tensor> values;
    for (const Piece& part : parts) values.push_back(part.at(name));
    piece[name] = first.dim() == 0 ? at::stack(values).sum() : at::cat(values, 1);
  }
  return piece;
}

class Convergence {
 public:
  explicit Convergence(JobContext& context)
      : context_(context),
        settings_(read_settings<Settings>(context.settings())),
        device_(context.device()),
        model_(context.load_model(device_, compute_type_from(settings_.compute_type, device_))),
        input_(context, settings_.noise, settings_, model_),
        segment_blocks_(segment_blocks()),
        plan_(model_, settings_.options().guidance,
              batch_options(context, settings_, /*self_denoising=*/false)),
        left_out_(context.point_count()),
        overflowed_(context.point_count()) {
    for (size_t i = 0; i < context.point_count(); ++i)
      points_.push_back(make_point(read_settings<Settings>(context.point_settings(i))));
  }

  void run() {
    const c10::NoGradGuard no_grad;
    const std::vector<Chunk> chunks = chunks_of(settings_.num_images, settings_.chunk);
    report_progress();
    const bool done =
        Dealing(context_.comm(), static_cast<int64_t>(chunks.size()))
            .run([&](int64_t c) { return measured(chunks[static_cast<size_t>(c)]); },
                 [&](int64_t c, const Piece& piece) { add(chunks[static_cast<size_t>(c)], piece); },
                 [&] { return context_.stop_requested(); });
    if (!done) context_.stop();
    if (!context_.comm().first()) return;
    left_out_.report(context_);
    for (size_t i = 0; i < points_.size(); ++i) report(i);
    if (!segment_blocks_.empty())
      context_.add("convergence/segment_blocks", {}, array_values(segment_blocks_));
    context_.set_all("smoke", int64_t{!context_.job().smoke.is_null()});
    context_.set_all("device", device_name(device_));
    context_.set_all("compute", to_string(model_.compute));
  }

 private:
  std::vector<int64_t> segment_blocks() const {
    const int64_t tokens = model_.shape.tokens(), count = model_.shape.blocks;
    if (tokens < 2) {
      throw Error("a model of one token has nothing to iterate: each block is exact at once",
                  "name a model of more tokens");
    }
    if (settings_.segments > tokens) {
      throw Error(fmt::format("{} segments for {} tokens", settings_.segments, tokens),
                  "`segments` is at most the number of tokens");
    }
    if (settings_.segments < 2) return {};
    std::vector<int64_t> blocks = settings_.segment_blocks;
    if (blocks.empty()) {
      blocks.resize(static_cast<size_t>(count));
      std::iota(blocks.begin(), blocks.end(), int64_t{0});
    }
    std::sort(blocks.begin(), blocks.end());
    blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
    if (blocks.back() >= count) {
      throw Error(
          fmt::format("`segment_blocks` names block {} of a model of {}", blocks.back(), count),
          fmt::format("blocks are numbered 0 to {}, as in the checkpoint", count - 1));
    }
    return blocks;
  }

  PointCurves make_point(const Settings& settings) const {
    const int64_t tokens = model_.shape.tokens(), width = model_.shape.token_width();
    PointCurves point;
    point.jacobi = {settings.iterations(std::max<int64_t>(1, tokens - 1))};
    for (int b = 0; b < model_.shape.blocks; ++b)
      point.jacobi_curves.push_back(make_curves({point.jacobi}, tokens, width));
    if (segment_blocks_.empty()) return point;
    point.segmented.size = SegmentCount{static_cast<int>(settings.segments)};
    const int64_t longest = longest_evaluation({point.segmented}, tokens);
    static_cast<Iterations&>(point.segmented) = settings.iterations(longest);
    for (size_t i = 0; i < segment_blocks_.size(); ++i)
      point.segmented_curves.push_back(make_curves({point.segmented}, tokens, width));
    return point;
  }

  // The squares of all curves over the chunk's images, which are worked on in parts where the
  // memory is short. Nothing depends on the parts but the rounding of the model.
  Piece measured(const Chunk& chunk) {
    plan_.use(chunk.count, longest(), [&] { evaluator_.reset(); });
    std::vector<Piece> parts;
    int64_t done = done_;
    in_parts(
        chunk.count, plan_.size(),
        [&] {
          evaluator_.reset();
          plan_.halve();
          done_ = done;
        },
        [&](int64_t first, int64_t count) {
          parts.push_back(measured_part({chunk.index, chunk.first + first, count}));
          done = done_;
        });
    return joined(parts);
  }

  // A strategy with the longest evaluations there are, of all tokens.
  Strategy longest() const {
    return {"Jacobi", std::vector<BlockPlan>(static_cast<size_t>(model_.shape.blocks),
                                             BlockPlan{points_.front().jacobi})};
  }

  Piece measured_part(const Chunk& chunk) {
    if (!evaluator_ || evaluator_->capacity() < chunk.count) {
      evaluator_.reset();  // its memory first
      evaluator_ = make_evaluator(model_, chunk.count, settings_.options().guidance);
    }
    const Labels labels = input_.labels(chunk);
    const at::Tensor x = input_.noise(chunk) * model_.prior_std;
    std::vector<Chain> chains;
    for (size_t i = 0; i < points_.size(); ++i) {
      if (chains.empty() || settings_.start == "iterated")
        chains.push_back({{}, x, at::ones({chunk.count}, at::kBool)});
      chains.back().points.push_back(i);
    }
    Piece piece;
    for (int b = model_.shape.blocks - 1; b >= 0; --b) {
      for (Chain& chain : chains) run_block(b, chain, labels, piece);
      if (alone_) {
        done_ += chunk.count;
        report_progress();
      }
    }
    for (const Chain& chain : chains) leave_out(chain, chunk, piece);
    return piece;
  }

  // Takes images without finite sequential solutions out of the curves of the chain's points. Where
  // an iterate alone is not finite, its distance is infinite.
  void leave_out(const Chain& chain, const Chunk& chunk, Piece& piece) const {
    require_finite(settings_.nonfinite, chain.finite, chunk.first,
                   "in the sequential solution of a block");
    for (const size_t point : chain.points) {
      at::Tensor overflowed = at::zeros({chunk.count}, at::kBool);
      for (auto& [name, squares] : piece) {
        if (!name.starts_with(fmt::format("{}/", point))) continue;
        overflowed = overflowed.logical_or(squares.isfinite().all(0).logical_not());
        constexpr double kInfinite = std::numeric_limits<double>::infinity();
        squares =
            rows_where(squares.nan_to_num(kInfinite, kInfinite).t(), chain.finite).t().contiguous();
      }
      piece[left_out_key(point)] = at::full({}, count_false(chain.finite), at::kLong);
      piece[overflowed_key(point)] = overflowed.logical_and(chain.finite).sum();
    }
  }

  void add(const Chunk& chunk, const Piece& piece) {
    for (size_t i = 0; i < points_.size(); ++i) {
      const auto add_all = [&](const char* mode, std::vector<std::vector<Curve>>& blocks) {
        for (size_t b = 0; b < blocks.size(); ++b) {
          for (size_t c = 0; c < blocks[b].size(); ++c)
            blocks[b][c].add(piece.at(curve_key(i, mode, b, c)));
        }
      };
      add_all("jacobi", points_[i].jacobi_curves);
      add_all("segments", points_[i].segmented_curves);
      left_out_.add(i, piece.at(left_out_key(i)).item<int64_t>(), chunk.count);
      overflowed_[i] += piece.at(overflowed_key(i)).item<int64_t>();
    }
    if (alone_) return;
    done_ += chunk.count * model_.shape.blocks;
    report_progress();
  }

  // Moves the chain through block b.
  void run_block(int b, Chain& chain, const Labels& labels, Piece& piece) {
    const BlockWeights& block = model_.blocks[static_cast<size_t>(b)];
    const at::Tensor z = to_block_order(block, chain.x).contiguous();
    stop_if_alone();
    evaluator_->begin(b, labels, z.size(0));
    BlockWork work;
    const at::Tensor solution = invert_block(*evaluator_, BlockPlan{}, z, {}, &work);
    chain.finite = chain.finite.logical_and(finite_rows(solution));
    at::Tensor next = solution;
    for (const size_t i : chain.points) {
      const PointCurves& point = points_[i];
      const auto follow = [&](const BlockPlan& plan, const char* mode, size_t entry) {
        evaluator_->begin(b, labels, z.size(0));
        const Followed found =
            follow_convergence(*evaluator_, plan, z, solution, [&] { stop_if_alone(); });
        for (size_t c = 0; c < found.squares.size(); ++c)
          piece[curve_key(i, mode, entry, c)] = found.squares[c];
        return found.last;
      };
      const at::Tensor last = follow({point.jacobi}, "jacobi", static_cast<size_t>(b));
      if (settings_.start == "iterated") next = last;
      const auto entry = std::find(segment_blocks_.begin(), segment_blocks_.end(), b);
      if (entry != segment_blocks_.end())
        follow({point.segmented}, "segments", static_cast<size_t>(entry - segment_blocks_.begin()));
    }
    chain.x = to_block_order(block, next);
  }

  // A chunk may take long. Several processes stop together, between chunks (Dealing).
  void stop_if_alone() const {
    if (alone_) context_.stop_if_requested();
  }

  void report_progress() {
    context_.progress("solving", done_, settings_.num_images * model_.shape.blocks, 0,
                      "blocks of images");
  }

  void report(size_t index) {
    if (left_out_.all(index)) return;  // its status says so
    const PointCurves& point = points_[index];
    context_.set(index, "overflowed_images", overflowed_[index]);
    if (overflowed_[index] > 0) {
      context_.add_status(index, fmt::format("of {} images an iterate is not finite: distances are "
                                             "infinite there",
                                             overflowed_[index]));
    }
    report_curves(index, "jacobi", point.jacobi_curves, point.jacobi.max_iterations, false);
    if (!point.segmented_curves.empty())
      report_curves(index, "segments", point.segmented_curves, point.segmented.max_iterations,
                    true);
    report_ratios(index);
    report_slowest(index);
  }

  // Arrays (block, iteration), or (block, segment, iteration).
  void report_curves(size_t index, const std::string& mode,
                     const std::vector<std::vector<Curve>>& blocks, int iterations, bool segments) {
    std::vector<int64_t> shape = {static_cast<int64_t>(blocks.size())};
    if (segments) shape.push_back(static_cast<int64_t>(blocks.front().size()));
    const auto add = [&](const char* name, std::vector<int64_t> sizes, const auto& values_of) {
      std::vector<double> all;
      for (const auto& curves : blocks) {
        for (const Curve& curve : curves) {
          const std::vector<double> values = values_of(curve);
          all.insert(all.end(), values.begin(), values.end());
        }
      }
      const at::Tensor tensor = at::empty(sizes, at::kDouble);
      std::copy(all.begin(), all.end(), tensor.mutable_data_ptr<double>());
      context_.add(fmt::format("convergence/<point>/{}/{}", mode, name), {context_.point_id(index)},
                   array_values(tensor));
    };
    const auto add_count = [&](const char* name, double bound) {
      std::vector<int64_t> counts;
      for (const auto& curves : blocks) {
        for (const Curve& curve : curves) counts.push_back(iterations_to(curve, bound));
      }
      context_.add(fmt::format("convergence/<point>/{}/{}", mode, name), {context_.point_id(index)},
                   array_values(counts, shape));
    };
    std::vector<int64_t> curve_shape = shape;
    curve_shape.push_back(iterations);
    add("distance", curve_shape, [](const Curve& curve) { return curve.distances(); });
    add("relative_distance", curve_shape,
        [](const Curve& curve) { return curve.relative_distances(); });
    add("residual", curve_shape, [](const Curve& curve) { return curve.residuals(); });
    add("guess_distance", shape,
        [](const Curve& curve) { return std::vector<double>{curve.guess_distance()}; });
    add_count("iterations_to_percent", kPercent);
    add_count("iterations_to_permille", kPermille);
  }

  void report_ratios(size_t index) {
    std::vector<double> medians, largest, all;
    for (const auto& curves : points_[index].jacobi_curves) {
      const std::vector<double> ratios = ratios_of(curves.front());
      all.insert(all.end(), ratios.begin(), ratios.end());
      const double none = std::numeric_limits<double>::quiet_NaN();
      medians.push_back(ratios.empty() ? none : median(ratios));
      largest.push_back(ratios.empty() ? none : *std::max_element(ratios.begin(), ratios.end()));
    }
    const std::vector<std::string> point = {context_.point_id(index)};
    context_.add("convergence/<point>/jacobi/error_ratio_median", point, array_values(medians));
    context_.add("convergence/<point>/jacobi/error_ratio_max", point, array_values(largest));
    if (all.empty()) return;
    context_.set(index, "error_ratio_median", median(all));
    context_.set(index, "error_ratio_max", *std::max_element(all.begin(), all.end()));
  }

  // The block that takes most iterations of Jacobi, and where all of them end.
  void report_slowest(size_t index) {
    const std::vector<std::vector<Curve>>& blocks = points_[index].jacobi_curves;
    const int64_t never = points_[index].jacobi.max_iterations + 1;
    const auto key = [&](const Curve& curve) {
      const auto count = [&](double bound) {
        const int64_t found = iterations_to(curve, bound);
        return found == kNotReached ? never : found;
      };
      return std::tuple(count(kPercent), count(kPermille));
    };
    size_t slowest = 0;
    double last = 0;
    for (size_t b = 0; b < blocks.size(); ++b) {
      if (key(blocks[slowest].front()) < key(blocks[b].front())) slowest = b;
      const double end = blocks[b].front().relative_distances().back();
      last = std::isnan(end) ? std::numeric_limits<double>::infinity() : std::max(last, end);
    }
    context_.set(index, "slowest_block", static_cast<int64_t>(slowest));
    context_.set(index, "last_distance", last);
    const Curve& curve = blocks[slowest].front();
    const auto set = [&](const char* name, int64_t count) {
      if (count != kNotReached) context_.set(index, name, count);
    };
    set("iterations_to_percent", iterations_to(curve, kPercent));
    set("iterations_to_permille", iterations_to(curve, kPermille));
  }

  JobContext& context_;
  const bool alone_ = context_.comm().size() == 1;  // in one process
  const Settings settings_;
  const at::Device device_;
  const Model model_;
  const NoiseInput input_;
  const std::vector<int64_t> segment_blocks_;  // in checkpoint order
  std::vector<PointCurves> points_;
  BatchPlan plan_;
  LeftOut left_out_;
  std::vector<int64_t> overflowed_;  // images with an iterate that is not finite, by point
  std::unique_ptr<Evaluator> evaluator_;
  int64_t done_ = 0;  // images times blocks
};

void run(JobContext& context) { Convergence(context).run(); }

const bool registered = register_experiment<Settings>(
    {.name = "convergence",
     .description = "Distance of the iterations of each block to its sequential solution, and the "
                    "residual: for pure Jacobi and for each segment.",
     .revision = 1,
     .timed = false,
     .fields = {},
     .columns = convergence_columns(),
     .arrays = convergence_arrays(),
     .ranks = true},
    run);

}  // namespace
}  // namespace tarflow::experiments
