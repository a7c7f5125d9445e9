//===- Registration.cpp - What qwen-opt and qwenc know ----------------------------------------------------------===//

#include "compiler/Pipelines/Registration.h"

#include "compiler/Codegen/Passes.h"
#include "compiler/Planning/Passes.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/plan/PlanDialect.h"
#include "dialects/qwen/QwenDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/Transforms/Passes.h"

void qwenc::registerAllDialects(mlir::DialectRegistry &registry) {
  registry.insert<mlir::qwen::QwenDialect, mlir::plan::PlanDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect,
                  mlir::math::MathDialect, mlir::spirv::SPIRVDialect>();
}

void qwenc::registerAllPasses() {
  mlir::qwen::registerQwenTransformsPasses();
  qwenc::registerCodegenPasses();
  qwenc::registerPlanningPasses();
  mlir::registerTransformsPasses();
}
