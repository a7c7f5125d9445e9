//===- WeightsTest.cpp - Checkpoint files into buffers -----------------------------------------------------------===//
#include "runtime/lib/Weights.h"
#include "TestDevice.h"
#include "TestPlan.h"
#include "runtime/lib/Text.h"
#include "runtime/schema/Fnv1a.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace qwenrt;
using namespace qwenrt::test;
using qwenc::test::TemporaryFolder;

namespace {

/// A plan that only places weights, and the file they come from.
struct Placement {
  TestPlan plan;
  std::string file;
  std::string data;
};

Placement makePlacement(size_t dataBytes) {
  Placement placement;
  for (size_t i = 0; i < dataBytes; ++i)
    placement.data += char(1 + i * 7 % 251);
  std::string json = R"({"w":{"dtype":"U8","shape":[)" + std::to_string(dataBytes) + R"(],"data_offsets":[0,)" +
                     std::to_string(dataBytes) + "]}}";
  placement.file = safetensorsFile(json, placement.data);
  placement.plan.files = {
      {"model.safetensors", placement.file.size(), json.size(), fnv1a(placement.file.data(), 8 + json.size())}};
  return placement;
}

uint64_t dataStart(const Placement &placement) { return placement.file.size() - placement.data.size(); }

class WeightsTest : public testing::TestWithParam<UploadPath> {
protected:
  void SetUp() override { SKIP_WITHOUT_DEVICE(); }

  /// Loads \p placement and returns the content of its buffers, one behind the other, which held 0xee before.
  Result<std::string> load(const Placement &placement) {
    folder.write("model.safetensors", placement.file);
    QWENRT_ASSIGN_OR_RETURN(std::shared_ptr<const Plan> plan,
                            Plan::fromBytes(placement.plan.encodeFile(), folder.path()));
    detail::DeviceState &device = anyDevice()->state();
    QWENRT_ASSIGN_OR_RETURN(std::unique_ptr<Transfer> transfer, Transfer::create(device));
    std::vector<DeviceBuffer> buffers;
    MemoryKind kind = GetParam() == UploadPath::Staging ? MemoryKind::DeviceOnly : MemoryKind::DeviceMapped;
    for (const fb::Buffer *buffer : *plan->root().buffers()) {
      QWENRT_ASSIGN_OR_RETURN(DeviceBuffer made,
                              DeviceBuffer::create(device, buffer->name()->str(), buffer->size_bytes(), kind));
      buffers.push_back(std::move(made));
    }
    std::vector<std::vector<std::byte>> contents;
    for (const DeviceBuffer &buffer : buffers) {
      contents.emplace_back(buffer.sizeBytes(), std::byte(0xee));
      QWENRT_RETURN_IF_ERROR(transfer->write(buffer, 0, contents.back()));
    }
    QWENRT_ASSIGN_OR_RETURN(std::vector<File> files, openWeightFiles(*plan, {}));
    if (truncateAfterOpening)
      folder.write("model.safetensors", placement.file.substr(0, placement.file.size() - 5));
    if (beforeLoading)
      beforeLoading();
    QWENRT_RETURN_IF_ERROR(loadWeights(device, *plan, buffers, files, *transfer, {GetParam(), 4}, times,
                                       [this](const WeightProgress &progress) {
                                         lastProgress = progress;
                                         if (onProgress)
                                           onProgress();
                                       }));
    std::string joined;
    for (size_t i = 0; i < buffers.size(); ++i) {
      QWENRT_RETURN_IF_ERROR(transfer->read(buffers[i], 0, contents[i]));
      joined.append(reinterpret_cast<const char *>(contents[i].data()), contents[i].size());
    }
    return joined;
  }

