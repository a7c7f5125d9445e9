//===- Memory.h - Buffers with device addresses ------------------------------------------------------------------===//
#pragma once

#include "DeviceState.h"

#include <cstddef>
#include <optional>

namespace qwenrt {

/// Where a buffer should live.
enum class MemoryKind {
  DeviceOnly,   ///< device-local, filled through copies
  DeviceMapped, ///< device-local and mapped into the host's address space (large BAR, unified memory)
  HostCached,   ///< host memory that the device can reach: mailbox, staging
};

/// The memory type for \p kind among those of the mask \p allowed, if the device has one.
std::optional<uint32_t> findMemoryType(const detail::DeviceState &device, MemoryKind kind, uint32_t allowed = ~0u);

/// One buffer and its one allocation.
class DeviceBuffer {
public:
  /// OutOfMemory names \p name and the bytes.
  static Result<DeviceBuffer> create(detail::DeviceState &device, const std::string &name, uint64_t sizeBytes,
                                     MemoryKind kind);
  DeviceBuffer(DeviceBuffer &&other) noexcept { *this = std::move(other); }
  DeviceBuffer &operator=(DeviceBuffer &&other) noexcept;
  ~DeviceBuffer();

  VkBuffer handle() const { return handle_; }
  VkDeviceAddress address() const { return address_; }
  uint64_t sizeBytes() const { return sizeBytes_; }
  /// Host address of the first byte, or null.
  std::byte *mapped() const { return mapped_; }
  /// Host reads are quick; mapped device memory of a discrete GPU reads at some MB/s.
  bool hostCached() const { return hostCached_; }

private:
  DeviceBuffer() = default;
  detail::DeviceState *device_ = nullptr;
  VkBuffer handle_ = VK_NULL_HANDLE;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
  VkDeviceAddress address_ = 0;
  uint64_t sizeBytes_ = 0;
  std::byte *mapped_ = nullptr;
  bool hostCached_ = false;
};

} // namespace qwenrt
