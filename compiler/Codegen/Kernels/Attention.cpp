//===- Attention.cpp - Cache writes and attention of many rows ---------------------------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

std::string Heads::suffix() const {
  std::string name = "_h" + std::to_string(query) + "kv" + std::to_string(keyValue) + "d" + std::to_string(dim) + "_c" +
                     std::to_string(context);
  return name + (cache == Elem::F32 ? "_f32" : cache == Elem::F16 ? "_f16" : "_bf16");
}

//===------------------------------------------------------------------------------------------------------------===//
// Split, head norm, rotation, cache write
//===------------------------------------------------------------------------------------------------------------===//

namespace {

constexpr uint32_t kHeadsEach = 4; // of a subgroup, at most: they share cosines and sines and are loaded together

/// One workgroup for a row and some of its heads; a subgroup has a few of queries and keys, and the last workgroup of
/// the row copies the values.
class RopeAppend {
public:
  RopeAppend(KernelBuilder &k, const RowBound &rows, const Heads &heads, const Rotary &rotary, const StateBlock &state)
      : k(k), rows(rows), heads(heads), rotary(rotary), state(state) {
    qkv = k.operand("qkv", Access::Read, uint64_t(rows.max) * heads.qkvWidth() * 4);
    if (rotary.normalise) {
      qNorm = k.operand("q_norm", Access::Read, weightBytes(1, heads.dim));
      kNorm = k.operand("k_norm", Access::Read, weightBytes(1, heads.dim));
    }
    cells = k.operand("state", Access::Read, state.bytes());
    keys = k.operand("k_cache", Access::ReadWrite, heads.cacheBytes());
    values = k.operand("v_cache", Access::ReadWrite, heads.cacheBytes());
    q = k.operand("q", Access::Write, uint64_t(rows.max) * heads.query * heads.dim * 4);
  }

  /// Heads that are rotated; each of the `workgroups` of a row has as many turns as it needs.
  static uint32_t rotatedHeads(const Heads &heads) { return heads.query + heads.keyValue; }

  void emit(uint32_t workgroups) {
    row = k.workgroupId(1);
    k.ifThen(row < rowCount(k, rows, cells), [&] {
      Val position = loadCell(k, cells, plan::layout::kPosition) + row;
      cacheSlot = k.min(position, k.u32(heads.context - 1));
      const uint32_t each = llvm::divideCeil(rotatedHeads(heads), workgroups);
      Val first = k.workgroupId(0) * each + k.subgroupIndex();
      Val last = k.min(k.workgroupId(0) * each + each, k.u32(rotatedHeads(heads)));
      RotaryTable table(k, rotary, heads.dim);
      auto positionOf = [&](Val pair) { return rotaryPosition(k, rotary, state, cells, position, pair); };
      if (!k.target().subgroupSize) {
        table.fill(positionOf);
        k.barrier();
        k.forLoop(first, last, k.subgroupCount(), [&](Val head) {
          HeadPairs pairs = headPairs(head);
          pairs.normalise();
          store(table, pairs, head);
        });
      } else {
        const uint32_t subgroups = k.invocations() / k.target().subgroupSize;
        SmallVector<HeadPairs> loaded;
        for (uint32_t turn = 0; turn < llvm::divideCeil(each, subgroups); ++turn)
          loaded.push_back(headPairs(k.min(first + turn * subgroups, last - 1)));
        table.fill(positionOf);
        for (HeadPairs &pairs : loaded)
          pairs.normalise();
        k.barrier();
        for (auto [turn, pairs] : llvm::enumerate(loaded)) {
          Val head = first + uint32_t(turn * subgroups);
          k.ifThen(head < last, [&, &pairs = pairs] { store(table, pairs, head); });
        }
      }
      k.ifThen(k.workgroupId(0) == workgroups - 1, [&] { copyValues(); });
    });
  }

private:
  Val source(Val head) { return row * heads.qkvWidth() + head * heads.dim; }
  Val cacheAt(Val cacheHead) { return (cacheHead * heads.context + cacheSlot) * heads.dim; }

  HeadPairs headPairs(Val head) {
    Val isQuery = head < heads.query;
    return HeadPairs(k, rotary, heads.dim, qkv, source(head), [this, isQuery](Val at) {
      return k.select(isQuery, k.load(qNorm, Elem::BF16, at), k.load(kNorm, Elem::BF16, at));
    });
  }

