//===- Budget.cpp ------------------------------------------------------------------------------------------------===//
#include "Budget.h"

#include "Memory.h"
#include "Text.h"

#include <array>

using namespace qwenrt;

namespace {

using PurposeBytes = std::array<uint64_t, size_t(fb::BufferPurpose::MAX) + 1>;

PurposeBytes purposeBytes(const fb::Plan &plan) {
  PurposeBytes bytes = {};
  for (const fb::Buffer *buffer : *plan.buffers())
    bytes[size_t(buffer->purpose())] += buffer->size_bytes();
  bytes[size_t(fb::BufferPurpose::Mailbox)] = 0; // host memory
  return bytes;
}

} // namespace

uint64_t qwenrt::deviceBytes(const fb::Plan &plan) {
  uint64_t total = 0;
  for (uint64_t bytes : purposeBytes(plan))
    total += bytes;
  return total;
}

Status qwenrt::checkBudget(const fb::Plan &plan, uint64_t availableBytes, const std::string &owner) {
  uint64_t total = deviceBytes(plan);
  if (total <= availableBytes)
    return Status::ok();
  PurposeBytes bytes = purposeBytes(plan);
  std::string parts;
  for (size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i])
      parts +=
          text(parts.empty() ? "" : ", ", fb::EnumNameBufferPurpose(fb::BufferPurpose(i)), " ", formatBytes(bytes[i]));
  // Only caches and what follows the context shrink with it.
  bool weightsFit = bytes[size_t(fb::BufferPurpose::Weights)] < availableBytes;
  return {StatusCode::OutOfMemory, text("plan needs ", formatBytes(total), " of device memory (", parts,
                                        "), expected at most the ", formatBytes(availableBytes), " ", owner, ", ",
                                        weightsFit ? "compile with a smaller --max-context, " : "",
                                        "end other programs on the device or choose one with more memory")};
}

Result<UploadPath> qwenrt::chooseUpload(const detail::DeviceState &device, UploadPath wish, uint64_t neededBytes) {
  if (wish == UploadPath::Staging)
    return wish;
  std::optional<uint32_t> mapped = findMemoryType(device, MemoryKind::DeviceMapped);
  if (wish != UploadPath::Auto) {
    if (mapped)
      return wish;
    return Status(StatusCode::Unsupported, "device memory cannot be mapped, expected it for direct or streamed upload, "
                                           "use staging or auto");
  }
  std::optional<uint32_t> local = findMemoryType(device, MemoryKind::DeviceOnly);
  if (!mapped || !local)
    return UploadPath::Staging;
  const VkMemoryType &type = device.memory.memoryTypes[*mapped];
  // A small window (256 MB of BAR) is a heap of its own: too small for a model, and needed by others.
  uint32_t localHeap = device.memory.memoryTypes[*local].heapIndex;
  bool whole = type.heapIndex == localHeap ||
               (device.memory.memoryHeaps[type.heapIndex].size >= device.memory.memoryHeaps[localHeap].size &&
                device.heapBudget(type.heapIndex) >= neededBytes);
  if (!whole)
    return UploadPath::Staging;
  // Cached memory is the processor's own: unified memory, or a device on the processor. Behind a bus copies by the
  // device are faster than writes by the processor: 36 against 18 GB/s with eight threads on an H200.
  return type.propertyFlags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT ? UploadPath::Direct : UploadPath::Staging;
}
