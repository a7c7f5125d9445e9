//===- QwenDialect.cpp - Registration and attributes of the qwen dialect ----------------------------------------===//

#include "dialects/qwen/QwenDialect.h"

#include "dialects/qwen/QwenOps.h"
#include "runtime/schema/WeightFormat.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::qwen;

/// A symbol prints as a bare identifier: `S`, not `"S"`.
static ParseResult parseSymbolName(AsmParser &parser, StringAttr &symbol) {
  std::string keyword;
  if (parser.parseKeywordOrString(&keyword))
    return failure();
  symbol = StringAttr::get(parser.getContext(), keyword);
  return success();
}

static void printSymbolName(AsmPrinter &printer, StringAttr symbol) { printer.printKeywordOrString(symbol.getValue()); }

#include "dialects/qwen/QwenDialect.cpp.inc"
#include "dialects/qwen/QwenEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/qwen/QwenAttributes.cpp.inc"

void QwenDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/qwen/QwenAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/qwen/QwenOps.cpp.inc"
      >();
}

// (C21)
LogicalResult RowsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                       function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.empty())
    return emitError() << "rows encoding stands on a tensor of rank 0, expected a dimension 0 to count";
  if (getSymbol().getValue().empty())
    return emitError() << "rows encoding has an empty symbol name, expected a name";
  if (getFactor() < 1 || (!ShapedType::isDynamic(shape[0]) && shape[0] % getFactor() != 0))
    return emitError() << "rows encoding has factor " << getFactor()
                       << ", expected a positive number that divides dimension 0";
  return success();
}

static_assert(static_cast<int>(WeightFormat::Q8) == static_cast<int>(qwenrt::WeightFormat::Q8) &&
              static_cast<int>(WeightFormat::Q4) == static_cast<int>(qwenrt::WeightFormat::Q4));

// (C23)
LogicalResult PackedAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                         function_ref<InFlightDiagnostic()> emitError) const {
  if (getFormat() == WeightFormat::BF16)
    return emitError() << "packed encoding says bf16, expected q8 or q4; leave the encoding out";
  // [E, N, K]: a stack of such matrices.
  if (shape.size() < 2 || shape.size() > 3 || !elementType.isBF16() || ShapedType::isDynamicShape(shape) ||
      shape.back() % qwenrt::kBlockWeights != 0)
    return emitError()
           << "packed encoding stands on another tensor than [N, K] or [E, N, K] of bf16 with K a multiple of "
           << qwenrt::kBlockWeights << ", expected such a weight";
  return success();
}
