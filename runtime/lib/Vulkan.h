//===- Vulkan.h - The loader, the instance and results as Status -------------------------------------------------===//
#pragma once

#include "VulkanExtensions.h"

#include "qwenrt/Device.h"
#include "qwenrt/Status.h"

#include <atomic>
#include <memory>
#include <string>
#include <volk.h>

namespace qwenrt {

/// Ok, or what \p result means for someone who was \p doing something ("allocate 3.2 GB for 'weights.0'").
Status vulkanStatus(VkResult result, const std::string &doing);

/// Returns the failed Vulkan call \p call as a Status from the enclosing function.
#define QWENRT_RETURN_IF_VK_ERROR(call, doing)                                                                         \
  do {                                                                                                                 \
    if (VkResult vkResult_ = (call); vkResult_ != VK_SUCCESS)                                                          \
      return ::qwenrt::vulkanStatus(vkResult_, doing);                                                                 \
  } while (false)

/// A Vulkan 1.3 instance, with the validation layer if asked for.
class Instance {
public:
  static Result<std::shared_ptr<Instance>> create(bool validate);
  ~Instance();

  VkInstance handle() const { return handle_; }
  uint32_t validationMessages() const { return messages_; }
  std::vector<VkPhysicalDevice> physicalDevices() const;

private:
  Instance() = default;
  static VKAPI_ATTR VkBool32 VKAPI_CALL onMessage(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                                  VkDebugUtilsMessageTypeFlagsEXT,
                                                  const VkDebugUtilsMessengerCallbackDataEXT *, void *);
  VkInstance handle_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::atomic<uint32_t> messages_ = 0;
};

/// Everything optional that a device was found to have and that is switched on when it is opened.
struct DeviceFeatures {
  VkPhysicalDeviceFeatures2 core = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
  VkPhysicalDeviceVulkan11Features vulkan11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
  VkPhysicalDeviceVulkan12Features vulkan12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
  VkPhysicalDeviceVulkan13Features vulkan13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES};
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR cooperativeMatrix = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
  VkPhysicalDeviceShaderBfloat16FeaturesKHR bfloat16 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR};
  bool memoryBudget = false;
  std::vector<const char *> extensions;
};

/// Asks \p device for its features and limits.
DeviceInfo queryDevice(VkPhysicalDevice device, uint32_t index, DeviceFeatures &features);

} // namespace qwenrt
