//===- MatrixTile.cpp - How a matrix product is divided among workgroups -----------------------------------------===//

#include "compiler/Codegen/MatrixTile.h"

#include "compiler/Codegen/Kernels/RowScales.h"

#include <cmath>

namespace qwenc {

namespace {

// Speeds of one core in its cycles, fitted to 75 products on an H200 (12 % off in the mean); only the ratios matter.
constexpr double kProductsPerCycle = 1400; // of the matrix units
constexpr double kSharedPerCycle = 44;     // bytes from and to workgroup memory: what large tiles wait for
constexpr double kBytesPerCycle = 32;      // from the cache that all cores share
constexpr double kLoadCycles = 1500;       // until a load has arrived: what small products wait for
constexpr double kStageCycles = 160;   // of a stage in which a workgroup makes no progress: barriers, first operands
constexpr double kBarrierCycles = 25;  // of the second barrier of a stage with one buffer
constexpr double kSharedWaits = 6.3;   // how many of these waits a stage has where other workgroups fill some
constexpr double kResultCycles = 0.48; // of a result that leaves

/// What an invocation may keep in sums and in stages that wait, so that operands and addresses still find room.
constexpr uint32_t kRegisters = 192;
constexpr uint32_t kOtherRegisters = 14;

// What the workgroups on one core share.
constexpr uint32_t kCoreRegisters = 65536;
constexpr uint32_t kCoreShared = 4; // times what one workgroup may have

// A subgroup with 64x64 results reads each operand least often from workgroup memory. Other oblong tiles lost to these
// on an H200 wherever they were tried.
constexpr MatrixTile kCandidates[] = {
    {.rows = 128, .columns = 128, .subgroupRows = 64, .subgroupColumns = 64, .depth = 64, .ahead = 1, .buffers = 1},
    {.rows = 128, .columns = 128, .subgroupRows = 32, .subgroupColumns = 64, .depth = 32, .ahead = 2, .buffers = 2},
    {.rows = 128, .columns = 64, .subgroupRows = 64, .subgroupColumns = 32, .depth = 64, .ahead = 1, .buffers = 1},
    {.rows = 64, .columns = 128, .subgroupRows = 32, .subgroupColumns = 64, .depth = 64, .ahead = 1, .buffers = 1},
    {.rows = 64, .columns = 64, .subgroupRows = 32, .subgroupColumns = 32, .depth = 64, .ahead = 2, .buffers = 2},
    {.rows = 64, .columns = 64, .subgroupRows = 32, .subgroupColumns = 32, .depth = 32, .ahead = 2, .buffers = 2},
    {.rows = 64, .columns = 64, .subgroupRows = 32, .subgroupColumns = 32, .depth = 64, .ahead = 1, .buffers = 1},
    {.rows = 64, .columns = 64, .subgroupRows = 32, .subgroupColumns = 32, .depth = 32, .ahead = 1, .buffers = 1},
    {.rows = 32, .columns = 64, .subgroupRows = 16, .subgroupColumns = 32, .depth = 64, .ahead = 2, .buffers = 2},
    {.rows = 32, .columns = 64, .subgroupRows = 16, .subgroupColumns = 32, .depth = 32, .ahead = 1, .buffers = 1},
};

uint32_t ceilDivide(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

/// Registers of an invocation for sums and for the stages that wait.
uint32_t registers(const MatrixTile &tile, const MatrixProduct &product, const TargetProfile &target) {
  uint32_t invocations = tile.subgroups() * target.subgroupSize;
  uint32_t sums = tile.subgroupRows * tile.subgroupColumns * product.accumulators / target.subgroupSize;
  uint32_t inputs = ceilDivide(tile.rows * tile.pieces(), invocations);
  uint32_t weights = product.accumulators * ceilDivide(tile.columns * tile.pieces(), invocations);
  // A piece of f32 is two; scale and largest magnitude stay beside the loop.
  if (product.scaled)
    return sums + tile.ahead * (2 * inputs + weights) * 4 + (inputs + weights) * 2;
  return sums + tile.ahead * (inputs + weights) * 4;
}

uint32_t sharedBytes(const MatrixTile &tile, const MatrixProduct &product) {
  uint32_t scales = product.scaled ? RowScales::sharedBytes(tile.stageRows(product.accumulators), tile.subgroups()) : 0;
  return tile.sharedPieces(product.accumulators) * 16 + scales;
}

bool fits(const MatrixTile &tile, const MatrixProduct &product, const TargetProfile &target) {
  uint32_t invocations = tile.subgroups() * target.subgroupSize;
  if (target.subgroupSize < 16 || target.subgroupSize > 64 || invocations > target.maxWorkgroupInvocations)
    return false;
  // Pieces that are scaled take registers too. On gfx1151 large tiles of deep stages need 192 or 252 of its 256, which
  // halves the waves that 120 leave.
  if (product.scaled && tile.depth > 32 && tile.subgroupRows * tile.subgroupColumns > 32 * 32)
    return false;
  return registers(tile, product, target) <= kRegisters && sharedBytes(tile, product) <= target.maxSharedBytes;
}

/// Workgroups that a core holds at once.
uint32_t residents(const MatrixTile &tile, const MatrixProduct &product, const TargetProfile &target) {
  uint32_t invocations = tile.subgroups() * target.subgroupSize;
  uint32_t byRegisters = kCoreRegisters / (invocations * (registers(tile, product, target) + kOtherRegisters));
  uint32_t byShared = kCoreShared * target.maxSharedBytes / sharedBytes(tile, product);
  return std::max<uint32_t>(1, std::min(byRegisters, byShared));
}

} // namespace

double matrixTileCost(const MatrixTile &tile, const MatrixProduct &product, const TargetProfile &target) {
  double groups = double(ceilDivide(product.rows, tile.rows)) * ceilDivide(product.n, tile.columns);
  double perCore = ceilDivide(static_cast<uint32_t>(std::min(groups, 4e9)), target.computeUnits);
  // Workgroups that a core holds at once fill each other's waits.
  double together = std::min<double>(perCore, residents(tile, product, target));
  double results = double(tile.rows) * tile.columns * product.accumulators;
  double multiply = results * tile.depth / kProductsPerCycle;
  double operands = double(tile.subgroups()) * (tile.subgroupRows + product.accumulators * tile.subgroupColumns);
  double staged = tile.stageRows(product.accumulators);
  double shared = (operands + staged) * tile.depth * 2 / kSharedPerCycle;
  double elements = staged + (product.scaled ? tile.rows : 0); // of 16 bits, for each of k
  double read = elements * tile.depth * 2 / kBytesPerCycle;
  double wait = kStageCycles + (tile.buffers == 1 ? kBarrierCycles : 0);
  double stages = ceilDivide(ceilDivide(product.k, tile.depth), tile.ahead) * tile.ahead;
  double busy = std::max({multiply, shared, read});
  double stage = std::max({together * busy, busy + wait, kLoadCycles / tile.ahead}) + kSharedWaits * wait;
  return perCore * results * kResultCycles + perCore / together * stages * stage;
}

std::optional<MatrixTile> chooseMatrixTile(const MatrixProduct &product, const TargetProfile &target) {
  std::optional<MatrixTile> best;
  double least = 0;
  for (const MatrixTile &tile : kCandidates) {
    if (!fits(tile, product, target) || (product.tileRows && tile.rows != product.tileRows))
      continue;
    double cost = matrixTileCost(tile, product, target);
    if (!best || cost < least) {
      best = tile;
      least = cost;
    }
  }
  return best;
}

} // namespace qwenc
