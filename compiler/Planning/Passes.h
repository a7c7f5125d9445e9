//===- Passes.h - Planning passes over the plan dialect -------------------------------------------------*- C++ -*-===//
//
// Order: plan-place-storage, plan-assign-offsets, plan-insert-barriers, plan-estimate-costs, plan-verify. The factory
// functions and option structs (createPlaceStorage(PlaceStorageOptions), ...) and registerPlanningPasses() are
// generated.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "dialects/plan/PlanDialect.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

namespace qwenc {

#define GEN_PASS_DECL
#include "compiler/Planning/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "compiler/Planning/Passes.h.inc"

} // namespace qwenc
