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
};

/// Opens the device, makes the buffers, loads weights and kernels, with a progress line.
Result<Runtime> openRuntime(const Options &options, std::shared_ptr<const Plan> plan);

/// The end of every run on a device: trace, statistics, validation messages.
Status closeRuntime(const Options &options, Runtime &runtime);

/// The plan's tokenizer; Unsupported if it has none.
Result<Tokenizer> openTokenizer(const Plan &plan);

/// Prints what a generation took.
void printGenerationStats(const GenerateResult &result);

} // namespace qwenrt::tool
