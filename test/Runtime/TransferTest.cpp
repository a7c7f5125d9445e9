//===- TransferTest.cpp - Bytes between host and device, through staging and mapped memory ----------------------===//
#include "runtime/lib/Transfer.h"
#include "TestDevice.h"

#include <gtest/gtest.h>

using namespace qwenrt;
using namespace qwenrt::test;

namespace {

constexpr uint64_t kBufferBytes = 11 << 20;

std::vector<std::byte> pattern(size_t count, uint32_t seed) {
  std::vector<std::byte> bytes(count);
  for (std::byte &byte : bytes)
    byte = std::byte((seed = seed * 1664525 + 1013904223) >> 24);
  return bytes;
}

class TransferTest : public testing::TestWithParam<MemoryKind> {
protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE();
    detail::DeviceState &device = anyDevice()->state();
    auto made = Transfer::create(device);
    ASSERT_TRUE(made.isOk()) << made.status().message();
    transfer = std::move(*made);
    for (std::optional<DeviceBuffer> *target : {&buffer, &other}) {
      auto created = DeviceBuffer::create(device, "test", kBufferBytes, GetParam());
      ASSERT_TRUE(created.isOk()) << created.status().message();
      target->emplace(std::move(*created));
      ASSERT_TRUE(transfer->zero(**target).isOk());
    }
  }

  std::vector<std::byte> content(const DeviceBuffer &source) {
    std::vector<std::byte> bytes(kBufferBytes);
    EXPECT_TRUE(transfer->read(source, 0, bytes).isOk());
    return bytes;
  }

  std::optional<DeviceBuffer> buffer, other;
  std::unique_ptr<Transfer> transfer; // waits for what is queued before the buffers go
};

INSTANTIATE_TEST_SUITE_P(Kinds, TransferTest, testing::Values(MemoryKind::DeviceOnly, MemoryKind::DeviceMapped),
                         [](const auto &info) { return info.param == MemoryKind::DeviceOnly ? "staged" : "mapped"; });

/// The host's bytes may change right after a write, and later writes, copies and reads see it done: in portions (9 MB),
/// as part of a submission (40 bytes) and at odd places.
TEST_P(TransferTest, WritesArriveInTheirOrder) {
  std::vector<std::byte> expected(kBufferBytes);
  uint32_t seed = 0;
  for (auto [offset, count] : {std::pair<uint64_t, size_t>{16, 9'000'004},
                               {4'000'000, 40},
                               {1'000'001, 5'000'001},
                               {7, 3},
                               {6'000'000, 70'000},
                               {1 << 20, 4 << 20}}) {
    std::vector<std::byte> data = pattern(count, ++seed);
    std::copy(data.begin(), data.end(), expected.begin() + long(offset));
    ASSERT_TRUE(transfer->write(*buffer, offset, data).isOk());
    std::fill(data.begin(), data.end(), std::byte(0xee));
  }
  const std::vector<BufferCopy> copies = {{&*buffer, 0, &*other, 0, kBufferBytes}};
  ASSERT_TRUE(transfer->copy(copies).isOk());
  EXPECT_TRUE(content(*buffer) == expected);
  EXPECT_TRUE(content(*other) == expected);
}

/// Rows that do not divide a portion, and one that is larger than it.
TEST_P(TransferTest, RowsAreMadeInPlace) {
  std::vector<std::byte> expected(kBufferBytes);
  for (auto [offset, rowBytes, rows] :
       {std::array<uint64_t, 3>{0, 6144, 1500}, {9'400'000, 3'000'000 / 4, 2}, {64, 4'000'000, 2}}) {
    const std::vector<std::byte> data = pattern(rowBytes * rows, uint32_t(rowBytes));
    std::copy(data.begin(), data.end(), expected.begin() + long(offset));
    uint64_t next = 0;
    auto fill = [&](uint64_t first, std::span<std::byte> target) {
      EXPECT_EQ(first, next);
      EXPECT_EQ(target.size() % rowBytes, 0u);
      next += target.size() / rowBytes;
      std::copy_n(data.begin() + long(first * rowBytes), target.size(), target.begin());
    };
    ASSERT_TRUE(transfer->write(*buffer, offset, rowBytes, rows, fill).isOk());
    EXPECT_EQ(next, rows);
  }
  EXPECT_TRUE(content(*buffer) == expected);
}

/// A transfer that ends while its writes are under way waits for them; the validation layers would see the rest.
TEST_P(TransferTest, EndsBehindItsWrites) {
  const std::vector<std::byte> data = pattern(kBufferBytes, 9);
  ASSERT_TRUE(transfer->write(*buffer, 0, data).isOk());
  transfer.reset();
  auto again = Transfer::create(anyDevice()->state());
  ASSERT_TRUE(again.isOk());
  std::vector<std::byte> bytes(kBufferBytes);
  ASSERT_TRUE((*again)->read(*buffer, 0, bytes).isOk());
  EXPECT_TRUE(bytes == data);
}

} // namespace
