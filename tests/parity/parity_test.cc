// Number for number with the published code: forward, every sampling case, traces, self-denoising,
// IGM and CRM.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "framework/images/image.h"
#include "framework/images/load.h"
#include "framework/metrics/igm_crm.h"
#include "framework/model/forward.h"
#include "tests/parity/golden_model.h"

namespace tarflow::parity {
namespace {

// The large model's files are published beside the sources, not in them.
const Case kTiny{"tiny_uncond", "tests/parity/golden/tiny_uncond.h5",
                 "tests/parity/golden/tiny_uncond_2_64_4_2_0.10.pth"};
const Case kDemo{"cifar10_demo", "tests/parity/golden/cifar10_demo.h5",
                 "sweeps/assets/cifar10_demo_model_4_128_8_2_0.05.pth"};
const Case kLarge{"cifar10", "../shared/golden/cifar10.h5",
                  "../shared/checkpoints/cifar10_model_2_256_8_4_0.05.pth"};

class Parity : public GoldenModel {
 protected:
  void SetUp() override {
    GoldenModel::SetUp();
    if (golden_) model_.shape.noise_std = golden_->number("/", "noise_std");
  }

  Strategy strategy(const std::string& group) const {
    const auto segments = golden_->integers(group, "num_GS_list");
    const auto iterations = golden_->integers(group, "max_jacobi_list");
    const auto guesses = golden_->integers(group, "guess_list");
    Strategy strategy{group, {}};
    for (size_t i = 0; i < segments.size(); ++i) {
      const bool sequential = segments[i] == model_.shape.tokens();
      strategy.blocks.push_back(published_plan(sequential ? 0 : static_cast<int>(segments[i]),
                                               static_cast<int>(iterations[i]),
                                               guesses[i] == 0 ? Guess::kZ : Guess::kZero));
    }
    return strategy;
  }
};

TEST_P(Parity, Forward) {
  const Forward result = forward(model_, on_device("forward/images"), labels("forward/labels"));
  expect_close(result.z, golden_->tensor("forward/z"), "z");
  expect_close(result.logdet, golden_->tensor("forward/logdet"), "logdet");
  const double loss = golden_->tensor("forward/loss").item<double>();
  EXPECT_NEAR(sample_loss(result).mean().item<double>(), loss, 2e-5);
  const Forward unconditional = forward(model_, on_device("forward/images"), {});
  EXPECT_NEAR(sample_loss(unconditional).mean().item<double>(),
              golden_->tensor("forward/loss_unconditional").item<double>(), 2e-5);
}

TEST_P(Parity, Sampling) {
  for (const std::string& name : golden_->children("sampling")) {
    SCOPED_TRACE(name);
    const std::string group = "sampling/" + name;
    SampleOptions options;
    options.strategy = strategy(group);
    options.guidance = {golden_->number(group, "cfg"), golden_->number(group, "attn_temp")};
    options.keep_trace = golden_->has(group + "/trace");
    const at::Tensor noise = on_device("noise") * golden_->number(group, "noise_scale");
    const SampleResult result = sample(model_, noise, labels("labels"), options);
    expect_close(result.images, golden_->tensor(group + "/images"), "images");
    if (options.keep_trace)
      expect_close(at::stack(result.trace), golden_->tensor(group + "/trace"), "trace");
  }
}

TEST_P(Parity, SelfDenoising) {
  const at::Tensor images = on_device("sampling/sequential_cfg/images");
  const at::Tensor gradient = loss_gradient(model_, images, labels("labels"));
  for (const std::string& name : golden_->children("denoised")) {
    expect_close(self_denoise(model_, images, gradient, std::stod(name.substr(2))),
                 golden_->tensor("denoised/" + name), name);
  }
}

// The images are CIFAR-10 test images; the assets hold the first 100 of each class.
TEST_P(Parity, IgmAndCrm) {
  const std::vector<std::string> names = golden_->strings("metrics/images_used");
  metrics::IgmCrm sums(model_);
  std::vector<images::ImageFile> files;
  for (const std::string& name : names)
    files.push_back({fs::path(TARFLOW_SOURCE_DIR) / "sweeps/assets" / name, -1});
  const int side = model_.shape.image_size;
  const at::Tensor batch =
      at::empty({static_cast<int64_t>(files.size()), 3, side, side}, at::kFloat);
  images::LoadOptions load;
  load.size = side;
  images::load_images(files, load, [&](int64_t index, images::Image image) {
    const at::Tensor slot = batch[index];
    images::to_floats(image, {slot.mutable_data_ptr<float>(), static_cast<size_t>(slot.numel())});
  });
  for (const at::Tensor& part : batch.split(100)) sums.add(part.to(model_.device));
  for (const std::string& norm : golden_->children("metrics")) {
    if (!norm.starts_with("norm_")) continue;
    SCOPED_TRACE(norm);
    const auto blocks = sums.result(metrics::matrix_norm_from(norm.substr(5)));
    const auto compare = [&](const char* name, double metrics::BlockMetrics::*member) {
      const at::Tensor expected = golden_->tensor("metrics/" + norm + "/" + name);
      ASSERT_EQ(static_cast<int64_t>(blocks.size()), expected.numel());
      for (int64_t b = 0; b < expected.numel(); ++b) {
        const double value = expected[b].item<double>();
        EXPECT_NEAR(blocks[static_cast<size_t>(b)].*member, value, 1e-4 * std::abs(value))
            << name << " of block " << b;
      }
    };
    compare("igm_z", &metrics::BlockMetrics::igm_z);
    compare("igm_zero", &metrics::BlockMetrics::igm_zero);
    compare("crm_x", &metrics::BlockMetrics::crm_x);
    compare("crm_ws", &metrics::BlockMetrics::crm_ws);
    compare("crm_wu", &metrics::BlockMetrics::crm_wu);
    compare("crm", &metrics::BlockMetrics::crm);
    compare("crm_percent", &metrics::BlockMetrics::crm_percent);
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, Parity,
                         testing::Combine(testing::Values(kTiny, kDemo, kLarge),
                                          testing::Values("cpu", "cuda")),
                         name_of);

}  // namespace
}  // namespace tarflow::parity
