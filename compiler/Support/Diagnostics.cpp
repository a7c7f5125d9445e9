//===- Diagnostics.cpp - MLIR's diagnostics as a Status ---------------------------------------------------------===//

#include "compiler/Support/Diagnostics.h"

#include "mlir/IR/Location.h"
#include "mlir/IR/MLIRContext.h"

using namespace mlir;

/// The first value name in \p loc: import gives every operation the name of what it defines.
static std::string valueName(Location loc) {
  std::string name;
  loc->walk([&](Location inner) {
    auto nameLoc = dyn_cast<NameLoc>(inner);
    if (!nameLoc)
      return WalkResult::advance();
    name = nameLoc.getName().str();
    return WalkResult::interrupt();
  });
  return name;
}

static std::string oneLine(const Diagnostic &diagnostic) {
  std::string text = diagnostic.str();
  for (char &c : text)
    if (c == '\n' || c == '\r')
      c = ' ';
  std::string name = valueName(diagnostic.getLocation());
  return name.empty() ? text : "'" + name + "': " + text;
}

/// Verifiers say what they found and often what they expected; the reader of the program's error also wants to know
/// what to do.
static std::string completed(std::string error) {
  constexpr StringRef expected = ", expected ";
  StringRef rest = StringRef(error).split(expected).second;
  if (rest.empty())
    error += ", expected a graph that the compiler's verifiers accept";
  if (!rest.contains(','))
    error += ", correct the graph";
  return error;
}

qwenc::DiagnosticCollector::DiagnosticCollector(MLIRContext *context)
    : handler(context, [this](Diagnostic &diagnostic) {
        // Notes are part of their error; warnings and remarks are MLIR's own business.
        if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
          return failure();
        std::lock_guard lock(mutex);
        if (firstError.empty())
          firstError = oneLine(diagnostic);
        return success();
      }) {}

qwenrt::Status qwenc::DiagnosticCollector::status(const std::string &what) const {
  return {qwenrt::StatusCode::InvalidInput,
          firstError.empty() ? what + " is refused without a message, expected one, report this" : completed(firstError)};
}
