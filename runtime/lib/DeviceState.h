//===- DeviceState.h - What an open device consists of -----------------------------------------------------------===//
#pragma once

#include "Vulkan.h"

#include <mutex>
#include <optional>
#include <span>

namespace qwenrt::detail {

struct DeviceState {
  ~DeviceState();

  /// Free bytes of \p heap now, or its size where the driver cannot say.
  uint64_t heapBudget(uint32_t heap) const;
  /// Submits to the one queue; callers on several threads take turns.
  Status submit(std::span<const VkSubmitInfo2> submits, VkFence fence, const char *doing);

  std::shared_ptr<Instance> instance;
  VkPhysicalDevice physical = VK_NULL_HANDLE;
  VkDevice device = VK_NULL_HANDLE;
  VolkDeviceTable vk = {};
  DeviceInfo info;
  bool hasMemoryBudget = false;
  VkPhysicalDeviceMemoryProperties memory = {};
  VkPhysicalDeviceProperties properties = {};
  uint8_t deviceUuid[VK_UUID_SIZE] = {};
  uint32_t timestampBits = 0; ///< 0: no timestamps
  uint32_t queueFamily = 0;
  VkQueue queue = VK_NULL_HANDLE;
  std::mutex queueMutex;
};

} // namespace qwenrt::detail
