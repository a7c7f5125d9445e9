//===- FuseGatherSum.cpp - Weighted sums of gathered rows as one step
//----------------------------------------------===//

#include "compiler/Transforms/Passes.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSEGATHERSUMPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

struct FuseGatherSum : qwen::impl::FuseGatherSumPassBase<FuseGatherSum> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody())
      for (auto sum : llvm::make_early_inc_range(block.getOps<WeightedSumOp>())) {
        auto rows = sum.getInput().getDefiningOp<EmbeddingOp>();
        // Rows that others read have to be there anyway.
        if (!rows || !rows->hasOneUse())
          continue;
        OpBuilder builder(sum);
        auto fused = GatherSumOp::create(builder, sum.getLoc(), sum.getResult().getType(), rows.getIds(),
                                         sum.getWeights(), rows.getTable());
        sum.getResult().replaceAllUsesWith(fused.getResult());
        sum.erase();
        rows.erase();
        ++fusedCount;
      }
  }
};

} // namespace
