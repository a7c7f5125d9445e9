//===- PackerTest.cpp - From the checkpoint to the packed file of a plan, and finding it --------------------------===//
#include "tools/qwen-pack/Packer.h"

#include "models/Checkpoint/Safetensors.h"
#include "models/Packing/BlockFormat.h"
#include "models/Packing/PackedFile.h"
#include "runtime/lib/Text.h"
#include "runtime/lib/WeightFiles.h"
#include "runtime/schema/Fnv1a.h"
#include "test/Checkpoint/TemporaryFolder.h"
#include "test/Runtime/TestPlan.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

using namespace qwenc;
using namespace qwenrt::test;
using qwenc::test::TemporaryFolder;
using qwenrt::File;
using qwenrt::Plan;
namespace fb = qwenrt::fb;

namespace {

constexpr uint64_t kRows = 70, kColumns = 64;

/// A checkpoint of two bf16 matrices, and a plan that wants the first as q8 and the second as q4.
class PackerTest : public testing::Test {
protected:
  PackerTest() {
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0, 1);
    for (uint64_t i = 0; i < 2 * kRows * kColumns; ++i) {
      float weight = normal(random);
      uint32_t bits;
      std::memcpy(&bits, &weight, 4);
      weights.push_back(static_cast<uint16_t>(bits >> 16));
    }
    writeCheckpoint();
    plan.buffers = {{"w", fb::BufferPurpose::Weights, 1 << 16}};
    plan.weights = {binding("weight.a", WeightFormat::Q8, 0), binding("weight.b", WeightFormat::Q4, 1)};
    layOut();
  }

  void writeCheckpoint(const std::string &name = "a") {
    std::string data(reinterpret_cast<const char *>(weights.data()), weights.size() * 2);
    std::string json = R"({")" + name + R"(":{"dtype":"BF16","shape":[140,64],"data_offsets":[0,17920]}})";
    std::string file = safetensorsFile(json, data);
    folder.write("model.safetensors", file);
    dataStart = 8 + json.size();
    if (plan.files.empty())
      plan.files = {{"model.safetensors", file.size(), json.size(), qwenrt::fnv1a(file.data(), dataStart)}};
  }

  TestWeight binding(const std::string &name, WeightFormat format, uint64_t ordinal) const {
    TestWeight weight{name, 1, 0, kRows, storedRowBytes(format, kColumns), rowPitchBytes(format, kColumns), 0};
    weight.bufferOffset = ordinal << 15;
    weight.format = fb::WeightFormat(format);
    weight.sourceOffset = dataStart + ordinal * kRows * kColumns * 2;
    return weight;
  }

  /// What the compiler says about the packed file.
  void layOut() {
    PackedWeight packed[2] = {{"weight.a", kRows, kColumns, WeightFormat::Q8},
                              {"weight.b", kRows, kColumns, WeightFormat::Q4}};
    uint64_t checkpoint[1] = {plan.files[0].headerHash};
    layout = *layOutPackedFile(packed, checkpoint);
    plan.files.resize(1);
    plan.files.push_back({"packed.safetensors", layout.sizeBytes, layout.headerBytes(), layout.headerHash, true});
    plan.weights[0].fileOffset = layout.offsetsBytes[0];
    plan.weights[1].fileOffset = layout.offsetsBytes[1];
  }

  std::shared_ptr<const Plan> opened() const {
    auto result = Plan::fromBytes(plan.encodeFile(), folder.path());
    EXPECT_TRUE(result.isOk()) << result.status().message();
    return *result;
  }
  qwenrt::Result<PackStatistics> pack(const std::string &name, unsigned threads = 2) const {
    return packWeights(*opened(), folder.path(name), {.threads = threads});
  }
  qwenrt::Result<std::vector<File>> open(const qwenrt::WeightPaths &paths = {}) const {
    return qwenrt::openWeightFiles(*opened(), paths);
  }

