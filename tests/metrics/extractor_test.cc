#include "framework/metrics/extractor.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "framework/core/error.h"
#include "framework/images/folder.h"
#include "framework/images/image.h"
#include "framework/images/png.h"
#include "framework/metrics/features.h"

namespace tarflow::metrics {
namespace {

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

class ExtractorTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("tarflow_extractor_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // A TorchScript file whose forward(self, images) has this body.
  std::filesystem::path raw_script(const std::string& name, const std::string& body) const {
    torch::jit::Module module("__torch__." + name);
    module.define("def forward(self, images):\n    " + body + "\n");
    const std::filesystem::path path = folder_ / (name + ".pt");
    module.save(path.string());
    return path;
  }
  // The body has the images as float32 in `x`.
  std::filesystem::path script(const std::string& name, const std::string& body) const {
    return raw_script(name, "x = images.float()\n    " + body);
  }
  Extractor load(const std::string& name, const std::string& body) const {
    return Extractor::load(script(name, body), at::kCPU);
  }
  std::string failure(const std::string& name, const std::string& body) const {
    const Extractor extractor = load(name, body);
    return error_of([&] { extractor.features(pattern(2, 8)); });
  }

  // (n, 3, side, side) bytes that any language can repeat.
  static at::Tensor pattern(int64_t n, int64_t side) {
    const at::Tensor index = at::arange(n * 3 * side * side, at::kLong);
    return (index * 7919 + index * index % 251)
        .remainder(256)
        .to(at::kByte)
        .view({n, 3, side, side});
  }

  std::filesystem::path folder_;
};

constexpr const char* kMeanAndSquare =
    "return torch.cat([x.mean([2, 3]), (x * x).mean([2, 3])], 1)";

TEST_F(ExtractorTest, SeesRawBytes) {
  const Extractor extractor = load("mean_square", kMeanAndSquare);
  const at::Tensor images = pattern(3, 8), features = extractor.features(images);
  const at::Tensor x = images.to(at::kDouble);
  const at::Tensor expected = at::cat({x.mean({2, 3}), x.square().mean({2, 3})}, 1);
  EXPECT_EQ(features.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::allclose(features.to(at::kDouble), expected, 1e-5, 0));
  EXPECT_EQ(extractor.name(), "mean_square");
  EXPECT_EQ(extractor.sha256().size(), 64u);
}

TEST_F(ExtractorTest, Float64FeaturesStayFloat64) {
  const Extractor extractor = load("wide", "return x.double().mean([2, 3])");
  EXPECT_EQ(extractor.features(pattern(2, 8)).scalar_type(), at::kDouble);
}

TEST_F(ExtractorTest, DistanceIsNeverCalledFidUnlessItIs) {
  EXPECT_EQ(distance_name(load("FID", kMeanAndSquare)), "FD(FID)");
  EXPECT_EQ(distance_name("x", "6726825d" + std::string(56, '0')), "FID");
  EXPECT_EQ(distance_name("x", "6726825e" + std::string(56, '0')), "FD(x)");
  EXPECT_EQ(distance_name("x", ""), "FD(x)");
}

TEST_F(ExtractorTest, WrongResultsNameTheFileAndWhatCameOut) {
  EXPECT_THAT(
      failure("rank", "return x"),
      AllOf(HasSubstr("rank.pt"), HasSubstr("Float(2, 3, 8, 8)"), HasSubstr("Float(2, features)")));
  EXPECT_THAT(failure("rows", "return x.mean([0, 2, 3]).unsqueeze(0)"),
              AllOf(HasSubstr("rows.pt"), HasSubstr("Float(1, 3) for 2 images")));
  EXPECT_THAT(failure("integers", "return x.mean([2, 3]).long()"), HasSubstr("Long(2, 3)"));
  EXPECT_THAT(failure("pair", "return (x.mean([2, 3]), x)"),
              AllOf(HasSubstr("pair.pt"), HasSubstr("a Tuple instead of a tensor")));
  EXPECT_THAT(failure("nan", "return (x * 0).mean([2, 3]) / 0"),
              AllOf(HasSubstr("nan.pt"), HasSubstr("not finite")));
}

TEST_F(ExtractorTest, ModulesGetUint8) {
  const auto tried = [&](const std::string& name, const std::string& body) {
    Extractor extractor = Extractor::load(raw_script(name, body), at::kCPU);
    const std::string note = extractor.try_on(8);
    const at::Tensor features = extractor.features(at::full({1, 3, 8, 8}, 255, at::kByte));
    return std::tuple(features[0][0].item<double>(), note, extractor.input());
  };
  EXPECT_EQ(tried("any", "return (images / 255).float().mean([2, 3])"),
            std::tuple(1., "", "its own"));
  const auto [value, note, input] = tried("scales_uint8",
                                          "x = images.float()\n    if images.dtype == 0:\n        "
                                          "x = x / 255\n    return x.mean([2, 3])");
  EXPECT_EQ(value, 1);
  EXPECT_THAT(note, AllOf(HasSubstr("scales_uint8.pt"), HasSubstr("it gets uint8")));
  EXPECT_EQ(input, "its own, of uint8") << "statistics of float32 images are not taken for its own";
  EXPECT_EQ(tried("asserts",
                  "assert images.dtype == 0, 'want uint8'\n    return images.float().mean([2, 3])"),
            std::tuple(255., "", "its own, of uint8"));
}

TEST_F(ExtractorTest, ModulesThatTakeOnlyFloatsSayHowToRepairThem) {
  Extractor extractor =
      Extractor::load(raw_script("floats", "return images.mean([2, 3])"), at::kCPU);
  EXPECT_THAT(error_of([&] { extractor.try_on(8); }),
              AllOf(HasSubstr("floats.pt fails on uint8 images and takes float32"),
                    HasSubstr("images.to(torch.float32)")));
}

TEST_F(ExtractorTest, FeaturesThatDependOnTheBatchAreRefused) {
  const auto failure = [&](const std::string& name, const std::string& body) {
    Extractor extractor = load(name, body);
    return error_of([&] { extractor.try_on(8); });
  };
  constexpr const char* kEnd = "\n    return x.mean([2, 3])";
  for (const auto& [name, body] : std::vector<std::pair<std::string, std::string>>{
           {"batch_norm",
            "x = torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, False)"},
           {"centred", "x = x - x.mean(0, True)"},
           {"brightest", "x = x / x.max()"},
           {"first", "x = x[:1].expand_as(x)"}}) {
    EXPECT_THAT(failure(name, body + kEnd),
                AllOf(HasSubstr(name + ".pt"), HasSubstr("depend on the rest of the batch"),
                      HasSubstr("net.eval()")));
  }
  EXPECT_THAT(failure("needs_two", "assert x.size(0) > 1, 'more than 1 value'" + std::string(kEnd)),
              AllOf(HasSubstr("needs_two.pt works on 4 images and fails on one"),
                    HasSubstr("more than 1 value")));
  EXPECT_EQ(failure("alone", "x = x - x.mean([1, 2, 3], True)" + std::string(kEnd)), "");
}

TEST_F(ExtractorTest, FeaturesOfChanceAreRefused) {
  Extractor extractor = load("dropout", "return torch.dropout(x, 0.5, True).mean([2, 3])");
  EXPECT_THAT(
      error_of([&] { extractor.try_on(8); }),
      AllOf(HasSubstr("dropout.pt"), HasSubstr("the second time"), HasSubstr("net.eval()")));
}

TEST_F(ExtractorTest, FeaturesThatAreNotFiniteAreLeftToThoseWhoMayExcludeThem) {
  for (const auto& [name, body] : std::vector<std::pair<std::string, std::string>>{
           {"overflows", "return x.mean([2, 3]) / 0"},
           {"roots", "return (x - 127).mean([2, 3]).sqrt()"}}) {
    Extractor extractor = load(name, body);
    EXPECT_EQ(extractor.try_on(8), "") << name;
  }
}

TEST_F(ExtractorTest, FailuresOfTheModuleAreOneSentence) {
  const std::string text = failure("wrong_size", "return x.mean([2, 3]).matmul(x.mean([2, 3]))");
  EXPECT_THAT(text, AllOf(HasSubstr("wrong_size.pt failed on Byte(2, 3, 8, 8): "),
                          HasSubstr("shape"), Not(HasSubstr("Traceback"))));
  EXPECT_THAT(
      failure("raises", "assert x.size(2) == 299, 'only 299 x 299'\n    return x.mean([2, 3])"),
      AllOf(HasSubstr("raises.pt failed"), HasSubstr("only 299 x 299")));
}

TEST_F(ExtractorTest, ImagesOfAnotherKindAreErrors) {
  const Extractor extractor = load("mean_square", kMeanAndSquare);
  EXPECT_THAT(error_of([&] { extractor.features(pattern(2, 8).to(at::kFloat)); }),
              HasSubstr("not Float(2, 3, 8, 8)"));
  EXPECT_THAT(error_of([&] { extractor.features(pattern(2, 8).flatten(2)); }),
              HasSubstr("Byte(2, 3, 64)"));
}

TEST_F(ExtractorTest, FilesThatAreNoExtractor) {
  EXPECT_THAT(error_of([&] { Extractor::load(folder_ / "absent.pt", at::kCPU); }),
              HasSubstr("absent.pt"));
  std::ofstream(folder_ / "text.pt") << "no TorchScript here";
  EXPECT_THAT(error_of([&] { Extractor::load(folder_ / "text.pt", at::kCPU); }),
              AllOf(HasSubstr("text.pt is a text file, not a TorchScript file"),
                    Not(HasSubstr("frame #"))));
  std::ofstream(folder_ / "bytes.pt") << "\x01\x02\x03 no TorchScript here";
  EXPECT_THAT(error_of([&] { Extractor::load(folder_ / "bytes.pt", at::kCPU); }),
              AllOf(HasSubstr("bytes.pt is not a TorchScript file"), Not(HasSubstr("frame #"))));
  torch::jit::Module encoder("__torch__.encoder");
  encoder.define("def encode(self, images):\n    return images.float().mean([2, 3])\n");
  encoder.save((folder_ / "encoder.pt").string());
  EXPECT_THAT(error_of([&] { Extractor::load(folder_ / "encoder.pt", at::kCPU); }),
              HasSubstr("encoder.pt has no method forward"));
  std::ofstream(folder_ / "empty.pt").close();
  EXPECT_THAT(error_of([&] { Extractor::load(folder_ / "empty.pt", at::kCPU); }),
              HasSubstr("empty.pt"));
  std::filesystem::resize_file(script("cut", kMeanAndSquare), 700);
  EXPECT_THAT(error_of([&] { Extractor::load(folder_ / "cut.pt", at::kCPU); }),
              HasSubstr("cut.pt"));
}

// StyleGAN's inception-2015-12-05.pt returns class probabilities unless told otherwise.
TEST_F(ExtractorTest, AModuleThatCanReturnFeaturesIsAskedForThem) {
  torch::jit::Module module("__torch__.asked");
  module.define(
      "def forward(self, x, return_features: bool = False):\n"
      "    y = x.float()\n"
      "    return y.mean([2, 3]) if return_features else y.mean([1, 2, 3], True).flatten(1)\n");
  module.save((folder_ / "asked.pt").string());
  const Extractor extractor = Extractor::load(folder_ / "asked.pt", at::kCPU);
  const at::Tensor images = pattern(2, 8);
  EXPECT_TRUE(
      at::allclose(extractor.features(images), images.to(at::kFloat).mean({2, 3}), 1e-6, 1e-6));
}

TEST_F(ExtractorTest, PrecisionIsThatAskedForAndBFloat16IsNotForTorchScript) {
  const std::filesystem::path path = script("precise", kMeanAndSquare);
  const Extractor fast = Extractor::load(path, at::kCPU, Precision::kTf32);
  EXPECT_EQ(fast.precision(), Precision::kTf32);
  // A CPU has no TF32.
  EXPECT_TRUE(at::equal(fast.features(pattern(2, 8)),
                        Extractor::load(path, at::kCPU).features(pattern(2, 8))));
  EXPECT_THAT(error_of([&] { Extractor::load(path, at::kCPU, Precision::kBFloat16); }),
              AllOf(HasSubstr("precise.pt"), HasSubstr("float32 or tf32")));
  EXPECT_THAT(error_of([&] { precision_from("tf23"); }), HasSubstr("tf32"));
}

// Expected values printed by fixtures/make_extractor_values.py (PyTorch 2.11, CPU).
TEST_F(ExtractorTest, DemoExtractorAgreesWithPython) {
  const std::filesystem::path path = TARFLOW_SOURCE_DIR "/sweeps/assets/cifar10_extractor.pt";
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << "sweeps/assets/cifar10_extractor.pt is missing";
  const Extractor extractor = Extractor::load(path, at::kCPU);
  EXPECT_EQ(distance_name(extractor), "FD(cifar10_extractor)");
  const at::Tensor features = extractor.features(pattern(2, 32));
  ASSERT_EQ(features.sizes(), at::IntArrayRef({2, 96}));
  const float expected[2][4] = {
      {0.25877517461776733f, 0.02254074066877365f, 0.002779764123260975f, 0.0032816859893500805f},
      {0.22351615130901337f, 0.024144165217876434f, 0.0039659952744841576f, 0.005939647555351257f}};
  const int64_t columns[4] = {0, 1, 47, 95};
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t k = 0; k < 4; ++k) {
      EXPECT_NEAR(features[row][columns[k]].item<float>(), expected[row][k], 1e-5f);
    }
  }
  EXPECT_NEAR(features.sum().item<double>(), 46.41224182327278, 1e-3);
  EXPECT_TRUE(
      at::allclose(extractor.features(pattern(2, 32).slice(0, 1, 2))[0], features[1], 1e-4, 1e-6));
}

