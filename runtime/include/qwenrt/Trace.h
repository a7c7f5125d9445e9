//===- Trace.h - Where the time of a run goes --------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qwenrt {

enum class TraceDetail {
  None,
  Runs,      ///< one event for each run of an entry; the schedule stays as it is
  Dispatches ///< one for each dispatch; each run makes the host wait
};

/// One dispatch, or one run of an entry, as the device's own clock saw it.
struct TraceEvent {
  std::string entry;
  std::string kernel;   ///< of a run: the entry again
  std::string label;    ///< layer or weight, as the plan has it; may be empty
  uint64_t startNs = 0; ///< from the beginning of the trace
  uint64_t durationNs = 0;
  uint64_t readBytes = 0;  ///< the plan's estimate
  uint32_t groups[3] = {}; ///< of a run: zeros
};

/// What the host hands out, when it does. The host's clock is taken to be ahead of the device's by the shortest time
/// that it was ever seen to be when a run had been waited for.
struct TraceMark {
  enum class Kind { Token, Audio } kind = Kind::Token;
  uint64_t timeNs = 0; ///< from the beginning of the trace
  uint64_t value = 0;  ///< Token: its id; Audio: samples
};

/// The events as Chrome trace JSON (chrome://tracing, ui.perfetto.dev).
std::string chromeTrace(std::span<const TraceEvent> events, std::span<const TraceMark> marks = {});

/// A table of the \p rows kernels that took most time: share, total, calls, mean, GB/s.
std::string kernelTable(std::span<const TraceEvent> events, size_t rows);

} // namespace qwenrt
