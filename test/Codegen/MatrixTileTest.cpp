//===- MatrixTileTest.cpp - How matrix products are divided ------------------------------------------------------===//

#include "compiler/Codegen/MatrixTile.h"

#include <gtest/gtest.h>

using namespace qwenc;

namespace {

TargetProfile h200() { return loadTargetProfile("nvidia-h200").value(); }

struct Shape {
  MatrixProduct product;
  uint32_t rows, columns; // of the tile expected
};

uint32_t workgroups(const MatrixTile &tile, const MatrixProduct &product) {
  auto ceilDivide = [](uint32_t a, uint32_t b) { return (a + b - 1) / b; };
  return ceilDivide(product.rows, tile.rows) * ceilDivide(product.n, tile.columns);
}

/// Products of a 512-token chunk of Qwen3-0.6B: each tile gives all of 132 cores but four the same number of
/// workgroups, or half of them one more.
TEST(MatrixTile, FillsTheDevice) {
  const Shape shapes[] = {
      {{512, 4096, 1024, 1}, 128, 128}, // q, k, v
      {{512, 1024, 2048, 1}, 64, 64},   // o
      {{512, 3072, 1024, 2}, 128, 64},  // gate and up: two sums of the large tile do not fit
      {{512, 1024, 3072, 1}, 64, 64},   // down
  };
  for (const Shape &shape : shapes) {
    SCOPED_TRACE(shape.product.n);
    std::optional<MatrixTile> tile = chooseMatrixTile(shape.product, h200());
    ASSERT_TRUE(tile);
    EXPECT_EQ(tile->rows, shape.rows);
    EXPECT_EQ(tile->columns, shape.columns);
    EXPECT_EQ(workgroups(*tile, shape.product) % 64, 0u);
  }
}

/// They read each operand less often.
TEST(MatrixTile, PrefersLargeTilesWhereAllFillTheDevice) {
  std::optional<MatrixTile> tile = chooseMatrixTile({8192, 8192, 4096, 1}, h200());
  ASSERT_TRUE(tile);
  EXPECT_EQ(tile->rows * tile->columns, 128u * 128u);
}

TEST(MatrixTile, FewRowsTakeAFlatTile) {
  std::optional<MatrixTile> tile = chooseMatrixTile({16, 151936, 1024, 1}, h200());
  ASSERT_TRUE(tile);
  EXPECT_EQ(tile->rows, 32u);
}

TEST(MatrixTile, OneGroupBeyondTheCoresCostsWhatASecondOnEachWould) {
  MatrixTile tile = *chooseMatrixTile({512, 4096, 1024, 1}, h200());
  TargetProfile target = h200();
  target.computeUnits = 128;
  double full = matrixTileCost(tile, {512, 4096, 1024, 1}, target);
  double two = matrixTileCost(tile, {512, 8192, 1024, 1}, target);
  EXPECT_GT(two, 1.5 * full);
  EXPECT_EQ(matrixTileCost(tile, {512, 4097, 1024, 1}, target), two);
  EXPECT_EQ(matrixTileCost(tile, {500, 4090, 1024, 1}, target), full);
}

TEST(MatrixTile, WorkgroupsOnOneCoreFillEachOthersWaits) {
  MatrixTile tile = *chooseMatrixTile({512, 1024, 2048, 1}, h200());
  double one = matrixTileCost(tile, {512, 1024, 2048, 1}, h200());
  double three = matrixTileCost(tile, {512, 3072, 2048, 1}, h200());
  EXPECT_GT(three, 1.5 * one);
  EXPECT_LT(three, 2.5 * one);
}

/// A stage that waits in registers is computed, even if the row has none: a row of one stage is better off without.
TEST(MatrixTile, ShortRowsKeepNoStageWaiting) {
  EXPECT_EQ(chooseMatrixTile({512, 1024, 64, 1}, h200())->ahead, 1u);
  EXPECT_EQ(chooseMatrixTile({512, 1024, 2048, 1}, h200())->ahead, 2u);
}

/// A subgroup with 64x64 results and deep stages reads its operands least often, but leaves scaled ones no registers.
TEST(MatrixTile, ScaledProductsHaveSmallSubgroupsOrShallowStages) {
  MatrixProduct product = {3520, 1152, 4304, 1};
  auto resultsOf = [](const MatrixTile &tile) { return tile.subgroupRows * tile.subgroupColumns; };
  EXPECT_EQ(resultsOf(*chooseMatrixTile(product, h200())), 64u * 64u);
  EXPECT_EQ(chooseMatrixTile(product, h200())->depth, 64u);
  product.scaled = true;
  for (uint32_t rows : {64u, 512u, 3520u})
    for (uint32_t accumulators : {1u, 2u}) {
      product.rows = rows;
      product.accumulators = accumulators;
      MatrixTile tile = *chooseMatrixTile(product, h200());
      EXPECT_TRUE(tile.depth <= 32 || resultsOf(tile) <= 32 * 32) << rows << "x" << accumulators;
    }
}

/// f32 operands take twice the registers until they are staged, and the scales of rows some memory.
TEST(MatrixTile, ScaledProductsTakeTheirRoom) {
  TargetProfile target = h200();
  MatrixProduct few = {16, 151936, 1024, 1}, scaledFew = few;
  scaledFew.scaled = true;
  MatrixTile flat = *chooseMatrixTile(few, target);
  EXPECT_GT(matrixTileCost(flat, scaledFew, target), matrixTileCost(flat, few, target));
  MatrixProduct product = {512, 4096, 1024, 1};
  product.scaled = true;
  for (target.maxSharedBytes = 16384; target.maxSharedBytes < 65536; target.maxSharedBytes += 128) {
    std::optional<MatrixTile> fitting = chooseMatrixTile(product, target);
    if (fitting) {
      EXPECT_LE(fitting->sharedPieces(1) * 16 + (fitting->stageRows(1) + fitting->subgroups()) * 4,
                target.maxSharedBytes);
    }
  }
}

/// What the kernel relies on, for any shape and target.
TEST(MatrixTile, IsAlwaysConsistent) {
  TargetProfile target = h200();
  uint32_t found = 0;
  for (uint32_t subgroup : {16u, 32u, 64u})
    for (uint32_t shared : {16384u, 32768u, 49152u, 65536u})
      for (uint32_t accumulators = 1; accumulators <= 4; ++accumulators)
        for (uint32_t rows : {2u, 96u, 512u, 16384u})
          for (uint32_t n : {8u, 1000u, 3072u, 151936u})
            for (uint32_t k : {8u, 1000u, 9000u}) {
              target.subgroupSize = subgroup;
              target.maxSharedBytes = shared;
              std::optional<MatrixTile> tile = chooseMatrixTile({rows, n, k, accumulators}, target);
              if (!tile)
                continue;
              ++found;
              EXPECT_EQ(tile->rows % tile->subgroupRows, 0u);
              EXPECT_EQ(tile->columns % tile->subgroupColumns, 0u);
              EXPECT_EQ(tile->subgroupRows % 16, 0u);
              EXPECT_EQ(tile->subgroupColumns % tile->stripColumns(), 0u);
              EXPECT_EQ(16 * tile->stripColumns() / 4 % subgroup, 0u);
              EXPECT_EQ(tile->depth % 16, 0u);
              EXPECT_EQ(tile->ahead % tile->buffers, 0u);
              EXPECT_LE(tile->sharedPieces(accumulators) * 16, shared);
              EXPECT_LE(tile->subgroups() * subgroup, target.maxWorkgroupInvocations);
            }
  EXPECT_GT(found, 300u);
}

TEST(MatrixTile, NoneWithoutASubgroupSizeOrMemory) {
  TargetProfile target = h200();
  target.subgroupSize = 0;
  EXPECT_FALSE(chooseMatrixTile({512, 4096, 1024, 1}, target));
  target.subgroupSize = 32;
  target.maxSharedBytes = 4096;
  EXPECT_FALSE(chooseMatrixTile({512, 4096, 1024, 1}, target));
}

} // namespace
