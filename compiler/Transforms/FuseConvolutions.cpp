//===- FuseConvolutions.cpp - Convolutions over time take the activations around them ----------------------------===//

#include "compiler/Transforms/Passes.h"

#include "dialects/qwen/QwenOps.h"
#include "mlir/IR/Builders.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSECONVOLUTIONSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

template <typename OpTy> OpTy getOnlyUseOf(Value value) {
  return value.hasOneUse() ? value.getDefiningOp<OpTy>() : OpTy();
}

/// A snake that only \p op reads, and a lead that only the snake reads, or a lead alone.
template <typename ConvOp> unsigned takeInput(ConvOp op) {
  if (!op.getHistory() || op.getInAlpha() || op.getLead())
    return 0;
  unsigned taken = 0;
  if (auto snake = getOnlyUseOf<SnakeBetaOp>(op.getInput())) {
    op.getInAlphaMutable().assign(snake.getAlpha());
    op.getInBetaMutable().assign(snake.getBeta());
    op.getInputMutable().assign(snake.getInput());
    snake.erase();
    ++taken;
  }
  auto clear = getOnlyUseOf<ClearLeadOp>(op.getInput());
  if (clear && clear.getFirst() == op.getFirst()) {
    op.setLeadAttr(clear.getLeadAttr());
    op.setFrameRowsAttr(clear.getFrameRowsAttr());
    op.getInputMutable().assign(clear.getInput());
    clear.erase();
    ++taken;
  }
  return taken;
}

/// A snake or a clamp that alone reads the result. The parameters have to be there before.
unsigned takeResult(CausalConv1dOp op) {
  if (op.isDepthwise() || op.getOutAlpha() || op.getLimit() || !op.getResult().hasOneUse())
    return 0;
  Operation *reader = *op->user_begin();
  if (auto snake = dyn_cast<SnakeBetaOp>(reader)) {
    for (Value parameter : {snake.getAlpha(), snake.getBeta()})
      if (Operation *weight = parameter.getDefiningOp(); weight && op->isBeforeInBlock(weight))
        weight->moveBefore(op);
    op.getOutAlphaMutable().assign(snake.getAlpha());
    op.getOutBetaMutable().assign(snake.getBeta());
  } else if (auto clamp = dyn_cast<ClampOp>(reader)) {
    op.setLimitAttr(clamp.getLimitAttr());
  } else {
    return 0;
  }
  op->setLoc(reader->getLoc());
  reader->getResult(0).replaceAllUsesWith(op.getResult());
  reader->erase();
  return 1;
}

struct FuseConvolutions : qwen::impl::FuseConvolutionsPassBase<FuseConvolutions> {
  void runOnOperation() override {
    SmallVector<CausalConv1dOp> causal;
    SmallVector<ConvTranspose1dOp> transposed;
    getOperation().walk([&](CausalConv1dOp op) { causal.push_back(op); });
    getOperation().walk([&](ConvTranspose1dOp op) { transposed.push_back(op); });
    // Each activation meets the convolution before it first: it costs nothing there.
    for (CausalConv1dOp op : causal)
      fusedCount += takeResult(op);
    for (CausalConv1dOp op : causal)
      fusedCount += takeInput(op);
    for (ConvTranspose1dOp op : transposed)
      fusedCount += takeInput(op);
  }
};

} // namespace
