//===- Replay.cpp - Record and submit ----------------------------------------------------------------------------===//
#include "Replay.h"

#include "Text.h"

#include <algorithm>
#include <array>
#include <chrono>

using namespace qwenrt;
using detail::DeviceState;

namespace {

/// Makes the writes of \p from visible to the reads and writes of \p to.
void memoryBarrier(const VolkDeviceTable &vk, VkCommandBuffer commands, VkPipelineStageFlags2 from,
                   VkPipelineStageFlags2 to, VkAccessFlags2 toAccess) {
  VkMemoryBarrier2 barrier = {VK_STRUCTURE_TYPE_MEMORY_BARRIER_2};
  barrier.srcStageMask = from;
  barrier.srcAccessMask = VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT;
  barrier.dstStageMask = to;
  barrier.dstAccessMask = toAccess;
  VkDependencyInfo dependency = {VK_STRUCTURE_TYPE_DEPENDENCY_INFO};
  dependency.memoryBarrierCount = 1;
  dependency.pMemoryBarriers = &barrier;
  vk.vkCmdPipelineBarrier2(commands, &dependency);
}

constexpr VkPipelineStageFlags2 kCompute = VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT;
constexpr VkPipelineStageFlags2 kComputeAndTransfer = kCompute | VK_PIPELINE_STAGE_2_ALL_TRANSFER_BIT;
constexpr VkAccessFlags2 kShader = VK_ACCESS_2_SHADER_READ_BIT | VK_ACCESS_2_SHADER_WRITE_BIT;

} // namespace

Status Replay::buildPipelines(const std::vector<uint32_t> &entries,
                              const std::function<void(uint32_t, uint32_t)> &progress) {
  std::vector<uint32_t> kernels;
  for (uint32_t entry : entries)
    for (const fb::Dispatch *dispatch : *plan_.root().entries()->Get(entry)->dispatches())
      kernels.push_back(dispatch->kernel());
  return pipelines_->build(plan_.root(), kernels, progress);
}

uint64_t Replay::costNs(uint32_t entry) const {
  uint64_t total = 0;
  for (const fb::Dispatch *dispatch : *plan_.root().entries()->Get(entry)->dispatches())
    if (__builtin_add_overflow(total, dispatch->cost_ns(), &total))
      return UINT64_MAX;
  return total;
}

uint64_t Replay::readBytes(uint32_t entry, uint64_t positions) const {
  uint64_t total = 0;
  for (const fb::Dispatch *dispatch : *plan_.root().entries()->Get(entry)->dispatches())
    // A report: wrapping around would only look silly.
    total += dispatch->read_bytes() + positions * dispatch->read_bytes_per_position();
  return total;
}

//===----------------------------------------------------------------------===//
// Record
//===----------------------------------------------------------------------===//

Status Replay::beginSegment(VkCommandBuffer &commands) {
  VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  allocate.commandPool = pool_;
  allocate.commandBufferCount = 1;
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkAllocateCommandBuffers(device_.device, &allocate, &commands),
                            "allocate a command buffer");
  VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  begin.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkBeginCommandBuffer(commands, &begin), "record an entry");
  return Status::ok();
}

Status Replay::endSegment(VkCommandBuffer commands) {
  memoryBarrier(device_.vk, commands, kCompute, kComputeAndTransfer,
                VK_ACCESS_2_MEMORY_READ_BIT | VK_ACCESS_2_MEMORY_WRITE_BIT);
  return vulkanStatus(device_.vk.vkEndCommandBuffer(commands), "record an entry");
}

/// The last command buffer of every submission. Making memory visible to the host is dear on some devices, so it is not
/// part of each step.
Status Replay::recordHostBarrier() {
  QWENRT_RETURN_IF_ERROR(beginSegment(hostBarrier_));
  memoryBarrier(device_.vk, hostBarrier_, kComputeAndTransfer, VK_PIPELINE_STAGE_2_HOST_BIT, VK_ACCESS_2_HOST_READ_BIT);
  return vulkanStatus(device_.vk.vkEndCommandBuffer(hostBarrier_), "record an entry");
}

