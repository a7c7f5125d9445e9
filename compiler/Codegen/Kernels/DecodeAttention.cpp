//===- DecodeAttention.cpp - Attention of one row, split over the keys -------------------------------------------===//
//
// One workgroup for each key/value head and split. It rotates the query heads of its group into workgroup memory, the
// owner of the newest key also writes the caches, and then it goes over its keys in tiles of one key per invocation:
// scores by invocations along keys, weighted values by invocations along the elements of the group's heads. No step
// depends on the subgroup size.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/Kernels.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {
constexpr uint32_t kFewestKeys = 64; // per split: below, combining costs more than the split gains
constexpr double kMasked = -1e30;
} // namespace

Val keysPerSplit(KernelBuilder &k, uint32_t splits, Val keys) {
  return k.max((keys + (splits - 1)) / splits, k.u32(kFewestKeys));
}
Val activeSplits(KernelBuilder &k, uint32_t splits, Val keys) {
  Val each = keysPerSplit(k, splits, keys);
  return k.min((keys + each - 1) / each, k.u32(splits));
}

Val combinedElement(KernelBuilder &k, Buffer partials, uint32_t splits, uint32_t dim, Val active, Val index) {
  const uint32_t record = dim + 2; // numerators, maximum, sum
  Val head = index / dim, element = index % dim;
  Val base = head * (splits * record);
  Val largest = k.forLoop(k.u32(0), active, k.u32(1), {k.f32(kMasked)}, [&](Val s, ArrayRef<Val> c) -> Vals {
    return {k.max(c[0], k.load(partials, Elem::F32, base + s * record + dim))};
  })[0];
  Vals sums = k.forLoop(k.u32(0), active, k.u32(1), {k.f32(0), k.f32(0)}, [&](Val s, ArrayRef<Val> c) -> Vals {
    Val at = base + s * record;
    Val factor = k.exp(k.load(partials, Elem::F32, at + dim) - largest);
    return {k.fma(factor, k.load(partials, Elem::F32, at + element), c[0]),
            k.fma(factor, k.load(partials, Elem::F32, at + (dim + 1)), c[1])};
  });
  return sums[0] / sums[1];
}

