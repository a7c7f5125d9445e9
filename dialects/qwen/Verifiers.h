//===- Verifiers.h - What the verifiers of the qwen operations share --------------------------------------------===//
//
// Private to dialects/qwen. The labels (C1), (C2), ... name the constraints listed in README.md.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "dialects/qwen/QwenOps.h"

#include <limits>

namespace mlir::qwen {

inline RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

inline LogicalResult verifyRank(Operation *op, StringRef name, RankedTensorType type, int64_t rank) {
  if (type.getRank() == rank)
    return success();
  return op->emitOpError() << name << " has rank " << type.getRank() << ", expected " << rank;
}

inline LogicalResult verifyDim(Operation *op, StringRef name, RankedTensorType type, int64_t dim, int64_t expected) {
  if (type.getDimSize(dim) == expected)
    return success();
  InFlightDiagnostic error = op->emitOpError() << "dimension " << dim << " of " << name << " is ";
  auto append = [&](int64_t size) {
    if (ShapedType::isDynamic(size))
      error << "?";
    else
      error << size;
  };
  append(type.getDimSize(dim));
  error << ", expected ";
  append(expected);
  return error;
}

/// (C3): \p type counts the same rows as \p reference.
inline LogicalResult verifySameRows(Operation *op, StringRef name, RankedTensorType type, RankedTensorType reference) {
  if (type.getRank() == 0)
    return op->emitOpError() << name << " has rank 0, expected rows in dimension 0";
  if (failed(verifyDim(op, name, type, 0, reference.getDimSize(0))))
    return failure();
  if (type.getEncoding() != reference.getEncoding())
    return op->emitOpError() << name << " counts other rows than the input, expected the same rows encoding";
  return success();
}

inline LogicalResult verifyPositive(Operation *op, StringRef name, int64_t value) {
  if (value > 0)
    return success();
  return op->emitOpError() << name << " is " << value << ", expected a positive number";
}

inline LogicalResult verifyPositive(Operation *op, StringRef name, const APFloat &value) {
  if (value.isFinite() && !value.isNegative() && !value.isZero())
    return success();
  return op->emitOpError() << name << " is " << value.convertToDouble() << ", expected a positive finite number";
}

inline LogicalResult verifyEps(Operation *op, const APFloat &eps) {
  if (eps.isFinite() && !eps.isNegative())
    return success();
  return op->emitOpError() << "eps is " << eps.convertToDouble() << ", expected a finite number of at least 0";
}

/// Elements behind dimension 0, or failure when a dimension is dynamic or the product overflows.
inline FailureOr<int64_t> elementsPerRow(RankedTensorType type) {
  int64_t count = 1;
  for (int64_t size : type.getShape().drop_front())
    if (ShapedType::isDynamic(size) || llvm::MulOverflow(count, size, count))
      return failure();
  return count;
}

/// Elements for each extent of the symbol that counts the rows, or of a row.
inline FailureOr<int64_t> elementsPerSymbol(RankedTensorType type) {
  FailureOr<int64_t> count = elementsPerRow(type);
  RowsAttr rows = getRows(type);
  if (failed(count) || (rows && llvm::MulOverflow(*count, rows.getFactor(), *count)))
    return failure();
  return count;
}

/// (C4): the table or weight of a parameter is dense and static.
inline LogicalResult verifyWeight(Operation *op, StringRef name, RankedTensorType type, int64_t rank) {
  if (failed(verifyRank(op, name, type, rank)))
    return failure();
  if (!type.hasStaticShape() || type.getEncoding())
    return op->emitOpError() << name << " has type " << type << ", expected a static shape without encoding";
  return success();
}

/// (C4): the same for the matrix of a product, which may be packed.
inline LogicalResult verifyMatrix(Operation *op, StringRef name, RankedTensorType type, int64_t rank = 2) {
  if (isa_and_present<PackedAttr>(type.getEncoding()))
    return verifyRank(op, name, type, rank); // (C23) has been checked with the type
  return verifyWeight(op, name, type, rank);
}

inline LogicalResult verifySameShape(Operation *op, RankedTensorType result, RankedTensorType input) {
  if (input.getShape() == result.getShape() && input.getEncoding() == result.getEncoding())
    return success();
  return op->emitOpError() << "result has type " << result << ", expected the shape of the input " << input;
}

/// A tensor of numbers [R, columns] for the rows of \p input.
inline LogicalResult verifyNumbers(Operation *op, StringRef name, RankedTensorType numbers, RankedTensorType input,
                                   int64_t columns) {
  if (failed(verifyRank(op, name, numbers, 2)) || failed(verifySameRows(op, name, numbers, input)))
    return failure();
  return verifyDim(op, name, numbers, 1, columns);
}

/// (C34): three numbers of pairs that are half of \p headDim together.
inline LogicalResult verifySections(Operation *op, ArrayRef<int64_t> sections, int64_t headDim) {
  int64_t pairs = 0;
  for (int64_t section : sections)
    if (section < 0 || llvm::AddOverflow(pairs, section, pairs))
      pairs = std::numeric_limits<int64_t>::max();
  if (sections.size() == 3 && pairs == headDim / 2)
    return success();
  return op->emitOpError() << "has " << sections.size() << " sections of " << pairs << " pairs, expected three of "
                           << headDim / 2 << " pairs together";
}

} // namespace mlir::qwen
