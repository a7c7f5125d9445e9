//===- DecodeAttention.cpp - Attention of one row, split over the keys -------------------------------------------===//
//
// One workgroup for each split of the keys of a key/value head, and for at most two of its query heads. What a step
// costs at small depth is the chain of what waits for what, so little stands in it:
//
//   before    keys and values of the first tile are on their way; they do not depend on this step. The newest ones do:
//             they never pass through the cache but are exchanged for what was read in their place
//   heads     a subgroup normalises and rotates a head; cosines and sines are computed once for all
//   scores    an invocation has one access of every n-th key and the same piece of all queries: it multiplies them and
//             leaves its parts of the scores in workgroup memory
//   softmax   a subgroup owns a head: it adds up the parts and finds the weights
//   values    an invocation has one access of every n-th value; the n sums meet after the last tile
//
// Where lanes of one subgroup have a whole key, they exchange their parts of the scores, and no workgroup memory or
// barrier stands between the tiles (RowSoftmax).
//
// Keys of the next tile are asked for when the scores are computed, its values when the values are added up.
//
// Large groups of query heads take MatrixDecodeAttention.cpp instead where the target has matrices for them.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/DecodeStep.h"
#include "compiler/Codegen/Kernels/HalfRange.h"
#include "compiler/Codegen/Kernels/RowSoftmax.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {
constexpr uint32_t kKeyBlock = 64;    // a split has a multiple of them: fewer cost as much, and combining costs more
constexpr uint32_t kLeastKeys = 128;  // of a split that is not the last: to combine costs more than to read as many
constexpr uint32_t kMostSplits = 16;  // used: more cost more to combine than they save
constexpr uint32_t kSplitsAhead = 16; // splits whose parts are on their way at the same time
constexpr uint32_t kMostHeads = 2;    // of a workgroup: each lengthens its chain; the others find the keys in the cache
constexpr uint32_t kKeysEach = 4;     // keys of a tile that one invocation reads
constexpr uint32_t kMostSlots = 64;   // rows read side by side
constexpr uint32_t kSumBytes = 9 << 12; // workgroup memory for sums that meet at the same time
constexpr double kMasked = -1e30;
} // namespace

KernelPlan combineSplitsKernel(const SplitShape &shape, const TargetProfile &target) {
  KernelPlan plan;
  plan.name = "combine_splits" + std::to_string(shape.splits) + "_h" + std::to_string(shape.heads) + "d" +
              std::to_string(shape.dim);
  plan.workgroup = {std::min<uint32_t>(256, target.maxWorkgroupInvocations), 1, 1};
  uint32_t vectors = shape.heads * shape.dim / 4;
  plan.groups = {(vectors + plan.workgroup[0] - 1) / plan.workgroup[0], 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    Buffer partials = k.operand("partials", Access::Read, shape.bytes());
    Buffer y = k.operand("y", Access::Write, uint64_t(shape.heads) * shape.dim * 4);
    Val vector = k.workgroupId(0) * k.invocations() + k.localIndex();
    k.ifThen(vector < vectors,
             [&] { k.store(y, Elem::F32, vector * 4, k.load(partials, Elem::F32, shape.combined(vector * 4), 4)); });
    return success();
  };
  return plan;
}

namespace {

/// How the query heads and keys of one key/value head are divided.
struct Division {
  Division(const Heads &heads, uint32_t splits, const TargetProfile &target)
      : splits(splits), used(std::min(splits, kMostSplits)) {
    invocations = std::min<uint32_t>(256, target.maxWorkgroupInvocations);
    group = heads.query / heads.keyValue;
    dim = heads.dim;
    width = accessWidth(dim, heads.cache == Elem::F32 ? 4 : 8);
    pieces = dim / width;
    rowwise = llvm::isPowerOf2_32(pieces) && pieces <= target.subgroupSize;
    slots = std::min(invocations / pieces, kMostSlots);
    for (headsEach = std::min(group, kMostHeads); headsEach > 1; --headsEach) {
      // As few workgroups as that allows, then as even as possible.
      headsEach = llvm::divideCeil(group, llvm::divideCeil(group, headsEach));
      if (fits(target))
        break;
    }
  }

