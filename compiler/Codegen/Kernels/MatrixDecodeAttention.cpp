//===- MatrixDecodeAttention.cpp - Attention of one row on cooperative matrices ----------------------------------===//
//
// One workgroup for each split of the keys of a key/value head, with all of its query heads: padded to 16 they are the
// rows of matrices, so each key is read once, by one core, and never widened. A subgroup has 16 of the keys at a time
// and a maximum and a sum of its own for each head, so nobody waits for anybody until the last key is read:
//
//   before    the first keys and values are on their way while the heads are rotated (DecodeStep)
//   scores    the subgroup's keys pass through its strip of workgroup memory, and so do the scores (ScoreStrips.h says
//             why); two lanes have a head's 16 scores and leave softmax weights
//   values    take the keys' place in the strip
//   meet      the sums of the subgroups, 64 columns at a time, in the strips; each head is added up by one subgroup
//   combine   a split leaves its softmax-weighted mean of the values, which is no larger than they are, so it has the
//             cache's type: the last workgroup of a key/value head reads the parts of all splits, each lane some
//
// What this costs at small depth is mostly fetching its code: since the last step, weights have streamed through the
// caches. So there is little of it, and where splits meet, the first workgroup of each key/value head, which has no
// split, runs ahead of the last one through combine() and drops the result.
//
// Partial results: the combined row of a head, in f32, is where its first numerators would be; behind it lie the parts
// of its splits. Statistics are where DecodeStep has them.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/DecodeStep.h"
#include "compiler/Codegen/Kernels/HalfRange.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

namespace {

constexpr uint32_t kMatrix = 16;
constexpr uint32_t kSubgroup = 32;  // lanes: two have a row
constexpr uint32_t kSubgroups = 8;  // of a workgroup
constexpr uint32_t kLeastGroup = 4; // query heads: with fewer, more than three quarters of a matrix are padding
constexpr uint32_t kTileKeys = kSubgroups * kMatrix; // of a workgroup at a time
constexpr uint32_t kHalf = kSubgroup / 2;            // lanes
constexpr uint32_t kLargestDim = 128;                // a strip holds 16 rows of it
constexpr uint32_t kSumColumns = 64;                 // that meet at the same time
// Pitches and the strip are in accesses of 16 bytes.
constexpr uint32_t kSumPitch = kSumColumns / 4 + 1; // against bank conflicts
constexpr uint32_t kStrip = kMatrix * kSumPitch;    // 16 rows of keys, of values, of sums, or scores and their factors
constexpr uint32_t kScorePitch = kMatrix / 4 + 2;   // without the two, rows of a matrix would begin in only two banks
constexpr uint32_t kWeightPitch = kMatrix / 8;
constexpr uint32_t kPartsAhead = 5; // most parts of splits that a lane asks for at the same time
constexpr uint32_t kTilesAlone = 4; // most for one workgroup alone: to meet others costs as much as three of them
constexpr double kMasked = -1e30;

/// Accesses between rows of keys, values and queries; odd, against bank conflicts.
uint32_t rowPitchOf(uint32_t dim) { return dim / 8 + 1; }

/// How the lanes that have the same piece of a row share the parts of all splits.
struct PartReads {
  PartReads(uint32_t splits, uint32_t pieces)
      : shares(kSubgroup / pieces), chunks(llvm::divideCeil(splits, shares * kPartsAhead)),
        ahead(llvm::divideCeil(splits, shares * chunks)) {}

  uint32_t padded() const { return shares * ahead * chunks; } ///< splits, with those that only the last chunk has

