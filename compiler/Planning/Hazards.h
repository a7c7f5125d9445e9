//===- Hazards.h - Which dispatches must not overlap in time -------------------------------------------*- C++ -*-===//
#pragma once

#include "dialects/plan/PlanOps.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace qwenc {

/// Bytes [begin, end) of one space that a dispatch may touch. Spaces are disjoint memory: the arena, a storage.
struct Touch {
  const void *space;
  int64_t begin, end;
  bool reads, writes;
};

/// Says which memory \p range stands for: sets the space and the byte at which the range begins.
using SpaceOfRange = llvm::function_ref<void(mlir::Value range, const void *&space, int64_t &begin)>;

/// What a dispatch may touch through its operands; weights are left out, since nothing writes them.
llvm::SmallVector<Touch> touchesOf(mlir::plan::DispatchOp dispatch, mlir::plan::KernelOp kernel, SpaceOfRange spaceOf);

/// The bytes touched since the last barrier.
class HazardTracker {
public:
  /// Whether one of \p touches has to wait: it reads or writes what was written, or writes what was read.
  bool mustWait(llvm::ArrayRef<Touch> touches) const;
  void record(llvm::ArrayRef<Touch> touches) { since_.append(touches.begin(), touches.end()); }
  void barrier() { since_.clear(); }

private:
  llvm::SmallVector<Touch> since_;
};

/// Spaces after plan-assign-offsets: allocations share the arena, storages are apart from each other.
void spaceOfPlacedRange(mlir::Value range, const void *&space, int64_t &begin);

/// Spaces before plan-assign-offsets: every allocation is memory of its own.
void spaceOfUnplacedRange(mlir::Value range, const void *&space, int64_t &begin);

} // namespace qwenc
