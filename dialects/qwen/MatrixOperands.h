//===- MatrixOperands.h - How products may store the operands of matrix units ---------------------------*- C++ -*-===//
#pragma once

#include "mlir/IR/Operation.h"

namespace mlir::qwen {

/// Unit attribute of qwen.fused_linear and qwen.fused_experts: the product of many rows of f32 may be computed on f16
/// matrix units, as long as each row of its operands is brought into the range of f16 by a scale of its own.
inline constexpr StringLiteral kScaledProduct = "qwen.scaled";

inline bool isScaledProduct(Operation *product) { return product->hasAttr(kScaledProduct); }

} // namespace mlir::qwen