  uint32_t shares = 0; ///< lanes that have the same piece
  uint32_t chunks = 0;
  uint32_t ahead = 0; ///< parts of a chunk that one lane has
};

class MatrixDecodeAttention : DecodeStep {
public:
  MatrixDecodeAttention(KernelBuilder &k, const Heads &heads, const Rotary &rotary, double scale, uint32_t splits,
                        const StateBlock &state)
      : DecodeStep(k, heads, rotary, scale, splits, heads.query / heads.keyValue, 8, state),
        used(usedSplits(heads, splits, k.target())), pitch(rowPitchOf(heads.dim)) {
    queries = k.shared(heads.cache, kMatrix * pitch, 8);
    strips = k.shared(heads.cache, kSubgroups * kStrip, 8);
    weights = k.shared(heads.cache, kSubgroups * kMatrix * kWeightPitch, 8);
    scores = strips.as(Elem::F32);
    statistics = weights.as(Elem::F32);
  }

  /// Splits that are used: with one more workgroup for each key/value head, they run at the same time.
  static uint32_t usedSplits(const Heads &heads, uint32_t splits, const TargetProfile &target) {
    return std::min(splits, std::max(target.computeUnits / heads.keyValue, 2u) - 1);
  }
  /// Of workgroup memory.
  static uint32_t sharedBytes(uint32_t group, uint32_t dim) {
    const uint32_t accesses = kSubgroups * (kStrip + kMatrix * kWeightPitch) + kMatrix * rowPitchOf(dim);
    return accesses * 16 + sharedFloats(group, dim, 8) * 4;
  }

  void emit() {
    loadHeads();
    split = split - 1; // the first workgroup has no split
    Vals newValue = loadNewValue();
    strip = k.subgroupIndex() * kStrip;
    weightStrip = k.subgroupIndex() * (kMatrix * kWeightPitch);
    part = k.lane() % 2;
    laneRow = k.lane() / 2;
    first = split * kTileKeys + k.subgroupIndex() * kMatrix;
    findPosition();
    Val tiles = position / kTileKeys + 1;
    active = k.select(tiles <= kTilesAlone, k.u32(1), k.min(tiles, k.u32(used)));
    Val combines = k.ifElse(
        split < active,
        [&]() -> Vals {
          attend(newValue);
          return k.ifElse(
              active > 1, [&]() -> Vals { return {arrive()}; }, [&]() -> Vals { return {k.boolean(false)}; });
        },
        [&]() -> Vals { return {(k.workgroupId(1) == 0) & (active > 1)}; })[0];
    k.ifThen(combines, [&] {
      k.deviceBarrier();
      combine();
    });
  }

private:
  uint32_t dimMatrices() const { return heads.dim / kMatrix; }
  /// Accesses of the cache with which a subgroup reads a row of each key that it has.
  uint32_t rowTurns() const { return kMatrix * pieces / kSubgroup; }
  /// The row of this lane's access, among those 16.
  Val accessRow(uint32_t turn) { return k.lane() / pieces + turn * (kSubgroup / pieces); }
  /// body(head) for the heads whose sums this subgroup adds up.
  void forOwnHeads(llvm::function_ref<void(Val g)> body) {
    for (uint32_t g0 = 0; g0 < group; g0 += kSubgroups) {
      Val g = k.subgroupIndex() + g0;
      if (g0 + kSubgroups <= group)
        body(g);
      else
        k.ifThen(g < group, [&] { body(g); });
    }
  }
  Val acrossLanes(Val x, uint32_t firstMask, llvm::function_ref<Val(Val, Val)> combine) {
    for (uint32_t mask = firstMask; mask < kSubgroup; mask *= 2)
      x = combine(x, k.shuffleXor(x, mask));
    return x;
  }
  Val maxAcross(Val x, uint32_t firstMask) {
    return acrossLanes(x, firstMask, [&](Val a, Val b) { return k.max(a, b); });
  }
  Val sumAcross(Val x, uint32_t firstMask) {
    return acrossLanes(x, firstMask, [](Val a, Val b) { return a + b; });
  }

