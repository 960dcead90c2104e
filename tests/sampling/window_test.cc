// The adaptive window: exact as its tolerance goes to 0 whatever it guesses, and what becomes of
// values that are not finite.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <stdexcept>

#include "framework/core/error.h"
#include "framework/kernels/neighbours.h"
#include "framework/sampling/batch_sampler.h"
#include "framework/sampling/memory_plan.h"
#include "framework/tensor/memory.h"
#include "tests/support/linear_flow.h"

namespace tarflow {
namespace {

constexpr double kTiny = 1e-6;
constexpr int64_t kImages = 3;
const Labels kLabels = {0, 3, 1};
constexpr ModelShape kOneToken{.image_size = 2,
                               .patch_size = 2,
                               .channels = 64,
                               .blocks = 2,
                               .layers = 1,
                               .classes = 5,
                               .noise_std = 0.1};

at::Tensor some_noise(int64_t images = kImages, const ModelShape& shape = kSmallShape) {
  return normal_noise(61, 0, images, shape.tokens(), shape.token_width(), at::kCPU);
}

// A linear model that fits nothing.
std::shared_ptr<const Calibration> made_up_calibration(const ModelShape& shape, double scale) {
  RandomTensors random(62);
  Calibration calibration;
  const int64_t d = shape.token_width();
  for (int b = 0; b < shape.blocks; ++b) {
    calibration.blocks.push_back({random.normal({4 * d, 2 * d}, scale),
                                  random.normal({2 * d}, scale), at::full({2 * d}, 0.5f),
                                  at::full({2 * d}, 0.5f), 5.0});
  }
  return std::make_shared<const Calibration>(std::move(calibration));
}

SampleOptions options_of(const BlockPlan& plan, double cfg,
                         std::shared_ptr<const Calibration> calibration = nullptr) {
  SampleOptions options;
  options.strategy = {"test", std::vector<BlockPlan>(kSmallShape.blocks, plan)};
  options.guidance = {cfg, 0.8};
  options.calibration = std::move(calibration);
  return options;
}

void expect_close(const at::Tensor& got, const at::Tensor& expected, double tolerance = 2e-5) {
  EXPECT_LE((got - expected).abs().max().item<double>(), tolerance);
}

// What holds of every window: the front only moves on, and ends at the last token.
void expect_fronts(const BlockWork& work, const Window& window, int64_t tokens) {
  const auto full = static_cast<size_t>(std::count(work.kinds.begin(), work.kinds.end(), 'F'));
  EXPECT_LE(full, static_cast<size_t>(tokens - 1));
  EXPECT_EQ(work.fronts.size(), full);
  EXPECT_EQ(work.iterations, std::vector<int>{static_cast<int>(work.kinds.size())});
  EXPECT_EQ(work.longest, std::min<int64_t>(window.width, tokens - 1));
  int64_t before = 0;
  for (const int64_t front : work.fronts) {
    EXPECT_GT(front, before);
    EXPECT_LE(front, before + window.width);
    before = front;
  }
  EXPECT_EQ(before, tokens - 1);
}

TEST(Window, OfATinyToleranceIsSequentialWhateverItGuesses) {
  const Model model = random_model(kSmallShape, 3);
  const auto calibration = made_up_calibration(kSmallShape, 0.3);
  for (const double cfg : {0.0, 1.2}) {
    const at::Tensor expected =
        sample(model, some_noise(), kLabels, options_of({Sequential{}}, cfg)).images;
    for (const WindowGuess guess : {WindowGuess::kZ, WindowGuess::kUp, WindowGuess::kLinear}) {
      for (const char* pattern : {"F", "HF", "FH", "HHF"}) {
        for (const int width : {1, 2, 4, 7, 15, 1000}) {
          const Window window{width, kTiny, guess, width == 7 ? 9 : 3, pattern};
          SCOPED_TRACE(testing::Message() << "cfg " << cfg << " " << describe({"", {{window}}}));
          const SampleResult result =
              sample(model, some_noise(), kLabels, options_of({window}, cfg, calibration));
          expect_close(result.images, expected);
          for (const BlockWork& work : result.work)
            expect_fronts(work, window, kSmallShape.tokens());
          if (cfg > 0 && width > 1 && *pattern == 'H') {
            EXPECT_EQ(result.work[0].kinds.substr(0, 2), std::string(pattern).substr(0, 2));
          } else if (cfg == 0) {
            EXPECT_EQ(result.work[0].kinds.find('H'), std::string::npos) << "nothing to leave out";
          }
        }
      }
    }
  }
}

TEST(Window, OfOneTokenIsSequential) {
  const Model model = random_model(kSmallShape, 4);
  const SampleResult expected =
      sample(model, some_noise(), kLabels, options_of({Sequential{}}, 0.7));
  const Window window{1, 100, WindowGuess::kUp, 3, "HF"};
  const SampleResult result = sample(model, some_noise(), kLabels, options_of({window}, 0.7));
  expect_close(result.images, expected.images, 1e-5);
  EXPECT_EQ(result.work[1].kinds, std::string(15, 'F'));
  EXPECT_DOUBLE_EQ(result.block_passes, expected.block_passes);
}

TEST(Window, OfAModelOfOneTokenEvaluatesNothing) {
  const Model model = random_model(kOneToken, 5);
  SampleOptions options = options_of({Window{}}, 1);
  options.strategy.blocks.resize(2);
  const SampleResult result = sample(model, some_noise(2, kOneToken), {0, 1}, options);
  options.strategy.blocks = {{Sequential{}}, {Sequential{}}};
  EXPECT_TRUE(
      at::equal(result.images, sample(model, some_noise(2, kOneToken), {0, 1}, options).images));
  EXPECT_EQ(result.work[0].iterations, std::vector<int>{0});
  EXPECT_EQ(result.block_passes, 0);
  EXPECT_FALSE(calibrate(model, some_noise(2, kOneToken), {0, 1}).blocks.empty());
}

TEST(Window, IsMixedWithEveryOtherMethod) {
  const Model model = random_model(kSmallShape, 6);
  const auto calibration = made_up_calibration(kSmallShape, 0.2);
  const at::Tensor expected =
      sample(model, some_noise(), kLabels, options_of({Sequential{}}, 0.5)).images;
  const Iterations all{15, Guess::kZ, 0, {}};
  const std::vector<BlockPlan> plans = {{Window{2, kTiny, WindowGuess::kUp, 1, "HF"}},
                                        {Window{9, kTiny, WindowGuess::kLinear, 2, "F"}},
                                        {Sequential{}},
                                        {Jacobi{all}},
                                        {Segments{all, SegmentCount{3}}}};
  SampleOptions options = options_of({Sequential{}}, 0.5, calibration);
  Sampler sampler(model, kImages, options);
  for (const BlockPlan& first : plans) {
    for (const BlockPlan& second : plans) {
      const Strategy strategy{"mixed", {first, second, first}};
      SCOPED_TRACE(describe(strategy));
      expect_close(sampler.sample(some_noise(), kLabels, strategy).images, expected);
    }
  }
}

// Everything but what the front accepts is a guess, so no guess can do harm.
TEST(Window, RepairsWhatIsNotFiniteOnTheWay) {
  const Model model = random_model(kSmallShape, 7);
  const at::Tensor expected =
      sample(model, some_noise(), kLabels, options_of({Sequential{}}, 0.7)).images;
  for (const double planted : {static_cast<double>(NAN), static_cast<double>(INFINITY),
                               -static_cast<double>(INFINITY), 1e30}) {
    SCOPED_TRACE(planted);
    Calibration calibration = *made_up_calibration(kSmallShape, 0.1);
    for (LinearModel& block : calibration.blocks) block.j0.fill_(planted);
    const auto shared = std::make_shared<const Calibration>(std::move(calibration));
    for (const int width : {3, 15}) {
      const Window window{width, kTiny, WindowGuess::kLinear, 3, "HF"};
      expect_close(sample(model, some_noise(), kLabels, options_of({window}, 0.7, shared)).images,
                   expected);
    }
  }
}

// An image that is not finite for good goes on without holding the others back.
TEST(Window, DoesNotWaitForALostImage) {
  const Model model = random_model(kSmallShape, 8);
  for (const WindowGuess guess : {WindowGuess::kZ, WindowGuess::kUp, WindowGuess::kLinear}) {
    const Window window{6, 1e-2, guess, 3, "HF"};
    const SampleOptions options = options_of({window}, 0.7, made_up_calibration(kSmallShape, 0.05));
    const at::Tensor two = some_noise(2);
    const SampleResult expected = sample(model, two, {0, 3}, options);
    for (const float planted : {NAN, INFINITY, 3e38f}) {
      for (const int64_t token : {0, 7, 15}) {
        SCOPED_TRACE(testing::Message() << to_string(guess) << " " << planted << " in " << token);
        at::Tensor noise = some_noise();
        noise[2][token].fill_(planted);
        const SampleResult result = sample(model, noise, kLabels, options);
        EXPECT_FALSE(result.images[2].isfinite().all().item<bool>());
        EXPECT_TRUE(result.images.slice(0, 0, 2).isfinite().all().item<bool>());
        for (size_t b = 0; b + 1 < result.work.size(); ++b) {
          EXPECT_EQ(result.work[b].fronts, expected.work[b].fronts) << "block " << b;
          EXPECT_EQ(result.work[b].kinds, expected.work[b].kinds) << "block " << b;
        }
      }
    }
  }
}

TEST(Window, OfALargerToleranceEvaluatesLess) {
  const Model model = random_model(kSmallShape, 9);
  const at::Tensor exact =
      sample(model, some_noise(), kLabels, options_of({Sequential{}}, 0)).images;
  double passes = 1e9, deviation = -1;
  for (const double tolerance : {0.0, 1e-3, 1e-1, 1e9}) {
    const Window window{5, tolerance, WindowGuess::kZ, 3, "F"};
    const SampleResult result = sample(model, some_noise(), kLabels, options_of({window}, 0));
    EXPECT_LT(result.block_passes, passes);
    passes = result.block_passes;
    const double own = (result.images - exact).square().mean().sqrt().item<double>();
    EXPECT_GT(own, deviation);
    deviation = own < 1e-6 ? 0 : own;
    if (tolerance == 1e9) {
      EXPECT_EQ(result.work[0].fronts, (std::vector<int64_t>{5, 10, 15}));
    }
  }
}

TEST(Window, InPartsIsTheWholeWithinItsTolerance) {
  const Model model = random_model(kSmallShape, 10);
  const SampleOptions options = options_of({Window{6, kTiny, WindowGuess::kUp, 3, "HF"}}, 0.7);
  const Labels labels = {0, 1, 2, 3, 4};
  const SampleResult whole = Sampler(model, 5, options).sample(some_noise(5), labels);
  const MemoryPlan three = memory_plan(model, 3, options.guidance, options.strategy, false);
  BatchSampler sampler(model, options, {.memory_limit = three.working()});
  const SampleResult parts = sampler.sample(some_noise(5), labels);
  EXPECT_EQ(sampler.micro_batch(), 3);
  expect_close(parts.images, whole.images);
  for (const BlockWork& work : parts.work) {
    EXPECT_EQ(work.iterations, std::vector<int>{static_cast<int>(work.kinds.size())});
    EXPECT_EQ(work.fronts.back(), 15);
  }
}

// Methods of one name with state of other sizes: each has memory of its own.
TEST(Workspace, HasRowsOfEachShapeOfAName) {
  Workspace workspace(at::kCPU, 4);
  workspace.begin(some_noise(2));
  const at::Tensor narrow = workspace.rows("rows", {2, 3}, at::kFloat),
                   wide = workspace.rows("rows", {5, 3}, at::kFloat),
                   exact = workspace.rows("rows", {2, 3}, at::kDouble);
  EXPECT_EQ(narrow.sizes(), at::IntArrayRef({2, 2, 3}));
  EXPECT_EQ(wide.sizes(), at::IntArrayRef({2, 5, 3}));
  EXPECT_EQ(exact.scalar_type(), at::kDouble);
  wide.fill_(7);
  EXPECT_TRUE(at::equal(narrow, at::zeros({2, 2, 3})));
  EXPECT_EQ(workspace.rows("rows", {2, 3}, at::kFloat).data_ptr(), narrow.data_ptr());
}

TEST(Window, MemoryHoldsItsState) {
  const Model model = random_model(kSmallShape, 10);
  const auto bytes = [&](const BlockPlan& plan) {
    return memory_plan(model, 4, {1, 1}, {"", {{Sequential{}}, {plan}, {Sequential{}}}}, false)
        .activations;
  };
  const Iterations once{1, Guess::kZ, 0, {}};
  const int64_t state = int64_t{4} * 3 * 16 * 2 * kSmallShape.token_width() * 4;  // N T 2D fp32
  EXPECT_GE(bytes({Window{15}}) - bytes({Jacobi{once}}), state);
}

// As memory_plan_test.cc for the other methods: counted by LibTorch's allocator.
TEST(Window, TakesNoMoreMemoryThanPlanned) {
  constexpr ModelShape shape{.image_size = 32,
                             .patch_size = 2,
                             .channels = 128,
                             .blocks = 2,
                             .layers = 2,
                             .classes = 5,
                             .noise_std = 0.1};
  const Model model = random_model(shape, 16);
  for (const WindowGuess guess : {WindowGuess::kZ, WindowGuess::kUp, WindowGuess::kLinear}) {
    for (const int width : {16, 255}) {
      SampleOptions options =
          options_of({Window{width, 1e9, guess, 3, "HF"}}, 1, made_up_calibration(shape, 0.05));
      options.strategy.blocks.resize(2);
      const MemoryMeter meter(at::kCPU);
      sample(model, some_noise(3, shape), kLabels, options);
      EXPECT_GE(memory_plan(model, 3, options.guidance, options.strategy, false).working(),
                meter.peak())
          << describe(options.strategy);
    }
  }
}

// The front is known to the device alone, and the host learns of it an evaluation late.
TEST(Window, IsTheSameWhereTheHostLearnsLateOfTheFront) {
  const Model model = random_model(kSmallShape, 13);
  const auto calibration = made_up_calibration(kSmallShape, 0.2);
  for (const WindowGuess guess : {WindowGuess::kZ, WindowGuess::kUp, WindowGuess::kLinear}) {
    for (const char* pattern : {"F", "HF", "HHF"}) {
      for (const int width : {1, 2, 4, 15, 40}) {
        const Window window{width, 1e-2, guess, 3, pattern};
        SCOPED_TRACE(describe({"", {{window}}}));
        BlockWork expected;
        const auto invert = [&](int lag, BlockWork* into) {
          const auto evaluator = make_fused_evaluator(model, kImages, {1.2, 0.8}, lag);
          evaluator->begin(1, kLabels, kImages);
          SolveOptions options;
          options.linear = &calibration->blocks[1];
          return invert_block(*evaluator, BlockPlan{window}, some_noise(), options, into);
        };
        const at::Tensor exact = invert(0, &expected);
        for (const int lag : {1, 2}) {
          BlockWork work;
          expect_close(invert(lag, &work), exact, 1e-5);
          EXPECT_EQ(work.fronts, expected.fronts);
          EXPECT_EQ(work.kinds, expected.kinds);
          EXPECT_EQ(work.iterations, expected.iterations);
          EXPECT_EQ(work.longest, expected.longest);
          EXPECT_DOUBLE_EQ(work.token_evaluations, expected.token_evaluations);
          EXPECT_DOUBLE_EQ(work.cost.flops(), expected.cost.flops());
        }
      }
    }
  }
}

TEST(Window, HasNoChangeToObserve) {
  const Model model = random_model(kSmallShape, 11);
  const std::unique_ptr<Evaluator> evaluator = make_cpu_evaluator(model, kImages, {});
  evaluator->begin(0, kLabels, kImages);
  SolveOptions options;
  options.observe = [](const Iteration&) { FAIL() << "with a change that nobody measured"; };
  BlockWork work;
  EXPECT_THROW(invert_block(*evaluator, BlockPlan{Window{4, 0, WindowGuess::kZ}}, some_noise(),
                            options, &work),
               std::logic_error);
}

std::string what_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& failure) {
    return failure.problems().at(0).what;
  }
  return "";
}

