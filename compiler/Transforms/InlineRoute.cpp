//===- InlineRoute.cpp - The choice of one row is repeated by each product that takes it ------------------------===//

#include "compiler/Transforms/Passes.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_INLINEROUTEPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

struct InlineRoute : qwen::impl::InlineRoutePassBase<InlineRoute> {
  using InlineRoutePassBase::InlineRoutePassBase;

  void runOnOperation() override {
    getOperation().walk([&](RouteOp route) {
      auto logits = cast<RankedTensorType>(route.getLogits().getType());
      bool oneRow = logits.getDimSize(0) == 1 && !getRows(logits);
      bool onlyProducts = llvm::all_of(route->getUsers(), [](Operation *user) { return isa<FusedExpertsOp>(user); });
      if (!oneRow || !onlyProducts || route.getInlined() || logits.getDimSize(1) > maxExperts)
        return;
      route.setInlined(true);
      ++inlinedCount;
    });
  }
};

} // namespace
