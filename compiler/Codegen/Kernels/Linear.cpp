//===- Linear.cpp - What the skeletons of matrix products share, and the f32 tile product ------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

uint64_t Linear::inputBytes() const {
  if (prologue == LinearPrologue::CombineSplits)
    return uint64_t(combineHeads) * combineSplits * (k / combineHeads + 2) * 4;
  return uint64_t(rows.max) * k * elemBytes(input);
}

std::string Linear::suffix() const {
  std::string name = "_n" + std::to_string(n) + (accumulators > 1 ? "x" + std::to_string(accumulators) : "") + "_k" +
                     std::to_string(k) + weights().suffix();
  if (rows.cellOffset)
    name += "_r" + std::to_string(rows.max);
  if (prologue == LinearPrologue::RmsNorm)
    name += "_rms_norm" + parameterTag({eps});
  if (prologue == LinearPrologue::CombineSplits)
    name += "_combine" + std::to_string(combineHeads) + "x" + std::to_string(combineSplits);
  if (std::string body = bodyName(*epilogue); !body.empty())
    name += "_" + body;
  for (const Extra &extra : extras)
    name += std::string(extra.broadcast ? "_b" : "_e") + (extra.elem == Elem::BF16 ? "bf16" : "f32");
  if (input == Elem::BF16)
    name += "_xbf16";
  if (output == Elem::BF16)
    name += "_ybf16";
  return name;
}

LinearOperands declareOperands(KernelBuilder &k, const Linear &linear) {
  LinearOperands ops;
  uint64_t outputs = uint64_t(linear.rows.max) * linear.n;
  ops.x = k.operand("x", Access::Read, linear.inputBytes());
  if (linear.prologue == LinearPrologue::RmsNorm)
    ops.norm = k.operand("norm", Access::Read, weightBytes(1, linear.k));
  if (linear.needsState())
    ops.state = k.operand("state", Access::Read, linear.state.bytes());
  for (unsigned i = 0; i < linear.accumulators; ++i)
    ops.weights.push_back(k.operand("weight" + std::to_string(i), Access::Read, linear.weights().bytes(linear.n)));
  for (auto [i, extra] : llvm::enumerate(linear.extras))
    ops.extras.push_back(k.operand("extra" + std::to_string(i), Access::Read,
                                   (extra.broadcast ? linear.n : outputs) * elemBytes(extra.elem)));
  ops.y = k.operand("y", Access::Write, outputs * elemBytes(linear.output));
  return ops;
}

LogicalResult storeResults(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row, Val column,
                           ArrayRef<Vals> accumulators) {
  unsigned count = accumulators[0].size();
  Val index = linear.rows.max == 1 ? column : row * linear.n + column;
  SmallVector<Vals> extras;
  for (auto [buffer, extra] : llvm::zip_equal(ops.extras, linear.extras))
    extras.push_back(k.load(buffer, extra.elem, extra.broadcast ? column : index, count));
  Vals results;
  for (unsigned i = 0; i < count; ++i) {
    Vals arguments;
    for (const Vals &accumulator : accumulators)
      arguments.push_back(accumulator[i]);
    for (const Vals &extra : extras)
      arguments.push_back(extra[i]);
    FailureOr<Val> value = emitBody(k, *linear.epilogue, arguments);
    if (failed(value))
      return failure();
    results.push_back(*value);
  }
  k.store(ops.y, linear.output, index, results);
  return success();
}

//===------------------------------------------------------------------------------------------------------------===//
// f32 tiles
//===------------------------------------------------------------------------------------------------------------===//

namespace {

constexpr uint32_t kTile = 64;    // rows and columns of one workgroup
constexpr uint32_t kDepth = 16;   // elements of k staged at once
constexpr uint32_t kThreads = 16; // invocations along each side; each computes 4x4 outputs, 16 apart
constexpr uint32_t kPerThread = kTile / kThreads;
constexpr uint32_t kPitch = kDepth / 4 + 1; // vec4 per staged row; the odd pitch keeps 16 rows in different banks

/// load(depth) of four elements, zero behind the last of `width` columns.
Vals fourInside(KernelBuilder &k, Val depth, uint32_t width, llvm::function_ref<Vals(Val)> load) {
  Val inside = depth < width;
  Vals values = load(k.select(inside, depth, k.u32(0)));
  for (Val &v : values)
    v = k.select(inside, v, k.f32(0));
  return values;
}

/// Four elements at [row, depth .. depth + 3] of activations of `width` columns; zero behind the last column.
Vals loadFour(KernelBuilder &k, Buffer buffer, Elem elem, Val row, Val depth, uint32_t width) {
  if (accessWidth(width, 4) == 4)
    return fourInside(k, depth, width, [&](Val safe) { return k.load(buffer, elem, row * width + safe, 4); });
  Vals values;
  for (unsigned i = 0; i < 4; ++i) {
    Val column = depth + i;
    Val inside = column < width;
    Val value = k.load(buffer, elem, row * width + k.select(inside, column, k.u32(0)));
    values.push_back(k.select(inside, value, k.f32(0)));
  }
  return values;
}

} // namespace

