//===- BlockFormat.cpp - Rows of bf16 to rows of q8 or q4 and back ----------------------------------------------===//
#include "models/Packing/BlockFormat.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

using namespace qwenc;
using qwenrt::kBlockWeights;

namespace {

using Block = std::array<float, kBlockWeights>;

/// Sums over a block are made of eight, added in one order: compilers keep the order of floating-point sums, and one long
/// chain would not vectorise.
constexpr uint32_t kLanes = 8;

float sumOf(const std::array<float, kLanes> &lanes) {
  float sum = 0;
  for (float lane : lanes)
    sum += lane;
  return sum;
}

/// Blocks of smaller weights are stored as zeros, so that scales stay normal numbers: devices may flush others.
constexpr int kSmallestExponent = -100;

float fromBf16(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

/// To nearest even; \p value is finite and far from the largest f32.
uint16_t toBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// To the nearest integer, ties to even; for |value| < 2^22. Unlike nearbyint() it does not depend on the rounding mode
/// being asked for in every loop.
float roundToInteger(float value) {
  constexpr float kShift = 12582912.0f; // 1.5 * 2^23: one unit in the last place is 1
  return (value + kShift) - kShift;
}

/// The weights of a block as integers least .. most times a scale.
struct Levels {
  Block integers;
  float squaredError = INFINITY;
  uint16_t scale = 0;
};

Levels quantise(const Block &block, float scale, float least, float most) {
  Levels levels;
  levels.scale = toBf16(scale);
  float stored = fromBf16(levels.scale), inverse = 1.0f / stored;
  std::array<float, kLanes> errors = {};
  for (uint32_t first = 0; first < kBlockWeights; first += kLanes)
    for (uint32_t i = 0; i < kLanes; ++i) {
      float weight = block[first + i], integer = roundToInteger(weight * inverse);
      integer = integer < least ? least : integer;
      integer = integer > most ? most : integer;
      float difference = weight - integer * stored;
      levels.integers[first + i] = integer;
      errors[i] += difference * difference;
    }
  levels.squaredError = sumOf(errors);
  return levels;
}

/// The scale with the least squared error for given integers.
float fittedScale(const Block &block, const Levels &levels) {
  std::array<float, kLanes> products = {}, squares = {};
  for (uint32_t first = 0; first < kBlockWeights; first += kLanes)
    for (uint32_t i = 0; i < kLanes; ++i) {
      float integer = levels.integers[first + i];
      products[i] += block[first + i] * integer;
      squares[i] += integer * integer;
    }
  float sum = sumOf(squares);
  return sum > 0 ? sumOf(products) / sum : 0;
}

/// q4 has -8 .. 7: the sign of the scale lets the largest weight take the -8. Scales around that one, each followed by
/// its best fit, are tried in a fixed order; the first of the best wins.
Levels chooseQ4(const Block &block, float largest) {
  Levels best;
  auto consider = [&](const Levels &levels) {
    if (levels.squaredError < best.squaredError)
      best = levels;
  };
  for (float steps : {8.0f, 7.5f, 7.0f, 8.5f, 9.0f, 9.5f, -7.0f, -7.5f, -8.0f}) {
    Levels levels = quantise(block, -largest / steps, -8, 7);
    consider(levels);
    if (float fitted = fittedScale(block, levels); fitted != 0)
      consider(quantise(block, fitted, -8, 7));
  }
  return best;
}

/// Moves the block's largest weight to [1, 2) and returns the exponent it had, or nothing for a block of zeros.
std::optional<int> normalise(Block &block, float &largest) {
  float magnitude = 0;
  for (float weight : block)
    magnitude = std::max(magnitude, std::abs(weight));
  if (magnitude < std::ldexp(1.0f, kSmallestExponent))
    return std::nullopt;
  int exponent = std::ilogb(magnitude);
  float factor = std::ldexp(1.0f, -exponent); // exact, also where it is subnormal
  largest = 0;
  for (float &weight : block) {
    weight *= factor;
    if (std::abs(weight) > std::abs(largest))
      largest = weight;
  }
  return exponent;
}

Levels choose(WeightFormat format, Block block) {
  float largest = 0;
  std::optional<int> exponent = normalise(block, largest);
  if (!exponent)
    return Levels{{}, 0, 0};
  Levels levels =
      format == WeightFormat::Q8 ? quantise(block, std::abs(largest) / 127, -127, 127) : chooseQ4(block, largest);
  levels.scale = toBf16(std::ldexp(fromBf16(levels.scale), *exponent));
  return levels;
}

void storeBlock(WeightFormat format, const Levels &levels, uint64_t block, std::span<std::byte> stored) {
  if (format == WeightFormat::Q8) {
    for (uint32_t i = 0; i < kBlockWeights; ++i)
      stored[block * kBlockWeights + i] = static_cast<std::byte>(static_cast<int>(levels.integers[i]) + 128);
    return;
  }
  for (uint32_t i = 0; i < kBlockWeights; i += 2) {
    int low = static_cast<int>(levels.integers[i]) + 8, high = static_cast<int>(levels.integers[i + 1]) + 8;
    stored[(block * kBlockWeights + i) / 2] = static_cast<std::byte>(low | high << 4);
  }
}

} // namespace

std::optional<uint64_t> qwenc::packRow(WeightFormat format, std::span<const uint16_t> row,
                                       std::span<std::byte> stored) {
  constexpr uint16_t kExponent = 0x7f80;
  std::byte *scales = stored.data() + quantBytes(format, row.size());
  for (uint64_t block = 0; block < row.size() / kBlockWeights; ++block) {
    Block weights;
    for (uint32_t i = 0; i < kBlockWeights; ++i) {
      uint16_t bits = row[block * kBlockWeights + i];
      if ((bits & kExponent) == kExponent)
        return block * kBlockWeights + i;
      weights[i] = fromBf16(bits);
    }
    Levels levels = choose(format, weights);
    storeBlock(format, levels, block, stored);
    scales[2 * block] = static_cast<std::byte>(levels.scale & 0xff);
    scales[2 * block + 1] = static_cast<std::byte>(levels.scale >> 8);
  }
  return std::nullopt;
}

void qwenc::unpackRow(WeightFormat format, std::span<const std::byte> stored, std::span<float> row) {
  const std::byte *scales = stored.data() + quantBytes(format, row.size());
  for (uint64_t i = 0; i < row.size(); ++i) {
    uint64_t block = i / kBlockWeights;
    float scale = fromBf16(static_cast<uint16_t>(unsigned(scales[2 * block]) | unsigned(scales[2 * block + 1]) << 8));
    int integer = format == WeightFormat::Q8 ? int(stored[i]) - 128 : (int(stored[i / 2]) >> (i % 2 * 4) & 15) - 8;
    row[i] = static_cast<float>(integer) * scale;
  }
}
