#include "framework/tensor/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>

namespace tarflow {
namespace {

std::array<uint32_t, 4> words(const Random4& random) {
  return {random.word[0], random.word[1], random.word[2], random.word[3]};
}

using Words = std::array<uint32_t, 4>;

// Known answers of Random123's kat_vectors (philox4x32, 10 rounds).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(words(philox::rounds({{0, 0, 0, 0}}, 0, 0)),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words(philox::rounds({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff,
                                 0xffffffff)),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words(philox::rounds({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822,
                                 0x299f31d0)),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, CounterHoldsBlockStreamAndImage) {
  const uint64_t seed = 0x299f31d0a4093822, image = 0x0370734413198a2e;
  EXPECT_EQ(
      words(philox4x32(seed, image, 0x243f6a88, Stream::kLabels)),
      words(philox::rounds({{0x243f6a88, 1, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0)));
  EXPECT_NE(words(philox4x32(seed, image, 0, Stream::kLabels)),
            words(philox4x32(seed, image, 0, Stream::kNoise)));
}

TEST(Philox, LogarithmIsStdLog) {
  double u = 1.0;
  for (int i = 0; i < 20000; ++i) {
    EXPECT_NEAR(philox::log_unit(u), std::log(u), 1e-15 * (1 + std::abs(std::log(u)))) << u;
    u *= i % 2 ? 0.99931 : 0.99947;  // down to 4e-6
  }
  EXPECT_EQ(philox::log_unit(1.0), 0.0);
  const double smallest = std::ldexp(1.0, -33);  // of all that normal_pair can ask for
  EXPECT_NEAR(philox::log_unit(smallest), std::log(smallest), 1e-14);
  const double largest = 1.0 - smallest;
  EXPECT_NEAR(philox::log_unit(largest) / std::log(largest), 1.0, 1e-15);
}

TEST(Philox, CosineAndSineOfTurns) {
  for (int64_t i = 0; i < 40000; ++i) {
    const double v = static_cast<double>(i * 107373) / 4294967296.0;  // 0..0.99997, exact
    double cosine, sine;
    philox::cos_sin_turn(v, &cosine, &sine);
    const double angle = 2 * std::numbers::pi * v;  // itself off by up to 4e-16 of a radian
    EXPECT_NEAR(cosine, std::cos(angle), 1.5e-15) << v;
    EXPECT_NEAR(sine, std::sin(angle), 1.5e-15) << v;
  }
}

TEST(Philox, QuarterTurnsAreExact) {
  const double expected[4][2] = {{1, 0}, {0, 1}, {-1, 0}, {0, -1}};
  for (int quarter = 0; quarter < 4; ++quarter) {
    double cosine, sine;
    philox::cos_sin_turn(quarter * 0.25, &cosine, &sine);
    EXPECT_EQ(cosine, expected[quarter][0]);
    EXPECT_EQ(sine, expected[quarter][1]);
  }
}

TEST(Philox, NormalPairAtTheEdgesIsFinite) {
  for (const uint32_t a : {0u, 0xffffffffu}) {
    for (const uint32_t b : {0u, 0x7fffffffu, 0xffffffffu}) {
      float first, second;
      normal_pair(a, b, &first, &second);
      const double radius = std::sqrt(-2 * std::log((a + 0.5) / 4294967296.0));
      EXPECT_NEAR(std::hypot(first, second), radius, 1e-6 * radius);
    }
  }
}

}  // namespace
}  // namespace tarflow
