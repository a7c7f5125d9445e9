//===- Weights.cpp - Threads that carry pieces of weights to the device ------------------------------------------===//
#include "Weights.h"

#include "Parallel.h"
#include "Text.h"

#include <algorithm>
#include <atomic>
#include <cstring>

using namespace qwenrt;
using detail::DeviceState;

namespace {

constexpr uint64_t kPieceBytes = 8 << 20;

/// Bytes [begin, end) of a binding as it lies in its buffer, gaps included.
struct Piece {
  const fb::WeightBinding *weight;
  uint64_t begin, end;

  /// How many of the binding's bytes in the file come before placed byte \p at.
  uint64_t fileBytesBefore(uint64_t at) const {
    uint64_t row = at / weight->pitch_bytes(), within = at % weight->pitch_bytes();
    return row * weight->row_bytes() + std::min(within, weight->row_bytes());
  }
  uint64_t fileBegin() const { return weight->file_offset() + fileBytesBefore(begin); }
  uint64_t fileSize() const { return fileBytesBefore(end) - fileBytesBefore(begin); }
  bool padded() const { return weight->pitch_bytes() != weight->row_bytes(); }
};

std::vector<Piece> cutPieces(const fb::Plan &plan) {
  std::vector<Piece> pieces;
  for (const fb::WeightBinding *weight : *plan.weights()) {
    uint64_t total = weight->rows() * weight->pitch_bytes();
    for (uint64_t begin = 0; begin < total; begin += kPieceBytes)
      pieces.push_back({weight, begin, std::min(total, begin + kPieceBytes)});
  }
  // In the order of the files, so that disks read ahead.
  std::sort(pieces.begin(), pieces.end(), [](const Piece &a, const Piece &b) {
    if (a.weight->file() != b.weight->file())
      return a.weight->file() < b.weight->file();
    return a.fileBegin() != b.fileBegin() ? a.fileBegin() < b.fileBegin() : a.begin < b.begin;
  });
  return pieces;
}

/// Lays \p source, the piece's bytes from the file, out at \p target with the rows at their pitch.
void scatterRows(const Piece &piece, const std::byte *source, std::byte *target) {
  uint64_t pitch = piece.weight->pitch_bytes(), rowBytes = piece.weight->row_bytes();
  for (uint64_t at = piece.begin; at < piece.end;) {
    uint64_t within = at % pitch, stop = std::min(piece.end, at - within + pitch);
    uint64_t data = within < rowBytes ? std::min(rowBytes - within, stop - at) : 0;
    std::memcpy(target, source, data);
    std::memset(target + data, 0, stop - at - data);
    source += data;
    target += stop - at;
    at = stop;
  }
}

/// Reads \p piece to \p target in its placed form. \p bounce is the thread's own memory.
Status fetch(const File &file, const Piece &piece, std::byte *target, std::vector<std::byte> &bounce) {
  uint64_t fileBegin = piece.fileBegin(), size = piece.fileSize();
  if (!piece.padded()) {
    // Straight into its place; only where the kernel cannot write there (EFAULT) by way of the bounce buffer.
    Status status = file.readAt(fileBegin, target, size);
    if (status.isOk() || status.code() != StatusCode::Io)
      return status;
  }
  bounce.resize(kPieceBytes);
  QWENRT_RETURN_IF_ERROR(file.readAt(fileBegin, bounce.data(), size));
  scatterRows(piece, bounce.data(), target);
  return Status::ok();
}

/// What the loading threads share.
struct Work {
  std::span<const File> files;
  std::span<const DeviceBuffer> buffers;
  std::vector<Piece> pieces;
  std::atomic<size_t> next = 0;
  std::atomic<uint64_t> bytesDone = 0;
  std::atomic<int32_t> layer = -1;

  const Piece *take() {
    size_t index = next.fetch_add(1);
    return index < pieces.size() ? &pieces[index] : nullptr;
  }
  void done(const Piece &piece) {
    files[piece.weight->file()].dropPages(piece.fileBegin(), piece.fileSize());
    layer = piece.weight->layer();
    bytesDone += piece.fileSize();
  }
  /// The others stop after their piece.
  void cancel() { next = pieces.size(); }
};

Status loadMapped(Work &work) {
  std::vector<std::byte> bounce;
  while (const Piece *piece = work.take()) {
    const DeviceBuffer &buffer = work.buffers[piece->weight->buffer()];
    std::byte *target = buffer.mapped() + piece->weight->buffer_offset() + piece->begin;
    QWENRT_RETURN_IF_ERROR(fetch(work.files[piece->weight->file()], *piece, target, bounce));
    work.done(*piece);
  }
  return Status::ok();
}

/// A staging buffer with the command buffer that empties it.
struct Slot {
  explicit Slot(DeviceState &device) : device(device) {}
  Slot(const Slot &) = delete;
  ~Slot() {
    if (busy)
      device.vk.vkWaitForFences(device.device, 1, &fence, VK_TRUE, UINT64_MAX);
    device.vk.vkDestroyFence(device.device, fence, nullptr);
    device.vk.vkDestroyCommandPool(device.device, pool, nullptr);
  }