  TemporaryFolder folder;
  WeightProgress lastProgress;
  WeightLoadTimes times;
  std::function<void()> beforeLoading, onProgress;
  bool truncateAfterOpening = false;
};

INSTANTIATE_TEST_SUITE_P(Paths, WeightsTest,
                         testing::Values(UploadPath::Direct, UploadPath::Streamed, UploadPath::Staging),
                         [](const auto &info) { return std::string(uploadPathName(info.param)); });

TEST_P(WeightsTest, PlacesRowsAtTheirPitchAndZeroesAllGaps) {
  Placement placement = makePlacement(50);
  placement.plan.buffers = {{"w", fb::BufferPurpose::Weights, 101}};
  placement.plan.weights = {{"rows", 0, dataStart(placement) + 10, 3, 5, 9, 0, 7, 2},
                            {"whole", 0, dataStart(placement), 1, 10, 10, 0, 50, 3}};
  Result<std::string> content = load(placement);
  ASSERT_TRUE(content.isOk()) << content.status().message();
  std::string expected(112, '\0');
  for (int row = 0; row < 3; ++row)
    expected.replace(7 + row * 9, 5, placement.data.substr(10 + row * 5, 5));
  expected.replace(50, 10, placement.data.substr(0, 10));
  EXPECT_EQ(*content, expected);
}

TEST_P(WeightsTest, LoadsManyPieces) {
  Placement placement = makePlacement(21'000'000); // more than two pieces of 8 MB, rows that straddle them
  placement.plan.buffers = {{"w", fb::BufferPurpose::Weights, 24'000'000}};
  placement.plan.weights = {{"padded", 0, dataStart(placement), 3000, 5000, 5008, 0, 0, 1},
                            {"plain", 0, dataStart(placement) + 15'000'000, 2, 3'000'000, 3'000'000, 0, 16'000'000, 2}};
  Result<std::string> content = load(placement);
  ASSERT_TRUE(content.isOk()) << content.status().message();
  for (size_t row = 0; row < 3000; ++row) {
    ASSERT_EQ(content->substr(row * 5008, 5000), placement.data.substr(row * 5000, 5000)) << row;
    ASSERT_EQ(content->substr(row * 5008 + 5000, 8), std::string(8, '\0')) << row;
  }
  EXPECT_TRUE(content->substr(16'000'000, 6'000'000) == placement.data.substr(15'000'000));
  EXPECT_EQ(lastProgress.bytesDone, 21'000'000u);
  EXPECT_EQ(lastProgress.bytesTotal, 21'000'000u);
  EXPECT_EQ(lastProgress.layers, 3);
  EXPECT_EQ(times.threads, 4u);
  EXPECT_GT(times.readNs, 0u);
}

/// Many tensors fit into one batch, none of them starts at an even address, and neighbours share no gap.
TEST_P(WeightsTest, LoadsManySmallWeightsSideBySide) {
  Placement placement = makePlacement(9'000'000);
  placement.plan.buffers = {{"w", fb::BufferPurpose::Weights, 9'000'008}};
  uint64_t at = 0;
  for (uint64_t i = 0; at < 9'000'000; ++i) {
    uint64_t size = std::min<uint64_t>(9'000'000 - at, 1 + i * 97 % 4001);
    placement.plan.weights.push_back(
        {"w" + std::to_string(i), 0, dataStart(placement) + at, 1, size, size, 0, 3 + at, int32_t(i)});
    at += size;
  }
  Result<std::string> content = load(placement);
  ASSERT_TRUE(content.isOk()) << content.status().message();
  EXPECT_TRUE(content->substr(3, 9'000'000) == placement.data);
  EXPECT_EQ(content->substr(0, 3), std::string(3, '\0'));
  EXPECT_EQ(content->substr(9'000'003), std::string(13, '\0'));
  EXPECT_EQ(lastProgress.bytesDone, 9'000'000u);
}

TEST_P(WeightsTest, OneBatchGoesToSeveralBuffers) {
  Placement placement = makePlacement(600);
  placement.plan.buffers = {{"even", fb::BufferPurpose::Weights, 304}, {"odd", fb::BufferPurpose::Weights, 304}};
  std::string expected[2];
  for (uint64_t i = 0; i < 20; ++i) {
    placement.plan.weights.push_back(
        {"w" + std::to_string(i), 0, dataStart(placement) + i * 30, 3, 10, 10, uint32_t(i % 2), i / 2 * 30});
    expected[i % 2] += placement.data.substr(i * 30, 30);
  }
  Result<std::string> content = load(placement);
  ASSERT_TRUE(content.isOk()) << content.status().message();
  EXPECT_EQ(*content, expected[0] + std::string(4, '\0') + expected[1] + std::string(4, '\0'));
}

/// Pages of \p path that the system holds in memory.
size_t residentPages(const std::string &path, size_t sizeBytes) {
  int descriptor = ::open(path.c_str(), O_RDONLY);
  void *mapped = ::mmap(nullptr, sizeBytes, PROT_READ, MAP_SHARED, descriptor, 0);
  std::vector<unsigned char> pages((sizeBytes + 4095) / 4096);
  size_t count = 0;
  if (mapped != MAP_FAILED && ::mincore(mapped, sizeBytes, pages.data()) == 0)
    for (unsigned char page : pages)
      count += page & 1;
  if (mapped != MAP_FAILED)
    ::munmap(mapped, sizeBytes);
  ::close(descriptor);
  return count;
}

TEST_P(WeightsTest, LeavesNoPagesOfTheFileBehind) {
  constexpr size_t kSize = 64 << 20;
  Placement placement = makePlacement(kSize);
  placement.plan.buffers = {{"w", fb::BufferPurpose::Weights, kSize}};
  for (uint64_t i = 0; i < 64; ++i)
    placement.plan.weights.push_back(
        {"w" + std::to_string(i), 0, dataStart(placement) + (i << 20), 1, 1 << 20, 1 << 20, 0, i << 20, int32_t(i)});
  std::string path = folder.path("model.safetensors");
  size_t all = placement.file.size() / 4096, most = 0;
  bool dropsPages = false, keepsPages = false;
  beforeLoading = [&] {
    int descriptor = ::open(path.c_str(), O_RDONLY);
    ::fsync(descriptor); // dirty pages cannot be dropped
    keepsPages = residentPages(path, placement.file.size()) > all / 2;
    ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    dropsPages = residentPages(path, placement.file.size()) < all / 50;
    ::close(descriptor);
  };
  onProgress = [&] { most = std::max(most, residentPages(path, placement.file.size())); };
  Result<std::string> content = load(placement);
  ASSERT_TRUE(content.isOk()) << content.status().message();
  EXPECT_TRUE(content->substr(0, kSize) == placement.data);
  if (!keepsPages || !dropsPages)
    GTEST_SKIP() << "the file system of " << path << " does not drop pages when told to (tmpfs is one that cannot)";
  EXPECT_LT(residentPages(path, placement.file.size()), all / 50);
  EXPECT_LT(most, all * 3 / 4); // four threads of 4 MB, and what was read ahead for them
}

TEST_P(WeightsTest, FileThatShrinksWhileLoadingIsAnError) {
  Placement placement = makePlacement(1000);
  placement.plan.buffers = {{"w", fb::BufferPurpose::Weights, 1000}};
  placement.plan.weights = {{"w", 0, dataStart(placement), 1, 1000, 1000, 0, 0}};
  truncateAfterOpening = true;
  Result<std::string> content = load(placement);
  ASSERT_FALSE(content.isOk());
  EXPECT_NE(content.status().message().find("it is cut; get it again"), std::string::npos)
      << content.status().message();
}

//===----------------------------------------------------------------------===//
// Finding and checking files
//===----------------------------------------------------------------------===//

class WeightFilesTest : public testing::Test {
protected:
  Result<std::vector<File>> open(const std::string &weights = "") {
    plan = *Plan::fromBytes(source.encodeFile(), folder.path());
    return openWeightFiles(*plan, {weights, ""});
  }
  TestPlan source = fakeModel();
  std::string file = fakeCheckpoint(source);
  TemporaryFolder folder;
  std::shared_ptr<const Plan> plan;
};

TEST_F(WeightFilesTest, FindsThemByThePlanThenByTheGraphThenByTheOption) {
  TemporaryFolder other;
  other.write("model.safetensors", file);
  EXPECT_REFUSED(open(), "found no 'model.safetensors' in '" + folder.path() +
                             "/.', expected the checkpoint's weights, pass --weights DIR");
  EXPECT_TRUE(open(other.path()).isOk());
  source.graphFolder = other.path();
  EXPECT_TRUE(open().isOk());
  source.graphFolder = "";
  source.checkpointPath = other.path();
  EXPECT_TRUE(open().isOk());
  source.checkpointPath = ".";
  folder.write("model.safetensors", file);
  EXPECT_TRUE(open().isOk());
}

TEST_F(WeightFilesTest, RefusesAnotherSize) {
  folder.write("model.safetensors", file + "x");
  EXPECT_REFUSED(open(), "has 107 bytes, expected 106, give the checkpoint that the plan was compiled for");
}

TEST_F(WeightFilesTest, RefusesAnotherHeader) {
  file[20] ^= 1;
  folder.write("model.safetensors", file);
  EXPECT_REFUSED(open(), "has another header than the plan knows");
}

} // namespace
