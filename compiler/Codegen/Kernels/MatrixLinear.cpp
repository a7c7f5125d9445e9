//===- MatrixLinear.cpp - Matrix products on cooperative matrices ------------------------------------------------===//
//
// 64x64 outputs for each workgroup of four subgroups; a subgroup owns 32x32 as 2x2 matrices of 16x16. Both operands are
// bf16 and are copied through workgroup memory in 16-byte pieces; packed weights wait in registers as they are stored
// and become bf16 on the way into the tile. The accumulators go back through workgroup memory in f32, so that the
// epilogue is the same generated body as everywhere.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

using namespace mlir;

namespace qwenc {

namespace {

constexpr uint32_t kTile = 64, kMatrix = 16;
constexpr uint32_t kSubgroups = 4;
constexpr uint32_t kResultPitch = kTile / 4; // vec4 of f32 per row of results; unpadded, or two tiles pass 48 KiB

class MatrixLinear {
public:
  MatrixLinear(KernelBuilder &k, const Linear &linear)
      : k(k), linear(linear), ops(declareOperands(k, linear)), depth(linear.accumulators == 1 ? 64 : 32),
        pieces(depth / 8), pitch(pieces + 1) {
    tileX = k.shared(Elem::BF16, kTile * pitch, 8);
    for (unsigned a = 0; a < linear.accumulators; ++a) {
      readers.emplace_back(k, ops.weights[a], linear.weights());
      tileW.push_back(k.shared(Elem::BF16, kTile * pitch, 8));
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
    const size_t count = linear.accumulators * 4;
    SmallVector<Value> carried;
    for (size_t i = 0; i < count; ++i)
      carried.push_back(k.matrixZero());
    carried.append(load(k.u32(0)));
    k.forLoopMatrices(k.u32(0), k.u32(rowPieces()), k.u32(pieces), carried,
                      [&](Val piece0, SmallVectorImpl<Value> &values) {
                        k.barrier();
                        store(ArrayRef<Value>(values).drop_front(count));
                        k.barrier();
                        SmallVector<Value> next = load(piece0 + pieces);
                        MutableArrayRef<Value> sums = MutableArrayRef<Value>(values).take_front(count);
                        for (uint32_t step = 0; step < depth / kMatrix; ++step)
                          multiplyStep(step, sums);
                        std::copy(next.begin(), next.end(), values.begin() + count);
                      });
    for (unsigned a = 0; a < linear.accumulators; ++a)
      for (uint32_t i = 0; i < 2; ++i)
        for (uint32_t j = 0; j < 2; ++j) {
          Val row = quarterRow() + i * kMatrix, column = quarterColumn() + j * kMatrix;
          k.matrixStore(results[a], row * kResultPitch + column / 4, kResultPitch, carried[(a * 2 + i) * 2 + j]);
        }
  }

  uint32_t rowPieces() const { return linear.k / 8; }

  /// For each piece this invocation stages: body(place in the tile, row of the tile, piece of the row).
  void forPieces(llvm::function_ref<void(Val, Val, Val)> body) {
    for (uint32_t part = 0; part < kTile * pieces; part += k.invocations()) {
      Val slot = t + part;
      body(slot / pieces * pitch + slot % pieces, slot / pieces, slot % pieces);
    }
  }

  /// The pieces of the stage that begins at `piece0`, in the order in which store() takes them; zero behind the row's
  /// end.
  SmallVector<Value> load(Val piece0) {
    SmallVector<Value> raw;
    forPieces([&](Val, Val row, Val piece) {
      Val at = piece0 + piece;
      Val safe = k.min(at, k.u32(rowPieces() - 1));
      bool ends = linear.k % depth != 0;
      Value x = k.loadRaw16(ops.x, k.min(row0 + row, rows - 1) * rowPieces() + safe);
      raw.push_back(ends ? k.zeroUnless16(at < rowPieces(), x) : x);
      for (WeightReader &reader : readers) {
        Val weightRow = k.min(column0 + row, k.u32(linear.n - 1));
        if (ends)
          reader.loadEightIf(at < rowPieces(), weightRow, safe, raw);
        else
          reader.loadEight(weightRow, safe, raw);
      }
    });
    return raw;
  }

  void store(ArrayRef<Value> raw) {
    forPieces([&](Val place, Val, Val) {
      k.storeRaw16(tileX, place, raw.front());
      raw = raw.drop_front();
      for (auto [reader, tile] : llvm::zip_equal(readers, tileW)) {
        reader.storeEight(tile, place, raw.take_front(reader.eightSize()));
        raw = raw.drop_front(reader.eightSize());
      }
    });
  }

  void multiplyStep(uint32_t step, MutableArrayRef<Value> sums) {
    const uint32_t piece = step * kMatrix / 8;
    SmallVector<Value> x;
    for (uint32_t i = 0; i < 2; ++i)
      x.push_back(k.matrixLoad(tileX, (quarterRow() + i * kMatrix) * pitch + piece, pitch, MatrixUse::A));
    for (unsigned a = 0; a < linear.accumulators; ++a)
      for (uint32_t j = 0; j < 2; ++j) {
        Value w = k.matrixLoad(tileW[a], (quarterColumn() + j * kMatrix) * pitch + piece, pitch, MatrixUse::B);
        for (uint32_t i = 0; i < 2; ++i) {
          Value &sum = sums[(a * 2 + i) * 2 + j];
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
  uint32_t depth;  // elements of k staged at once: two accumulators leave workgroup memory for fewer
  uint32_t pieces; // 16-byte pieces per staged row
  uint32_t pitch;  // of a staged row in pieces; odd, against bank conflicts
  Shared tileX;
  SmallVector<Shared> tileW, results;
  std::vector<WeightReader> readers;
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