  uint32_t workgroups() const { return llvm::divideCeil(group, headsEach); }
  uint32_t tileKeys() const { return slots * kKeysEach; }
  uint32_t pitch() const { return pieces + 1; } // odd for most dims, against bank conflicts
  uint32_t rowPitch() const { return width * pitch(); }
  /// Floats of workgroup memory apart from the sums of the slots; 64 are for the reductions.
  uint32_t fixedFloats() const {
    return (headsEach + 1) * rowPitch() + dim + (tileKeys() + 1 + 2 * used) * headsEach + 65;
  }
  uint32_t dotFloats() const { return headsEach * tileKeys() * pitch(); }
  /// Floats between the slots of a round.
  uint32_t slotPitch(uint32_t headsPerRound) const { return headsPerRound * rowPitch() + pieces; }
  /// Heads whose slots meet at the same time.
  uint32_t headsPerRound(const TargetProfile &target) const {
    uint32_t room = std::min(kSumBytes, target.maxSharedBytes - fixedFloats() * 4) / 4, most = headsEach;
    while (most > 1 && slots * slotPitch(most) > room)
      --most;
    return llvm::divideCeil(headsEach, llvm::divideCeil(headsEach, most));
  }
  /// The parts of the scores and the sums of the slots share their place.
  uint32_t sharedFloats(uint32_t headsPerRound) const {
    return std::max(dotFloats(), slots * slotPitch(headsPerRound));
  }
  bool fits(const TargetProfile &target) const {
    return slots > 0 && (fixedFloats() + sharedFloats(1)) * 4 <= target.maxSharedBytes;
  }

  uint32_t splits = 0, used = 0; ///< that there is room for, that are used
  uint32_t invocations = 0;
  uint32_t group = 0, headsEach = 0; ///< query heads of a key/value head and of one workgroup
  uint32_t dim = 0, width = 0;       ///< elements of one access of the cache
  bool rowwise = false;              ///< a row is read by lanes of one subgroup
  uint32_t pieces = 0;               ///< accesses of a row; an invocation has one of every row it reads
  uint32_t slots = 0;                ///< rows read side by side
};

class DecodeAttention : DecodeStep {
public:
  DecodeAttention(KernelBuilder &k, const Heads &heads, const Rotary &rotary, double scale, const Division &division,
                  const StateBlock &state)
      : DecodeStep(k, heads, rotary, scale, division.splits, division.headsEach, division.width, state), d(division),
        headsPerRound(d.headsPerRound(k.target())) {
    sums = k.shared(Elem::F32, d.sharedFloats(headsPerRound));
    probabilities = k.shared(Elem::F32, d.tileKeys() * d.headsEach);
    factors = k.shared(Elem::F32, d.headsEach);
    weights = k.shared(Elem::F32, d.headsEach * d.used);
    splitSums = k.shared(Elem::F32, d.headsEach * d.used);
  }

  void emit() {
    loadHeads();
    slot = t / d.pieces;
    Vals newValue = loadNewValue();
    findPosition();
    Val visible = position + 1;
    const uint32_t turn = d.used * kKeyBlock;
    Val each = k.max((visible + (turn - 1)) / turn * kKeyBlock, k.u32(kLeastKeys));
    active = (visible + (each - 1)) / each;
    lower = split * each;
    upper = k.min(lower + each, visible);
    k.ifThen(lower < upper, [&] { attend(newValue); });
  }

private:
  /// True for the invocations that have a slot.
  void ifBusy(llvm::function_ref<void()> body) {
    if (d.slots * d.pieces == d.invocations)
      body();
    else
      k.ifThen(slot < d.slots, body);
  }

  void attend(ArrayRef<Val> newValue) {
    // Old keys and values depend on nothing in this step.
    SmallVector<Value> firstKeys = loadTile(keys, lower), firstValues = loadTile(values, lower);
    rotateHeads();
    Vals query;
    for (uint32_t g = 0; g < d.headsEach; ++g)
      query.append(rotatedPiece(k.u32(g)));
    newest = {k.pack(heads.cache, clampTo(k, heads.cache, rotatedPiece(k.u32(d.headsEach)))),
              k.pack(heads.cache, clampTo(k, heads.cache, Vals(newValue)))};
    k.ifThen((upper == position + 1) & (slot == 0) & (head0 == 0), [&] {
      k.storeRaw(keys, heads.cache, cacheRow(position) + piece * d.width, d.width, newest[0]);
      k.storeRaw(values, heads.cache, cacheRow(position) + piece * d.width, d.width, newest[1]);
    });
    d.rowwise ? addRows(query, firstKeys, firstValues) : addTiles(query, firstKeys, firstValues);
    k.ifThen(active > 1, [&] {
      k.ifThen(arrive(), [&] {
        k.deviceBarrier();
        combine();
      });
    });
  }

