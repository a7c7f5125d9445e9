//===- Vocoder.cpp - Kernels of vocoders --------------------------------------------------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"

using namespace mlir;

namespace qwenc {

LogicalResult PlanConverter::lower(qwen::CodebookMeanOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  SmallVector<Value> operands{range(op.getCodes())};
  if (failed(rows) || failed(appendWeights(op.getLoc(), {op.getTable()}, operands)))
    return failure();
  uint32_t groups = widthOf(op.getCodes().getType()), width = widthOf(op.getResult().getType());
  auto codes = static_cast<uint32_t>(dimOf(op.getTable(), 0)) / groups;
  return dispatchRows(codebookMeanKernel(*rows, groups, codes, width, state, target), *rows, operands, {op.getResult()},
                      {.readBytes = int64_t(rows->max * groups * weightBytes(1, width))});
}

LogicalResult PlanConverter::lower(qwen::RopeWindowAttentionOp op) {
  Location loc = op.getLoc();
  FailureOr<RowBound> rows = rowsOf(loc, op.getResult());
  if (failed(rows))
    return failure();
  auto stateType = cast<RankedTensorType>(op.getKState().getType());
  const int64_t needed = static_cast<int64_t>(op.getWindow()) - 1 + rows->max;
  if (!stateType.getElementType().isF32() || stateType.getDimSize(0) < needed)
    return op.emitError("keeps keys in ") << stateType << ", expected f32 and at least " << needed << " rows for "
                                          << rows->max << " new ones and the window before them";
  WindowHeads heads{static_cast<uint32_t>(op.getNumHeads()), static_cast<uint32_t>(op.getHeadDim()),
                    static_cast<uint32_t>(stateType.getDimSize(0)), static_cast<uint32_t>(op.getWindow())};
  Value query = alloc(loc, "rotated queries", bytesOf(op.getResult().getType()));
  Value keys = range(op.getKState()), values = range(op.getVState()), first = range(op.getFirst());
  SmallVector<Value> rope = {range(op.getQkv()), first}, attention = {query, first};
  if (rows->cellOffset)
    for (SmallVector<Value> *operands : {&rope, &attention})
      operands->push_back(stateRef(loc));
  rope.append({keys, values, query});
  attention.append({keys, values, destination(op.getResult())});
  if (failed(dispatch(loc, windowRopeKernel(*rows, heads, op.getTheta().convertToDouble(), state, target), rope)))
    return failure();
  return dispatch(loc, windowAttentionKernel(*rows, heads, op.getScale().convertToDouble(), state, target), attention,
                  {.flops = int64_t(4) * rows->max * heads.window * heads.width()});
}

//===------------------------------------------------------------------------------------------------------------===//
// Inputs of convolutions
//===------------------------------------------------------------------------------------------------------------===//

static LogicalResult checkLead(Operation *op, int64_t lead, int64_t frameRows) {
  constexpr int64_t most = 1 << 30;
  if (lead > most || frameRows > most || lead * frameRows > most)
    return op->emitError("clears ") << lead << " rows of " << frameRows
                                    << " for each frame, expected a product of at most " << most;
  return success();
}

LogicalResult PlanConverter::convInput(Location loc, const ConvInput &input, const ConvSources &sources, Value to) {
  SmallVector<Value> operands = {range(sources.x)};
  if (failed(appendWeights(loc, {sources.alpha, sources.beta}, operands)))
    return failure();
  if (input.needsFirst())
    operands.push_back(range(sources.first));
  if (input.rows.cellOffset)
    operands.push_back(stateRef(loc));
  if (input.kept)
    operands.push_back(range(sources.history));
  operands.push_back(to);
  return dispatch(loc, convInputKernel(input, target), operands);
}

template <typename ConvOp>
FailureOr<Value> PlanConverter::extendedInput(ConvOp op, const RowBound &rows, uint32_t kept) {
  if (kept == 0 && !op.getInAlpha())
    return range(op.getInput());
  auto type = cast<RankedTensorType>(op.getInput().getType());
  if (kept && !cast<RankedTensorType>(op.getHistory().getType()).getElementType().isF32())
    return op.emitError("keeps a history of ") << op.getHistory().getType() << ", expected f32", failure();
  const int64_t lead = op.getLead().value_or(0), frameRows = op.getFrameRows().value_or(0);
  if (failed(checkLead(op, lead, frameRows)))
    return failure();
  ConvInput input{.rows = rows,
                  .channels = widthOf(type),
                  .kept = kept,
                  .snake = op.getInAlpha() != nullptr,
                  .lead = static_cast<uint32_t>(lead),
                  .frameRows = static_cast<uint32_t>(frameRows),
                  .state = state};
  Value extended = alloc(op.getLoc(), "extended input", bytesOf(type) + int64_t(kept) * input.channels * 4);
  ConvSources sources{op.getInput(), op.getInAlpha(), op.getInBeta(), op.getFirst(), op.getHistory()};
  if (failed(convInput(op.getLoc(), input, sources, extended)))
    return failure();
  return extended;
}

LogicalResult PlanConverter::lower(qwen::SnakeBetaOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  ConvInput input{.rows = *rows, .channels = widthOf(op.getResult().getType()), .snake = true, .state = state};
  return convInput(op.getLoc(), input, {.x = op.getInput(), .alpha = op.getAlpha(), .beta = op.getBeta()},
                   destination(op.getResult()));
}

LogicalResult PlanConverter::lower(qwen::ClearLeadOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows) || failed(checkLead(op, op.getLead(), op.getFrameRows())))
    return failure();
  ConvInput input{.rows = *rows,
                  .channels = widthOf(op.getResult().getType()),
                  .lead = static_cast<uint32_t>(op.getLead()),
                  .frameRows = static_cast<uint32_t>(op.getFrameRows()),
                  .state = state};
  return convInput(op.getLoc(), input, {.x = op.getInput(), .first = op.getFirst()}, destination(op.getResult()));
}

