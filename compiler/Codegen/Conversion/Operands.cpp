//===- Operands.cpp - Where values lie, and dispatches ------------------------------------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"

using namespace mlir;

namespace qwenc {

namespace layout = plan::layout;

//===------------------------------------------------------------------------------------------------------------===//
// Types and values
//===------------------------------------------------------------------------------------------------------------===//

Elem elemOf(Type type) {
  Type elem = cast<RankedTensorType>(type).getElementType();
  return elem.isBF16() ? Elem::BF16 : elem.isF16() ? Elem::F16 : Elem::F32;
}

int64_t dimOf(Value value, unsigned i) { return cast<RankedTensorType>(value.getType()).getDimSize(i); }

uint32_t widthOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return static_cast<uint32_t>(tensor.getNumElements() / tensor.getDimSize(0));
}

uint64_t bytesOf(Type type) { return cast<RankedTensorType>(type).getNumElements() * elemBytes(elemOf(type)); }

int64_t storedWidth(RankedTensorType type) {
  if (type.getRank() > 3)
    return type.getNumElements() / type.getDimSize(0);
  return type.getRank() ? type.getShape().back() : 1;
}

WeightLayout layoutOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return {static_cast<WeightFormat>(qwen::getFormat(tensor)), static_cast<uint32_t>(storedWidth(tensor))};
}