  /// All keys of the split, the slots for themselves.
  void addRows(ArrayRef<Val> query, ArrayRef<Value> firstKeys, ArrayRef<Value> firstValues) {
    RowSoftmax rows(k, d.headsEach, d.width, d.pieces, d.slots);
    SmallVector<Value> carried = rows.begin();
    const uint32_t count = rows.carriedCount();
    llvm::append_range(carried, firstKeys);
    llvm::append_range(carried, firstValues);
    k.forLoopMatrices(lower, upper, k.u32(d.tileKeys()), carried, [&](Val key0, SmallVectorImpl<Value> &live) {
      MutableArrayRef<Value> all(live);
      auto tileKeys = all.slice(count, kKeysEach), tileValues = all.take_back(kKeysEach);
      Vals dots = dotKeys(key0, query, tileKeys), visible;
      for (uint32_t j = 0; j < kKeysEach; ++j)
        visible.push_back(key0 + slot + j * d.slots < upper);
      llvm::copy(loadTile(keys, key0 + d.tileKeys()), tileKeys.begin());
      rows.add(
          dots, visible, [&](uint32_t j) { return widen(key0, j, tileValues[j], newest[1]); }, all.take_front(count));
      llvm::copy(loadTile(values, key0 + d.tileKeys()), tileValues.begin());
    });
    rows.meet(probabilities, slot, piece, carried, [&](uint32_t g, Val maximum, Val sum) {
      k.ifThen(k.lane() == 0, [&] { storeStatistics(k.u32(g), maximum, sum); });
    });
    storeNumerators(ArrayRef<Value>(carried).take_front(rows.numeratorCount()));
  }

