//===- BuiltinProfiles.cpp - The targets that qwenc knows by name -------------------------------------------------===//
//
// Limits were read from the drivers named, not from datasheets; rates and overheads of lavapipe and nvidia-h200 are
// measurements.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "compiler/Target/BuiltinProfiles.h"

namespace qwenc {
namespace {

/// The guaranteed minimum of every limit of a Vulkan 1.3 device with subgroups of 4 to 128.
TargetProfile vulkanMinimum() {
  TargetProfile profile;
  profile.maxAllocationBytes = uint64_t(1) << 30;
  return profile;
}

/// Any Vulkan 1.3 device. The embedding of Qwen3-8B needs 1.24 GB, more than Vulkan guarantees of one allocation but
/// less than what the drivers named here give, of which this is the least for GPUs on which such a model fits.
TargetProfile generic() {
  TargetProfile profile = vulkanMinimum();
  profile.name = "generic";
  profile.maxWeightBytes = 4292870144;
  return profile;
}

/// Mesa's CPU driver, 22.3.6 to 25.0.7. It reads through buffer addresses at 0.5 to 0.9 GB/s.
TargetProfile lavapipe() {
  TargetProfile profile = vulkanMinimum();
  profile.name = "lavapipe";
  profile.subgroupSize = 8;
  profile.maxWorkgroupInvocations = 1024;
  profile.maxAllocationBytes = uint64_t(1) << 31;
  profile.readBytesPerNs = 0.7;
  profile.flopsPerNs = 2;
  profile.stepOverheadNs = 50000;
  return profile;
}

/// NVIDIA H200, driver 580.159. A dependent step costs 2.9 us + bytes / 4.45 TB/s.
TargetProfile nvidiaH200() {
  TargetProfile profile = vulkanMinimum();
  profile.name = "nvidia-h200";
  profile.subgroupSize = 32;
  profile.maxWorkgroupInvocations = 1024;
  profile.maxSharedBytes = 49152;
  profile.maxPushConstantBytes = 256;
  profile.maxWorkgroupCount = {2147483647, 65535, 65535};
  profile.maxAllocationBytes = 4292870144;
  profile.bf16CooperativeMatrix = true;
  profile.f16CooperativeMatrix = true;
  profile.computeUnits = 132;
  profile.kvFormat = KvFormat::F16;
  profile.prefillChunk = 512;
  profile.mixturePrefillChunk = 2048;
  profile.decodeSplits = 32;
  profile.narrowMatrixOperands = true;
  // Weights stream through the caches between two runs of a decode kernel, so its code comes from far each time; the
  // driver would write the body of a loop up to eight times.
  profile.dontUnrollLoops = true;
  profile.readBytesPerNs = 4450;
  profile.flopsPerNs = 40000;
  profile.stepOverheadNs = 2900;
  return profile;
}

/// AMD Radeon 8060S, RADV of Mesa 25.0.7. The allocation limit is that of AMDVLK, so that a plan runs on both drivers.
TargetProfile amdGfx1151() {
  TargetProfile profile = vulkanMinimum();
  profile.name = "amd-gfx1151";
  profile.subgroupSize = 64;
  profile.maxWorkgroupInvocations = 1024;
  profile.maxSharedBytes = 65536;
  profile.maxPushConstantBytes = 256;
  profile.maxWorkgroupCount = {4294967295, 65535, 65535};
  profile.maxAllocationBytes = uint64_t(1) << 31;
  profile.f16CooperativeMatrix = true;
  profile.computeUnits = 40;
  profile.kvFormat = KvFormat::F16;
  profile.prefillChunk = 512;
  profile.mixturePrefillChunk = 2048;
  profile.decodeSplits = 8;
  profile.narrowMatrixOperands = true;
  profile.readBytesPerNs = 212;
  profile.flopsPerNs = 8000; // a guess far below what the driver's compiler predicts, so that submissions stay short
  profile.stepOverheadNs = 5000; // a guess
  return profile;
}

} // namespace

const std::vector<TargetProfile> &builtinProfiles() {
  static const std::vector<TargetProfile> profiles = {generic(), lavapipe(), nvidiaH200(), amdGfx1151()};
  return profiles;
}

} // namespace qwenc
