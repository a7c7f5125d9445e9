//===- Transfer.h - Bytes between host and device, waited for ----------------------------------------------------===//
#pragma once

#include "Memory.h"

#include <array>
#include <functional>

namespace qwenrt {

/// Everything recorded before happens before everything after it on the queue, and before the host's reads after a
/// wait.
void recordFullBarrier(const VolkDeviceTable &vk, VkCommandBuffer commands);

/// A range of a buffer.
struct BufferRange {
  const DeviceBuffer *buffer;
  uint64_t offset, sizeBytes;
};

/// Bytes from one buffer to another; zeros where there is no source. Offsets in \p to and sizes are multiples of 4.
struct BufferCopy {
  const DeviceBuffer *from; ///< null: zeros
  uint64_t fromOffset;
  const DeviceBuffer *to;
  uint64_t toOffset, sizeBytes;
};

/// Copies through mapped memory where the buffer is mapped, else through one staging buffer. Every call but a write
/// waits until the bytes have arrived, so it belongs between runs, not into them. One thread at a time.
class Transfer {
public:
  static Result<std::unique_ptr<Transfer>> create(detail::DeviceState &device);
  ~Transfer();

  /// What is submitted later sees the bytes. A write to memory that is not mapped is only queued, behind all that is
  /// queued already: the device copies one portion of a large one while the host fills the next.
  Status write(const DeviceBuffer &buffer, uint64_t offset, std::span<const std::byte> data);
  /// The same of \p rows rows of \p rowBytes bytes each, which \p fill makes where they are copied from: as many as
  /// its target holds, \p first and following.
  Status write(const DeviceBuffer &buffer, uint64_t offset, uint64_t rowBytes, uint64_t rows,
               const std::function<void(uint64_t first, std::span<std::byte> target)> &fill);
  Status read(const DeviceBuffer &buffer, uint64_t offset, std::span<std::byte> data);
  /// Zeroes the whole buffer on the device.
  Status zero(const DeviceBuffer &buffer);
  /// Zeroes \p ranges with one submission; offsets and sizes are multiples of 4.
  Status zero(std::span<const BufferRange> ranges);
  /// Copies on the device, behind all that is queued, with one submission; ranges do not overlap.
  Status copy(std::span<const BufferCopy> copies);
  /// Waits for what is queued and makes it visible to all that follows.
  Status barrier();

private:
  explicit Transfer(detail::DeviceState &device) : device_(device) {}
  /// A submission that nobody waits for until its place is needed again.
  struct Queued {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    VkFence fence = VK_NULL_HANDLE;
    bool pending = false;
  };
  template <typename Record> Status run(Record record, const char *doing);
  template <typename Record> Status submit(VkCommandBuffer commands, VkFence fence, Record record, const char *doing);
  Status await(VkFence fence, const char *doing);
  Status createQueued(Queued &queued);
  /// Waits until nothing of \p queued is under way.
  Status finish(Queued &queued, const char *doing);
  template <typename Record> Status enqueue(Queued &queued, Record record);
  /// \p fill(at, target) makes bytes \p at and following, whole units but for the last; a unit fits into a portion.
  template <typename Fill>
  Status writeStaged(const DeviceBuffer &buffer, uint64_t offset, uint64_t sizeBytes, uint64_t unitBytes, Fill fill);

  detail::DeviceState &device_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
  VkFence fence_ = VK_NULL_HANDLE;
  std::array<Queued, 16> queued_;
  size_t nextQueued_ = 0;
  std::optional<DeviceBuffer> staging_; // made when first needed; one portion for each of stagingPortions_
  std::array<Queued, 2> stagingPortions_;
  size_t nextPortion_ = 0;
  Status needStaging();
};

} // namespace qwenrt
