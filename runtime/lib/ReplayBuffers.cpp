//===- ReplayBuffers.cpp - Budget and buffers of a plan ----------------------------------------------------------===//
#include "Budget.h"
#include "Replay.h"
#include "Text.h"

using namespace qwenrt;

Result<std::unique_ptr<Replay>> Replay::create(detail::DeviceState &device, const Plan &plan,
                                               const SessionOptions &options) {
  QWENRT_RETURN_IF_ERROR(checkPlan(plan.root(), device.info));
  std::unique_ptr<Replay> replay(new Replay(device, plan));
  replay->recorded_.resize(plan.root().entries()->size());
  replay->rowGroups_.resize(plan.root().entries()->size());
  QWENRT_RETURN_IF_ERROR(replay->chooseMemory(options.upload));
  QWENRT_RETURN_IF_ERROR(replay->createObjects(options));
  QWENRT_RETURN_IF_ERROR(replay->createBuffers());
  return replay;
}

Status Replay::createObjects(const SessionOptions &options) {
  VkCommandPoolCreateInfo pool = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.queueFamilyIndex = device_.queueFamily;
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkCreateCommandPool(device_.device, &pool, nullptr, &pool_),
                            "create a command pool");
  QWENRT_RETURN_IF_ERROR(recordHostBarrier());
  VkSemaphoreTypeCreateInfo type = {VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo semaphore = {VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type};
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkCreateSemaphore(device_.device, &semaphore, nullptr, &timeline_),
                            "create a semaphore");
  QWENRT_ASSIGN_OR_RETURN(transfer_, Transfer::create(device_));
  std::string folder =
      options.pipelineCache ? (options.cacheFolder.empty() ? defaultCacheFolder() : options.cacheFolder) : "";
  QWENRT_ASSIGN_OR_RETURN(pipelines_, ComputePipelines::create(device_, folder));
  return Status::ok();
}

Replay::~Replay() {
  trace_ = nullptr; // who owns it may be gone
  if (timeline_ && lastValue_)
    (void)wait(lastValue_, UINT64_MAX).isOk(); // nothing may be destroyed while it runs
  device_.vk.vkDestroySemaphore(device_.device, timeline_, nullptr);
  device_.vk.vkDestroyCommandPool(device_.device, pool_, nullptr);
}

/// All buffers lie in one heap, or the plan would not be one budget: the plan's buffers are what fills it.
Status Replay::chooseMemory(UploadPath wish) {
  needs_ = deviceBytes(plan_.root());
  QWENRT_ASSIGN_OR_RETURN(upload_, chooseUpload(device_, wish, needs_));
  std::optional<uint32_t> type = findMemoryType(device_, mapped() ? MemoryKind::DeviceMapped : MemoryKind::DeviceOnly);
  if (!type)
    return {StatusCode::Unsupported, "device has no device-local memory type, expected one, choose another device"};
  available_ = device_.heapBudget(device_.memory.memoryTypes[*type].heapIndex);
  return checkBudget(plan_.root(), available_, text("that '", printable(device_.info.name), "' has free"));
}

Status Replay::createBuffers() {
  for (const fb::Buffer *buffer : *plan_.root().buffers()) {
    MemoryKind kind = buffer->purpose() == fb::BufferPurpose::Mailbox ? MemoryKind::HostCached
                      : mapped()                                      ? MemoryKind::DeviceMapped
                                                                      : MemoryKind::DeviceOnly;
    QWENRT_ASSIGN_OR_RETURN(DeviceBuffer made,
                            DeviceBuffer::create(device_, buffer->name()->str(), buffer->size_bytes(), kind));
    buffers_.push_back(std::move(made));
    // Weights are zeroed where no file covers them; everything else starts from zero, so that runs repeat bit for bit.
    if (buffer->purpose() != fb::BufferPurpose::Weights)
      QWENRT_RETURN_IF_ERROR(transfer_->zero(buffers_.back()));
  }
  return Status::ok();
}