  void store(const RotaryTable &table, const HeadPairs &pairs, Val head) {
    const uint32_t half = heads.dim / 2;
    pairs.rotate(table, [&](Val i, Val first, Val second) {
      k.ifElse(
          head < heads.query,
          [&]() -> Vals {
            Val at = (row * heads.query + head) * heads.dim + i;
            k.store(q, Elem::F32, at, first);
            k.store(q, Elem::F32, at + half, second);
            return {};
          },
          [&]() -> Vals {
            Val at = cacheAt(head - heads.query) + i;
            k.store(keys, heads.cache, at, first);
            k.store(keys, heads.cache, at + half, second);
            return {};
          });
    });
  }

  void copyValues() {
    const uint32_t width = accessWidth(heads.dim, 4);
    k.forLoop(k.localIndex(), k.u32(heads.keyValue * heads.dim / width), k.u32(k.invocations()), [&](Val i) {
      Val element = i * width, head = element / heads.dim;
      Vals x = k.load(qkv, Elem::F32, source(k.u32(rotatedHeads(heads))) + element, width);
      k.store(values, heads.cache, cacheAt(head) + element % heads.dim, x);
    });
  }

  KernelBuilder &k;
  const RowBound &rows;
  const Heads &heads;
  const Rotary &rotary;
  const StateBlock &state;
  Buffer qkv, qNorm, kNorm, cells, keys, values, q;
  Val row, cacheSlot;
};

} // namespace

KernelPlan ropeAppendKernel(const RowBound &rows, const Heads &heads, const Rotary &rotary, const StateBlock &state,
                            const TargetProfile &target) {
  KernelPlan plan;
  plan.name = std::string("rope_append") + (rotary.normalise ? "_norm" : "") + heads.suffix() + "_r" +
              std::to_string(rows.max) + rotary.suffix() + parameterTag({rotary.theta, rotary.eps});
  const uint32_t invocations = std::min<uint32_t>(256, target.maxWorkgroupInvocations);
  const uint32_t subgroups = std::max<uint32_t>(1, invocations / (target.subgroupSize ? target.subgroupSize : 32));
  const uint32_t workgroups = llvm::divideCeil(RopeAppend::rotatedHeads(heads), subgroups * kHeadsEach);
  plan.workgroup = {invocations, 1, 1};
  plan.groups[0] = workgroups;
  plan.divideRows(rows, 1);
  plan.emit = [=](KernelBuilder &k) {
    RopeAppend(k, rows, heads, rotary, state).emit(workgroups);
    return success();
  };
  return plan;
}

//===------------------------------------------------------------------------------------------------------------===//
// Attention of a chunk of rows
//===------------------------------------------------------------------------------------------------------------===//

namespace {

constexpr uint32_t kSide = 16; // invocations along queries and along keys (or dims)
constexpr double kMasked = -1e30;

/// Tile of one workgroup: rowsPerThread * 16 queries against keysPerThread * 16 keys at a time.
struct AttentionTile {
  uint32_t rowsPerThread = 0, keysPerThread = 0;
  uint32_t queries() const { return rowsPerThread * kSide; }
  uint32_t keys() const { return keysPerThread * kSide; }
  uint32_t pitch(uint32_t dim) const { return dim / 4 + 1; } // vec4; odd, against bank conflicts
  uint32_t sharedBytes(uint32_t dim) const {
    return (queries() + keys()) * pitch(dim) * 16 + queries() * (keys() + 1) * 4 + 3 * queries() * 4 + 1024;
  }
};

class PrefillAttention {
public:
  PrefillAttention(KernelBuilder &k, const RowBound &rows, const Heads &heads, double scale, Elem output,
                   const StateBlock &state, AttentionTile tile)
      : k(k), heads(heads), rows(rows), scale(scale), output(output), tile(tile), dim4(heads.dim / 4),
        columnsPerThread((dim4 + kSide - 1) / kSide) {
    uint64_t size = uint64_t(rows.max) * heads.query * heads.dim;
    q = k.operand("q", Access::Read, size * 4);
    cells = k.operand("state", Access::Read, state.bytes());
    keys = k.operand("k_cache", Access::Read, heads.cacheBytes());
    values = k.operand("v_cache", Access::Read, heads.cacheBytes());
    y = k.operand("y", Access::Write, size * elemBytes(output));
    queryTile = k.shared(Elem::F32, tile.queries() * tile.pitch(heads.dim), 4);
    keyTile = k.shared(Elem::F32, tile.keys() * tile.pitch(heads.dim), 4); // keys, then values of the same positions
    scores = k.shared(Elem::F32, tile.queries() * scorePitch());
    rowMax = k.shared(Elem::F32, tile.queries());
    rowSum = k.shared(Elem::F32, tile.queries());
    rowScale = k.shared(Elem::F32, tile.queries());
  }

