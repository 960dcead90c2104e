// bench_gpu [SHAPE|all [BATCH [COMPUTE [plain|fast [SUMS]]]]]: milliseconds on a GPU of one block's
// single steps, segments and full passes, for the published shapes with random weights and guidance
// on; and what all blocks would take, sequentially and by the published strategy if no stop came
// early. `plain` measures the evaluator of plain LibTorch operations instead. SUMS is bf16_sums or
// fp32_sums: see use_bfloat16_sums.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "framework/sampling/evaluator.h"
#include "framework/sampling/solve.h"
#include "tests/support/random_model.h"

namespace tarflow {
namespace {

struct Published {
  std::string name;
  ModelShape shape;
  Guidance guidance;
  // Blocks of the strategy in 8 segments and otherwise, with their iterations; one sequential
  // block.
  int segmented, segment_iterations, passes, sequential;
};

ModelShape shape_of(int image, int patch, int channels, int classes) {
  return {image, patch, channels, 1, 8, classes, 0.05};  // one block: all cost the same
}

const std::vector<Published> kShapes = {
    {"afhq", shape_of(256, 8, 768, 3), {3.4, 1}, 1, 32, 7 * 10, 0},
    {"img128cond", shape_of(128, 4, 1024, 1000), {1.5, 1}, 1, 32, 7 * 10, 0},
    {"img64uncond", shape_of(64, 2, 768, 0), {0.2, 0.3}, 2, 32, 6 * 20, 0},
    {"img64cond", shape_of(64, 4, 1024, 1000), {2, 1}, 1, 13, 6 * 6, 1},
};
constexpr int kBlocks = 8, kSegments = 8;

double seconds(const Model& model, const std::function<void()>& action) {
  using Clock = std::chrono::steady_clock;
  synchronize(model.device);
  const Clock::time_point start = Clock::now();
  action();
  synchronize(model.device);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Bench {
 public:
  Bench(const Published& what, int64_t batch, ComputeType compute, bool plain)
      : what_(what),
        batch_(batch),
        model_(random_model(what.shape, 1, device_from("auto"), compute)),
        evaluator_(plain ? make_tensor_evaluator(model_, batch, what.guidance)
                         : make_evaluator(model_, batch, what.guidance)),
        z_(normal_noise(2, 0, batch, what.shape.tokens(), what.shape.token_width(),
                        model_.device)) {
    const Labels labels(what.shape.classes > 0 ? static_cast<size_t>(batch) : 0, 1);
    evaluator_->begin(0, labels);
  }

  void run() {
    const int64_t tokens = what_.shape.tokens();
    BlockWork work;
    const auto sequential = [&] {
      invert_block(*evaluator_, {}, z_, {what_.guidance.cfg, {}}, &work);
    };
    fmt::print("{}, {} images, {}\n", what_.name, batch_, to_string(model_.compute));
    const double first = seconds(model_, sequential), block = seconds(model_, sequential);
    fmt::print(
        "  sequential block {:8.3f} s (first {:.3f}), a step {:7.3f} ms, all blocks {:7.3f} s\n",
        block, first, 1e3 * block / static_cast<double>(tokens - 1), kBlocks * block);
    for (const int64_t first : {int64_t{1}, tokens / 2, tokens - 2})
      print("step", first, first + 1);
    double segmented = 0;
    for (const Segment& range : segments(tokens, kSegments)) {
      segmented += print("segment", range.first, range.last);
    }
    const double pass = print("pass", 0, tokens - 1);
    const double strategy = what_.segmented * what_.segment_iterations * segmented +
                            what_.passes * pass + what_.sequential * block;
    fmt::print("  published strategy without an early stop {:7.3f} s\n", strategy);
    at::Tensor x = z_.clone();
    fmt::print("  finite {}\n",
               evaluator_->evaluate(x, 0, tokens - 1).isfinite().all().item<bool>());
  }

 private:
  // Seconds of an iteration over [first, last).
  double print(const char* kind, int64_t first, int64_t last) {
    Iterate& iterate = evaluator_->iterate_from(z_);
    iterate.x.copy_(z_);
    kernels::GuidedUpdate update;
    update.z = iterate.z;
    update.x = iterate.x;
    update.first = first;
    update.cfg = what_.guidance.cfg;
    update.clamp = kPublishedClamp;
    if (last - first > 1) {
      update.change = iterate.change;
      iterate.change.zero_();
    }
    const int repeats = last - first == 1 ? 50 : 10;
    for (int i = 0; i < 3; ++i) evaluator_->advance(update, last);
    const double time = seconds(model_,
                                [&] {
                                  for (int i = 0; i < repeats; ++i)
                                    evaluator_->advance(update, last);
                                }) /
                        repeats;
    const ModelShape& shape = what_.shape;
    const double passes = what_.guidance.doubled(shape) ? 2 : 1,
                 keys = 0.5 * static_cast<double>(first + last),
                 evaluations = passes * static_cast<double>(batch_ * (last - first));
    const double bytes = 2 * passes * static_cast<double>(batch_ * shape.layers * shape.channels) *
                         static_cast<double>(last * at::elementSize(model_.dtype()));
    fmt::print("  {:8} [{:4}, {:4}) {:8.3f} ms, {:6.1f} TFLOP/s, {:5.2f} TB/s of keys and values\n",
               kind, first, last, 1e3 * time,
               1e-12 * evaluations * shape.block_flops_per_token(keys) / time,
               1e-12 * bytes / time);
    return time;
  }

  const Published& what_;
  const int64_t batch_;
  const Model model_;
  const std::unique_ptr<Evaluator> evaluator_;
  const at::Tensor z_;
};

void run(const std::string& name, int64_t batch, const std::string& compute, bool plain,
         const std::string& sums) {
  use_exact_float32();
  if (!sums.empty()) use_bfloat16_sums(sums == "bf16_sums");
  fmt::print("{} sums\n", bfloat16_sums() ? "bf16" : "fp32");
  const c10::NoGradGuard no_grad;
  for (const Published& what : kShapes) {
    if (name != "all" && name != what.name) continue;
    Bench(what, batch, compute_type_from(compute, device_from("auto")), plain).run();
  }
}

}  // namespace
}  // namespace tarflow

int main(int count, char** words) {
  const auto word = [&](int i, const char* otherwise) {
    return std::string(count > i ? words[i] : otherwise);
  };
  try {
    tarflow::run(word(1, "all"), std::stoll(word(2, "128")), word(3, "auto"),
                 word(4, "") == "plain", word(5, ""));
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
