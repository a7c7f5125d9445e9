//===- Transfer.cpp ----------------------------------------------------------------------------------------------===//
#include "Transfer.h"

#include "Text.h"

#include <algorithm>
#include <cstring>

using namespace qwenrt;

namespace {

/// One is filled while the device copies the other.
constexpr uint64_t kPortionBytes = 2 << 20;
/// Up to here reading uncached device memory costs less than a copy and a wait.
constexpr uint64_t kSmallReadBytes = 1024;
/// What vkCmdUpdateBuffer takes.
constexpr uint64_t kQueuedWriteBytes = 65536;
/// Up to here writing mapped device memory costs less; beyond, its uncached stores do not keep up with a copy.
constexpr uint64_t kSmallWriteBytes = 256 << 10;
constexpr const char *kWriting = "copy data to the device", *kReading = "copy results from the device";

} // namespace

void qwenrt::recordFullBarrier(const VolkDeviceTable &vk, VkCommandBuffer commands) {
  VkMemoryBarrier2 barrier = {VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
  barrier.srcStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  barrier.srcAccessMask = VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT;
  barrier.dstStageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_2_HOST_BIT;
  barrier.dstAccessMask = VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT;
  VkDependencyInfo dependency = {VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
  dependency.memoryBarrierCount = 1;
  dependency.pMemoryBarriers = &barrier;
  vk.vkCmdPipelineBarrier2(commands, &dependency);
}

Result<std::unique_ptr<Transfer>> Transfer::create(detail::DeviceState &device) {
  std::unique_ptr<Transfer> transfer(new Transfer(device));
  VkCommandPoolCreateInfo pool = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
  pool.queueFamilyIndex = device.queueFamily;
  QWENRT_RETURN_IF_VK_ERROR(device.vk.vkCreateCommandPool(device.device, &pool, nullptr, &transfer->pool_),
                            "create a command pool");
  VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  allocate.commandPool = transfer->pool_;
  allocate.commandBufferCount = 1;
  QWENRT_RETURN_IF_VK_ERROR(device.vk.vkAllocateCommandBuffers(device.device, &allocate, &transfer->commands_),
                            "allocate a command buffer");
  VkFenceCreateInfo fence = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  QWENRT_RETURN_IF_VK_ERROR(device.vk.vkCreateFence(device.device, &fence, nullptr, &transfer->fence_),
                            "create a fence");
  for (Queued &queued : transfer->queued_)
    QWENRT_RETURN_IF_ERROR(transfer->createQueued(queued));
  for (Queued &queued : transfer->stagingPortions_)
    QWENRT_RETURN_IF_ERROR(transfer->createQueued(queued));
  return transfer;
}

Status Transfer::createQueued(Queued &queued) {
  VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  allocate.commandPool = pool_;
  allocate.commandBufferCount = 1;
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkAllocateCommandBuffers(device_.device, &allocate, &queued.commands),
                            "allocate a command buffer");
  VkFenceCreateInfo fence = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
  return vulkanStatus(device_.vk.vkCreateFence(device_.device, &fence, nullptr, &queued.fence), "create a fence");
}

Transfer::~Transfer() {
  auto destroy = [this](const Queued &queued) {
    if (queued.pending)
      device_.vk.vkWaitForFences(device_.device, 1, &queued.fence, VK_TRUE, UINT64_MAX);
    device_.vk.vkDestroyFence(device_.device, queued.fence, nullptr);
  };
  std::for_each(queued_.begin(), queued_.end(), destroy);
  std::for_each(stagingPortions_.begin(), stagingPortions_.end(), destroy);
  device_.vk.vkDestroyFence(device_.device, fence_, nullptr);
  device_.vk.vkDestroyCommandPool(device_.device, pool_, nullptr);
}

Status Transfer::needStaging() {
  if (staging_)
    return Status::ok();
  QWENRT_ASSIGN_OR_RETURN(staging_, DeviceBuffer::create(device_, "staging", stagingPortions_.size() * kPortionBytes,
                                                         MemoryKind::HostCached));
  return Status::ok();
}

template <typename Record> Status Transfer::run(Record record, const char *doing) {
  QWENRT_RETURN_IF_ERROR(submit(commands_, fence_, record, doing));
  return await(fence_, doing);
}

template <typename Record>
Status Transfer::submit(VkCommandBuffer commands, VkFence fence, Record record, const char *doing) {
  const VolkDeviceTable &vk = device_.vk;
  VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  QWENRT_RETURN_IF_VK_ERROR(vk.vkBeginCommandBuffer(commands, &begin), doing);
  recordFullBarrier(vk, commands);
  record(commands);
  recordFullBarrier(vk, commands);
  QWENRT_RETURN_IF_VK_ERROR(vk.vkEndCommandBuffer(commands), doing);
  VkCommandBufferSubmitInfo buffer = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr, commands};
  VkSubmitInfo2 info = {VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
  info.commandBufferInfoCount = 1;
  info.pCommandBufferInfos = &buffer;
  return device_.submit({&info, 1}, fence, doing);
}

Status Transfer::await(VkFence fence, const char *doing) {
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkWaitForFences(device_.device, 1, &fence, VK_TRUE, UINT64_MAX), doing);
  return vulkanStatus(device_.vk.vkResetFences(device_.device, 1, &fence), doing);
}

