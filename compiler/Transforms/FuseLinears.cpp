//===- FuseLinears.cpp - Every linear becomes a fused product ---------------------------------------------------===//

#include "compiler/Transforms/ElementwiseTree.h"
#include "compiler/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSELINEARSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

struct FuseLinears : qwen::impl::FuseLinearsPassBase<FuseLinears> {
  void runOnOperation() override {
    getOperation().walk([&](LinearOp linear) {
      OpBuilder builder(linear);
      SmallVector<Value> extras;
      if (linear.getBias())
        extras.push_back(linear.getBias());
      auto fused =
          FusedLinearOp::create(builder, linear.getLoc(), linear.getResult().getType(), linear.getInput(),
                                linear.getWeight(), Value(), extras, Prologue::None, Join::Concat, FloatAttr());
      buildBody(builder, linear.getLoc(), fused.getEpilogue(), 1 + extras.size(),
                [&](OpBuilder &inner, Block &block) -> Value {
                  if (extras.empty())
                    return block.getArgument(0);
                  return arith::AddFOp::create(inner, linear.getLoc(), block.getArgument(0), block.getArgument(1));
                });
      linear.getResult().replaceAllUsesWith(fused.getResult());
      linear.erase();
      ++fusedCount;
    });
  }
};

} // namespace
