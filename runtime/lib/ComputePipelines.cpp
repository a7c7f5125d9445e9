//===- ComputePipelines.cpp --------------------------------------------------------------------------------------===//
#include "ComputePipelines.h"

#include "Parallel.h"
#include "Text.h"

#include <algorithm>
#include <chrono>
#include <thread>

using namespace qwenrt;
using detail::DeviceState;

Status qwenrt::createPipelineLayout(const DeviceState &device, uint32_t bytes, VkPipelineLayout &layout) {
  VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, bytes};
  VkPipelineLayoutCreateInfo info = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
  info.pushConstantRangeCount = 1;
  info.pPushConstantRanges = &range;
  return vulkanStatus(device.vk.vkCreatePipelineLayout(device.device, &info, nullptr, &layout),
                      "create a pipeline layout");
}

Status qwenrt::createPipeline(const DeviceState &device, VkPipelineCache cache, VkPipelineLayout layout,
                              const std::string &name, std::span<const uint32_t> spirv, uint32_t subgroupSize,
                              uint32_t workgroupX, VkPipeline &pipeline, VkPipelineCreateFlags flags) {
  std::string doing = text("compile kernel '", printable(name), "'");
  VkShaderModuleCreateInfo moduleInfo = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
  moduleInfo.codeSize = spirv.size_bytes();
  moduleInfo.pCode = spirv.data();
  VkShaderModule module = VK_NULL_HANDLE;
  QWENRT_RETURN_IF_VK_ERROR(device.vk.vkCreateShaderModule(device.device, &moduleInfo, nullptr, &module), doing);

  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo required = {
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, nullptr, subgroupSize};
  VkComputePipelineCreateInfo info = {VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
  info.flags = flags;
  info.stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO};
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = name.c_str();
  if (subgroupSize != 0) {
    // Where there is only one size nothing has to be required (and a stricter limit of subgroups would apply).
    if (device.info.subgroupSizeControl && device.info.minSubgroupSize != device.info.maxSubgroupSize)
      info.stage.pNext = &required;
    if (device.info.fullSubgroups && workgroupX % subgroupSize == 0)
      info.stage.flags |= VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  }
  info.layout = layout;
  VkResult result = device.vk.vkCreateComputePipelines(device.device, cache, 1, &info, nullptr, &pipeline);
  device.vk.vkDestroyShaderModule(device.device, module, nullptr);
  return vulkanStatus(result, doing);
}

Status qwenrt::createPipeline(const DeviceState &device, VkPipelineCache cache, VkPipelineLayout layout,
                              const fb::Kernel &kernel, VkPipeline &pipeline, VkPipelineCreateFlags flags) {
  std::span<const uint32_t> spirv(kernel.spirv()->data(), kernel.spirv()->size());
  return createPipeline(device, cache, layout, kernel.name()->str(), spirv, kernel.subgroup_size(),
                        kernel.workgroup()->x(), pipeline, flags);
}

Result<std::unique_ptr<ComputePipelines>> ComputePipelines::create(DeviceState &device,
                                                                   const std::string &cacheFolder) {
  std::unique_ptr<ComputePipelines> pipelines(new ComputePipelines(device));
  QWENRT_ASSIGN_OR_RETURN(pipelines->cache_, PipelineCache::open(device, cacheFolder));
  // The device's maximum, at most what 32 operands take: kernels of fewer operands are compatible with it.
  QWENRT_RETURN_IF_ERROR(
      createPipelineLayout(device, std::min(256u, device.info.maxPushConstantBytes), pipelines->layout_));
  return pipelines;
}

ComputePipelines::~ComputePipelines() {
  for (VkPipeline pipeline : pipelines_)
    device_.vk.vkDestroyPipeline(device_.device, pipeline, nullptr);
  device_.vk.vkDestroyPipelineLayout(device_.device, layout_, nullptr);
}

Status ComputePipelines::build(const fb::Plan &plan, const std::vector<uint32_t> &wanted,
                               const std::function<void(uint32_t, uint32_t)> &progress) {
  pipelines_.resize(plan.kernels()->size());
  std::vector<uint32_t> missing;
  for (uint32_t kernel : wanted)
    if (!pipelines_[kernel])
      missing.push_back(kernel);
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  if (missing.empty())
    return Status::ok();

  auto start = std::chrono::steady_clock::now();
  std::atomic<size_t> next = 0;
  std::atomic<uint32_t> done = 0;
  auto work = [&]() -> Status {
    for (size_t i = next++; i < missing.size(); i = next++) {
      QWENRT_RETURN_IF_ERROR(
          createPipeline(device_, cache_->handle(), layout_, *plan.kernels()->Get(missing[i]), pipelines_[missing[i]]));
      ++done;
    }
    return Status::ok();
  };
  unsigned threads = unsigned(std::min<size_t>(missing.size(), std::max(1u, std::thread::hardware_concurrency())));
  Status status = runParallel(
      threads, work,
      [&] {
        if (progress)
          progress(done, uint32_t(missing.size()));
      },
      [&] { next = missing.size(); });
  built_ += done;
  buildNs_ += uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count());
  if (status.isOk())
    cache_->save();
  return status;
}
