//===- NarrowMatrixOperands.cpp - bf16 storage for what only feeds matrix units ---------------------------------===//

#include "compiler/Transforms/Passes.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_NARROWMATRIXOPERANDSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// Whether products alone read \p value, as their input, perhaps through views. Fills \p views with those.
bool feedsOnlyProducts(Value value, SmallVectorImpl<Value> &views) {
  SmallVector<Value> work = {value};
  while (!work.empty()) {
    for (OpOperand &use : work.pop_back_val().getUses()) {
      if (auto product = dyn_cast<FusedLinearOp>(use.getOwner())) {
        if (&use != &product.getInputMutable() || product.getPrologue() != Prologue::None)
          return false;
        continue;
      }
      auto view = dyn_cast<ReshapeOp>(use.getOwner());
      if (!view)
        return false;
      views.push_back(view.getResult());
      work.push_back(view.getResult());
    }
  }
  return true;
}

struct NarrowMatrixOperands : qwen::impl::NarrowMatrixOperandsPassBase<NarrowMatrixOperands> {
  void runOnOperation() override {
    getOperation().walk([&](Operation *op) {
      if (!isa<RmsNormOp, AttentionOp, FusedLinearOp, ElementwiseOp>(op) || op->use_empty())
        return;
      Value result = op->getResult(0);
      auto type = cast<RankedTensorType>(result.getType());
      bool hasManyRows = getRows(type) || type.getRank() == 0 || type.getDimSize(0) != 1;
      SmallVector<Value> views;
      if (!type.getElementType().isF32() || !hasManyRows || !feedsOnlyProducts(result, views))
        return;
      views.push_back(result);
      for (Value value : views)
        value.setType(cast<RankedTensorType>(value.getType()).clone(BFloat16Type::get(&getContext())));
      ++narrowedCount;
    });
  }
};

} // namespace
