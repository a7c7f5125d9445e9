//===- WeightPiecesTest.cpp - Cutting and joining weights ---------------------------------------------------------===//
#include "runtime/lib/WeightPieces.h"
#include "TestPlan.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

using namespace qwenrt;
using namespace qwenrt::test;

namespace {

class WeightPiecesTest : public testing::Test {
protected:
  void cut() {
    bytes = plan.encode();
    pieces = cutWeights(*fb::GetPlan(bytes.data()));
  }

  /// Every byte of every weight belongs to one piece, and every piece to one batch of one file.
  void expectComplete() {
    std::map<const fb::WeightBinding *, uint64_t> done;
    size_t next = 0;
    uint64_t fileBytes = 0;
    for (const WeightBatch &batch : pieces.batches) {
      ASSERT_EQ(batch.firstPiece, next);
      ASSERT_GT(batch.pieceCount, 0u);
      next += batch.pieceCount;
      uint64_t used = 0;
      for (const WeightPiece &piece : pieces.of(batch)) {
        ASSERT_EQ(piece.weight->file(), pieces.of(batch).front().weight->file());
        ASSERT_EQ(piece.begin, done[piece.weight]);
        ASSERT_GT(piece.end, piece.begin);
        done[piece.weight] = piece.end;
        fileBytes += piece.fileBytes();
        ASSERT_GE(piece.stagingOffset, used);
        ASSERT_EQ(piece.stagingOffset % 16, 0u);
        used = piece.stagingOffset + piece.placedBytes();
        ASSERT_LE(used, kBatchBytes);
      }
    }
    EXPECT_EQ(next, pieces.pieces.size());
    EXPECT_EQ(fileBytes, pieces.fileBytes);
    const fb::Plan &root = *fb::GetPlan(bytes.data());
    for (const fb::WeightBinding *weight : *root.weights())
      ASSERT_EQ(done[weight], weight->rows() * weight->pitch_bytes());
  }

  TestPlan plan;
  std::vector<std::byte> bytes;
  WeightPieces pieces;
};

/// The experts of Qwen3-Omni's thinker: 48 layers of 128 experts with three matrices of 768 x 2048 in BF16.
TEST_F(WeightPiecesTest, FillsBatchesOfTenThousandsOfExperts) {
  constexpr uint64_t kBytes = 768 * 2048 * 2, kPerFile = 1229;
  for (int i = 0; i < 15; ++i)
    plan.files.push_back({"part" + std::to_string(i), 1000 + kPerFile * kBytes, 992, 0});
  for (int i = 0; i < 48; ++i)
    plan.buffers.push_back({"layer" + std::to_string(i), fb::BufferPurpose::Weights, 384 * kBytes});
  for (uint64_t i = 0; i < 48 * 128 * 3; ++i)
    plan.weights.push_back({"experts", uint32_t(i / kPerFile), 1000 + i % kPerFile * kBytes, 768, 4096, 4096,
                            uint32_t(i / 384), i % 384 * kBytes, int32_t(i / 384)});
  cut();
  expectComplete();
  EXPECT_TRUE(verifyPlan(bytes, {.checkTrailer = false}).isOk())
      << verifyPlan(bytes, {.checkTrailer = false}).message();
  EXPECT_EQ(pieces.fileBytes, 48 * 128 * 3 * kBytes);
  EXPECT_EQ(pieces.layers, 48);
  EXPECT_LE(pieces.batches.size(), pieces.fileBytes / kBatchBytes * 102 / 100); // nearly all of them are full
}

TEST_F(WeightPiecesTest, JoinsSmallWeightsAndKeepsFilesApart) {
  for (uint32_t i = 0; i < 1000; ++i)
    plan.weights.push_back({"w", i % 2, 1000 + i * 64, 3, 5, 8, 0, i * 32, -1});
  cut();
  expectComplete();
  EXPECT_EQ(pieces.batches.size(), 2u);
  EXPECT_EQ(pieces.layers, 0);
}

TEST_F(WeightPiecesTest, CutsPaddingAndRowsAnywhere) {
  plan.weights.push_back({"gaps", 0, 1000, 5, 3, 3'000'001, 0, 0, INT32_MAX});
  plan.weights.push_back({"rows", 0, 2000, 4001, 5003, 5008, 0, 15'000'005, 7});
  cut();
  expectComplete();
  EXPECT_EQ(pieces.fileBytes, 15u + 4001 * 5003);
}

TEST_F(WeightPiecesTest, NothingToCut) {
  cut();
  EXPECT_TRUE(pieces.batches.empty());
}

TEST(CopyStreaming, CopiesEveryAlignmentAndNothingElse) {
  std::vector<std::byte> source(512), target(768);
  for (size_t i = 0; i < source.size(); ++i)
    source[i] = std::byte(1 + i % 251);
  for (size_t from = 0; from < 3; ++from)
    for (size_t to = 0; to < 70; ++to)
      for (size_t size : {0, 1, 15, 63, 64, 65, 128, 200, 500}) {
        std::fill(target.begin(), target.end(), std::byte(0xee));
        copyStreaming(target.data() + to, source.data() + from, size);
        ASSERT_EQ(std::memcmp(target.data() + to, source.data() + from, size), 0) << from << " " << to << " " << size;
        ASSERT_TRUE(to == 0 || target[to - 1] == std::byte(0xee));
        ASSERT_EQ(target[to + size], std::byte(0xee)) << from << " " << to << " " << size;
      }
}

} // namespace
