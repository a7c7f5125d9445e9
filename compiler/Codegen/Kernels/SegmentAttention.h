//===- SegmentAttention.h - Attention within stretches of rows --------------------------------------------*- C++
//-*-===//
//
// The kernels of encoders, whose rows see each other in windows of sound or in frames of a video. Nothing is cached:
// keys and values are rows of the same run.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/Kernels/Kernels.h"

namespace qwenc {

/// Rows of heads [rows, heads, dim], which may be columns of a wider row: of a merged q/k/v product.
struct HeadRows {
  Elem elem = Elem::F32;
  uint32_t pitch = 0;  ///< elements from a row to the next
  uint32_t column = 0; ///< where the first head begins

  uint64_t bytes(uint32_t rows) const { return uint64_t(rows) * pitch * elemBytes(elem); }
  /// "_p3456c1152", or empty where the heads fill the row of `width` elements.
  std::string suffix(uint32_t width) const;
};

struct SegmentHeads {
  uint32_t heads = 0, dim = 0;
  HeadRows query, keys, values;

  uint32_t width() const { return heads * dim; }
  /// "_h16d72_r512x4": shape, columns and element types.
  std::string suffix(const RowBound &rows) const;
};

/// Operands: q, k, v, segments i32[rows, 2], (state,) y [rows, heads, dim]. Row r sees the keys segments[r, 0] ..
/// segments[r, 1] - 1, as far as these rows are there; a row that sees none becomes 0. Online softmax over key tiles
/// (Milakov and Gimelshein 2018; Dao et al. 2022). Fails where heads do not begin at multiples of 16 bytes of f32, or
/// tiles of them do not fit the target's workgroup memory.
mlir::FailureOr<KernelPlan> segmentAttentionKernel(const RowBound &rows, const SegmentHeads &heads, double scale,
                                                   Elem output, const StateBlock &state, const TargetProfile &target);

/// What the rows of a tile of queries see, in workgroup memory.
class TileSegments {
public:
  /// \p queries rows. Declares workgroup memory.
  TileSegments(KernelBuilder &k, Buffer segments, uint32_t queries);
  /// Reads the stretches of rows first .. first + queries - 1, of which those below \p count are there. Contains a
  /// barrier.
  void load(Val first, Val count);
  /// All keys that a row of the tile sees lie in [lower(), upper()).
  Val lower() const { return lower_; }
  Val upper() const { return upper_; }
  /// Of row \p row of the tile: the first key, and the key behind the last; 0 for a row that sees none.
  Val begin(Val row) const { return k.loadOne(begins, row); }
  Val end(Val row) const { return k.loadOne(ends, row); }

private:
  KernelBuilder &k;
  Buffer segments;
  uint32_t queries;
  Shared begins, ends;
  Val lower_, upper_;
};

} // namespace qwenc
