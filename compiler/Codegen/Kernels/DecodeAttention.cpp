//===- DecodeAttention.cpp - Attention of one row, split over the keys -------------------------------------------===//
//
// One workgroup for each key/value head and split. It rotates the query heads of its group into workgroup memory, the
// owner of the newest key also writes the caches, and then it goes over its keys in tiles:
//
//   scores    several invocations share a key; each multiplies a part of the dims with every query head of the group
//   softmax   every subgroup adds up the parts of all keys and finds maximum and sum by itself, which costs no barrier
//   values    an invocation owns one access of dims and every n-th key; the n partial sums meet after the last tile
//
// Loads of one phase are issued together before their first use: a split has few keys, so latency is what costs.
//
// Partial results (flash decoding, Dao et al. 2023) are numerators [heads][splits][dim], then (maximum, sum)
// [heads][splits][2], so that both are aligned for wide loads.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {
constexpr uint32_t kFewestKeys = 64; // per split: below, combining costs more than the split gains
constexpr uint32_t kUnroll = 4;
constexpr double kMasked = -1e30;

uint64_t partialBytes(uint32_t heads, uint32_t splits, uint32_t dim) {
  return uint64_t(heads) * splits * (dim + 2) * 4;
}
/// First element of the statistics of (head, split), both flattened.
uint32_t statisticsBase(uint32_t heads, uint32_t splits, uint32_t dim) { return heads * splits * dim; }
} // namespace

Val keysPerSplit(KernelBuilder &k, uint32_t splits, Val keys) {
  return k.max((keys + (splits - 1)) / splits, k.u32(kFewestKeys));
}
Val activeSplits(KernelBuilder &k, uint32_t splits, Val keys) {
  Val each = keysPerSplit(k, splits, keys);
  return k.min((keys + each - 1) / each, k.u32(splits));
}

Vals combinedElements(KernelBuilder &k, Buffer partials, const SplitShape &shape, Val active, Val index,
                      unsigned count) {
  Val head = index / shape.dim, element = index % shape.dim;
  Val first = head * shape.splits; // (head, split 0)
  uint32_t statistics = statisticsBase(shape.heads, shape.splits, shape.dim);
  uint32_t unroll = std::min(kUnroll, shape.splits);
  Vals init{k.f32(kMasked), k.f32(0)};
  init.append(count, k.f32(0));
  Vals sums = k.forLoop(k.u32(0), active, k.u32(unroll), init, [&](Val split0, ArrayRef<Val> carried) -> Vals {
    SmallVector<Vals> stats, numerators;
    for (uint32_t u = 0; u < unroll; ++u) {
      // Behind the last split its copy is read and then ignored.
      Val record = first + k.min(split0 + u, active - 1);
      stats.push_back(k.load(partials, Elem::F32, record * 2 + statistics, 2));
      numerators.push_back(k.load(partials, Elem::F32, record * shape.dim + element, count));
    }
    Val before = carried[0], largest = before;
    for (uint32_t u = 0; u < unroll; ++u)
      largest = k.max(largest, stats[u][0]);
    Val kept = k.exp(before - largest);
    Vals next{largest, carried[1] * kept};
    for (unsigned e = 0; e < count; ++e)
      next.push_back(carried[2 + e] * kept);
    for (uint32_t u = 0; u < unroll; ++u) {
      Val factor = k.select(split0 + u < active, k.exp(stats[u][0] - largest), k.f32(0));
      next[1] = k.fma(factor, stats[u][1], next[1]);
      for (unsigned e = 0; e < count; ++e)
        next[2 + e] = k.fma(factor, numerators[u][e], next[2 + e]);
    }
    return next;
  });
  Vals result;
  Val inverse = k.f32(1) / sums[1];
  for (unsigned e = 0; e < count; ++e)
    result.push_back(sums[2 + e] * inverse);
  return result;
}

