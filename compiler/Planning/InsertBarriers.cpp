//===- InsertBarriers.cpp - Inserts the fewest barriers that order the dispatches ---------------------------------===//
#include "compiler/Planning/Hazards.h"
#include "compiler/Planning/Passes.h"

using namespace mlir;
using namespace mlir::plan;

namespace qwenc {
#define GEN_PASS_DEF_INSERTBARRIERS
#include "compiler/Planning/Passes.h.inc"

namespace {

class InsertBarriersPass : public impl::InsertBarriersBase<InsertBarriersPass> {
  void runOnOperation() override {
    for (auto entry : getOperation().getOps<EntryOp>())
      if (failed(insert(entry)))
        return signalPassFailure();
  }

  LogicalResult insert(EntryOp entry) {
    for (auto alloc : entry.getBody().getOps<AllocOp>())
      if (!alloc.getOffset() && !alloc->use_empty())
        return alloc.emitOpError() << "\"" << alloc.getLabel() << "\" has no offset; run plan-assign-offsets first";
    SymbolTable symbols(getOperation());
    HazardTracker tracker;
    for (Operation &op : entry.getBody().front()) {
      if (isa<BarrierOp>(op))
        tracker.barrier();
      auto dispatch = dyn_cast<DispatchOp>(op);
      if (!dispatch)
        continue;
      ++numDispatches;
      SmallVector<Touch> touches =
          touchesOf(dispatch, symbols.lookup<KernelOp>(dispatch.getKernel()), spaceOfPlacedRange);
      if (tracker.mustWait(touches)) {
        OpBuilder builder(dispatch);
        BarrierOp::create(builder, dispatch.getLoc());
        ++numBarriers;
        tracker.barrier();
      }
      tracker.record(touches);
    }
    return success();
  }
};

} // namespace
} // namespace qwenc