  TestPlan plan;
  TemporaryFolder folder;
  std::vector<uint16_t> weights;
  uint64_t dataStart = 0;
  PackedLayout layout;
};

TEST_F(PackerTest, WritesWhatTheRowsPackTo) {
  auto statistics = pack("packed");
  ASSERT_TRUE(statistics.isOk()) << statistics.status().message();
  EXPECT_EQ(statistics->weights, 2u);
  EXPECT_EQ(statistics->parameters, 2 * kRows * kColumns);
  EXPECT_EQ(statistics->packedBytes, kRows * (68 + 36));
  std::string file = folder.read("packed");
  ASSERT_EQ(file.size(), layout.sizeBytes);
  for (const TestWeight &weight : plan.weights)
    for (uint64_t row = 0; row < kRows; ++row) {
      std::vector<std::byte> stored(weight.rowBytes);
      size_t first = (weight.sourceOffset - dataStart) / 2 + row * kColumns;
      packRow(WeightFormat(weight.format), std::span(weights).subspan(first, kColumns), stored);
      ASSERT_EQ(std::memcmp(stored.data(), file.data() + weight.fileOffset + row * weight.rowBytes, stored.size()), 0)
          << weight.name << " row " << row;
    }
}

TEST_F(PackerTest, TheFileIsSafetensorsAndNamesTheCheckpoint) {
  ASSERT_TRUE(pack("packed").isOk());
  auto header = readSafetensorsHeader(folder.path("packed"));
  ASSERT_TRUE(header.isOk()) << header.status().message();
  EXPECT_EQ(header->headerHash, layout.headerHash);
  ASSERT_TRUE(header->tensors.contains("a.q8") && header->tensors.contains("b.q4"));
  EXPECT_EQ(header->tensors["a.q8"].shape, (std::vector<uint64_t>{kRows, 68}));
  EXPECT_EQ(header->tensors["b.q4"].dtype, StoredDType::U8);
  uint64_t checkpoint[1] = {plan.files[0].headerHash};
  char expected[40];
  std::snprintf(expected, sizeof expected, "fnv1a64:%016llx",
                static_cast<unsigned long long>(qwenrt::checkpointHash(checkpoint)));
  EXPECT_EQ(header->metadata["checkpoint"], expected);
}

TEST_F(PackerTest, TheBytesDoNotDependOnTheThreads) {
  // Several chunks of 4 MB for each weight.
  constexpr uint64_t kManyRows = 3001, kManyColumns = 4096;
  std::vector<uint16_t> many(kManyRows * kManyColumns);
  std::mt19937 random(5);
  for (uint16_t &weight : many)
    weight = static_cast<uint16_t>(random() & 0x8000) | static_cast<uint16_t>(0x3c00 + random() % 0x300);
  std::string json = R"({"m":{"dtype":"BF16","shape":[3001,4096],"data_offsets":[0,24584192]}})";
  std::string file = safetensorsFile(json, {reinterpret_cast<const char *>(many.data()), many.size() * 2});
  folder.write("model.safetensors", file);
  plan.files = {{"model.safetensors", file.size(), json.size(), qwenrt::fnv1a(file.data(), 8 + json.size())}};
  PackedWeight weight[1] = {{"m", kManyRows, kManyColumns, WeightFormat::Q8}};
  uint64_t checkpoint[1] = {plan.files[0].headerHash};
  PackedLayout many8 = *layOutPackedFile(weight, checkpoint);
  plan.files.push_back({"packed.safetensors", many8.sizeBytes, many8.headerBytes(), many8.headerHash, true});
  uint64_t rowBytes = storedRowBytes(WeightFormat::Q8, kManyColumns);
  plan.weights = {{"m", 1, many8.offsetsBytes[0], kManyRows, rowBytes, rowBytes, 0, 0, -1, fb::WeightFormat::Q8, 0,
                   8 + json.size()}};
  plan.buffers[0].sizeBytes = kManyRows * rowBytes;
  ASSERT_TRUE(pack("one", 1).isOk());
  for (unsigned threads : {2u, 5u, maxPackThreads}) {
    ASSERT_TRUE(pack("more", threads).isOk());
    EXPECT_TRUE(folder.read("more") == folder.read("one")) << threads << " threads";
  }
}

