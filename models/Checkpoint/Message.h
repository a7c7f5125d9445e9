//===- Message.h - What the programs print about errors ---------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <string>
#include <string_view>

namespace qwenc {

/// Appends the character at \p offset of \p text in a form that disturbs no terminal and no line: control characters
/// and bytes that are no UTF-8 as \xNN. Returns how many bytes of \p text that was, at least 1.
size_t appendPrintable(std::string_view text, size_t offset, std::string &result);

/// "TOOL: error: MESSAGE" and a line feed, for standard error. Messages quote names and paths that others wrote, so
/// everything but the indented lines of a list of problems is made printable.
std::string errorText(std::string_view tool, const qwenrt::Status &status);

/// Prints errorText() to standard error. Returns the exit status that goes with it: 2 for wrong usage, else 1.
int reportError(std::string_view tool, const qwenrt::Status &status);

} // namespace qwenc
