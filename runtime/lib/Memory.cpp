//===- Memory.cpp ------------------------------------------------------------------------------------------------===//
#include "Memory.h"

#include "Text.h"

#include <bit>

using namespace qwenrt;
using detail::DeviceState;

namespace {

struct Wish {
  VkMemoryPropertyFlags required, preferred, avoided;
};

Wish wishOf(MemoryKind kind) {
  constexpr VkMemoryPropertyFlags mapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  switch (kind) {
  case MemoryKind::DeviceOnly:
    return {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT};
  case MemoryKind::DeviceMapped:
    return {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | mapped, VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 0};
  case MemoryKind::HostCached:
    break;
  }
  return {mapped, VK_MEMORY_PROPERTY_HOST_CACHED_BIT, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT};
}

/// Vendor bits that make memory useless here: lazily allocated, protected, device-uncached.
constexpr VkMemoryPropertyFlags kUnwanted = VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT |
                                            VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD |
                                            VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD;

} // namespace

std::optional<uint32_t> qwenrt::findMemoryType(const DeviceState &device, MemoryKind kind, uint32_t allowed) {
  Wish wish = wishOf(kind);
  std::optional<uint32_t> best;
  int bestScore = -1000;
  for (uint32_t i = 0; i < device.memory.memoryTypeCount; ++i) {
    VkMemoryPropertyFlags flags = device.memory.memoryTypes[i].propertyFlags;
    if (!(allowed >> i & 1) || (flags & wish.required) != wish.required || (flags & kUnwanted))
      continue;
    int score = std::popcount(flags & wish.preferred) - std::popcount(flags & wish.avoided);
    if (score > bestScore) { // the first of equals: drivers list the better one first
      best = i;
      bestScore = score;
    }
  }
  return best;
}

Result<DeviceBuffer> DeviceBuffer::create(DeviceState &device, const std::string &name, uint64_t sizeBytes,
                                          MemoryKind kind) {
  DeviceBuffer buffer;
  buffer.device_ = &device;
  buffer.sizeBytes_ = (sizeBytes + 15) / 16 * 16; // fills and 16-byte loads may touch the last piece
  std::string doing = text("allocate ", formatBytes(buffer.sizeBytes_), " for '", printable(name), "'");
  VkBufferCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO};
  info.size = buffer.sizeBytes_;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
               VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
               VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  QWENRT_RETURN_IF_VK_ERROR(device.vk.vkCreateBuffer(device.device, &info, nullptr, &buffer.handle_), doing);

  VkMemoryRequirements needs = {};
  device.vk.vkGetBufferMemoryRequirements(device.device, buffer.handle_, &needs);
  std::optional<uint32_t> type = findMemoryType(device, kind, needs.memoryTypeBits);
  if (!type)
    return Status(StatusCode::Unsupported,
                  text("device has no memory type to ", doing, ", expected one, choose another device"));
  VkMemoryAllocateFlagsInfo flags = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO};
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  VkMemoryAllocateInfo allocate = {VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, &flags};
  allocate.allocationSize = needs.size;
  allocate.memoryTypeIndex = *type;
  QWENRT_RETURN_IF_VK_ERROR(device.vk.vkAllocateMemory(device.device, &allocate, nullptr, &buffer.memory_), doing);
  QWENRT_RETURN_IF_VK_ERROR(device.vk.vkBindBufferMemory(device.device, buffer.handle_, buffer.memory_, 0), doing);
  if (kind != MemoryKind::DeviceOnly) {
    void *mapped = nullptr;
    QWENRT_RETURN_IF_VK_ERROR(device.vk.vkMapMemory(device.device, buffer.memory_, 0, VK_WHOLE_SIZE, 0, &mapped),
                              doing);
    buffer.mapped_ = static_cast<std::byte *>(mapped);
    buffer.hostCached_ = device.memory.memoryTypes[*type].propertyFlags & VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  }
  VkBufferDeviceAddressInfo address = {VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, nullptr, buffer.handle_};
  buffer.address_ = device.vk.vkGetBufferDeviceAddress(device.device, &address);
  return buffer;
}

DeviceBuffer &DeviceBuffer::operator=(DeviceBuffer &&other) noexcept {
  std::swap(device_, other.device_);
  std::swap(handle_, other.handle_);
  std::swap(memory_, other.memory_);
  std::swap(address_, other.address_);
  std::swap(sizeBytes_, other.sizeBytes_);
  std::swap(mapped_, other.mapped_);
  std::swap(hostCached_, other.hostCached_);
  return *this;
}

DeviceBuffer::~DeviceBuffer() {
  if (!device_)
    return;
  device_->vk.vkDestroyBuffer(device_->device, handle_, nullptr);
  device_->vk.vkFreeMemory(device_->device, memory_, nullptr);
}
