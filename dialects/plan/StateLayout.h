//===- StateLayout.h - Where the cells lie in the state block and the mailbox --------------------------*- C++ -*-===//
//
// Kernels have these offsets in their bodies, so code generation and the plan.cell operations must take them from one
// place. The runtime does not use this header: it reads the cells of the plan.
//
//   state:    0 position   4 length   8 rows   12 head_row   16 head_rows   20 step   24 seed   28 temperature
//             32 top_k   36 top_p   40 repetition_penalty   44 position_delta   48 text_rows   52..63 unused   64 tokens[max_context + 1]
//             behind them, each 64-byte aligned: arrivals[1024], extents[32], rotary_positions[max_context + 1][3],
//             media_rows[max_context + 1]
//   mailbox:  0 sampled[1024]
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <cstdint>

namespace mlir::plan::layout {

/// Byte offsets in the storage of purpose `state`; every cell is 4 bytes wide.
inline constexpr int64_t kPosition = 0;           ///< u32, positions already in the caches
inline constexpr int64_t kLength = 4;             ///< u32, tokens known in the history
inline constexpr int64_t kRows = 8;               ///< u32, rows of the chunk in work
inline constexpr int64_t kHeadRow = 12;           ///< u32, first hidden row the logits entry reads
inline constexpr int64_t kHeadRows = 16;          ///< u32, number of hidden rows the logits entry computes
inline constexpr int64_t kStep = 20;              ///< u32, tokens sampled since reset
inline constexpr int64_t kSeed = 24;              ///< u32
inline constexpr int64_t kTemperature = 28;       ///< f32
inline constexpr int64_t kTopK = 32;              ///< u32, 0 = off
inline constexpr int64_t kTopP = 36;              ///< f32, 1 = off
inline constexpr int64_t kRepetitionPenalty = 40; ///< f32, 1 = off
inline constexpr int64_t kPositionDelta = 44;     ///< f32
inline constexpr int64_t kTextRows = 48;           ///< u32, rows of text that a speaker has
inline constexpr int64_t kTokens = 64;            ///< i32[maxContext + 1], token history

/// Byte offset and element count of the ring of sampled tokens in the storage of purpose `mailbox`.
inline constexpr int64_t kSampled = 0;
inline constexpr int64_t kSampledCount = 1024;

/// The history holds every position of the context and the token sampled at the last one.
inline constexpr int64_t tokenCount(int64_t maxContext) { return maxContext + 1; }
/// u32[kArrivalCount], workgroups of one dispatch that have arrived at a common point; zero between dispatches.
inline constexpr int64_t kArrivalCount = 1024;
inline constexpr int64_t align64(int64_t offset) { return (offset + 63) / 64 * 64; }
inline constexpr int64_t arrivals(int64_t maxContext) { return align64(kTokens + 4 * tokenCount(maxContext)); }
/// u32[kExtentCount], extents of the symbols of entries that are run with tensors.
inline constexpr int64_t kExtentCount = 32;
inline constexpr int64_t extents(int64_t maxContext) { return arrivals(maxContext) + 4 * kArrivalCount; }
/// f32[maxContext + 1][3], time, height and width of each token.
inline constexpr int64_t rotaryPositions(int64_t maxContext) { return extents(maxContext) + 4 * kExtentCount; }
/// i32[maxContext + 1]
inline constexpr int64_t mediaRows(int64_t maxContext) {
  return align64(rotaryPositions(maxContext) + 12 * tokenCount(maxContext));
}
inline constexpr int64_t stateBytes(int64_t maxContext) { return mediaRows(maxContext) + 4 * tokenCount(maxContext); }
inline constexpr int64_t mailboxBytes() { return kSampled + 4 * kSampledCount; }

} // namespace mlir::plan::layout
