//===- TargetProfile.h - What a plan may rely on ------------------------------------------------------*- C++ -*-===//
//
// Limits and features of the device a plan is compiled for, and the few choices that follow from them. Compiling needs
// no device: these numbers are all the compiler knows. Built-in profiles: generic, lavapipe, nvidia-h200, amd-gfx1151;
// a profile file is a JSON object over a "base" profile, with these names in snake case as keys: "subgroup_size".
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qwenc {

/// Element type of the KV cache.
enum class KvFormat { F32, F16, BF16 };

struct TargetProfile {
  std::string name;

  // Limits (Vulkan's names in camel case, bytes unless said otherwise).
  uint32_t subgroupSize = 0; ///< required size, or 0: any size from 4 to 128, full subgroups
  uint32_t maxWorkgroupInvocations = 256;
  uint32_t maxSharedBytes = 32768;
  uint32_t maxPushConstantBytes = 128;
  std::array<uint32_t, 3> maxWorkgroupCount = {65535, 65535, 65535};
  uint64_t maxAllocationBytes = 2147483648ull;
  /// A weight, or weights that lie side by side, larger than maxAllocationBytes may have an allocation of its own of at
  /// most this; the runtime refuses the plan on a device that allows less. 0: maxAllocationBytes holds for weights too.
  uint64_t maxWeightBytes = 0;

  // Features beyond the generic minimum.
  bool bf16CooperativeMatrix = false; ///< KHR cooperative matrix 16x16x16, bf16 operands, f32 accumulator
  bool f16CooperativeMatrix = false;  ///< the same with f16 operands
  bool shaderFloat16 = false;         ///< f16 arithmetic; storing f16 is in the minimum
  bool shaderInt8 = false;            ///< 8-bit integers, in memory and in arithmetic

  // Shape of the machine: how much parallel work fills it. Not a limit.
  uint32_t computeUnits = 8;

  // Choices.
  KvFormat kvFormat = KvFormat::F32;
  uint32_t prefillChunk = 64;        ///< rows of one prefill run
  uint32_t mixturePrefillChunk = 0;  ///< the same for mixtures of experts, whose weights more rows share; 0: as others
  uint32_t decodeSplits = 4;         ///< parts of the keys of one key/value head in decode, at most
  bool narrowMatrixOperands = false; ///< products of many rows take 16 bits: stored as bf16, or scaled without bf16
  bool dontUnrollLoops = false;      ///< loops of kernels have SPIR-V's DontUnroll; else the driver chooses

  // For cost estimates.
  double readBytesPerNs = 10.0; ///< device memory, GB/s
  double flopsPerNs = 500;      ///< what the prefill kernels reach, GFLOP/s
  double stepOverheadNs = 5000; ///< one dependent dispatch
};

/// The built-in profile \p nameOrFile or the profile file at that path.
qwenrt::Result<TargetProfile> loadTargetProfile(std::string_view nameOrFile);

/// Names of the built-in profiles, for messages.
std::vector<std::string> builtinTargetNames();

} // namespace qwenc
