//===- Rows.cpp - Kernels of rows: gathers, norms, elementwise, chunks, next tokens -------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"

using namespace mlir;

namespace qwenc {

LogicalResult PlanConverter::convertReadState(qwen::ReadStateOp op) {
  ranges[op.getValue()] = ref(op.getLoc(), stateStorage(op.getState()), bytesOf(op.getValue().getType()));
  return success();
}

//===------------------------------------------------------------------------------------------------------------===//
// Gathers
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult PlanConverter::lower(qwen::EmbeddingOp op) {
  if (op.getJoined())
    return success();
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  FailureOr<Value> table = weightRange(op.getLoc(), op.getTable());
  if (failed(rows) || failed(table))
    return failure();
  uint32_t width = widthOf(op.getResult().getType());
  auto vocab = static_cast<uint32_t>(dimOf(op.getTable(), 0));
  Work work{.readBytes = int64_t(rows->max * weightBytes(1, width))};
  if (!isComponent || !isa<BlockArgument>(op.getIds()))
    return dispatch(op.getLoc(), embeddingKernel(*rows, vocab, width, state, target),
                    {stateRef(op.getLoc()), *table, destination(op.getResult())}, work);
  if (cast<RankedTensorType>(op.getIds().getType()).getRank() != 1)
    return op.emitError("takes several ids for a row, expected one");
  return dispatchRows(gatherRowsKernel(*rows, vocab, width, state, target), *rows, {range(op.getIds()), *table},
                      {op.getResult()}, work);
}

template <typename RowsFromOp> LogicalResult PlanConverter::lowerRowsFrom(RowsFromOp op, bool adds) {
  auto index = dyn_cast<BlockArgument>(op.getIndex());
  auto entry = op->template getParentOfType<func::FuncOp>();
  auto binding =
      index ? entry.template getArgAttrOfType<StringAttr>(index.getArgNumber(), qwen::attrs::binding) : StringAttr();
  if (!binding || binding.getValue() != "media_rows")
    return op.emitError("takes its index from elsewhere, expected the entry's media_rows");
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  KernelPlan plan = mediaRowsKernel(*rows, static_cast<uint32_t>(dimOf(op.getRows(), 0)),
                                    widthOf(op.getResult().getType()), adds, state, target);
  return dispatch(op.getLoc(), plan,
                  {range(op.getInput()), range(op.getRows()), stateRef(op.getLoc()), destination(op.getResult())});
}

LogicalResult PlanConverter::lower(qwen::ReplaceRowsOp op) { return lowerRowsFrom(op, /*adds=*/false); }
LogicalResult PlanConverter::lower(qwen::AddRowsOp op) { return lowerRowsFrom(op, /*adds=*/true); }

//===------------------------------------------------------------------------------------------------------------===//
// Norms and elementwise
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult PlanConverter::lower(qwen::RmsNormOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  SmallVector<Value> operands{range(op.getInput())};
  if (failed(rows) || failed(appendWeights(op.getLoc(), {op.getWeight()}, operands)))
    return failure();
  auto type = cast<RankedTensorType>(op.getResult().getType());
  if (type.getRank() != 2)
    return op.emitError("norm over heads found no fusion; run qwen-fuse-rope-append first");
  KernelPlan plan = rmsNormKernel(*rows, widthOf(type), op.getEps().convertToDouble(), elemOf(type), state, target);
  return dispatchRows(plan, *rows, operands, {op.getResult()}, {.readBytes = int64_t(weightBytes(1, widthOf(type)))});
}

LogicalResult PlanConverter::lower(qwen::LayerNormOp op) {
  auto type = cast<RankedTensorType>(op.getResult().getType());
  if (type.getRank() != 2)
    return op.emitError("normalises more than rows and columns, expected a tensor of rank 2; reshape it");
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  SmallVector<Value> operands{range(op.getInput())};
  if (failed(rows) || failed(appendWeights(op.getLoc(), {op.getWeight(), op.getBias()}, operands)))
    return failure();
  KernelPlan plan = layerNormKernel(*rows, widthOf(type), op.getEps().convertToDouble(), elemOf(type), state, target);
  return dispatchRows(plan, *rows, operands, {op.getResult()});
}

LogicalResult PlanConverter::lower(qwen::ElementwiseOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  SmallVector<Elem> elems;
  SmallVector<Value> operands;
  for (Value input : op.getInputs()) {
    elems.push_back(elemOf(input.getType()));
    operands.push_back(range(input));
  }
  Type type = op.getResult().getType();
  KernelPlan plan = elementwiseKernel(*rows, widthOf(type), elems, elemOf(type), op.getBody(), state, target);
  return dispatchRows(plan, *rows, operands, {op.getResult()});
}

//===------------------------------------------------------------------------------------------------------------===//
// Chunks and next tokens
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult PlanConverter::lower(qwen::BeginChunkOp op) {
  return dispatch(op.getLoc(), beginChunkKernel(static_cast<uint32_t>(op.getRows()), state, target),
                  {stateRef(op.getLoc())});
}

LogicalResult PlanConverter::lower(qwen::AdvanceOp op) {
  return dispatch(op.getLoc(), advanceKernel(state, target), {stateRef(op.getLoc())});
}

LogicalResult PlanConverter::lower(qwen::LastRowOp op) {
  auto rows = static_cast<uint32_t>(dimOf(op.getInput(), 0));
  return dispatch(op.getLoc(), lastRowKernel(rows, widthOf(op.getInput().getType()), state, target),
                  {range(op.getInput()), stateRef(op.getLoc()), destination(op.getResult())});
}

LogicalResult PlanConverter::lower(qwen::HeadRowsOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  auto inputRows = static_cast<uint32_t>(dimOf(op.getInput(), 0));
  return dispatch(op.getLoc(), headRowsKernel(inputRows, *rows, widthOf(op.getInput().getType()), state, target),
                  {range(op.getInput()), stateRef(op.getLoc()), destination(op.getResult())});
}

LogicalResult PlanConverter::lower(qwen::NextTokenOp op) {
  Location loc = op.getLoc();
  uint32_t vocab = widthOf(op.getLogits().getType());
  if (vocab >= (1u << 24))
    return op.emitError("vocabulary of ") << vocab << " ids, expected fewer than 2^24";
  Value logits = range(op.getLogits());
  Suppression suppression;
  if (std::optional<ArrayRef<int64_t>> ids = op.getSuppress())
    suppression = {uint32_t((*ids)[0]), uint32_t((*ids)[1]), uint32_t((*ids)[2])};
  bool samples = op.getSampling() == qwen::Sampling::Sample;
  if (samples || op.getSuppress()) {
    Value scratch = alloc(loc, "sampling scratch", uint64_t(vocab) * 4);
    KernelPlan plan = samples ? sampleKernel(vocab, op.getAdvances(), suppression, state, target)
                              : penalisedArgmaxKernel(vocab, op.getAdvances(), suppression, state, target);
    SmallVector<Value> operands{logits, scratch};
    if (samples)
      operands.push_back(alloc(loc, "sampling partials", uint64_t(sampleShares(vocab)) * 8));
    operands.append({stateRef(loc), mailboxRef(loc)});
    return dispatch(loc, plan, operands);
  }
  Value partials = alloc(loc, "argmax partials", uint64_t(argmaxGroups(vocab)) * 8);
  return dispatch(loc, appendArgmaxKernel(vocab, op.getAdvances(), state, target),
                  {logits, partials, stateRef(loc), mailboxRef(loc)});
}

} // namespace qwenc