  void emit() {
    first = k.workgroupId(0) * tile.queries();
    head = k.workgroupId(1);
    count = rowCount(k, rows, cells);
    t = k.localIndex();
    tx = t % kSide;
    ty = t / kSide;
    k.ifThen(first < count, [&] {
      position = loadCell(k, cells, plan::layout::kPosition);
      // Keys visible to the last query of the tile.
      Val last = k.min(first + tile.queries(), count);
      visible = k.min(position + last, k.u32(heads.context));
      stageQueries();
      k.ifThen(t < tile.queries(), [&] {
        k.store(rowMax, t, {k.f32(kMasked)});
        k.store(rowSum, t, {k.f32(0)});
      });
      Vals zeros(tile.rowsPerThread * columnsPerThread * 4, k.f32(0));
      Vals sums = k.forLoop(k.u32(0), visible, k.u32(tile.keys()), zeros, [&](Val key0, ArrayRef<Val> carried) {
        k.barrier();
        stageCache(keys, key0);
        k.barrier();
        scoreTile(key0);
        k.barrier();
        stageCache(values, key0);
        k.ifThen(t < tile.queries(), [&] { softmaxRow(); });
        k.barrier();
        return accumulate(carried);
      });
      storeRows(sums);
    });
  }

private:
  uint32_t scorePitch() const { return tile.keys() + 1; }

  void stageQueries() {
    k.forLoop(t, k.u32(tile.queries() * dim4), k.u32(k.invocations()), [&](Val i) {
      Val row = i / dim4, column = i % dim4;
      Val source = k.min(first + row, count - 1);
      Vals v = k.load(q, Elem::F32, (source * heads.query + head) * heads.dim + column * 4, 4);
      for (Val &x : v)
        x = x * scale;
      k.store(queryTile, row * tile.pitch(heads.dim) + column, v);
    });
  }

  void stageCache(Buffer cache, Val key0) {
    Val cacheHead = head / (heads.query / heads.keyValue);
    k.forLoop(t, k.u32(tile.keys() * dim4), k.u32(k.invocations()), [&](Val i) {
      Val key = i / dim4, column = i % dim4;
      // Behind the last visible key its copy is read; its score is masked.
      Val source = k.min(key0 + key, visible - 1);
      Vals v = k.load(cache, heads.cache, (cacheHead * heads.context + source) * heads.dim + column * 4, 4);
      k.store(keyTile, key * tile.pitch(heads.dim) + column, v);
    });
  }

  void scoreTile(Val key0) {
    Vals zeros(tile.rowsPerThread * tile.keysPerThread, k.f32(0));
    Vals dots = k.forLoop(k.u32(0), k.u32(dim4), k.u32(1), zeros, [&](Val column, ArrayRef<Val> carried) {
      Vals next(carried);
      SmallVector<Vals> x;
      for (uint32_t i = 0; i < tile.rowsPerThread; ++i)
        x.push_back(k.load(queryTile, (ty + i * kSide) * tile.pitch(heads.dim) + column));
      for (uint32_t j = 0; j < tile.keysPerThread; ++j) {
        Vals w = k.load(keyTile, (tx + j * kSide) * tile.pitch(heads.dim) + column);
        for (uint32_t i = 0; i < tile.rowsPerThread; ++i)
          next[i * tile.keysPerThread + j] = k.dot(x[i], w, next[i * tile.keysPerThread + j]);
      }
      return next;
    });
    for (uint32_t i = 0; i < tile.rowsPerThread; ++i)
      for (uint32_t j = 0; j < tile.keysPerThread; ++j) {
        Val row = ty + i * kSide, key = tx + j * kSide;
        Val seen = (key0 + key <= position + first + row) & (key0 + key < visible);
        Val score = k.select(seen, dots[i * tile.keysPerThread + j], k.f32(kMasked));
        k.store(scores, row * scorePitch() + key, {score});
      }
  }