TEST(Window, WithoutItsCalibrationIsRefused) {
  const Model model = random_model(kSmallShape, 12);
  EXPECT_EQ(what_of([&] { sample(model, some_noise(), kLabels, options_of({Window{}}, 0)); }),
            "the adaptive window with `guess: linear` needs a calibration of its checkpoint");
}

TEST(Window, NeedsSquareImagesToLookUp) {
  EXPECT_EQ(tokens_a_row(1), 1);
  EXPECT_EQ(tokens_a_row(1024), 32);
  EXPECT_EQ(what_of([] { tokens_a_row(12); }), "12 tokens are no square");
}

// theta_t = n_t J + j0 of more rows than unknowns is found again, up to the ridge.
TEST(Calibration, FindsALinearBlock) {
  RandomTensors random(63);
  const int64_t d = 3, row = 6, tokens = row * row, images = 400;
  const at::Tensor x = random.normal({images, tokens, d}, 1);
  LinearModel exact{random.normal({4 * d, 2 * d}, 0.3), random.normal({2 * d}, 0.3), {}, {}, 0};
  at::Tensor theta = at::full({images, tokens, 2 * d}, 7.0f);  // row 0 is not read
  theta.slice(1, 1).copy_(at::matmul(kernels::neighbours_of(x, 1, tokens, row), exact.j) + exact.j0);
  const LinearModel fitted = fit_linear_model(x, theta, row);
  expect_close(fitted.j, exact.j, 2e-3);
  expect_close(fitted.j0, exact.j0, 2e-3);
  EXPECT_NEAR(fitted.clip, 1.25 * x.abs().max().item<double>(), 1e-6);
  EXPECT_EQ(fitted.up.lt(0).sum().item<int64_t>() + fitted.left.lt(0).sum().item<int64_t>(), 0);
  EXPECT_LE((fitted.up + fitted.left).max().item<double>(), 1 + 1e-6);
}

