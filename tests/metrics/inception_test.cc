// The native Inception-v3 against torch-fidelity's, and the files its weights come in.
#include "framework/metrics/inception.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "framework/core/error.h"
#include "framework/core/json.h"
#include "framework/metrics/extractor.h"
#include "tests/metrics/inception_weights.h"

namespace tarflow::metrics {
namespace {
namespace fs = std::filesystem;

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// As fixtures/make_inception.py makes them.
at::Tensor image(int64_t height, int64_t width, int64_t number) {
  at::Tensor pixels = at::empty({1, 3, height, width}, at::kByte);
  auto values = pixels.accessor<uint8_t, 4>();
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const int64_t smooth = (x * 5 + y * (3 + number) + c * 67) / 2;
        values[0][c][y][x] = static_cast<uint8_t>((smooth + (x * y) % 29 * number) % 256);
      }
    }
  }
  return pixels;
}

// A folder with the weights as a zip file, written once for all tests.
class InceptionTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new fs::path(fs::path(testing::TempDir()) /
                           ("tarflow_inception_" + std::to_string(getpid())));
    fs::create_directories(*folder_);
    checkpoint::write_checkpoint(*folder_ / "formula.pth", formula_weights());
  }
  static void TearDownTestSuite() {
    fs::remove_all(*folder_);
    delete folder_;
  }

  static fs::path write(const std::string& name,
                        const std::vector<checkpoint::TensorToWrite>& tensors) {
    checkpoint::write_checkpoint(*folder_ / name, tensors);
    return *folder_ / name;
  }

  static fs::path* folder_;
};
fs::path* InceptionTest::folder_ = nullptr;

TEST_F(InceptionTest, LayersAreThoseOfTheStateDict) {
  const Json golden = read_json_file(TARFLOW_SOURCE_DIR "/tests/metrics/fixtures/inception.json");
  std::vector<std::string> names;
  for (const InceptionLayer& layer : inception_layers()) names.push_back(layer.name);
  EXPECT_EQ(names, golden.at("layers").get<std::vector<std::string>>());
}

// On a GPU bias and relu lie within cuDNN's convolutions and cuBLAS's products. tf32 and bfloat16
// round what they multiply.
TEST_F(InceptionTest, FeaturesOfAGpuAreThoseOfTorchFidelity) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  const Json golden = read_json_file(TARFLOW_SOURCE_DIR "/tests/metrics/fixtures/inception.json");
  for (const auto& [precision, tolerance] : {std::pair{Precision::kFloat32, 1e-4},
                                             {Precision::kTf32, 2e-2},
                                             {Precision::kBFloat16, 1e-1}}) {
    const Extractor extractor =
        Extractor::load(*folder_ / "formula.pth", at::Device(at::kCUDA, 0), precision);
    int64_t number = 0;
    for (const Json& item : golden.at("cases")) {
      const int64_t height = item.at("height"), width = item.at("width");
      SCOPED_TRACE(to_string(precision) + ", " + std::to_string(height) + " x " +
                   std::to_string(width));
      // Two of them: an image's features do not depend on the others.
      const at::Tensor pixels = image(height, width, number++).repeat({2, 1, 1, 1});
      const at::Tensor features = extractor.features(pixels.to(at::kCUDA)).cpu();
      ASSERT_EQ(features.sizes(), at::IntArrayRef({2, kInceptionFeatures}));
      const at::Tensor expected =
          at::tensor(item.at("features").get<std::vector<double>>(), at::kDouble);
      const at::Tensor found = features.slice(1, 0, kInceptionFeatures, 8).to(at::kDouble);
      const double scale = expected.square().mean().sqrt().item<double>();
      EXPECT_LT((found - expected).abs().max().item<double>(), tolerance * scale);
    }
  }
}

TEST_F(InceptionTest, FeaturesAreThoseOfTorchFidelity) {
  const Json golden = read_json_file(TARFLOW_SOURCE_DIR "/tests/metrics/fixtures/inception.json");
  const Extractor extractor = Extractor::load(*folder_ / "formula.pth", at::kCPU);
  int64_t number = 0;
  for (const Json& item : golden.at("cases")) {
    const int64_t height = item.at("height"), width = item.at("width");
    SCOPED_TRACE(std::to_string(height) + " x " + std::to_string(width));
    const at::Tensor features = extractor.features(image(height, width, number++));
    ASSERT_EQ(features.sizes(), at::IntArrayRef({1, kInceptionFeatures}));
    const at::Tensor expected =
        at::tensor(item.at("features").get<std::vector<double>>(), at::kDouble);
    const at::Tensor found = features[0].slice(0, 0, kInceptionFeatures, 8).to(at::kDouble);
    const double scale = expected.square().mean().sqrt().item<double>();
    EXPECT_LT((found - expected).abs().max().item<double>(), 1e-4 * scale);
    EXPECT_NEAR(features.sum().item<double>(), item.at("sum").get<double>(),
                1e-4 * item.at("sum").get<double>());
  }
  EXPECT_EQ(extractor.distance_name(), "FD(formula)");
  EXPECT_EQ(extractor.input(), "TensorFlow 1 bilinear to 299");
}