KernelPlan combineSplitsKernel(const SplitShape &shape, const StateBlock &state, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "combine_splits" + std::to_string(shape.splits) + "_h" + std::to_string(shape.heads) + "d" +
              std::to_string(shape.dim);
  plan.workgroup = {std::min<uint32_t>(256, target.maxWorkgroupInvocations), 1, 1};
  uint32_t vectors = shape.heads * shape.dim / 4;
  plan.groups = {(vectors + plan.workgroup[0] - 1) / plan.workgroup[0], 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer partials = k.operand("partials", Access::Read, partialBytes(shape.heads, shape.splits, shape.dim));
    Buffer cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(shape.heads) * shape.dim * 4);
    Val vector = k.workgroupId(0) * k.invocations() + k.localIndex();
    k.ifThen(vector < vectors, [&] {
      Val active = activeSplits(k, shape.splits, loadCell(k, cells, plan::layout::kPosition) + 1);
      k.store(y, Elem::F32, vector * 4, combinedElements(k, partials, shape, active, vector * 4, 4));
    });
    return success();
  };
  return plan;
}

namespace {

class DecodeAttention {
public:
  DecodeAttention(KernelBuilder &k, const Heads &heads, const Rotary &rotary, double scale, uint32_t splits,
                  const StateBlock &state)
      : k(k), heads(heads), rotary(rotary), scale(scale), splits(splits), group(heads.query / heads.keyValue),
        dim(heads.dim), width(accessWidth(dim, heads.cache == Elem::F32 ? 4 : 8)), accesses(dim / width),
        frequencies(inverseFrequencies(rotary.theta, heads.dim)) {
    qkv = k.operand("qkv", Access::Read, uint64_t(heads.qkvWidth()) * 4);
    if (rotary.normalise) {
      qNorm = k.operand("q_norm", Access::Read, weightBytes(1, dim));
      kNorm = k.operand("k_norm", Access::Read, weightBytes(1, dim));
    }
    cells = k.operand("state", Access::Read, state.bytes());
    keys = k.operand("k_cache", Access::ReadWrite, heads.cacheBytes());
    values = k.operand("v_cache", Access::ReadWrite, heads.cacheBytes());
    partials = k.operand("partials", Access::Write, partialBytes(heads.query, splits, dim));
    // Several invocations per key while there are accesses to share; as many keys as that leaves.
    parts = accessWidth(accesses, 4);
    tileKeys = k.invocations() / parts;
    keySlots = keySlotsOf(accesses, k.invocations());
    headsPerRound = headsPerRoundOf(heads, keySlots, k.invocations(), k.target().maxSharedBytes);
    rotated = k.shared(Elem::F32, group * dim);
    partDots = k.shared(Elem::F32, group * tileKeys * parts);
    probabilities = k.shared(Elem::F32, group * tileKeys);
    valueSums = k.shared(Elem::F32, keySlots * headsPerRound * dim);
    t = k.localIndex();
    kvHead = k.workgroupId(0);
    split = k.workgroupId(1);
  }

  /// Workgroup memory without the slots of values.
  static uint32_t fixedBytes(const Heads &heads, uint32_t invocations) {
    uint32_t parts = accessWidth(accessesOf(heads), 4);
    return heads.query / heads.keyValue * (heads.dim + invocations + invocations / parts) * 4 + 256;
  }
  /// True if at least one head of values fits beside them.
  static bool fits(const Heads &heads, uint32_t invocations, uint32_t maxSharedBytes) {
    uint32_t slotBytes = keySlotsOf(accessesOf(heads), invocations) * heads.dim * 4;
    return accessesOf(heads) <= invocations && fixedBytes(heads, invocations) + slotBytes <= maxSharedBytes;
  }

