//===- Speech.cpp - Kernels of the talker and the code predictor --------------------------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"

using namespace mlir;

namespace qwenc {

static SmallVector<uint32_t> rowsOfTables(ValueRange tables) {
  return llvm::map_to_vector(tables, [](Value table) { return static_cast<uint32_t>(dimOf(table, 0)); });
}

LogicalResult PlanConverter::lower(qwen::InputRowsOp op) {
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  KernelPlan plan = inputRowsKernel(*rows, static_cast<uint32_t>(dimOf(op.getRows(), 0)),
                                    widthOf(op.getResult().getType()), state, target);
  return dispatch(op.getLoc(), plan, {range(op.getRows()), stateRef(op.getLoc()), destination(op.getResult())});
}

LogicalResult PlanConverter::lower(qwen::BeginFrameOp op) {
  if (sequence == 0)
    return op.emitError("stands in the first sequence, expected one with a sequence before it");
  return dispatch(op.getLoc(), beginFrameKernel(state, target),
                  {stateRef(op.getLoc(), sequence - 1), stateRef(op.getLoc())});
}

LogicalResult PlanConverter::lower(qwen::CodeRowOp op) {
  FailureOr<Value> tables = weightRange(op.getLoc(), op.getTables());
  if (failed(tables))
    return failure();
  uint32_t width = widthOf(op.getRow().getType());
  KernelPlan plan = codeRowKernel(rowsOfTables(op.getTables()), width, state, target);
  return dispatch(op.getLoc(), plan,
                  {stateRef(op.getLoc()), *tables, destination(op.getRow()), destination(op.getStep())},
                  {.readBytes = int64_t(weightBytes(1, width))});
}

LogicalResult PlanConverter::lower(qwen::FrameRowOp op) {
  FailureOr<Value> tables = weightRange(op.getLoc(), op.getTables());
  if (failed(tables))
    return failure();
  if (sequence + 1 >= sequenceCount())
    return op.emitError("stands in the last sequence, expected one with a sequence behind it");
  uint32_t width = widthOf(op.getResult().getType());
  KernelPlan plan =
      frameRowKernel(rowsOfTables(op.getTables()), static_cast<uint32_t>(dimOf(op.getText(), 0)), width, state, target);
  return dispatch(op.getLoc(), plan,
                  {stateRef(op.getLoc()), stateRef(op.getLoc(), sequence + 1), range(op.getText()), *tables,
                   destination(op.getResult())},
                  {.readBytes = int64_t(weightBytes(op.getTables().size(), width))});
}

} // namespace qwenc
