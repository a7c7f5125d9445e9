//===- Weights.cpp - Threads that carry pieces of weights to the device ------------------------------------------===//
#include "Weights.h"

#include "Parallel.h"
#include "Text.h"
#include "WeightPieces.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

using namespace qwenrt;
using detail::DeviceState;

namespace {

/// Streamed bytes go through memory of this size: it stays in a core's second-level cache between read and write.
constexpr uint64_t kBounceBytes = 256 << 10;
constexpr unsigned kMostThreads = 16;

/// Adds the time it lives to \p total.
class Stopwatch {
public:
  explicit Stopwatch(uint64_t &total) : total_(total), start_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() { total_ += uint64_t(std::chrono::nanoseconds(std::chrono::steady_clock::now() - start_).count()); }

private:
  uint64_t &total_;
  std::chrono::steady_clock::time_point start_;
};

/// What the loading threads share.
struct Work {
  std::span<const File> files;
  std::span<const DeviceBuffer> buffers;
  WeightPieces weights;
  std::atomic<size_t> next = 0;
  std::atomic<uint64_t> bytesDone = 0;
  std::atomic<int32_t> layer = -1;
  std::atomic<uint64_t> readNs = 0, copyNs = 0, waitNs = 0;

  const File &fileOf(const WeightBatch &batch) const { return files[weights.of(batch).front().weight->file()]; }
  std::byte *mappedTarget(const WeightPiece &piece) const {
    return buffers[piece.weight->buffer()].mapped() + piece.bufferOffset();
  }

  const WeightBatch *take() {
    size_t index = next.fetch_add(1);
    if (index >= weights.batches.size())
      return nullptr;
    const WeightBatch *batch = &weights.batches[index];
    fileOf(*batch).expectRange(begin(*batch), end(*batch) - begin(*batch));
    return batch;
  }
  void done(const WeightBatch &batch) {
    fileOf(batch).dropPages(begin(batch), end(batch) - begin(batch));
    layer = weights.of(batch).back().weight->layer();
    for (const WeightPiece &piece : weights.of(batch))
      bytesDone += piece.fileBytes();
  }
  /// The others stop after their batch.
  void cancel() { next = weights.batches.size(); }

private:
  uint64_t begin(const WeightBatch &batch) const { return weights.of(batch).front().fileBegin(); }
  uint64_t end(const WeightBatch &batch) const {
    const WeightPiece &last = weights.of(batch).back();
    return std::max(begin(batch), last.fileBegin() + last.fileBytes());
  }
};

/// A thread's own times, added to everybody's at its end.
struct Times {
  explicit Times(Work &work) : work(work) {}
  ~Times() {
    work.readNs += readNs;
    work.copyNs += copyNs;
    work.waitNs += waitNs;
  }
  Work &work;
  uint64_t readNs = 0, copyNs = 0, waitNs = 0;
};

/// Carries \p piece to mapped memory by way of \p bounce, the thread's own memory.
Status streamPiece(const Work &work, const WeightPiece &piece, std::vector<std::byte> &bounce, Times &times) {
  bounce.resize(kBounceBytes);
  for (uint64_t at = piece.begin; at < piece.end; at += kBounceBytes) {
    WeightPiece part = {piece.weight, at, std::min(piece.end, at + kBounceBytes), 0};
    {
      Stopwatch watch(times.readNs);
      QWENRT_RETURN_IF_ERROR(readPlaced(work.files[part.weight->file()], part, bounce.data()));
    }
    Stopwatch watch(times.copyNs);
    copyStreaming(work.mappedTarget(part), bounce.data(), part.placedBytes());
  }
  return Status::ok();
}

/// Reads \p piece straight into mapped memory.
Status readMapped(const Work &work, const WeightPiece &piece, std::vector<std::byte> &bounce, Times &times) {
  if (piece.padded())
    return streamPiece(work, piece, bounce, times);
  {
    Stopwatch watch(times.readNs);
    Status status =
        work.files[piece.weight->file()].readAt(piece.fileBegin(), work.mappedTarget(piece), piece.fileBytes());
    if (status.isOk() || status.code() != StatusCode::Io)
      return status;
  }
  return streamPiece(work, piece, bounce, times); // some mappings refuse the kernel (EFAULT)
}

Status loadMapped(Work &work, bool streamed) {
  std::vector<std::byte> bounce;
  Times times(work);
  while (const WeightBatch *batch = work.take()) {
    for (const WeightPiece &piece : work.weights.of(*batch))
      QWENRT_RETURN_IF_ERROR(streamed ? streamPiece(work, piece, bounce, times)
                                      : readMapped(work, piece, bounce, times));
    work.done(*batch);
  }
  return Status::ok();
}

/// A part of the staging buffer with the command buffer that empties it.
struct Slot {
  Slot(DeviceState &device, const DeviceBuffer &staging, uint64_t offset)
      : device(device), staging(staging), offset(offset) {}
  Slot(const Slot &) = delete;
  ~Slot() {
    if (busy)
      device.vk.vkWaitForFences(device.device, 1, &fence, VK_TRUE, UINT64_MAX);
    device.vk.vkDestroyFence(device.device, fence, nullptr);
    device.vk.vkDestroyCommandPool(device.device, pool, nullptr);
  }

