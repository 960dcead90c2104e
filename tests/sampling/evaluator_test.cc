// The fast evaluator against the plain one, range by range.
#include "framework/sampling/evaluator.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "framework/core/error.h"
#include "tests/support/devices.h"
#include "tests/support/evaluate.h"
#include "tests/support/linear_flow.h"

namespace tarflow {
namespace {

class EvaluatorTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    skip_without(GetParam());
    use_exact_float32();
  }
  at::Device device() const { return device_from(GetParam()); }
};

// The whole block at once, through the differentiable forward.
at::Tensor reference(const Model& model, int block, const at::Tensor& x, const Labels& labels) {
  return block_outputs(model, model.blocks[static_cast<size_t>(block)], x, labels);
}

TEST_P(EvaluatorTest, RangesOverTheCacheGiveTheWhole) {
  const Model model = random_model(kSmallShape, 1, device());
  const at::Tensor x = noise_of(kSmallShape, 1, 3, device());
  const Labels labels = {0, 2, 4};
  const at::Tensor expected = reference(model, 1, x, labels);
  const auto evaluator = make_evaluator(model, 3, {});
  for (const std::vector<int64_t>& cuts :
       {std::vector<int64_t>{0, 16}, {0, 1, 2, 3, 9, 16}, {0, 5, 6, 15, 16}}) {
    evaluator->begin(1, labels, 3);
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      const at::Tensor got = evaluated(*evaluator, x, cuts[i], cuts[i + 1]).clone();
      EXPECT_TRUE(at::allclose(got, expected.slice(1, cuts[i], cuts[i + 1]), 1e-4, 1e-5))
          << cuts[i];
    }
  }
}

TEST_P(EvaluatorTest, UnconditionalHalfHasItsClassAndTemperature) {
  const Model model = random_model(kSmallShape, 2, device());
  const at::Tensor x = noise_of(kSmallShape, 2, 2, device());
  const auto evaluator = make_evaluator(model, 2, {1.0, 1.0});
  evaluator->begin(0, {1, 3}, 2);
  const at::Tensor both = evaluated(*evaluator, x, 0, 15).clone();
  ASSERT_EQ(both.size(0), 4);
  EXPECT_TRUE(at::allclose(both.slice(0, 0, 2), reference(model, 0, x, {1, 3}).slice(1, 0, 15),
                           1e-4, 1e-5));
  EXPECT_TRUE(
      at::allclose(both.slice(0, 2), reference(model, 0, x, {}).slice(1, 0, 15), 1e-4, 1e-5));

  // A temperature is a scale on the queries: the same as a model whose query rows are scaled.
  Model cooled = model;
  const int64_t c = model.shape.channels;
  for (LayerWeights& layer : cooled.blocks[0].layers) {
    layer.qkv_weight = layer.qkv_weight.clone();
    layer.qkv_bias = layer.qkv_bias.clone();
    layer.qkv_weight.slice(0, 0, c).div_(0.3);
    layer.qkv_bias.slice(0, 0, c).div_(0.3);
  }
  const auto tempered = make_evaluator(model, 2, {1.0, 0.3});
  tempered->begin(0, {1, 3}, 2);
  const at::Tensor hot = evaluated(*tempered, x, 0, 15);
  EXPECT_TRUE(
      at::allclose(hot.slice(0, 2), reference(cooled, 0, x, {}).slice(1, 0, 15), 1e-3, 1e-4));
  EXPECT_TRUE(at::allclose(hot.slice(0, 0, 2), both.slice(0, 0, 2), 1e-5, 1e-6));
}

