//===- JoinRoute.cpp - The first product that takes a choice of experts makes it --------------------------------===//

#include "compiler/Transforms/Passes.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_JOINROUTEPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

struct JoinRoute : qwen::impl::JoinRoutePassBase<JoinRoute> {
  using JoinRoutePassBase::JoinRoutePassBase;

  void runOnOperation() override {
    getOperation().walk([&](RouteOp route) {
      auto logits = cast<RankedTensorType>(route.getLogits().getType());
      bool oneRow = logits.getDimSize(0) == 1 && !getRows(logits);
      if (!oneRow || route.getJoined() || logits.getDimSize(1) > maxExperts || !route.getChoosingProduct())
        return;
      route.setJoined(true);
      ++joinedCount;
    });
  }
};

} // namespace
