//===- Requirements.cpp - Can this device run this plan? ---------------------------------------------------------===//
//
// Pure functions of DeviceInfo, so that every refusal can be tested without the device. Drivers do not check these
// limits reliably: too much shared memory passes pipeline creation on some and then loses the device.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "Budget.h"
#include "Text.h"
#include "qwenrt/Device.h"

#include <algorithm>
#include <map>

using namespace qwenrt;

namespace {

Status lacks(const std::string &found, const std::string &expected) {
  return {StatusCode::Unsupported,
          text(found, ", expected ", expected, ", compile the plan for this device or for 'generic'")};
}

std::string kernelName(const fb::Kernel &kernel) {
  return text("kernel '", printable(kernel.name()->string_view()), "'");
}

Status checkFeatures(const fb::Kernel &kernel, const DeviceInfo &device) {
  uint32_t absent = uint32_t(kernel.features()) & ~device.features;
  for (fb::Feature feature :
       {fb::Feature::ShaderFloat16, fb::Feature::CooperativeMatrix, fb::Feature::BFloat16, fb::Feature::ShaderInt8})
    if (absent & uint32_t(feature))
      return lacks(text(kernelName(kernel), " needs the feature ", fb::EnumNameFeature(feature)),
                   text("none that '", printable(device.name), "' lacks"));
  return Status::ok();
}

Status checkSubgroups(const fb::Kernel &kernel, const DeviceInfo &device) {
  uint32_t size = kernel.subgroup_size();
  bool fixed = device.minSubgroupSize == device.maxSubgroupSize;
  if (size == 0 || (fixed && size == device.minSubgroupSize))
    return Status::ok();
  if (size < device.minSubgroupSize || size > device.maxSubgroupSize || !device.subgroupSizeControl)
    return lacks(
        text(kernelName(kernel), " needs subgroups of ", size),
        text(device.minSubgroupSize, " to ", device.maxSubgroupSize, " as '", printable(device.name), "' has"));
  uint64_t invocations = uint64_t(kernel.workgroup()->x()) * kernel.workgroup()->y() * kernel.workgroup()->z();
  if (invocations > uint64_t(size) * device.maxWorkgroupSubgroups)
    return lacks(text(kernelName(kernel), " needs ", (invocations + size - 1) / size, " subgroups per workgroup"),
                 text("at most ", device.maxWorkgroupSubgroups));
  return Status::ok();
}

Status checkKernel(const fb::Kernel &kernel, const DeviceInfo &device) {
  QWENRT_RETURN_IF_ERROR(checkFeatures(kernel, device));
  QWENRT_RETURN_IF_ERROR(checkSubgroups(kernel, device));
  const fb::Extent3 &size = *kernel.workgroup();
  uint64_t invocations = uint64_t(size.x()) * size.y() * size.z();
  if (invocations > device.maxWorkgroupInvocations || size.x() > device.maxWorkgroupSize[0] ||
      size.y() > device.maxWorkgroupSize[1] || size.z() > device.maxWorkgroupSize[2])
    return lacks(text(kernelName(kernel), " needs ", invocations, " invocations per workgroup"),
                 text("at most ", device.maxWorkgroupInvocations));
  if (kernel.shared_bytes() > device.maxSharedBytes)
    return lacks(text(kernelName(kernel), " needs ", kernel.shared_bytes(), " bytes of shared memory"),
                 text("at most ", device.maxSharedBytes));
  if (kernel.operands()->size() * 8 > device.maxPushConstantBytes)
    return lacks(text(kernelName(kernel), " needs ", kernel.operands()->size() * 8, " bytes of push constants"),
                 text("at most ", device.maxPushConstantBytes));
  return Status::ok();
}

Status checkBuffers(const fb::Plan &plan, const DeviceInfo &device) {
  for (const fb::Buffer *buffer : *plan.buffers()) {
    uint64_t limit = std::min(device.maxAllocationBytes, device.maxBufferBytes);
    if (buffer->size_bytes() > limit)
      return lacks(text("buffer '", printable(buffer->name()->string_view()), "' needs one allocation of ",
                        formatBytes(buffer->size_bytes())),
                   text("at most ", formatBytes(limit)));
  }
  return checkBudget(plan, device.deviceHeapBytes, text("of '", printable(device.name), "'"));
}

} // namespace