  /// Invocation t turns row t of the scores into exp(score - max) and updates maximum and sum of the row.
  void softmaxRow() {
    Val row = t * scorePitch();
    Val before = k.loadOne(rowMax, t);
    Val largest = k.forLoop(k.u32(0), k.u32(tile.keys()), k.u32(1), {before}, [&](Val j, ArrayRef<Val> c) -> Vals {
      return {k.max(c[0], k.loadOne(scores, row + j))};
    })[0];
    Val sum = k.forLoop(k.u32(0), k.u32(tile.keys()), k.u32(1), {k.f32(0)}, [&](Val j, ArrayRef<Val> c) -> Vals {
      Val p = k.exp(k.loadOne(scores, row + j) - largest);
      k.store(scores, row + j, {p});
      return {c[0] + p};
    })[0];
    Val factor = k.exp(before - largest);
    k.store(rowMax, t, {largest});
    k.store(rowSum, t, {k.fma(k.loadOne(rowSum, t), factor, sum)});
    k.store(rowScale, t, {factor});
  }

  Val columnOf(uint32_t c) { return k.min(tx + c * kSide, k.u32(dim4 - 1)); }

  Vals accumulate(ArrayRef<Val> carried) {
    Vals sums(carried);
    for (uint32_t i = 0; i < tile.rowsPerThread; ++i) {
      Val factor = k.loadOne(rowScale, ty + i * kSide);
      for (uint32_t e = 0; e < columnsPerThread * 4; ++e)
        sums[i * columnsPerThread * 4 + e] = sums[i * columnsPerThread * 4 + e] * factor;
    }
    return k.forLoop(k.u32(0), k.u32(tile.keys()), k.u32(1), sums, [&](Val key, ArrayRef<Val> in) {
      Vals next(in);
      SmallVector<Vals> v;
      for (uint32_t c = 0; c < columnsPerThread; ++c)
        v.push_back(k.load(keyTile, key * tile.pitch(heads.dim) + columnOf(c)));
      for (uint32_t i = 0; i < tile.rowsPerThread; ++i) {
        Val p = k.loadOne(scores, (ty + i * kSide) * scorePitch() + key);
        for (uint32_t c = 0; c < columnsPerThread; ++c)
          for (uint32_t e = 0; e < 4; ++e) {
            Val &sum = next[(i * columnsPerThread + c) * 4 + e];
            sum = k.fma(p, v[c][e], sum);
          }
      }
      return next;
    });
  }

  void storeRows(ArrayRef<Val> sums) {
    for (uint32_t i = 0; i < tile.rowsPerThread; ++i) {
      Val row = first + ty + i * kSide;
      Val inverse = k.f32(1) / k.loadOne(rowSum, ty + i * kSide);
      for (uint32_t c = 0; c < columnsPerThread; ++c) {
        Val column = tx + c * kSide;
        k.ifThen((row < count) & (column < dim4), [&] {
          Vals out;
          for (uint32_t e = 0; e < 4; ++e)
            out.push_back(sums[(i * columnsPerThread + c) * 4 + e] * inverse);
          k.store(y, output, (row * heads.query + head) * heads.dim + column * 4, out);
        });
      }
    }
  }

  KernelBuilder &k;
  const Heads &heads;
  const RowBound &rows;
  double scale;
  Elem output;
  AttentionTile tile;
  uint32_t dim4, columnsPerThread;
  Buffer q, cells, keys, values, y;
  Shared queryTile, keyTile, scores, rowMax, rowSum, rowScale;
  Val first, head, count, position, visible, t, tx, ty;
};

} // namespace

FailureOr<KernelPlan> prefillAttentionKernel(const RowBound &rows, const Heads &heads, double scale, Elem output,
                                             const StateBlock &state, const TargetProfile &target) {
  if (heads.dim % 4 != 0)
    return failure();
  std::optional<AttentionTile> tile;
  for (AttentionTile candidate : {AttentionTile{2, 2}, AttentionTile{1, 2}, AttentionTile{1, 1}})
    if (!tile && candidate.sharedBytes(heads.dim) <= target.maxSharedBytes)
      tile = candidate;
  if (!tile)
    return failure();
  KernelPlan plan;
  plan.name = "attention" + heads.suffix() + "_r" + std::to_string(rows.max) + parameterTag({scale}) +
              (output == Elem::F32 ? "" : std::string("_y") + elemName(output));
  plan.workgroup = {kSide * kSide, 1, 1};
  plan.groups[1] = heads.query;
  plan.divideRows(rows, 0, tile->queries());
  plan.emit = [=](KernelBuilder &k) {
    PrefillAttention(k, rows, heads, scale, output, state, *tile).emit();
    return success();
  };
  return plan;
}

} // namespace qwenc
