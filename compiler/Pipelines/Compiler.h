//===- Compiler.h - Running the phases ---------------------------------------------------------------------------===//
#pragma once

#include "compiler/Pipelines/Phases.h"

#include "mlir/IR/BuiltinOps.h"

namespace qwenc {

struct RunOptions {
  const Phase *lastPhase = nullptr; ///< null: all
  std::string dumpFolder;           ///< existing folder for the module behind each phase and the kernels; empty: none
  /// Called once before the passes run, for a tool's own options (timing, printing).
  llvm::function_ref<mlir::LogicalResult(mlir::PassManager &)> configure;
};

/// Runs the phases over an imported module. Errors: InvalidInput with the compiler's first message, Io for the dumps.
qwenrt::Status runPhases(mlir::ModuleOp module, const CompileOptions &options, const RunOptions &run);

/// Writes \p bytes to a temporary file beside \p path and renames it, so that no half-written file is ever seen.
qwenrt::Status writeFile(const std::string &path, llvm::StringRef bytes);

/// The module as text, as `--compile-to` prints it.
std::string printModule(mlir::ModuleOp module);

} // namespace qwenc
