//===- DeviceQuery.cpp - Limits and features of a physical device ------------------------------------------------===//
#include "Text.h"
#include "Vulkan.h"

#include <algorithm>
#include <cstring>

using namespace qwenrt;

namespace {

bool hasExtension(const std::vector<VkExtensionProperties> &extensions, const char *name) {
  return std::any_of(extensions.begin(), extensions.end(), [name](const VkExtensionProperties &extension) {
    return !std::strcmp(extension.extensionName, name);
  });
}

/// Chains and queries every feature structure that the device knows.
void queryFeatures(VkPhysicalDevice device, DeviceFeatures &features) {
  uint32_t count = 0;
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> extensions(count);
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, extensions.data());

  features.core.pNext = &features.vulkan11;
  features.vulkan11.pNext = &features.vulkan12;
  features.vulkan12.pNext = &features.vulkan13;
  features.vulkan13.pNext = nullptr;
  features.extensions.clear();
  if (hasExtension(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) {
    features.cooperativeMatrix.pNext = std::exchange(features.vulkan13.pNext, &features.cooperativeMatrix);
    features.extensions.push_back(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
  }
  if (hasExtension(extensions, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME)) {
    features.bfloat16.pNext = std::exchange(features.vulkan13.pNext, &features.bfloat16);
    features.extensions.push_back(VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME);
  }
  features.memoryBudget = hasExtension(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  if (features.memoryBudget)
    features.extensions.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  vkGetPhysicalDeviceFeatures2(device, &features.core);
}

/// Turns off what plans never use: an enabled feature can cost speed (robust buffer access above all).
void keepOnlyWhatPlansUse(DeviceFeatures &features) {
  VkPhysicalDeviceFeatures core = {};
  core.shaderInt64 = features.core.features.shaderInt64;
  core.shaderInt16 = features.core.features.shaderInt16;
  features.core.features = core;

  VkPhysicalDeviceVulkan11Features &v11 = features.vulkan11;
  VkPhysicalDeviceVulkan11Features only11 = {v11.sType, v11.pNext};
  only11.storageBuffer16BitAccess = v11.storageBuffer16BitAccess;
  v11 = only11;

  VkPhysicalDeviceVulkan12Features &v12 = features.vulkan12;
  VkPhysicalDeviceVulkan12Features only12 = {v12.sType, v12.pNext};
  only12.storageBuffer8BitAccess = v12.storageBuffer8BitAccess;
  only12.shaderFloat16 = v12.shaderFloat16;
  only12.shaderInt8 = v12.shaderInt8;
  only12.scalarBlockLayout = v12.scalarBlockLayout;
  only12.shaderSubgroupExtendedTypes = v12.shaderSubgroupExtendedTypes;
  only12.timelineSemaphore = v12.timelineSemaphore;
  only12.bufferDeviceAddress = v12.bufferDeviceAddress;
  only12.vulkanMemoryModel = v12.vulkanMemoryModel;
  only12.vulkanMemoryModelDeviceScope = v12.vulkanMemoryModelDeviceScope;
  v12 = only12;

  VkPhysicalDeviceVulkan13Features &v13 = features.vulkan13;
  VkPhysicalDeviceVulkan13Features only13 = {v13.sType, v13.pNext};
  only13.subgroupSizeControl = v13.subgroupSizeControl;
  only13.computeFullSubgroups = v13.computeFullSubgroups;
  only13.synchronization2 = v13.synchronization2;
  only13.maintenance4 = v13.maintenance4;
  only13.shaderIntegerDotProduct = v13.shaderIntegerDotProduct;
  v13 = only13;
  features.cooperativeMatrix.cooperativeMatrixRobustBufferAccess = VK_FALSE;
}

std::vector<std::string> missingFeatures(const DeviceFeatures &features, const VkPhysicalDeviceProperties &properties) {
  std::vector<std::string> missing;
  auto need = [&missing](bool there, const char *name) {
    if (!there)
      missing.emplace_back(name);
  };
  need(properties.apiVersion >= VK_API_VERSION_1_3, "Vulkan 1.3");
  need(features.core.features.shaderInt64, "shaderInt64");
  need(features.core.features.shaderInt16, "shaderInt16");
  need(features.vulkan11.storageBuffer16BitAccess, "storageBuffer16BitAccess");
  need(features.vulkan12.bufferDeviceAddress, "bufferDeviceAddress");
  need(features.vulkan12.vulkanMemoryModel, "vulkanMemoryModel");
  need(features.vulkan12.vulkanMemoryModelDeviceScope, "vulkanMemoryModelDeviceScope");
  need(features.vulkan12.timelineSemaphore, "timelineSemaphore");
  need(features.vulkan13.synchronization2, "synchronization2");
  return missing;
}

uint32_t featureBits(const DeviceFeatures &features) {
  uint32_t bits = 0;
  auto add = [&bits](bool there, fb::Feature feature) { bits |= there ? uint32_t(feature) : 0; };
  add(features.vulkan12.shaderFloat16, fb::Feature::ShaderFloat16);
  add(features.vulkan12.shaderInt8 && features.vulkan12.storageBuffer8BitAccess, fb::Feature::ShaderInt8);
  add(features.cooperativeMatrix.cooperativeMatrix, fb::Feature::CooperativeMatrix);
  add(features.bfloat16.shaderBFloat16Type && features.bfloat16.shaderBFloat16CooperativeMatrix, fb::Feature::BFloat16);
  return bits;
}

DeviceKind kindOf(VkPhysicalDeviceType type) {
  switch (type) {
  case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
    return DeviceKind::Discrete;
  case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
    return DeviceKind::Integrated;
  case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
    return DeviceKind::Virtual;
  case VK_PHYSICAL_DEVICE_TYPE_CPU:
    return DeviceKind::Cpu;
  default:
    return DeviceKind::Other;
  }
}

uint64_t largestDeviceHeap(VkPhysicalDevice device) {
  VkPhysicalDeviceMemoryProperties memory = {};
  vkGetPhysicalDeviceMemoryProperties(device, &memory);
  uint64_t largest = 0;
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i)
    if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT)
      largest = std::max<uint64_t>(largest, memory.memoryHeaps[i].size);
  return largest;
}

} // namespace

