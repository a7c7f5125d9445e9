//===- MatrixLinear.cpp - Matrix products on cooperative matrices ------------------------------------------------===//
//
// 64x64 outputs for each workgroup of four subgroups; a subgroup owns 32x32 as 2x2 matrices of 16x16. Both operands are
// bf16 and are copied through workgroup memory in 16-byte pieces; the accumulators go back through it in f32, so that
// the epilogue is the same generated body as everywhere.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

using namespace mlir;

namespace qwenc {

namespace {

constexpr uint32_t kTile = 64, kMatrix = 16;
constexpr uint32_t kDepth = 32;          // elements of k staged at once
constexpr uint32_t kPieces = kDepth / 8; // 16-byte pieces per staged row
constexpr uint32_t kPitch = kPieces + 1; // against bank conflicts
constexpr uint32_t kSubgroups = 4;
constexpr uint32_t kResultPitch = kTile / 4; // vec4 of f32 per row of results; unpadded, or two tiles pass 48 KiB

class MatrixLinear {
public:
  MatrixLinear(KernelBuilder &k, const Linear &linear) : k(k), linear(linear), ops(declareOperands(k, linear)) {
    tileX = k.shared(Elem::BF16, kTile * kPitch, 8);
    for (unsigned a = 0; a < linear.accumulators; ++a) {
      tileW.push_back(k.shared(Elem::BF16, kTile * kPitch, 8));
      results.push_back(k.shared(Elem::F32, kTile * kResultPitch, 4));
    }
  }

  LogicalResult emit() {
    row0 = k.workgroupId(1) * kTile;
    column0 = k.workgroupId(0) * kTile;
    t = k.localIndex();
    rows = rowCount(k, linear.rows, ops.state);
    LogicalResult result = success();
    k.ifThen(row0 < rows, [&] {
      multiply();
      k.barrier();
      result = storeTile();
    });
    return result;
  }

private:
  /// Rows and columns of this subgroup's quarter, in elements of the tile.
  Val quarterRow() { return (k.subgroupIndex() / 2) * 32; }
  Val quarterColumn() { return (k.subgroupIndex() % 2) * 32; }

  void multiply() {
    SmallVector<Value> acc(linear.accumulators * 4, Value());
    for (Value &matrix : acc)
      matrix = k.matrixZero();
    k.forLoopMatrices(k.u32(0), k.u32(linear.k / 8), k.u32(kPieces), acc,
                      [&](Val piece0, SmallVectorImpl<Value> &carried) {
                        k.barrier();
                        stage(piece0);
                        k.barrier();
                        for (uint32_t depth = 0; depth < kDepth / kMatrix; ++depth)
                          step(depth, carried);
                      });
    for (unsigned a = 0; a < linear.accumulators; ++a)
      for (uint32_t i = 0; i < 2; ++i)
        for (uint32_t j = 0; j < 2; ++j) {
          Val row = quarterRow() + i * kMatrix, column = quarterColumn() + j * kMatrix;
          k.matrixStore(results[a], row * kResultPitch + column / 4, kResultPitch, acc[(a * 2 + i) * 2 + j]);
        }
  }

  void stage(Val piece0) {
    const uint32_t pieces = linear.k / 8;
    for (uint32_t part = 0; part < kTile * kPieces; part += k.invocations()) {
      Val slot = t + part;
      Val row = slot / kPieces, piece = piece0 + slot % kPieces;
      Val inside = piece < pieces;
      Val safePiece = k.min(piece, k.u32(pieces - 1));
      Val at = row * kPitch + slot % kPieces;
      auto copy = [&](Buffer from, const Shared &to, Val sourceRow) {
        Value raw = k.loadRaw16(from, sourceRow * pieces + safePiece);
        k.storeRaw16(to, at, linear.k % kDepth == 0 ? raw : k.zeroUnless16(inside, raw));
      };
      copy(ops.x, tileX, k.min(row0 + row, rows - 1));
      for (unsigned a = 0; a < linear.accumulators; ++a)
        copy(ops.weights[a], tileW[a], k.min(column0 + row, k.u32(linear.n - 1)));
    }
  }

  void step(uint32_t depth, SmallVectorImpl<Value> &acc) {
    const uint32_t piece = depth * kMatrix / 8;
    SmallVector<Value> x;
    for (uint32_t i = 0; i < 2; ++i)
      x.push_back(k.matrixLoad(tileX, (quarterRow() + i * kMatrix) * kPitch + piece, kPitch, MatrixUse::A));
    for (unsigned a = 0; a < linear.accumulators; ++a)
      for (uint32_t j = 0; j < 2; ++j) {
        Value w = k.matrixLoad(tileW[a], (quarterColumn() + j * kMatrix) * kPitch + piece, kPitch, MatrixUse::B);
        for (uint32_t i = 0; i < 2; ++i) {
          Value &sum = acc[(a * 2 + i) * 2 + j];
          sum = k.matrixMulAdd(x[i], w, sum);
        }
      }
  }

  LogicalResult storeTile() {
    unsigned width = accessWidth(linear.n, 4);
    LogicalResult result = success();
    k.forLoop(t, k.u32(kTile * kTile / 4), k.u32(k.invocations()), [&](Val slot) {
      Val row = row0 + slot / (kTile / 4), column = column0 + (slot % (kTile / 4)) * 4;
      SmallVector<Vals> four;
      for (unsigned a = 0; a < linear.accumulators; ++a)
        four.push_back(k.load(results[a], (slot / (kTile / 4)) * kResultPitch + slot % (kTile / 4)));
      for (unsigned part = 0; part < 4; part += width)
        k.ifThen((row < rows) & (column + part < linear.n), [&] {
          SmallVector<Vals> accumulators;
          for (const Vals &values : four)
            accumulators.push_back(Vals(ArrayRef<Val>(values).slice(part, width)));
          if (failed(storeResults(k, linear, ops, row, column + part, accumulators)))
            result = failure();
        });
    });
    return result;
  }

  KernelBuilder &k;
  const Linear &linear;
  LinearOperands ops;
  Shared tileX;
  SmallVector<Shared> tileW, results;
  Val row0, column0, t, rows;
};

} // namespace

KernelPlan matrixLinearKernel(const Linear &linear, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "gemm_matrix" + linear.suffix();
  plan.workgroup = {kSubgroups * target.subgroupSize, 1, 1};
  plan.groups = {(linear.n + kTile - 1) / kTile, (linear.rows.max + kTile - 1) / kTile, 1};
  plan.emit = [=](KernelBuilder &k) { return MatrixLinear(k, linear).emit(); };
  return plan;
}

} // namespace qwenc