std::string labelOf(Location loc) {
  std::string label;
  loc->walk([&](Location inner) {
    if (auto named = dyn_cast<NameLoc>(inner)) {
      label = named.getName().str();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return label;
}

Value sourceOf(Value value) {
  while (auto reshape = value.getDefiningOp<qwen::ReshapeOp>())
    value = reshape.getInput();
  return value;
}

StringRef symbolOf(Type type) {
  auto rows = qwen::getRows(cast<RankedTensorType>(type));
  return rows ? rows.getSymbol().getValue() : StringRef();
}

//===------------------------------------------------------------------------------------------------------------===//
// Rows
//===------------------------------------------------------------------------------------------------------------===//

FailureOr<uint32_t> PlanConverter::symbolCell(Location loc, StringRef symbol) {
  if (isComponent) {
    auto extent = extents.find(symbol);
    if (extent == extents.end())
      return emitError(loc) << "no input counts the rows of symbol " << symbol << ", expected one", failure();
    return static_cast<uint32_t>(layout::extents(state.maxContext) + 4 * extent->second);
  }
  if (symbol == "S")
    return static_cast<uint32_t>(layout::kRows);
  if (symbol == "R")
    return static_cast<uint32_t>(layout::kHeadRows);
  return emitError(loc) << "no cell counts the rows of symbol " << symbol << ", expected S or R", failure();
}

FailureOr<RowBound> PlanConverter::rowsOf(Location loc, Value value) {
  auto tensor = cast<RankedTensorType>(value.getType());
  RowBound rows{static_cast<uint32_t>(tensor.getDimSize(0)), std::nullopt};
  if (qwen::RowsAttr encoding = qwen::getRows(tensor)) {
    FailureOr<uint32_t> cell = symbolCell(loc, encoding.getSymbol().getValue());
    if (failed(cell))
      return failure();
    rows.cellOffset = *cell;
    rows.factor = static_cast<uint32_t>(encoding.getFactor());
  }
  return rows;
}

//===------------------------------------------------------------------------------------------------------------===//
// Ranges
//===------------------------------------------------------------------------------------------------------------===//

Value PlanConverter::ref(Location loc, StringRef storage, int64_t bytes) {
  return plan::RefOp::create(b, loc, plan::RangeType::get(b.getContext(), bytes),
                             FlatSymbolRefAttr::get(b.getContext(), storage), b.getI64IntegerAttr(0));
}

Value PlanConverter::stateRef(Location loc, int64_t number) {
  return ref(loc, ofSequence(kState, number), state.bytes());
}

Value PlanConverter::mailboxRef(Location loc) {
  return ref(loc, ofSequence(kMailbox, sequence), layout::mailboxBytes());
}

Value PlanConverter::alloc(Location loc, StringRef label, int64_t bytes) {
  return plan::AllocOp::create(b, loc, plan::RangeType::get(b.getContext(), bytes), b.getStringAttr(label),
                               IntegerAttr());
}

Value PlanConverter::destination(Value result) {
  Location loc = result.getLoc();
  auto found = outputStorage.find(result);
  Value range = found == outputStorage.end() ? alloc(loc, labelOf(loc), bytesOf(result.getType()))
                                             : ref(loc, found->second, bytesOf(result.getType()));
  ranges[result] = range;
  return range;
}

Value PlanConverter::range(Value value) { return ranges.lookup(sourceOf(value)); }

FailureOr<Value> PlanConverter::weightRange(Location loc, ValueRange values) {
  SmallVector<Attribute> names;
  int64_t bytes = 0;
  for (Value value : llvm::map_range(values, sourceOf)) {
    SmallVector<StringRef> members;
    if (auto op = value.getDefiningOp<qwen::WeightOp>())
      members.push_back(op.getParameter());
    else if (auto stack = value.getDefiningOp<qwen::WeightStackOp>())
      for (auto member : stack.getParameters().getAsRange<FlatSymbolRefAttr>())
        members.push_back(member.getValue());
    else
      return emitError(loc) << "operand is no qwen.weight", failure();
    for (StringRef member : members) {
      FailureOr<FlatSymbolRefAttr> name = weight(value.getDefiningOp(), member);
      if (failed(name))
        return failure();
      names.push_back(*name);
    }
    auto type = cast<RankedTensorType>(value.getType());
    bytes += layoutOf(type).bytes(type.getNumElements() / storedWidth(type));
  }
  return Value(plan::WeightsOp::create(b, loc, plan::RangeType::get(b.getContext(), bytes), b.getArrayAttr(names)));
}

LogicalResult PlanConverter::appendWeights(Location loc, ArrayRef<Value> values, SmallVectorImpl<Value> &operands) {
  for (Value value : values) {
    if (!value)
      continue;
    FailureOr<Value> weight = weightRange(loc, value);
    if (failed(weight))
      return failure();
    operands.push_back(*weight);
  }
  return success();
}

//===------------------------------------------------------------------------------------------------------------===//
// Dispatches
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult PlanConverter::dispatch(Location loc, const KernelPlan &plan, ArrayRef<Value> operands, Work work) {
  if (failed(kernel(loc, plan)))
    return failure();
  auto optional = [&](int64_t number) { return number ? b.getI64IntegerAttr(number) : IntegerAttr(); };
  RowsOfDispatch rows = rowsOfDispatch(plan);
  plan::DispatchOp::create(b, loc, FlatSymbolRefAttr::get(b.getContext(), plan.name),
                           b.getDenseI64ArrayAttr(plan.groups), operands, b.getStringAttr(labelOf(loc)),
                           b.getI64IntegerAttr(work.readBytes), optional(work.bytesPerPosition), optional(work.flops),
                           IntegerAttr(), rows.symbol, rows.factor, rows.each, rows.direction);
  return success();
}

LogicalResult PlanConverter::dispatchRows(const KernelPlan &plan, const RowBound &rows, SmallVector<Value> operands,
                                          ArrayRef<Value> results, Work work) {
  Location loc = results.front().getLoc();
  if (rows.cellOffset)
    operands.push_back(stateRef(loc));
  for (Value result : results)
    operands.push_back(destination(result));
  return dispatch(loc, plan, operands, work);
}

/// By which symbol the groups of a dispatch are as many as there are rows. Only the extents of entries that are run
/// with tensors are known before the run.
PlanConverter::RowsOfDispatch PlanConverter::rowsOfDispatch(const KernelPlan &plan) {
  if (!isComponent || !plan.rowGroups)
    return {};
  const RowBound &rows = plan.rowGroups->rows;
  for (const auto &[symbol, element] : extents)
    if (rows.cellOffset == layout::extents(state.maxContext) + 4 * element)
      return {b.getStringAttr(symbol), b.getI64IntegerAttr(rows.factor), b.getI64IntegerAttr(plan.rowGroups->each),
              b.getI64IntegerAttr(plan.rowGroups->direction)};
  return {};
}

} // namespace qwenc