DeviceInfo qwenrt::queryDevice(VkPhysicalDevice device, uint32_t index, DeviceFeatures &features) {
  VkPhysicalDeviceVulkan13Properties v13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES};
  VkPhysicalDeviceVulkan12Properties v12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES, &v13};
  VkPhysicalDeviceVulkan11Properties v11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, &v12};
  VkPhysicalDeviceProperties2 properties = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, nullptr};
  VkPhysicalDeviceProperties basic = {};
  vkGetPhysicalDeviceProperties(device, &basic);
  bool current = basic.apiVersion >= VK_API_VERSION_1_3; // older drivers do not know the structures
  if (current) {
    properties.pNext = &v11;
    vkGetPhysicalDeviceProperties2(device, &properties);
    queryFeatures(device, features);
    keepOnlyWhatPlansUse(features);
  }
  const VkPhysicalDeviceLimits &limits = basic.limits;
  DeviceInfo info;
  info.index = index;
  info.name = basic.deviceName;
  info.driver = current ? text(v12.driverName, " ", v12.driverInfo) : std::string("unknown driver");
  info.kind = kindOf(basic.deviceType);
  info.apiVersion = basic.apiVersion;
  info.deviceHeapBytes = largestDeviceHeap(device);
  info.minSubgroupSize = v13.minSubgroupSize;
  info.maxSubgroupSize = v13.maxSubgroupSize;
  info.subgroupSizeControl =
      features.vulkan13.subgroupSizeControl && (v13.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
  info.fullSubgroups = features.vulkan13.computeFullSubgroups;
  info.maxWorkgroupSubgroups = v13.maxComputeWorkgroupSubgroups;
  info.maxWorkgroupInvocations = limits.maxComputeWorkGroupInvocations;
  std::copy_n(limits.maxComputeWorkGroupSize, 3, info.maxWorkgroupSize.begin());
  std::copy_n(limits.maxComputeWorkGroupCount, 3, info.maxWorkgroupCount.begin());
  info.maxSharedBytes = limits.maxComputeSharedMemorySize;
  info.maxPushConstantBytes = limits.maxPushConstantsSize;
  info.maxAllocationBytes = v11.maxMemoryAllocationSize;
  info.maxBufferBytes = v13.maxBufferSize;
  info.features = featureBits(features);
  info.missing = missingFeatures(features, basic);
  return info;
}

const char *qwenrt::deviceKindName(DeviceKind kind) {
  switch (kind) {
  case DeviceKind::Discrete:
    return "discrete GPU";
  case DeviceKind::Integrated:
    return "integrated GPU";
  case DeviceKind::Virtual:
    return "virtual GPU";
  case DeviceKind::Cpu:
    return "CPU";
  case DeviceKind::Other:
    break;
  }
  return "other";
}
