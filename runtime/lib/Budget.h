//===- Budget.h - Does a plan fit, and which way do its weights go ------------------------------------------------===//
//
// Pure functions of the plan and of what the driver says about its memory: decided before anything is allocated or
// read.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "DeviceState.h"
#include "qwenrt/Session.h"

namespace qwenrt {

/// Bytes that \p plan takes in device memory: all buffers but the mailbox.
uint64_t deviceBytes(const fb::Plan &plan);

/// OutOfMemory if \p plan takes more than \p availableBytes: names both, the parts by purpose and what helps.
/// \p owner says whose bytes they are: "of 'NVIDIA H200'".
Status checkBudget(const fb::Plan &plan, uint64_t availableBytes, const std::string &owner);

/// Which way \p neededBytes go to \p device; never Auto. Direct and Streamed are Unsupported where device memory cannot
/// be mapped.
Result<UploadPath> chooseUpload(const detail::DeviceState &device, UploadPath wish, uint64_t neededBytes);

} // namespace qwenrt