  Status create() {
    VkCommandPoolCreateInfo poolInfo = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    poolInfo.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    poolInfo.queueFamilyIndex = device.queueFamily;
    QWENRT_RETURN_IF_VK_ERROR(device.vk.vkCreateCommandPool(device.device, &poolInfo, nullptr, &pool),
                              "create a command pool");
    VkCommandBufferAllocateInfo allocate = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = pool;
    allocate.commandBufferCount = 1;
    QWENRT_RETURN_IF_VK_ERROR(device.vk.vkAllocateCommandBuffers(device.device, &allocate, &commands),
                              "allocate a command buffer");
    VkFenceCreateInfo fenceInfo = {VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    return vulkanStatus(device.vk.vkCreateFence(device.device, &fenceInfo, nullptr, &fence), "create a fence");
  }

  std::byte *memory() const { return staging.mapped() + offset; }

  /// Waits until the last batch has left.
  Status wait() {
    if (!busy)
      return Status::ok();
    QWENRT_RETURN_IF_VK_ERROR(device.vk.vkWaitForFences(device.device, 1, &fence, VK_TRUE, UINT64_MAX), "copy weights");
    busy = false;
    return vulkanStatus(device.vk.vkResetFences(device.device, 1, &fence), "copy weights");
  }

  /// Copies all pieces in one submission. No barrier: batches go to different places, and one follows the last of all.
  Status send(std::span<const DeviceBuffer> targets, std::span<const WeightPiece> pieces) {
    VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    QWENRT_RETURN_IF_VK_ERROR(device.vk.vkBeginCommandBuffer(commands, &begin), "copy weights");
    for (size_t i = 0; i < pieces.size();) {
      uint32_t buffer = pieces[i].weight->buffer();
      regions.clear();
      for (; i < pieces.size() && pieces[i].weight->buffer() == buffer; ++i)
        regions.push_back({offset + pieces[i].stagingOffset, pieces[i].bufferOffset(), pieces[i].placedBytes()});
      device.vk.vkCmdCopyBuffer(commands, staging.handle(), targets[buffer].handle(), uint32_t(regions.size()),
                                regions.data());
    }
    QWENRT_RETURN_IF_VK_ERROR(device.vk.vkEndCommandBuffer(commands), "copy weights");
    VkCommandBufferSubmitInfo buffer = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO, nullptr, commands};
    VkSubmitInfo2 submit = {VK_STRUCTURE_TYPE_SUBMIT_INFO_2};
    submit.commandBufferInfoCount = 1;
    submit.pCommandBufferInfos = &buffer;
    QWENRT_RETURN_IF_ERROR(device.submit({&submit, 1}, fence, "copy weights"));
    busy = true;
    return Status::ok();
  }