Status qwenrt::checkEntry(const fb::Plan &plan, const fb::Entry &entry, const DeviceInfo &device) {
  std::vector<bool> checked(plan.kernels()->size());
  for (const fb::Dispatch *dispatch : *entry.dispatches()) {
    const fb::Kernel &kernel = *plan.kernels()->Get(dispatch->kernel());
    const fb::Extent3 &groups = *dispatch->groups();
    if (groups.x() > device.maxWorkgroupCount[0] || groups.y() > device.maxWorkgroupCount[1] ||
        groups.z() > device.maxWorkgroupCount[2])
      return lacks(
          text(kernelName(kernel), " is dispatched as ", groups.x(), "x", groups.y(), "x", groups.z(), " workgroups"),
          text("at most ", device.maxWorkgroupCount[0], "x", device.maxWorkgroupCount[1], "x",
               device.maxWorkgroupCount[2]));
    if (checked[dispatch->kernel()])
      continue;
    checked[dispatch->kernel()] = true;
    QWENRT_RETURN_IF_ERROR(checkKernel(kernel, device));
  }
  return Status::ok();
}

Status qwenrt::checkPlan(const fb::Plan &plan, const DeviceInfo &device) {
  if (!device.missing.empty())
    return {StatusCode::Unsupported, text("device '", printable(device.name), "' has no ", device.missing.front(),
                                          ", expected it of every device, update the driver or choose another device")};
  QWENRT_RETURN_IF_ERROR(checkBuffers(plan, device));
  std::map<fb::Role, Status> roles; // a role is served by its first entry that runs
  for (const fb::Entry *entry : *plan.entries()) {
    if (entry->role() == fb::Role::Other)
      continue; // refused when it is asked for
    auto [at, first] = roles.try_emplace(entry->role(), Status::ok());
    if (first || !at->second.isOk())
      at->second = checkEntry(plan, *entry, device);
  }
  for (const auto &[role, status] : roles)
    QWENRT_RETURN_IF_ERROR(status);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

namespace {

std::string lowerCase(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
  return name;
}

std::string listNames(const std::vector<DeviceInfo> &devices) {
  std::string names;
  for (const DeviceInfo &device : devices)
    names += text(names.empty() ? "" : ", ", device.index, " '", printable(device.name), "'");
  return names.empty() ? "no devices" : names;
}

Status checkUse(const DeviceInfo &device, bool allowCpu, const fb::Plan *plan) {
  if (device.kind == DeviceKind::Cpu && !allowCpu)
    return {StatusCode::Unsupported, text("device ", device.index, " '", printable(device.name),
                                          "' is a CPU, expected a GPU, pass --allow-cpu to run on it")};
  if (!device.missing.empty())
    return {StatusCode::Unsupported, text("device ", device.index, " '", printable(device.name), "' has no ",
                                          device.missing.front(), ", expected it, choose another device")};
  return plan ? checkPlan(*plan, device) : Status::ok();
}

Result<uint32_t> chooseNamed(const std::vector<DeviceInfo> &devices, const DeviceOptions &options,
                             const fb::Plan *plan) {
  bool isIndex =
      std::all_of(options.selector.begin(), options.selector.end(), [](char c) { return c >= '0' && c <= '9'; });
  for (const DeviceInfo &device : devices) {
    bool named = isIndex ? std::to_string(device.index) == options.selector
                         : lowerCase(device.name).find(lowerCase(options.selector)) != std::string::npos;
    if (!named)
      continue;
    QWENRT_RETURN_IF_ERROR(checkUse(device, options.allowCpu, plan));
    return device.index;
  }
  return Status(StatusCode::NotFound, text("found no device '", printable(options.selector),
                                           "', expected one of: ", listNames(devices), ", see --list-devices"));
}

} // namespace

Result<uint32_t> qwenrt::chooseDevice(const std::vector<DeviceInfo> &devices, const DeviceOptions &options,
                                      const fb::Plan *plan) {
  if (!options.selector.empty())
    return chooseNamed(devices, options, plan);
  // The first that can run the plan, in the order of what is usually fastest; a CPU comes last and only if allowed.
  Status why;
  for (DeviceKind kind :
       {DeviceKind::Discrete, DeviceKind::Integrated, DeviceKind::Virtual, DeviceKind::Other, DeviceKind::Cpu})
    for (const DeviceInfo &device : devices) {
      if (device.kind != kind || (kind == DeviceKind::Cpu && !options.allowCpu))
        continue;
      Status status = checkUse(device, options.allowCpu, plan);
      if (status.isOk())
        return device.index;
      if (why.isOk())
        why = status;
    }
  if (!why.isOk())
    return why;
  if (devices.empty())
    return Status(StatusCode::NotFound, "found no Vulkan device, expected a GPU, install its driver");
  return Status(StatusCode::Unsupported,
                text("found no GPU but ", listNames(devices),
                     ", expected one, install its driver or pass --allow-cpu to run on the CPU"));
}
