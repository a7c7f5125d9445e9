//===- Weights.h - Checkpoint files into device memory -----------------------------------------------------------===//
//
// Weights stay in the checkpoint's safetensors files. Several threads read pieces of a few MB straight into mapped
// device memory, or into a ring of staging buffers; pages are dropped behind, so that the host never holds the model.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "Transfer.h"
#include "WeightFiles.h"
#include "qwenrt/Plan.h"

#include <functional>

namespace qwenrt {

/// How far loading is.
struct WeightProgress {
  uint64_t bytesDone = 0;
  uint64_t bytesTotal = 0;
  int32_t layer = -1; ///< of the piece read last
};
using WeightProgressCallback = std::function<void(const WeightProgress &)>;

/// Fills the weight buffers: rows at their pitch, zeros between them and in every gap.
/// \p buffers has one buffer per plan buffer. \p progress is called on this thread.
Status loadWeights(detail::DeviceState &device, const Plan &plan, std::span<const DeviceBuffer> buffers,
                   std::span<const File> files, Transfer &transfer, unsigned threads,
                   const WeightProgressCallback &progress);

} // namespace qwenrt
