//===- Device.cpp - Open a device --------------------------------------------------------------------------------===//
#include "qwenrt/Device.h"

#include "DeviceState.h"
#include "LogicalDevice.h"
#include "Text.h"

#include <cstring>
#include <optional>

using namespace qwenrt;
using detail::DeviceState;

namespace {

struct Family {
  uint32_t index;
  uint32_t timestampBits;
};

/// A family that only computes where there is one: it shares no ring, and no watchdog, with the desktop.
std::optional<Family> chooseQueueFamily(VkPhysicalDevice device) {
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  std::optional<Family> best;
  for (uint32_t i = 0; i < count; ++i) {
    if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT))
      continue;
    bool computeOnly = !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT);
    if (!best || computeOnly)
      best = Family{i, families[i].timestampValidBits};
    if (computeOnly)
      break;
  }
  return best;
}

Status createDevice(DeviceState &state, DeviceFeatures &features) {
  std::optional<Family> family = chooseQueueFamily(state.physical);
  if (!family)
    return {StatusCode::Unsupported, text("device '", printable(state.info.name),
                                          "' has no compute queue, expected one, choose another device")};
  state.queueFamily = family->index;
  state.timestampBits = family->timestampBits;
  QWENRT_RETURN_IF_ERROR(createLogicalDevice(state, features, family->index));
  state.vk.vkGetDeviceQueue(state.device, state.queueFamily, 0, &state.queue);
  return Status::ok();
}

} // namespace

Status qwenrt::createLogicalDevice(DeviceState &state, const DeviceFeatures &features, uint32_t queueFamily) {
  float priority = 1;
  VkDeviceQueueCreateInfo queue = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
  queue.queueFamilyIndex = queueFamily;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &features.core};
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = uint32_t(features.extensions.size());
  info.ppEnabledExtensionNames = features.extensions.data();
  QWENRT_RETURN_IF_VK_ERROR(vkCreateDevice(state.physical, &info, nullptr, &state.device),
                            text("open device '", printable(state.info.name), "'"));
  volkLoadDeviceTable(&state.vk, state.device);
  return Status::ok();
}

Result<std::vector<DeviceInfo>> qwenrt::listDevices() {
  QWENRT_ASSIGN_OR_RETURN(std::shared_ptr<Instance> instance, Instance::create(false));
  std::vector<DeviceInfo> devices;
  for (VkPhysicalDevice device : instance->physicalDevices()) {
    DeviceFeatures features;
    devices.push_back(queryDevice(device, uint32_t(devices.size()), features));
  }
  return devices;
}

Result<std::shared_ptr<Device>> Device::open(const DeviceOptions &options, const fb::Plan *plan) {
  auto state = std::make_unique<DeviceState>();
  QWENRT_ASSIGN_OR_RETURN(state->instance, Instance::create(options.validate));
  std::vector<VkPhysicalDevice> handles = state->instance->physicalDevices();
  std::vector<DeviceInfo> devices;
  std::vector<DeviceFeatures> features(handles.size());
  for (uint32_t i = 0; i < handles.size(); ++i)
    devices.push_back(queryDevice(handles[i], i, features[i]));
  QWENRT_ASSIGN_OR_RETURN(uint32_t chosen, chooseDevice(devices, options, plan));

  state->physical = handles[chosen];
  state->info = devices[chosen];
  state->hasMemoryBudget = features[chosen].memoryBudget;
  vkGetPhysicalDeviceMemoryProperties(state->physical, &state->memory);
  VkPhysicalDeviceIDProperties id = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
  VkPhysicalDeviceProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, &id};
  vkGetPhysicalDeviceProperties2(state->physical, &properties);
  state->properties = properties.properties;
  std::memcpy(state->deviceUuid, id.deviceUUID, VK_UUID_SIZE);
  QWENRT_RETURN_IF_ERROR(createDevice(*state, features[chosen]));
  return std::shared_ptr<Device>(new Device(std::move(state)));
}

Device::Device(std::unique_ptr<DeviceState> state) : state_(std::move(state)) {}
Device::~Device() = default;
const DeviceInfo &Device::info() const { return state_->info; }
uint32_t Device::validationMessages() const { return state_->instance->validationMessages(); }

DeviceState::~DeviceState() {
  if (device)
    vk.vkDestroyDevice(device, nullptr);
}

uint64_t DeviceState::heapBudget(uint32_t heap) const {
  if (!hasMemoryBudget)
    return memory.memoryHeaps[heap].size;
  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
  VkPhysicalDeviceMemoryProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, &budget};
  vkGetPhysicalDeviceMemoryProperties2(physical, &properties);
  uint64_t used = budget.heapUsage[heap], allowed = budget.heapBudget[heap];
  return allowed > used ? allowed - used : 0;
}

Status DeviceState::submit(std::span<const VkSubmitInfo2> submits, VkFence fence, const char *doing) {
  std::lock_guard lock(queueMutex);
  return vulkanStatus(vk.vkQueueSubmit2(queue, uint32_t(submits.size()), submits.data(), fence), doing);
}
