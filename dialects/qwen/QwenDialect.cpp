//===- QwenDialect.cpp - Registration and attributes of the qwen dialect ----------------------------------------===//

#include "dialects/qwen/QwenDialect.h"

#include "dialects/qwen/QwenOps.h"

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
  return success();
}
