//===- Attention.cpp - Cache writes and attention of many rows ---------------------------------------------------===//

#include "compiler/Codegen/Kernels/HalfRange.h"
#include "compiler/Codegen/Kernels/TileAttention.h"

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
            k.store(keys, heads.cache, at, clampTo(k, heads.cache, first));
            k.store(keys, heads.cache, at + half, clampTo(k, heads.cache, second));
            return {};
          });
    });
  }

  void copyValues() {
    const uint32_t width = accessWidth(heads.dim, 4);
    k.forLoop(k.localIndex(), k.u32(heads.keyValue * heads.dim / width), k.u32(k.invocations()), [&](Val i) {
      Val element = i * width, head = element / heads.dim;
      Vals x = k.load(qkv, Elem::F32, source(k.u32(rotatedHeads(heads))) + element, width);
      k.store(values, heads.cache, cacheAt(head) + element % heads.dim, clampTo(k, heads.cache, x));
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

void emitPrefillAttention(KernelBuilder &k, const RowBound &rows, const Heads &heads, double scale, Elem output,
                          const StateBlock &state, AttentionTile tile) {
  uint64_t size = uint64_t(rows.max) * heads.query * heads.dim;
  Buffer q = k.operand("q", Access::Read, size * 4);
  Buffer cells = k.operand("state", Access::Read, state.bytes());
  Buffer keys = k.operand("k_cache", Access::Read, heads.cacheBytes());
  Buffer values = k.operand("v_cache", Access::Read, heads.cacheBytes());
  Buffer y = k.operand("y", Access::Write, size * elemBytes(output));
  TileAttention attention(k, tile, heads.dim);

  Val first = k.workgroupId(0) * tile.queries(), head = k.workgroupId(1), count = rowCount(k, rows, cells);
  k.ifThen(first < count, [&] {
    Val position = loadCell(k, cells, plan::layout::kPosition);
    // Keys visible to the last query of the tile.
    Val visible = k.min(position + k.min(first + tile.queries(), count), k.u32(heads.context));
    auto query = [&](Val row, Val column) {
      Val source = k.min(first + row, count - 1);
      Vals v = k.load(q, Elem::F32, (source * heads.query + head) * heads.dim + column * 4, 4);
      for (Val &each : v)
        each = each * scale;
      return v;
    };
    auto load = [&](Buffer cache, Val key, Val column) {
      Val cacheHead = head / (heads.query / heads.keyValue);
      // Behind the last visible key its copy is read; its score is masked.
      Val source = k.min(key, visible - 1);
      return k.load(cache, heads.cache, (cacheHead * heads.context + source) * heads.dim + column * 4, 4);
    };
    auto store = [&](Val tileRow, Val column, Vals sums, Val weight) {
      Val row = first + tileRow, inverse = k.f32(1) / weight;
      k.ifThen(row < count, [&] {
        for (Val &sum : sums)
          sum = sum * inverse;
        k.store(y, output, (row * heads.query + head) * heads.dim + column * 4, sums);
      });
    };
    attention.emit(k.u32(0), visible,
                   {query, [&](Val key, Val column) { return load(keys, key, column); },
                    [&](Val key, Val column) { return load(values, key, column); },
                    [&](Val row, Val key) { return (key <= position + first + row) & (key < visible); }, store});
  });
}

} // namespace

FailureOr<KernelPlan> prefillAttentionKernel(const RowBound &rows, const Heads &heads, double scale, Elem output,
                                             const StateBlock &state, const TargetProfile &target) {
  if (heads.dim % 4 != 0)
    return failure();
  std::optional<AttentionTile> tile = AttentionTile::choose(heads.dim, 0, target);
  if (!tile)
    return failure();
  KernelPlan plan;
  plan.name = "attention" + heads.suffix() + "_r" + std::to_string(rows.max) + parameterTag({scale}) +
              (output == Elem::F32 ? "" : std::string("_y") + elemName(output));
  plan.workgroup = tile->workgroup();
  plan.groups[1] = heads.query;
  plan.divideRows(rows, 0, tile->queries());
  plan.emit = [=](KernelBuilder &k) {
    emitPrefillAttention(k, rows, heads, scale, output, state, *tile);
    return success();
  };
  return plan;
}

} // namespace qwenc
