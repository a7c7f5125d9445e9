//===- FusePrologue.cpp - Preparing one row happens while a product stages it -----------------------------------===//

#include "compiler/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSEPROLOGUEPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

class FusePrologueIntoLinear : public OpRewritePattern<FusedLinearOp> {
public:
  FusePrologueIntoLinear(MLIRContext *context, Pass::Statistic &fusedCount)
      : OpRewritePattern(context), fusedCount(fusedCount) {}

  LogicalResult matchAndRewrite(FusedLinearOp op, PatternRewriter &rewriter) const override {
    RankedTensorType type = op.getResult().getType();
    if (op.getPrologue() != Prologue::None || type.getDimSize(0) != 1 || getRows(type))
      return rewriter.notifyMatchFailure(op, "has a prologue or more than one row");
    Operation *producer = op.getInput().getDefiningOp();
    if (auto norm = dyn_cast_or_null<RmsNormOp>(producer)) {
      rewriter.modifyOpInPlace(op, [&] {
        op.getInputMutable().assign(norm.getInput());
        op.getNormWeightMutable().assign(norm.getWeight());
        op.setEpsAttr(norm.getEpsAttr());
        op.setPrologue(Prologue::RmsNorm);
      });
    } else if (auto combine = dyn_cast_or_null<CombineSplitsOp>(producer)) {
      rewriter.modifyOpInPlace(op, [&] {
        op.getInputMutable().assign(combine.getPartials());
        op.setPrologue(Prologue::CombineSplits);
      });
    } else {
      return rewriter.notifyMatchFailure(op, "the input is neither a norm nor combined splits");
    }
    if (producer->use_empty())
      rewriter.eraseOp(producer);
    ++fusedCount;
    return success();
  }

private:
  Pass::Statistic &fusedCount;
};

/// The norm of one row joins the products of its experts.
class FusePrologueIntoExperts : public OpRewritePattern<FusedExpertsOp> {
public:
  FusePrologueIntoExperts(MLIRContext *context, Pass::Statistic &fusedCount)
      : OpRewritePattern(context), fusedCount(fusedCount) {}

  LogicalResult matchAndRewrite(FusedExpertsOp op, PatternRewriter &rewriter) const override {
    auto norm = op.getInput().getDefiningOp<RmsNormOp>();
    auto type = cast<RankedTensorType>(op.getInput().getType());
    if (!norm || op.getNormWeight() || type.getRank() != 2 || type.getDimSize(0) != 1 || getRows(type))
      return rewriter.notifyMatchFailure(op, "the input is no norm of one row");
    rewriter.modifyOpInPlace(op, [&] {
      op.getInputMutable().assign(norm.getInput());
      op.getNormWeightMutable().assign(norm.getWeight());
      op.setEpsAttr(norm.getEpsAttr());
    });
    if (norm->use_empty())
      rewriter.eraseOp(norm);
    ++fusedCount;
    return success();
  }

private:
  Pass::Statistic &fusedCount;
};

struct FusePrologue : qwen::impl::FuseProloguePassBase<FusePrologue> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FusePrologueIntoLinear, FusePrologueIntoExperts>(&getContext(), fusedCount);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