  /// All keys of the split, the workgroup together.
  void addTiles(ArrayRef<Val> query, ArrayRef<Value> firstKeys, ArrayRef<Value> firstValues) {
    const uint32_t sumCount = d.headsEach * d.width, turns = turnsOf(d.headsEach);
    // Numerators of this invocation, then maxima and this lane's sums of the heads its subgroup owns, then the tile.
    SmallVector<Value> carried(sumCount + 2 * turns, k.f32(0).value);
    for (uint32_t turn = 0; turn < turns; ++turn)
      carried[sumCount + turn] = k.f32(kMasked).value;
    llvm::append_range(carried, firstKeys);
    llvm::append_range(carried, firstValues);
    k.forLoopMatrices(lower, upper, k.u32(d.tileKeys()), carried, [&](Val key0, SmallVectorImpl<Value> &live) {
      MutableArrayRef<Value> all(live);
      auto tileKeys = all.slice(sumCount + 2 * turns, kKeysEach), tileValues = all.take_back(kKeysEach);
      scoreKeys(key0, query, tileKeys);
      llvm::copy(loadTile(keys, key0 + d.tileKeys()), tileKeys.begin());
      k.barrier(); // all parts of the scores are there, and the weights of the tile before are used
      for (uint32_t turn = 0; turn < turns; ++turn)
        softmax(turn, k.min(upper - key0, k.u32(d.tileKeys())), live[sumCount + turn], live[sumCount + turns + turn]);
      k.barrier();
      accumulate(key0, tileValues, all.take_front(sumCount));
      llvm::copy(loadTile(values, key0 + d.tileKeys()), tileValues.begin());
    });
    storeOwnStatistics(ArrayRef<Value>(carried).slice(sumCount, 2 * turns));
    storeNumerators(ArrayRef<Value>(carried).take_front(sumCount));
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Tiles of keys
  //===----------------------------------------------------------------------------------------------------------===//

  /// Behind the last visible key its copy is read: its weight is zero, but what lies there may not be a number.
  Val keyOf(Val key0, uint32_t j) { return k.min(key0 + slot + j * d.slots, upper - 1); }

  SmallVector<Value> loadTile(Buffer cache, Val key0) {
    SmallVector<Value> raw;
    for (uint32_t j = 0; j < kKeysEach; ++j)
      raw.push_back(k.loadRaw(cache, heads.cache, cacheRow(keyOf(key0, j)) + piece * d.width, d.width));
    return raw;
  }

  /// The cache does not hold the newest key and value yet.
  Vals widen(Val key0, uint32_t j, Value raw, Value newestRaw) {
    return k.widen(heads.cache, k.selectRaw(keyOf(key0, j) == position, newestRaw, raw));
  }

  /// This invocation's parts of the scores [key][head].
  Vals dotKeys(Val key0, ArrayRef<Val> query, ArrayRef<Value> tile) {
    Vals dots;
    for (uint32_t j = 0; j < kKeysEach; ++j) {
      Vals x = widen(key0, j, tile[j], newest[0]);
      for (uint32_t g = 0; g < d.headsEach; ++g)
        dots.push_back(k.dot(x, query.slice(g * d.width, d.width), k.f32(0)));
    }
    return dots;
  }

  void scoreKeys(Val key0, ArrayRef<Val> query, ArrayRef<Value> tile) {
    Vals dots = dotKeys(key0, query, tile);
    ifBusy([&] {
      for (uint32_t j = 0; j < kKeysEach; ++j)
        for (uint32_t g = 0; g < d.headsEach; ++g)
          k.store(sums, (slot + (g * d.tileKeys() + j * d.slots)) * d.pitch() + piece, {dots[j * d.headsEach + g]});
    });
  }

  /// body(key of the tile, carried) for every key of this lane.
  Vals forOwnKeys(ArrayRef<Val> init, KernelBuilder::LoopBody body) {
    const uint32_t size = k.target().subgroupSize;
    if (!size)
      return k.forLoop(k.lane(), k.u32(d.tileKeys()), k.subgroupSize(), init, body);
    Vals carried(init);
    for (uint32_t first = 0; first < d.tileKeys(); first += size) {
      Val key = k.lane() + first;
      carried = first + size <= d.tileKeys()
                    ? body(key, carried)
                    : k.ifElse(key < d.tileKeys(), [&] { return body(key, carried); }, [&] { return carried; });
    }
    return carried;
  }

  /// A subgroup owns the heads subgroupIndex, + subgroups, ...; there may be none left for its turn.
  Val ownHead(uint32_t turn) { return turn ? k.subgroupIndex() + k.subgroupCount() * turn : k.subgroupIndex(); }

  /// Leaves the weights of the tile's keys and the factor of what was summed before.
  void softmax(uint32_t turn, Val count, Value &maximum, Value &sum) {
    Val g = ownHead(turn), before(&k, maximum);
    Vals next = k.ifElse(
        g < d.headsEach,
        [&]() -> Vals {
          Val largest = forOwnKeys({before}, [&](Val key, ArrayRef<Val> c) -> Vals {
            Val base = (g * d.tileKeys() + key) * d.pitch(), score = k.loadOne(sums, base);
            for (uint32_t p = 1; p < d.pieces; ++p)
              score = score + k.loadOne(sums, base + p);
            score = k.select(key < count, score, k.f32(kMasked));
            k.store(probabilities, key * d.headsEach + g, {score});
            return {k.max(c[0], score)};
          })[0];
          largest = k.subgroupMax(largest);
          Val factor = k.exp(before - largest);
          Val added = forOwnKeys({Val(&k, sum) * factor}, [&](Val key, ArrayRef<Val> c) -> Vals {
            Val p = k.exp(k.loadOne(probabilities, key * d.headsEach + g) - largest);
            k.store(probabilities, key * d.headsEach + g, {p});
            return {c[0] + p};
          })[0];
          k.ifThen(k.lane() == 0, [&] { k.store(factors, g, {factor}); });
          return {largest, added};
        },
        [&]() -> Vals { return {before, Val(&k, sum)}; });
    maximum = next[0].value;
    sum = next[1].value;
  }

  void accumulate(Val key0, ArrayRef<Value> tile, MutableArrayRef<Value> numerators) {
    for (uint32_t g = 0; g < d.headsEach; ++g) {
      Val factor = k.loadOne(factors, k.u32(g));
      for (Value &sum : numerators.slice(g * d.width, d.width))
        sum = (Val(&k, sum) * factor).value;
    }
    Val busySlot = d.slots * d.pieces == d.invocations ? slot : k.min(slot, k.u32(d.slots - 1));
    for (uint32_t j = 0; j < kKeysEach; ++j) {
      Vals x = widen(key0, j, tile[j], newest[1]);
      for (uint32_t g = 0; g < d.headsEach; ++g) {
        Val p = k.loadOne(probabilities, busySlot * d.headsEach + (j * d.slots * d.headsEach + g));
        for (uint32_t e = 0; e < d.width; ++e) {
          Value &sum = numerators[g * d.width + e];
          sum = k.fma(p, x[e], {&k, sum}).value;
        }
      }
    }
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Results
  //===----------------------------------------------------------------------------------------------------------===//

  /// Maximum and sum of a head, for who combines the splits; there is nothing to combine with one, so its numerators
  /// are divided by the sum.
  void storeStatistics(Val g, Val maximum, Val sum) {
    k.store(factors, g, {k.select(active == 1, k.f32(1) / sum, k.f32(1))});
    k.ifThen(isPresent(g), [&] { k.store(partials, Elem::F32, statisticsOf(record(g, split)), {maximum, sum}); });
  }

  /// Those of the heads that this subgroup owns.
  void storeOwnStatistics(ArrayRef<Value> statistics) {
    k.barrier(); // the factors of the last tile are used
    const uint32_t turns = statistics.size() / 2;
    for (uint32_t turn = 0; turn < turns; ++turn) {
      Val g = ownHead(turn), sum = k.subgroupAdd({&k, statistics[turns + turn]});
      k.ifThen((g < d.headsEach) & (k.lane() == 0), [&] { storeStatistics(g, {&k, statistics[turn]}, sum); });
    }
  }

  /// The slots' numerators meet in workgroup memory, a few heads at a time.
  void storeNumerators(ArrayRef<Value> numerators) {
    const uint32_t slotPitch = d.slotPitch(headsPerRound);
    for (uint32_t g0 = 0; g0 < d.headsEach; g0 += headsPerRound) {
      const uint32_t here = std::min(headsPerRound, d.headsEach - g0);
      if (g0)
        k.barrier();
      ifBusy([&] {
        for (uint32_t g = 0; g < here; ++g)
          for (uint32_t e = 0; e < d.width; ++e)
            k.store(sums, slot * slotPitch + piece + (g * d.rowPitch() + e * d.pitch()),
                    {{&k, numerators[(g0 + g) * d.width + e]}});
      });
      k.barrier();
      k.forLoop(t, k.u32(here * d.dim), k.u32(k.invocations()), [&](Val i) {
        Val g = i / d.dim, element = i % d.dim;
        Val at = g * d.rowPitch() + place(element), sum = k.loadOne(sums, at);
        for (uint32_t s = 1; s < d.slots; ++s)
          sum = sum + k.loadOne(sums, at + s * slotPitch);
        sum = sum * k.loadOne(factors, g + g0);
        k.ifThen(isPresent(g + g0),
                 [&] { k.store(partials, Elem::F32, record(g + g0, split) * d.dim + element, sum); });
      });
    }
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // The last workgroup combines the splits
  //===----------------------------------------------------------------------------------------------------------===//

  void combine() {
    const uint32_t outputs = d.headsEach * d.dim;
    uint32_t step = accessWidth(d.dim, 4);
    while (step > 1 && outputs / step < d.invocations)
      step /= 2;
    const uint32_t ahead = std::min(d.used, kSplitsAhead), turns = llvm::divideCeil(outputs, step * d.invocations);
    auto element = [&](uint32_t turn) { return k.min((t + turn * d.invocations) * step, k.u32(outputs - step)); };
    auto load = [&](uint32_t turn, Val split0) {
      SmallVector<Value> raw;
      Val g = element(turn) / d.dim;
      Val head = k.min(g, k.u32(d.group - 1) - head0);
      for (uint32_t s = 0; s < ahead; ++s)
        raw.push_back(k.loadRaw(partials, Elem::F32,
                                record(head, k.min(split0 + s, active - 1)) * d.dim + element(turn) % d.dim, step));
      return raw;
    };
    SmallVector<Value> first = load(0, k.u32(0)); // waits beside the statistics
    weighSplits();
    k.barrier();
    for (uint32_t turn = 0; turn < turns; ++turn) {
      SmallVector<Value> carried(step, k.f32(0).value);
      carried.append(turn ? load(turn, k.u32(0)) : first);
      Val g = element(turn) / d.dim;
      auto add = [&](Val split0, SmallVectorImpl<Value> &live) {
        for (uint32_t s = 0; s < ahead; ++s) {
          Val split = k.min(split0 + s, k.u32(d.used - 1));
          Val weight = k.select(split0 + s < active, k.loadOne(weights, g * d.used + split), k.f32(0));
          Vals part = k.widen(Elem::F32, live[step + s]);
          for (uint32_t e = 0; e < step; ++e)
            live[e] = k.fma(weight, part[e], {&k, live[e]}).value;
        }
      };
      if (d.used <= ahead)
        add(k.u32(0), carried);
      else
        k.forLoopMatrices(k.u32(0), active, k.u32(ahead), carried, [&](Val split0, SmallVectorImpl<Value> &live) {
          add(split0, live);
          llvm::copy(load(turn, split0 + ahead), live.begin() + step);
        });
      Vals result;
      for (uint32_t e = 0; e < step; ++e)
        result.push_back({&k, carried[e]});
      // This invocation alone has read what it overwrites.
      k.ifThen(((t + turn * d.invocations) * step < outputs) & isPresent(g),
               [&] { k.store(partials, Elem::F32, record(g, k.u32(0)) * d.dim + element(turn) % d.dim, result); });
    }
  }

  /// exp(maximum - largest) / sum over all splits, for each split of each head.
  void weighSplits() {
    k.forLoop(k.subgroupIndex(), k.u32(d.headsEach), k.subgroupCount(), [&](Val g) {
      Val head = k.min(g, k.u32(d.group - 1) - head0);
      // A lane meets the same splits in every loop.
      auto forSplits = [&](Val init, llvm::function_ref<Val(Val at, Val split, Val carried)> body) {
        return k.forLoop(k.lane(), active, k.subgroupSize(), {init}, [&](Val split, ArrayRef<Val> c) -> Vals {
          return {body(g * d.used + split, split, c[0])};
        })[0];
      };
      Val largest = forSplits(k.f32(kMasked), [&](Val at, Val split, Val before) {
        Vals statistics = k.load(partials, Elem::F32, statisticsOf(record(head, split)), 2);
        k.store(weights, at, {statistics[0]});
        k.store(splitSums, at, {statistics[1]});
        return k.max(before, statistics[0]);
      });
      largest = k.subgroupMax(largest);
      Val sum = forSplits(k.f32(0), [&](Val at, Val, Val before) {
        Val weight = k.exp(k.loadOne(weights, at) - largest);
        k.store(weights, at, {weight});
        return k.fma(k.loadOne(splitSums, at), weight, before);
      });
      Val inverse = k.f32(1) / k.subgroupAdd(sum);
      k.forLoop(k.lane(), active, k.subgroupSize(), [&](Val split) {
        Val at = g * d.used + split;
        k.store(weights, at, {k.loadOne(weights, at) * inverse});
      });
    });
  }

  Division d;
  uint32_t headsPerRound;
  Shared probabilities, factors, weights, splitSums;
  Shared sums; // parts of the scores [head][key][piece], then numerators [slot][head][element]
  Val slot;
  Val lower, upper;            // the keys of this split
  std::array<Value, 2> newest; // this invocation's piece of the newest key and value, as the caches hold them
};

} // namespace

FailureOr<KernelPlan> decodeAttentionKernel(const Heads &heads, const Rotary &rotary, double scale, uint32_t splits,
                                            const StateBlock &state, const TargetProfile &target) {
  if (heads.dim % 4 != 0)
    return failure();
  FailureOr<KernelPlan> onMatrices = matrixDecodeAttentionKernel(heads, rotary, scale, splits, state, target);
  if (succeeded(onMatrices))
    return onMatrices;
  Division division(heads, splits, target);
  if (!division.fits(target) || heads.keyValue * division.workgroups() > plan::layout::kArrivalCount)
    return failure();
  KernelPlan plan;
  plan.name = "decode_attention" + decodeAttentionSuffix(heads, rotary, scale, splits);
  plan.workgroup = {division.invocations, 1, 1};
  plan.groups = {heads.keyValue, division.used, division.workgroups()};
  plan.emit = [=](KernelBuilder &k) {
    DecodeAttention(k, heads, rotary, scale, division, state).emit();
    return success();
  };
  return plan;
}

} // namespace qwenc