Status Replay::needRowGroups(uint32_t entry) {
  if (rowGroups_[entry])
    return Status::ok();
  MemoryKind kind = mapped() ? MemoryKind::DeviceMapped : MemoryKind::DeviceOnly;
  QWENRT_ASSIGN_OR_RETURN(rowGroups_[entry],
                          RowGroups::create(device_, *plan_.root().entries()->Get(entry), kind, *transfer_));
  return Status::ok();
}

Status Replay::setExtents(uint32_t entry, const ExtentOf &extentOf) {
  QWENRT_RETURN_IF_ERROR(needRowGroups(entry));
  return rowGroups_[entry]->set(*plan_.root().entries()->Get(entry), extentOf, *transfer_);
}

void Replay::recordDispatch(VkCommandBuffer commands, uint32_t entry, uint32_t ordinal, VkPipeline &bound) const {
  const fb::Dispatch &dispatch = *plan_.root().entries()->Get(entry)->dispatches()->Get(ordinal);
  if (dispatch.barrier_before())
    memoryBarrier(device_.vk, commands, kCompute, kCompute, kShader);
  VkPipeline pipeline = pipelines_->pipeline(dispatch.kernel());
  if (pipeline != bound)
    device_.vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
  bound = pipeline;
  std::array<VkDeviceAddress, 32> addresses;
  uint32_t count = dispatch.operands()->size();
  for (uint32_t i = 0; i < count; ++i) {
    const fb::Operand &operand = *dispatch.operands()->Get(i);
    addresses[i] = buffers_[operand.buffer()].address() + operand.offset();
  }
  if (count)
    device_.vk.vkCmdPushConstants(commands, pipelines_->layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0, count * 8,
                                  addresses.data());
  rowGroups_[entry]->record(device_.vk, commands, dispatch, ordinal);
}

Result<std::vector<Replay::Segment>> Replay::record(uint32_t entry, VkQueryPool queries) {
  const auto &dispatches = *plan_.root().entries()->Get(entry)->dispatches();
  QWENRT_RETURN_IF_ERROR(needRowGroups(entry));
  std::vector<Segment> segments;
  auto timestamp = [&](VkCommandBuffer commands, uint32_t index) {
    if (queries)
      device_.vk.vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries, index);
  };
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkPipeline bound = VK_NULL_HANDLE;
  uint64_t cost = 0;
  for (uint32_t i = 0; i < dispatches.size() || i == 0; ++i) {
    uint64_t dispatchCost = i < dispatches.size() ? dispatches.Get(i)->cost_ns() : 0;
    bool full = commands && cost > 0 && (cost >= kLongestSubmitNs || dispatchCost > kLongestSubmitNs - cost);
    if (full) {
      QWENRT_RETURN_IF_ERROR(endSegment(commands));
      segments.push_back({commands, cost});
      commands = VK_NULL_HANDLE;
    }
    if (!commands) {
      QWENRT_RETURN_IF_ERROR(beginSegment(commands));
      bound = VK_NULL_HANDLE;
      cost = 0;
    }
    if (i == 0 && queries)
      device_.vk.vkCmdResetQueryPool(commands, queries, 0, dispatches.size() + 1);
    if (i == 0)
      timestamp(commands, 0);
    if (i == dispatches.size())
      break; // an entry without dispatches
    recordDispatch(commands, entry, i, bound);
    timestamp(commands, i + 1);
    cost = dispatchCost > UINT64_MAX - cost ? UINT64_MAX : cost + dispatchCost;
  }
  QWENRT_RETURN_IF_ERROR(endSegment(commands));
  segments.push_back({commands, cost});
  return segments;
}

//===----------------------------------------------------------------------===//
// Submit and wait
//===----------------------------------------------------------------------===//

Status Replay::needRecorded(uint32_t entry) {
  if (!recorded_[entry].empty())
    return Status::ok();
  QWENRT_RETURN_IF_ERROR(buildPipelines({entry}, {}));
  QWENRT_ASSIGN_OR_RETURN(recorded_[entry], record(entry, VK_NULL_HANDLE));
  return Status::ok();
}

