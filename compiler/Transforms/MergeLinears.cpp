//===- MergeLinears.cpp - Stack the weights of linears that share their input -----------------------------------===//

#include "compiler/Transforms/ElementwiseTree.h"
#include "compiler/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_MERGELINEARSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// Whether \p linear can become a slice of a wider product. Views of a slice cost nothing; an elementwise reader would
/// rather share a parallel product with the linear it meets.
bool isMergeable(LinearOp linear) {
  if (linear->use_empty())
    return false;
  // A weight has to stand before the first linear of the group: only a parameter can be moved there freely.
  if (!linear.getWeight().getDefiningOp<WeightOp>())
    return false;
  // Biases lie side by side in units of 16 bytes.
  if (Value bias = linear.getBias())
    if (!bias.getDefiningOp<WeightOp>() || cast<RankedTensorType>(bias.getType()).getDimSize(0) % 8 != 0)
      return false;
  return llvm::all_of(linear->getUsers(), [](Operation *user) { return isa<ReshapeOp, SliceOp>(user); });
}

/// Where operations stand in the block. Kept here because moving one makes the block number all of them anew.
using BlockOrder = DenseMap<Operation *, size_t>;

/// The biases of \p group side by side.
Value stackBiases(OpBuilder &builder, Location loc, ArrayRef<LinearOp> group, int64_t columns) {
  SmallVector<Attribute> names;
  for (LinearOp linear : group)
    names.push_back(linear.getBias().getDefiningOp<WeightOp>().getParameterAttr());
  LinearOp first = group.front();
  auto type = RankedTensorType::get({columns}, cast<RankedTensorType>(first.getBias().getType()).getElementType());
  return WeightStackOp::create(builder, loc, type, builder.getArrayAttr(names));
}

void mergeGroup(ArrayRef<LinearOp> group, BlockOrder &order) {
  LinearOp first = group.front();
  SmallVector<Value> weights;
  SmallVector<Location> locations;
  int64_t columns = 0;
  for (LinearOp linear : group) {
    weights.push_back(linear.getWeight());
    locations.push_back(linear.getLoc());
    columns += linear.getResult().getType().getDimSize(1);
    Operation *weight = linear.getWeight().getDefiningOp();
    if (order[first] < order[weight]) {
      weight->moveBefore(first);
      order[weight] = order[first];
    }
  }
  OpBuilder builder(first);
  auto type = first.getResult().getType();
  auto mergedType = RankedTensorType::get({type.getDimSize(0), columns}, type.getElementType(), type.getEncoding());
  Location loc = FusedLoc::get(builder.getContext(), locations);
  SmallVector<Value> extras;
  if (first.getBias())
    extras.push_back(stackBiases(builder, loc, group, columns));
  auto merged = FusedLinearOp::create(builder, loc, mergedType, first.getInput(), weights, Value(), extras,
                                      Prologue::None, Join::Concat, FloatAttr());
  buildBody(builder, loc, merged.getEpilogue(), 1 + extras.size(), [&](OpBuilder &inner, Block &block) -> Value {
    if (extras.empty())
      return block.getArgument(0);
    return arith::AddFOp::create(inner, loc, block.getArgument(0), block.getArgument(1));
  });
  int64_t offset = 0;
  for (LinearOp linear : group) {
    auto sliceType = linear.getResult().getType();
    Value slice = SliceOp::create(builder, linear.getLoc(), sliceType, merged.getResult(), offset);
    offset += sliceType.getDimSize(1);
    linear.getResult().replaceAllUsesWith(slice);
  }
  for (LinearOp linear : group)
    linear.erase();
}

struct MergeLinears : qwen::impl::MergeLinearsPassBase<MergeLinears> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      BlockOrder order;
      for (Operation &op : block)
        order[&op] = order.size();
      // Weights of one product have one format.
      llvm::MapVector<std::tuple<Value, Type, Attribute, unsigned>, SmallVector<LinearOp>> groups;
      for (auto linear : block.getOps<LinearOp>())
        if (isMergeable(linear) && linear.getWeight().getDefiningOp()->getBlock() == &block)
          groups[{linear.getInput(), linear.getResult().getType().getElementType(),
                  linear.getWeight().getType().getEncoding(), unsigned(linear.getBias() != nullptr)}]
              .push_back(linear);
      for (auto &[key, group] : groups) {
        if (group.size() < 2)
          continue;
        mergedCount += group.size();
        mergeGroup(group, order);
      }
    }
  }
};

} // namespace
