//===- SplitDecodeAttention.cpp - Attention of one row, split over its keys -------------------------------------===//

#include "compiler/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_SPLITDECODEATTENTIONPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

class SplitAttention : public OpRewritePattern<AttentionOp> {
public:
  SplitAttention(MLIRContext *context, int64_t mostSplits, Pass::Statistic &splitCount)
      : OpRewritePattern(context), mostSplits(mostSplits), splitCount(splitCount) {}

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    auto query = cast<RankedTensorType>(op.getQuery().getType());
    if (query.getDimSize(0) != 1 || getRows(query) || !op.getCausal() ||
        !op.getResult().getType().getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "is not causal attention of one f32 row");
    auto append = op.getQuery().getDefiningOp<RopeAppendOp>();
    if (!append || op.getQuery() != append.getQuery() || op.getKeys() != append.getKResult() ||
        op.getValues() != append.getVResult())
      return rewriter.notifyMatchFailure(op, "the inputs are not the results of one rope_append");
    if (!append.getQuery().hasOneUse() || !append.getKResult().hasOneUse() || !append.getVResult().hasOneUse())
      return rewriter.notifyMatchFailure(op, "something else reads the query or the caches");

    int64_t heads = append.getNumHeads(), headDim = append.getHeadDim();
    int64_t positions = cast<RankedTensorType>(op.getKeys().getType()).getDimSize(0);
    int64_t splits = std::min<int64_t>(mostSplits, llvm::divideCeil(positions, keysPerSplit));
    Type element = rewriter.getF32Type();
    auto decode = DecodeAttentionOp::create(
        rewriter, op.getLoc(), RankedTensorType::get({heads, splits, headDim + 2}, element),
        append.getKResult().getType(), append.getVResult().getType(), append.getQkv(), append.getQNorm(),
        append.getKNorm(), append.getKCache(), append.getVCache(), append.getNumHeadsAttr(), append.getNumKvHeadsAttr(),
        append.getHeadDimAttr(), append.getThetaAttr(), append.getEpsAttr(), append.getSectionsAttr(),
        op.getScaleAttr(), rewriter.getI64IntegerAttr(splits));
    Value combined = CombineSplitsOp::create(
        rewriter, op.getLoc(), RankedTensorType::get({1, heads * headDim}, element), decode.getPartials());
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getResult().getType(), combined);
    rewriter.eraseOp(append);
    ++splitCount;
    return success();
  }

private:
  /// A short cache, such as that of one frame, has nothing to divide.
  static constexpr int64_t keysPerSplit = 64;
  int64_t mostSplits;
  Pass::Statistic &splitCount;
};

struct SplitDecodeAttention : qwen::impl::SplitDecodeAttentionPassBase<SplitDecodeAttention> {
  using SplitDecodeAttentionPassBase::SplitDecodeAttentionPassBase;

  void runOnOperation() override {
    if (splits < 1 || splits > maxSplits) {
      getOperation().emitError() << "splits is " << splits.getValue() << ", expected 1 to " << maxSplits;
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    patterns.add<SplitAttention>(&getContext(), splits, splitCount);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }

  /// Every split costs a partial result of D + 2 elements; more than this fills no device.
  static constexpr int64_t maxSplits = 256;
};

} // namespace
