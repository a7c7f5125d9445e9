//===- FuseRoute.cpp - Softmax, choice and weights of experts become one step -----------------------------------===//

#include "compiler/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSEROUTEPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

class FuseSoftmaxTopK : public OpRewritePattern<TopKOp> {
public:
  FuseSoftmaxTopK(MLIRContext *context, Pass::Statistic &fusedCount)
      : OpRewritePattern(context), fusedCount(fusedCount) {}

  LogicalResult matchAndRewrite(TopKOp op, PatternRewriter &rewriter) const override {
    auto softmax = op.getInput().getDefiningOp<SoftmaxOp>();
    if (!softmax)
      return rewriter.notifyMatchFailure(op, "chooses among values that are no softmax");
    // The weights are normalised when nothing reads them as they are.
    SmallVector<SumNormalizeOp> normalized;
    for (Operation *user : op.getValues().getUsers())
      if (auto normalize = dyn_cast<SumNormalizeOp>(user))
        normalized.push_back(normalize);
    bool all = !normalized.empty() && normalized.size() == size_t(llvm::range_size(op.getValues().getUsers()));
    if (!normalized.empty() && !all)
      return rewriter.notifyMatchFailure(op, "is read both with and without normalisation");
    auto route = RouteOp::create(rewriter, op.getLoc(), op.getValues().getType(), op.getIndices().getType(),
                                 softmax.getInput(), all ? rewriter.getUnitAttr() : UnitAttr());
    for (SumNormalizeOp normalize : normalized)
      rewriter.replaceOp(normalize, route.getWeights());
    rewriter.replaceOp(op, route.getResults());
    if (softmax->use_empty())
      rewriter.eraseOp(softmax);
    ++fusedCount;
    return success();
  }

private:
  Pass::Statistic &fusedCount;
};

struct FuseRoute : qwen::impl::FuseRoutePassBase<FuseRoute> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseSoftmaxTopK>(&getContext(), fusedCount);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
