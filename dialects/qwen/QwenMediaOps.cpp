//===- QwenMediaOps.cpp - Verifiers of encoders and of prompts with media ----------------------------------------===//
#include "dialects/qwen/Verifiers.h"

using namespace mlir;
using namespace mlir::qwen;

LogicalResult LayerNormOp::verify() { // (C32)
  RankedTensorType input = typeOf(getInput()), weight = typeOf(getWeight()), bias = typeOf(getBias());
  if (failed(verifyWeight(*this, "weight", weight, 1)) || failed(verifyWeight(*this, "bias", bias, 1)) ||
      failed(verifyEps(*this, getEps())))
    return failure();
  if (input.getRank() < 2)
    return emitOpError() << "input has rank " << input.getRank() << ", expected rows and columns";
  if (failed(verifySameShape(*this, getResult().getType(), input)) ||
      failed(verifyDim(*this, "weight", weight, 0, input.getShape().back())))
    return failure();
  return verifyDim(*this, "bias", bias, 0, input.getShape().back());
}

LogicalResult SegmentAttentionOp::verify() { // (C33)
  RankedTensorType query = typeOf(getQuery()), keys = typeOf(getKeys()), values = typeOf(getValues());
  if (failed(verifyRank(*this, "query", query, 3)) || failed(verifyPositive(*this, "scale", getScale())) ||
      failed(verifySameShape(*this, getResult().getType(), query)))
    return failure();
  if (keys.getShape() != query.getShape() || keys.getEncoding() != query.getEncoding() || values != keys)
    return emitOpError() << "keys have type " << keys << " and values " << values
                         << ", expected the shape of the query " << query;
  return verifyNumbers(*this, "segments", typeOf(getSegments()), query, 2);
}

/// (C34): heads of pairs that turn.
static LogicalResult verifyRotation(Operation *op, RankedTensorType input, RankedTensorType result,
                                    const APFloat &theta, int64_t divisor) {
  if (failed(verifyRank(op, "input", input, 3)) || failed(verifyPositive(op, "theta", theta)))
    return failure();
  if (ShapedType::isDynamic(input.getDimSize(2)) || input.getDimSize(2) % divisor != 0)
    return op->emitOpError() << "rotates " << input << ", expected a static last dimension divisible by " << divisor;
  return verifySameShape(op, result, input);
}

LogicalResult AxialRopeOp::verify() { // (C34)
  RankedTensorType input = typeOf(getInput());
  if (failed(verifyRotation(*this, input, getResult().getType(), getTheta(), 4)))
    return failure();
  return verifyNumbers(*this, "places", typeOf(getPlaces()), input, 2);
}

LogicalResult MRopeOp::verify() { // (C34)
  RankedTensorType input = typeOf(getInput());
  if (failed(verifyRotation(*this, input, getResult().getType(), getTheta(), 2)) ||
      failed(verifySections(*this, getSections(), input.getDimSize(2))))
    return failure();
  return verifyNumbers(*this, "positions", typeOf(getPositions()), input, 3);
}

/// (C35): rows of another tensor, found by index.
static LogicalResult verifyRowsFrom(Operation *op, RankedTensorType input, RankedTensorType rows,
                                    RankedTensorType index, RankedTensorType result) {
  if (failed(verifyRank(op, "input", input, 2)) || failed(verifyRank(op, "rows", rows, 2)) ||
      failed(verifyRank(op, "index", index, 1)) || failed(verifySameShape(op, result, input)) ||
      failed(verifySameRows(op, "index", index, input)))
    return failure();
  return verifyDim(op, "rows", rows, 1, input.getDimSize(1));
}

LogicalResult ReplaceRowsOp::verify() {
  return verifyRowsFrom(*this, typeOf(getInput()), typeOf(getRows()), typeOf(getIndex()), getResult().getType());
}

LogicalResult AddRowsOp::verify() {
  return verifyRowsFrom(*this, typeOf(getInput()), typeOf(getRows()), typeOf(getIndex()), getResult().getType());
}

LogicalResult ScaleRowsOp::verify() { // (C40)
  RankedTensorType input = typeOf(getInput()), factor = typeOf(getFactor());
  if (failed(verifyRank(*this, "input", input, 2)) || failed(verifyRank(*this, "factor", factor, 2)) ||
      failed(verifySameRows(*this, "factor", factor, input)) || failed(verifyDim(*this, "factor", factor, 1, 1)))
    return failure();
  return verifySameShape(*this, getResult().getType(), input);
}

