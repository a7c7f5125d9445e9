//===- QwenVocoderOps.cpp - Verifiers of vocoders ----------------------------------------------------------------===//
#include "dialects/qwen/Verifiers.h"

using namespace mlir;
using namespace mlir::qwen;

/// The number of the first row, [1].
static LogicalResult verifyFirst(Operation *op, Value first) {
  RankedTensorType type = typeOf(first);
  if (failed(verifyRank(op, "first", type, 1)))
    return failure();
  return verifyDim(op, "first", type, 0, 1);
}

LogicalResult CodebookMeanOp::verify() { // (C43)
  RankedTensorType codes = typeOf(getCodes()), table = typeOf(getTable()), result = getResult().getType();
  if (failed(verifyRank(*this, "codes", codes, 2)) || failed(verifyWeight(*this, "table", table, 2)) ||
      failed(verifyRank(*this, "result", result, 2)) || failed(verifySameRows(*this, "result", result, codes)))
    return failure();
  int64_t groups = codes.getDimSize(1);
  if (groups < 1 || table.getDimSize(0) % groups != 0)
    return emitOpError() << "has codes " << codes << " and table " << table
                         << ", expected as many rows of the table for each group";
  return verifyDim(*this, "result", result, 1, table.getDimSize(1));
}

LogicalResult RowNumbersOp::verify() { // (C44)
  if (failed(verifyFirst(*this, getFirst())))
    return failure();
  return verifyRank(*this, "result", getResult().getType(), 1);
}

/// A state [rows, heads, D] that holds the window of every row of a push.
static LogicalResult verifyWindowState(Operation *op, StringRef name, RankedTensorType state, int64_t heads,
                                       int64_t dim, int64_t window) {
  if (failed(verifyRank(op, name, state, 3)) || failed(verifyDim(op, name, state, 1, heads)) ||
      failed(verifyDim(op, name, state, 2, dim)))
    return failure();
  if (!state.hasStaticShape() || state.getDimSize(0) < window)
    return op->emitOpError() << name << " has type " << state << ", expected at least the " << window
                             << " rows of the window";
  return success();
}

LogicalResult WindowAttentionOp::verify() { // (C45)
  RankedTensorType query = typeOf(getQuery()), keys = typeOf(getKeys()), values = typeOf(getValues());
  RankedTensorType positions = typeOf(getPositions());
  if (failed(verifyRank(*this, "query", query, 3)) || failed(verifyPositive(*this, "scale", getScale())) ||
      failed(verifyPositive(*this, "window", getWindow())) ||
      failed(verifySameShape(*this, getResult().getType(), query)) ||
      failed(verifyRank(*this, "positions", positions, 1)) ||
      failed(verifySameRows(*this, "positions", positions, query)))
    return failure();
  if (keys != query || values != query)
    return emitOpError() << "keys have type " << keys << " and values " << values << ", expected the type of the query "
                         << query;
  for (auto [name, state] : {std::pair<StringRef, Value>{"k_state", getKState()}, {"v_state", getVState()}})
    if (failed(verifyWindowState(*this, name, typeOf(state), query.getDimSize(1), query.getDimSize(2), getWindow())))
      return failure();
  return success();
}

LogicalResult RopeWindowAttentionOp::verify() { // (C45)
  RankedTensorType qkv = typeOf(getQkv()), result = getResult().getType();
  int64_t heads = getNumHeads(), dim = getHeadDim(), window = getWindow();
  if (failed(verifyRank(*this, "qkv", qkv, 2)) || failed(verifyFirst(*this, getFirst())) ||
      failed(verifyRank(*this, "result", result, 3)) || failed(verifySameRows(*this, "result", result, qkv)) ||
      failed(verifyPositive(*this, "window", window)) || failed(verifyPositive(*this, "scale", getScale())) ||
      failed(verifyPositive(*this, "theta", getTheta())) || failed(verifyDim(*this, "qkv", qkv, 1, 3 * heads * dim)) ||
      failed(verifyDim(*this, "result", result, 1, heads)) || failed(verifyDim(*this, "result", result, 2, dim)) ||
      failed(verifyWindowState(*this, "k_state", typeOf(getKState()), heads, dim, window)))
    return failure();
  return verifyWindowState(*this, "v_state", typeOf(getVState()), heads, dim, window);
}