  void attend(ArrayRef<Val> newValue) {
    SmallVector<Value> carried(dimMatrices(), k.matrixZero());
    carried.push_back(k.f32(kMasked).value); // the row's maximum
    carried.push_back(k.f32(0).value);       // this lane's part of the row's sum
    const size_t raw = carried.size();
    carried.append(loadRows(keys, first)); // old keys and values depend on nothing in this step
    carried.append(loadRows(values, first));
    rotateHeads();
    Value newestKey = k.pack(heads.cache, clampTo(k, heads.cache, rotatedPiece(k.u32(group))));
    Value newestValue = k.pack(heads.cache, clampTo(k, heads.cache, Vals(newValue)));
    SmallVector<Value> query = loadQueries();
    k.forLoopMatrices(first, position + 1, active * kTileKeys, carried, [&](Val key0, SmallVectorImpl<Value> &live) {
      MutableArrayRef<Value> all(live);
      auto tileKeys = all.slice(raw, rowTurns()), tileValues = all.take_back(rowTurns());
      Val next = key0 + active * kTileKeys;
      storeRows(keys, key0, tileKeys, newestKey);
      llvm::copy(loadRows(keys, next), tileKeys.begin());
      multiplyKeys(query);
      Value factor = softmax(key0, live[raw - 2], live[raw - 1]);
      storeRows(values, key0, tileValues, newestValue);
      llvm::copy(loadRows(values, next), tileValues.begin());
      multiplyValues(factor, all.take_front(dimMatrices()));
    });
    leaveStatistics({&k, carried[raw - 2]}, {&k, carried[raw - 1]});
    meet(ArrayRef<Value>(carried).take_front(dimMatrices()));
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Keys and values of a subgroup
  //===----------------------------------------------------------------------------------------------------------===//

  SmallVector<Value> loadRows(Buffer cache, Val key0) {
    SmallVector<Value> raw;
    for (uint32_t turn = 0; turn < rowTurns(); ++turn)
      raw.push_back(
          k.loadRaw16(cache, (kvHead * heads.context + k.min(key0 + accessRow(turn), position)) * pieces + piece));
    return raw;
  }

  /// The cache does not hold the newest row yet. Behind it, its copy is stored: its weight is zero, but what lies there
  /// may not be a number.
  void storeRows(Buffer cache, Val key0, ArrayRef<Value> raw, Value newest) {
    auto place = [&](uint32_t turn) { return strip + accessRow(turn) * pitch + piece; };
    for (uint32_t turn = 0; turn < rowTurns(); ++turn)
      k.storeRaw16(strips, place(turn), raw[turn]);
    k.ifThen(key0 + kMatrix > position, [&] {
      for (uint32_t turn = 0; turn < rowTurns(); ++turn)
        k.ifThen(key0 + accessRow(turn) >= position, [&] { k.storeRaw16(strips, place(turn), newest); });
      k.ifThen(k.lane() < pieces, [&] { k.storeRaw(cache, heads.cache, cacheRow(position) + piece * 8, 8, newest); });
    });
    k.subgroupBarrier();
  }

  /// The rotated heads as operands, padded by zeros.
  SmallVector<Value> loadQueries() {
    const uint32_t accesses = kMatrix * pieces;
    for (uint32_t done = 0; done < accesses; done += k.invocations()) {
      Val row = (t + done) / pieces;
      auto store = [&] {
        Vals x = rotatedPiece(k.min(row, k.u32(group)));
        for (Val &element : x)
          element = k.select(row < group, clampTo(k, heads.cache, element), k.f32(0));
        k.store(queries, row * pitch + piece, x);
      };
      if (done + k.invocations() <= accesses)
        store();
      else
        k.ifThen(row < kMatrix, store);
    }
    k.barrier();
    SmallVector<Value> query;
    for (uint32_t d = 0; d < dimMatrices(); ++d)
      query.push_back(k.matrixLoad(queries, k.u32(d * 2), pitch, MatrixUse::A, MatrixOrder::Rows));
    return query;
  }

  /// Leaves the scores in the strip, in the place of the keys.
  void multiplyKeys(ArrayRef<Value> query) {
    Value sum = k.matrixZero();
    for (uint32_t d = 0; d < dimMatrices(); ++d) {
      Value key = k.matrixLoad(strips, strip + d * 2, pitch, MatrixUse::B, MatrixOrder::Columns);
      sum = k.matrixMulAdd(query[d], key, sum);
    }
    k.subgroupBarrier(); // all keys are read
    k.matrixStore(scores, strip, kScorePitch, sum);
    k.subgroupBarrier();
  }

  /// Scores become weights; the result is the factor of what was summed before.
  Value softmax(Val key0, Value &maximum, Value &sum) {
    const uint32_t half = kMatrix / 2;
    Val access = strip + laneRow * kScorePitch;
    Vals x = k.load(scores, access + part * 2);
    x.append(k.load(scores, access + part * 2 + 1));
    Val before(&k, maximum), largest = before, key = key0 + part * half;
    for (auto [e, score] : llvm::enumerate(x)) {
      score = k.select(key + uint32_t(e) <= position, score, k.f32(kMasked));
      largest = k.max(largest, score);
    }
    largest = k.max(largest, k.shuffleXor(largest, 1)); // part 0 sees the first key of the tile
    Val factor = k.exp(before - largest), total = Val(&k, sum) * factor;
    for (Val &score : x) {
      score = k.exp(score - largest);
      total = total + score;
    }
    maximum = largest.value;
    sum = total.value;
    k.store(weights, weightStrip + laneRow * kWeightPitch + part, x);
    const uint32_t behind = kMatrix * kScorePitch; // the factors lie behind the scores
    for (uint32_t i = 0; i < 2; ++i)
      k.store(scores, access + part * 2 + (behind + i), Vals(4, factor));
    k.subgroupBarrier();
    Value result = k.matrixLoad(scores, strip + behind, kScorePitch, MatrixUse::Accumulator, MatrixOrder::Rows);
    k.subgroupBarrier();
    return result;
  }

  /// sums = sums * factor + weights * values.
  void multiplyValues(Value factor, MutableArrayRef<Value> sums) {
    Value weight = k.matrixLoad(weights, weightStrip, kWeightPitch, MatrixUse::A, MatrixOrder::Rows);
    for (uint32_t d = 0; d < dimMatrices(); ++d) {
      Value value = k.matrixLoad(strips, strip + d * 2, pitch, MatrixUse::B, MatrixOrder::Rows);
      sums[d] = k.matrixMulAdd(weight, value, k.matrixScale(sums[d], factor));
    }
    k.subgroupBarrier(); // the next keys take the place of the values
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // The subgroups meet
  //===----------------------------------------------------------------------------------------------------------===//

  /// Maximum and sum of each row, in the place of the weights.
  void leaveStatistics(Val maximum, Val sum) {
    sum = sum + k.shuffleXor(sum, 1);
    k.ifThen(part == 0, [&] { k.store(statistics, weightStrip + laneRow, {maximum, sum, sum, sum}); });
  }

  void meet(ArrayRef<Value> sums) {
    SmallVector<Vals> shares; // of this lane's subgroups, for each head that this subgroup adds up
    for (uint32_t column0 = 0; column0 < heads.dim; column0 += kSumColumns) {
      const uint32_t columns = std::min(kSumColumns, heads.dim - column0);
      if (column0)
        k.barrier();
      for (uint32_t j = 0; j < columns / kMatrix; ++j)
        k.matrixStore(scores, strip + j * 4, kSumPitch, sums[column0 / kMatrix + j]);
      k.barrier();
      for (uint32_t g0 = 0; g0 < group; g0 += kSubgroups) {
        Val g = k.subgroupIndex() + g0;
        if (column0 == 0)
          shares.push_back(shareOut(g));
        Vals mean = addSubgroups(k.min(g, k.u32(group - 1)), shares[g0 / kSubgroups]);
        storeMean(g, k.lane() % kHalf * 4 + column0, (g < group) & (k.lane() < columns / 4), mean);
      }
    }
  }

  /// Half of the lanes of a subgroup have half of the subgroups' sums: what these are multiplied by.
  Vals shareOut(Val g) {
    constexpr uint32_t each = kSubgroups / 2;
    Val row = k.lane() / kHalf * (each * kMatrix * kWeightPitch) + k.min(g, k.u32(group - 1));
    Vals shares, sums;
    Val largest = k.f32(kMasked), total = k.f32(0);
    for (uint32_t i = 0; i < each; ++i) {
      Vals left = k.load(statistics, row + i * (kMatrix * kWeightPitch));
      shares.push_back(left[0]);
      sums.push_back(left[1]);
      largest = k.max(largest, left[0]);
    }
    largest = maxAcross(largest, kHalf);
    for (uint32_t i = 0; i < each; ++i) {
      shares[i] = k.exp(shares[i] - largest);
      total = k.fma(shares[i], sums[i], total);
    }
    total = sumAcross(total, kHalf);
    for (Val &share : shares)
      share = share / total;
    k.ifThen((active > 1) & (g < group) & (k.lane() == 0),
             [&] { k.store(partials, Elem::F32, statisticsOf(record(g, split)), {largest, total}); });
    return shares;
  }

  /// Four columns.
  Vals addSubgroups(Val g, ArrayRef<Val> shares) {
    Val row = k.lane() / kHalf * (kSubgroups / 2 * kStrip) + g * kSumPitch + k.lane() % kHalf;
    Vals mean(4, k.f32(0));
    for (auto [i, share] : llvm::enumerate(shares)) {
      Vals left = k.load(scores, row + uint32_t(i * kStrip));
      for (uint32_t e = 0; e < 4; ++e)
        mean[e] = k.fma(left[e], share, mean[e]);
    }
    for (Val &element : mean)
      element = sumAcross(element, kHalf);
    return mean;
  }

  /// First element of what combine() leaves for a head, in f32.
  Val combinedRow(Val g) { return record(g, k.u32(0)) * heads.dim; }
  /// First access of a split's part; the combined row has the place of two.
  Val partRow(Val g, Val split) { return (record(g, k.u32(0)) * 2 + split + 2) * pieces; }

  void storeMean(Val g, Val column, Val isPresent, ArrayRef<Val> mean) {
    k.ifThen(isPresent, [&] {
      k.ifThen(active == 1, [&] { k.store(partials, Elem::F32, combinedRow(g) + column, mean); });
      k.ifThen(active != 1, [&] { k.store(partials, heads.cache, partRow(g, split) * 8 + column, mean); });
    });
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // The last workgroup combines the splits
  //===----------------------------------------------------------------------------------------------------------===//

  /// The lanes that have the same piece of a row share the splits among themselves.
  void combine() {
    const PartReads reads(used, pieces);
    const uint32_t shares = reads.shares, ahead = reads.ahead, chunk = shares * ahead;
    Val own = k.lane() / pieces;
    forOwnHeads([&](Val g) {
      auto load = [&](Val split0) {
        SmallVector<Value> raw;
        for (uint32_t i = 0; i < ahead; ++i)
          raw.push_back(k.loadRaw16(partials, partRow(g, k.min(split0 + own + i * shares, active - 1)) + piece));
        return raw;
      };
      SmallVector<Value> firstParts = load(k.u32(0)); // wait beside the statistics
      Val weights = k.subgroupIndex() * reads.padded();
      weighSplits(g, weights, reads.padded());
      SmallVector<Value> carried(width, k.f32(0).value);
      carried.append(firstParts);
      auto add = [&](Val split0, SmallVectorImpl<Value> &live) {
        for (uint32_t i = 0; i < ahead; ++i) {
          Val weight = k.loadOne(rotated, weights + split0 + own + i * shares);
          for (auto [e, x] : llvm::enumerate(k.widen(heads.cache, live[width + i])))
            live[e] = k.fma(weight, x, {&k, live[e]}).value;
        }
      };
      if (reads.chunks == 1)
        add(k.u32(0), carried);
      else
        k.forLoopMatrices(k.u32(0), active, k.u32(chunk), carried, [&](Val split0, SmallVectorImpl<Value> &live) {
          add(split0, live);
          llvm::copy(load(split0 + chunk), live.begin() + width);
        });
      Vals result;
      for (uint32_t e = 0; e < width; ++e)
        result.push_back(sumAcross({&k, carried[e]}, pieces));
      // The workgroup without a split has no result.
      k.ifThen((k.lane() < pieces) & (split < splits),
               [&] { k.store(partials, Elem::F32, combinedRow(g) + piece * 8, result); });
    });
  }

  /// Leaves what the parts of a head are multiplied by, zero for `count - active` that nobody left.
  void weighSplits(Val g, Val at, uint32_t count) {
    SmallVector<Vals> left;
    Val largest = k.f32(kMasked), total = k.f32(0);
    for (uint32_t split0 = 0; split0 < used; split0 += kSubgroup) {
      Val split = k.lane() + split0;
      left.push_back(k.load(partials, Elem::F32, statisticsOf(record(g, k.min(split, k.u32(used - 1)))), 2));
      largest = k.max(largest, k.select(split < active, left.back()[0], k.f32(kMasked)));
    }
    largest = k.subgroupMax(largest);
    for (auto [turn, each] : llvm::enumerate(left)) {
      Val weight = k.exp(each[0] - largest) * each[1];
      each[0] = k.select(k.lane() + uint32_t(turn * kSubgroup) < active, weight, k.f32(0));
      total = total + each[0];
    }
    Val inverse = k.f32(1) / k.subgroupAdd(total);
    for (uint32_t split0 = 0; split0 < count; split0 += kSubgroup) {
      Val split = k.lane() + split0;
      Val weight = split0 < used ? left[split0 / kSubgroup][0] * inverse : k.f32(0);
      auto store = [&] { k.store(rotated, at + split, {weight}); };
      if (split0 + kSubgroup <= count)
        store();
      else
        k.ifThen(split < count, store);
    }
    k.subgroupBarrier();
  }

  uint32_t used;              // splits
  uint32_t pitch;             // of a row of keys, values or queries, in accesses
  Shared queries;             // [head][dim]
  Shared strips, scores;      // of all subgroups: keys, scores, values, last their sums
  Shared weights, statistics; // [subgroup][head]: [key], or one access of maximum and sum
  Val strip, weightStrip;     // first access of this subgroup
  Val first;                  // key of this subgroup
  Val part, laneRow;          // of this lane: its half of a head's scores, which head
};

} // namespace

FailureOr<KernelPlan> matrixDecodeAttentionKernel(const Heads &heads, const Rotary &rotary, double scale,
                                                  uint32_t splits, const StateBlock &state,
                                                  const TargetProfile &target) {
  const bool hasMatrices = heads.cache == Elem::F16    ? target.f16CooperativeMatrix
                           : heads.cache == Elem::BF16 ? target.bf16CooperativeMatrix
                                                       : false;
  const uint32_t group = heads.query / heads.keyValue;
  const uint32_t used = MatrixDecodeAttention::usedSplits(heads, splits, target);
  if (!hasMatrices || target.subgroupSize != kSubgroup || target.maxWorkgroupInvocations < kSubgroups * kSubgroup ||
      group < kLeastGroup || group > kMatrix || heads.dim < kMatrix || heads.dim > kLargestDim ||
      !llvm::isPowerOf2_32(heads.dim) || PartReads(used, heads.dim / 8).padded() > heads.dim + 8 ||
      MatrixDecodeAttention::sharedBytes(group, heads.dim) > target.maxSharedBytes ||
      heads.keyValue > mlir::plan::layout::kArrivalCount)
    return failure();
  KernelPlan plan;
  plan.name = "decode_attention_matrix" + decodeAttentionSuffix(heads, rotary, scale, splits);
  plan.workgroup = {kSubgroups * kSubgroup, 1, 1};
  plan.groups = {heads.keyValue, used + 1, 1};
  plan.emit = [=](KernelBuilder &k) {
    MatrixDecodeAttention(k, heads, rotary, scale, splits, state).emit();
    return success();
  };
  return plan;
}

} // namespace qwenc
