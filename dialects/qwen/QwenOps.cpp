//===- QwenOps.cpp - Verifiers and folders of text and entry operations -----------------------------------------===//
//
// The labels (C1), (C2), ... name the constraints listed in README.md.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "dialects/qwen/Verifiers.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::qwen;

#define GET_OP_CLASSES
#include "dialects/qwen/QwenOps.cpp.inc"

//===------------------------------------------------------------------------------------------------------------===//
// Symbols
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult ParameterOp::verify() { // (C1)
  auto type = cast<RankedTensorType>(getType());
  bool isPacked = isa_and_present<PackedAttr>(type.getEncoding());
  if (!type.hasStaticShape() || type.getRank() == 0 || (type.getEncoding() && !isPacked))
    return emitOpError() << "has type " << type << ", expected a static shape of rank 1 or more without rows encoding";
  int64_t file = getFile(), offset = getOffset();
  if (file < 0 || offset < 0)
    return emitOpError() << "lies in file " << file << " at offset " << offset << ", expected both at least 0";
  return success();
}

LogicalResult StateOp::verify() { // (C2)
  auto type = cast<RankedTensorType>(getType());
  if (type.getRank() == 0 || type.getEncoding())
    return emitOpError() << "has type " << type << ", expected positions in dimension 0 and no rows encoding";
  if ((getFixed() || getDerived()) && !type.hasStaticShape())
    return emitOpError() << "is " << (getFixed() ? "fixed" : "derived") << " and has type " << type
                         << ", expected a static shape";
  for (int64_t size : type.getShape().drop_front())
    if (ShapedType::isDynamic(size))
      return emitOpError() << "has type " << type << ", expected that only dimension 0 is dynamic";
  return success();
}

/// (C1), (C2): \p symbol names an \p OpTy of type \p type.
template <typename OpTy>
static LogicalResult verifySymbolUse(Operation *op, SymbolTableCollection &tables, FlatSymbolRefAttr symbol,
                                     Type type) {
  auto target = tables.lookupNearestSymbolFrom<OpTy>(op, symbol);
  if (!target)
    return op->emitOpError() << symbol << " names no " << OpTy::getOperationName() << ", expected one in this module";
  if (target.getType() != type)
    return op->emitOpError() << "has type " << type << ", expected " << target.getType() << " as " << symbol << " has";
  return success();
}

LogicalResult WeightOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifySymbolUse<ParameterOp>(*this, tables, getParameterAttr(), getType());
}

/// (C25): vectors side by side; each but the last fills whole units of 16 bytes.
static LogicalResult verifySideBySide(WeightStackOp op, SymbolTableCollection &tables, RankedTensorType type) {
  int64_t total = 0;
  for (auto symbol : op.getParameters().getAsRange<FlatSymbolRefAttr>()) {
    auto parameter = tables.lookupNearestSymbolFrom<ParameterOp>(op, symbol);
    auto member = parameter ? dyn_cast<RankedTensorType>(parameter.getType()) : RankedTensorType();
    if (!member || member.getRank() != 1 || member.getElementType() != type.getElementType() || total % 8 != 0)
      return op.emitOpError() << symbol << " cannot lie at element " << total
                              << ", expected vectors of which all but the last have a multiple of 8 elements";
    if (llvm::AddOverflow(total, member.getDimSize(0), total))
      return op.emitOpError() << "has more elements than 64 bits count, expected fewer";
  }
  return verifyDim(op, "the stack", type, 0, total);
}

LogicalResult WeightStackOp::verifySymbolUses(SymbolTableCollection &tables) { // (C25)
  auto type = cast<RankedTensorType>(getType());
  if (type.getRank() == 1 && type.hasStaticShape() && !type.getEncoding())
    return verifySideBySide(*this, tables, type);
  if (type.getRank() < 2 || !type.hasStaticShape() || getRows(type))
    return emitOpError() << "has type " << type << ", expected a static shape of rank 1 or more";
  if (failed(verifyDim(*this, "the stack", type, 0, getParameters().size())))
    return failure();
  auto member = RankedTensorType::get(type.getShape().drop_front(), type.getElementType(), type.getEncoding());
  for (auto parameter : getParameters().getAsRange<FlatSymbolRefAttr>())
    if (failed(verifySymbolUse<ParameterOp>(*this, tables, parameter, member)))
      return failure();
  return success();
}

LogicalResult ReadStateOp::verifySymbolUses(SymbolTableCollection &tables) {
  return verifySymbolUse<StateOp>(*this, tables, getStateAttr(), getType());
}

//===------------------------------------------------------------------------------------------------------------===//
// Primitive operations
//===------------------------------------------------------------------------------------------------------------===//

/// The first reader of \p op's results in its block.
static Operation *firstUser(Operation *op) {
  Operation *first = nullptr;
  for (Operation *user : op->getUsers())
    if (user->getBlock() == op->getBlock() && (!first || user->isBeforeInBlock(first)))
      first = user;
  return first;
}

