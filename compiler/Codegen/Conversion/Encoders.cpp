//===- Encoders.cpp - Kernels of audio and vision encoders --------------------------------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"

using namespace mlir;

namespace qwenc {

/// Patches have no kernel: the products that read them do.
LogicalResult PlanConverter::checkPatches(qwen::TapPatchesOp op) {
  for (Operation *user : op->getUsers())
    if (auto product = dyn_cast<qwen::FusedLinearOp>(user);
        !product || product.getInput() != op.getResult() || product.getPrologue() != qwen::Prologue::None)
      return op.emitError("patches are read by ")
             << user->getName() << ", expected only products without a prologue; run qwen-fuse-linears first";
  // Kernels count elements, columns of patches and their rows, and mark padding, in 32 bits.
  constexpr int64_t limit = std::numeric_limits<uint32_t>::max() / 9;
  auto input = cast<RankedTensorType>(op.getInput().getType());
  if (std::max(input.getNumElements(), dimOf(op.getResult(), 0)) >= limit)
    return op.emitError("convolves ") << input << " into " << dimOf(op.getResult(), 0)
                                      << " places, expected fewer than " << limit
                                      << " elements and places; compile for shorter media";
  return success();
}

LogicalResult PlanConverter::lower(qwen::SwapAxesOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  auto kernel = [&](uint32_t pitch) {
    return swapAxesKernel(*rows, static_cast<uint32_t>(dimOf(op.getInput(), 1)),
                          static_cast<uint32_t>(dimOf(op.getInput(), 2)), elemOf(op.getResult().getType()), pitch,
                          state, target);
  };
  if (!isa_and_present<qwen::WeightOp>(sourceOf(op.getInput()).getDefiningOp()))
    return dispatchRows(kernel(/*pitch=*/0), *rows, {range(op.getInput())}, {op.getResult()});
  FailureOr<Value> weight = weightRange(op.getLoc(), op.getInput());
  if (failed(weight))
    return failure();
  // The result takes the weight's place in products, so its rows are padded as a weight's are.
  uint32_t width = widthOf(op.getInput().getType());
  Value swapped = alloc(op.getLoc(), labelOf(op.getLoc()), weightBytes(rows->max, width));
  ranges[op.getResult()] = swapped;
  return dispatch(op.getLoc(), kernel(paddedWidth(width)), {*weight, swapped});
}

LogicalResult PlanConverter::lower(qwen::SinusoidOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  KernelPlan plan =
      sinusoidKernel(*rows, widthOf(op.getResult().getType()), op.getTheta().convertToDouble(), state, target);
  return dispatchRows(plan, *rows, {range(op.getPositions())}, {op.getResult()});
}

//===------------------------------------------------------------------------------------------------------------===//
// Heads of a merged row
//===------------------------------------------------------------------------------------------------------------===//

/// Whether \p value is only read by kernels that find heads in a merged row.
static bool isReadAsHeads(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    if (auto view = dyn_cast<qwen::ReshapeOp>(user))
      return isReadAsHeads(view.getResult());
    return isa<qwen::SegmentAttentionOp, qwen::AxialRopeOp>(user);
  });
}

HeadRows PlanConverter::headRows(Value value, SmallVectorImpl<Value> &operands) {
  Value source = sourceOf(value);
  uint32_t column = 0;
  if (auto slice = source.getDefiningOp<qwen::SliceOp>(); slice && !ranges.contains(source)) {
    source = slice.getInput();
    column = static_cast<uint32_t>(slice.getOffset());
  }
  operands.push_back(range(source));
  return {elemOf(source.getType()), widthOf(source.getType()), column};
}

LogicalResult PlanConverter::lower(qwen::SliceOp op) {
  Type type = op.getResult().getType();
  if (elemOf(type) == elemOf(op.getInput().getType()) && isReadAsHeads(op.getResult()))
    return success();
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  SmallVector<Value> operands;
  HeadRows input = headRows(op.getResult(), operands);
  return dispatchRows(copyColumnsKernel(*rows, widthOf(type), input, elemOf(type), state, target), *rows, operands,
                      {op.getResult()});
}

LogicalResult PlanConverter::lower(qwen::AxialRopeOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  SmallVector<Value> operands;
  HeadRows input = headRows(op.getInput(), operands);
  operands.push_back(range(op.getPlaces()));
  auto heads = static_cast<uint32_t>(dimOf(op.getResult(), 1)), dim = static_cast<uint32_t>(dimOf(op.getResult(), 2));
  KernelPlan plan = axialRopeKernel(*rows, heads, dim, input, op.getTheta().convertToDouble(),
                                    elemOf(op.getResult().getType()), state, target);
  return dispatchRows(plan, *rows, operands, {op.getResult()});
}

LogicalResult PlanConverter::lower(qwen::GatherSumOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  SmallVector<Value> operands{range(op.getIds()), range(op.getWeights())};
  if (failed(rows) || failed(appendWeights(op.getLoc(), {op.getTable()}, operands)))
    return failure();
  Type type = op.getResult().getType();
  KernelPlan plan =
      gatherSumKernel(*rows, widthOf(op.getIds().getType()), static_cast<uint32_t>(dimOf(op.getTable(), 0)),
                      widthOf(type), elemOf(type), state, target);
  return dispatchRows(plan, *rows, operands, {op.getResult()});
}

LogicalResult PlanConverter::lower(qwen::SegmentAttentionOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getQuery());
  if (failed(rows))
    return failure();
  SmallVector<Value> operands;
  SegmentHeads heads;
  heads.heads = static_cast<uint32_t>(dimOf(op.getQuery(), 1));
  heads.dim = static_cast<uint32_t>(dimOf(op.getQuery(), 2));
  heads.query = headRows(op.getQuery(), operands);
  heads.keys = headRows(op.getKeys(), operands);
  heads.values = headRows(op.getValues(), operands);
  operands.push_back(range(op.getSegments()));
  double scale = op.getScale().convertToDouble();
  Elem output = elemOf(op.getResult().getType());
  FailureOr<KernelPlan> plan = matrixSegmentAttentionKernel(*rows, heads, scale, output, state, target);
  if (failed(plan))
    plan = segmentAttentionKernel(*rows, heads, scale, output, state, target);
  if (failed(plan))
    return attentionDoesNotFit(op, heads.dim);
  // Every row meets all rows, where one segment holds them.
  return dispatchRows(*plan, *rows, operands, {op.getResult()},
                      {.flops = 4 * int64_t(rows->max) * rows->max * heads.width()});
}

} // namespace qwenc
