//===- LowerTapConvs.cpp - Tap convolutions become products of their patches ------------------------------------===//

#include "compiler/Transforms/Passes.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_LOWERTAPCONVSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

constexpr int64_t kPlaces = 9; // of a filter of 3 x 3

Value reshapeTo(OpBuilder &builder, Location loc, Value value, ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(value.getType());
  return ReshapeOp::create(builder, loc, RankedTensorType::get(shape, type.getElementType()), value);
}

/// [N, C, 3, 3] as the matrix [N, 9 C] that meets patches: places of the filter, channels of each.
Value filterMatrix(OpBuilder &builder, Location loc, Value weight) {
  auto type = cast<RankedTensorType>(weight.getType());
  int64_t filters = type.getDimSize(0), channels = type.getDimSize(1);
  if (channels > 1) {
    weight = reshapeTo(builder, loc, weight, {filters, channels, kPlaces});
    auto swapped = RankedTensorType::get({filters, kPlaces, channels}, type.getElementType());
    weight = SwapAxesOp::create(builder, loc, swapped, weight);
  }
  return reshapeTo(builder, loc, weight, {filters, kPlaces * channels});
}

/// Rows of \p columns elements for each place of each row of \p conv's result.
RankedTensorType placeRows(TapConvOp conv, int64_t columns) {
  RankedTensorType type = conv.getResult().getType();
  int64_t places = type.getDimSize(1);
  RowsAttr counted = getRows(type);
  auto rows = RowsAttr::get(type.getContext(), counted.getSymbol(), counted.getFactor() * places);
  return RankedTensorType::get({type.getDimSize(0) * places, columns}, type.getElementType(), rows);
}

void lower(TapConvOp conv) {
  OpBuilder builder(conv);
  Location loc = conv.getLoc();
  Value weight = filterMatrix(builder, loc, conv.getWeight());
  auto filters = cast<RankedTensorType>(weight.getType());
  auto input = cast<RankedTensorType>(conv.getInput().getType());
  auto patchType = placeRows(conv, filters.getDimSize(1)).clone(input.getElementType());
  Value patches = TapPatchesOp::create(builder, loc, patchType, conv.getInput(), conv.getTaps());
  Value result =
      LinearOp::create(builder, loc, placeRows(conv, filters.getDimSize(0)), patches, weight, conv.getBias());
  Operation *replaced = conv;
  if (auto gelu = conv->hasOneUse() ? dyn_cast<GeluOp>(*conv->user_begin()) : GeluOp()) {
    result = GeluOp::create(builder, gelu.getLoc(), result.getType(), result, gelu.getTanh());
    replaced = gelu;
  }
  Value view = ReshapeOp::create(builder, replaced->getLoc(), conv.getResult().getType(), result);
  replaced->getResult(0).replaceAllUsesWith(view);
  replaced->erase();
  if (replaced != conv)
    conv.erase();
}

struct LowerTapConvs : qwen::impl::LowerTapConvsPassBase<LowerTapConvs> {
  void runOnOperation() override {
    SmallVector<TapConvOp> convs;
    getOperation().walk([&](TapConvOp conv) { convs.push_back(conv); });
    for (TapConvOp conv : convs) {
      // Only rows that are counted can be cut into places and joined again.
      if (!getRows(conv.getResult().getType())) {
        conv.emitOpError() << "has " << conv.getResult().getType() << ", expected rows that a symbol counts";
        return signalPassFailure();
      }
      lower(conv);
    }
    loweredCount += convs.size();
  }
};

} // namespace
