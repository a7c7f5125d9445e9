//===- Hazards.cpp - Which dispatches must not overlap in time ----------------------------------------------------===//
#include "compiler/Planning/Hazards.h"

using namespace mlir;
using namespace mlir::plan;

namespace qwenc {

SmallVector<Touch> touchesOf(DispatchOp dispatch, KernelOp kernel, SpaceOfRange spaceOf) {
  SmallVector<Touch> touches;
  for (auto [range, access, bytes] : llvm::zip_equal(
           dispatch.getOperands(), kernel.getOperandAccess().getAsRange<AccessAttr>(), kernel.getOperandBytes())) {
    if (range.getDefiningOp<WeightsOp>())
      continue;
    Touch touch{nullptr, 0, 0, access.getValue() != Access::Write, access.getValue() != Access::Read};
    spaceOf(range, touch.space, touch.begin);
    touch.end = touch.begin + bytes;
    touches.push_back(touch);
  }
  return touches;
}

bool HazardTracker::mustWait(ArrayRef<Touch> touches) const {
  return llvm::any_of(touches, [&](const Touch &now) {
    return llvm::any_of(since_, [&](const Touch &before) {
      bool overlap = now.space == before.space && now.begin < before.end && before.begin < now.end;
      return overlap && (before.writes || now.writes);
    });
  });
}

/// A ref lies in the space of its storage, which its name stands for.
static void spaceOfRef(RefOp ref, const void *&space, int64_t &begin) {
  space = ref.getStorageAttr().getAttr().getAsOpaquePointer();
  begin = ref.getOffset();
}

void spaceOfPlacedRange(Value range, const void *&space, int64_t &begin) {
  static const char arena = 0;
  if (auto ref = range.getDefiningOp<RefOp>())
    return spaceOfRef(ref, space, begin);
  space = &arena;
  begin = *range.getDefiningOp<AllocOp>().getOffset();
}

void spaceOfUnplacedRange(Value range, const void *&space, int64_t &begin) {
  if (auto ref = range.getDefiningOp<RefOp>())
    return spaceOfRef(ref, space, begin);
  space = range.getDefiningOp();
  begin = 0;
}

} // namespace qwenc
