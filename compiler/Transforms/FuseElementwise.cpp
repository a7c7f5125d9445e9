//===- FuseElementwise.cpp - Left-over elementwise operations become bodies -------------------------------------===//

#include "compiler/Transforms/ElementwiseTree.h"
#include "compiler/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

struct FuseElementwise : qwen::impl::FuseElementwisePassBase<FuseElementwise> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      SmallVector<ElementwiseTree> trees = collectElementwiseTrees(block, maxBodyInputs);
      for (ElementwiseTree &tree : llvm::reverse(trees))
        if (hasOneShape(tree))
          fuse(tree);
    }
  }

  /// A weight along the columns or a factor of each row has no place here: only products take one.
  static bool hasOneShape(const ElementwiseTree &tree) {
    return llvm::all_of(tree.leaves, [&](Value leaf) {
      return cast<RankedTensorType>(leaf.getType()).getShape() == tree.getType().getShape();
    });
  }

  void fuse(const ElementwiseTree &tree) {
    OpBuilder builder(tree.root);
    Location loc = tree.root->getLoc();
    auto fused = ElementwiseOp::create(builder, loc, tree.getType(), tree.leaves.getArrayRef());
    buildBody(builder, loc, fused.getBody(), tree.leaves.size(), [&](OpBuilder &inner, Block &block) {
      IRMapping elements;
      elements.map(tree.leaves.getArrayRef(), block.getArguments());
      return buildScalarTree(inner, tree, elements);
    });
    tree.root->getResult(0).replaceAllUsesWith(fused.getResult());
    fusedCount += tree.ops.size();
    eraseTree(tree);
  }
};

} // namespace
