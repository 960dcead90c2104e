// Thirty steps against an independent implementation in PyTorch (make_golden.py).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "framework/tensor/philox.h"
#include "framework/training/batches.h"
#include "framework/training/schedule.h"
#include "framework/training/trainer.h"
#include "tests/parity/golden.h"

namespace tarflow::training {
namespace {

constexpr uint64_t kSeed = 20;
constexpr int64_t kBatch = 4, kSteps = 30, kClasses = 3, kKept = 200;
constexpr double kStd = 0.1;

Stream stream(uint32_t number) { return static_cast<Stream>(number); }

// The script's weights: +-1/8, norms 1 +- 0.1, proj_out.weight zero; numbered by name.
at::Tensor golden_row(const ParameterLayout& layout) {
  at::Tensor row = at::zeros({layout.elements()});
  std::map<std::string, Parameter> by_name;
  for (int b = 0; b < layout.shape().blocks; ++b) {
    for (const Parameter& parameter : layout.of_block(b)) by_name[parameter.name] = parameter;
  }
  uint64_t number = 0;
  for (const auto& [name, parameter] : by_name) {
    float* const values = row.mutable_data_ptr<float>() + parameter.offset;
    const bool norm = name.ends_with("norm.weight"), zero = name.ends_with("proj_out.weight");
    for (int64_t e = 0; e < parameter.elements; ++e) {
      float four[4];
      uniform4(kSeed, number, static_cast<uint32_t>(e / 4), four, stream(102));
      const float value = 2 * four[e % 4] - 1;
      values[e] = norm ? 1 + 0.1f * value : zero ? 0 : 0.125f * value;
    }
    ++number;
  }
  return row;
}

at::Tensor golden_images(int64_t step, int64_t side) {
  const at::Tensor images = at::empty({kBatch, 3, side, side});
  float* value = images.mutable_data_ptr<float>();
  for (int64_t sample = step * kBatch; sample < (step + 1) * kBatch; ++sample) {
    for (int64_t e = 0; e < 3 * side * side; ++e) {
      const Random4 random = philox4x32(kSeed, static_cast<uint64_t>(sample),
                                        static_cast<uint32_t>(e / 4), stream(100));
      *value++ = static_cast<float>((random.word[e % 4] & 63) + e % side * 24);
    }
  }
  return images / 255 * 2 - 1;
}

Labels golden_labels(int64_t step) {
  Labels labels;
  for (int64_t sample = step * kBatch; sample < (step + 1) * kBatch; ++sample) {
    const Random4 random = philox4x32(kSeed, static_cast<uint64_t>(sample), 0, stream(101));
    labels.push_back(static_cast<int64_t>(random.word[0] % (kClasses + 1)) - 1);
  }
  return labels;
}

double relative(const at::Tensor& found, const at::Tensor& expected) {
  const at::Tensor exact = expected.to(at::kDouble);
  return ((found.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

// The elements that the file has of each tensor. A constant added to all keys of a query changes
// nothing, so the gradient of the keys' bias is rounding alone, which AdamW enlarges to the
// learning rate: only the bias of queries and values can be compared.
void expect_weights(const ParameterLayout& layout, const at::Tensor& row,
                    const parity::Golden& golden, const std::string& group) {
  for (int b = 0; b < layout.shape().blocks; ++b) {
    const std::vector<at::Tensor> tensors = layout.views(row, b);
    for (size_t i = 0; i < tensors.size(); ++i) {
      const std::string& name = layout.of_block(b)[i].name;
      const at::Tensor expected = golden.tensor(group + "/weights/" + name);
      const int64_t every = std::max<int64_t>(1, tensors[i].numel() / kKept);
      const at::Tensor found =
          tensors[i].flatten().slice(0, 0, std::nullopt, every).slice(0, 0, kKept);
      ASSERT_EQ(found.sizes(), expected.sizes()) << name;
      if (name.ends_with("qkv.bias")) {
        const at::Tensor place = at::arange(found.numel()) * every;
        const at::Tensor kept = at::logical_or(place.lt(64), place.ge(128));
        EXPECT_LT(relative(found.masked_select(kept), expected.masked_select(kept)), 1e-5) << name;
      } else {
        EXPECT_LT(relative(found, expected), 1e-5) << name;
      }
    }
  }
}

void expect_training(ImageNoise kind, bool conditional) {
  const std::string group = std::string(kind == ImageNoise::kNormal ? "gaussian" : "uniform") +
                            (conditional ? "_conditional" : "_unconditional");
  const parity::Golden golden(TARFLOW_SOURCE_DIR "/tests/training/golden.h5");
  const ModelShape shape{.image_size = 8,
                         .patch_size = 2,
                         .channels = 64,
                         .blocks = 2,
                         .layers = 1,
                         .classes = conditional ? static_cast<int>(kClasses) : 0};
  const Recipe recipe{.shape = shape, .compute = ComputeType::kFloat32, .adamw = {}};
  const ParameterLayout layout(shape);
  Trainer trainer(recipe, kBatch, initial_state(recipe, golden_row(layout)));
  const Schedule schedule{.largest = 1e-3, .smallest = 1e-6, .warm_up = 10, .steps = kSteps};
  const at::Tensor loss = golden.tensor(group + "/loss"), logdet = golden.tensor(group + "/logdet"),
                   norm = golden.tensor(group + "/norm"),
                   squares = golden.tensor(group + "/squares");
  for (int64_t step = 0; step < kSteps; ++step) {
    const at::Tensor images = golden_images(step, shape.image_size);
    const at::Tensor noise =
        training_noise(kind, kSeed, step * kBatch, kBatch, images[0].numel(), at::kCPU);
    trainer.add(noisy_images(images, noise, kind, kStd),
                conditional ? golden_labels(step) : Labels{}, true);
    const StepReport report = trainer.finish(learning_rate(schedule, step));
    const auto near = [&](double found, const at::Tensor& values, const char* what) {
      const double expected = values.item<double>();
      EXPECT_NEAR(found, expected, 1e-5 * std::max(std::abs(expected), 0.1)) << what << step;
    };
    near(report.loss(), loss[step], "loss of step ");
    near(report.logdet, logdet[step], "logdet of step ");
    near(report.gradient_norm, norm[step], "norm of step ");
    for (size_t b = 0; b < report.block_squares.size(); ++b)
      near(report.block_squares[b], squares[step][static_cast<int64_t>(b)], "square of step ");
  }
  expect_weights(layout, trainer.state().row, golden, group);
}

TEST(TrainingParity, GaussianNoise) { expect_training(ImageNoise::kNormal, false); }
TEST(TrainingParity, GaussianNoiseWithClasses) { expect_training(ImageNoise::kNormal, true); }
TEST(TrainingParity, UniformNoise) { expect_training(ImageNoise::kUniform, false); }
TEST(TrainingParity, UniformNoiseWithClasses) { expect_training(ImageNoise::kUniform, true); }

}  // namespace
}  // namespace tarflow::training
