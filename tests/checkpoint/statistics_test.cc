// Statistics of other programs: torchmetrics' state dicts and NumPy's .npz.
#include "framework/checkpoint/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>

#include "framework/checkpoint/npz.h"
#include "framework/checkpoint/writer.h"
#include "framework/core/error.h"
#include "framework/core/file.h"

namespace tarflow::checkpoint {
namespace {
namespace fs = std::filesystem;

using testing::AllOf;
using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kFixtures = TARFLOW_SOURCE_DIR "/tests/checkpoint/fixtures";

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string npy(const std::string& header, const std::string& data, char version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += version;
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  if (version > 1) bytes += std::string(2, '\0');
  return bytes + header + data;
}

NpyArray parse(const std::string& bytes) {
  return parse_npy({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "it");
}

class StatisticsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("tarflow_statistics_" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  template <typename Number>
  static TensorToWrite tensor(const std::string& name, DType dtype, std::vector<int64_t> shape,
                              const std::vector<Number>& values) {
    return {name, dtype, std::move(shape), [values] {
              std::vector<std::byte> bytes(values.size() * sizeof(Number));
              std::memcpy(bytes.data(), values.data(), bytes.size());
              return bytes;
            }};
  }

  // Of the features (1, 2), (3, 2), (5, 5).
  fs::path torchmetrics(int64_t count, std::vector<int64_t> sum_shape = {2}) const {
    const fs::path path = folder_ / "x_fid_stats.pth";
    write_checkpoint(
        path, {tensor<double>("real_features_sum", DType::kFloat64, std::move(sum_shape), {9, 9}),
               tensor<double>("real_features_cov_sum", DType::kFloat64, {2, 2}, {35, 33, 33, 33}),
               tensor<int64_t>("real_features_num_samples", DType::kInt64, {}, {count}),
               tensor<double>("fake_features_sum", DType::kFloat64, {2}, {0, 0})});
    return path;
  }

  fs::path folder_;
};

TEST_F(StatisticsTest, OfTorchmetricsFollowFromTheirSums) {
  const fs::path path = torchmetrics(3);
  EXPECT_EQ(statistics_kind(path), StatisticsKind::kTorchmetrics);
  EXPECT_EQ(statistics_width(path), 2);
  const FeatureStatistics found = read_statistics(path);
  EXPECT_EQ(found.count, 3);
  EXPECT_THAT(found.mean, ElementsAre(DoubleEq(3), DoubleEq(3)));
  EXPECT_THAT(found.covariance, ElementsAre(DoubleEq(4), DoubleEq(3), DoubleEq(3), DoubleEq(3)));
}

TEST_F(StatisticsTest, OfTorchmetricsThatCannotBeAreRefused) {
  EXPECT_THAT(error_of([&] { read_statistics(torchmetrics(1)); }), HasSubstr("from 1 images"));
  EXPECT_THAT(error_of([&] {
                read_statistics(torchmetrics(3, {1, 2}));
              }),
              AllOf(HasSubstr("real_features_sum"), HasSubstr("(1, 2)")));
  EXPECT_THAT(error_of([&] { read_statistics(kFixtures / "zip_state_dict.pth"); }),
              AllOf(HasSubstr("zip_state_dict.pth"), HasSubstr("real_features_sum")));
}

TEST_F(StatisticsTest, OfNumpyAreReadInEveryForm) {
  for (const char* name : {"stats_stored.npz", "stats_deflated_float32.npz", "stats_fortran.npz"}) {
    SCOPED_TRACE(name);
    const fs::path path = kFixtures / name;
    EXPECT_EQ(statistics_kind(path), StatisticsKind::kNumpy);
    EXPECT_EQ(statistics_width(path), 3);
    const FeatureStatistics found = read_statistics(path);
    EXPECT_EQ(found.count, 0);
    EXPECT_THAT(found.mean, ElementsAre(0, 0.25, 0.5));
    EXPECT_THAT(found.covariance, ElementsAre(2, 0.5, 0.25, 0.5, 1, 0.125, 0.25, 0.125, 3));
  }
  const NpyArray odd = Npz(kFixtures / "stats_fortran.npz").read("odd");
  EXPECT_THAT(odd.shape, ElementsAre(2, 3));
  EXPECT_THAT(odd.values, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(StatisticsTest, OfNumpyThatCannotBeAreRefused) {
  const auto message = [](const char* name) {
    return error_of([&] { read_statistics(kFixtures / name); });
  };
  EXPECT_THAT(message("stats_shapes.npz"),
              AllOf(HasSubstr("`sigma` has shape (2, 3) instead of (3, 3)")));
  EXPECT_THAT(message("stats_objects.npz"), AllOf(HasSubstr("`mu`"), HasSubstr("`|O`")));
  EXPECT_THAT(message("stats_nan.npz"), HasSubstr("not finite"));
  EXPECT_THAT(message("stats_big_endian.npz"), HasSubstr("`>f8`"));
  EXPECT_THAT(error_of([] { Npz(kFixtures / "stats_stored.npz").read("mean"); }),
              AllOf(HasSubstr("no array `mean`"), HasSubstr("mu, sigma")));
}

TEST(NpyFile, HeadersThatLieAreRefused) {
  const std::string eight(8, '\0');
  const auto message = [](const std::string& bytes) { return error_of([&] { parse(bytes); }); };
  const std::string good = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }";
  EXPECT_THAT(parse(npy(good, eight)).values, ElementsAre(0));
  EXPECT_THAT(parse(npy(good, eight, 2)).shape, ElementsAre(1));
  EXPECT_THAT(parse(npy("{'descr':'<f8','fortran_order':True,'shape':()}", eight)).shape,
              ElementsAre());
  EXPECT_THAT(message(npy(good, eight, 9)), HasSubstr("version 9"));
  EXPECT_THAT(message(npy(good, "")), HasSubstr("0 bytes of elements"));
  EXPECT_THAT(message("\x93NUMPY"), HasSubstr("no .npy file"));
  for (const char* header :
       {"", "{", "{'descr'", "{'descr': '<f8'", "{'descr': '<f8', 'fortran_order': Maybe}",
        "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 8)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1 1)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f8', 'fortran_order': False}"}) {
    EXPECT_NE(message(npy(header, eight)), "") << header;
  }
}

// Any change to a file is read or refused.
TEST_F(StatisticsTest, DamagedFilesAreReadOrRefused) {
  std::mt19937 random(1);
  int refused = 0;
  for (const char* name : {"stats_stored.npz", "stats_deflated_float32.npz"}) {
    const std::string whole = read_file(kFixtures / name);
    for (int round = 0; round < 200; ++round) {
      std::string bytes = whole;
      if (round % 8 == 0) bytes.resize(random() % bytes.size());
      for (int flips = 1 + round % 4; flips > 0 && !bytes.empty(); --flips)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      const fs::path path = folder_ / "damaged.npz";
      write_file(path, bytes);
      const std::string message = error_of([&] { read_statistics(path); });
      if (message.empty()) continue;
      ++refused;
      EXPECT_THAT(message, HasSubstr("damaged.npz"));
    }
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace tarflow::checkpoint
