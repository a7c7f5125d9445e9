//===- WeightsTest.cpp - Checkpoint files into buffers -----------------------------------------------------------===//
#include "runtime/lib/Weights.h"
#include "TestDevice.h"
#include "TestPlan.h"
#include "runtime/lib/Text.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <cstring>

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

class WeightsTest : public testing::TestWithParam<MemoryKind> {
protected:
  void SetUp() override { SKIP_WITHOUT_DEVICE(); }

  /// Loads \p placement and returns the content of its buffer 0, which held 0xee before.
  Result<std::string> load(const Placement &placement) {
    folder.write("model.safetensors", placement.file);
    QWENRT_ASSIGN_OR_RETURN(std::shared_ptr<const Plan> plan,
                            Plan::fromBytes(placement.plan.encodeFile(), folder.path()));
    detail::DeviceState &device = anyDevice()->state();
    QWENRT_ASSIGN_OR_RETURN(std::unique_ptr<Transfer> transfer, Transfer::create(device));
    std::vector<DeviceBuffer> buffers;
    for (const fb::Buffer *buffer : *plan->root().buffers()) {
      QWENRT_ASSIGN_OR_RETURN(DeviceBuffer made,
                              DeviceBuffer::create(device, buffer->name()->str(), buffer->size_bytes(), GetParam()));
      buffers.push_back(std::move(made));
    }
    std::vector<std::byte> content(buffers[0].sizeBytes(), std::byte(0xee));
    QWENRT_RETURN_IF_ERROR(transfer->write(buffers[0], 0, content));
    QWENRT_ASSIGN_OR_RETURN(std::vector<File> files, openWeightFiles(*plan, {}));
    if (truncateAfterOpening)
      folder.write("model.safetensors", placement.file.substr(0, placement.file.size() - 5));
    QWENRT_RETURN_IF_ERROR(loadWeights(device, *plan, buffers, files, *transfer, 4,
                                       [this](const WeightProgress &progress) { lastProgress = progress; }));
    QWENRT_RETURN_IF_ERROR(transfer->read(buffers[0], 0, content));
    return std::string(reinterpret_cast<const char *>(content.data()), content.size());
  }

  TemporaryFolder folder;
  WeightProgress lastProgress;
  bool truncateAfterOpening = false;
};

INSTANTIATE_TEST_SUITE_P(Paths, WeightsTest, testing::Values(MemoryKind::DeviceMapped, MemoryKind::DeviceOnly),
                         [](const auto &info) { return info.param == MemoryKind::DeviceMapped ? "Mapped" : "Staged"; });

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
