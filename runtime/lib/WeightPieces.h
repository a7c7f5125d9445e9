//===- WeightPieces.h - The work of loading, cut into portions of equal size --------------------------------------===//
//
// A checkpoint has a few large tensors or some ten thousand small ones; threads and copies want portions of one size.
// So bindings are cut and joined, in the order of the files, into batches of kBatchBytes.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "File.h"
#include "qwenrt/Plan.h"

#include <algorithm>
#include <span>
#include <vector>

namespace qwenrt {

/// Placed bytes of a batch at most. Large enough that a submission costs little beside its copy, small enough that two
/// for each thread are pinned quickly and stay near the processor's caches.
constexpr uint64_t kBatchBytes = 4 << 20;

/// Bytes [begin, end) of a binding as it lies in its buffer, gaps between rows included.
struct WeightPiece {
  const fb::WeightBinding *weight;
  uint64_t begin, end;
  uint64_t stagingOffset; ///< where it starts within its batch, a multiple of 16

  uint64_t placedBytes() const { return end - begin; }
  /// How many of the binding's bytes in the file come before placed byte \p at.
  uint64_t fileBytesBefore(uint64_t at) const {
    uint64_t row = at / weight->pitch_bytes(), within = at % weight->pitch_bytes();
    return row * weight->row_bytes() + std::min(within, weight->row_bytes());
  }
  uint64_t fileBegin() const { return weight->file_offset() + fileBytesBefore(begin); }
  uint64_t fileBytes() const { return fileBytesBefore(end) - fileBytesBefore(begin); }
  bool padded() const { return weight->pitch_bytes() != weight->row_bytes(); }
  uint64_t bufferOffset() const { return weight->buffer_offset() + begin; }
};

/// Pieces of one file that are read and uploaded together; neighbours in the file as far as the plan uses all of it.
struct WeightBatch {
  size_t firstPiece, pieceCount;
};

struct WeightPieces {
  std::vector<WeightPiece> pieces; ///< in the order of the files, so that disks read ahead
  std::vector<WeightBatch> batches;
  uint64_t fileBytes = 0; ///< of all pieces
  int32_t layers = 0;     ///< one more than the highest layer

  std::span<const WeightPiece> of(const WeightBatch &batch) const {
    return std::span(pieces).subspan(batch.firstPiece, batch.pieceCount);
  }
};

/// Cuts all weights of the verified \p plan.
WeightPieces cutWeights(const fb::Plan &plan);

/// Reads \p piece to \p target in its placed form. Padded rows are spread in place, so \p target should be memory that
/// reads quickly.
Status readPlaced(const File &file, const WeightPiece &piece, std::byte *target);

/// Copies to memory that is written to but not read soon: with wide stores that go past the caches, where the processor
/// has them. Write-combined memory behind a bus wants whole lines in rising order. Ends with a fence.
void copyStreaming(std::byte *target, const std::byte *source, size_t sizeBytes);

} // namespace qwenrt
