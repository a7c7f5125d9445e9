//===- Runtime.h - Plan, device and session as the options want them ---------------------------------------------===//
#pragma once

#include "Options.h"
#include "runtime/frontend/Tokenizer.h"

namespace qwenrt::tool {

/// Everything a mode needs that runs on a device. The plan is open already.
struct Runtime {
  std::shared_ptr<const Plan> plan;
  std::shared_ptr<Device> device;
  std::unique_ptr<Session> session;
  uint64_t openNs = 0; ///< device and buffers
  uint64_t loadNs = 0; ///< weights and kernels, side by side
};

/// What a prompt with media took before the language model saw it.
struct MediaTimes {
  uint64_t frontEndNs = 0; ///< files to tensors
  uint64_t encoderNs = 0;
  uint64_t uploadNs = 0; ///< of these: their inputs to the device
};

/// Refuses output files that cannot be written, opens the device, makes the buffers, loads weights and kernels, with a
/// progress line.
Result<Runtime> openRuntime(const Options &options, std::shared_ptr<const Plan> plan);

/// The end of every run on a device: trace, statistics, validation messages. \p result is the only generation of the
/// run, null if there was none or more.
Status closeRuntime(const Options &options, Runtime &runtime, const GenerateResult *result = nullptr,
                    const MediaTimes &media = {});

/// The plan's tokenizer; Unsupported if it has none.
Result<Tokenizer> openTokenizer(const Plan &plan);

/// Prints what a generation took. The time to the first token includes \p media, and with \p runtime loading.
void printGenerationStats(const GenerateResult &result, const MediaTimes &media, const Runtime *runtime = nullptr);

} // namespace qwenrt::tool
