//===- Devices.cpp - What there is, and whether it can run the plan ----------------------------------------------===//
#include "Terminal.h"
#include "TextMode.h"
#include "runtime/lib/Text.h"

using namespace qwenrt;
using namespace qwenrt::tool;

namespace {

std::string describe(const DeviceInfo &device) {
  uint32_t version = device.apiVersion;
  std::string subgroups = device.minSubgroupSize == device.maxSubgroupSize
                              ? std::to_string(device.minSubgroupSize)
                              : text(device.minSubgroupSize, " to ", device.maxSubgroupSize);
  return text(device.index, ": ", printable(device.name), " (", deviceKindName(device.kind), "), Vulkan ",
              version >> 22 & 0x7f, ".", version >> 12 & 0x3ff, ".", version & 0xfff, ", ", printable(device.driver),
              ", ", formatBytes(device.deviceHeapBytes), " device memory, subgroups of ", subgroups, "\n");
}

/// Whether the device can run the plan, and if not, why.
std::string verdict(const DeviceInfo &device, const Plan *plan) {
  if (!device.missing.empty()) {
    std::string missing;
    for (const std::string &name : device.missing)
      missing += (missing.empty() ? "" : ", ") + name;
    return text("   cannot run any plan: it has no ", missing, "\n");
  }
  const char *cpu = device.kind == DeviceKind::Cpu ? " (with --allow-cpu)" : "";
  if (!plan)
    return text("   can run plans", cpu, "\n");
  Status status = checkPlan(plan->root(), device);
  return status.isOk() ? text("   can run this plan", cpu, "\n")
                       : text("   cannot run this plan: ", status.message(), "\n");
}

} // namespace

int tool::listDevicesFor(const Options &options, const Plan *plan) {
  Result<std::vector<DeviceInfo>> devices = listDevices();
  if (!devices.isOk())
    return reportFailure(devices.status());
  if (devices->empty())
    printNote("no Vulkan devices");
  for (const DeviceInfo &device : *devices)
    writeOutput(describe(device) + verdict(device, plan));
  return 0;
}