TEST_P(EvaluatorTest, UnconditionalModelsAreDoubledOnlyForATemperature) {
  ModelShape shape = kSmallShape;
  shape.classes = 0;
  EXPECT_FALSE((Guidance{2, 1}.doubled(shape)));
  EXPECT_TRUE((Guidance{2, 0.3}.doubled(shape)));
  EXPECT_FALSE((Guidance{0, 0.3}.doubled(shape)));
  const Model model = random_model(shape, 3, device());
  const auto evaluator = make_evaluator(model, 2, {2, 0.3});
  evaluator->begin(0, {}, 2);
  EXPECT_EQ(evaluated(*evaluator, noise_of(kSmallShape, 3, 2, device()), 0, 4).size(0), 4);
}

TEST_P(EvaluatorTest, PlainAndFastAgree) {
  const Model model = random_model(kSmallShape, 4, device());
  const at::Tensor x = noise_of(kSmallShape, 4, 5, device());
  const Labels labels = {0, 1, 2, 3, 4};
  const auto fast = make_evaluator(model, 5, {1, 0.5}),
             plain = make_tensor_evaluator(model, 5, {1, 0.5});
  fast->begin(1, labels, 5);
  plain->begin(1, labels, 5);
  for (const auto& [first, last] : {std::pair<int64_t, int64_t>{0, 6}, {6, 7}, {7, 16}, {4, 12}}) {
    EXPECT_TRUE(at::allclose(evaluated(*fast, x, first, last), evaluated(*plain, x, first, last),
                             1e-4, 1e-5))
        << first;
  }
}

TEST_P(EvaluatorTest, BFloat16IsClose) {
  const Model model = random_model(kSmallShape, 5, device(), ComputeType::kBFloat16);
  const Model exact = random_model(kSmallShape, 5, device());
  const at::Tensor x = noise_of(kSmallShape, 5, 2, device());
  const auto evaluator = make_evaluator(model, 2, {});
  evaluator->begin(0, {1, 2}, 2);
  evaluated(*evaluator, x, 0, 7);
  const at::Tensor segment = evaluated(*evaluator, x, 7, 15).to(at::kFloat).clone();
  const at::Tensor single = evaluated(*evaluator, x, 15, 16).to(at::kFloat);
  const at::Tensor got = at::cat({segment, single}, 1);
  const at::Tensor expected = reference(exact, 0, x, {1, 2}).slice(1, 7);
  EXPECT_LT(((got - expected).norm() / expected.norm()).item<double>(), 3e-2);
}

// Every evaluator that serves the device.
std::vector<std::unique_ptr<Evaluator>> all_evaluators(const Model& model, int64_t capacity,
                                                       const Guidance& guidance) {
  std::vector<std::unique_ptr<Evaluator>> all;
  if (model.device.is_cpu()) all.push_back(make_cpu_evaluator(model, capacity, guidance));
  all.push_back(make_tensor_evaluator(model, capacity, guidance));
  all.push_back(make_fused_evaluator(model, capacity, guidance));
  return all;
}

TEST_P(EvaluatorTest, ServesFewerImagesThanItsCapacity) {
  const Model model = random_model(kSmallShape, 7, device());
  const Guidance guidance{1, 0.5};
  const auto large = all_evaluators(model, 5, guidance);
  for (const int64_t images : {2, 5, 1}) {
    const at::Tensor x = noise_of(kSmallShape, 7, images, device());
    const Labels labels(static_cast<size_t>(images), 3);
    const auto exact = all_evaluators(model, images, guidance);
    for (size_t i = 0; i < large.size(); ++i) {
      large[i]->begin(1, labels, images);
      exact[i]->begin(1, labels, images);
      for (const auto& [first, last] : {std::pair<int64_t, int64_t>{0, 6}, {6, 7}, {7, 15}}) {
        EXPECT_TRUE(at::allclose(evaluated(*large[i], x, first, last),
                                 evaluated(*exact[i], x, first, last), 0, 1e-6))
            << "evaluator " << i << ", " << images << " images, token " << first;
      }
    }
  }
}

