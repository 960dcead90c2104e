// Trained checkpoints, where they are at hand: shapes, and every value equal to what PyTorch reads.
#include "framework/checkpoint/tarflow_state.h"
#include "framework/core/hash.h"
#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

struct Trained {
  const char* file;
  const char* shape;
  double noise_std;
  const char*
      sha256;  // of each name, then its values as float32, in the order of PyTorch's state dict
};

class TrainedCheckpoints : public ::testing::TestWithParam<Trained> {};

TEST_P(TrainedCheckpoints, EqualPyTorch) {
  const auto path =
      std::filesystem::path(TARFLOW_SOURCE_DIR) / "../shared/checkpoints" / GetParam().file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path.string() << " is missing";
  const TarflowState state = open_tarflow(path);
  EXPECT_EQ(state.shape.str(), GetParam().shape);
  EXPECT_EQ(state.shape.noise_std, GetParam().noise_std);
  Sha256 hash;
  for (const TensorInfo& tensor : state.tensors.tensors()) {
    const std::vector<float> values = state.tensors.read_f32(tensor.name);
    hash.update(tensor.name);
    hash.update(values.data(), values.size() * sizeof(float));
  }
  EXPECT_EQ(hash.hex(), GetParam().sha256);
}

INSTANTIATE_TEST_SUITE_P(
    Files, TrainedCheckpoints,
    ::testing::Values(
        Trained{"cifar10_demo_model_4_128_8_2_0.05.pth", "32px P4 C128 K8 L2, 10 classes", 0.05,
                "8ebd74967e3c9bff5a2cbb997042a8cd5ee86f6ce56dbcb351805202f959e869"},
        Trained{"cifar10_model_2_256_8_4_0.05.pth", "32px P2 C256 K8 L4, 10 classes", 0.05,
                "4fefa09a93a64da9e783f453bc9edc538de4b1e88e37ae8c495150fe602f1754"},
        Trained{"tiny_uncond_2_64_4_2_0.10.pth", "16px P2 C64 K4 L2, unconditional", 0.1,
                "0cfdd7659f2980aeba6fe9b06562b27d0f565efd87ac98db5cdf146737123144"}),
    [](const auto& info) {
      const std::string name = info.param.file;
      return name.substr(
          0, name.find("_2_") == std::string::npos ? name.find("_4_") : name.find("_2_"));
    });

}  // namespace
}  // namespace tarflow::checkpoint
