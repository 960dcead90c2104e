// Number for number with an independent float64 implementation of the adaptive window: images,
// fronts, kinds of evaluations, passes and the calibration.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>

#include "framework/sampling/linear_model.h"
#include "tests/parity/golden_model.h"

namespace tarflow::parity {
namespace {

const Case kTiny{"tiny_uncond", "tests/parity/golden/window_tiny_uncond.h5",
                 "tests/parity/golden/tiny_uncond_2_64_4_2_0.10.pth"};
// Published beside the sources, not in them.
const Case kDemo{"cifar10_demo", "../shared/golden/window_cifar10_demo.h5",
                 "sweeps/assets/cifar10_demo_model_4_128_8_2_0.05.pth"};

constexpr double kCalibration = 1e-4;  // of the largest entry of an array

class WindowParity : public GoldenModel {
 protected:
  std::shared_ptr<const Calibration> stored_calibration() const {
    Calibration calibration;
    for (int b = 0; b < model_.shape.blocks; ++b) {
      const std::string group = "calibration/block_" + std::to_string(b);
      calibration.blocks.push_back({on_device(group + "/J"), on_device(group + "/j0"),
                                    on_device(group + "/up"), on_device(group + "/left"),
                                    golden_->number(group, "clip")});
    }
    return std::make_shared<const Calibration>(std::move(calibration));
  }

  Strategy strategy(const std::string& group) const {
    const std::vector<double> widths = golden_->numbers(group, "window"),
                              tolerances = golden_->numbers(group, "tol");
    Strategy strategy{group, {}};
    for (size_t i = 0; i < widths.size(); ++i) {
      Window window;
      window.width = static_cast<int>(widths[i]);
      window.tolerance = tolerances[i];
      window.guess = window_guess_from_string(golden_->text(group, "guess"));
      window.sweeps = std::max(1, static_cast<int>(golden_->number(group, "sweeps")));
      window.pattern = golden_->text(group, "pattern");
      strategy.blocks.push_back({window});
    }
    return strategy;
  }

  SampleResult sampled(const std::string& group) const {
    SampleOptions options;
    options.strategy = strategy(group);
    options.guidance = {golden_->number(group, "cfg"), golden_->number(group, "attn_temp")};
    options.keep_trace = golden_->has(group + "/trace");
    options.calibration = stored_calibration();
    return sample(model_, on_device("noise"), labels("labels"), options);
  }
};

TEST_P(WindowParity, ImagesFrontsAndKinds) {
  const std::vector<std::string> names = golden_->children("cases");
  ASSERT_FALSE(names.empty());
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const std::string group = "cases/" + name;
    const SampleResult result = sampled(group);
    expect_close(result.images, golden_->tensor(group + "/images"), "images");
    if (golden_->has(group + "/trace"))
      expect_close(at::stack(result.trace), golden_->tensor(group + "/trace"), "trace");
    if (golden_->number(group, "fronts_comparable") == 0) continue;
    for (int b = 0; b < model_.shape.blocks; ++b) {
      const std::string block = group + "/block_" + std::to_string(b);
      const BlockWork& work = result.work[static_cast<size_t>(b)];
      const at::Tensor fronts = golden_->tensor(block + "/fronts").to(at::kLong);
      const int64_t* const first = fronts.const_data_ptr<int64_t>();
      EXPECT_EQ(work.fronts, std::vector<int64_t>(first, first + fronts.numel())) << "block " << b;
      EXPECT_EQ(work.kinds, golden_->text(block, "kinds")) << "block " << b;
      EXPECT_EQ(work.token_evaluations / static_cast<double>(model_.shape.tokens()),
                golden_->number(block, "passes"))
          << "block " << b;
    }
    EXPECT_EQ(result.block_passes, golden_->number(group, "passes"));
  }
}

TEST_P(WindowParity, Calibration) {
  const Calibration calibration =
      calibrate(model_, on_device("calibration/noise"), labels("calibration/labels"));
  const auto expect_array = [&](const at::Tensor& got, const std::string& path) {
    const at::Tensor expected = golden_->tensor(path).to(at::kDouble);
    const double difference = (got.cpu().to(at::kDouble) - expected).abs().max().item<double>();
    EXPECT_LE(difference, kCalibration * expected.abs().max().item<double>()) << path;
  };
  for (int b = 0; b < model_.shape.blocks; ++b) {
    const std::string group = "calibration/block_" + std::to_string(b);
    const LinearModel& fitted = calibration.blocks[static_cast<size_t>(b)];
    expect_array(fitted.j, group + "/J");
    expect_array(fitted.j0, group + "/j0");
    expect_array(fitted.up, group + "/up");
    expect_array(fitted.left, group + "/left");
    const double clip = golden_->number(group, "clip");
    EXPECT_NEAR(fitted.clip, clip, kCalibration * clip) << group;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, WindowParity,
                         testing::Combine(testing::Values(kTiny, kDemo),
                                          testing::Values("cpu", "cuda")),
                         name_of);

}  // namespace
}  // namespace tarflow::parity
