//===- PlanDialect.cpp - Registration of the plan dialect ---------------------------------------------------------===//
#include "dialects/plan/PlanDialect.h"
#include "dialects/plan/PlanOps.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::plan;

#include "dialects/plan/PlanDialect.cpp.inc"
#include "dialects/plan/PlanEnums.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/plan/PlanTypes.cpp.inc"

void PlanDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/plan/PlanTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/plan/PlanOps.cpp.inc"
      >();
}

// (C1) A range holds at least one byte.
LogicalResult RangeType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t sizeBytes) {
  if (sizeBytes <= 0)
    return emitError() << "range of " << sizeBytes << " bytes, expected a positive size";
  return success();
}