LogicalResult EmbeddingOp::verify() { // (C5)
  RankedTensorType ids = typeOf(getIds()), table = typeOf(getTable()), result = getResult().getType();
  if (ids.getRank() != 1 && ids.getRank() != 2)
    return emitOpError() << "ids has rank " << ids.getRank() << ", expected rows or rows and columns";
  if (failed(verifyWeight(*this, "table", table, 2)) ||
      failed(verifyRank(*this, "result", result, ids.getRank() + 1)) ||
      failed(verifySameRows(*this, "result", result, ids)) ||
      (ids.getRank() == 2 && failed(verifyDim(*this, "result", result, 1, ids.getDimSize(1)))))
    return failure();
  if (failed(verifyDim(*this, "result", result, ids.getRank(), table.getDimSize(1))))
    return failure();
  if (getJoined() && !getGatheringProduct())
    return emitOpError()
           << "is joined to no product, expected that a qwen.fused_linear with rms_norm is the first to read "
              "one row of the entry's tokens";
  return success();
}

FusedLinearOp EmbeddingOp::getGatheringProduct() {
  auto ids = dyn_cast<BlockArgument>(getIds());
  auto entry = dyn_cast<FunctionOpInterface>((*this)->getParentOp());
  RankedTensorType type = typeOf(getIds());
  if (!ids || !entry || type.getShape() != ArrayRef<int64_t>{1} || getRows(type))
    return {};
  auto binding = entry.getArgAttrOfType<StringAttr>(ids.getArgNumber(), attrs::binding);
  auto product = dyn_cast_or_null<FusedLinearOp>(firstUser(*this));
  bool gathers = binding && binding.getValue() == "tokens" && product && product.getInput() == getResult() &&
                 product.getPrologue() == Prologue::RmsNorm;
  return gathers ? product : FusedLinearOp();
}

// (C22)
LogicalResult PositionIdsOp::verify() { return verifyRank(*this, "result", getResult().getType(), 1); }

LogicalResult RmsNormOp::verify() { // (C6)
  RankedTensorType input = typeOf(getInput()), weight = typeOf(getWeight()), result = getResult().getType();
  if (failed(verifyWeight(*this, "weight", weight, 1)) || failed(verifyEps(*this, getEps())))
    return failure();
  if (input.getRank() < 2)
    return emitOpError() << "input has rank " << input.getRank() << ", expected rows and columns";
  if (input.getShape() != result.getShape() || input.getEncoding() != result.getEncoding())
    return emitOpError() << "result has type " << result << ", expected the shape of the input " << input;
  return verifyDim(*this, "weight", weight, 0, input.getShape().back());
}

LogicalResult LinearOp::verify() { // (C7)
  RankedTensorType input = typeOf(getInput()), weight = typeOf(getWeight()), result = getResult().getType();
  if (failed(verifyRank(*this, "input", input, 2)) || failed(verifyRank(*this, "weight", weight, 2)) ||
      failed(verifyMatrix(*this, "weight", weight)) || failed(verifyRank(*this, "result", result, 2)) ||
      failed(verifySameRows(*this, "result", result, input)) ||
      failed(verifyDim(*this, "weight", weight, 1, input.getDimSize(1))) ||
      failed(verifyDim(*this, "result", result, 1, weight.getDimSize(0))))
    return failure();
  if (!getBias())
    return success();
  RankedTensorType bias = typeOf(getBias());
  if (failed(verifyWeight(*this, "bias", bias, 1)))
    return failure();
  return verifyDim(*this, "bias", bias, 0, weight.getDimSize(0));
}

