//===- BlockFormatTest.cpp - Rows of bf16 to rows of q8 or q4 and back -------------------------------------------===//
#include "models/Packing/BlockFormat.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <functional>
#include <random>
#include <vector>

using namespace qwenc;
using qwenrt::kBlockWeights;

namespace {

uint16_t bf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
float widen(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

std::vector<uint16_t> rowOf(size_t columns, const std::function<float(size_t)> &weight) {
  std::vector<uint16_t> row(columns);
  for (size_t i = 0; i < columns; ++i)
    row[i] = bf16(weight(i));
  return row;
}

std::vector<std::byte> packed(WeightFormat format, const std::vector<uint16_t> &row) {
  std::vector<std::byte> stored(storedRowBytes(format, row.size()));
  EXPECT_EQ(packRow(format, row, stored), std::nullopt);
  return stored;
}

std::vector<float> roundTrip(WeightFormat format, const std::vector<uint16_t> &row) {
  std::vector<float> restored(row.size());
  unpackRow(format, packed(format, row), restored);
  return restored;
}

double relativeError(const std::vector<uint16_t> &row, const std::vector<float> &restored) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    error += std::pow(double(restored[i]) - widen(row[i]), 2);
    norm += std::pow(double(widen(row[i])), 2);
  }
  return std::sqrt(error / norm);
}

std::vector<uint16_t> gaussian(size_t columns, float deviation) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, deviation);
  return rowOf(columns, [&](size_t) { return normal(random); });
}

class BlockFormats : public testing::TestWithParam<WeightFormat> {};
INSTANTIATE_TEST_SUITE_P(Formats, BlockFormats, testing::Values(WeightFormat::Q8, WeightFormat::Q4),
                         [](const auto &info) { return std::string(weightFormatName(info.param)); });

TEST(BlockFormat, KeepsTheBitsItPromises) {
  EXPECT_EQ(storedRowBytes(WeightFormat::Q8, 1024) * 8, 8.5 * 1024);
  EXPECT_EQ(storedRowBytes(WeightFormat::Q4, 1024) * 8, 4.5 * 1024);
  EXPECT_EQ(rowPitchBytes(WeightFormat::Q8, 192), 208u); // 204 bytes, rounded up
  EXPECT_EQ(columnsOf(WeightFormat::Q8, 204), 192u);
  EXPECT_EQ(columnsOf(WeightFormat::Q4, 18), 32u);
  EXPECT_EQ(columnsOf(WeightFormat::Q4, 19), std::nullopt);
  EXPECT_EQ(columnsOf(WeightFormat::Q8, 0), std::nullopt);
}

TEST(BlockFormat, GaussianWeightsStayWithinTheBounds) {
  std::vector<uint16_t> row = gaussian(1 << 20, 0.02f);
  double q8 = relativeError(row, roundTrip(WeightFormat::Q8, row));
  double q4 = relativeError(row, roundTrip(WeightFormat::Q4, row));
  std::printf("relative L2 error on Gaussian weights: q8 %.3e, q4 %.3e\n", q8, q4);
  EXPECT_LE(q8, 6e-3);
  EXPECT_LE(q4, 9e-2);
  EXPECT_GE(q8, 1e-3); // it is 8 bits that are measured
  EXPECT_GE(q4, 5e-2);
}

TEST_P(BlockFormats, TheErrorDoesNotDependOnTheMagnitude) {
  double expected = relativeError(gaussian(1 << 14, 1), roundTrip(GetParam(), gaussian(1 << 14, 1)));
  for (float deviation : {0x1p-90f, 0x1p-40f, 0x1p40f, 0x1p120f}) {
    std::vector<uint16_t> row = gaussian(1 << 14, deviation);
    EXPECT_NEAR(relativeError(row, roundTrip(GetParam(), row)), expected, expected * 1e-3) << deviation;
  }
}

TEST_P(BlockFormats, ZerosStayZeros) {
  for (float zero : {0.0f, -0.0f})
    for (float value : roundTrip(GetParam(), rowOf(64, [&](size_t) { return zero; })))
      EXPECT_EQ(value, 0.0f);
}

