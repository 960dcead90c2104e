#include "framework/checkpoint/npz_writer.h"

#include "framework/checkpoint/npz.h"
#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;

template <typename Raw>
NpyToWrite array(const std::string& name, DType dtype, std::vector<int64_t> shape,
                 std::vector<Raw> values) {
  return {name, dtype, std::move(shape), [values]() -> FillBytes {
            return [values, given = size_t{0}](std::span<std::byte> to) mutable {
              std::memcpy(to.data(), reinterpret_cast<const std::byte*>(values.data()) + given,
                          to.size());
              given += to.size();
            };
          }};
}

TEST(NpzWriter, WhatIsWrittenReadsBack) {
  testing::TemporaryFolder folder;
  write_npz(folder / "new/a.npz",
            {array<uint8_t>("pixels", DType::kUInt8, {2, 3}, {0, 1, 2, 3, 4, 255}),
             array<int64_t>("labels", DType::kInt64, {3}, {-7, 0, int64_t{1} << 40}),
             array<float>("x", DType::kFloat32, {}, {1.5f}),
             array<double>("none", DType::kFloat64, {0, 4}, {})});
  const Npz file(folder / "new/a.npz");
  EXPECT_THAT(file.names(), ElementsAre("pixels", "labels", "x", "none"));
  EXPECT_EQ(file.read("pixels").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_THAT(file.read("pixels").values, ElementsAre(0, 1, 2, 3, 4, 255));
  EXPECT_EQ(file.read("labels").shape, (std::vector<int64_t>{3}));
  EXPECT_THAT(file.read("labels").values, ElementsAre(-7, 0, 1099511627776.0));
  EXPECT_THAT(file.read("x").values, ElementsAre(1.5));
  EXPECT_EQ(file.read("none").shape, (std::vector<int64_t>{0, 4}));
}

TEST(NpzWriter, LargeArraysAreGivenInPieces) {
  testing::TemporaryFolder folder;
  constexpr int64_t kRows = 1000, kWidth = 1001;
  size_t largest = 0;
  const NpyToWrite pixels{"arr_0", DType::kUInt8, {kRows, kWidth}, [&largest]() -> FillBytes {
                            return [&largest, next = 0](std::span<std::byte> to) mutable {
                              largest = std::max(largest, to.size());
                              for (std::byte& byte : to)
                                byte = static_cast<std::byte>(next++ % 251);
                            };
                          }};
  write_npz(folder / "a.npz", {pixels});
  EXPECT_LT(largest, static_cast<size_t>(kRows * kWidth));
  NpzRows rows(folder / "a.npz", "arr_0");
  for (const int64_t row : {int64_t{0}, int64_t{1}, kRows - 1}) {
    const std::vector<std::byte> bytes = rows.read(row);
    for (int64_t i = 0; i < kWidth; ++i)
      ASSERT_EQ(static_cast<int64_t>(bytes[static_cast<size_t>(i)]), (row * kWidth + i) % 251);
  }
}

TEST(NpzWriter, AFailureLeavesNoFile) {
  testing::TemporaryFolder folder;
  const NpyToWrite failing{"a", DType::kUInt8, {10}, []() -> FillBytes {
                             return [](std::span<std::byte>) { throw Error("no more bytes"); };
                           }};
  EXPECT_EQ(error_of([&] { write_npz(folder / "a.npz", {failing}); }), "no more bytes");
  EXPECT_TRUE(std::filesystem::is_empty(folder / "."));
  EXPECT_THAT(error_of([&] {
                write_npz(folder / "a.npz", {array<uint16_t>("b", DType::kBFloat16, {1}, {0})});
              }),
              HasSubstr("NumPy has no bfloat16"));
  EXPECT_THAT(error_of([&] {
                write_npz(folder / "a.npz", {array<uint8_t>("b", DType::kUInt8, {-1}, {})});
              }),
              HasSubstr("cannot have that shape"));
}

}  // namespace
}  // namespace tarflow::checkpoint
