//===- Attention.cpp - Kernels of attention over a cache ----------------------------------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"

using namespace mlir;

namespace qwenc {

namespace {

template <typename QkvOp> Heads headsOf(QkvOp op) {
  Heads heads;
  heads.query = static_cast<uint32_t>(op.getNumHeads());
  heads.keyValue = static_cast<uint32_t>(op.getNumKvHeads());
  heads.dim = static_cast<uint32_t>(op.getHeadDim());
  heads.context = static_cast<uint32_t>(dimOf(op.getKCache(), 0));
  heads.cache = elemOf(op.getKCache().getType());
  return heads;
}

Heads headsOf(qwen::AttentionOp op) {
  Heads heads;
  heads.query = static_cast<uint32_t>(dimOf(op.getQuery(), 1));
  heads.keyValue = static_cast<uint32_t>(dimOf(op.getKeys(), 1));
  heads.dim = static_cast<uint32_t>(dimOf(op.getQuery(), 2));
  heads.context = static_cast<uint32_t>(dimOf(op.getKeys(), 0));
  heads.cache = elemOf(op.getKeys().getType());
  return heads;
}

template <typename QkvOp> Rotary rotaryOf(QkvOp op) {
  Rotary rotary{op.getTheta().convertToDouble(),
                static_cast<bool>(op.getQNorm()),
                op.getEps() ? op.getEps()->convertToDouble() : 0,
                {}};
  if (op.getSections())
    rotary.sections.assign(op.getSections()->begin(), op.getSections()->end());
  return rotary;
}

/// Keys and values are read once for each position; every row meets all of them, at the end of the context. A cache
/// that is shorter than the context has other positions.
Work attentionWork(const Heads &heads, int64_t rows, const StateBlock &state) {
  int64_t bytes = 2 * int64_t(heads.keyValue) * heads.dim * elemBytes(heads.cache);
  bool isShort = heads.context < state.maxContext;
  return {.readBytes = isShort ? bytes * heads.context : 0,
          .bytesPerPosition = isShort ? 0 : bytes,
          .flops = 4 * rows * heads.context * heads.query * heads.dim};
}

} // namespace

/// qkv, norms, state, caches: the operands both kernels over a merged q/k/v row begin with.
template <typename QkvOp> LogicalResult PlanConverter::qkvOperands(QkvOp op, SmallVectorImpl<Value> &operands) {
  operands.push_back(range(op.getQkv()));
  if (op.getQNorm() && failed(appendWeights(op.getLoc(), {op.getQNorm(), op.getKNorm()}, operands)))
    return failure();
  operands.append({stateRef(op.getLoc()), range(op.getKCache()), range(op.getVCache())});
  ranges[op.getKResult()] = range(op.getKCache());
  ranges[op.getVResult()] = range(op.getVCache());
  return success();
}

LogicalResult PlanConverter::lower(qwen::RopeAppendOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getQkv());
  SmallVector<Value> operands;
  if (failed(rows) || failed(qkvOperands(op, operands)))
    return failure();
  operands.push_back(destination(op.getQuery()));
  return dispatch(op.getLoc(), ropeAppendKernel(*rows, headsOf(op), rotaryOf(op), state, target), operands);
}

LogicalResult PlanConverter::lower(qwen::AttentionOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getQuery());
  if (failed(rows))
    return failure();
  if (!op.getCausal())
    return op.emitError("attention over a cache is not causal, expected causal; no kernel exists for it");
  Heads heads = headsOf(op);
  double scale = op.getScale().convertToDouble();
  Elem output = elemOf(op.getResult().getType());
  FailureOr<KernelPlan> plan = matrixAttentionKernel(*rows, heads, scale, output, state, target);
  if (failed(plan))
    plan = prefillAttentionKernel(*rows, heads, scale, output, state, target);
  if (failed(plan))
    return attentionDoesNotFit(op, heads.dim);
  return dispatch(op.getLoc(), *plan,
                  {range(op.getQuery()), stateRef(op.getLoc()), range(op.getKeys()), range(op.getValues()),
                   destination(op.getResult())},
                  attentionWork(heads, rows->max, state));
}

LogicalResult PlanConverter::attentionDoesNotFit(Operation *op, uint32_t headDim) {
  return op->emitError("head dim ") << headDim << " does not fit the attention kernel of target " << target.name
                                    << ", expected a multiple of 4 whose tiles fit " << target.maxSharedBytes
                                    << " bytes of shared memory, choose another target";
}

LogicalResult PlanConverter::lower(qwen::DecodeAttentionOp op) {
  SmallVector<Value> operands;
  if (failed(qkvOperands(op, operands)))
    return failure();
  operands.push_back(destination(op.getPartials()));
  FailureOr<KernelPlan> plan = decodeAttentionKernel(headsOf(op), rotaryOf(op), op.getScale().convertToDouble(),
                                                     static_cast<uint32_t>(op.getSplits()), state, target);
  if (failed(plan))
    return op.emitError("head dim ") << op.getHeadDim() << " with " << op.getNumHeads() / op.getNumKvHeads()
                                     << " query heads per key head does not fit the decode kernel of target "
                                     << target.name << ", expected a multiple of 4 that fits " << target.maxSharedBytes
                                     << " bytes of shared memory, choose another target";
  return dispatch(op.getLoc(), *plan, operands, attentionWork(headsOf(op), 1, state));
}

LogicalResult PlanConverter::lower(qwen::CombineSplitsOp op) {
  auto heads = static_cast<uint32_t>(dimOf(op.getPartials(), 0));
  auto splits = static_cast<uint32_t>(dimOf(op.getPartials(), 1));
  auto dim = static_cast<uint32_t>(dimOf(op.getPartials(), 2)) - 2;
  return dispatch(op.getLoc(), combineSplitsKernel({heads, splits, dim}, target),
                  {range(op.getPartials()), destination(op.getResult())});
}

} // namespace qwenc