LogicalResult ScaleOp::verify() { // (C46)
  RankedTensorType input = typeOf(getInput()), weight = typeOf(getWeight());
  if (failed(verifyWeight(*this, "weight", weight, 1)))
    return failure();
  if (input.getRank() < 2)
    return emitOpError() << "input has rank " << input.getRank() << ", expected rows and columns";
  if (failed(verifySameShape(*this, getResult().getType(), input)))
    return failure();
  return verifyDim(*this, "weight", weight, 0, input.getShape().back());
}

LogicalResult ClampOp::verify() { return verifyPositive(*this, "limit", getLimit()); }

LogicalResult SnakeBetaOp::verify() { // (C47)
  RankedTensorType input = typeOf(getInput());
  if (failed(verifyRank(*this, "input", input, 2)) || failed(verifySameShape(*this, getResult().getType(), input)))
    return failure();
  for (auto [name, value] : {std::pair<StringRef, Value>{"alpha", getAlpha()}, {"beta", getBeta()}})
    if (failed(verifyWeight(*this, name, typeOf(value), 1)) ||
        failed(verifyDim(*this, name, typeOf(value), 0, input.getDimSize(1))))
      return failure();
  return success();
}

LogicalResult ClearLeadOp::verify() { // (C48)
  RankedTensorType input = typeOf(getInput());
  if (failed(verifyRank(*this, "input", input, 2)) || failed(verifySameShape(*this, getResult().getType(), input)) ||
      failed(verifyFirst(*this, getFirst())) || failed(verifyPositive(*this, "rows", getFrameRows())))
    return failure();
  return verifyPositive(*this, "lead", getLead());
}

/// What a convolution takes on its way: parameters of a snake_beta [C] and a lead with its rows, each all or nothing.
template <typename ConvOp> static LogicalResult verifyConvInput(ConvOp op, int64_t channels) {
  if (!op.getInAlpha() != !op.getInBeta())
    return op.emitOpError() << "has one parameter of its snake, expected both or none";
  for (Value value : {op.getInAlpha(), op.getInBeta()})
    if (value && (failed(verifyWeight(op, "snake", typeOf(value), 1)) ||
                  failed(verifyDim(op, "snake", typeOf(value), 0, channels))))
      return failure();
  if (op.getLead().has_value() != op.getFrameRows().has_value())
    return op.emitOpError() << "has a lead without rows or rows without a lead, expected both or none";
  if (op.getLead() && (failed(verifyPositive(op, "lead", *op.getLead())) ||
                       failed(verifyPositive(op, "frame_rows", *op.getFrameRows()))))
    return failure();
  return success();
}

