//===- Entries.cpp - What an entry takes and gives ----------------------------------------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"

#include "dialects/qwen/EntryRoles.h"

using namespace mlir;

namespace qwenc {

namespace layout = plan::layout;

namespace {

StringRef dtypeOf(RankedTensorType type) { return type.getElementType().isInteger(32) ? "i32" : "f32"; }

/// The text that an argument's attribute holds, or "".
StringRef textOf(func::FuncOp func, BlockArgument argument, StringRef key) {
  auto found = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), key);
  return found ? found.getValue() : StringRef();
}

/// The name that an entry had before its plan.entry took it over.
StringRef entryName(func::FuncOp func) { return func.getSymName().drop_front(5); }

int64_t rowsOfEntry(func::FuncOp func) { return func->getAttrOfType<IntegerAttr>(qwen::attrs::rows).getInt(); }

/// A tensor like \p type with another number of rows.
RankedTensorType withRows(RankedTensorType type, int64_t rows) {
  return RankedTensorType::get({rows, type.getDimSize(1)}, type.getElementType());
}

} // namespace

LogicalResult PlanConverter::convertEntry(func::FuncOp func) {
  auto role = func->getAttrOfType<StringAttr>(qwen::attrs::role);
  auto rows = func->getAttrOfType<IntegerAttr>(qwen::attrs::rows);
  if (!role || !rows)
    return func.emitError("function is no entry; run qwen-specialize-entries first");
  ranges.clear();
  outputStorage.clear();
  extents.clear();
  sequence = sequenceOf(func);
  isComponent = role.getValue() == qwen::roles::other && !sequence;
  OpBuilder atEnd = OpBuilder::atBlockEnd(module.getBody());
  // The function keeps its name until it is erased, so the entry takes it over afterwards.
  std::string name = func.getSymName().str();
  func.setSymName("qwen." + name);
  auto entry =
      plan::EntryOp::create(atEnd, func.getLoc(), b.getStringAttr(name), role, rows, b.getI64IntegerAttr(sequence));
  b.setInsertionPointToStart(b.createBlock(&entry.getBody()));
  if (failed(declareInterface(func)))
    return failure();
  for (Operation &op : func.getBody().front())
    if (failed(convert(&op)))
      return failure();
  return success();
}

LogicalResult PlanConverter::declareInterface(func::FuncOp func) {
  for (BlockArgument argument : func.getArguments())
    if (failed(declareArgument(func, argument)))
      return failure();
  if (failed(declareResults(func)) || failed(declareExposed(func)))
    return failure();
  if (sequence)
    declareSettings(func);
  if (auto codes = func->getAttrOfType<IntegerAttr>(qwen::attrs::codes))
    declareTensor(func.getLoc(), "output", "codes", ofSequence(kState, sequence), layout::kTokens + 4, "i32",
                  RankedTensorType::get({codes.getInt()}, b.getI32Type()), "");
  return success();
}

//===------------------------------------------------------------------------------------------------------------===//
// Tensors and symbols of the plan
//===------------------------------------------------------------------------------------------------------------===//

void PlanConverter::declareTensor(Location loc, StringRef direction, StringRef name, StringRef in, int64_t offset,
                                  StringRef dtype, RankedTensorType type, StringRef symbol, bool isOptional) {
  SmallVector<StringRef> names(type.getRank(), "");
  names[0] = symbol;
  DenseI64ArrayAttr factors;
  if (auto rows = qwen::getRows(type); rows && rows.getFactor() != 1) {
    SmallVector<int64_t> list(type.getRank(), 1);
    list[0] = rows.getFactor();
    factors = b.getDenseI64ArrayAttr(list);
  }
  plan::TensorOp::create(b, loc, b.getStringAttr(direction), b.getStringAttr(name),
                         FlatSymbolRefAttr::get(b.getContext(), in), b.getI64IntegerAttr(offset),
                         b.getStringAttr(dtype), b.getDenseI64ArrayAttr(type.getShape()), b.getStrArrayAttr(names),
                         factors, isOptional ? b.getUnitAttr() : UnitAttr());
}

void PlanConverter::declareSymbol(Location loc, StringRef name, StringRef cell, int64_t max, IntegerAttr index) {
  plan::SymbolOp::create(b, loc, b.getStringAttr(name), b.getStringAttr(cell), index, b.getI64IntegerAttr(max));
}

/// The storage that entries of a sequence share for \p name.
std::string PlanConverter::bufferName(StringRef name) {
  static constexpr const char *prefixes[] = {"", "talker.", "predictor."};
  return (sequence < 3 ? prefixes[sequence] : ofSequence("sequence.", sequence) + ".") + name.str();
}

