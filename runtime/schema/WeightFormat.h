//===- WeightFormat.h - How weights lie in files and on the device ------------------------------------*- C++ -*-===//
//
// The block formats q8 and q4 in numbers, shared by the compiler (kernels, places), the packer and the schema's
// readers. What the bytes mean is written in tools/qwen-pack/README.md. Header only, like PlanFile.h.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace qwenrt {

/// The numbers are those of WeightFormat in plan.fbs and of the qwen dialect.
enum class WeightFormat : uint8_t { BF16, Q8, Q4 };

inline constexpr std::array<std::string_view, 3> kWeightFormatNames = {"bf16", "q8", "q4"};

constexpr std::string_view weightFormatName(WeightFormat format) {
  return kWeightFormatNames[static_cast<size_t>(format)];
}

constexpr std::optional<WeightFormat> weightFormatFromName(std::string_view name) {
  for (size_t i = 0; i < kWeightFormatNames.size(); ++i)
    if (kWeightFormatNames[i] == name)
      return static_cast<WeightFormat>(i);
  return std::nullopt;
}

/// Weights along a row that share a scale. Rows of q8 and q4 have a multiple of it.
inline constexpr uint32_t kBlockWeights = 32;

/// Bits of one weight without its share of the scale.
constexpr uint32_t weightBits(WeightFormat format) {
  return format == WeightFormat::BF16 ? 16 : format == WeightFormat::Q8 ? 8 : 4;
}

/// Bytes of the weights of a row; behind them begin the row's scales.
constexpr uint64_t quantBytes(WeightFormat format, uint64_t columns) { return columns * weightBits(format) / 8; }

/// Bytes of a stored row: weights, then one bf16 scale for each block.
constexpr uint64_t storedRowBytes(WeightFormat format, uint64_t columns) {
  uint64_t scaleBytes = format == WeightFormat::BF16 ? 0 : columns / kBlockWeights * 2;
  return quantBytes(format, columns) + scaleBytes;
}

/// Distance of two rows on the device: every row begins at a multiple of 16 bytes.
constexpr uint64_t rowPitchBytes(WeightFormat format, uint64_t columns) {
  return (storedRowBytes(format, columns) + 15) / 16 * 16;
}

/// Columns of a stored row of \p rowBytes bytes, or nothing when no row of the format has this size.
constexpr std::optional<uint64_t> columnsOf(WeightFormat format, uint64_t rowBytes) {
  uint64_t unit = format == WeightFormat::BF16 ? 1 : kBlockWeights;
  uint64_t unitBytes = storedRowBytes(format, unit);
  if (rowBytes == 0 || rowBytes % unitBytes != 0 || rowBytes / unitBytes > UINT64_MAX / unit)
    return std::nullopt;
  return rowBytes / unitBytes * unit;
}

/// Names a checkpoint by the header hashes of its files: FNV-1a 64 over their little-endian bytes, in the plan's order.
constexpr uint64_t checkpointHash(std::span<const uint64_t> headerHashes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (uint64_t header : headerHashes)
    for (unsigned i = 0; i < 8; ++i)
      hash = (hash ^ (header >> 8 * i & 0xff)) * 0x100000001b3u;
  return hash;
}

} // namespace qwenrt