LogicalResult ReshapeOp::verify() { // (C8)
  RankedTensorType input = typeOf(getInput()), result = getResult().getType();
  if (input.getRank() == 0)
    return emitOpError() << "input has rank 0, expected rows in dimension 0";
  RowsAttr rows = getRows(input), resultRows = getRows(result);
  // Only rows that are counted can be cut or joined: their number stays a multiple of the symbol.
  if (rows && resultRows && result.getRank() > 0 && rows.getSymbol() == resultRows.getSymbol() && rows != resultRows) {
    bool isDynamic = input.isDynamicDim(0);
    if (isDynamic != result.isDynamicDim(0) ||
        (!isDynamic && input.getDimSize(0) / rows.getFactor() != result.getDimSize(0) / resultRows.getFactor()))
      return emitOpError() << "turns " << input << " into " << result << ", expected the same extent of the symbol";
  } else if (failed(verifySameRows(*this, "result", result, input))) {
    return failure();
  }
  if (input.getElementType() != result.getElementType())
    return emitOpError() << "result has type " << result << ", expected the element type of the input " << input;
  FailureOr<int64_t> from = elementsPerSymbol(input), to = elementsPerSymbol(result);
  if (failed(from) || failed(to))
    return emitOpError() << "turns " << input << " into " << result << ", expected static sizes behind dimension 0";
  if (*from != *to)
    return emitOpError() << "turns " << *from << " elements of a row into " << *to << ", expected the same number";
  return success();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (auto inner = getInput().getDefiningOp<ReshapeOp>()) {
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

LogicalResult SliceOp::verify() { // (C9)
  RankedTensorType input = typeOf(getInput()), result = getResult().getType();
  if (failed(verifyRank(*this, "input", input, 2)) || failed(verifyRank(*this, "result", result, 2)) ||
      failed(verifySameRows(*this, "result", result, input)))
    return failure();
  if (input.getElementType() != result.getElementType() && !input.getElementType().isF32())
    return emitOpError() << "result has type " << result << ", expected the element type of the input " << input
                         << ", or 16 bits of f32";
  int64_t columns = input.getDimSize(1), taken = result.getDimSize(1);
  if (ShapedType::isDynamic(columns) || ShapedType::isDynamic(taken))
    return emitOpError() << "takes columns of " << input << ", expected a static number of columns";
  int64_t offset = getOffset();
  if (offset < 0 || taken > columns || offset > columns - taken)
    return emitOpError() << "takes " << taken << " columns at " << offset << ", expected them within the " << columns
                         << " columns of the input";
  return success();
}

OpFoldResult SliceOp::fold(FoldAdaptor) {
  if (getInput().getType() == getType())
    return getInput();
  if (auto inner = getInput().getDefiningOp<SliceOp>()) {
    setOffset(getOffset() + inner.getOffset());
    getInputMutable().assign(inner.getInput());
    return getResult();
  }
  return {};
}

LogicalResult RopeOp::verify() { // (C10)
  RankedTensorType input = typeOf(getInput()), positions = typeOf(getPositions()), result = getResult().getType();
  if (failed(verifyRank(*this, "input", input, 3)) || failed(verifyRank(*this, "positions", positions, 1)) ||
      failed(verifySameRows(*this, "positions", positions, input)) ||
      failed(verifyPositive(*this, "theta", getTheta())))
    return failure();
  if (ShapedType::isDynamic(input.getDimSize(2)) || input.getDimSize(2) % 2 != 0)
    return emitOpError() << "rotates " << input << ", expected an even, static last dimension";
  if (input.getShape() != result.getShape() || input.getEncoding() != result.getEncoding())
    return emitOpError() << "result has type " << result << ", expected the shape of the input " << input;
  return success();
}

LogicalResult KvAppendOp::verify() { // (C11)
  RankedTensorType cache = typeOf(getCache()), rows = typeOf(getRows()), result = getResult().getType();
  if (failed(verifyRank(*this, "cache", cache, 3)) || failed(verifyRank(*this, "rows", rows, 3)))
    return failure();
  if (result != cache)
    return emitOpError() << "result has type " << result << ", expected " << cache << " as the cache has";
  if (failed(verifyDim(*this, "rows", rows, 1, cache.getDimSize(1))))
    return failure();
  return verifyDim(*this, "rows", rows, 2, cache.getDimSize(2));
}

LogicalResult AttentionOp::verify() { // (C12)
  RankedTensorType query = typeOf(getQuery()), keys = typeOf(getKeys()), values = typeOf(getValues());
  RankedTensorType result = getResult().getType();
  if (failed(verifyRank(*this, "query", query, 3)) || failed(verifyRank(*this, "keys", keys, 3)) ||
      failed(verifyPositive(*this, "scale", getScale())))
    return failure();
  if (keys != values)
    return emitOpError() << "values have type " << values << ", expected " << keys << " as the keys have";
  if (query.getShape() != result.getShape() || query.getEncoding() != result.getEncoding())
    return emitOpError() << "result has type " << result << ", expected the shape of the query " << query;
  if (failed(verifyDim(*this, "keys", keys, 2, query.getDimSize(2))))
    return failure();
  int64_t heads = query.getDimSize(1), kvHeads = keys.getDimSize(1);
  if (ShapedType::isDynamic(heads) || kvHeads <= 0 || heads % kvHeads != 0)
    return emitOpError() << "has " << heads << " query heads over " << kvHeads
                         << " key heads, expected a static multiple of them";
  return success();
}

/// (C26): a value and the number of an expert for each of k choices of a row.
static LogicalResult verifyChoice(Operation *op, RankedTensorType input, RankedTensorType values,
                                  RankedTensorType indices) {
  if (failed(verifyRank(op, "input", input, 2)) || failed(verifyRank(op, "values", values, 2)) ||
      failed(verifyRank(op, "indices", indices, 2)) || failed(verifySameRows(op, "values", values, input)) ||
      failed(verifySameRows(op, "indices", indices, input)))
    return failure();
  int64_t columns = input.getDimSize(1), chosen = values.getDimSize(1);
  if (ShapedType::isDynamic(columns) || ShapedType::isDynamic(chosen) || chosen < 1 || chosen > columns)
    return op->emitOpError() << "chooses from " << input << " into " << values
                             << ", expected 1 or more of a static number of columns";
  return verifyDim(op, "indices", indices, 1, chosen);
}

LogicalResult TopKOp::verify() {
  return verifyChoice(*this, typeOf(getInput()), typeOf(getValues()), typeOf(getIndices()));
}

/// (C27): [R, K], or [R, k, K] with the rows and choices of \p experts.
static LogicalResult verifyExpertInput(Operation *op, RankedTensorType input, RankedTensorType experts, int64_t width) {
  if (failed(verifyRank(op, "experts", experts, 2)))
    return failure();
  if (input.getRank() != 2 && input.getRank() != 3)
    return op->emitOpError() << "input has rank " << input.getRank() << ", expected [R, K] or [R, k, K]";
  if (failed(verifySameRows(op, "experts", experts, input)) ||
      (input.getRank() == 3 && failed(verifyDim(op, "input", input, 1, experts.getDimSize(1)))))
    return failure();
  return verifyDim(op, "input", input, input.getRank() - 1, width);
}

/// (C27): [R, k, N] for the choices of \p experts.
static LogicalResult verifyExpertResult(Operation *op, RankedTensorType result, RankedTensorType experts,
                                        int64_t width) {
  if (failed(verifyRank(op, "result", result, 3)) || failed(verifySameRows(op, "result", result, experts)) ||
      failed(verifyDim(op, "result", result, 1, experts.getDimSize(1))))
    return failure();
  return verifyDim(op, "result", result, 2, width);
}

LogicalResult ExpertLinearOp::verify() { // (C27)
  RankedTensorType experts = typeOf(getExperts()), weight = typeOf(getWeight());
  if (failed(verifyMatrix(*this, "weight", weight, 3)) ||
      failed(verifyExpertInput(*this, typeOf(getInput()), experts, weight.getDimSize(2))))
    return failure();
  return verifyExpertResult(*this, getResult().getType(), experts, weight.getDimSize(1));
}

LogicalResult WeightedSumOp::verify() { // (C28)
  RankedTensorType input = typeOf(getInput()), weights = typeOf(getWeights()), result = getResult().getType();
  if (failed(verifyRank(*this, "input", input, 3)) || failed(verifyRank(*this, "weights", weights, 2)) ||
      failed(verifyRank(*this, "result", result, 2)) || failed(verifySameRows(*this, "weights", weights, input)) ||
      failed(verifySameRows(*this, "result", result, input)) ||
      failed(verifyDim(*this, "weights", weights, 1, input.getDimSize(1))))
    return failure();
  return verifyDim(*this, "result", result, 1, input.getDimSize(2));
}

LogicalResult ExposeOp::verify() { // (C31)
  if (typeOf(getValue()).getRank() == 0)
    return emitOpError() << "value has rank 0, expected rows in dimension 0";
  if (getName().empty())
    return emitOpError() << "has an empty name, expected one for callers";
  return success();
}

//===------------------------------------------------------------------------------------------------------------===//
// Entry operations
//===------------------------------------------------------------------------------------------------------------===//

// (C22)
LogicalResult BeginChunkOp::verify() { return verifyPositive(*this, "rows", getRows()); }

/// (C13): picks some rows of hidden rows.
static LogicalResult verifyRowPick(Operation *op, RankedTensorType input, RankedTensorType result) {
  if (failed(verifyRank(op, "input", input, 2)) || failed(verifyRank(op, "result", result, 2)) ||
      failed(verifyDim(op, "result", result, 1, input.getDimSize(1))))
    return failure();
  if (input.getElementType() != result.getElementType())
    return op->emitOpError() << "result has type " << result << ", expected the element type of the input " << input;
  return success();
}

LogicalResult LastRowOp::verify() {
  if (failed(verifyRowPick(*this, typeOf(getInput()), getResult().getType())))
    return failure();
  return verifyDim(*this, "result", getResult().getType(), 0, 1);
}

LogicalResult HeadRowsOp::verify() { return verifyRowPick(*this, typeOf(getInput()), getResult().getType()); }

LogicalResult NextTokenOp::verify() { // (C14)
  RankedTensorType logits = typeOf(getLogits());
  if (failed(verifyRank(*this, "logits", logits, 2)) || failed(verifyDim(*this, "logits", logits, 0, 1)))
    return failure();
  std::optional<ArrayRef<int64_t>> suppress = getSuppress();
  if (!suppress)
    return success();
  int64_t vocab = logits.getDimSize(1);
  if (suppress->size() != 3 || (*suppress)[0] < 0 || (*suppress)[0] > (*suppress)[1] || (*suppress)[1] > vocab)
    return emitOpError() << "suppresses [" << *suppress << "], expected the first id, the one behind the last, at most "
                         << vocab << ", and the one to keep";
  if ((*suppress)[0] == 0 && (*suppress)[1] == vocab && ((*suppress)[2] < 0 || (*suppress)[2] >= vocab))
    return emitOpError() << "suppresses all ids, expected one or more to choose from";
  return success();
}

LogicalResult InputRowsOp::verify() { // (C41)
  RankedTensorType rows = typeOf(getRows()), result = getResult().getType();
  if (failed(verifyRank(*this, "rows", rows, 2)) || failed(verifyRank(*this, "result", result, 2)))
    return failure();
  return verifyDim(*this, "result", result, 1, rows.getDimSize(1));
}

/// (C42): tables of one width, and one row of it.
static LogicalResult verifyTables(Operation *op, ValueRange tables, RankedTensorType row) {
  if (tables.empty())
    return op->emitOpError() << "has no tables, expected one for each code";
  if (failed(verifyRank(op, "result", row, 2)) || failed(verifyDim(op, "result", row, 0, 1)))
    return failure();
  for (Value table : tables)
    if (failed(verifyWeight(op, "table", typeOf(table), 2)) ||
        failed(verifyDim(op, "table", typeOf(table), 1, row.getDimSize(1))))
      return failure();
  return success();
}

LogicalResult CodeRowOp::verify() {
  RankedTensorType step = typeOf(getStep());
  if (failed(verifyTables(*this, getTables(), typeOf(getRow()))) || failed(verifyRank(*this, "step", step, 2)) ||
      failed(verifyDim(*this, "step", step, 0, 1)))
    return failure();
  return verifyDim(*this, "step", step, 1, 1);
}

LogicalResult FrameRowOp::verify() {
  RankedTensorType text = typeOf(getText()), result = getResult().getType();
  if (failed(verifyTables(*this, getTables(), result)) || failed(verifyRank(*this, "text", text, 2)))
    return failure();
  return verifyDim(*this, "text", text, 1, result.getDimSize(1));
}

//===------------------------------------------------------------------------------------------------------------===//
// Fused operations
//===------------------------------------------------------------------------------------------------------------===//

/// (C15): \p body takes \p count f32 elements, computes with scalar arith and math operations, and yields one f32.
static LogicalResult verifyBody(Operation *op, Region &body, size_t count) {
  Block &block = body.front();
  if (block.getNumArguments() != count)
    return op->emitOpError() << "body has " << block.getNumArguments() << " arguments, expected " << count;
  if (!llvm::all_of(block.getArgumentTypes(), [](Type type) { return type.isF32(); }))
    return op->emitOpError() << "body has an argument that is not f32, expected only f32";
  for (Operation &inner : block.without_terminator())
    if (!isa<arith::ArithDialect, math::MathDialect>(inner.getDialect()))
      return op->emitOpError() << "body holds '" << inner.getName() << "', expected only operations of arith and math";
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield)
    return op->emitOpError() << "body ends in '" << block.back().getName() << "', expected qwen.yield";
  if (!yield.getValue().getType().isF32())
    return op->emitOpError() << "body yields " << yield.getValue().getType() << ", expected f32";
  return success();
}

/// (C16): the input columns after the prologue.
static FailureOr<int64_t> verifyPrologue(FusedLinearOp op) {
  RankedTensorType input = typeOf(op.getInput());
  bool hasNorm = op.getPrologue() == Prologue::RmsNorm;
  if (hasNorm != (op.getNormWeight() != nullptr) || hasNorm != op.getEps().has_value()) {
    op.emitOpError() << "prologue '" << stringifyPrologue(op.getPrologue()) << "' with"
                     << (op.getNormWeight() ? "" : "out") << " norm, expected a norm for rms_norm and only there";
    return failure();
  }
  if (op.getPrologue() == Prologue::CombineSplits) {
    if (failed(verifyRank(op, "input", input, 3)))
      return failure();
    if (!input.hasStaticShape() || input.getDimSize(2) <= 2) {
      op.emitOpError() << "combines " << input << ", expected a static [heads, splits, D + 2]";
      return failure();
    }
    return input.getDimSize(0) * (input.getDimSize(2) - 2);
  }
  if (failed(verifyRank(op, "input", input, 2)))
    return failure();
  if (hasNorm &&
      (failed(verifyEps(op, *op.getEps())) || failed(verifyWeight(op, "norm weight", typeOf(op.getNormWeight()), 1)) ||
       failed(verifyDim(op, "norm weight", typeOf(op.getNormWeight()), 0, input.getDimSize(1)))))
    return failure();
  return input.getDimSize(1);
}

LogicalResult FusedLinearOp::verify() { // (C17)
  FailureOr<int64_t> columns = verifyPrologue(*this);
  if (failed(columns))
    return failure();
  RankedTensorType result = getResult().getType();
  if (failed(verifyRank(*this, "result", result, 2)))
    return failure();
  if (getPrologue() == Prologue::CombineSplits) {
    if (failed(verifyDim(*this, "result", result, 0, 1)))
      return failure();
  } else if (failed(verifySameRows(*this, "result", result, typeOf(getInput())))) {
    return failure();
  }
  if (getWeights().empty())
    return emitOpError() << "has no weights, expected one or more";
  bool parallel = getJoin() == Join::Parallel;
  int64_t stacked = 0;
  for (Value weight : getWeights()) {
    RankedTensorType type = typeOf(weight);
    if (failed(verifyMatrix(*this, "weight", type)) || failed(verifyDim(*this, "weight", type, 1, *columns)) ||
        (parallel && failed(verifyDim(*this, "weight", type, 0, result.getDimSize(1)))))
      return failure();
    if (type.getEncoding() != typeOf(getWeights()[0]).getEncoding()) // (C24)
      return emitOpError() << "weight has type " << type << ", expected the format of the first, "
                           << stringifyWeightFormat(getFormat(typeOf(getWeights()[0])));
    if (llvm::AddOverflow(stacked, type.getDimSize(0), stacked))
      return emitOpError() << "stacks more weight rows than 64 bits count, expected fewer";
  }
  if (!parallel && failed(verifyDim(*this, "result", result, 1, stacked)))
    return failure();
  for (Value extra : getExtras()) {
    RankedTensorType type = typeOf(extra);
    bool broadcast = type.getRank() == 1 && type.getDimSize(0) == result.getDimSize(1);
    bool elementwise = type.getShape() == result.getShape() && type.getEncoding() == result.getEncoding();
    bool perRow = type.getRank() == 2 && type.getDimSize(1) == 1 && type.getDimSize(0) == result.getDimSize(0) &&
                  type.getEncoding() == result.getEncoding();
    if (!broadcast && !elementwise && !perRow)
      return emitOpError() << "extra has type " << type << ", expected [N], [R, 1] or the shape of the result "
                           << result;
  }
  return verifyBody(*this, getEpilogue(), (parallel ? getWeights().size() : 1) + getExtras().size());
}

LogicalResult ElementwiseOp::verify() { // (C18)
  RankedTensorType result = getResult().getType();
  if (getInputs().empty())
    return emitOpError() << "has no inputs, expected one or more";
  for (Value input : getInputs()) {
    RankedTensorType type = typeOf(input);
    if (type.getShape() != result.getShape() || type.getEncoding() != result.getEncoding())
      return emitOpError() << "input has type " << type << ", expected the shape of the result " << result;
  }
  return verifyBody(*this, getBody(), getInputs().size());
}

/// (C19): what rope_append and decode_attention share.
template <typename OpTy> static LogicalResult verifyQkv(OpTy op) {
  RankedTensorType qkv = typeOf(op.getQkv()), keys = typeOf(op.getKCache()), values = typeOf(op.getVCache());
  int64_t heads = op.getNumHeads(), kvHeads = op.getNumKvHeads(), headDim = op.getHeadDim();
  if (failed(verifyPositive(op, "num_heads", heads)) || failed(verifyPositive(op, "num_kv_heads", kvHeads)) ||
      failed(verifyPositive(op, "head_dim", headDim)) || failed(verifyPositive(op, "theta", op.getTheta())))
    return failure();
  if (heads % kvHeads != 0 || headDim % 2 != 0)
    return op.emitOpError() << "has " << heads << " query heads over " << kvHeads << " key heads of " << headDim
                            << " elements, expected a multiple of the key heads and an even number of elements";
  int64_t slices, columns;
  if (llvm::MulOverflow(kvHeads, int64_t(2), slices) || llvm::AddOverflow(heads, slices, slices) ||
      llvm::MulOverflow(slices, headDim, columns))
    return op.emitOpError() << "has more columns than 64 bits count, expected fewer";
  if (failed(verifyRank(op, "qkv", qkv, 2)) || failed(verifyDim(op, "qkv", qkv, 1, columns)))
    return failure();
  if (keys != values || keys != op.getKResult().getType() || keys != op.getVResult().getType())
    return op.emitOpError() << "caches have types " << keys << " and " << values
                            << ", expected one type for both and for their results";
  if (failed(verifyRank(op, "cache", keys, 3)) || failed(verifyDim(op, "cache", keys, 1, kvHeads)) ||
      failed(verifyDim(op, "cache", keys, 2, headDim)))
    return failure();
  if (op.getSections() && failed(verifySections(op, *op.getSections(), headDim)))
    return failure();
  bool hasNorm = op.getEps().has_value();
  if (hasNorm != (op.getQNorm() != nullptr) || hasNorm != (op.getKNorm() != nullptr))
    return op.emitOpError() << "has only some of q_norm, k_norm and eps, expected all or none";
  if (!hasNorm)
    return success();
  if (failed(verifyEps(op, *op.getEps())) || failed(verifyWeight(op, "q_norm", typeOf(op.getQNorm()), 1)) ||
      failed(verifyWeight(op, "k_norm", typeOf(op.getKNorm()), 1)) ||
      failed(verifyDim(op, "q_norm", typeOf(op.getQNorm()), 0, headDim)))
    return failure();
  return verifyDim(op, "k_norm", typeOf(op.getKNorm()), 0, headDim);
}

LogicalResult RopeAppendOp::verify() {
  if (failed(verifyQkv(*this)))
    return failure();
  RankedTensorType query = getQuery().getType();
  if (failed(verifyRank(*this, "query", query, 3)) || failed(verifySameRows(*this, "query", query, typeOf(getQkv()))) ||
      failed(verifyDim(*this, "query", query, 1, getNumHeads())))
    return failure();
  return verifyDim(*this, "query", query, 2, getHeadDim());
}

LogicalResult DecodeAttentionOp::verify() { // (C20)
  if (failed(verifyQkv(*this)) || failed(verifyPositive(*this, "scale", getScale())) ||
      failed(verifyPositive(*this, "splits", getSplits())) || failed(verifyDim(*this, "qkv", typeOf(getQkv()), 0, 1)))
    return failure();
  RankedTensorType partials = getPartials().getType();
  if (failed(verifyRank(*this, "partials", partials, 3)) ||
      failed(verifyDim(*this, "partials", partials, 0, getNumHeads())) ||
      failed(verifyDim(*this, "partials", partials, 1, getSplits())))
    return failure();
  return verifyDim(*this, "partials", partials, 2, getHeadDim() + 2);
}

LogicalResult CombineSplitsOp::verify() { // (C20)
  RankedTensorType partials = typeOf(getPartials()), result = getResult().getType();
  if (failed(verifyRank(*this, "partials", partials, 3)) || failed(verifyRank(*this, "result", result, 2)) ||
      failed(verifyDim(*this, "result", result, 0, 1)))
    return failure();
  int64_t columns;
  if (!partials.hasStaticShape() || partials.getDimSize(2) <= 2 ||
      llvm::MulOverflow(partials.getDimSize(0), partials.getDimSize(2) - 2, columns))
    return emitOpError() << "combines " << partials << ", expected a static [heads, splits, D + 2]";
  return verifyDim(*this, "result", result, 1, columns);
}

//===------------------------------------------------------------------------------------------------------------===//
// Fused operations of mixtures of experts
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult RouteOp::verify() { // (C26)
  if (failed(verifyChoice(*this, typeOf(getLogits()), typeOf(getWeights()), typeOf(getExperts()))))
    return failure();
  if (getFolded() && !getJoined())
    return emitOpError() << "has logits of a folded router and is joined to no product, expected one with a norm";
  if (!getJoined())
    return success();
  if (failed(verifyDim(*this, "logits", typeOf(getLogits()), 0, 1)))
    return failure();
  FusedExpertsOp product = getChoosingProduct();
  if (!product)
    return emitOpError()
           << "is joined to no product, expected that a qwen.fused_experts of [R, K] is the first to read it";
  if (getFolded() && !product.getNormWeight())
    return emitOpError() << "has logits of a folded router and is joined to a product without norm, expected a norm";
  return success();
}

/// (C51)
LogicalResult FoldLinearsOp::verify() {
  RankedTensorType outer = typeOf(getOuter()), inner = typeOf(getInner()), state = typeOf(getState());
  if (failed(verifyWeight(*this, "outer weight", outer, 2)) || failed(verifyMatrix(*this, "inner weight", inner)) ||
      failed(verifyDim(*this, "inner weight", inner, 0, outer.getDimSize(1))) ||
      failed(verifyWeight(*this, "norm weight", typeOf(getNormWeight()), 1)) ||
      failed(verifyDim(*this, "norm weight", typeOf(getNormWeight()), 0, outer.getDimSize(1))) ||
      failed(verifyRank(*this, "state", state, 2)) || failed(verifyDim(*this, "state", state, 0, outer.getDimSize(0))))
    return failure();
  int64_t width;
  if (llvm::AddOverflow(inner.getDimSize(1), outer.getDimSize(1), width))
    return emitOpError() << "folds rows of " << inner.getDimSize(1) << " and " << outer.getDimSize(1)
                         << " elements, expected fewer";
  if (failed(verifyDim(*this, "state", state, 1, width)))
    return failure();
  if (!state.getElementType().isF32() || getResult().getType() != state)
    return emitOpError() << "writes " << state << " as " << getResult().getType() << ", expected one type of f32";
  auto read = getState().getDefiningOp<ReadStateOp>();
  auto target = read ? SymbolTable::lookupNearestSymbolFrom<StateOp>(*this, read.getStateAttr()) : StateOp();
  if (!target || !target.getDerived())
    return emitOpError() << "writes what is no derived state, expected a qwen.read_state of one";
  return success();
}

/// (C52)
LogicalResult FoldedRouterOp::verify() {
  RankedTensorType input = typeOf(getInput()), residual = typeOf(getResidual()), folded = typeOf(getFolded());
  RankedTensorType logits = getLogits().getType();
  bool isRow = input.getRank() == 2 && input.getDimSize(0) == 1;
  if (!input.hasStaticShape() || !(isRow || (input.getRank() == 3 && input.getDimSize(2) > 2)))
    return emitOpError() << "takes " << input << ", expected one row or a static [heads, splits, D + 2]";
  if (failed(verifyRank(*this, "residual", residual, 2)) || failed(verifyDim(*this, "residual", residual, 0, 1)) ||
      failed(verifyRank(*this, "folded weight", folded, 2)) || failed(verifyRank(*this, "logits", logits, 2)) ||
      failed(verifyDim(*this, "logits", logits, 0, 1)))
    return failure();
  if (!folded.hasStaticShape() || !folded.getElementType().isF32())
    return emitOpError() << "has weights " << folded << ", expected f32 of a static shape";
  int64_t width;
  if (llvm::MulOverflow(isRow ? input.getDimSize(1) : input.getDimSize(0), isRow ? int64_t(1) : input.getDimSize(2) - 2,
                        width) ||
      llvm::AddOverflow(width, residual.getDimSize(1), width))
    return emitOpError() << "takes " << input << " and " << residual << ", expected fewer elements";
  if (failed(verifyDim(*this, "folded weight", folded, 1, width)))
    return failure();
  return verifyDim(*this, "logits", logits, 1, folded.getDimSize(0));
}

FusedLinearOp FoldedRouterOp::getProjection() {
  for (Operation *user : getInput().getUsers()) {
    auto linear = dyn_cast<FusedLinearOp>(user);
    if (linear && linear->getBlock() == (*this)->getBlock() && (*this)->isBeforeInBlock(linear) &&
        linear.getInput() == getInput() && linear.getExtras().size() == 1 && linear.getExtras()[0] == getResidual() &&
        linear.getPrologue() != Prologue::RmsNorm)
      return linear;
  }
  return {};
}

FusedExpertsOp RouteOp::getChoosingProduct() {
  auto product = dyn_cast_or_null<FusedExpertsOp>(firstUser(*this));
  return product && !product.getRouteWeights() && !product.getOrder() ? product : FusedExpertsOp();
}

LogicalResult GroupExpertsOp::verify() { // (C29)
  RankedTensorType experts = typeOf(getExperts()), order = typeOf(getOrder()), tiles = typeOf(getTiles());
  if (failed(verifyPositive(*this, "count", getCount())) || failed(verifyPositive(*this, "tile", getTile())) ||
      failed(verifyRank(*this, "experts", experts, 2)) || failed(verifyRank(*this, "order", order, 1)) ||
      failed(verifyRank(*this, "tiles", tiles, 2)))
    return failure();
  int64_t choices;
  if (!experts.hasStaticShape() || llvm::MulOverflow(experts.getDimSize(0), experts.getDimSize(1), choices))
    return emitOpError() << "sorts " << experts << ", expected a static shape";
  if (failed(verifyDim(*this, "order", order, 0, choices)) ||
      failed(verifyDim(*this, "tiles", tiles, 0, maxTiles(choices, getCount(), getTile()))))
    return failure();
  return verifyDim(*this, "tiles", tiles, 1, 4);
}

LogicalResult FusedExpertsOp::verify() { // (C30)
  RankedTensorType input = typeOf(getInput()), experts = typeOf(getExperts()), result = getResult().getType();
  if (getWeights().empty())
    return emitOpError() << "has no weights, expected one or more";
  RankedTensorType weight = typeOf(getWeights().front());
  if (failed(verifyMatrix(*this, "weight", weight, 3)))
    return failure();
  for (Value other : getWeights())
    if (typeOf(other) != weight)
      return emitOpError() << "has weights of types " << weight << " and " << typeOf(other) << ", expected one type";
  if (failed(verifyExpertInput(*this, input, experts, weight.getDimSize(2))))
    return failure();
  bool hasNorm = getEps().has_value();
  if (hasNorm != (getNormWeight() != nullptr) || (hasNorm && input.getRank() != 2))
    return emitOpError() << "has only some of norm weight, eps and an input of rank 2, expected all or no norm";
  if (hasNorm &&
      (failed(verifyEps(*this, *getEps())) || failed(verifyWeight(*this, "norm weight", typeOf(getNormWeight()), 1)) ||
       failed(verifyDim(*this, "norm weight", typeOf(getNormWeight()), 0, weight.getDimSize(2)))))
    return failure();
  if ((getOrder() != nullptr) != (getTiles() != nullptr))
    return emitOpError() << "has only one of order and tiles, expected both or none";
  if (!getRouteWeights()) {
    if (failed(verifyExpertResult(*this, result, experts, weight.getDimSize(1))))
      return failure();
  } else {
    if (getWeights().size() != 1 || getOrder() || input.getRank() != 3)
      return emitOpError() << "sums up the choices of " << getWeights().size()
                           << " weights, expected one weight, an input of rank 3 and no grouping";
    RankedTensorType route = typeOf(getRouteWeights());
    if (failed(verifyRank(*this, "route weights", route, 2)) ||
        failed(verifySameRows(*this, "route weights", route, experts)) ||
        failed(verifyDim(*this, "route weights", route, 1, experts.getDimSize(1))) ||
        failed(verifyRank(*this, "result", result, 2)) || failed(verifySameRows(*this, "result", result, experts)) ||
        failed(verifyDim(*this, "result", result, 1, weight.getDimSize(1))))
      return failure();
  }
  for (Value extra : getExtras())
    if (typeOf(extra).getShape() != result.getShape() || typeOf(extra).getEncoding() != result.getEncoding())
      return emitOpError() << "extra has type " << typeOf(extra) << ", expected the shape of the result " << result;
  return verifyBody(*this, getEpilogue(), getWeights().size() + getExtras().size());
}
