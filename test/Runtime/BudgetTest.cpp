//===- BudgetTest.cpp - Does a plan fit, and which way do its weights go ------------------------------------------===//
#include "runtime/lib/Budget.h"
#include "TestPlan.h"

#include <gtest/gtest.h>

using namespace qwenrt;
using namespace qwenrt::test;

namespace {

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kMapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
constexpr uint64_t kGigabyte = 1'000'000'000;

struct Heap {
  uint64_t sizeBytes;
  bool local;
};

/// A device with these heaps and memory types, which are given as flags and heap.
struct FakeDevice : detail::DeviceState {
  FakeDevice(const std::vector<Heap> &heaps, const std::vector<std::pair<VkMemoryPropertyFlags, uint32_t>> &types) {
    for (const Heap &heap : heaps)
      memory.memoryHeaps[memory.memoryHeapCount++] = {
          heap.sizeBytes, heap.local ? VkMemoryHeapFlags(VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) : 0};
    for (const auto &[flags, heap] : types)
      memory.memoryTypes[memory.memoryTypeCount++] = {flags, heap};
  }
};

UploadPath choose(const detail::DeviceState &device, uint64_t neededBytes = kGigabyte) {
  Result<UploadPath> path = chooseUpload(device, UploadPath::Auto, neededBytes);
  return path.isOk() ? *path : UploadPath::Auto;
}

/// Copies by a device behind a bus are faster than writes by the processor, even where it could write everywhere.
TEST(ChooseUpload, StagesWhereTheBarCoversTheDevice) {
  EXPECT_EQ(choose(FakeDevice({{150 * kGigabyte, true}, {64 * kGigabyte, false}},
                              {{0, 1}, {kLocal, 0}, {kMapped, 1}, {kMapped | kCached, 1}, {kLocal | kMapped, 0}})),
            UploadPath::Staging);
}

TEST(ChooseUpload, StagesWhereTheBarIsAWindow) {
  EXPECT_EQ(choose(FakeDevice({{24 * kGigabyte, true}, {64 * kGigabyte, false}, {kGigabyte / 4, true}},
                              {{kLocal, 0}, {kMapped | kCached, 1}, {kLocal | kMapped, 2}}),
                   kGigabyte / 8),
            UploadPath::Staging);
}

TEST(ChooseUpload, ReadsStraightIntoUnifiedMemory) {
  EXPECT_EQ(choose(FakeDevice({{16 * kGigabyte, true}}, {{kLocal | kMapped | kCached, 0}})), UploadPath::Direct);
  EXPECT_EQ(choose(FakeDevice({{16 * kGigabyte, true}},
                              {{kLocal, 0}, {kLocal | kMapped, 0}, {kLocal | kMapped | kCached, 0}})),
            UploadPath::Direct);
}

/// Some drivers split unified memory into a small heap and a large one that is mapped.
TEST(ChooseUpload, TakesASecondHeapIfItIsTheLargerOneAndHasRoom) {
  std::vector<Heap> heaps = {{kGigabyte / 2, true}, {12 * kGigabyte, true}};
  FakeDevice device(heaps, {{kLocal, 0}, {kLocal | kMapped | kCached, 1}});
  EXPECT_EQ(choose(device, 11 * kGigabyte), UploadPath::Direct);
  EXPECT_EQ(choose(device, 13 * kGigabyte), UploadPath::Staging);
}

TEST(ChooseUpload, StagesWhereNothingIsMapped) {
  FakeDevice device({{kGigabyte, true}, {kGigabyte, false}}, {{kLocal, 0}, {kMapped, 1}});
  EXPECT_EQ(choose(device), UploadPath::Staging);
  for (UploadPath wish : {UploadPath::Direct, UploadPath::Streamed}) {
    Result<UploadPath> path = chooseUpload(device, wish, 1);
    ASSERT_FALSE(path.isOk());
    EXPECT_EQ(path.status().message(), "device memory cannot be mapped, expected it for direct or streamed upload, use "
                                       "staging or auto");
  }
}

TEST(ChooseUpload, ObeysAWish) {
  FakeDevice device({{kGigabyte, true}}, {{kLocal | kMapped | kCached, 0}});
  for (UploadPath wish : {UploadPath::Direct, UploadPath::Streamed, UploadPath::Staging}) {
    Result<UploadPath> path = chooseUpload(device, wish, 1);
    ASSERT_TRUE(path.isOk());
    EXPECT_EQ(*path, wish);
  }
}

TEST(Budget, RefusalNamesNeedAndRoomAndWhatHelps) {
  std::vector<std::byte> bytes = fakeModel().encode();
  const fb::Plan &plan = *fb::GetPlan(bytes.data());
  EXPECT_EQ(deviceBytes(plan), 852u); // without the mailbox
  EXPECT_TRUE(checkBudget(plan, 852, "").isOk());
  Status status = checkBudget(plan, 851, "that 'GPU' has free");
  EXPECT_EQ(status.code(), StatusCode::OutOfMemory);
  EXPECT_EQ(status.message(),
            "plan needs 852 B of device memory (Weights 48 B, Arena 64 B, Cache 128 B, State 196 B, Output 416 B), "
            "expected at most the 851 B that 'GPU' has free, compile with a smaller --max-context, end other programs "
            "on the device or choose one with more memory");
  // No context is small enough where the weights alone are too large.
  EXPECT_NE(checkBudget(plan, 48, "free").message().find("48 B free, end other programs"), std::string::npos);
}

} // namespace
