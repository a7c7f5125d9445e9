//===- Trace.h - Where the time of a run goes --------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qwenrt {

/// One dispatch as the device's own clock saw it.
struct TraceEvent {
  std::string entry;
  std::string kernel;
  std::string label;    ///< layer or weight, as the plan has it; may be empty
  uint64_t startNs = 0; ///< from the first dispatch of the trace
  uint64_t durationNs = 0;
  uint64_t readBytes = 0; ///< the plan's estimate
  uint32_t groups[3] = {};
};

/// The events as Chrome trace JSON (chrome://tracing, ui.perfetto.dev).
std::string chromeTrace(std::span<const TraceEvent> events);

/// A table of the \p rows kernels that took most time: share, total, calls, mean, GB/s.
std::string kernelTable(std::span<const TraceEvent> events, size_t rows);

} // namespace qwenrt