// What the linear model gains: blocks that are linear need hardly more than an evaluation a window.
TEST(Calibration, SparesEvaluations) {
  const LinearFlow flow = linear_flow(kSmallShape, 64);
  const Labels labels = {0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1};
  const auto calibration =
      std::make_shared<const Calibration>(calibrate(flow.model, some_noise(12), labels));
  const auto evaluations = [&](WindowGuess guess) {
    const Window window{8, 0.05, guess, 8, "F"};
    const SampleResult result =
        sample(flow.model, some_noise(), kLabels, options_of({window}, 0, calibration));
    int all = 0;
    for (const BlockWork& work : result.work) all += work.iterations[0];
    return all;
  };
  EXPECT_LE(evaluations(WindowGuess::kLinear), 3 * 4);
  EXPECT_GT(evaluations(WindowGuess::kZ), 3 * 4);
}

TEST(Calibration, IsTheSameEveryTime) {
  const Model model = random_model(kSmallShape, 13);
  const Calibration one = calibrate(model), other = calibrate(model);
  ASSERT_EQ(one.blocks.size(), 3u);
  for (size_t b = 0; b < one.blocks.size(); ++b) {
    EXPECT_TRUE(at::equal(one.blocks[b].j, other.blocks[b].j));
    EXPECT_TRUE(at::equal(one.blocks[b].up, other.blocks[b].up));
    EXPECT_EQ(one.blocks[b].clip, other.blocks[b].clip);
    EXPECT_EQ(one.blocks[b].j.sizes(), at::IntArrayRef({48, 24}));
  }
}

TEST(Calibration, ThatFailsIsNamed) {
  Model model = random_model(kSmallShape, 14);
  EXPECT_EQ(what_of([&] { calibrate(model, some_noise(1), {0}); }),
            "a calibration of the adaptive window needs 2 images at least");
  model.blocks[1].proj_out_bias.fill_(NAN);
  const std::string what = what_of([&] { calibrate(model); });
  EXPECT_NE(what.find("the calibration of the adaptive window fails"), std::string::npos) << what;
  EXPECT_NE(what.find("not finite"), std::string::npos) << what;
}

}  // namespace
}  // namespace tarflow