TEST(ToUint8, ClipsScalesAndTruncatesAsTheImagesRoom) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  std::vector<float> values = {nan,  infinity, -infinity, -1.0f,      1.0f,
                               0.0f, -1.5f,    7.0f,      0.99999994f};
  while (values.size() < 3 * 64 * 64)
    values.push_back(-1.1f + 2.2f * static_cast<float>(values.size()) / (3 * 64 * 64));
  const at::Tensor bytes = to_uint8(at::tensor(values).view({1, 3, 64, 64}));
  const images::Image expected = images::to_image(values, 64, 64);
  EXPECT_TRUE(at::equal(bytes, stack(std::vector{expected})));
  const at::Tensor flat = bytes.flatten();
  const int first[] = {0,   255, 0,   0,  255,
                       127, 0,   255, 254};  // by hand: (x + 1) / 2 * 255, truncated
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(flat[i].item<int>(), first[i]) << i;
}

class FolderTest : public ExtractorTest {
 protected:
  struct Found {
    Moments moments;
    at::Tensor features;  // kept
    std::vector<images::UnreadableFile> unreadable;
  };

  // Of all images of the folder.
  Found moments(const Extractor& extractor, int64_t batch, int64_t max_unreadable = 0,
                bool flips = false, int64_t keep = 0) const {
    const images::ImageFolder folder = images::list_images(folder_ / "images");
    images::Batches batches(folder.files, {.size = 8, .max_unreadable = max_unreadable},
                            {.size = batch});
    FeatureSums sums(at::kCPU, keep);
    while (const std::optional<images::Batch> one = batches.next())
      sums.add(features_of(extractor, *one, flips));
    return {sums.moments(), sums.features(), batches.unreadable()};
  }

