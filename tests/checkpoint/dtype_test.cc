#include "framework/checkpoint/dtype.h"

#include <bit>
#include <cmath>
#include <limits>

#include "tests/checkpoint/support.h"

namespace tarflow::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Raw>
std::vector<std::byte> raw(std::initializer_list<Raw> values) {
  std::vector<std::byte> bytes(values.size() * sizeof(Raw));
  std::memcpy(bytes.data(), std::data(values), bytes.size());
  return bytes;
}

TEST(DType, NamesAndSizesAreThoseOfPyTorch) {
  EXPECT_EQ(to_string(DType::kBFloat16), "bfloat16");
  EXPECT_EQ(item_size(DType::kBFloat16), 2u);
  EXPECT_EQ(storage_class(DType::kFloat16), "HalfStorage");
  EXPECT_EQ(dtype_from_name("int64"), DType::kInt64);
  EXPECT_EQ(dtype_from_storage_class("CharStorage"), DType::kInt8);
  EXPECT_EQ(dtype_from_name("float8_e4m3fn"), std::nullopt);
  EXPECT_EQ(dtype_from_storage_class(""), std::nullopt);
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_from_name(to_string(dtype)), dtype);
  }
}

TEST(DType, BFloat16RoundsToNearestEven) {
  EXPECT_EQ(bfloat16_from_float(1.0f), 0x3f80);
  EXPECT_EQ(bfloat16_from_float(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // a tie, down to even
  EXPECT_EQ(bfloat16_from_float(std::bit_cast<float>(0x3f818000u)), 0x3f82);  // a tie, up to even
  EXPECT_EQ(bfloat16_from_float(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(bfloat16_from_float(std::numeric_limits<float>::max()), 0x7f80);  // to infinity
  EXPECT_TRUE(
      std::isnan(float_from_bfloat16(bfloat16_from_float(std::bit_cast<float>(0x7f800001u)))));
}

TEST(DType, EveryBFloat16SurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = float_from_bfloat16(static_cast<uint16_t>(bits));
    if (!std::isnan(value)) {
      ASSERT_EQ(bfloat16_from_float(value), bits);
    }
  }
}

TEST(DType, EveryFloat16IsItsMathematicalValue) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double sign = bits >> 15 ? -1 : 1;
    const float value = float_from_float16(static_cast<uint16_t>(bits));
    if (exponent == 31) {
      ASSERT_EQ(std::isnan(value), fraction != 0);
      ASSERT_EQ(std::isinf(value), fraction == 0);
    } else {
      const double magnitude = exponent
                                   ? std::ldexp(1024.0 + fraction, static_cast<int>(exponent) - 25)
                                   : std::ldexp(double(fraction), -24);
      ASSERT_EQ(value, sign * magnitude) << bits;
    }
    ASSERT_EQ(std::signbit(value), bits >> 15 != 0);
  }
}

TEST(DType, IntegersConvert) {
  EXPECT_THAT(to_f32(raw<int8_t>({-128, 127}), DType::kInt8), ElementsAre(-128, 127));
  EXPECT_THAT(to_f32(raw<uint8_t>({0, 255}), DType::kUInt8), ElementsAre(0, 255));
  EXPECT_THAT(to_f64(raw<uint64_t>({1ull << 63}), DType::kUInt64), ElementsAre(0x1p63));
  EXPECT_THAT(to_i64(raw<uint8_t>({0, 7}), DType::kBool), ElementsAre(0, 1));
  EXPECT_THAT(to_i64(raw<uint32_t>({0xffffffff}), DType::kUInt32), ElementsAre(0xffffffffll));
}

TEST(DType, WhatInt64CannotHoldIsRefused) {
  EXPECT_THAT(testing::error_of([] { to_i64(raw<float>({1}), DType::kFloat32); }),
              HasSubstr("float32 is not an integer type"));
  EXPECT_THAT(testing::error_of([] { to_i64(raw<uint64_t>({~0ull}), DType::kUInt64); }),
              HasSubstr("18446744073709551615 does not fit"));
}

}  // namespace
}  // namespace tarflow::checkpoint