  void emit() {
    Val position = k.min(loadCell(k, cells, plan::layout::kPosition), k.u32(heads.context - 1));
    Val visible = position + 1;
    Val each = keysPerSplit(k, splits, visible);
    Val lower = split * each, upper = k.min(lower + each, visible);
    k.ifThen(lower < upper, [&] {
      k.forLoop(k.subgroupIndex(), k.u32(group), k.subgroupCount(), [&](Val g) {
        rotateHead((kvHead * group + g) * dim, qNorm, position, [&](Val i, Val y1, Val y2) {
          k.store(rotated, g * dim + i, {y1 * scale});
          k.store(rotated, g * dim + i + dim / 2, {y2 * scale});
        });
      });
      k.ifThen(upper == visible, [&] { appendKeyValue(position); });
      Vals state(group, k.f32(kMasked));     // running maxima
      state.append(group, k.f32(0));         // sums of exponentials
      state.append(group * width, k.f32(0)); // numerators of this invocation
      state = k.forLoop(lower, upper, k.u32(tileKeys), state,
                        [&](Val key0, ArrayRef<Val> carried) { return processTile(key0, upper, carried); });
      storePartials(state);
    });
  }

private:
  /// Keys whose values are read at the same time.
  static uint32_t keySlotsOf(uint32_t accesses, uint32_t invocations) {
    return std::max<uint32_t>(1, std::min<uint32_t>(invocations / accesses, 16));
  }
  /// Heads whose slots fit together, at most 16 KiB so that several workgroups share a compute unit.
  static uint32_t headsPerRoundOf(const Heads &heads, uint32_t slots, uint32_t invocations, uint32_t maxSharedBytes) {
    uint32_t room = std::min<uint32_t>(16384, maxSharedBytes - fixedBytes(heads, invocations));
    return std::clamp<uint32_t>(room / (slots * heads.dim * 4), 1, heads.query / heads.keyValue);
  }
  static uint32_t accessesOf(const Heads &heads) {
    return heads.dim / accessWidth(heads.dim, heads.cache == Elem::F32 ? 4 : 8);
  }

  Val cacheRow(Val key) { return (kvHead * heads.context + key) * dim; }

  /// Head norm and rotation of one head of the row by one subgroup; `write` gets (pair, first half, second half).
  void rotateHead(Val source, Buffer norm, Val position, llvm::function_ref<void(Val, Val, Val)> write) {
    Val factor = k.f32(1);
    if (rotary.normalise) {
      Val squares =
          k.forLoop(k.lane(), k.u32(dim / 2), k.subgroupSize(), {k.f32(0)}, [&](Val i, ArrayRef<Val> c) -> Vals {
            Val x1 = k.load(qkv, Elem::F32, source + i);
            Val x2 = k.load(qkv, Elem::F32, source + i + dim / 2);
            return {k.fma(x2, x2, k.fma(x1, x1, c[0]))};
          })[0];
      factor = k.inverseSqrt(k.subgroupAdd(squares) / dim + rotary.eps);
    }
    k.forLoop(k.lane(), k.u32(dim / 2), k.subgroupSize(), [&](Val i) {
      Val x1 = k.load(qkv, Elem::F32, source + i), x2 = k.load(qkv, Elem::F32, source + i + dim / 2);
      if (rotary.normalise) {
        x1 = x1 * factor * k.load(norm, Elem::BF16, i);
        x2 = x2 * factor * k.load(norm, Elem::BF16, i + dim / 2);
      }
      auto [y1, y2] = rotatePair(k, frequencies, i, position, x1, x2);
      write(i, y1, y2);
    });
  }

  void appendKeyValue(Val position) {
    Val keySource = (kvHead + heads.query) * dim, valueSource = (kvHead + heads.query + heads.keyValue) * dim;
    // The last subgroup: the first ones rotate the queries.
    k.ifThen(k.subgroupIndex() == k.subgroupCount() - 1, [&] {
      rotateHead(keySource, kNorm, position, [&](Val i, Val y1, Val y2) {
        k.store(keys, heads.cache, cacheRow(position) + i, y1);
        k.store(keys, heads.cache, cacheRow(position) + i + dim / 2, y2);
      });
    });
    k.forLoop(t, k.u32(dim), k.u32(k.invocations()), [&](Val i) {
      k.store(values, heads.cache, cacheRow(position) + i, k.load(qkv, Elem::F32, valueSource + i));
    });
  }