  DeviceState &device;
  const DeviceBuffer &staging;
  uint64_t offset;
  std::vector<VkBufferCopy> regions;
  VkCommandPool pool = VK_NULL_HANDLE;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
  bool busy = false;
};

constexpr uint64_t kSlotsPerThread = 2;

/// One slot is filled while the other is copied. \p stagingOffset is where this thread's part of \p staging starts.
Status loadStaged(DeviceState &device, Work &work, const DeviceBuffer &staging, uint64_t stagingOffset) {
  Slot slots[kSlotsPerThread] = {{device, staging, stagingOffset}, {device, staging, stagingOffset + kBatchBytes}};
  for (Slot &slot : slots)
    QWENRT_RETURN_IF_ERROR(slot.create());
  Times times(work);
  for (unsigned turn = 0; const WeightBatch *batch = work.take(); ++turn) {
    Slot &slot = slots[turn % kSlotsPerThread];
    {
      Stopwatch watch(times.waitNs);
      QWENRT_RETURN_IF_ERROR(slot.wait());
    }
    {
      Stopwatch watch(times.readNs);
      for (const WeightPiece &piece : work.weights.of(*batch))
        QWENRT_RETURN_IF_ERROR(readPlaced(work.fileOf(*batch), piece, slot.memory() + piece.stagingOffset));
    }
    {
      Stopwatch watch(times.copyNs);
      QWENRT_RETURN_IF_ERROR(slot.send(work.buffers, work.weights.of(*batch)));
    }
    work.done(*batch);
  }
  Stopwatch watch(times.waitNs);
  for (Slot &slot : slots)
    QWENRT_RETURN_IF_ERROR(slot.wait());
  return Status::ok();
}

/// Zeroes what no binding covers: fresh device memory holds anything, also NaN. Comes before the weights, so that a gap
/// may be widened to the multiples of 4 bytes that fills want.
Status zeroGaps(const fb::Plan &plan, std::span<const DeviceBuffer> buffers, Transfer &transfer) {
  std::vector<const fb::WeightBinding *> weights(plan.weights()->begin(), plan.weights()->end());
  std::sort(weights.begin(), weights.end(), [](const fb::WeightBinding *a, const fb::WeightBinding *b) {
    return a->buffer() != b->buffer() ? a->buffer() < b->buffer() : a->buffer_offset() < b->buffer_offset();
  });
  std::vector<BufferRange> gaps;
  auto addGap = [&gaps](const DeviceBuffer &buffer, uint64_t begin, uint64_t end) {
    if (begin < end)
      gaps.push_back({&buffer, begin / 4 * 4, (end + 3) / 4 * 4 - begin / 4 * 4});
  };
  size_t next = 0;
  for (uint32_t i = 0; i < plan.buffers()->size(); ++i) {
    if (plan.buffers()->Get(i)->purpose() != fb::BufferPurpose::Weights)
      continue;
    uint64_t at = 0;
    for (; next < weights.size() && weights[next]->buffer() == i; ++next) {
      addGap(buffers[i], at, weights[next]->buffer_offset());
      at = weights[next]->buffer_offset() + weights[next]->rows() * weights[next]->pitch_bytes();
    }
    addGap(buffers[i], at, buffers[i].sizeBytes());
  }
  return transfer.zero(gaps);
}

/// Half the processors are left to the kernels' compiler; a few threads also keep a disk busy.
unsigned chooseThreads(unsigned wanted, size_t batches) {
  unsigned threads = wanted ? wanted : std::clamp(std::thread::hardware_concurrency() / 2, 4u, 8u);
  return unsigned(std::clamp<size_t>(threads, 1, std::clamp<size_t>(batches, 1, kMostThreads)));
}

} // namespace

Status qwenrt::loadWeights(DeviceState &device, const Plan &plan, std::span<const DeviceBuffer> buffers,
                           std::span<const File> files, Transfer &transfer, const WeightLoadOptions &options,
                           WeightLoadTimes &times, const WeightProgressCallback &progress) {
  QWENRT_RETURN_IF_ERROR(zeroGaps(plan.root(), buffers, transfer));
  Work work;
  work.files = files;
  work.buffers = buffers;
  work.weights = cutWeights(plan.root());
  times.threads = chooseThreads(options.threads, work.weights.batches.size());
  if (work.weights.batches.empty())
    return Status::ok();
  auto watch = [&] {
    if (progress)
      progress({work.bytesDone, work.weights.fileBytes, work.layer, work.weights.layers});
  };

  Status status;
  if (options.upload == UploadPath::Staging) {
    uint64_t perThread = kSlotsPerThread * kBatchBytes;
    QWENRT_ASSIGN_OR_RETURN(DeviceBuffer staging,
                            DeviceBuffer::create(device, "staging", times.threads * perThread, MemoryKind::HostCached));
    std::atomic<uint64_t> thread = 0;
    status = runParallel(
        times.threads, [&] { return loadStaged(device, work, staging, perThread * thread++); }, watch,
        [&] { work.cancel(); });
    if (status.isOk())
      status = transfer.barrier();
  } else {
    bool streamed = options.upload == UploadPath::Streamed;
    status = runParallel(
        times.threads, [&] { return loadMapped(work, streamed); }, watch, [&] { work.cancel(); });
  }
  // Pages that batches share, and what the system read ahead.
  for (const File &file : files)
    file.dropPages(0, file.sizeBytes());
  times.readNs = work.readNs;
  times.copyNs = work.copyNs;
  times.waitNs = work.waitNs;
  return status;
}
