//===- Parallel.h - Run a function on several threads ------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <functional>

namespace qwenrt {

/// Runs \p work on up to \p threads threads and waits for all; \p watch is called on this thread about every 50 ms and
/// at the end. Returns the first failure; \p cancel is called with it, so that the others can stop early. Where the
/// system refuses threads the work is done by fewer, at last by this one.
Status runParallel(unsigned threads, const std::function<Status()> &work, const std::function<void()> &watch,
                   const std::function<void()> &cancel);

} // namespace qwenrt