//===------------------------------------------------------------------------------------------------------------===//
// Inputs
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult PlanConverter::declareArgument(func::FuncOp func, BlockArgument argument) {
  StringRef binding = textOf(func, argument, qwen::attrs::binding);
  if (binding == "tokens")
    declareTokens(func, argument);
  else if (binding == "positions" || binding == "media_rows")
    declareRowCells(func, argument, binding);
  else if (binding == "media" || binding == "tensor")
    return declareFurtherInput(func, argument, binding);
  else if (binding == "buffer")
    declareBuffer(func, argument);
  else if (binding == "hidden")
    declareHidden(func, argument);
  else
    return func.emitError("argument ") << argument.getArgNumber() << " has no known qwen.binding";
  return success();
}

void PlanConverter::bindArgument(func::FuncOp func, BlockArgument argument, StringRef in) {
  int64_t bytes = bytesOf(argument.getType());
  storage(func.getLoc(), in, plan::Purpose::Output, bytes);
  ranges[argument] = ref(func.getLoc(), in, bytes);
}

void PlanConverter::declareTokens(func::FuncOp func, BlockArgument argument) {
  auto type = cast<RankedTensorType>(argument.getType());
  StringRef symbol = symbolOf(type);
  declareTensor(func.getLoc(), "input", "input_ids", ofSequence(kState, sequence), layout::kTokens, "i32", type,
                symbol);
  // Alone, an entry takes as many tokens as the history holds.
  if (!symbol.empty())
    declareSymbol(func.getLoc(), symbol, "length", type.getDimSize(0));
}

void PlanConverter::declareHidden(func::FuncOp func, BlockArgument argument) {
  auto type = cast<RankedTensorType>(argument.getType());
  std::string in = bufferName("hidden");
  bindArgument(func, argument, in);
  bool isLogits = func->getAttrOfType<StringAttr>(qwen::attrs::role).getValue() == qwen::roles::logits;
  int64_t rows = isLogits ? rowsOfEntry(func) : type.getDimSize(0);
  StringRef symbol = isLogits ? "R" : "S";
  // Beside text, entries run one after another: what stands there stays.
  declareTensor(func.getLoc(), "input", "hidden", in, 0, "f32", withRows(type, rows), symbol,
                /*isOptional=*/sequence != 0);
  declareSymbol(func.getLoc(), symbol, isLogits ? "head_rows" : "rows", rows);
}

/// Rows that entries of speech share; callers may give some of them.
void PlanConverter::declareBuffer(func::FuncOp func, BlockArgument argument) {
  auto type = cast<RankedTensorType>(argument.getType());
  StringRef name = textOf(func, argument, qwen::attrs::name), symbol = textOf(func, argument, qwen::attrs::symbol);
  std::string in = "talker." + name.str();
  bindArgument(func, argument, in);
  int64_t rows = type.getDimSize(0);
  if (symbol == "N")
    declareSymbol(func.getLoc(), symbol, "text_rows", rows);
  else if (!symbol.empty()) // counted by the tokens of the entry
    rows = rowsOfEntry(func);
  declareTensor(func.getLoc(), "input", name, in, 0, "f32", withRows(type, rows), symbol, /*isOptional=*/true);
}

/// What stands in cells for each row: rotary positions, or the media row that replaces it.
void PlanConverter::declareRowCells(func::FuncOp func, BlockArgument argument, StringRef binding) {
  auto type = cast<RankedTensorType>(argument.getType());
  StringRef symbol = symbolOf(type);
  if (symbol.empty()) // a sampled token's is computed
    return;
  int64_t offset =
      binding == "positions" ? layout::rotaryPositions(state.maxContext) : layout::mediaRows(state.maxContext);
  declareTensor(func.getLoc(), "input", binding, ofSequence(kState, sequence), offset, dtypeOf(type), type, symbol,
                /*isOptional=*/true);
}

LogicalResult PlanConverter::declareFurtherInput(func::FuncOp func, BlockArgument argument, StringRef binding) {
  auto type = cast<RankedTensorType>(argument.getType());
  bool isMedia = binding == "media";
  StringRef name = textOf(func, argument, qwen::attrs::name), symbol = symbolOf(type);
  std::string in = isMedia ? name.str() : "input." + entryName(func).str() + "." + name.str();
  bindArgument(func, argument, in);
  if (!symbol.empty() && !extents.contains(symbol)) {
    int64_t index = static_cast<int64_t>(extents.size());
    if (index >= layout::kExtentCount)
      return func.emitError("inputs have more than ") << layout::kExtentCount << " symbols, expected fewer";
    extents[symbol] = index;
    int64_t max = type.getDimSize(0) / qwen::getRows(type).getFactor();
    declareSymbol(func.getLoc(), symbol, "extents", max, b.getI64IntegerAttr(index));
  }
  declareTensor(func.getLoc(), "input", name, in, 0, dtypeOf(type), type, symbol, /*isOptional=*/isMedia);
  return success();
}