  Vals processTile(Val key0, Val upper, ArrayRef<Val> carried) {
    Val count = k.min(upper - key0, k.u32(tileKeys));
    k.barrierWithDeviceMemory(); // queries and the newest key are written; the tile before has been read
    scoreKeys(key0, count);
    k.barrier();
    Vals next, factors;
    Vals newMax, newSum;
    for (uint32_t g = 0; g < group; ++g)
      softmax(g, count, carried[g], carried[group + g], newMax, newSum, factors);
    k.barrier();
    next.append(newMax);
    next.append(newSum);
    next.append(accumulate(key0, count, factors, carried.drop_front(2 * group)));
    return next;
  }

  /// Part dots of key t / parts: accesses t % parts, + parts, ...
  void scoreKeys(Val key0, Val count) {
    Val key = t / parts, part = t % parts;
    k.ifThen(key < count, [&] {
      Val row = cacheRow(key0 + key);
      const uint32_t mine = accesses / parts;
      SmallVector<Vals> x;
      for (uint32_t a = 0; a < mine; ++a)
        x.push_back(k.load(keys, heads.cache, row + (part + a * parts) * width, width));
      for (uint32_t g = 0; g < group; ++g) {
        Val sum = k.f32(0);
        for (uint32_t a = 0; a < mine; ++a)
          for (uint32_t e = 0; e < width; ++e)
            sum = k.fma(x[a][e], k.loadOne(rotated, (part + a * parts) * width + (g * dim + e)), sum);
        k.store(partDots, t + g * tileKeys * parts, {sum});
      }
    });
  }

  Val score(uint32_t g, Val key) {
    Val base = key * parts + g * tileKeys * parts;
    Val sum = k.loadOne(partDots, base);
    for (uint32_t p = 1; p < parts; ++p)
      sum = sum + k.loadOne(partDots, base + p);
    return sum;
  }

  /// Every subgroup does the same for all keys of the tile; the first one stores the probabilities.
  void softmax(uint32_t g, Val count, Val maxBefore, Val sumBefore, Vals &newMax, Vals &newSum, Vals &factors) {
    Val largest = k.forLoop(k.lane(), count, k.subgroupSize(), {maxBefore},
                            [&](Val j, ArrayRef<Val> c) -> Vals { return {k.max(c[0], score(g, j))}; })[0];
    largest = k.subgroupMax(largest);
    Val sum = k.forLoop(k.lane(), count, k.subgroupSize(), {k.f32(0)}, [&](Val j, ArrayRef<Val> c) -> Vals {
      Val p = k.exp(score(g, j) - largest);
      k.ifThen(k.subgroupIndex() == 0, [&] { k.store(probabilities, j + g * tileKeys, {p}); });
      return {c[0] + p};
    })[0];
    Val factor = k.exp(maxBefore - largest);
    newMax.push_back(largest);
    newSum.push_back(k.fma(sumBefore, factor, k.subgroupAdd(sum)));
    factors.push_back(factor);
  }

