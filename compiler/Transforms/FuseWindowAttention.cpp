//===- FuseWindowAttention.cpp - Split, rotation and window attention of a merged row ----------------------------===//

#include "compiler/Transforms/Passes.h"

#include "dialects/qwen/QwenOps.h"
#include "mlir/IR/Builders.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSEWINDOWATTENTIONPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// Heads cut out of a merged row at an offset, perhaps rotated.
struct Heads {
  Value row;
  int64_t offset = 0;
  RopeOp rope;
};

template <typename OpTy> OpTy getOnlyUseOf(Value value) {
  return value.hasOneUse() ? value.getDefiningOp<OpTy>() : OpTy();
}

std::optional<Heads> matchHeads(Value value) {
  Heads heads;
  if ((heads.rope = getOnlyUseOf<RopeOp>(value)))
    value = heads.rope.getInput();
  auto reshape = getOnlyUseOf<ReshapeOp>(value);
  auto slice = reshape ? getOnlyUseOf<SliceOp>(reshape.getInput()) : SliceOp();
  if (!slice)
    return std::nullopt;
  heads.row = slice.getInput();
  heads.offset = slice.getOffset();
  return heads;
}

struct FuseWindowAttention : qwen::impl::FuseWindowAttentionPassBase<FuseWindowAttention> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody())
      for (WindowAttentionOp op : llvm::make_early_inc_range(block.getOps<WindowAttentionOp>()))
        fuse(op);
    // Numbers that only rotations read are computed by these now.
    for (Block &block : getOperation().getBody())
      for (RowNumbersOp op : llvm::make_early_inc_range(block.getOps<RowNumbersOp>()))
        if (op->use_empty())
          op.erase();
  }

  void fuse(WindowAttentionOp op) {
    std::optional<Heads> q = matchHeads(op.getQuery()), k = matchHeads(op.getKeys()), v = matchHeads(op.getValues());
    auto numbers = op.getPositions().getDefiningOp<RowNumbersOp>();
    auto type = cast<RankedTensorType>(op.getQuery().getType());
    int64_t width = type.getDimSize(1) * type.getDimSize(2);
    if (!q || !k || !v || !numbers || q->row != k->row || k->row != v->row || q->offset != 0 || k->offset != width ||
        v->offset != 2 * width || cast<RankedTensorType>(q->row.getType()).getDimSize(1) != 3 * width)
      return;
    if (!q->rope || !k->rope || v->rope || q->rope.getPositions() != numbers.getResult() ||
        k->rope.getPositions() != numbers.getResult() || q->rope.getThetaAttr() != k->rope.getThetaAttr())
      return;
    OpBuilder builder(op);
    auto fused = RopeWindowAttentionOp::create(
        builder, op.getLoc(), op.getResult().getType(), q->row, numbers.getFirst(), op.getKState(), op.getVState(),
        builder.getI64IntegerAttr(type.getDimSize(1)), builder.getI64IntegerAttr(type.getDimSize(2)),
        op.getWindowAttr(), q->rope.getThetaAttr(), op.getScaleAttr());
    SmallVector<Value> chain = {op.getQuery(), op.getKeys(), op.getValues()};
    op.getResult().replaceAllUsesWith(fused.getResult());
    op.erase();
    for (Value value : chain)
      while (Operation *definition = value.use_empty() ? value.getDefiningOp() : nullptr) {
        if (!isa<RopeOp, ReshapeOp, SliceOp>(definition))
          break;
        value = definition->getOperand(0);
        definition->erase();
      }
    ++fusedCount;
  }
};

} // namespace
