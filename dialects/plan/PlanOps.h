//===- PlanOps.h - Operations of the plan dialect ------------------------------------------------------*- C++ -*-===//
//
// The operations mirror runtime/schema/plan.fbs; README.md beside this file says which constraints (C1), (C2), ...
// their verifiers hold, and which are left to the pass plan-verify because they only hold after planning.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "dialects/plan/PlanDialect.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.h.inc"
