//===- QwenDialect.h - The qwen dialect, its attributes and enums ------------------------------------------------===//
//
// What each attribute means stands in QwenDialect.td; why the dialect looks like this in README.md.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/TensorEncoding.h"

#include "dialects/qwen/QwenDialect.h.inc"
#include "dialects/qwen/QwenEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/qwen/QwenAttributes.h.inc"

namespace mlir::qwen {

/// Attributes of functions, of their arguments and results, and of modules. Written by import and specialisation.
namespace attrs {
/// Module: symbol of the function that maps ids to hidden rows.
inline constexpr StringLiteral decoder = "qwen.decoder";
/// Module: symbol of the function that maps hidden rows to logits.
inline constexpr StringLiteral head = "qwen.head";
/// Function: a name of Role in plan.fbs, in lower case with underscores.
inline constexpr StringLiteral role = "qwen.role";
/// Function: rows one run can process.
inline constexpr StringLiteral rows = "qwen.rows";
/// Module: what makes speech: "decoder", "head", "predictor_decoder" and "predictor_head" are functions, "tables" are the
/// parameters with the rows of codes, "suppress" is as qwen.next_token has it.
inline constexpr StringLiteral speech = "qwen.speech";
/// Function: which history it works on, 0 where the attribute is missing: text, 1: talker, 2: predictor.
inline constexpr StringLiteral sequence = "qwen.sequence";
/// Function: its products keep operands of f32 on every target.
inline constexpr StringLiteral exact = "qwen.exact";
/// Function: tokens from 1 on that callers see as the output "codes".
inline constexpr StringLiteral codes = "qwen.codes";
/// Argument of binding "buffer": the symbol that counts its rows for callers.
inline constexpr StringLiteral symbol = "qwen.symbol";
/// Argument: what the value is at run time: "tokens" and "hidden", "positions", "media_rows" and "media" of a decoder,
/// "tensor", which the caller gives, or "buffer", which entries of speech share under its name.
inline constexpr StringLiteral binding = "qwen.binding";
/// Module: positions that the caches hold.
inline constexpr StringLiteral maxContext = "qwen.max_context";
/// Module: the greatest extent of each symbol, by name.
inline constexpr StringLiteral symbols = "qwen.symbols";
/// Argument or result: its name for callers.
inline constexpr StringLiteral name = "qwen.name";
} // namespace attrs

/// The rows encoding of \p type, null if dimension 0 counts no symbol.
inline RowsAttr getRows(RankedTensorType type) { return dyn_cast_or_null<RowsAttr>(type.getEncoding()); }

/// How a weight of \p type is stored.
inline WeightFormat getFormat(RankedTensorType type) {
  auto packed = dyn_cast_or_null<PackedAttr>(type.getEncoding());
  return packed ? packed.getFormat() : WeightFormat::BF16;
}

} // namespace mlir::qwen
