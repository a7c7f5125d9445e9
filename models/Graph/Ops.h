//===- Ops.h - The operations of model.json and their types -----------------------------------------------------===//
//
// One table says what each operation takes and gives. The verifier checks documents with it, the builder infers result
// types from it, so a definition and a check can not drift apart. The mathematics of each operation is in README.md.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "models/Graph/Graph.h"

#include <span>

namespace qwenc::graph {

/// What may stand in an operand's place.
enum class OperandKind : uint8_t {
  Value,  ///< a value defined before
  Weight, ///< "@name"
  State,  ///< "$name"
};

struct OperandInfo {
  std::string_view name; ///< as in README.md: "x", "weight"
  OperandKind kind;
  bool optional = false; ///< only at the end
};

enum class AttrKind : uint8_t {
  PositiveNumber, ///< double, finite, > 0
  Count,          ///< int64_t > 0
  Bool,
  Symbol, ///< std::string, a declared symbol
  Shape,  ///< std::vector<Dim>
};

struct AttrInfo {
  std::string_view name;
  AttrKind kind;
};

struct OpInfo {
  OpKind kind;
  std::string_view name; ///< as written in the document: "rms_norm"
  std::vector<OperandInfo> operands;
  std::vector<AttrInfo> attrs; ///< all required
  /// The result types from operand types (in order, their count already checked) and the operation's attributes
  /// (present and of the right kind). Errors: InvalidInput.
  Result<std::vector<ValueType>> (*infer)(std::span<const ValueType> operands, const Op &op);
};

const OpInfo &opInfo(OpKind kind);
const OpInfo *findOp(std::string_view name);

/// All names of the table, separated by spaces, for messages.
std::string knownOpNames();

/// Operand count, attributes and types of \p op against its table row: returns the result types.
Result<std::vector<ValueType>> inferTypes(const Op &op, std::span<const ValueType> operands);

} // namespace qwenc::graph
