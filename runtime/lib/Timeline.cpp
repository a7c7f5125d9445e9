//===- Timeline.cpp ----------------------------------------------------------------------------------------------===//
#include "Timeline.h"

using namespace qwenrt;
using detail::DeviceState;

namespace {

constexpr uint32_t kPoolStamps = 256;

} // namespace

Result<std::unique_ptr<Timeline>> Timeline::create(DeviceState &device) {
  std::unique_ptr<Timeline> timeline(new Timeline(device));
  VkCommandPoolCreateInfo pool = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT | VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
  pool.queueFamilyIndex = device.queueFamily;
  QWENRT_RETURN_IF_VK_ERROR(device.vk.vkCreateCommandPool(device.device, &pool, nullptr, &timeline->pool_),
                            "create a command pool");
  return timeline;
}

Timeline::~Timeline() {
  for (VkQueryPool queries : queries_)
    device_.vk.vkDestroyQueryPool(device_.device, queries, nullptr);
  device_.vk.vkDestroyCommandPool(device_.device, pool_, nullptr);
}

Result<VkCommandBuffer> Timeline::stamp() {
  const uint32_t query = stamps_ % kPoolStamps;
  if (stamps_ / kPoolStamps == queries_.size()) {
    VkQueryPoolCreateInfo info = {VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = kPoolStamps;
    VkQueryPool queries = VK_NULL_HANDLE;
    QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkCreateQueryPool(device_.device, &info, nullptr, &queries),
                              "create timestamps");
    queries_.push_back(queries);
  }
  VkCommandBuffer commands = VK_NULL_HANDLE;
  if (!free_.empty()) {
    commands = free_.back();
    free_.pop_back();
  } else {
    VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = pool_;
    allocate.commandBufferCount = 1;
    QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkAllocateCommandBuffers(device_.device, &allocate, &commands),
                              "allocate a command buffer");
  }
  used_.push_back({commands, stamps_++});
  VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkBeginCommandBuffer(commands, &begin), "record a timestamp");
  if (query == 0)
    device_.vk.vkCmdResetQueryPool(commands, queries_.back(), 0, kPoolStamps);
  device_.vk.vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries_.back(), query);
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkEndCommandBuffer(commands), "record a timestamp");
  return commands;
}

void Timeline::submitted(std::span<const uint32_t> runs, uint64_t value) {
  waiting_.push_back({{runs.begin(), runs.end()}, stamps_ - runs.size() - 1, value});
}

Status Timeline::collect(uint64_t value, const std::function<void(uint32_t, uint64_t, uint64_t)> &heard) {
  for (; !waiting_.empty() && waiting_.front().value <= value; waiting_.pop_front()) {
    const Submission &done = waiting_.front();
    QWENRT_ASSIGN_OR_RETURN(uint64_t begin, read(done.firstStamp));
    for (size_t i = 0; i < done.runs.size(); ++i) {
      QWENRT_ASSIGN_OR_RETURN(const uint64_t end, read(done.firstStamp + i + 1));
      heard(done.runs[i], begin, end);
      begin = end;
    }
    for (; !used_.empty() && used_.front().stamp <= done.firstStamp + done.runs.size(); used_.pop_front())
      free_.push_back(used_.front().commands);
  }
  return Status::ok();
}

Result<uint64_t> Timeline::read(uint64_t stamp) const {
  uint64_t ticks = 0;
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkGetQueryPoolResults(
                                device_.device, queries_[stamp / kPoolStamps], stamp % kPoolStamps, 1, sizeof(ticks),
                                &ticks, sizeof(ticks), VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
                            "read timestamps");
  return ticks;
}