  // An image of one colour, so that its features are known.
  void write(const std::string& name, int side, uint8_t grey) const {
    images::write_png(folder_ / "images" / name, images::blank(side, side, {grey, 20, 30}));
  }
};

TEST_F(FolderTest, StreamsAFolderIntoAGaussian) {
  const Extractor extractor = load("mean", "return x.mean([2, 3])");
  const std::vector<double> greys = {10, 50, 60, 80, 200};
  for (size_t i = 0; i < greys.size(); ++i) {
    write(std::to_string(i) + ".png", i % 2 ? 8 : 16, static_cast<uint8_t>(greys[i]));
  }
  for (const int64_t batch : {1, 2, 5, 64}) {
    const Gaussian g = moments(extractor, batch).moments.gaussian();
    EXPECT_EQ(g.count, 5);
    EXPECT_TRUE(at::allclose(g.mean, at::tensor({80.0, 20.0, 30.0}, at::kDouble)));
    // Sum of squares about 80: 4900 + 900 + 400 + 0 + 14400, over 4.
    EXPECT_NEAR(g.covariance[0][0].item<double>(), 5150, 1e-6);
    EXPECT_NEAR(g.covariance[0][1].item<double>(), 0, 1e-6);
  }
}

TEST_F(FolderTest, FlipsCountEachImageTwice) {
  // Left and right half have means of their own: a mirror image exchanges them.
  const Extractor extractor = load("halves",
                                   "return torch.cat([x[:, 0, :, :4].mean([1, 2]).unsqueeze(1), "
                                   "x[:, 0, :, 4:].mean([1, 2]).unsqueeze(1)], 1)");
  for (int i = 0; i < 3; ++i) {
    images::Image image = images::blank(8, 8, {0, 0, 0});
    for (size_t p = 0; p < 64; ++p)
      image.rgb[3 * p] = static_cast<uint8_t>(p % 8 < 4 ? 10 * i : 90);
    images::write_png(folder_ / "images" / (std::to_string(i) + ".png"), image);
  }
  const Found result = moments(extractor, 2, 0, /*flips=*/true, /*keep=*/2);
  EXPECT_EQ(result.moments.count, 6);
  EXPECT_TRUE(at::allclose(result.moments.mean(), at::tensor({50.0, 50.0}, at::kDouble)));
  // The first images as they are.
  EXPECT_TRUE(at::allclose(result.features, at::tensor({0.0f, 90.0f, 10.0f, 90.0f}).view({2, 2})));
}