  /// Invocation t owns access t % accesses of the keys t / accesses, + keySlots, ...; behind the last slot it does
  /// nothing.
  Vals accumulate(Val key0, Val count, ArrayRef<Val> factors, ArrayRef<Val> carried) {
    Vals sums;
    for (uint32_t g = 0; g < group; ++g)
      for (uint32_t e = 0; e < width; ++e)
        sums.push_back(carried[g * width + e] * factors[g]);
    Val slot = t / accesses, column = (t % accesses) * width;
    Val first = k.select(slot < keySlots, slot, count);
    return k.forLoop(first, count, k.u32(keySlots * kUnroll), sums, [&](Val j0, ArrayRef<Val> in) {
      Vals next(in);
      SmallVector<Vals> v;
      SmallVector<Val> at;
      for (uint32_t u = 0; u < kUnroll; ++u) {
        at.push_back(j0 + u * keySlots);
        v.push_back(k.load(values, heads.cache, cacheRow(key0 + k.min(at[u], count - 1)) + column, width));
      }
      for (uint32_t u = 0; u < kUnroll; ++u)
        for (uint32_t g = 0; g < group; ++g) {
          Val p = k.select(at[u] < count, k.loadOne(probabilities, k.min(at[u], count - 1) + g * tileKeys), k.f32(0));
          for (uint32_t e = 0; e < width; ++e)
            next[g * width + e] = k.fma(p, v[u][e], next[g * width + e]);
        }
      return next;
    });
  }

  /// The slots' numerators meet in workgroup memory, a few heads of the group at a time.
  void storePartials(ArrayRef<Val> state) {
    Val slot = t / accesses, column = (t % accesses) * width;
    auto record = [&](Val g) { return (kvHead * group + g) * splits + split; };
    for (uint32_t g0 = 0; g0 < group; g0 += headsPerRound) {
      uint32_t here = std::min(headsPerRound, group - g0);
      if (g0)
        k.barrier();
      k.ifThen(slot < keySlots, [&] {
        for (uint32_t g = 0; g < here; ++g)
          for (uint32_t e = 0; e < width; ++e)
            k.store(valueSums, slot * (headsPerRound * dim) + column + (g * dim + e),
                    {state[2 * group + (g0 + g) * width + e]});
      });
      k.barrier();
      k.forLoop(t, k.u32(here * dim), k.u32(k.invocations()), [&](Val i) {
        Val sum = k.loadOne(valueSums, i);
        for (uint32_t s = 1; s < keySlots; ++s)
          sum = sum + k.loadOne(valueSums, i + s * headsPerRound * dim);
        k.store(partials, Elem::F32, record(i / dim + g0) * dim + i % dim, sum);
      });
    }
    k.ifThen(t == 0, [&] {
      for (uint32_t g = 0; g < group; ++g)
        k.store(partials, Elem::F32, record(k.u32(g)) * 2 + statisticsBase(heads.query, splits, dim),
                {state[g], state[group + g]});
    });
  }

  KernelBuilder &k;
  const Heads &heads;
  const Rotary &rotary;
  double scale;
  uint32_t splits, group, dim, width, accesses;
  uint32_t parts = 1, tileKeys = 0, keySlots = 1, headsPerRound = 1;
  std::vector<float> frequencies;
  Buffer qkv, qNorm, kNorm, cells, keys, values, partials;
  Shared rotated, partDots, probabilities, valueSums;
  Val t, kvHead, split;
};

} // namespace

FailureOr<KernelPlan> decodeAttentionKernel(const Heads &heads, const Rotary &rotary, double scale, uint32_t splits,
                                            const StateBlock &state, const TargetProfile &target) {
  uint32_t invocations = std::min<uint32_t>(256, target.maxWorkgroupInvocations);
  if (heads.dim % 4 != 0 || !DecodeAttention::fits(heads, invocations, target.maxSharedBytes))
    return failure();
  KernelPlan plan;
  plan.name = std::string("decode_attention") + (rotary.normalise ? "_norm" : "") + heads.suffix() + "_s" +
              std::to_string(splits) + parameterTag({rotary.theta, rotary.eps, scale});
  plan.workgroup = {invocations, 1, 1};
  plan.groups = {heads.keyValue, splits, 1};
  plan.emit = [=](KernelBuilder &k) {
    DecodeAttention(k, heads, rotary, scale, splits, state).emit();
    return success();
  };
  return plan;
}

} // namespace qwenc
