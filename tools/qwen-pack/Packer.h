//===- Packer.h - From the checkpoint to the packed file of a plan -----------------------------------------------===//
#pragma once

#include "qwenrt/Plan.h"

#include <functional>
#include <string>

namespace qwenc {

struct PackOptions {
  std::string checkpointFolder; ///< empty: where the plan says
  unsigned threads = 1;         ///< 1 to maxPackThreads; the result does not depend on it
  std::function<void(uint64_t doneBytes, uint64_t totalBytes)> progress; ///< of the packed file, a few times a second
};

inline constexpr unsigned maxPackThreads = 64;

struct PackStatistics {
  uint64_t weights = 0;     ///< tensors
  uint64_t parameters = 0;  ///< numbers in them
  uint64_t packedBytes = 0; ///< of their rows, without the header
};

/// Writes the packed weights that \p plan asks for to \p output, to a temporary name first. Holds a few MB for each
/// thread. Errors: InvalidInput for a plan without packed weights, for another checkpoint and for weights that are not
/// finite; InvalidUsage for an output that would replace an input; NotFound, Io.
qwenrt::Result<PackStatistics> packWeights(const qwenrt::Plan &plan, const std::string &output,
                                           const PackOptions &options);

} // namespace qwenc