/// Cells that callers of a single entry may set, where the runtime's search for text does not.
void PlanConverter::declareSettings(func::FuncOp func) {
  auto declare = [&](StringRef name, int64_t offset, Type element) {
    declareTensor(func.getLoc(), "input", name, ofSequence(kState, sequence), offset,
                  element.isInteger(32) ? "u32" : "f32", RankedTensorType::get({1}, element), "", /*isOptional=*/true);
  };
  if (!func.getBody().getOps<qwen::NextTokenOp>().empty()) {
    declare("seed", layout::kSeed, b.getI32Type());
    declare("temperature", layout::kTemperature, b.getF32Type());
    declare("top_k", layout::kTopK, b.getI32Type());
    declare("top_p", layout::kTopP, b.getF32Type());
    declare("repetition_penalty", layout::kRepetitionPenalty, b.getF32Type());
  }
  if (hasBinding("positions", sequence))
    declare("position_delta", layout::kPositionDelta, b.getF32Type());
}

//===------------------------------------------------------------------------------------------------------------===//
// Outputs
//===------------------------------------------------------------------------------------------------------------===//

/// One storage for each name and size: the row of logits of a step, the rows of the logits entry. Functions that are
/// run with tensors have their own.
std::string PlanConverter::resultStorage(func::FuncOp func, StringRef name, RankedTensorType type) {
  if (isComponent)
    return "output." + entryName(func).str() + "." + name.str();
  std::string in = bufferName(name);
  return name == "logits" ? in + "." + std::to_string(type.getDimSize(0)) : in;
}

void PlanConverter::declareOutput(Location loc, Value value, StringRef name, std::string storageName) {
  auto type = cast<RankedTensorType>(value.getType());
  // Another shape of a result lies where it does.
  std::string &in = outputStorage[sourceOf(value)];
  if (in.empty()) {
    in = std::move(storageName);
    storage(loc, in, plan::Purpose::Output, bytesOf(type));
  }
  declareTensor(loc, "output", name, in, 0, dtypeOf(type), type, symbolOf(type));
}

LogicalResult PlanConverter::declareResults(func::FuncOp func) {
  auto returned = cast<func::ReturnOp>(func.getBody().front().getTerminator());
  for (auto [i, value] : llvm::enumerate(returned.getOperands())) {
    auto name = func.getResultAttrOfType<StringAttr>(i, qwen::attrs::name);
    if (!name)
      return func.emitError("result ") << i << " has no qwen.name";
    if (isa<BlockArgument>(sourceOf(value)))
      return func.emitError("result '") << name.getValue()
                                        << "' is an input, expected the result of a kernel; return a computed value";
    declareOutput(func.getLoc(), value, name, resultStorage(func, name, cast<RankedTensorType>(value.getType())));
  }
  return success();
}

/// Exposed values are outputs as results are; one that is a result already lies in that one's storage.
LogicalResult PlanConverter::declareExposed(func::FuncOp func) {
  llvm::StringMap<Value> names;
  for (auto [i, value] : llvm::enumerate(func.getBody().front().getTerminator()->getOperands()))
    names[func.getResultAttrOfType<StringAttr>(i, qwen::attrs::name).getValue()] = value;
  for (auto expose : func.getBody().getOps<qwen::ExposeOp>()) {
    Value value = expose.getValue(), source = sourceOf(value);
    if (auto [at, isNew] = names.try_emplace(expose.getName(), value); !isNew) {
      if (at->second == value)
        continue;
      return expose.emitError("exposed value has the name '")
             << expose.getName() << "' of another output, expected different names; rename it in the graph";
    }
    if (isa_and_present<qwen::PositionIdsOp>(source.getDefiningOp()) || isa<BlockArgument>(source))
      return expose.emitError("exposed value '")
             << expose.getName() << "' is made by no kernel, expected the result of one; do not expose it";
    declareOutput(expose.getLoc(), value, expose.getName(),
                  "expose." + expose.getName().str() + "." + std::to_string(dimOf(value, 0)));
  }
  return success();
}

} // namespace qwenc
