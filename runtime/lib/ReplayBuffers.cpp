//===- ReplayBuffers.cpp - Budget and buffers of a plan ----------------------------------------------------------===//
#include "Replay.h"
#include "Text.h"

using namespace qwenrt;

Result<std::unique_ptr<Replay>> Replay::create(detail::DeviceState &device, const Plan &plan,
                                               const SessionOptions &options) {
  QWENRT_RETURN_IF_ERROR(checkPlan(plan.root(), device.info));
  std::unique_ptr<Replay> replay(new Replay(device, plan));
  replay->recorded_.resize(plan.root().entries()->size());
  QWENRT_ASSIGN_OR_RETURN(replay->mapped_, replay->chooseMapping(options.upload));
  QWENRT_RETURN_IF_ERROR(replay->checkBudget(replay->mapped_));
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
  if (timeline_ && lastValue_)
    (void)wait(lastValue_, UINT64_MAX).isOk(); // nothing may be destroyed while it runs
  device_.vk.vkDestroySemaphore(device_.device, timeline_, nullptr);
  device_.vk.vkDestroyCommandPool(device_.device, pool_, nullptr);
}

/// Whether device memory is mapped. All of it is, or none: the plan's buffers are what fills the heap.
Result<bool> Replay::chooseMapping(UploadPath upload) const {
  if (upload == UploadPath::Staging)
    return false;
  std::optional<uint32_t> type = findMemoryType(device_, MemoryKind::DeviceMapped);
  if (upload == UploadPath::Direct && !type)
    return Status(StatusCode::Unsupported,
                  "device memory cannot be mapped, expected it for direct upload, use staging or auto");
  if (!type || upload == UploadPath::Direct)
    return type.has_value();
  // A small window (256 MB of BAR) is a heap of its own: too small for a model.
  std::optional<uint32_t> local = findMemoryType(device_, MemoryKind::DeviceOnly);
  uint32_t mappedHeap = device_.memory.memoryTypes[*type].heapIndex;
  return local && device_.memory.memoryTypes[*local].heapIndex == mappedHeap;
}

Status Replay::checkBudget(bool mapped) const {
  std::optional<uint32_t> type = findMemoryType(device_, mapped ? MemoryKind::DeviceMapped : MemoryKind::DeviceOnly);
  if (!type)
    return {StatusCode::Unsupported, "device has no device-local memory type, expected one, choose another device"};
  uint64_t total = 0;
  std::string parts;
  for (unsigned i = 0; i <= unsigned(fb::BufferPurpose::MAX); ++i) {
    auto purpose = fb::BufferPurpose(i);
    uint64_t bytes = plan_.purposeBytes(purpose);
    if (bytes == 0 || purpose == fb::BufferPurpose::Mailbox)
      continue;
    total += bytes;
    parts += text(parts.empty() ? "" : ", ", fb::EnumNameBufferPurpose(purpose), " ", formatBytes(bytes));
  }
  uint64_t budget = device_.heapBudget(device_.memory.memoryTypes[*type].heapIndex);
  if (total <= budget)
    return Status::ok();
  return {StatusCode::OutOfMemory,
          text("plan needs ", formatBytes(total), " of device memory (", parts, "), expected at most the ",
               formatBytes(budget), " that '", printable(device_.info.name),
               "' has free, compile with a smaller --max-context or choose another device")};
}

Status Replay::createBuffers() {
  for (const fb::Buffer *buffer : *plan_.root().buffers()) {
    MemoryKind kind = buffer->purpose() == fb::BufferPurpose::Mailbox ? MemoryKind::HostCached
                      : mapped_                                       ? MemoryKind::DeviceMapped
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
