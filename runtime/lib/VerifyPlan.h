//===- VerifyPlan.h - The parts of the plan verifier -------------------------------------------------------------===//
//
// verifyPlan runs these over a flatbuffer whose structure has been proved. Each returns the first problem it finds.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "Text.h"
#include "plan_generated.h"
#include "qwenrt/Status.h"

#include <optional>
#include <string_view>

namespace qwenrt {

/// Sanity limits that hold on every device. They bound the work of the verifier and of the device objects.
constexpr uint32_t kMaxNameBytes = 4096;
constexpr uint32_t kMaxWorkgroupInvocations = 1024;
constexpr uint32_t kMaxSharedBytes = 1u << 20;
constexpr uint32_t kMaxOperands = 32; // 256 bytes of push constants
constexpr uint32_t kMaxSubgroupSize = 128;
constexpr uint32_t kMaxDims = 8;
constexpr uint64_t kOperandAlignment = 16;

inline Status badPlan(const std::string &found, const std::string &expected) {
  return {StatusCode::InvalidInput, text(found, ", expected ", expected, ", compile the plan again")};
}

/// "buffer 3 'weights.0'".
template <typename Table> std::string nameOf(const char *what, uint32_t ordinal, const Table &table) {
  return text(what, " ", ordinal, " '", printable(table.name()->string_view()), "'");
}

/// Fails if [offset, offset + size) does not lie within \p limit bytes.
inline bool rangeFits(uint64_t offset, uint64_t size, uint64_t limit) {
  return offset <= limit && size <= limit - offset;
}

/// As Plan::findEntry and Plan::findCell, before there is a plan.
std::optional<uint32_t> findEntry(const fb::Plan &plan, std::string_view name);
const fb::Cell *findCell(const fb::Plan &plan, fb::CellKind kind, uint32_t sequence);

Status verifyBuffers(const fb::Plan &plan);
Status verifyWeights(const fb::Plan &plan);
Status verifyCells(const fb::Plan &plan);
Status verifyKernels(const fb::Plan &plan, uint64_t fileBytes);
Status verifyEntries(const fb::Plan &plan);
/// The media table against the entries, which are verified already.
Status verifyMedia(const fb::Plan &plan);
/// The speech table against the entries, cells and buffers, which are verified already.
Status verifySpeech(const fb::Plan &plan);
Status verifyGeneration(const fb::Plan &plan);
/// The settings of sampling that \p name has.
Status verifySampling(const fb::Generation &sampling, const std::string &name);

} // namespace qwenrt
