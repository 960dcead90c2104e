// What ranks on several GPUs do that they do nowhere else.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <string>

#include "framework/tensor/device.h"
#include "tests/dist/ranks.h"
#include "tests/experiments/programs.h"

namespace tarflow {
namespace {

using dist::Communicator;
using dist::Tensors;

constexpr const char* kTwo = "needs two GPUs";

at::Device gpu(int index) { return {at::kCUDA, static_cast<int8_t>(index)}; }

TEST(RanksOnGpus, TensorsOfEveryGpuArriveOnThatOfRankZero) {
  if (gpu_count() < 2) GTEST_SKIP() << kTwo;
  const auto own = [](int rank, const at::Device& device) {
    const at::TensorOptions options = at::TensorOptions(at::kFloat).device(device);
    return Tensors{{"features", at::full({5 + rank, 3}, 0.5 + rank, options)},
                   {"bytes", at::full({7}, rank, options.dtype(at::kByte))},
                   {"moments", at::full({2, 2}, 0.1 * rank, options.dtype(at::kDouble))},
                   {"none", at::empty({0, 4}, options)},
                   {"count", at::full({}, rank, at::kLong)}};
  };
  dist::expect_no_errors(dist::as_ranks(
      2,
      [&](Communicator& comm) {
        for (int round = 0; round < 3; ++round) {
          const std::vector<Tensors> all = comm.gather_tensors(own(comm.rank(), gpu(comm.rank())));
          ASSERT_EQ(all.size(), comm.first() ? 2u : 0u);
          for (int rank = 0; rank < static_cast<int>(all.size()); ++rank) {
            for (const auto& [name, tensor] : own(rank, gpu(0))) {
              const at::Tensor& found = all[static_cast<size_t>(rank)].at(name);
              EXPECT_TRUE(found.cpu().equal(tensor.cpu())) << name << " of rank " << rank;
              if (tensor.numel() > 0) {
                EXPECT_EQ(found.device(), tensor.device()) << name;
              }
            }
          }
        }
        comm.end(0);
      },
      {}, gpu));
}

TEST(RanksOnGpus, ARankThatDoesNotComeToNcclIsNamed) {
  if (gpu_count() < 2) GTEST_SKIP() << kTwo;
  const std::vector<std::string> errors = dist::as_ranks(
      2,
      [&](Communicator& comm) {
        if (!comm.first()) return;  // gone
        comm.gather_tensors({{"features", at::ones({4}, gpu(0))}});
      },
      {.silence = std::chrono::milliseconds(3000)}, gpu);
  EXPECT_THAT(errors[0], testing::HasSubstr("rank 1"));
}

class EvaluateOnGpus : public experiments::Programs {
 protected:
  std::string digest(int gpus) const {
    std::filesystem::remove_all(folder_ / "results");
    const record::SweepRecord sweep =
        run("  - evaluate: {num_images: 37, chunk: 4, device: cuda, strategy: For, extractor: " +
            asset("cifar10_extractor.pt").string() + ", reference: " + asset("cifar10").string() +
            "}\nrun: {gpus: " + std::to_string(gpus) + "}\n");
    EXPECT_EQ(sweep.rows.size(), 1u);
    for (const record::Row& row : sweep.rows) EXPECT_EQ(std::get<int64_t>(row.at("ranks")), gpus);
    return record::digest(sweep);
  }
};

TEST_F(EvaluateOnGpus, TwoGiveTheBitsOfOne) {
  if (gpu_count() < 2) GTEST_SKIP() << kTwo;
  EXPECT_EQ(digest(2), digest(1));
}

}  // namespace
}  // namespace tarflow