TEST_F(PackerTest, WeightsThatAreNotFiniteAreNamedAndLeaveNoFile) {
  weights[kRows * kColumns + 3 * kColumns + 9] = 0x7fc0;
  writeCheckpoint();
  EXPECT_REFUSED(pack("packed"), "'weight.b' holds an infinity or NaN in row 3, column 9, expected finite weights, "
                                 "compile the plan with --weights-format bf16");
  EXPECT_EQ(folder.fileCount(), 1u);
}

TEST_F(PackerTest, RefusesAnotherCheckpoint) {
  writeCheckpoint("b");
  EXPECT_REFUSED(pack("packed"), "has another header than the plan knows");
  EXPECT_EQ(folder.fileCount(), 1u);
}

TEST_F(PackerTest, RefusesAPlanWithoutQuantisedWeights) {
  plan.weights.clear();
  EXPECT_REFUSED(pack("packed"), "plan has no quantised weights, expected one compiled with --weights-format q8 or q4");
}

TEST_F(PackerTest, RefusesAPlanWithAnotherLayout) {
  plan.weights[1].fileOffset -= 2;
  EXPECT_REFUSED(pack("packed"), "plan describes another packed file than this qwen-pack writes");
  plan.weights[1].fileOffset += 2;
  plan.files[1].headerHash ^= 1;
  EXPECT_REFUSED(pack("packed"), "compile the plan with the qwenc of this version");
}

TEST_F(PackerTest, NeverReplacesTheCheckpoint) {
  auto refused = pack("model.safetensors");
  EXPECT_REFUSED(refused, "is a file of the checkpoint, expected another name");
  EXPECT_EQ(refused.status().code(), StatusCode::InvalidUsage);
}

TEST_F(PackerTest, RefusesSizesThatNoFileHas) {
  PackedWeight weight[2] = {{"a", uint64_t(1) << 60, 32, WeightFormat::Q8}, {"b", 1, 32, WeightFormat::Q8}};
  EXPECT_REFUSED(layOutPackedFile(weight, {}), "packed weights up to 'a' exceed 2^62 bytes");
  weight[0].rows = 1;
  weight[1].name = "a";
  EXPECT_REFUSED(layOutPackedFile(weight, {}), "is taken");
}

//===----------------------------------------------------------------------===//
// Finding the file again
//===----------------------------------------------------------------------===//

TEST_F(PackerTest, IsFoundBesideThePlanUnderAnyName) {
  EXPECT_REFUSED(open(), "found no packed weights of this plan in '" + folder.path() + "' and '" + folder.path() +
                             "/.', expected the file that qwen-pack writes, run qwen-pack PLAN -o FILE or pass "
                             "--weights FILE");
  ASSERT_TRUE(pack("anything").isOk());
  folder.write("same-size", std::string(layout.sizeBytes, 'x'));
  auto files = open();
  ASSERT_TRUE(files.isOk()) << files.status().message();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_NE((*files)[1].path().find("/anything"), std::string::npos);
}

TEST_F(PackerTest, IsFoundInTheCheckpointsFolderAndByPath) {
  TemporaryFolder other;
  ASSERT_TRUE(packWeights(*opened(), other.path("packed"), {}).isOk());
  EXPECT_FALSE(open().isOk());
  EXPECT_TRUE(open({.weights = other.path("packed")}).isOk());
  EXPECT_TRUE(open({.packed = other.path("packed")}).isOk());
  EXPECT_TRUE(open({.weights = folder.path(), .packed = other.path("packed")}).isOk());
  other.write("model.safetensors", folder.read("model.safetensors"));
  EXPECT_TRUE(open({.weights = other.path()}).isOk());
}