KernelPlan tileLinearKernel(const Linear &linear, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "gemm" + linear.suffix();
  plan.workgroup = {kThreads * kThreads, 1, 1};
  plan.groups = {(linear.n + kTile - 1) / kTile, (linear.rows.max + kTile - 1) / kTile, 1};
  plan.emit = [=](KernelBuilder &k) -> LogicalResult {
    LinearOperands ops = declareOperands(k, linear);
    Shared tileX = k.shared(Elem::F32, kTile * kPitch, 4);
    SmallVector<Shared> tileW;
    for (unsigned a = 0; a < linear.accumulators; ++a)
      tileW.push_back(k.shared(Elem::F32, kTile * kPitch, 4));

    Val row0 = k.workgroupId(1) * kTile, column0 = k.workgroupId(0) * kTile;
    Val t = k.localIndex(), tx = t % kThreads, ty = t / kThreads;
    Val stageRow = t / 4, stageDepth = (t % 4) * 4; // each invocation stages four elements of each tile
    Val rows = rowCount(k, linear.rows, ops.state);
    LogicalResult result = success();
    k.ifThen(row0 < rows, [&] {
      Val xRow = k.min(row0 + stageRow, rows - 1);
      Val wRow = k.min(column0 + stageRow, k.u32(linear.n - 1));
      Vals zeros(linear.accumulators * kPerThread * kPerThread, k.f32(0));
      Vals sums = k.forLoop(k.u32(0), k.u32(linear.k), k.u32(kDepth), zeros, [&](Val depth0, ArrayRef<Val> carried) {
        k.barrier();
        Val depth = depth0 + stageDepth;
        Val slot = stageRow * kPitch + t % 4;
        k.store(tileX, slot, loadFour(k, ops.x, linear.input, xRow, depth, linear.k));
        for (unsigned a = 0; a < linear.accumulators; ++a) {
          WeightReader reader(k, ops.weights[a], linear.weights());
          // A row may end inside padding: it is zero there.
          k.store(tileW[a], slot,
                  fourInside(k, depth, paddedWidth(linear.k), [&](Val safe) { return reader.loadFour(wRow, safe); }));
        }
        k.barrier();
        Vals acc(carried);
        for (unsigned d = 0; d < kDepth / 4; ++d) {
          SmallVector<Vals> x;
          for (unsigned i = 0; i < kPerThread; ++i)
            x.push_back(k.load(tileX, (ty + i * kThreads) * kPitch + d));
          for (unsigned a = 0; a < linear.accumulators; ++a)
            for (unsigned j = 0; j < kPerThread; ++j) {
              Vals w = k.load(tileW[a], (tx + j * kThreads) * kPitch + d);
              for (unsigned i = 0; i < kPerThread; ++i) {
                Val &sum = acc[(a * kPerThread + i) * kPerThread + j];
                sum = k.dot(x[i], w, sum);
              }
            }
        }
        return acc;
      });
      for (unsigned i = 0; i < kPerThread; ++i)
        for (unsigned j = 0; j < kPerThread; ++j) {
          Val row = row0 + ty + i * kThreads, column = column0 + tx + j * kThreads;
          k.ifThen((row < rows) & (column < linear.n), [&] {
            SmallVector<Vals> accumulators;
            for (unsigned a = 0; a < linear.accumulators; ++a)
              accumulators.push_back({sums[(a * kPerThread + i) * kPerThread + j]});
            if (failed(storeResults(k, linear, ops, row, column, accumulators)))
              result = failure();
          });
        }
    });
    return result;
  };
  return plan;
}

} // namespace qwenc
