//===- fuzz-plan.cpp - The plan verifier on arbitrary bytes ------------------------------------------------------===//
//
// The hash of the trailer is left out, so that mutations reach the fields. An accepted plan is walked as the runtime
// would: what the verifier lets through must be safe to check against a device and to look things up in.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "qwenrt/Device.h"
#include "runtime/lib/SpeechTables.h"
#include "runtime/schema/PlanFile.h"

#include <cstring>
#include <vector>

using namespace qwenrt;

namespace {

DeviceInfo anyDevice() {
  DeviceInfo device;
  device.name = "fuzz";
  device.deviceHeapBytes = device.maxAllocationBytes = device.maxBufferBytes = UINT64_MAX;
  device.minSubgroupSize = 1;
  device.maxSubgroupSize = 128;
  device.subgroupSizeControl = true;
  device.maxWorkgroupSubgroups = device.maxWorkgroupInvocations = device.maxSharedBytes = device.maxPushConstantBytes =
      UINT32_MAX;
  device.maxWorkgroupSize = device.maxWorkgroupCount = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
  device.features = UINT32_MAX;
  return device;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<uint64_t> aligned((size + 7) / 8);
  if (size)
    std::memcpy(aligned.data(), data, size);
  std::span bytes(reinterpret_cast<const std::byte *>(aligned.data()), size);
  (void)verifyPlan(bytes).isOk();
  Status status = verifyPlan(bytes, {.checkTrailer = false});
  if (!status.isOk()) {
    if (status.message().find(", expected ") == std::string::npos)
      __builtin_trap();
    return 0;
  }
  std::vector<std::byte> file(bytes.begin(), bytes.end());
  auto trailer = planfile::trailerOf(bytes);
  file.insert(file.end(), trailer.begin(), trailer.end());
  Result<std::shared_ptr<const Plan>> plan = Plan::fromBytes(file, ".");
  if (!plan.isOk())
    __builtin_trap();
  (void)checkPlan((*plan)->root(), anyDevice()).isOk();
  (void)(*plan)->findEntry("prefill");
  (void)(*plan)->purposeBytes(fb::BufferPurpose::Weights);
  if (const fb::Speech *speech = (*plan)->root().speech()) {
    for (uint32_t i = 0; speech->talker() && i < (*plan)->root().entries()->size(); ++i)
      if ((*plan)->root().entries()->Get(i)->role() == fb::Role::Prefill && !findSpeech((*plan)->root(), i).isOk())
        __builtin_trap();
    if (speech->vocoder() && !findVocoder((*plan)->root()).isOk())
      __builtin_trap();
  }
  return 0;
}
