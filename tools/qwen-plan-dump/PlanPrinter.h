//===- PlanPrinter.h - A plan as stable text ------------------------------------------------------------*- C++ -*-===//
//
// For people, diff and FileCheck: one fact per line, numbers without rounding beside rounded ones, nothing that depends
// on the machine. Numbers are bytes unless they say otherwise.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "plan_generated.h"

#include <string>
#include <string_view>
#include <vector>

namespace qwenc {

struct PlanSections {
  bool header = true; ///< model, target, budget, buffers, cells
  bool kernels = true;
  bool entries = true;  ///< dispatches with operands, then the arena with lifetimes
  bool weights = false; ///< where each tensor comes from and goes to
};

/// The text of \p plan, which verifyPlan() has accepted.
std::string printPlan(const qwenrt::fb::Plan &plan, const PlanSections &sections);

//===------------------------------------------------------------------------------------------------------------===//
// Pieces, shared by the files of this tool
//===------------------------------------------------------------------------------------------------------------===//

/// "text" in quotes on one line: control characters escaped, cut after 200 bytes.
std::string quoteText(std::string_view text);

/// 1234567 -> "1.2 MB", powers of 1000.
std::string roundedBytes(uint64_t sizeBytes);

/// What lies in the arena while an entry runs. A value begins with a write to a range that holds nothing that is still
/// to be read, and lives until it is read for the last time.
struct ArenaValue {
  uint64_t offset, sizeBytes;
  uint32_t first, last; ///< ordinals of dispatches, both included
};

/// By offset, then by first dispatch.
std::vector<ArenaValue> arenaValues(const qwenrt::fb::Plan &plan, const qwenrt::fb::Entry &entry);

/// One line per value with a bar over the dispatches; empty if the entry does not use the arena.
std::string printArena(const qwenrt::fb::Plan &plan, const qwenrt::fb::Entry &entry);

} // namespace qwenc