//===------------------------------------------------------------------------------------------------------------===//
// Convolutions
//===------------------------------------------------------------------------------------------------------------===//

template <typename ConvOp>
LogicalResult PlanConverter::dispatchConvolution(ConvOp op, const KernelPlan &plan, const RowBound &rows, uint32_t kept,
                                                 ArrayRef<Value> parameters) {
  FailureOr<Value> input = extendedInput(op, rows, kept);
  if (failed(input))
    return failure();
  SmallVector<Value> operands = {*input};
  if (failed(appendWeights(op.getLoc(), parameters, operands)))
    return failure();
  int64_t products = cast<RankedTensorType>(op.getWeight().getType()).getNumElements();
  return dispatchRows(plan, rows, operands, {op.getResult()},
                      {.readBytes = 2 * products, .flops = 2 * products * rows.max});
}

LogicalResult PlanConverter::lower(qwen::CausalConv1dOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  Convolution conv{.rows = *rows,
                   .channels = widthOf(op.getInput().getType()),
                   .outputs = widthOf(op.getResult().getType()),
                   .taps = static_cast<uint32_t>(op.getKernelSize()),
                   .dilation = static_cast<uint32_t>(op.getDilation()),
                   .snake = op.getOutAlpha() != nullptr,
                   .limit = op.getLimit() ? op.getLimit()->convertToDouble() : 0,
                   .state = state};
  bool depthwise = op.isDepthwise() && conv.channels != 1;
  FailureOr<KernelPlan> plan = depthwise ? depthwiseKernel(conv, target) : convolutionKernel(conv, target);
  if (failed(plan))
    return op.emitError("convolution of ")
           << conv.channels << " channels with " << conv.taps << " taps does not fit the kernel of target "
           << target.name << ", expected a multiple of 4 channels whose taps fit " << target.maxSharedBytes
           << " bytes of shared memory, choose another target";
  return dispatchConvolution(op, *plan, *rows, conv.kept(),
                             {op.getWeight(), op.getBias(), op.getOutAlpha(), op.getOutBeta()});
}

LogicalResult PlanConverter::lower(qwen::ConvTranspose1dOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getInput());
  if (failed(rows))
    return failure();
  TransposedConvolution conv{.rows = *rows,
                             .channels = widthOf(op.getInput().getType()),
                             .outputs = widthOf(op.getResult().getType()),
                             .stride = static_cast<uint32_t>(op.getStride()),
                             .state = state};
  conv.taps = static_cast<uint32_t>(dimOf(op.getWeight(), 1)) / conv.outputs;
  FailureOr<KernelPlan> plan = transposedConvolutionKernel(conv, target);
  if (failed(plan))
    return op.emitError("transposed convolution of ")
           << conv.channels << " channels with " << conv.taps << " taps and stride " << conv.stride
           << " does not fit the kernel of target " << target.name
           << ", expected a multiple of 4 channels, a stride of at most 32 and taps that fit " << target.maxSharedBytes
           << " bytes of shared memory, choose another target";
  return dispatchConvolution(op, *plan, *rows, conv.kept(), {op.getWeight(), op.getBias()});
}

} // namespace qwenc
