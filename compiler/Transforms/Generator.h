//===- Generator.h - The two functions of a text generator -------------------------------------------------------===//
#pragma once

#include "dialects/qwen/QwenOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::qwen {

/// Both are null in a module of encoders alone.
struct Generator {
  func::FuncOp decoder; ///< ids [S], and what has a binding -> hidden rows [S, H]
  func::FuncOp head;    ///< hidden rows [S, H] -> logits [S, V]
};

/// The functions that the module's attributes name. Emits an error when one is missing or they do not fit together.
FailureOr<Generator> findGenerator(ModuleOp module);

} // namespace mlir::qwen
