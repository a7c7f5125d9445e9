//===- Weights.h - Checkpoint files into device memory -----------------------------------------------------------===//
//
// Weights stay in the checkpoint's safetensors files. Several threads carry batches of 4 MiB straight into mapped
// device memory, or through a ring of staging buffers; pages are dropped behind, so that the host never holds the
// model.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "Transfer.h"
#include "WeightFiles.h"
#include "qwenrt/Plan.h"
#include "qwenrt/Session.h"

#include <functional>

namespace qwenrt {

/// How far loading is.
struct WeightProgress {
  uint64_t bytesDone = 0;
  uint64_t bytesTotal = 0;
  int32_t layer = -1; ///< of the weight read last
  int32_t layers = 0; ///< of the plan
};
using WeightProgressCallback = std::function<void(const WeightProgress &)>;

struct WeightLoadOptions {
  UploadPath upload = UploadPath::Staging; ///< not Auto; Direct and Streamed need mapped buffers
  unsigned threads = 0;                    ///< at most 16; 0: by the number of processors
};

/// Where the time went, summed over the threads.
struct WeightLoadTimes {
  unsigned threads = 0;
  uint64_t readNs = 0; ///< files; with Direct also the writing
  uint64_t copyNs = 0; ///< writing mapped memory, or recording and submitting copies
  uint64_t waitNs = 0; ///< for copies of the device
};

/// Fills the weight buffers: rows at their pitch, zeros between them and in every gap.
/// \p buffers has one buffer per plan buffer. \p progress is called on this thread.
Status loadWeights(detail::DeviceState &device, const Plan &plan, std::span<const DeviceBuffer> buffers,
                   std::span<const File> files, Transfer &transfer, const WeightLoadOptions &options,
                   WeightLoadTimes &times, const WeightProgressCallback &progress);

} // namespace qwenrt
