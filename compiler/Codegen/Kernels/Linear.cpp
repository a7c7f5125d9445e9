//===- Linear.cpp - What the skeletons of matrix products share, and the f32 tile product ------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

uint64_t Linear::inputBytes() const {
  if (prologue == LinearPrologue::CombineSplits)
    return SplitShape{combineHeads, combineSplits, k / combineHeads}.bytes();
  return uint64_t(rows.max) * (experts && experts->ownInput ? experts->choices : 1) * k * elemBytes(input);
}

std::string Linear::suffix() const {
  std::string name = "_n" + std::to_string(n) + (accumulators > 1 ? "x" + std::to_string(accumulators) : "") + "_k" +
                     std::to_string(k);
  if (rows.cellOffset)
    name += "_r" + std::to_string(rows.max);
  if (prologue == LinearPrologue::RmsNorm)
    name += "_rms_norm" + parameterTag({eps});
  if (prologue == LinearPrologue::CombineSplits)
    name += "_combine" + std::to_string(combineHeads) + "x" + std::to_string(combineSplits);
  if (experts)
    name += "_experts" + std::to_string(experts->count) + (experts->sum ? "_sum" : "x") +
            std::to_string(experts->choices) + (experts->ownInput ? "" : "_shared");
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
  uint64_t outputs = linear.resultRows() * linear.n;
  ops.x = k.operand("x", Access::Read, linear.inputBytes());
  if (linear.prologue == LinearPrologue::RmsNorm)
    ops.norm = k.operand("norm", Access::Read, weightBytes(1, linear.k));
  if (linear.needsState())
    ops.state = k.operand("state", Access::Read, linear.state.bytes());
  if (linear.experts) {
    uint64_t choices = uint64_t(linear.rows.max) * linear.experts->choices;
    ops.experts = k.operand("experts", Access::Read, choices * 4);
    if (linear.experts->sum)
      ops.routeWeights = k.operand("route_weights", Access::Read, choices * 4);
    if (linear.experts->tiles) {
      ops.order = k.operand("order", Access::Read, choices * 4);
      ops.tiles = k.operand("tiles", Access::Read, uint64_t(linear.experts->tiles) * 16);
    }
  }
  for (unsigned i = 0; i < linear.accumulators; ++i)
    ops.weights.push_back(k.operand("weight" + std::to_string(i), Access::Read, linear.weightBytes()));
  for (auto [i, extra] : llvm::enumerate(linear.extras))
    ops.extras.push_back(k.operand("extra" + std::to_string(i), Access::Read,
                                   (extra.broadcast ? linear.n : outputs) * elemBytes(extra.elem)));
  ops.y = k.operand("y", Access::Write, outputs * elemBytes(linear.output));
  return ops;
}

static Val resultIndex(const Linear &linear, Val row, Val column) {
  return linear.resultRows() == 1 ? column : row * linear.n + column;
}

SmallVector<Vals> loadExtras(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row, Val column,
                             unsigned count) {
  SmallVector<Vals> extras;
  for (auto [buffer, extra] : llvm::zip_equal(ops.extras, linear.extras)) {
    Val index = extra.broadcast ? column : resultIndex(linear, row, column);
    extras.push_back(k.load(buffer, extra.elem, index, count));
  }
  return extras;
}

LogicalResult storeResults(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row, Val column,
                           ArrayRef<Vals> accumulators) {
  SmallVector<Vals> extras = loadExtras(k, linear, ops, row, column, accumulators[0].size());
  return storeResults(k, linear, ops, row, column, accumulators, extras);
}

LogicalResult storeResults(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row, Val column,
                           ArrayRef<Vals> accumulators, ArrayRef<Vals> extras) {
  unsigned count = accumulators[0].size();
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
  k.store(ops.y, linear.output, resultIndex(linear, row, column), results);
  return success();
}

Val loadExpert(KernelBuilder &k, const Experts &experts, Buffer choices, Val index) {
  return k.min(k.load(choices, Elem::U32, index), k.u32(experts.count - 1));
}

RowTile::RowTile(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val index, uint32_t size)
    : k(k), linear(linear), order_(ops.order) {
  if (!linear.experts) {
    begin_ = index * size;
    end_ = rowCount(k, linear.rows, ops.state);
    return;
  }
  Vals record = k.load(ops.tiles, Elem::U32, index * 4, 4);
  expertRows_ = k.min(record[0], k.u32(linear.experts->count - 1)) * linear.n;
  // No tile is believed to reach behind the list of choices.
  begin_ = record[1];
  end_ = k.min(record[2], k.u32(linear.rows.max * linear.experts->choices));
}

