//===- Linear.cpp - What the skeletons of matrix products share, and the f32 tile product ------------------------===//

#include "compiler/Codegen/Kernels/Encoders.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

uint64_t Linear::inputBytes() const {
  if (taps)
    return taps->elements() * elemBytes(input);
  if (prologue == LinearPrologue::CombineSplits)
    return SplitShape{combineHeads, combineSplits, k / combineHeads}.bytes();
  if (gathered)
    return qwenc::weightBytes(*gathered, k);
  return uint64_t(rows.max) * (experts && experts->ownInput ? experts->choices : 1) * k * elemBytes(input);
}

std::string Linear::suffix() const {
  std::string name = "_n" + std::to_string(n) + (accumulators > 1 ? "x" + std::to_string(accumulators) : "") + "_k" +
                     std::to_string(k) + weights().suffix();
  name += rows.suffix();
  if (prologue == LinearPrologue::RmsNorm)
    name += "_rms_norm" + parameterTag({eps});
  if (prologue == LinearPrologue::CombineSplits)
    name += "_combine" + std::to_string(combineHeads) + "x" + std::to_string(combineSplits);
  if (taps)
    name +=
        "_taps" + std::to_string(taps->rows) + "x" + std::to_string(taps->bins) + "x" + std::to_string(taps->channels);
  if (experts)
    name += "_experts" + std::to_string(experts->count) + (experts->sum ? "_sum" : "x") +
            std::to_string(experts->choices) + (experts->ownInput ? "" : "_shared");
  if (route)
    name += "_route_top" + std::to_string(route->choices) + (route->normalize ? "_normalized" : "") +
            (route->folded ? "_folded" : "");
  if (gathered)
    name += "_gathered" + std::to_string(*gathered);
  if (router)
    name += "_router" + std::to_string(router->outputs);
  if (std::string body = bodyName(*epilogue); !body.empty())
    name += "_" + body;
  for (const Extra &extra : extras)
    name += std::string(extra.broadcast ? "_b"
                        : extra.perRow  ? "_r"
                                        : "_e") +
            (extra.elem == Elem::BF16 ? "bf16" : "f32");
  if (input != Elem::F32)
    name += std::string("_x") + elemName(input);
  if (output != Elem::F32)
    name += std::string("_y") + elemName(output);
  return name;
}

LinearOperands declareOperands(KernelBuilder &k, const Linear &linear) {
  LinearOperands ops;
  uint64_t outputs = linear.resultRows() * linear.n;
  ops.x = k.operand("x", Access::Read, linear.inputBytes());
  if (linear.taps)
    ops.taps = k.operand("taps", Access::Read, uint64_t(linear.rows.max) / linear.taps->places() * 12);
  if (linear.prologue == LinearPrologue::RmsNorm)
    ops.norm = k.operand("norm", Access::Read, weightBytes(1, linear.k));
  if (linear.needsState())
    ops.state = k.operand("state", Access::Read, linear.state.bytes());
  if (linear.experts) {
    uint64_t choices = uint64_t(linear.rows.max) * linear.experts->choices;
    if (linear.route)
      ops.logits = k.operand("logits", Access::Read, uint64_t(linear.experts->count) * 4);
    else
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
                                   (extra.broadcast ? linear.n
                                    : extra.perRow  ? linear.rows.max
                                                    : outputs) *
                                       elemBytes(extra.elem)));
  ops.y = k.operand("y", Access::Write, outputs * elemBytes(linear.output));
  if (linear.route) {
    ops.routeWeights = k.operand("route_weights", Access::Write, linear.route->choices * 4);
    ops.experts = k.operand("experts", Access::Write, linear.route->choices * 4);
  }
  if (linear.gathered)
    ops.row = k.operand("row", Access::Write, uint64_t(linear.k) * 4);
  if (linear.router) {
    ops.folded = k.operand("folded", Access::Read, linear.router->bytes());
    ops.logits = k.operand("logits", Access::Write, uint64_t(linear.router->outputs) * 4);
  }
  return ops;
}

static Val resultIndex(const Linear &linear, Val row, Val column) {
  return linear.resultRows() == 1 ? column : row * linear.n + column;
}

