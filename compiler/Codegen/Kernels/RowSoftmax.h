//===- RowSoftmax.h - Softmax of rows that lanes of a subgroup share ----------------------------------*- C++ -*-===//
//
// `pieces` neighbouring lanes of a subgroup, a power of two, hold one key at a time, each `width` elements of it: a
// slot. Every slot has a maximum, a sum and numerators of its own for each head, so no invocation waits for another
// until the last key is read (online softmax, Milakov and Gimelshein 2018). Then the slots of the workgroup meet.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/KernelBuilder.h"

namespace qwenc {

class RowSoftmax {
public:
  RowSoftmax(KernelBuilder &k, uint32_t heads, uint32_t width, uint32_t pieces, uint32_t slots)
      : k(k), heads(heads), width(width), pieces(pieces), slots(slots) {}

  /// Values carried from tile to tile: numerators [head][width], then the maxima of the heads, then their sums.
  uint32_t numeratorCount() const { return heads * width; }
  uint32_t carriedCount() const { return heads * (width + 2); }
  llvm::SmallVector<mlir::Value> begin() const;

  /// Adds keys and values. \p dots [key][head] are this lane's parts of the scores, \p visible says which keys count,
  /// and value(j) has this lane's elements of the value of key j.
  void add(Vals dots, llvm::ArrayRef<Val> visible, llvm::function_ref<Vals(uint32_t j)> value,
           llvm::MutableArrayRef<mlir::Value> carried) const;

  /// Scales the numerators of all slots to one maximum for each head. done(head, maximum, sum) is emitted once for each
  /// head, for one subgroup. \p memory has 2 * heads * slots floats. Contains a barrier; what done() leaves in
  /// workgroup memory, and the end of the reads of \p memory, need another.
  void meet(const Shared &memory, Val slot, Val piece, llvm::MutableArrayRef<mlir::Value> carried,
            llvm::function_ref<void(uint32_t head, Val maximum, Val sum)> done) const;

private:
  Val totalOf(const Shared &memory, uint32_t head, Val maximum) const;

  KernelBuilder &k;
  uint32_t heads, width, pieces, slots;
};

} // namespace qwenc