KernelPlan combineSplitsKernel(uint32_t heads, uint32_t splits, uint32_t dim, const StateBlock &state,
                               const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "combine_splits" + std::to_string(splits) + "_h" + std::to_string(heads) + "d" + std::to_string(dim);
  plan.workgroup = {std::min<uint32_t>(256, target.maxWorkgroupInvocations), 1, 1};
  plan.groups = {(heads * dim + plan.workgroup[0] - 1) / plan.workgroup[0], 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer partials = k.operand("partials", Access::Read, uint64_t(heads) * splits * (dim + 2) * 4);
    Buffer cells = k.operand("state", Access::Read, state.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(heads) * dim * 4);
    Val index = k.workgroupId(0) * k.invocations() + k.localIndex();
    k.ifThen(index < heads * dim, [&] {
      Val active = activeSplits(k, splits, loadCell(k, cells, plan::layout::kPosition) + 1);
      k.store(y, Elem::F32, index, combinedElement(k, partials, splits, dim, active, index));
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
        dim(heads.dim), frequencies(inverseFrequencies(rotary.theta, heads.dim)) {
    qkv = k.operand("qkv", Access::Read, uint64_t(heads.qkvWidth()) * 4);
    if (rotary.normalise) {
      qNorm = k.operand("q_norm", Access::Read, weightBytes(1, dim));
      kNorm = k.operand("k_norm", Access::Read, weightBytes(1, dim));
    }
    cells = k.operand("state", Access::Read, state.bytes());
    keys = k.operand("k_cache", Access::ReadWrite, heads.cacheBytes());
    values = k.operand("v_cache", Access::ReadWrite, heads.cacheBytes());
    partials = k.operand("partials", Access::Write, uint64_t(heads.query) * splits * (dim + 2) * 4);
    queries = k.shared(Elem::F32, group * dim / 4, 4);
    scores = k.shared(Elem::F32, group * k.invocations());
    t = k.localIndex();
    kvHead = k.workgroupId(0);
    split = k.workgroupId(1);
  }

  void emit() {
    Val position = k.min(loadCell(k, cells, plan::layout::kPosition), k.u32(heads.context - 1));
    Val visible = position + 1;
    Val each = keysPerSplit(k, splits, visible);
    Val lower = split * each, upper = k.min(lower + each, visible);
    k.ifThen(lower < upper, [&] {
      stageQueries(position);
      k.ifThen(upper == visible, [&] { appendKeyValue(position); });
      k.barrier();
      Vals state(group, k.f32(kMasked));     // running maxima
      state.append(group, k.f32(0));         // sums of exponentials
      state.append(elements(), k.f32(0));    // numerators of this invocation
      state = k.forLoop(lower, upper, k.u32(k.invocations()), state,
                        [&](Val key0, ArrayRef<Val> carried) { return processTile(key0, upper, carried); });
      storePartials(state);
    });
  }

private:
  /// Elements of the group's heads that one invocation accumulates.
  uint32_t elements() const { return (group * dim + k.invocations() - 1) / k.invocations(); }
  Val cacheRow(Val key) { return (kvHead * heads.context + key) * dim; }

  /// Head norm and rotation of one head of the row; `write` gets (pair index, first half, second half).
  void rotateHead(Val source, Buffer norm, Val position, llvm::function_ref<void(Val, Val, Val)> write) {
    // One subgroup owns the head.
    Val factor = k.f32(1);
    if (rotary.normalise) {
      Val squares = k.forLoop(k.lane(), k.u32(dim), k.subgroupSize(), {k.f32(0)}, [&](Val i, ArrayRef<Val> c) -> Vals {
        Val x = k.load(qkv, Elem::F32, source + i);
        return {k.fma(x, x, c[0])};
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

  void stageQueries(Val position) {
    // Rotation writes single elements; scoring reads vec4, so the heads are copied once into an array of vec4.
    k.forLoop(k.subgroupIndex(), k.u32(group), k.subgroupCount(), [&](Val g) {
      Val source = (kvHead * group + g) * dim;
      rotateHead(source, qNorm, position, [&](Val i, Val y1, Val y2) {
        k.store(rotated(), g * dim + i, {y1 * scale});
        k.store(rotated(), g * dim + i + dim / 2, {y2 * scale});
      });
    });
    k.barrier();
    k.forLoop(t, k.u32(group * dim / 4), k.u32(k.invocations()), [&](Val i) {
      Vals four;
      for (uint32_t e = 0; e < 4; ++e)
        four.push_back(k.loadOne(rotated(), i * 4 + e));
      k.store(queries, i, four);
    });
    k.barrier();
  }

  Shared &rotated() {
    if (!rotatedArray)
      rotatedArray = k.shared(Elem::F32, group * dim);
    return *rotatedArray;
  }

  void appendKeyValue(Val position) {
    Val keySource = (kvHead + heads.query) * dim, valueSource = (kvHead + heads.query + heads.keyValue) * dim;
    k.ifThen(k.subgroupIndex() == 0, [&] {
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
    Val key = key0 + t;
    Val present = key < upper;
    Vals dots = scoreKey(k.select(present, key, key0));
    Vals next;
    Vals factors;
    Vals newMax, newSum;
    k.barrier(); // the scores of the tile before have been read
    for (uint32_t g = 0; g < group; ++g) {
      Val score = k.select(present, dots[g], k.f32(kMasked));
      Val before = carried[g];
      Val largest = k.max(before, k.workgroupMax(score));
      Val p = k.select(present, k.exp(score - largest), k.f32(0));
      k.store(scores, t + g * k.invocations(), {p});
      Val factor = k.exp(before - largest);
      newMax.push_back(largest);
      newSum.push_back(k.fma(carried[group + g], factor, k.workgroupAdd(p)));
      factors.push_back(factor);
    }
    k.barrier();
    Vals sums = accumulate(key0, k.min(upper - key0, k.u32(k.invocations())), factors, carried.drop_front(2 * group));
    next.append(newMax);
    next.append(newSum);
    next.append(sums);
    return next;
  }

  /// Dot products of one key with every query head of the group.
  Vals scoreKey(Val key) {
    unsigned width = accessWidth(dim, heads.cache == Elem::F32 ? 4 : 8);
    Val row = cacheRow(key);
    Vals zeros(group, k.f32(0));
    return k.forLoop(k.u32(0), k.u32(dim / width), k.u32(1), zeros, [&](Val part, ArrayRef<Val> in) {
      Vals next(in);
      Vals x = k.load(keys, heads.cache, row + part * width, width);
      for (uint32_t g = 0; g < group; ++g)
        for (unsigned v = 0; v < width; v += 4) {
          Vals q = k.load(queries, part * (width / 4) + (g * dim / 4 + v / 4));
          next[g] = k.dot(q, ArrayRef<Val>(x).slice(v, 4), next[g]);
        }
      return next;
    });
  }

  /// The element of (head of the group, dim) that this invocation owns as number `e`.
  Val elementIndex(uint32_t e) { return k.min(t + e * k.invocations(), k.u32(group * dim - 1)); }

  Vals accumulate(Val key0, Val count, ArrayRef<Val> factors, ArrayRef<Val> carried) {
    Vals sums;
    SmallVector<Val> scoreBase, column;
    for (uint32_t e = 0; e < elements(); ++e) {
      Val index = elementIndex(e);
      Val g = index / dim;
      Val factor = factors[0];
      for (uint32_t other = 1; other < group; ++other)
        factor = k.select(g == other, factors[other], factor);
      sums.push_back(carried[e] * factor);
      scoreBase.push_back(g * k.invocations());
      column.push_back(index % dim);
    }
    return k.forLoop(k.u32(0), count, k.u32(1), sums, [&](Val j, ArrayRef<Val> in) {
      Vals next(in);
      Val row = cacheRow(key0 + j);
      for (uint32_t e = 0; e < elements(); ++e)
        next[e] = k.fma(k.loadOne(scores, scoreBase[e] + j), k.load(values, heads.cache, row + column[e]), next[e]);
      return next;
    });
  }

  void storePartials(ArrayRef<Val> state) {
    const uint32_t record = dim + 2;
    auto base = [&](Val head) { return (head * splits + split) * record; };
    for (uint32_t e = 0; e < elements(); ++e)
      k.ifThen(t + e * k.invocations() < group * dim, [&] {
        Val index = elementIndex(e);
        k.store(partials, Elem::F32, base(kvHead * group + index / dim) + index % dim, state[2 * group + e]);
      });
    k.ifThen(t == 0, [&] {
      for (uint32_t g = 0; g < group; ++g) {
        Val at = base(kvHead * group + g) + dim;
        k.store(partials, Elem::F32, at, state[g]);
        k.store(partials, Elem::F32, at + 1, state[group + g]);
      }
    });
  }

  KernelBuilder &k;
  const Heads &heads;
  const Rotary &rotary;
  double scale;
  uint32_t splits, group, dim;
  std::vector<float> frequencies;
  Buffer qkv, qNorm, kNorm, cells, keys, values, partials;
  Shared queries, scores;
  std::optional<Shared> rotatedArray;
  Val t, kvHead, split;
};

} // namespace

FailureOr<KernelPlan> decodeAttentionKernel(const Heads &heads, const Rotary &rotary, double scale, uint32_t splits,
                                            const StateBlock &state, const TargetProfile &target) {
  if (heads.dim % 4 != 0)
    return failure();
  KernelPlan plan;
  plan.name = std::string("decode_attention") + (rotary.normalise ? "_norm" : "") + heads.suffix() + "_s" +
              std::to_string(splits) + parameterTag({rotary.theta, rotary.eps, scale});
  plan.workgroup = {std::min<uint32_t>(256, target.maxWorkgroupInvocations), 1, 1};
  plan.groups = {heads.keyValue, splits, 1};
  plan.emit = [=](KernelBuilder &k) {
    DecodeAttention(k, heads, rotary, scale, splits, state).emit();
    return success();
  };
  return plan;
}

} // namespace qwenc