Val RowTile::resultRow(Val number) const {
  if (!linear.experts)
    return number;
  return k.min(k.load(order_, Elem::U32, number), k.u32(linear.rows.max * linear.experts->choices - 1));
}

Val RowTile::inputRow(Val number) const {
  Val row = resultRow(number);
  return linear.experts && !linear.experts->ownInput ? row / linear.experts->choices : row;
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

/// Four elements at [row, depth .. depth + 3] of a matrix of `width` columns with `pitch` elements per row; zero behind
/// the last column.
Vals loadFour(KernelBuilder &k, Buffer buffer, Elem elem, Val row, Val depth, uint32_t width, uint32_t pitch) {
  unsigned step = accessWidth(pitch, 4);
  if (step == 4) {
    // `width` may end inside padding; padded weights are zero there, and activations have pitch == width.
    Val inside = depth < pitch;
    Val safe = k.select(inside, depth, k.u32(0));
    Vals values = k.load(buffer, elem, row * pitch + safe, 4);
    for (Val &v : values)
      v = k.select(inside, v, k.f32(0));
    return values;
  }
  Vals values;
  for (unsigned i = 0; i < 4; ++i) {
    Val column = depth + i;
    Val inside = column < width;
    Val value = k.load(buffer, elem, row * pitch + k.select(inside, column, k.u32(0)));
    values.push_back(k.select(inside, value, k.f32(0)));
  }
  return values;
}

} // namespace

KernelPlan tileLinearKernel(const Linear &linear, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "gemm" + linear.suffix();
  plan.workgroup = {kThreads * kThreads, 1, 1};
  assert((!linear.experts || linear.experts->tile <= kTile) && "choices are grouped for this kernel's tile");
  plan.groups = {(linear.n + kTile - 1) / kTile,
                 linear.experts ? linear.experts->tiles : (linear.rows.max + kTile - 1) / kTile, 1};
  plan.emit = [=](KernelBuilder &k) -> LogicalResult {
    LinearOperands ops = declareOperands(k, linear);
    Shared tileX = k.shared(Elem::F32, kTile * kPitch, 4);
    SmallVector<Shared> tileW;
    for (unsigned a = 0; a < linear.accumulators; ++a)
      tileW.push_back(k.shared(Elem::F32, kTile * kPitch, 4));

    Val column0 = k.workgroupId(0) * kTile;
    Val t = k.localIndex(), tx = t % kThreads, ty = t / kThreads;
    Val stageRow = t / 4, stageDepth = (t % 4) * 4; // each invocation stages four elements of each tile
    RowTile tile(k, linear, ops, k.workgroupId(1), kTile);
    LogicalResult result = success();
    k.ifThen(tile.isPresent(), [&] {
      Val xRow = tile.inputRow(k.min(tile.begin() + stageRow, tile.end() - 1));
      Val wRow = tile.weightRow(k.min(column0 + stageRow, k.u32(linear.n - 1)));
      Vals zeros(linear.accumulators * kPerThread * kPerThread, k.f32(0));
      Vals sums = k.forLoop(k.u32(0), k.u32(linear.k), k.u32(kDepth), zeros, [&](Val depth0, ArrayRef<Val> carried) {
        k.barrier();
        Val depth = depth0 + stageDepth;
        Val slot = stageRow * kPitch + t % 4;
        k.store(tileX, slot, loadFour(k, ops.x, linear.input, xRow, depth, linear.k, linear.k));
        for (unsigned a = 0; a < linear.accumulators; ++a)
          k.store(tileW[a], slot,
                  loadFour(k, ops.weights[a], Elem::BF16, wRow, depth, linear.k, paddedWidth(linear.k)));
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
          Val row = tile.begin() + ty + i * kThreads, column = column0 + tx + j * kThreads;
          k.ifThen((row < tile.end()) & (column < linear.n), [&] {
            SmallVector<Vals> accumulators;
            for (unsigned a = 0; a < linear.accumulators; ++a)
              accumulators.push_back({sums[(a * kPerThread + i) * kPerThread + j]});
            if (failed(storeResults(k, linear, ops, tile.resultRow(row), column, accumulators)))
              result = failure();
          });
        }
    });
    return result;
  };
  return plan;
}

} // namespace qwenc