TEST_F(PackerTest, RefusesAFileThatWasCut) {
  ASSERT_TRUE(pack("packed").isOk());
  std::string whole = folder.read("packed");
  folder.write("packed", whole.substr(0, whole.size() - 1));
  EXPECT_REFUSED(open({.packed = folder.path("packed")}), "it is cut or longer than it says, run qwen-pack again");
  EXPECT_REFUSED(open(), "found no packed weights of this plan");
  folder.write("packed", whole.substr(0, 20));
  EXPECT_REFUSED(open({.packed = folder.path("packed")}), "names no checkpoint, expected a file written by qwen-pack");
  folder.write("packed", "");
  EXPECT_REFUSED(open({.packed = folder.path("packed")}), "names no checkpoint");
}

TEST_F(PackerTest, RefusesAFilePackedFromAnotherCheckpoint) {
  uint64_t foreign[1] = {123};
  PackedWeight packed[1] = {{"weight.a", kRows, kColumns, WeightFormat::Q8}};
  PackedLayout other = *layOutPackedFile(packed, foreign);
  folder.write("packed", other.header);
  EXPECT_REFUSED(open({.packed = folder.path("packed")}), "was packed from checkpoint ");
  EXPECT_REFUSED(open({.packed = folder.path("packed")}), ", run qwen-pack with the plan's checkpoint");
}

TEST_F(PackerTest, RefusesAFilePackedForAnotherPlan) {
  uint64_t checkpoint[1] = {plan.files[0].headerHash};
  PackedWeight packed[1] = {{"weight.a", kRows, kColumns, WeightFormat::Q4}};
  folder.write("packed", layOutPackedFile(packed, checkpoint)->header);
  EXPECT_REFUSED(open({.packed = folder.path("packed")}), "was packed for another plan of this checkpoint");
}

//===----------------------------------------------------------------------===//
// Plans that describe packed weights badly
//===----------------------------------------------------------------------===//

struct Breakage {
  const char *name;
  std::function<void(TestPlan &)> apply;
  const char *message;
};

TEST_F(PackerTest, ThePlanVerifierRefusesBrokenFields) {
  const Breakage breakages[] = {
      {"second packed file", [](TestPlan &p) { p.files[0].packed = true; }, "is packed and not the last one"},
      {"unknown format", [](TestPlan &p) { p.weights[0].format = fb::WeightFormat(9); }, "has format 9"},
      {"bf16 in the packed file", [](TestPlan &p) { p.weights[0].format = fb::WeightFormat::BF16; },
       "has format bf16, expected a packed one in the packed file"},
      {"no packed file", [](TestPlan &p) { p.files[1].packed = false; },
       "has format q8, expected bf16 in a file of the checkpoint"},
      {"parts of blocks", [](TestPlan &p) { p.weights[0].rowBytes = 67; }, "expected whole blocks of its format"},
      {"packed from itself", [](TestPlan &p) { p.weights[0].sourceFile = 1; },
       "comes from file 1, expected the ordinal of a file of the checkpoint"},
      {"no such source", [](TestPlan &p) { p.weights[0].sourceFile = 7; }, "comes from file 7"},
      {"source in the header", [](TestPlan &p) { p.weights[0].sourceOffset = 8; }, "is packed from 70 rows of 64"},
      {"source behind the end", [](TestPlan &p) { p.weights[1].sourceOffset += 2; }, "is packed from 70 rows of 64"},
      {"source far away", [](TestPlan &p) { p.weights[1].sourceOffset = UINT64_MAX; }, "is packed from 70 rows"},
  };
  ASSERT_TRUE(Plan::fromBytes(plan.encodeFile(), ".").isOk());
  for (const Breakage &breakage : breakages) {
    SCOPED_TRACE(breakage.name);
    TestPlan broken = plan;
    breakage.apply(broken);
    EXPECT_REFUSED(Plan::fromBytes(broken.encodeFile(), "."), breakage.message);
  }
}

} // namespace
