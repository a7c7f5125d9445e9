//===- FuseExperts.cpp - Expert linears become grouped products -------------------------------------------------===//

#include "compiler/Transforms/ElementwiseTree.h"
#include "compiler/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSEEXPERTSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// What a new fused_experts takes besides its weights.
struct Product {
  RankedTensorType type;
  Value input, experts;
  SmallVector<Value> weights;
  Value routeWeights;
};

/// Creates the product in front of \p tree's root with the tree as its epilogue; \p accumulators are the leaves that
/// the product computes. Replaces and erases the tree.
void createWithTree(const Product &product, const ElementwiseTree &tree, ArrayRef<Value> accumulators, Location loc) {
  SmallVector<Value> extras;
  for (Value leaf : tree.leaves)
    if (!llvm::is_contained(accumulators, leaf))
      extras.push_back(leaf);
  OpBuilder builder(tree.root);
  auto fused = FusedExpertsOp::create(builder, loc, product.type, product.input, product.experts, product.weights,
                                      Value(), product.routeWeights, extras, Value(), Value(), FloatAttr());
  buildBody(builder, loc, fused.getEpilogue(), accumulators.size() + extras.size(),
            [&](OpBuilder &inner, Block &block) {
              IRMapping elements;
              elements.map(accumulators, block.getArguments().take_front(accumulators.size()));
              elements.map(extras, block.getArguments().drop_front(accumulators.size()));
              return buildScalarTree(inner, tree, elements);
            });
  tree.root->getResult(0).replaceAllUsesWith(fused.getResult());
  eraseTree(tree);
}

/// Creates the product in front of \p op, whose only result it replaces; \p op is erased.
void createInPlaceOf(Operation *op, const Product &product) {
  OpBuilder builder(op);
  auto fused =
      FusedExpertsOp::create(builder, op->getLoc(), product.type, product.input, product.experts, product.weights,
                             Value(), product.routeWeights, ValueRange(), Value(), Value(), FloatAttr());
  buildBody(builder, op->getLoc(), fused.getEpilogue(), 1,
            [](OpBuilder &, Block &block) { return block.getArgument(0); });
  op->getResult(0).replaceAllUsesWith(fused.getResult());
  op->erase();
}

/// The expert linears among the tree's leaves that share input and choice and that only the tree reads.
SmallVector<ExpertLinearOp> findLinears(const ElementwiseTree &tree) {
  llvm::MapVector<std::pair<Value, Value>, SmallVector<ExpertLinearOp>> groups;
  for (Value leaf : tree.leaves) {
    auto linear = leaf.getDefiningOp<ExpertLinearOp>();
    if (linear && leaf.getType() == tree.getType() && tree.isOnlyReaderOf(leaf))
      groups[{linear.getInput(), linear.getExperts()}].push_back(linear);
  }
  return groups.empty() ? SmallVector<ExpertLinearOp>() : groups.front().second;
}

/// The weighted sum of one row among the tree's leaves that only the tree reads.
WeightedSumOp findWeightedSum(const ElementwiseTree &tree) {
  for (Value leaf : tree.leaves)
    if (auto sum = leaf.getDefiningOp<WeightedSumOp>(); sum && tree.isOnlyReaderOf(leaf))
      return sum;
  return {};
}

bool hasOneRow(RankedTensorType type) { return type.getRank() > 0 && type.getDimSize(0) == 1 && !getRows(type); }

/// The product that \p sum can become a part of: one accumulator as it is, one row, no other reader.
FusedExpertsOp summableProduct(WeightedSumOp sum) {
  auto product = sum.getInput().getDefiningOp<FusedExpertsOp>();
  if (!product || !product->hasOneUse() || !hasOneRow(sum.getResult().getType()) || product.getWeights().size() != 1 ||
      !product.getExtras().empty() || product.getRouteWeights() ||
      cast<RankedTensorType>(product.getInput().getType()).getRank() != 3)
    return {};
  auto yield = cast<YieldOp>(product.getEpilogue().front().getTerminator());
  bool isIdentity = yield.getValue() == product.getEpilogue().front().getArgument(0);
  return isIdentity ? product : FusedExpertsOp();
}

Product summedProduct(WeightedSumOp sum, FusedExpertsOp product) {
  return {sum.getResult().getType(), product.getInput(), product.getExperts(), SmallVector<Value>(product.getWeights()),
          sum.getWeights()};
}

struct FuseExperts : qwen::impl::FuseExpertsPassBase<FuseExperts> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      fuseEpilogues(block);
      for (auto linear : llvm::make_early_inc_range(block.getOps<ExpertLinearOp>())) {
        createInPlaceOf(
            linear,
            {linear.getResult().getType(), linear.getInput(), linear.getExperts(), {linear.getWeight()}, Value()});
        ++fusedCount;
      }
      fuseSums(block);
    }
  }

  void fuseEpilogues(Block &block) {
    SmallVector<ElementwiseTree> trees = collectElementwiseTrees(block, maxBodyInputs);
    // From the last tree to the first: a tree's leaf may be the root of an earlier one, which is then still there.
    for (ElementwiseTree &tree : llvm::reverse(trees)) {
      SmallVector<ExpertLinearOp> linears = findLinears(tree);
      if (linears.empty())
        continue;
      Product product{tree.getType(), linears.front().getInput(), linears.front().getExperts(), {}, Value()};
      SmallVector<Value> accumulators;
      SmallVector<Location> locations;
      for (ExpertLinearOp linear : linears) {
        product.weights.push_back(linear.getWeight());
        accumulators.push_back(linear.getResult());
        locations.push_back(linear.getLoc());
      }
      createWithTree(product, tree, accumulators, FusedLoc::get(&getContext(), locations));
      for (ExpertLinearOp linear : linears)
        linear.erase();
      fusedCount += linears.size();
    }
  }

  void fuseSums(Block &block) {
    SmallVector<ElementwiseTree> trees = collectElementwiseTrees(block, maxBodyInputs);
    for (ElementwiseTree &tree : llvm::reverse(trees)) {
      WeightedSumOp sum = findWeightedSum(tree);
      FusedExpertsOp product = sum ? summableProduct(sum) : FusedExpertsOp();
      if (!product)
        continue;
      createWithTree(summedProduct(sum, product), tree, {sum.getResult()}, product.getLoc());
      sum.erase();
      product.erase();
      ++sumCount;
    }
    for (auto sum : llvm::make_early_inc_range(block.getOps<WeightedSumOp>()))
      if (FusedExpertsOp product = summableProduct(sum)) {
        createInPlaceOf(sum, summedProduct(sum, product));
        product.erase();
        ++sumCount;
      }
  }
};

} // namespace