TEST_P(EvaluatorTest, RefusesMoreImagesThanItsCapacityAndOtherNumbersOfLabels) {
  const Model model = random_model(kSmallShape, 7, device());
  for (const auto& evaluator : all_evaluators(model, 2, {})) {
    EXPECT_THROW(evaluator->begin(0, {0, 1, 2}, 3), Error);
    EXPECT_THROW(evaluator->begin(0, {}, 0), Error);
    EXPECT_THROW(evaluator->begin(0, {0, 1, 2}, 2), Error);
    evaluator->begin(0, {0, 1}, 2);
    EXPECT_THROW(evaluated(*evaluator, noise_of(kSmallShape, 7, 1, device()), 0, 4), Error);
  }
}

TEST_P(EvaluatorTest, OneLabelIsThatOfAllImages) {
  const Model model = random_model(kSmallShape, 8, device());
  const at::Tensor x = noise_of(kSmallShape, 8, 3, device());
  for (const Guidance& guidance : {Guidance{}, Guidance{1, 0.5}}) {
    for (const auto& evaluator : all_evaluators(model, 3, guidance)) {
      evaluator->begin(0, {2, 2, 2}, 3);
      const at::Tensor each = evaluated(*evaluator, x, 0, 8);
      evaluator->begin(0, {2}, 3);
      EXPECT_TRUE(at::equal(evaluated(*evaluator, x, 0, 8), each));
    }
  }
}

// The conditional pass alone is the conditional half, and leaves the other half's cache.
TEST_P(EvaluatorTest, TheConditionalPassAlone) {
  const Model model = random_model(kSmallShape, 9, device());
  const at::Tensor x = noise_of(kSmallShape, 9, 3, device()), other = x + 1;
  for (const auto& evaluator : all_evaluators(model, 4, {1, 0.5})) {
    evaluator->begin(1, {0, 1, 2}, 3);
    evaluated(*evaluator, x, 0, 5);
    const at::Tensor both = evaluated(*evaluator, x, 5, 12);
    const at::Tensor single = evaluated(*evaluator, x, 12, 13);
    const at::Tensor half = evaluated(*evaluator, other, 5, 12, Passes::kConditional);
    ASSERT_EQ(half.size(0), 3);
    const at::Tensor after = evaluated(*evaluator, x, 12, 13);
    EXPECT_TRUE(at::equal(after.slice(0, 3), single.slice(0, 3)));
    EXPECT_FALSE(at::allclose(after.slice(0, 0, 3), single.slice(0, 0, 3), 1e-4, 1e-5));
    EXPECT_TRUE(at::allclose(evaluated(*evaluator, x, 5, 12, Passes::kConditional),
                             both.slice(0, 0, 3), 1e-4, 1e-5));
    EXPECT_TRUE(at::allclose(evaluated(*evaluator, x, 12, 13, Passes::kConditional),
                             single.slice(0, 0, 3), 1e-4, 1e-5));
    EXPECT_EQ(evaluated(*evaluator, x, 0, 1, Passes::kConditional).size(0), 3);
  }
}

TEST(CpuEvaluatorTest, AnyThreadCountGivesTheSame) {
  const Model model = random_model(kSmallShape, 6);
  const at::Tensor x = noise_of(kSmallShape, 6, 5);
  const int before = at::get_num_threads();
  std::vector<at::Tensor> outputs;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    const auto evaluator = make_cpu_evaluator(model, 5, {1, 1});
    evaluator->begin(0, {0, 1, 2, 3, 4}, 5);
    evaluated(*evaluator, x, 0, 5);
    outputs.push_back(evaluated(*evaluator, x, 5, 15).clone());
  }
  at::set_num_threads(before);
  EXPECT_TRUE(at::allclose(outputs[1], outputs[0], 0, 1e-6));
  EXPECT_TRUE(at::allclose(outputs[2], outputs[0], 0, 1e-6));
}

INSTANTIATE_TEST_SUITE_P(Devices, EvaluatorTest, testing::Values("cpu", "cuda"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tarflow
