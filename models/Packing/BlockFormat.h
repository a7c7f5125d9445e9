//===- BlockFormat.h - Rows of bf16 to rows of q8 or q4 and back ------------------------------------------------===//
//
// A row is cut into blocks of 32 weights along K; a block has one bf16 scale. tools/qwen-pack/README.md describes the
// bytes and the choice of scales. Packing a row depends on nothing but the row: the result is the same bytes on every
// machine, in any order and on any number of threads.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/schema/WeightFormat.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace qwenc {

using qwenrt::WeightFormat;

/// Packs \p row (bf16 bits, a multiple of 32 weights) into \p stored, storedRowBytes(format, row.size()) bytes; \p
/// format is q8 or q4. Returns the column of the first infinity or NaN, which no block can hold; \p stored is then
/// unspecified.
std::optional<uint64_t> packRow(WeightFormat format, std::span<const uint16_t> row, std::span<std::byte> stored);

/// The values that kernels compute from \p stored, in f32.
void unpackRow(WeightFormat format, std::span<const std::byte> stored, std::span<float> row);

} // namespace qwenc
