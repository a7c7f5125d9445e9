//===- Instance.cpp - Loader, instance, results ------------------------------------------------------------------===//
#include "Text.h"
#include "Vulkan.h"

#include <cstdio>
#include <cstring>
#include <mutex>

using namespace qwenrt;

Status qwenrt::vulkanStatus(VkResult result, const std::string &doing) {
  switch (result) {
  case VK_SUCCESS:
    return Status::ok();
  case VK_ERROR_OUT_OF_HOST_MEMORY:
    return {StatusCode::OutOfMemory, text("host memory ran out, expected enough to ", doing, ", close other programs")};
  case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    return {StatusCode::OutOfMemory, text("device memory ran out, expected enough to ", doing,
                                          ", close other programs or compile with a smaller --max-context")};
  case VK_ERROR_DEVICE_LOST:
    return {StatusCode::DeviceLost, text("the device was lost, expected it to ", doing,
                                         ", look into the kernel's log and run with --validate")};
  default:
    return {StatusCode::Unsupported, text("Vulkan error ", int(result), ", expected the driver to ", doing,
                                          ", update the driver or choose another device")};
  }
}

namespace {

std::mutex loaderMutex; // volk keeps the loader's functions in globals

bool hasLayer(const char *name) {
  uint32_t count = 0;
  vkEnumerateInstanceLayerProperties(&count, nullptr);
  std::vector<VkLayerProperties> layers(count);
  vkEnumerateInstanceLayerProperties(&count, layers.data());
  for (const VkLayerProperties &layer : layers)
    if (std::strcmp(layer.layerName, name) == 0)
      return true;
  return false;
}

constexpr const char *kValidationLayer = "VK_LAYER_KHRONOS_validation";

} // namespace

VkBool32 Instance::onMessage(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                             const VkDebugUtilsMessengerCallbackDataEXT *data, void *self) {
  ++static_cast<Instance *>(self)->messages_;
  std::fprintf(stderr, "validation: %s\n", data->pMessage);
  return VK_FALSE;
}

Result<std::shared_ptr<Instance>> Instance::create(bool validate) {
  std::lock_guard lock(loaderMutex);
  if (volkInitialize() != VK_SUCCESS)
    return Status(StatusCode::Unsupported,
                  "no Vulkan loader found, expected libvulkan.so.1, install it (Debian: libvulkan1)");
  if (volkGetInstanceVersion() < VK_API_VERSION_1_3)
    return Status(StatusCode::Unsupported, "the Vulkan loader is too old, expected version 1.3, install a newer one");
  if (validate && !hasLayer(kValidationLayer))
    return Status(StatusCode::Unsupported,
                  text("no validation layer found, expected ", kValidationLayer,
                       ", install it (Debian: vulkan-validationlayers) or leave --validate out"));

  std::shared_ptr<Instance> instance(new Instance());
  VkApplicationInfo application = {VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = "qwenrt";
  application.apiVersion = VK_API_VERSION_1_3;
  VkDebugUtilsMessengerCreateInfoEXT messenger = {VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  messenger.messageSeverity =
      VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  messenger.messageType =
      VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  messenger.pfnUserCallback = &Instance::onMessage;
  messenger.pUserData = instance.get();
  const char *extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
  VkInstanceCreateInfo info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pApplicationInfo = &application;
  if (validate) {
    info.pNext = &messenger;
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &kValidationLayer;
    info.enabledExtensionCount = 1;
    info.ppEnabledExtensionNames = &extension;
  }
  VkResult result = vkCreateInstance(&info, nullptr, &instance->handle_);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER) // the loader's word for "no driver at all"
    return Status(StatusCode::NotFound, "no Vulkan driver found, expected one for a GPU, install it");
  QWENRT_RETURN_IF_VK_ERROR(result, "create an instance");
  volkLoadInstanceOnly(instance->handle_);
  if (validate)
    QWENRT_RETURN_IF_VK_ERROR(
        vkCreateDebugUtilsMessengerEXT(instance->handle_, &messenger, nullptr, &instance->messenger_),
        "listen to the validation layer");
  return instance;
}

Instance::~Instance() {
  if (messenger_)
    vkDestroyDebugUtilsMessengerEXT(handle_, messenger_, nullptr);
  if (handle_)
    vkDestroyInstance(handle_, nullptr);
}

std::vector<VkPhysicalDevice> Instance::physicalDevices() const {
  uint32_t count = 0;
  if (vkEnumeratePhysicalDevices(handle_, &count, nullptr) != VK_SUCCESS)
    return {};
  std::vector<VkPhysicalDevice> devices(count);
  if (vkEnumeratePhysicalDevices(handle_, &count, devices.data()) < 0)
    return {};
  devices.resize(count);
  return devices;
}
