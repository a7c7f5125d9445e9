//===- FuseParallelLinears.cpp - Linears of one input that meet in elementwise operations -----------------------===//

#include "compiler/Transforms/ElementwiseTree.h"
#include "compiler/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSEPARALLELLINEARSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// The linears among the tree's leaves that share their input and that only the tree reads; fewer than two if none do.
SmallVector<LinearOp> findParallelLinears(const ElementwiseTree &tree) {
  // Weights of one product have one format.
  llvm::MapVector<std::pair<Value, Attribute>, SmallVector<LinearOp>> groups;
  for (Value leaf : tree.leaves) {
    auto linear = leaf.getDefiningOp<LinearOp>();
    if (linear && !linear.getBias() && leaf.getType() == tree.getType() && tree.isOnlyReaderOf(leaf))
      groups[{linear.getInput(), linear.getWeight().getType().getEncoding()}].push_back(linear);
  }
  for (auto &[input, group] : groups)
    if (group.size() >= 2)
      return group;
  return {};
}

void fuse(const ElementwiseTree &tree, ArrayRef<LinearOp> linears) {
  LinearOp first = linears.front();
  SmallVector<Value> weights, extras;
  SmallVector<Location> locations;
  SetVector<Value> accumulators;
  for (LinearOp linear : linears) {
    weights.push_back(linear.getWeight());
    locations.push_back(linear.getLoc());
    accumulators.insert(linear.getResult());
  }
  for (Value leaf : tree.leaves)
    if (!accumulators.contains(leaf))
      extras.push_back(leaf);

  OpBuilder builder(tree.root);
  Location loc = FusedLoc::get(builder.getContext(), locations);
  auto fused = FusedLinearOp::create(builder, loc, tree.getType(), first.getInput(), weights, Value(), extras,
                                     Prologue::None, Join::Parallel, FloatAttr());
  buildBody(builder, loc, fused.getEpilogue(), weights.size() + extras.size(), [&](OpBuilder &inner, Block &block) {
    IRMapping elements;
    elements.map(accumulators.getArrayRef(), block.getArguments().take_front(weights.size()));
    elements.map(extras, block.getArguments().drop_front(weights.size()));
    return buildScalarTree(inner, tree, elements);
  });
  tree.root->getResult(0).replaceAllUsesWith(fused.getResult());
  eraseTree(tree);
  for (LinearOp linear : linears)
    linear.erase();
}

struct FuseParallelLinears : qwen::impl::FuseParallelLinearsPassBase<FuseParallelLinears> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      SmallVector<ElementwiseTree> trees = collectElementwiseTrees(block, maxBodyInputs);
      // From the last tree to the first: a tree's leaf may be the root of an earlier one, which is then still there.
      for (ElementwiseTree &tree : llvm::reverse(trees)) {
        SmallVector<LinearOp> linears = findParallelLinears(tree);
        if (linears.empty())
          continue;
        fusedCount += linears.size();
        fuse(tree, linears);
      }
    }
  }
};

} // namespace
