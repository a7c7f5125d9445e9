//===- Diagnostics.h - MLIR's diagnostics as a Status ------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include "mlir/IR/Diagnostics.h"

#include <mutex>
#include <string>

namespace qwenc {

/// Keeps the first error that the context reports while this object lives, and prints nothing.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  /// InvalidInput with the first error in one line, starting with the name of the value it stands at; "\p what is
  /// refused" when something failed without a diagnostic.
  qwenrt::Status status(const std::string &what) const;

private:
  std::string firstError;
  std::mutex mutex; ///< passes run on several threads
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace qwenc
