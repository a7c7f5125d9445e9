//===- ReadBandwidth.cpp - What a plain reading kernel reaches ---------------------------------------------------===//
#include "Replay.h"
#include "Text.h"

#include <algorithm>

using namespace qwenrt;
using detail::DeviceState;

namespace {

constexpr uint32_t kReadKernel[] = {
#include "read_u32x4_stride.inc"
};
constexpr uint32_t kWorkgroup = 256;
constexpr uint32_t kMostWorkgroups = 8192;
constexpr uint64_t kMostBytes = uint64_t(1) << 30;
constexpr int kLeastRuns = 3, kMostRuns = 12;
constexpr uint64_t kLongestNs = 300'000'000;

struct PushConstants {
  VkDeviceAddress source, target;
  uint32_t stride, rounds;
};

/// The objects of one measurement.
class ReadBenchmark {
public:
  explicit ReadBenchmark(DeviceState &device) : device(device) {}
  ~ReadBenchmark() {
    device.vk.vkDestroyFence(device.device, fence, nullptr);
    device.vk.vkDestroyQueryPool(device.device, queries, nullptr);
    device.vk.vkDestroyCommandPool(device.device, pool, nullptr);
    device.vk.vkDestroyPipeline(device.device, pipeline, nullptr);
    device.vk.vkDestroyPipelineLayout(device.device, layout, nullptr);
  }

  Status create() {
    const VolkDeviceTable &vk = device.vk;
    QWENRT_RETURN_IF_ERROR(createPipelineLayout(device, sizeof(PushConstants), layout));
    QWENRT_RETURN_IF_ERROR(
        createPipeline(device, VK_NULL_HANDLE, layout, "read_u32x4_stride", kReadKernel, 0, kWorkgroup, pipeline));
    VkCommandPoolCreateInfo poolInfo = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    poolInfo.queueFamilyIndex = device.queueFamily;
    QWENRT_RETURN_IF_VK_ERROR(vk.vkCreateCommandPool(device.device, &poolInfo, nullptr, &pool),
                              "create a command pool");
    VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = pool;
    allocate.commandBufferCount = 1;
    QWENRT_RETURN_IF_VK_ERROR(vk.vkAllocateCommandBuffers(device.device, &allocate, &commands),
                              "allocate a command buffer");
    VkQueryPoolCreateInfo queryInfo = {VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO};
    queryInfo.queryType = VK_QUERY_TYPE_TIMESTAMP;
    queryInfo.queryCount = 2;
    QWENRT_RETURN_IF_VK_ERROR(vk.vkCreateQueryPool(device.device, &queryInfo, nullptr, &queries), "create timestamps");
    VkFenceCreateInfo fenceInfo = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    QWENRT_RETURN_IF_VK_ERROR(vk.vkCreateFence(device.device, &fenceInfo, nullptr, &fence), "create a fence");
    QWENRT_ASSIGN_OR_RETURN(result, DeviceBuffer::create(device, "bandwidth result", 16, MemoryKind::HostCached));
    return Status::ok();
  }

  Status record(const PushConstants &push, uint32_t workgroups) {
    const VolkDeviceTable &vk = device.vk;
    VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    QWENRT_RETURN_IF_VK_ERROR(vk.vkBeginCommandBuffer(commands, &begin), "record the reading kernel");
    vk.vkCmdResetQueryPool(commands, queries, 0, 2);
    vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    vk.vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
    vk.vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries, 0);
    vk.vkCmdDispatch(commands, workgroups, 1, 1);
    vk.vkCmdWriteTimestamp2(commands, VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, queries, 1);
    return vulkanStatus(vk.vkEndCommandBuffer(commands), "record the reading kernel");
  }

  Result<double> runNs() {
    const VolkDeviceTable &vk = device.vk;
    VkCommandBufferSubmitInfo buffer = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr, commands};
    VkSubmitInfo2 submit = {VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
    submit.commandBufferInfoCount = 1;
    submit.pCommandBufferInfos = &buffer;
    QWENRT_RETURN_IF_ERROR(device.submit({&submit, 1}, fence, "run the reading kernel"));
    QWENRT_RETURN_IF_VK_ERROR(vk.vkWaitForFences(device.device, 1, &fence, VK_TRUE, UINT64_MAX),
                              "run the reading kernel");
    QWENRT_RETURN_IF_VK_ERROR(vk.vkResetFences(device.device, 1, &fence), "run the reading kernel");
    uint64_t ticks[2] = {};
    QWENRT_RETURN_IF_VK_ERROR(vk.vkGetQueryPoolResults(device.device, queries, 0, 2, sizeof(ticks), ticks, 8,
                                                       VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
                              "read timestamps");
    uint64_t mask = device.timestampBits >= 64 ? UINT64_MAX : (uint64_t(1) << device.timestampBits) - 1;
    return std::max(1.0, double((ticks[1] - ticks[0]) & mask) * device.properties.limits.timestampPeriod);
  }

  DeviceState &device;
  std::optional<DeviceBuffer> result;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkCommandPool pool = VK_NULL_HANDLE;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkQueryPool queries = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
};

} // namespace

Result<double> Replay::measureReadBandwidth(const DeviceBuffer &buffer) {
  if (device_.timestampBits == 0)
    return Status(StatusCode::Unsupported,
                  "device has no timestamps, expected them to measure bandwidth, choose another device");
  // Every invocation takes the same number of words, a multiple of the four it loads per round.
  uint64_t words = std::min(buffer.sizeBytes(), kMostBytes) / 16;
  uint32_t workgroups = uint32_t(
      std::clamp<uint64_t>(words / (4 * kWorkgroup), 1, std::min(kMostWorkgroups, device_.info.maxWorkgroupCount[0])));
  uint32_t stride = workgroups * kWorkgroup;
  uint32_t rounds = uint32_t(words / stride) / 4 * 4;
  if (rounds == 0)
    return Status(StatusCode::Unsupported,
                  text("largest weight buffer has ", formatBytes(buffer.sizeBytes()), ", expected at least ",
                       formatBytes(64 * kWorkgroup), " to measure bandwidth, use a larger model"));
  ReadBenchmark benchmark(device_);
  QWENRT_RETURN_IF_ERROR(benchmark.create());
  QWENRT_RETURN_IF_ERROR(benchmark.record({buffer.address(), benchmark.result->address(), stride, rounds}, workgroups));
  double best = 0, spent = 0;
  for (int i = 0; i < kMostRuns && (i < kLeastRuns || spent < double(kLongestNs)); ++i) {
    QWENRT_ASSIGN_OR_RETURN(double ns, benchmark.runNs());
    spent += ns;
    best = std::max(best, double(uint64_t(stride) * rounds * 16) / ns * 1e9);
  }
  return best;
}
