//===- qwen-opt.cpp - mlir-opt with the dialects and passes of the project --------------------------------------===//

#include "compiler/Pipelines/Registration.h"

#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  qwenc::registerAllDialects(registry);
  qwenc::registerAllPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "qwen-opt: optimizer driver of qwenc\n", registry));
}
