//===- StatisticsDevice.cpp - Compile kernels, read what the driver reports ---------------------------------------===//
#include "tools/qwen-kernel-stats/StatisticsDevice.h"

#include "runtime/lib/ComputePipelines.h"
#include "runtime/lib/LogicalDevice.h"
#include "runtime/lib/Text.h"

#include <algorithm>
#include <cstring>

using namespace qwenrt;

namespace qwenc {
namespace {

constexpr const char *kExtension = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;

bool hasExtension(VkPhysicalDevice device) {
  uint32_t count = 0;
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> extensions(count);
  vkEnumerateDeviceExtensionProperties(device, nullptr, &count, extensions.data());
  return std::any_of(extensions.begin(), extensions.end(), [](const VkExtensionProperties &extension) {
    return !std::strcmp(extension.extensionName, kExtension);
  });
}

decltype(Statistic::value) valueOf(const VkPipelineExecutableStatisticKHR &statistic) {
  switch (statistic.format) {
  case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
    return int64_t(statistic.value.b32 ? 1 : 0);
  case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
    return statistic.value.i64;
  case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
    return statistic.value.u64;
  default:
    return statistic.value.f64;
  }
}

} // namespace

Result<std::unique_ptr<StatisticsDevice>> StatisticsDevice::open(const std::string &selector) {
  std::unique_ptr<StatisticsDevice> device(new StatisticsDevice());
  detail::DeviceState &state = device->state_;
  QWENRT_ASSIGN_OR_RETURN(state.instance, Instance::create(/*validate=*/false));
  std::vector<VkPhysicalDevice> handles = state.instance->physicalDevices();
  std::vector<DeviceInfo> devices;
  std::vector<DeviceFeatures> features(handles.size());
  for (uint32_t i = 0; i < handles.size(); ++i)
    devices.push_back(queryDevice(handles[i], i, features[i]));
  // The plan is not part of the choice: a device without memory cannot run it but compiles its kernels.
  DeviceOptions options;
  options.selector = selector;
  options.allowCpu = true;
  QWENRT_ASSIGN_OR_RETURN(uint32_t chosen, chooseDevice(devices, options, /*plan=*/nullptr));
  state.physical = handles[chosen];
  state.info = devices[chosen];
  if (!hasExtension(state.physical))
    return Status(StatusCode::Unsupported,
                  text("device '", printable(state.info.name), "' (", printable(state.info.driver), ") has no ",
                       kExtension, ", expected it to report statistics, choose another with --device"));
  QWENRT_RETURN_IF_ERROR(device->createDevice(features[chosen]));
  QWENRT_RETURN_IF_ERROR(createPipelineLayout(state, std::min(256u, state.info.maxPushConstantBytes), device->layout_));
  return device;
}

Status StatisticsDevice::createDevice(DeviceFeatures &features) {
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
  executables.pNext = features.core.pNext;
  executables.pipelineExecutableInfo = VK_TRUE;
  features.core.pNext = &executables;
  features.extensions.push_back(kExtension);
  return createLogicalDevice(state_, features, /*queueFamily=*/0); // its queue is never used, but one is required
}

StatisticsDevice::~StatisticsDevice() {
  if (layout_)
    state_.vk.vkDestroyPipelineLayout(state_.device, layout_, nullptr);
}

void StatisticsDevice::compile(const fb::Kernel &kernel, KernelStatistics &result, std::string *isa) const {
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkPipelineCreateFlags flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
  if (isa)
    flags |= VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
  result.compiled = createPipeline(state_, /*cache=*/VK_NULL_HANDLE, layout_, kernel, pipeline, flags);
  if (!result.compiled)
    return;
  auto read = [&]() -> Status {
    std::string doing = text("report statistics of kernel '", printable(result.name), "'");
    VkPipelineInfoKHR which = {VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, nullptr, pipeline};
    uint32_t count = 0;
    QWENRT_RETURN_IF_VK_ERROR(state_.vk.vkGetPipelineExecutablePropertiesKHR(state_.device, &which, &count, nullptr),
                              doing);
    if (count == 0)
      return {StatusCode::Unsupported,
              text("kernel '", printable(result.name), "' has no executable, expected one, choose another device")};
    // Where a driver compiles several, the first is the one that runs whole workgroups.
    VkPipelineExecutablePropertiesKHR executable = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    count = 1;
    VkResult got = state_.vk.vkGetPipelineExecutablePropertiesKHR(state_.device, &which, &count, &executable);
    if (got < 0)
      return vulkanStatus(got, doing);
    result.subgroupSize = executable.subgroupSize;
    VkPipelineExecutableInfoKHR first = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, nullptr, pipeline, 0};
    QWENRT_RETURN_IF_ERROR(readStatistics(first, result));
    return isa ? readIsa(first, *isa) : Status::ok();
  };
  result.compiled = read();
  state_.vk.vkDestroyPipeline(state_.device, pipeline, nullptr);
}

Status StatisticsDevice::readStatistics(const VkPipelineExecutableInfoKHR &executable, KernelStatistics &result) const {
  std::string doing = text("report statistics of kernel '", printable(result.name), "'");
  uint32_t count = 0;
  QWENRT_RETURN_IF_VK_ERROR(state_.vk.vkGetPipelineExecutableStatisticsKHR(state_.device, &executable, &count, nullptr),
                            doing);
  std::vector<VkPipelineExecutableStatisticKHR> statistics(count,
                                                           {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR});
  QWENRT_RETURN_IF_VK_ERROR(
      state_.vk.vkGetPipelineExecutableStatisticsKHR(state_.device, &executable, &count, statistics.data()), doing);
  for (const VkPipelineExecutableStatisticKHR &statistic : statistics)
    result.statistics.push_back({statistic.name, valueOf(statistic)});
  return Status::ok();
}

Status StatisticsDevice::readIsa(const VkPipelineExecutableInfoKHR &executable, std::string &isa) const {
  const char *doing = "show its final code";
  auto query = [&](uint32_t &count, VkPipelineExecutableInternalRepresentationKHR *data) {
    return state_.vk.vkGetPipelineExecutableInternalRepresentationsKHR(state_.device, &executable, &count, data);
  };
  uint32_t count = 0;
  QWENRT_RETURN_IF_VK_ERROR(query(count, nullptr), doing);
  std::vector<VkPipelineExecutableInternalRepresentationKHR> representations(
      count, {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR});
  QWENRT_RETURN_IF_VK_ERROR(query(count, representations.data()), doing); // the sizes
  std::vector<std::string> texts(count);
  for (uint32_t i = 0; i < count; ++i) {
    texts[i].resize(representations[i].dataSize);
    representations[i].pData = texts[i].data();
  }
  QWENRT_RETURN_IF_VK_ERROR(query(count, representations.data()), doing);
  for (uint32_t i = 0; i < count; ++i)
    if (representations[i].isText)
      isa = texts[i].substr(0, texts[i].find('\0'));
  return Status::ok();
}

} // namespace qwenc