SmallVector<Vals> loadExtras(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row, Val column,
                             unsigned count) {
  SmallVector<Vals> extras;
  for (auto [buffer, extra] : llvm::zip_equal(ops.extras, linear.extras)) {
    if (extra.perRow) {
      extras.push_back(Vals(count, k.load(buffer, extra.elem, row)));
      continue;
    }
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

constexpr uint32_t kThreads = 16; // invocations along each side of a tile

/// A tile has 16 * perThread rows and columns; an invocation computes perThread^2 results, 16 apart, and stages four
/// elements of each operand at a time.
struct TileShape {
  uint32_t perThread = 4;
  uint32_t side() const { return kThreads * perThread; }
  uint32_t depth() const { return kThreads * kThreads * 4 / side(); } ///< elements of k staged at once
  uint32_t fours() const { return depth() / 4; }
  uint32_t pitch() const { return fours() + 1; } ///< in fours; odd, so that 16 rows lie in different banks
};

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

namespace {

class TileLinear {
public:
  TileLinear(KernelBuilder &k, const Linear &linear, TileShape shape)
      : k(k), linear(linear), shape(shape), ops(declareOperands(k, linear)),
        rows(k, linear, ops, k.workgroupId(1), shape.side()) {
    tileX = k.shared(Elem::F32, shape.side() * shape.pitch(), 4);
    for (Buffer weight : ops.weights) {
      readers.emplace_back(k, weight, linear.weights());
      tileW.push_back(k.shared(Elem::F32, shape.side() * shape.pitch(), 4));
    }
    t = k.localIndex();
    column0 = k.workgroupId(0) * shape.side();
  }

  LogicalResult emit() {
    LogicalResult result = success();
    k.ifThen(rows.isPresent(), [&] {
      Val stagedRow = t / shape.fours();
      xRow = rows.inputRow(k.min(rows.begin() + stagedRow, rows.end() - 1));
      if (linear.taps)
        patches.emplace(k, linear, ops, xRow);
      wRow = rows.weightRow(k.min(column0 + stagedRow, k.u32(linear.n - 1)));
      result = store(multiply());
    });
    return result;
  }

private:
  uint32_t sumCount() const { return linear.accumulators * shape.perThread * shape.perThread; }
  uint32_t sumIndex(unsigned accumulator, unsigned i, unsigned j) const {
    return (accumulator * shape.perThread + i) * shape.perThread + j;
  }

  /// The sums of this invocation. The operands of the next stage are loaded before this stage is multiplied.
  Vals multiply() {
    Vals carried(sumCount(), k.f32(0));
    carried.append(load(k.u32(0)));
    carried = k.forLoop(k.u32(0), k.u32(linear.k), k.u32(shape.depth()), carried, [&](Val depth0, ArrayRef<Val> in) {
      k.barrier();
      Val slot = t / shape.fours() * shape.pitch() + t % shape.fours();
      k.store(tileX, slot, in.slice(sumCount(), 4));
      for (auto [a, tile] : llvm::enumerate(tileW))
        k.store(tile, slot, in.slice(sumCount() + 4 + a * 4, 4));
      k.barrier();
      Vals next = load(depth0 + shape.depth()), sums(in.take_front(sumCount()));
      for (unsigned d = 0; d < shape.fours(); ++d)
        multiplyFour(d, sums);
      sums.append(next);
      return sums;
    });
    carried.truncate(sumCount());
    return carried;
  }

  /// Four elements of x and of each weight; zeros behind the end of a row.
  Vals load(Val depth0) {
    Val depth = depth0 + (t % shape.fours()) * 4;
    Vals values =
        patches ? patches->loadFour(depth, linear.input) : loadFour(k, ops.x, linear.input, xRow, depth, linear.k);
    // A row of weights may end inside padding: it is zero there.
    for (WeightReader &reader : readers)
      values.append(fourInside(k, depth, paddedWidth(linear.k), [&](Val safe) { return reader.loadFour(wRow, safe); }));
    return values;
  }

  void multiplyFour(unsigned d, Vals &sums) {
    Val tx = t % kThreads, ty = t / kThreads;
    SmallVector<Vals> x;
    for (unsigned i = 0; i < shape.perThread; ++i)
      x.push_back(k.load(tileX, (ty + i * kThreads) * shape.pitch() + d));
    for (auto [a, tile] : llvm::enumerate(tileW))
      for (unsigned j = 0; j < shape.perThread; ++j) {
        Vals w = k.load(tile, (tx + j * kThreads) * shape.pitch() + d);
        for (unsigned i = 0; i < shape.perThread; ++i) {
          Val &sum = sums[sumIndex(a, i, j)];
          sum = k.dot(x[i], w, sum);
        }
      }
  }

  LogicalResult store(ArrayRef<Val> sums) {
    LogicalResult result = success();
    for (unsigned i = 0; i < shape.perThread; ++i)
      for (unsigned j = 0; j < shape.perThread; ++j) {
        Val row = rows.begin() + t / kThreads + i * kThreads, column = column0 + t % kThreads + j * kThreads;
        k.ifThen((row < rows.end()) & (column < linear.n), [&] {
          SmallVector<Vals> accumulators;
          for (unsigned a = 0; a < linear.accumulators; ++a)
            accumulators.push_back({sums[sumIndex(a, i, j)]});
          if (failed(storeResults(k, linear, ops, rows.resultRow(row), column, accumulators)))
            result = failure();
        });
      }
    return result;
  }

  KernelBuilder &k;
  const Linear &linear;
  TileShape shape;
  LinearOperands ops;
  RowTile rows;
  std::vector<WeightReader> readers;
  Shared tileX;
  SmallVector<Shared> tileW;
  Val t, column0, xRow, wRow;
  std::optional<PatchRow> patches;
};

/// Small tiles where large ones would leave most of the machine idle.
TileShape chooseTile(const Linear &linear, const TargetProfile &target) {
  TileShape large;
  uint64_t tiles = uint64_t(llvm::divideCeil(linear.n, large.side())) * llvm::divideCeil(linear.rows.max, large.side());
  return linear.experts || tiles >= target.computeUnits ? large : TileShape{2};
}

} // namespace

KernelPlan tileLinearKernel(const Linear &linear, const TargetProfile &target) {
  TileShape shape = chooseTile(linear, target);
  assert((!linear.experts || linear.experts->tile <= shape.side()) && "choices are grouped for this kernel's tile");
  KernelPlan plan;
  plan.name = "gemm" + linear.suffix();
  plan.workgroup = {kThreads * kThreads, 1, 1};
  plan.groups[0] = llvm::divideCeil(linear.n, shape.side());
  if (linear.experts)
    plan.groups[1] = linear.experts->tiles;
  else
    plan.divideRows(linear.rows, 1, shape.side());
  plan.emit = [=](KernelBuilder &k) { return TileLinear(k, linear, shape).emit(); };
  return plan;
}

} // namespace qwenc
