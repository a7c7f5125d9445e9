//===- FuseEpilogue.cpp - Elementwise readers join the product they read ----------------------------------------===//

#include "compiler/Transforms/ElementwiseTree.h"
#include "compiler/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSEEPILOGUEPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// The last product in block order that only the tree reads: the others are there when it runs, as extras.
FusedLinearOp findProduct(const ElementwiseTree &tree) {
  FusedLinearOp last;
  for (Value leaf : tree.leaves) {
    auto product = leaf.getDefiningOp<FusedLinearOp>();
    if (!product || product->getBlock() != tree.root->getBlock() || leaf.getType() != tree.getType() ||
        !tree.isOnlyReaderOf(leaf) || product.getExtras().size() + tree.leaves.size() > maxBodyInputs)
      continue;
    if (!last || last->isBeforeInBlock(product))
      last = product;
  }
  return last;
}

/// Rebuilds \p product at the tree's root with the tree behind its epilogue.
void fuse(const ElementwiseTree &tree, FusedLinearOp product) {
  SmallVector<Value> extras(product.getExtras()), added;
  for (Value leaf : tree.leaves)
    if (leaf != product.getResult())
      added.push_back(leaf);
  extras.append(added);

  OpBuilder builder(tree.root);
  Location loc = product.getLoc();
  auto fused = FusedLinearOp::create(builder, loc, tree.getType(), product.getInput(), product.getWeights(),
                                     product.getNormWeight(), extras, product.getPrologue(), product.getJoin(),
                                     product.getEpsAttr());
  Block &old = product.getEpilogue().front();
  buildBody(builder, loc, fused.getEpilogue(), old.getNumArguments() + added.size(),
            [&](OpBuilder &inner, Block &block) {
              IRMapping elements;
              elements.map(old.getArguments(), block.getArguments().take_front(old.getNumArguments()));
              for (Operation &op : old.without_terminator())
                inner.clone(op, elements);
              Value yielded = cast<YieldOp>(old.getTerminator()).getValue();
              elements.map(product.getResult(), elements.lookup(yielded));
              elements.map(added, block.getArguments().drop_front(old.getNumArguments()));
              return buildScalarTree(inner, tree, elements);
            });
  tree.root->getResult(0).replaceAllUsesWith(fused.getResult());
  eraseTree(tree);
  product.erase();
}

struct FuseEpilogue : qwen::impl::FuseEpiloguePassBase<FuseEpilogue> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      SmallVector<ElementwiseTree> trees = collectElementwiseTrees(block, maxBodyInputs);
      // From the last tree to the first: a tree's leaf may be the root of an earlier one, which is then still there.
      for (ElementwiseTree &tree : llvm::reverse(trees)) {
        FusedLinearOp product = findProduct(tree);
        if (!product)
          continue;
        fuse(tree, product);
        ++fusedCount;
      }
    }
  }
};

} // namespace