TEST_P(BlockFormats, WeightsTooSmallForANormalScaleBecomeZeros) {
  // Subnormal weights, and the border at 2^-100: above it nothing is lost.
  for (float value : roundTrip(GetParam(), rowOf(32, [](size_t i) { return i % 2 ? 0x1p-130f : -0x1p-101f; })))
    EXPECT_EQ(value, 0.0f);
  EXPECT_NE(roundTrip(GetParam(), rowOf(32, [](size_t) { return 0x1p-100f; }))[0], 0.0f);
}

TEST_P(BlockFormats, TheLargestWeightsStayFinite) {
  const float largest = widen(0x7f7f);
  for (float sign : {1.0f, -1.0f}) {
    std::vector<uint16_t> row = rowOf(64, [&](size_t i) { return i % 3 ? sign * largest : -sign * largest / 2; });
    std::vector<float> restored = roundTrip(GetParam(), row);
    for (size_t i = 0; i < row.size(); ++i)
      EXPECT_TRUE(std::isfinite(restored[i])) << i;
    EXPECT_LE(relativeError(row, restored), 0.07);
  }
}

TEST_P(BlockFormats, OneLargeWeightDoesNotDisturbOtherBlocks) {
  std::vector<uint16_t> row = gaussian(96, 1);
  std::vector<float> before = roundTrip(GetParam(), row);
  row[40] = bf16(1e6f);
  std::vector<float> after = roundTrip(GetParam(), row);
  EXPECT_NEAR(after[40], 1e6f, 8e3f);
  for (size_t i = 0; i < row.size(); ++i)
    if (i / kBlockWeights != 1)
      EXPECT_EQ(after[i], before[i]) << i;
}

TEST_P(BlockFormats, InfinitiesAndNaNAreNamedByTheirColumn) {
  for (uint16_t bits : {0x7f80, 0xff80, 0x7fc0, 0xffff}) {
    std::vector<uint16_t> row = gaussian(128, 1);
    row[77] = bits;
    std::vector<std::byte> stored(storedRowBytes(GetParam(), row.size()));
    EXPECT_EQ(packRow(GetParam(), row, stored), 77u) << bits;
  }
}

TEST(BlockFormat, MultiplesOfTheScaleAreExact) {
  // -127 .. 127 over eight blocks, each with a 127 of its own.
  std::vector<uint16_t> row = rowOf(320, [](size_t i) { return i % 32 == 0 ? 127.0f : float(int(i * 7 % 255) - 127); });
  std::vector<float> restored = roundTrip(WeightFormat::Q8, row);
  for (size_t i = 0; i < row.size(); ++i)
    EXPECT_EQ(restored[i], widen(row[i])) << i;
  // -8 .. 7, and 8 .. -7, which needs the scale to be negative.
  for (float sign : {1.0f, -1.0f}) {
    row = rowOf(64, [&](size_t i) { return sign * float(int(i % 16) - 8); });
    restored = roundTrip(WeightFormat::Q4, row);
    for (size_t i = 0; i < row.size(); ++i)
      EXPECT_EQ(restored[i], widen(row[i])) << i;
  }
}

TEST(BlockFormat, BytesLieAsTheFormatPageSays) {
  std::vector<uint16_t> row = rowOf(64, [](size_t i) { return i == 0 ? -127.0f : i == 33 ? 127.0f : 0.0f; });
  std::vector<std::byte> q8 = packed(WeightFormat::Q8, row);
  ASSERT_EQ(q8.size(), 68u);
  EXPECT_EQ(int(q8[0]), 1);
  EXPECT_EQ(int(q8[1]), 128);
  EXPECT_EQ(int(q8[33]), 255);
  EXPECT_EQ(int(q8[64]) | int(q8[65]) << 8, 0x3f80); // 1.0
  row = rowOf(32, [](size_t i) { return i == 0 ? -8.0f : i == 1 ? 3.0f : 0.0f; });
  std::vector<std::byte> q4 = packed(WeightFormat::Q4, row);
  ASSERT_EQ(q4.size(), 18u);
  EXPECT_EQ(int(q4[0]), 0 | 11 << 4);
  EXPECT_EQ(int(q4[1]), 0x88);
  EXPECT_EQ(int(q4[16]) | int(q4[17]) << 8, 0x3f80);
}

} // namespace