Status Transfer::finish(Queued &queued, const char *doing) {
  if (queued.pending)
    QWENRT_RETURN_IF_ERROR(await(queued.fence, doing));
  queued.pending = false;
  return Status::ok();
}

template <typename Record> Status Transfer::enqueue(Queued &queued, Record record) {
  QWENRT_RETURN_IF_ERROR(submit(queued.commands, queued.fence, record, kWriting));
  queued.pending = true;
  return Status::ok();
}

Status Transfer::write(const DeviceBuffer &buffer, uint64_t offset, std::span<const std::byte> data) {
  if (data.empty())
    return Status::ok();
  if (buffer.mapped() && (buffer.hostCached() || data.size() <= kSmallWriteBytes)) {
    std::memcpy(buffer.mapped() + offset, data.data(), data.size());
    return Status::ok();
  }
  if (data.size() <= kQueuedWriteBytes && data.size() % 4 == 0 && offset % 4 == 0) {
    Queued &queued = queued_[nextQueued_++ % queued_.size()];
    QWENRT_RETURN_IF_ERROR(finish(queued, kWriting));
    return enqueue(queued, [&](VkCommandBuffer commands) {
      device_.vk.vkCmdUpdateBuffer(commands, buffer.handle(), offset, data.size(), data.data());
    });
  }
  return writeStaged(buffer, offset, data.size(), 1, [data](uint64_t at, std::span<std::byte> target) {
    std::memcpy(target.data(), data.data() + at, target.size());
  });
}

Status Transfer::write(const DeviceBuffer &buffer, uint64_t offset, uint64_t rowBytes, uint64_t rows,
                       const std::function<void(uint64_t, std::span<std::byte>)> &fill) {
  if (buffer.mapped() && buffer.hostCached()) {
    fill(0, {buffer.mapped() + offset, rowBytes * rows});
    return Status::ok();
  }
  if (rowBytes <= kPortionBytes)
    return writeStaged(buffer, offset, rowBytes * rows, rowBytes,
                       [&](uint64_t at, std::span<std::byte> target) { fill(at / rowBytes, target); });
  std::vector<std::byte> row(rowBytes);
  for (uint64_t first = 0; first < rows; ++first) {
    fill(first, row);
    QWENRT_RETURN_IF_ERROR(write(buffer, offset + first * rowBytes, row));
  }
  return Status::ok();
}

