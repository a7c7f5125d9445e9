//===- Parts.h - One loop on several threads ---------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <functional>

namespace qwenrt {

/// How many threads should share \p count pieces of work, of which \p least are worth one: at least 1, and no more than
/// the processor has or memory keeps busy.
unsigned partCount(uint64_t count, uint64_t least);

/// Cuts 0 .. \p count into \p parts ranges and calls \p body(part, begin, end) for each, side by side; returns when all
/// are done. \p body must not throw.
void forEachPart(uint64_t count, unsigned parts, const std::function<void(unsigned, uint64_t, uint64_t)> &body);

} // namespace qwenrt
