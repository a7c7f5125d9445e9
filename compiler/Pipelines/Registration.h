//===- Registration.h - What qwen-opt and qwenc know -------------------------------------------------------------===//
#pragma once

#include "mlir/IR/DialectRegistry.h"

namespace qwenc {

/// The dialects that appear on the road from model.json to a plan.
void registerAllDialects(mlir::DialectRegistry &registry);

/// The passes of every room and MLIR's own simplifications, for pass options on a command line.
void registerAllPasses();

} // namespace qwenc
