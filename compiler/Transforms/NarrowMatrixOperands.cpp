//===- NarrowMatrixOperands.cpp - bf16 storage for what only feeds matrix units ---------------------------------===//

#include "compiler/Transforms/Passes.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_NARROWMATRIXOPERANDSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// Whether \p product makes the logits of a router: a rounded logit could change the choice, so that one stays f32.
bool isRouter(FusedLinearOp product) {
  return llvm::any_of(product->getUsers(), [](Operation *user) { return isa<RouteOp>(user); });
}

/// Whether \p use is the input of a product that takes bf16.
bool isMatrixOperand(OpOperand &use) {
  if (auto product = dyn_cast<FusedLinearOp>(use.getOwner()))
    return &use == &product.getInputMutable() && product.getPrologue() == Prologue::None && !isRouter(product);
  auto experts = dyn_cast<FusedExpertsOp>(use.getOwner());
  return experts && &use == &experts.getInputMutable() && !experts.getNormWeight();
}

/// Whether products alone read \p value, as their input, perhaps through views. Fills \p views with those.
bool feedsOnlyProducts(Value value, SmallVectorImpl<Value> &views) {
  SmallVector<Value> work = {value};
  while (!work.empty()) {
    for (OpOperand &use : work.pop_back_val().getUses()) {
      if (isMatrixOperand(use))
        continue;
      auto view = dyn_cast<ReshapeOp>(use.getOwner());
      if (!view)
        return false;
      views.push_back(view.getResult());
      work.push_back(view.getResult());
    }
  }
  return true;
}

/// Whether the values of \p op stay in the range of f16 whatever the model: a normalised row by its norm's weights,
/// attention by the values it weighs, which are f16 already.
bool isBounded(Operation *op) {
  auto attention = dyn_cast<AttentionOp>(op);
  return isa<RmsNormOp>(op) ||
         (attention && cast<RankedTensorType>(attention.getValues().getType()).getElementType().isF16());
}

struct NarrowMatrixOperands : qwen::impl::NarrowMatrixOperandsPassBase<NarrowMatrixOperands> {
  using NarrowMatrixOperandsPassBase::NarrowMatrixOperandsPassBase;

  void runOnOperation() override {
    getOperation().walk([&](RmsNormOp norm) { splitNorm(norm); });
    getOperation().walk([&](Operation *op) {
      if (!isa<RmsNormOp, AttentionOp, FusedLinearOp, FusedExpertsOp, ElementwiseOp>(op) || op->use_empty())
        return;
      Value result = op->getResult(0);
      auto type = cast<RankedTensorType>(result.getType());
      bool hasManyRows = getRows(type) || type.getRank() == 0 || type.getDimSize(0) != 1;
      SmallVector<Value> views;
      if (!type.getElementType().isF32() || !hasManyRows || !feedsOnlyProducts(result, views))
        return;
      views.push_back(result);
      Type narrow = f16 && isBounded(op) ? Type(Float16Type::get(&getContext())) : BFloat16Type::get(&getContext());
      for (Value value : views)
        value.setType(cast<RankedTensorType>(value.getType()).clone(narrow));
      ++narrowedCount;
    });
  }

  /// A norm that a router and matrix units read is computed twice: once more is cheaper than a router without them.
  void splitNorm(RmsNormOp norm) {
    auto isNarrow = [](OpOperand &use) { return isMatrixOperand(use); };
    if (llvm::none_of(norm->getUses(), isNarrow) || llvm::all_of(norm->getUses(), isNarrow))
      return;
    bool routed = llvm::any_of(norm->getUsers(), [](Operation *user) {
      auto product = dyn_cast<FusedLinearOp>(user);
      return product && isRouter(product);
    });
    if (!routed)
      return;
    OpBuilder builder(norm);
    Operation *copy = builder.clone(*norm);
    norm.getResult().replaceUsesWithIf(copy->getResult(0), isNarrow);
  }
};

} // namespace
