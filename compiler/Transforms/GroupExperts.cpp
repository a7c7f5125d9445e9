//===- GroupExperts.cpp - Choices of many rows are sorted by expert ---------------------------------------------===//

#include "compiler/Transforms/Passes.h"

#include "mlir/IR/Builders.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_GROUPEXPERTSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

struct GroupExperts : qwen::impl::GroupExpertsPassBase<GroupExperts> {
  using GroupExpertsPassBase::GroupExpertsPassBase;

  void runOnOperation() override {
    if (tile <= 0) {
      getOperation().emitError() << "tile is " << tile.getValue() << ", expected a positive number";
      return signalPassFailure();
    }
    // Products of one choice share its groups.
    DenseMap<std::pair<Value, int64_t>, GroupExpertsOp> groups;
    getOperation().walk([&](FusedExpertsOp product) {
      auto experts = cast<RankedTensorType>(product.getExperts().getType());
      if (product.getOrder() || (experts.getDimSize(0) == 1 && !getRows(experts)) || !experts.hasStaticShape())
        return;
      int64_t count = cast<RankedTensorType>(product.getWeights().front().getType()).getDimSize(0);
      GroupExpertsOp &group = groups[{product.getExperts(), count}];
      if (!group)
        group = createGroups(product.getExperts(), experts, count);
      product.getOrderMutable().assign(group.getOrder());
      product.getTilesMutable().assign(group.getTiles());
      ++groupedCount;
    });
  }

  GroupExpertsOp createGroups(Value choice, RankedTensorType type, int64_t count) {
    OpBuilder builder(&getContext());
    builder.setInsertionPointAfterValue(choice);
    int64_t choices = type.getNumElements(), tiles = GroupExpertsOp::maxTiles(choices, count, tile);
    auto list = [&](ArrayRef<int64_t> shape) { return RankedTensorType::get(shape, builder.getI32Type()); };
    return GroupExpertsOp::create(builder, choice.getLoc(), list({choices}), list({tiles, 4}), choice, count,
                                  tile.getValue());
  }
};

} // namespace