template <typename Fill>
Status Transfer::writeStaged(const DeviceBuffer &buffer, uint64_t offset, uint64_t sizeBytes, uint64_t unitBytes,
                             Fill fill) {
  QWENRT_RETURN_IF_ERROR(needStaging());
  const uint64_t most = kPortionBytes / unitBytes * unitBytes;
  for (uint64_t at = 0, count; at < sizeBytes; at += count) {
    count = std::min(sizeBytes - at, most);
    const size_t portion = nextPortion_++ % stagingPortions_.size();
    QWENRT_RETURN_IF_ERROR(finish(stagingPortions_[portion], kWriting));
    const uint64_t from = portion * kPortionBytes;
    fill(at, std::span(staging_->mapped() + from, count));
    QWENRT_RETURN_IF_ERROR(enqueue(stagingPortions_[portion], [&](VkCommandBuffer commands) {
      VkBufferCopy region = {from, offset + at, count};
      device_.vk.vkCmdCopyBuffer(commands, staging_->handle(), buffer.handle(), 1, &region);
    }));
  }
  return Status::ok();
}

Status Transfer::read(const DeviceBuffer &buffer, uint64_t offset, std::span<std::byte> data) {
  if (data.empty())
    return Status::ok();
  if (buffer.mapped() && (buffer.hostCached() || data.size() <= kSmallReadBytes)) {
    std::memcpy(data.data(), buffer.mapped() + offset, data.size());
    return Status::ok();
  }
  QWENRT_RETURN_IF_ERROR(needStaging());
  for (Queued &portion : stagingPortions_) // what they hold is on its way
    QWENRT_RETURN_IF_ERROR(finish(portion, kReading));
  while (!data.empty()) {
    size_t count = std::min<size_t>(data.size(), staging_->sizeBytes());
    auto record = [&](VkCommandBuffer commands) {
      VkBufferCopy region = {offset, 0, count};
      device_.vk.vkCmdCopyBuffer(commands, buffer.handle(), staging_->handle(), 1, &region);
    };
    QWENRT_RETURN_IF_ERROR(run(record, kReading));
    std::memcpy(data.data(), staging_->mapped(), count);
    data = data.subspan(count);
    offset += count;
  }
  return Status::ok();
}

Status Transfer::zero(const DeviceBuffer &buffer) {
  auto record = [&](VkCommandBuffer commands) {
    device_.vk.vkCmdFillBuffer(commands, buffer.handle(), 0, VK_WHOLE_SIZE, 0);
  };
  return run(record, "zero a buffer");
}

Status Transfer::zero(std::span<const BufferRange> ranges) {
  bool unmapped = false;
  for (const BufferRange &range : ranges) {
    unmapped |= !range.buffer->mapped();
    if (range.buffer->mapped())
      std::memset(range.buffer->mapped() + range.offset, 0, range.sizeBytes);
  }
  if (!unmapped)
    return Status::ok();
  auto record = [&](VkCommandBuffer commands) {
    for (const BufferRange &range : ranges)
      if (!range.buffer->mapped())
        device_.vk.vkCmdFillBuffer(commands, range.buffer->handle(), range.offset, range.sizeBytes, 0);
  };
  return run(record, "zero gaps between weights");
}

Status Transfer::copy(std::span<const BufferCopy> copies) {
  auto record = [&](VkCommandBuffer commands) {
    for (const BufferCopy &copy : copies) {
      VkBufferCopy region = {copy.fromOffset, copy.toOffset, copy.sizeBytes};
      if (copy.from)
        device_.vk.vkCmdCopyBuffer(commands, copy.from->handle(), copy.to->handle(), 1, &region);
      else
        device_.vk.vkCmdFillBuffer(commands, copy.to->handle(), copy.toOffset, copy.sizeBytes, 0);
    }
  };
  return run(record, "copy results on the device");
}

Status Transfer::barrier() {
  return run([](VkCommandBuffer) {}, "wait for copies");
}