LogicalResult TapConvOp::verify() { // (C36)
  RankedTensorType input = typeOf(getInput()), taps = typeOf(getTaps()), weight = typeOf(getWeight());
  RankedTensorType bias = typeOf(getBias()), result = getResult().getType();
  if (failed(verifyRank(*this, "input", input, 3)) || failed(verifyRank(*this, "taps", taps, 2)) ||
      failed(verifyWeight(*this, "weight", weight, 4)) || failed(verifyWeight(*this, "bias", bias, 1)) ||
      failed(verifyRank(*this, "result", result, 3)) || failed(verifyDim(*this, "taps", taps, 1, 3)) ||
      failed(verifyDim(*this, "weight", weight, 1, input.getDimSize(2))) ||
      failed(verifyDim(*this, "weight", weight, 2, 3)) || failed(verifyDim(*this, "weight", weight, 3, 3)) ||
      failed(verifyDim(*this, "bias", bias, 0, weight.getDimSize(0))) ||
      failed(verifySameRows(*this, "result", result, taps)) ||
      failed(verifyDim(*this, "result", result, 2, weight.getDimSize(0))))
    return failure();
  if (input.getDimSize(1) < 1)
    return emitOpError() << "input has type " << input << ", expected static dimensions behind the rows";
  return verifyDim(*this, "result", result, 1, (input.getDimSize(1) - 1) / 2 + 1);
}

LogicalResult SinusoidOp::verify() { // (C37)
  RankedTensorType positions = typeOf(getPositions()), result = getResult().getType();
  if (failed(verifyRank(*this, "positions", positions, 1)) || failed(verifyRank(*this, "result", result, 2)) ||
      failed(verifySameRows(*this, "result", result, positions)) || failed(verifyPositive(*this, "theta", getTheta())))
    return failure();
  if (result.getDimSize(1) < 4 || result.getDimSize(1) % 2 != 0)
    return emitOpError() << "result has type " << result << ", expected an even number of at least 4 columns";
  return success();
}

LogicalResult TapPatchesOp::verify() { // (C36)
  RankedTensorType input = typeOf(getInput()), taps = typeOf(getTaps()), result = getResult().getType();
  if (failed(verifyRank(*this, "input", input, 3)) || failed(verifyRank(*this, "taps", taps, 2)) ||
      failed(verifyRank(*this, "result", result, 2)) || failed(verifyDim(*this, "taps", taps, 1, 3)))
    return failure();
  int64_t bins = input.getDimSize(1), channels = input.getDimSize(2), rows = taps.getDimSize(0), columns = 0;
  if (bins < 1 || channels < 1 || rows < 1 || llvm::MulOverflow(channels, int64_t(9), columns))
    return emitOpError() << "takes " << input << " at " << taps << ", expected static dimensions";
  int64_t places = (bins - 1) / 2 + 1, resultRows = 0;
  RowsAttr counted = getRows(taps), resultCounted = getRows(result);
  bool isCounted =
      !counted == !resultCounted && (!counted || (counted.getSymbol() == resultCounted.getSymbol() &&
                                                  resultCounted.getFactor() == counted.getFactor() * places));
  if (!isCounted || llvm::MulOverflow(rows, places, resultRows) || result.getDimSize(0) != resultRows)
    return emitOpError() << "result has type " << result << ", expected " << places << " rows for each of " << taps;
  return verifyDim(*this, "result", result, 1, columns);
}

LogicalResult SwapAxesOp::verify() { // (C38)
  RankedTensorType input = typeOf(getInput()), result = getResult().getType();
  if (failed(verifyRank(*this, "input", input, 3)) || failed(verifyRank(*this, "result", result, 3)) ||
      failed(verifySameRows(*this, "result", result, input)) ||
      failed(verifyDim(*this, "result", result, 1, input.getDimSize(2))))
    return failure();
  return verifyDim(*this, "result", result, 2, input.getDimSize(1));
}

LogicalResult GatherSumOp::verify() { // (C39)
  RankedTensorType ids = typeOf(getIds()), weights = typeOf(getWeights()), table = typeOf(getTable());
  RankedTensorType result = getResult().getType();
  if (failed(verifyRank(*this, "ids", ids, 2)) ||
      failed(verifyNumbers(*this, "weights", weights, ids, ids.getDimSize(1))) ||
      failed(verifyWeight(*this, "table", table, 2)) || failed(verifyRank(*this, "result", result, 2)) ||
      failed(verifySameRows(*this, "result", result, ids)))
    return failure();
  return verifyDim(*this, "result", result, 1, table.getDimSize(1));
}
