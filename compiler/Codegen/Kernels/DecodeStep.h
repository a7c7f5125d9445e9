//===- DecodeStep.h - What kernels of decode attention share ------------------------------------------*- C++ -*-===//
//
// One row attends to the keys of the cache and to its own. A workgroup has some query heads of one key/value head and
// one split of its keys. It normalises and rotates its heads and the newest key, which workgroup memory then holds; it
// leaves its part of the result and counts itself; who comes last of all splits combines them, always in the same
// order. So the next step reads one row however many splits there were.
//
// Partial results (flash decoding, Dao et al. 2023) are numerators [heads][splits][dim], then (maximum, sum)
// [heads][splits][2], so that both are aligned for wide loads. On matrices, means of the cache's type take the place of
// numerators (MatrixDecodeAttention.cpp).
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/Kernels/Kernels.h"

namespace qwenc {

class DecodeStep {
protected:
  /// \p headsEach query heads for each workgroup; invocations read \p width elements of a row of the cache at a time.
  DecodeStep(KernelBuilder &k, const Heads &heads, const Rotary &rotary, double scale, uint32_t splits,
             uint32_t headsEach, uint32_t width, const StateBlock &state);

  /// Floats of workgroup memory that the constructor takes.
  static uint32_t sharedFloats(uint32_t headsEach, uint32_t dim, uint32_t width) {
    return (headsEach + 1) * rowPitch(dim, width) + dim + 1;
  }

  /// Asks for what this step adds and waits for nothing.
  void loadHeads();
  /// Finds the position.
  void findPosition();
  /// Leaves the query heads, scaled, and behind them the newest key in workgroup memory, for rotatedPiece(). All
  /// invocations; contains barriers.
  void rotateHeads();
  /// This invocation's elements of a row that rotateHeads() left.
  Vals rotatedPiece(Val row);
  /// This invocation's elements of the newest value.
  Vals loadNewValue();

  /// First element of row \p key in the caches.
  Val cacheRow(Val key) { return (kvHead * heads.context + key) * heads.dim; }
  /// Where workgroup memory holds an element of a row: neighbours among the invocations read neighbouring words.
  Val place(Val element) { return element % width * pitch(heads.dim, width) + element / width; }
  /// Odd for most dims, against bank conflicts.
  static uint32_t pitch(uint32_t dim, uint32_t width) { return dim / width + 1; }
  static uint32_t rowPitch(uint32_t dim, uint32_t width) { return width * pitch(dim, width); }

  /// Subgroups there are at least.
  uint32_t subgroups() const;
  uint32_t turnsOf(uint32_t rows) const { return llvm::divideCeil(rows, subgroups()); }

  /// A split of a head, flattened.
  Val record(Val g, Val split) { return (kvHead * group + head0 + g) * splits + split; }
  Val isPresent(Val g) { return head0 + g < group; }
  /// Element of the partial results where (maximum, sum) of a record lie.
  Val statisticsOf(Val record) { return record * 2 + heads.query * splits * heads.dim; }

  /// Counts this workgroup, which has stored its part: whether it is the last of the active ones. Behind a
  /// deviceBarrier() it may then load what the others left.
  Val arrive();

  KernelBuilder &k;
  const Heads &heads;
  const Rotary &rotary;
  double scale;
  uint32_t splits, group, headsEach; // group: query heads of a key/value head
  uint32_t width, pieces;            // of an access of the cache, in elements; accesses of a row
  Buffer keys, values, partials;
  Val t, piece;             // of this invocation
  Val kvHead, split, head0; // of this workgroup; its first head within the group
  Val position;             // of the newest key
  Val active;               // splits that hold keys
  Shared rotated;           // rows of rotateHeads(), then free

private:
  HeadPairs rowPairs(Val row);

  Buffer qkv, qNorm, kNorm, cells;
  uint32_t arrivals; // first counter, in words of the state block
  RotaryTable table;
  Val newestPosition, rotation;
  llvm::SmallVector<HeadPairs> rows;
};

/// decodeAttentionKernel on cooperative matrices, for groups of 4 to 16 query heads. Operands have the cache's type
/// (queries, softmax weights and the parts of the splits are rounded to it), sums are f32. Fails where the target has
/// no such matrices or no subgroups of 32, or the shape does not divide into them.
mlir::FailureOr<KernelPlan> matrixDecodeAttentionKernel(const Heads &heads, const Rotary &rotary, double scale,
                                                        uint32_t splits, const StateBlock &state,
                                                        const TargetProfile &target);

/// "_norm_h32kv4d128_c8192_f16_s16_mrope_p1a2b3c4d": how names of these kernels end.
std::string decodeAttentionSuffix(const Heads &heads, const Rotary &rotary, double scale, uint32_t splits);

} // namespace qwenc