Status Replay::submit(uint32_t entry, uint32_t times, uint64_t &value) {
  QWENRT_RETURN_IF_ERROR(needRecorded(entry));
  return stamps_ ? submit(std::vector<uint32_t>(times, entry), value) : submitSegments(recorded_[entry], times, value);
}

Status Replay::submit(std::span<const uint32_t> entries, uint64_t &value) {
  std::vector<Segment> segments;
  auto stamp = [&]() -> Status {
    if (!stamps_)
      return Status::ok();
    QWENRT_ASSIGN_OR_RETURN(VkCommandBuffer commands, stamps_->stamp());
    segments.push_back({commands, 0});
    return Status::ok();
  };
  QWENRT_RETURN_IF_ERROR(stamp());
  for (uint32_t entry : entries) {
    QWENRT_RETURN_IF_ERROR(needRecorded(entry));
    segments.insert(segments.end(), recorded_[entry].begin(), recorded_[entry].end());
    QWENRT_RETURN_IF_ERROR(stamp());
  }
  QWENRT_RETURN_IF_ERROR(submitSegments(segments, 1, value));
  if (stamps_)
    stamps_->submitted(entries, value);
  return Status::ok();
}

Status Replay::submitSegments(std::span<const Segment> segments, uint32_t times, uint64_t &value) {
  std::vector<VkCommandBufferSubmitInfo> commands;
  std::vector<size_t> ends; // of each submission, in commands
  uint64_t cost = 0;
  for (uint32_t i = 0; i < times; ++i)
    for (const Segment &segment : segments) {
      if (!commands.empty() && segment.costNs > kLongestSubmitNs - std::min(cost, kLongestSubmitNs)) {
        ends.push_back(commands.size());
        cost = 0;
      }
      commands.push_back({VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr, segment.commands, 0});
      cost += std::min(segment.costNs, kLongestSubmitNs);
    }
  commands.push_back({VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr, hostBarrier_, 0});
  ends.push_back(commands.size());

  VkSemaphoreSubmitInfo signal = {VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO};
  signal.semaphore = timeline_;
  signal.value = lastValue_ + 1;
  signal.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  std::vector<VkSubmitInfo2> submits;
  size_t begin = 0;
  for (size_t end : ends) {
    VkSubmitInfo2 submit = {VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
    submit.commandBufferInfoCount = uint32_t(end - begin);
    submit.pCommandBufferInfos = commands.data() + begin;
    submits.push_back(submit);
    begin = end;
  }
  submits.back().signalSemaphoreInfoCount = 1;
  submits.back().pSignalSemaphoreInfos = &signal;
  QWENRT_RETURN_IF_ERROR(device_.submit(submits, VK_NULL_HANDLE, "run an entry"));
  value = ++lastValue_;
  return Status::ok();
}

Result<bool> Replay::wait(uint64_t value, uint64_t timeoutNs) {
  VkSemaphoreWaitInfo info = {VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
  info.semaphoreCount = 1;
  info.pSemaphores = &timeline_;
  info.pValues = &value;
  VkResult result = device_.vk.vkWaitSemaphores(device_.device, &info, timeoutNs);
  if (result == VK_TIMEOUT)
    return false;
  QWENRT_RETURN_IF_VK_ERROR(result, "finish an entry");
  if (stamps_ && trace_)
    QWENRT_RETURN_IF_ERROR(
        stamps_->collect(value, [this](uint32_t entry, uint64_t begin, uint64_t end) { addRun(entry, begin, end); }));
  return true;
}

Status Replay::waitAll() {
  Result<bool> done = wait(lastValue_, UINT64_MAX);
  return done.status();
}

//===----------------------------------------------------------------------===//
// Trace
//===----------------------------------------------------------------------===//

uint64_t Replay::clockNs() {
  return uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

uint64_t Replay::ticksNs(uint64_t begin, uint64_t end) const {
  const uint64_t mask = device_.timestampBits >= 64 ? UINT64_MAX : (uint64_t(1) << device_.timestampBits) - 1;
  return uint64_t(double((end - begin) & mask) * double(device_.properties.limits.timestampPeriod));
}

Status Replay::startTrace(TraceDetail detail, std::vector<TraceEvent> &events) {
  if (device_.timestampBits == 0)
    return {StatusCode::Unsupported, text("device '", printable(device_.info.name),
                                          "' has no timestamps, expected them for --profile, choose another device")};
  QWENRT_ASSIGN_OR_RETURN(stamps_, Timeline::create(device_));
  uint64_t value = 0;
  QWENRT_RETURN_IF_ERROR(submit(std::span<const uint32_t>(), value));
  QWENRT_RETURN_IF_ERROR(wait(value, UINT64_MAX).status());
  QWENRT_ASSIGN_OR_RETURN(traceOriginTicks_, stamps_->read(0));
  traceOriginNs_ = clockNs();
  if (detail == TraceDetail::Dispatches)
    stamps_.reset();
  trace_ = &events;
  return Status::ok();
}

/// A run that ended at \p ended ticks has been waited for: the host's clock cannot be behind it.
void Replay::alignClocks(uint64_t ended) {
  traceOriginNs_ = std::min(traceOriginNs_, clockNs() - ticksNs(traceOriginTicks_, ended));
}

void Replay::addRun(uint32_t entry, uint64_t begin, uint64_t end) {
  alignClocks(end);
  const std::string name = plan_.root().entries()->Get(entry)->name()->str();
  trace_->push_back({name, name, "", ticksNs(traceOriginTicks_, begin), ticksNs(begin, end), readBytes(entry, 0), {}});
}

Status Replay::runTraced(uint32_t entry) {
  QWENRT_RETURN_IF_ERROR(buildPipelines({entry}, {}));
  VkQueryPoolCreateInfo info = {VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = plan_.root().entries()->Get(entry)->dispatches()->size() + 1;
  VkQueryPool queries = VK_NULL_HANDLE;
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkCreateQueryPool(device_.device, &info, nullptr, &queries),
                            "create timestamps");

  Status status;
  Result<std::vector<Segment>> segments = record(entry, queries);
  if (segments.isOk()) {
    uint64_t value = 0;
    status = submitSegments(*segments, 1, value);
    if (status.isOk())
      status = wait(value, UINT64_MAX).status();
    if (status.isOk())
      status = collectTrace(entry, queries);
    for (const Segment &segment : *segments)
      device_.vk.vkFreeCommandBuffers(device_.device, pool_, 1, &segment.commands);
  } else {
    status = segments.status();
  }
  device_.vk.vkDestroyQueryPool(device_.device, queries, nullptr);
  return status;
}

Status Replay::collectTrace(uint32_t entry, VkQueryPool queries) {
  const fb::Entry &source = *plan_.root().entries()->Get(entry);
  uint32_t count = source.dispatches()->size();
  std::vector<uint64_t> ticks(count + 1);
  QWENRT_RETURN_IF_VK_ERROR(device_.vk.vkGetQueryPoolResults(device_.device, queries, 0, count + 1, ticks.size() * 8,
                                                             ticks.data(), 8,
                                                             VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
                            "read timestamps");
  alignClocks(ticks[count]);
  for (uint32_t i = 0; i < count; ++i) {
    const fb::Dispatch &dispatch = *source.dispatches()->Get(i);
    TraceEvent event;
    event.entry = source.name()->str();
    event.kernel = plan_.root().kernels()->Get(dispatch.kernel())->name()->str();
    event.label = dispatch.label() ? dispatch.label()->str() : "";
    event.startNs = ticksNs(traceOriginTicks_, ticks[i]);
    event.durationNs = ticksNs(ticks[i], ticks[i + 1]);
    event.readBytes = dispatch.read_bytes();
    const VkDispatchIndirectCommand &groups = (*rowGroups_[entry])[i];
    event.groups[0] = groups.x;
    event.groups[1] = groups.y;
    event.groups[2] = groups.z;
    trace_->push_back(std::move(event));
  }
  return Status::ok();
}