TEST_F(InceptionTest, LiesInStatisticsFilesToo) {
  std::vector<checkpoint::TensorToWrite> tensors = formula_weights("inception.");
  tensors.push_back(formula_tensor("real_features_sum", {4}, 1, 1, 0));
  const fs::path path = write("afhq_256_fid_stats.pth", tensors);
  const Extractor inside = Extractor::load(path, at::kCPU),
                  alone = Extractor::load(*folder_ / "formula.pth", at::kCPU);
  EXPECT_EQ(inside.weights_sha256(), alone.weights_sha256());
  EXPECT_NE(inside.sha256(), alone.sha256());
  EXPECT_EQ(inside.distance_name(), "FID");  // a name under which the paper's were published
  fs::rename(path, *folder_ / "imagenet64_64_fid_stats.pth");
  EXPECT_EQ(Extractor::load(*folder_ / "imagenet64_64_fid_stats.pth", at::kCPU).distance_name(),
            "FID");
  fs::rename(*folder_ / "imagenet64_64_fid_stats.pth", *folder_ / "mine_fid_stats.pth");
  EXPECT_EQ(Extractor::load(*folder_ / "mine_fid_stats.pth", at::kCPU).distance_name(),
            "FD(mine_fid_stats)");
  fs::remove(*folder_ / "mine_fid_stats.pth");
}

TEST_F(InceptionTest, TensorsThatAreWrongAreAllNamed) {
  std::vector<checkpoint::TensorToWrite> tensors = formula_weights();
  std::erase_if(tensors, [](const auto& tensor) {
    return tensor.name == "Mixed_6c.branch7x7dbl_4.bn.running_mean";
  });
  for (checkpoint::TensorToWrite& tensor : tensors) {
    if (tensor.name == "Conv2d_2a_3x3.bn.bias") tensor = formula_tensor(tensor.name, {31}, 0, 1, 0);
    if (tensor.name == "Conv2d_1a_3x3.bn.running_var")
      tensor = formula_tensor(tensor.name, {32}, 0, 1, -2);
  }
  const fs::path path = write("wrong.pth", tensors);
  EXPECT_THAT(error_of([&] { Extractor::load(path, at::kCPU); }),
              AllOf(HasSubstr("Mixed_6c.branch7x7dbl_4.bn.running_mean is missing"),
                    HasSubstr("Conv2d_2a_3x3.bn.bias has shape (31) instead of (32)"),
                    HasSubstr("Conv2d_1a_3x3.bn.running_var holds negative variances"),
                    HasSubstr("3 tensors"), HasSubstr("wrong.pth")));
  fs::remove(path);
}

TEST_F(InceptionTest, FilesThatAreAbsentOrOthersSayWhoPublishesTheRightOne) {
  const auto message = [](const fs::path& path) {
    return error_of([&] { Extractor::load(path, at::kCPU); });
  };
  EXPECT_THAT(message(*folder_ / "pt_inception-2015-12-05-6726825d.pth"),
              AllOf(HasSubstr("pt_inception-2015-12-05-6726825d.pth does not exist"),
                    HasSubstr("toshas/torch-fidelity")));
  const fs::path other = write("other.pth", {formula_tensor("weight", {2}, 0, 1, 0)});
  EXPECT_THAT(message(other), AllOf(HasSubstr("other.pth"), HasSubstr("Inception-v3"),
                                    HasSubstr("toshas/torch-fidelity")));
}

// The definition, pixel by pixel.
TEST(TensorflowResize, IsBilinearWithoutHalfPixels) {
  for (const auto& [height, width, side] :
       {std::tuple<int64_t, int64_t, int64_t>{4, 7, 11}, {20, 13, 6}, {1, 1, 5}, {9, 9, 9}}) {
    const at::Tensor pixels = image(height, width, 3), resized = tensorflow_resize(pixels, side);
    ASSERT_EQ(resized.sizes(), at::IntArrayRef({1, 3, side, side}));
    const auto in = pixels.accessor<uint8_t, 4>();
    for (int64_t y = 0; y < side; ++y) {
      for (int64_t x = 0; x < side; ++x) {
        const double sy = static_cast<double>(y * height) / static_cast<double>(side),
                     sx = static_cast<double>(x * width) / static_cast<double>(side);
        const auto y0 = static_cast<int64_t>(sy), x0 = static_cast<int64_t>(sx);
        const int64_t y1 = std::min(y0 + 1, height - 1), x1 = std::min(x0 + 1, width - 1);
        const double dy = sy - static_cast<double>(y0), dx = sx - static_cast<double>(x0);
        const double top = in[0][1][y0][x0] * (1 - dx) + in[0][1][y0][x1] * dx,
                     bottom = in[0][1][y1][x0] * (1 - dx) + in[0][1][y1][x1] * dx;
        EXPECT_NEAR(resized[0][1][y][x].item<double>(), top * (1 - dy) + bottom * dy, 1e-3);
      }
    }
  }
}

TEST(Precisions, HaveNames) {
  for (const Precision p : {Precision::kFloat32, Precision::kTf32, Precision::kBFloat16})
    EXPECT_EQ(precision_from(to_string(p)), p);
  EXPECT_THAT(error_of([] { precision_from("bf16"); }), HasSubstr("bfloat16"));
}

}  // namespace
}  // namespace tarflow::metrics
