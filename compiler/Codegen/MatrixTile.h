//===- MatrixTile.h - How a matrix product is divided among workgroups --------------------------------*- C++ -*-===//
//
// A product on cooperative matrices can be cut into few large tiles, which read each operand less often, or into many
// small ones, which keep all cores of the device busy. Which is faster depends on the shape: 512x4096 fills 132 cores
// with 128 tiles of 128x128, 512x1024 only with tiles of 64x64. A small cost model compares the candidates.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Target/TargetProfile.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace qwenc {

/// result[rows, n] = x[rows, k] times `accumulators` matrices W_i[n, k].
struct MatrixProduct {
  uint32_t rows = 0, n = 0, k = 0;
  uint32_t accumulators = 1;
  uint32_t tileRows = 0; ///< > 0: the rows are cut into tiles of so many already
  bool scaled = false;   ///< x is f32, and every row of x and of W_i is staged at a scale of its own
};

/// The part of a product that one workgroup computes, and how. Sides are in elements.
struct MatrixTile {
  uint32_t rows = 0, columns = 0;                 ///< results of the workgroup; columns of each accumulator
  uint32_t subgroupRows = 0, subgroupColumns = 0; ///< the part of one subgroup: a multiple of 16, one of 32
  uint32_t depth = 0;                             ///< elements of k staged at once, a multiple of 16
  uint32_t ahead = 1;                             ///< stages that wait in registers, a multiple of `buffers`
  uint32_t buffers = 1;                           ///< stages in workgroup memory; 2 save a barrier per stage

  uint32_t subgroups() const { return (rows / subgroupRows) * (columns / subgroupColumns); }
  uint32_t pieces() const { return depth / 8; }   ///< 16-byte pieces of a staged row of bf16
  uint32_t pitch() const { return pieces() + 1; } ///< of a staged row in pieces; odd, against bank conflicts
  uint32_t stageRows(uint32_t accumulators) const { return rows + accumulators * columns; }
  uint32_t stagePieces(uint32_t accumulators) const { return stageRows(accumulators) * pitch(); }

  /// Results leave through a strip of workgroup memory per subgroup: 16 rows, these columns of each accumulator.
  static constexpr uint32_t stripColumns() { return 32; }
  /// Pieces of a strip's row; the two behind the results keep the rows of a matrix store in different banks.
  uint32_t stripPitch(uint32_t accumulators) const { return accumulators * stripColumns() / 4 + 2; }
  /// 16-byte pieces of workgroup memory: the strips take the place of the stages.
  uint32_t sharedPieces(uint32_t accumulators) const {
    return std::max(buffers * stagePieces(accumulators), subgroups() * 16 * stripPitch(accumulators));
  }
};

/// Relative time of the whole product on \p target.
double matrixTileCost(const MatrixTile &tile, const MatrixProduct &product, const TargetProfile &target);

/// The cheapest tile that fits the target, or none.
std::optional<MatrixTile> chooseMatrixTile(const MatrixProduct &product, const TargetProfile &target);

} // namespace qwenc