LogicalResult CausalConv1dOp::verify() { // (C49)
  RankedTensorType input = typeOf(getInput()), weight = typeOf(getWeight()), bias = typeOf(getBias());
  RankedTensorType history = typeOf(getHistory()), result = getResult().getType();
  int64_t dilation = getDilation();
  if (failed(verifyRank(*this, "input", input, 2)) || failed(verifyWeight(*this, "weight", weight, 2)) ||
      failed(verifyWeight(*this, "bias", bias, 1)) || failed(verifyRank(*this, "history", history, 2)) ||
      failed(verifyRank(*this, "result", result, 2)) || failed(verifyFirst(*this, getFirst())) ||
      failed(verifySameRows(*this, "result", result, input)) || failed(verifyPositive(*this, "dilation", dilation)) ||
      failed(verifyConvInput(*this, input.getDimSize(1))))
    return failure();
  int64_t channels = input.getDimSize(1), rows = history.getDimSize(0);
  if (ShapedType::isDynamic(channels) || !history.hasStaticShape() || history.getDimSize(1) != channels ||
      rows < dilation || rows % dilation != 0)
    return emitOpError() << "history has type " << history << ", expected a multiple of dilation " << dilation
                         << " rows of the input's channels";
  int64_t outputs = weight.getDimSize(0);
  if (weight.getDimSize(1) != getKernelSize() * channels && (!isDepthwise() || outputs != channels))
    return emitOpError() << "weight has type " << weight << ", expected [N, " << channels * getKernelSize() << "] or ["
                         << channels << ", " << getKernelSize() << "]";
  if (!getOutAlpha() != !getOutBeta())
    return emitOpError() << "has one parameter of its last snake, expected both or none";
  for (Value value : {getOutAlpha(), getOutBeta()})
    if (value && (failed(verifyWeight(*this, "snake", typeOf(value), 1)) ||
                  failed(verifyDim(*this, "snake", typeOf(value), 0, outputs))))
      return failure();
  if (getLimit() && failed(verifyPositive(*this, "limit", *getLimit())))
    return failure();
  if (failed(verifyDim(*this, "bias", bias, 0, outputs)))
    return failure();
  return verifyDim(*this, "result", result, 1, outputs);
}

LogicalResult ConvTranspose1dOp::verify() { // (C50)
  RankedTensorType input = typeOf(getInput()), weight = typeOf(getWeight()), bias = typeOf(getBias());
  RankedTensorType result = getResult().getType();
  int64_t stride = getStride();
  if (failed(verifyRank(*this, "input", input, 2)) || failed(verifyWeight(*this, "weight", weight, 2)) ||
      failed(verifyWeight(*this, "bias", bias, 1)) || failed(verifyRank(*this, "result", result, 2)) ||
      failed(verifyPositive(*this, "stride", stride)) ||
      failed(verifyDim(*this, "weight", weight, 0, input.getDimSize(1))) ||
      failed(verifyDim(*this, "result", result, 1, bias.getDimSize(0))) ||
      failed(verifyConvInput(*this, input.getDimSize(1))))
    return failure();
  int64_t kernel = weight.getDimSize(1) / bias.getDimSize(0);
  if (weight.getDimSize(1) != kernel * bias.getDimSize(0) || kernel % stride != 0 || kernel < stride)
    return emitOpError() << "weight has type " << weight << ", expected a multiple of stride " << stride
                         << " columns for each of " << bias.getDimSize(0) << " outputs";
  int64_t kept = kernel / stride - 1;
  if (!getHistory() != !getFirst() || (kept > 0) != bool(getHistory()))
    return emitOpError() << (getHistory() ? "has a history" : "has no history") << " of " << kept
                         << " rows, expected one with its first row exactly where the kernel is longer than the stride";
  if (getHistory()) {
    RankedTensorType history = typeOf(getHistory());
    if (failed(verifyFirst(*this, getFirst())) || failed(verifyRank(*this, "history", history, 2)) ||
        failed(verifyDim(*this, "history", history, 0, kept)) ||
        failed(verifyDim(*this, "history", history, 1, input.getDimSize(1))))
      return failure();
  } else if (getLead()) {
    return emitOpError() << "has a lead and no history, expected the lead with a first row";
  }
  RowsAttr rows = getRows(input), resultRows = getRows(result);
  bool isCounted = rows ? resultRows && resultRows.getSymbol() == rows.getSymbol() &&
                              resultRows.getFactor() == rows.getFactor() * stride
                        : !result.getEncoding() && !input.isDynamicDim(0);
  if (!isCounted ||
      (input.isDynamicDim(0) ? !result.isDynamicDim(0) : result.getDimSize(0) != input.getDimSize(0) * stride))
    return emitOpError() << "makes " << result << " of " << input << ", expected " << stride << " rows for each row";
  return success();
}
