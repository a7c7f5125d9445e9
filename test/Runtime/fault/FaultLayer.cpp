//===- FaultLayer.cpp - A Vulkan layer under which a device fails ------------------------------------------------===//
//
// For tests of programs as they are shipped: the loader puts the layer between program and driver when
// VK_INSTANCE_LAYERS names it. FAULT says what goes wrong, and when:
//
//   submit:N:memory    the Nth submission and all behind it find no device memory
//   submit:N:lost      the device is lost at the Nth submission: all calls that can say so do
//   allocate:N:memory  the Nth allocation and all behind it find no device memory
//   slow:N:MS          the device takes MS milliseconds longer for each submission from the Nth on
//
// At the end of a device FAULT_COUNTS, a path, gets the numbers of submissions and allocations as two words. One device
// at a time.
//
//===------------------------------------------------------------------------------------------------------------===//
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

namespace {

struct Fault {
  char what[16] = "", how[16] = "";
  unsigned from = 0;

  Fault() {
    const char *wish = std::getenv("FAULT");
    if (wish && std::sscanf(wish, "%15[^:]:%u:%15s", what, &from, how) != 3) {
      std::fprintf(stderr, "FAULT is '%s', expected WHAT:N:HOW\n", wish);
      std::abort();
    }
  }
  bool hits(std::string_view call, unsigned count) const { return call == what && from > 0 && count >= from; }
};

const Fault &fault() {
  static const Fault wish;
  return wish;
}

PFN_vkGetInstanceProcAddr nextInstanceProc = nullptr;
PFN_vkGetDeviceProcAddr nextDeviceProc = nullptr;
VkInstance theInstance = VK_NULL_HANDLE;
VkDevice theDevice = VK_NULL_HANDLE;
std::atomic<unsigned> submits = 0, allocations = 0;
std::atomic<bool> lost = false;

template <typename Function> Function next(const char *name) {
  return reinterpret_cast<Function>(nextDeviceProc(theDevice, name));
}

/// The structure of \p info's chain in which the loader hands over the next layer's functions.
template <typename Link, VkStructureType type, typename Info> Link *findLink(const Info *info) {
  auto *at = static_cast<Link *>(const_cast<void *>(info->pNext));
  while (at && !(at->sType == type && at->function == VK_LAYER_LINK_INFO))
    at = static_cast<Link *>(const_cast<void *>(static_cast<const void *>(at->pNext)));
  return at;
}

VkResult VKAPI_CALL createInstance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *callbacks,
                                   VkInstance *instance) {
  auto *link = findLink<VkLayerInstanceCreateInfo, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO>(info);
  nextInstanceProc = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  auto create = reinterpret_cast<PFN_vkCreateInstance>(nextInstanceProc(VK_NULL_HANDLE, "vkCreateInstance"));
  const VkResult result = create(info, callbacks, instance);
  theInstance = *instance;
  return result;
}

VkResult VKAPI_CALL createDevice(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                                 const VkAllocationCallbacks *callbacks, VkDevice *device) {
  auto *link = findLink<VkLayerDeviceCreateInfo, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO>(info);
  nextDeviceProc = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  auto create = reinterpret_cast<PFN_vkCreateDevice>(nextInstanceProc(theInstance, "vkCreateDevice"));
  const VkResult result = create(physical, info, callbacks, device);
  theDevice = *device;
  return result;
}

void VKAPI_CALL destroyDevice(VkDevice device, const VkAllocationCallbacks *callbacks) {
  if (const char *path = std::getenv("FAULT_COUNTS"))
    if (std::FILE *file = std::fopen(path, "w")) {
      std::fprintf(file, "%u %u\n", submits.load(), allocations.load());
      std::fclose(file);
    }
  next<PFN_vkDestroyDevice>("vkDestroyDevice")(device, callbacks);
}

VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo2 *infos, VkFence fence) {
  const unsigned number = ++submits;
  if (fault().hits("slow", number))
    std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(fault().how)));
  if (fault().hits("submit", number)) {
    lost = lost || std::string_view(fault().how) == "lost";
    // What runs still must not meet what the program destroys now: a lost device has stopped.
    next<PFN_vkDeviceWaitIdle>("vkDeviceWaitIdle")(theDevice);
    return lost ? VK_ERROR_DEVICE_LOST : VK_ERROR_OUT_OF_DEVICE_MEMORY;
  }
  return next<PFN_vkQueueSubmit2>("vkQueueSubmit2")(queue, count, infos, fence);
}

VkResult VKAPI_CALL waitSemaphores(VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t timeout) {
  return lost ? VK_ERROR_DEVICE_LOST : next<PFN_vkWaitSemaphores>("vkWaitSemaphores")(device, info, timeout);
}

VkResult VKAPI_CALL waitForFences(VkDevice device, uint32_t count, const VkFence *fences, VkBool32 all,
                                  uint64_t timeout) {
  return lost ? VK_ERROR_DEVICE_LOST
              : next<PFN_vkWaitForFences>("vkWaitForFences")(device, count, fences, all, timeout);
}

VkResult VKAPI_CALL allocateMemory(VkDevice device, const VkMemoryAllocateInfo *info,
                                   const VkAllocationCallbacks *callbacks, VkDeviceMemory *memory) {
  if (fault().hits("allocate", ++allocations))
    return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  return next<PFN_vkAllocateMemory>("vkAllocateMemory")(device, info, callbacks, memory);
}

PFN_vkVoidFunction ownFunction(std::string_view name);

PFN_vkVoidFunction VKAPI_CALL deviceProc(VkDevice device, const char *name) {
  PFN_vkVoidFunction own = ownFunction(name);
  return own ? own : nextDeviceProc(device, name);
}

PFN_vkVoidFunction VKAPI_CALL instanceProc(VkInstance instance, const char *name) {
  PFN_vkVoidFunction own = ownFunction(name);
  return own || !nextInstanceProc ? own : nextInstanceProc(instance, name);
}

PFN_vkVoidFunction ownFunction(std::string_view name) {
  const struct {
    std::string_view name;
    PFN_vkVoidFunction function;
  } functions[] = {{"vkCreateInstance", reinterpret_cast<PFN_vkVoidFunction>(createInstance)},
                   {"vkCreateDevice", reinterpret_cast<PFN_vkVoidFunction>(createDevice)},
                   {"vkDestroyDevice", reinterpret_cast<PFN_vkVoidFunction>(destroyDevice)},
                   {"vkQueueSubmit2", reinterpret_cast<PFN_vkVoidFunction>(submit)},
                   {"vkWaitSemaphores", reinterpret_cast<PFN_vkVoidFunction>(waitSemaphores)},
                   {"vkWaitForFences", reinterpret_cast<PFN_vkVoidFunction>(waitForFences)},
                   {"vkAllocateMemory", reinterpret_cast<PFN_vkVoidFunction>(allocateMemory)},
                   {"vkGetInstanceProcAddr", reinterpret_cast<PFN_vkVoidFunction>(instanceProc)},
                   {"vkGetDeviceProcAddr", reinterpret_cast<PFN_vkVoidFunction>(deviceProc)}};
  for (const auto &own : functions)
    if (own.name == name)
      return own.function;
  return nullptr;
}

} // namespace

extern "C" __attribute__((visibility("default"))) VkResult
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *version) {
  version->loaderLayerInterfaceVersion = 2;
  version->pfnGetInstanceProcAddr = instanceProc;
  version->pfnGetDeviceProcAddr = deviceProc;
  version->pfnGetPhysicalDeviceProcAddr = nullptr;
  return VK_SUCCESS;
}
