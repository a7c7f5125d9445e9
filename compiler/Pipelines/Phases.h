//===- Phases.h - The table of contents of the compiler ----------------------------------------------------------===//
//
// One list of phases drives `qwenc --compile-to`, `--dump-intermediates-to` and the tests.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Target/TargetProfile.h"

#include "mlir/Pass/PassManager.h"

namespace qwenc {

struct CompileOptions {
  /// Limits and choices; --prefill-chunk and --kv-format have been written over the profile's own.
  TargetProfile target;
  int64_t maxContext = 8192;          ///< positions the caches hold
  std::string weightsFormat = "bf16"; ///< of the matrices of products: bf16, q8 or q4
  int64_t logitsRows = 16;            ///< rows one run of the logits entry computes; only for checking
};

struct Phase {
  llvm::StringLiteral name;
  llvm::StringLiteral summary; ///< what the module holds behind the phase, one sentence
  void (*populate)(mlir::OpPassManager &passes, const CompileOptions &options);
};

/// Import to export, in order. The module comes from importGraph; the last phase leaves what exportPlan writes.
llvm::ArrayRef<Phase> phases();

/// Null for an unknown name.
const Phase *findPhase(llvm::StringRef name);

/// "import, entries, ...", for messages.
std::string phaseNames();

} // namespace qwenc