TEST_F(FolderTest, UnreadableFilesAreCountedAndNamed) {
  const Extractor extractor = load("mean", "return x.mean([2, 3])");
  write("a.png", 8, 10);
  write("c.png", 8, 30);
  std::ofstream(folder_ / "images" / "b.png") << "no image";
  const Found result = moments(extractor, 2, 1);
  EXPECT_EQ(result.moments.count, 2);
  ASSERT_EQ(result.unreadable.size(), 1u);
  EXPECT_EQ(result.unreadable[0].path.filename(), "b.png");
  EXPECT_THAT(error_of([&] { moments(extractor, 2).moments.gaussian(); }), HasSubstr("b.png"));
}

TEST_F(FolderTest, BadBatchesAreErrors) {
  const Extractor extractor = load("mean", "return x.mean([2, 3])");
  write("a.png", 8, 10);
  EXPECT_THAT(error_of([&] { moments(extractor, 0); }), HasSubstr("cannot hold 0 images"));
  EXPECT_THAT(error_of([&] { moments(extractor, 4).moments.gaussian(); }),
              HasSubstr("at least 2 samples"));
  EXPECT_NE(error_of([] { stack({}); }), "");
  const std::vector<images::Image> mixed = {images::blank(8, 8, {0, 0, 0}),
                                            images::blank(8, 9, {0, 0, 0})};
  EXPECT_THAT(error_of([&] { stack(mixed); }), HasSubstr("8 x 8 and 8 x 9"));
}

}  // namespace
}  // namespace tarflow::metrics