  Status create() {
    QWENRT_ASSIGN_OR_RETURN(memory, DeviceBuffer::create(device, "staging", kPieceBytes, MemoryKind::HostCached));
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

  /// Waits until the last piece has left.
  Status wait() {
    if (!busy)
      return Status::ok();
    QWENRT_RETURN_IF_VK_ERROR(device.vk.vkWaitForFences(device.device, 1, &fence, VK_TRUE, UINT64_MAX), "copy weights");
    busy = false;
    return vulkanStatus(device.vk.vkResetFences(device.device, 1, &fence), "copy weights");
  }

  Status send(const DeviceBuffer &target, uint64_t offset, uint64_t sizeBytes) {
    VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    QWENRT_RETURN_IF_VK_ERROR(device.vk.vkBeginCommandBuffer(commands, &begin), "copy weights");
    VkBufferCopy region = {0, offset, sizeBytes};
    device.vk.vkCmdCopyBuffer(commands, memory->handle(), target.handle(), 1, &region);
    recordFullBarrier(device.vk, commands);
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
  std::optional<DeviceBuffer> memory;
  VkCommandPool pool = VK_NULL_HANDLE;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkFence fence = VK_NULL_HANDLE;
  bool busy = false;
};

/// One slot is filled while the other is copied.
Status loadStaged(DeviceState &device, Work &work) {
  Slot slots[2] = {Slot(device), Slot(device)};
  QWENRT_RETURN_IF_ERROR(slots[0].create());
  QWENRT_RETURN_IF_ERROR(slots[1].create());
  std::vector<std::byte> bounce;
  unsigned turn = 0;
  while (const Piece *piece = work.take()) {
    Slot &slot = slots[turn++ % 2];
    QWENRT_RETURN_IF_ERROR(slot.wait());
    QWENRT_RETURN_IF_ERROR(fetch(work.files[piece->weight->file()], *piece, slot.memory->mapped(), bounce));
    QWENRT_RETURN_IF_ERROR(slot.send(work.buffers[piece->weight->buffer()],
                                     piece->weight->buffer_offset() + piece->begin, piece->end - piece->begin));
    work.done(*piece);
  }
  QWENRT_RETURN_IF_ERROR(slots[0].wait());
  return slots[1].wait();
}

/// Zeroes what no binding covers: fresh device memory holds anything, also NaN.
Status zeroGaps(const fb::Plan &plan, std::span<const DeviceBuffer> buffers, Transfer &transfer) {
  std::vector<const fb::WeightBinding *> weights(plan.weights()->begin(), plan.weights()->end());
  std::sort(weights.begin(), weights.end(), [](const fb::WeightBinding *a, const fb::WeightBinding *b) {
    return a->buffer() != b->buffer() ? a->buffer() < b->buffer() : a->buffer_offset() < b->buffer_offset();
  });
  size_t next = 0;
  for (uint32_t i = 0; i < plan.buffers()->size(); ++i) {
    if (plan.buffers()->Get(i)->purpose() != fb::BufferPurpose::Weights)
      continue;
    uint64_t at = 0;
    for (; next < weights.size() && weights[next]->buffer() == i; ++next) {
      uint64_t begin = weights[next]->buffer_offset();
      if (begin > at)
        QWENRT_RETURN_IF_ERROR(transfer.zero(buffers[i], at, begin - at));
      at = begin + weights[next]->rows() * weights[next]->pitch_bytes();
    }
    if (at < buffers[i].sizeBytes())
      QWENRT_RETURN_IF_ERROR(transfer.zero(buffers[i], at, buffers[i].sizeBytes() - at));
  }
  return Status::ok();
}

} // namespace

Status qwenrt::loadWeights(DeviceState &device, const Plan &plan, std::span<const DeviceBuffer> buffers,
                           std::span<const File> files, Transfer &transfer, unsigned threads,
                           const WeightProgressCallback &progress) {
  QWENRT_RETURN_IF_ERROR(zeroGaps(plan.root(), buffers, transfer));
  Work work;
  work.files = files;
  work.buffers = buffers;
  work.pieces = cutPieces(plan.root());
  if (work.pieces.empty())
    return Status::ok();
  uint64_t total = 0;
  for (const Piece &piece : work.pieces)
    total += piece.fileSize();

  bool mapped = buffers[work.pieces.front().weight->buffer()].mapped() != nullptr;
  unsigned count = unsigned(std::clamp<size_t>(threads, 1, std::min<size_t>(16, work.pieces.size())));
  return runParallel(
      count, [&] { return mapped ? loadMapped(work) : loadStaged(device, work); },
      [&] {
        if (progress)
          progress({work.bytesDone, total, work.layer});
      },
      [&] { work.cancel(); });
}
