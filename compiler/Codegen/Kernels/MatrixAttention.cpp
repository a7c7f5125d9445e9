//===- MatrixAttention.cpp - Attention of many rows on cooperative matrices --------------------------------------===//
//
// All query heads that share a key/value head form one list of rows, row = position * group + head in group, so that a
// tile of queries is full for any group and its keys are read once. A subgroup owns 16 rows: their scores, the
// statistics of their softmax (ScoreStrips.h) and all columns of their result, so between the products only the
// subgroup waits for itself.
//
// Where a workgroup has a core for itself, two subgroups share 16 rows: each takes half of the keys of every step as if
// the others did not exist, and their sums meet at the end.
//
// Keys and values of the next step wait in registers while this step computes.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/HalfRange.h"
#include "compiler/Codegen/Kernels/ScoreStrips.h"

#include "dialects/plan/StateLayout.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {

constexpr uint32_t kMatrix = ScoreStrips::kMatrix;
constexpr uint32_t kLargestDim = 192; // the result of 16 rows stays in registers

/// What one workgroup computes at a time.
struct AttentionTile {
  uint32_t strips = 0;  ///< of 16 query rows each
  uint32_t splits = 0;  ///< subgroups that share a strip's rows, each with its part of the keys
  uint32_t keys = 0;    ///< keys of one step
  uint32_t buffers = 0; ///< 2: the next step's keys are stored while slower subgroups still read this step's

  uint32_t subgroups() const { return strips * splits; }
  uint32_t queries() const { return strips * kMatrix; }
  uint32_t ownKeys() const { return keys / splits; }         ///< of one subgroup
  uint32_t pitch(uint32_t dim) const { return dim / 8 + 1; } // 16-byte pieces; odd, against bank conflicts
  uint32_t cachePieces(uint32_t dim) const { return buffers * 2 * keys * pitch(dim); }
  uint32_t stripPitch() const { return ScoreStrips::pitchOf(ownKeys()); }
  uint32_t sumPitch(uint32_t dim) const { return dim / 4 + 2; }
  uint32_t sharedBytes(uint32_t dim) const { return (cachePieces(dim) + subgroups() * kMatrix * stripPitch()) * 16; }

  bool fits(uint32_t dim, const TargetProfile &target) const {
    uint32_t lanesPerRow = target.subgroupSize / kMatrix;
    return ownKeys() % (8 * lanesPerRow) == 0 && subgroups() * target.subgroupSize <= target.maxWorkgroupInvocations &&
           queries() * pitch(dim) <= cachePieces(dim) && (splits - 1) * queries() * sumPitch(dim) <= cachePieces(dim) &&
           sharedBytes(dim) <= target.maxSharedBytes;
  }
};

/// In order of preference. Splits are for workgroups that are alone on their core.
constexpr AttentionTile kTiles[] = {
    {.strips = 4, .splits = 2, .keys = 32, .buffers = 2},
    {.strips = 4, .splits = 1, .keys = 32, .buffers = 2},
    {.strips = 4, .splits = 1, .keys = 32, .buffers = 1},
    {.strips = 2, .splits = 1, .keys = 32, .buffers = 1},
};

class MatrixAttention final : ScoreStrips {
public:
  MatrixAttention(KernelBuilder &k, const RowBound &rows, const Heads &heads, double scale, Elem output,
                  const StateBlock &state, AttentionTile tile)
      : ScoreStrips(k, tile.ownKeys(), heads.dim / 8), heads(heads), rows(rows), scale(scale), output(output),
        tile(tile), group(heads.query / heads.keyValue), pitch(tile.pitch(heads.dim)) {
    uint64_t size = uint64_t(rows.max) * heads.query * heads.dim;
    q = k.operand("q", Access::Read, size * 4);
    cells = k.operand("state", Access::Read, state.bytes());
    keys = k.operand("k_cache", Access::Read, heads.cacheBytes());
    values = k.operand("v_cache", Access::Read, heads.cacheBytes());
    y = k.operand("y", Access::Write, size * elemBytes(output));
    cacheTile = k.shared(heads.cache, tile.cachePieces(heads.dim), 8);
    declareStrips(heads.cache, tile.subgroups() * kMatrix);
    otherSums = cacheTile.as(Elem::F32);
  }

  void emit(uint32_t tiles) {
    first = (k.u32(tiles - 1) - k.workgroupId(0)) * tile.queries(); // those with the most keys begin first
    cacheHead = k.workgroupId(1);
    total = rowCount(k, rows, cells) * group;
    t = k.localIndex();
    strip = k.subgroupIndex() * kMatrix;
    queryRow = tile.splits == 1 ? strip : k.subgroupIndex() % tile.strips * kMatrix;
    split = tile.splits == 1 ? k.u32(0) : k.subgroupIndex() / tile.strips;
    findLane();
    row = first + queryRow + laneRow;
    k.ifThen(first < total, [&] {
      Val position = loadCell(k, cells, plan::layout::kPosition);
      Val lastRow = k.min(first + tile.queries(), total) - 1;
      visible = k.min(position + lastRow / group + 1, k.u32(heads.context));
      lastKey = k.min(position + row / group, visible - 1);
      run();
    });
  }

private:
  uint32_t dimMatrices() const { return heads.dim / kMatrix; }
  Val stripRow(uint32_t) override { return strip; } // the only one
  Val laneAccess() { return ScoreStrips::laneAccess(0); }

  void run() {
    SmallVector<Value> firstStep = loadCache(k.u32(0)); // on its way while the queries are staged
    SmallVector<Value> query = loadQueries();
    SmallVector<Value> carried(dimMatrices(), k.matrixZero());
    carried.push_back(k.f32(kMasked).value); // the row's maximum
    carried.push_back(k.f32(0).value);       // this lane's part of the row's sum
    carried.append(firstStep);
    const size_t statistics = dimMatrices(), raw = statistics + 2;
    k.forLoopMatrices(k.u32(0), visible, k.u32(tile.keys), carried, [&](Val key0, SmallVectorImpl<Value> &live) {
      Val buffer = k.u32(0);
      if (tile.buffers == 1)
        k.barrier();
      else
        buffer = (key0 / tile.keys) % 2 * (2 * tile.keys * pitch);
      storeCache(buffer, ArrayRef<Value>(live).drop_front(raw));
      k.barrier();
      SmallVector<Value> next = loadCache(key0 + tile.keys);
      Val ownKey = split * tile.ownKeys();
      multiplyKeys(buffer + ownKey * pitch, query);
      softmax(key0 + ownKey, live[statistics], live[statistics + 1]);
      multiplyValues(buffer + (ownKey + tile.keys) * pitch, MutableArrayRef<Value>(live).take_front(dimMatrices()));
      std::copy(next.begin(), next.end(), live.begin() + raw);
    });
    k.barrier();
    ArrayRef<Value> sums = ArrayRef<Value>(carried).take_front(dimMatrices());
    Val maximum(&k, carried[statistics]);
    Val sum = acrossRow({&k, carried[statistics + 1]}, [](Val a, Val b) { return a + b; });
    if (tile.splits == 1)
      return storeResults(sums, {k.f32(1) / sum});
    leaveSums(sums, maximum, sum);
    k.barrier();
    k.ifThen(split == 0, [&] { storeResults(sums, splitFactors(maximum, sum)); });
  }

  /// Where the elements of a query row (of q and of y) begin.
  Val rowStart(Val row) { return (row / group * heads.query + cacheHead * group + row % group) * heads.dim; }

  /// This subgroup's 16 rows of queries, scaled, as operands; they pass through the place of keys and values.
  SmallVector<Value> loadQueries() {
    SmallVector<Vals> loaded;
    forPieces(tile.queries(), [&](Val row, Val piece, bool) {
      loaded.push_back(k.load(q, Elem::F32, rowStart(k.min(first + row, total - 1)) + piece * 8, 8));
    });
    size_t next = 0;
    forPieces(tile.queries(), [&](Val row, Val piece, bool isFull) {
      Vals &x = loaded[next++];
      for (Val &value : x)
        value = clampTo(k, heads.cache, value * scale);
      ifStaged(row, tile.queries(), isFull, [&] { k.store(cacheTile, row * pitch + piece, x); });
    });
    k.barrier();
    SmallVector<Value> query;
    for (uint32_t d = 0; d < dimMatrices(); ++d)
      query.push_back(k.matrixLoad(cacheTile, queryRow * pitch + d * 2, pitch, MatrixUse::A, MatrixOrder::Rows));
    k.barrier();
    return query;
  }

  /// Keys, then values, of the step that begins at `key0`, as storeCache() takes them. Behind the last visible key its
  /// copy is read: its weight is zero, but what lies there may not be a number.
  SmallVector<Value> loadCache(Val key0) {
    SmallVector<Value> raw;
    for (Buffer from : {keys, values})
      forPieces(tile.keys, [&](Val row, Val piece, bool) {
        Val key = k.min(key0 + row, visible - 1);
        raw.push_back(k.loadRaw16(from, (cacheHead * heads.context + key) * pieces + piece));
      });
    return raw;
  }

  void storeCache(Val buffer, ArrayRef<Value> raw) {
    for (uint32_t firstRow : {0u, tile.keys})
      forPieces(tile.keys, [&](Val row, Val piece, bool isFull) {
        Value value = raw.front();
        raw = raw.drop_front();
        ifStaged(row, tile.keys, isFull,
                 [&] { k.storeRaw16(cacheTile, buffer + (row + firstRow) * pitch + piece, value); });
      });
  }

  /// Scores of this subgroup's rows against the step's keys, left in the strip.
  void multiplyKeys(Val buffer, ArrayRef<Value> query) {
    SmallVector<Value> sums(keyMatrices(), k.matrixZero());
    for (uint32_t d = 0; d < dimMatrices(); ++d)
      for (uint32_t j = 0; j < keyMatrices(); ++j) {
        Value key =
            k.matrixLoad(cacheTile, buffer + (j * kMatrix * pitch + d * 2), pitch, MatrixUse::B, MatrixOrder::Columns);
        sums[j] = k.matrixMulAdd(query[d], key, sums[j]);
      }
    for (uint32_t j = 0; j < keyMatrices(); ++j)
      k.matrixStore(scores, strip * tile.stripPitch() + j * 4, tile.stripPitch(), sums[j]);
    k.subgroupBarrier();
  }

  /// A row that has seen only masked keys sums their values; the factor of its first real maximum, or of its split, is
  /// zero.
  void softmax(Val key0, Value &maximum, Value &sum) {
    RowStep step = ScoreStrips::softmax(
        0, {&k, maximum}, [&](Val column) { return key0 + column; },
        [&](Val key, Val score) { return k.select(key <= lastKey, score, k.f32(kMasked)); });
    k.subgroupBarrier();
    maximum = step.maximum.value;
    sum = k.fma({&k, sum}, step.factor, step.added).value;
  }

  /// sums = sums * factor + weights * values.
  void multiplyValues(Val buffer, MutableArrayRef<Value> sums) {
    const uint32_t stripPitch = tile.stripPitch();
    Value factor = k.matrixLoad(scores, strip * stripPitch + tile.ownKeys() / 8, stripPitch, MatrixUse::Accumulator,
                                MatrixOrder::Rows);
    for (Value &sum : sums)
      sum = k.matrixScale(sum, factor);
    for (uint32_t j = 0; j < keyMatrices(); ++j) {
      Value weight = k.matrixLoad(weights, strip * stripPitch + j * 2, stripPitch, MatrixUse::A, MatrixOrder::Rows);
      for (uint32_t d = 0; d < dimMatrices(); ++d) {
        Value value =
            k.matrixLoad(cacheTile, buffer + (j * kMatrix * pitch + d * 2), pitch, MatrixUse::B, MatrixOrder::Rows);
        sums[d] = k.matrixMulAdd(weight, value, sums[d]);
      }
    }
  }

  /// Where the sums of a split (1, 2, ...) lie for the first one, and the accesses before the next row.
  Val sumStart(Val other) { return ((other - 1) * tile.queries() + queryRow) * tile.sumPitch(heads.dim); }

  /// Maximum and sum of each row go to the strip; the sums of all splits but the first to the place of the keys.
  void leaveSums(ArrayRef<Value> sums, Val maximum, Val sum) {
    k.ifThen(part == 0, [&] { k.store(scores, laneAccess(), {maximum, sum, sum, sum}); });
    k.ifThen(split != 0, [&] {
      for (uint32_t d = 0; d < dimMatrices(); ++d)
        k.matrixStore(otherSums, sumStart(split) + d * 4, tile.sumPitch(heads.dim), sums[d]);
    });
  }

  /// What the sums of each split are multiplied by in this lane's row: exp(maximum - largest) / sum of all weights.
  Vals splitFactors(Val maximum, Val sum) {
    Vals maxima{maximum}, sums{sum}, factors;
    for (uint32_t other = 1; other < tile.splits; ++other) {
      Vals left = k.load(scores, laneAccess() + other * tile.queries() * tile.stripPitch());
      maxima.push_back(left[0]);
      sums.push_back(left[1]);
    }
    Val largest = maximum, weight = k.f32(0);
    for (Val each : maxima)
      largest = k.max(largest, each);
    for (auto [each, eachSum] : llvm::zip_equal(maxima, sums)) {
      factors.push_back(k.exp(each - largest));
      weight = k.fma(eachSum, factors.back(), weight);
    }
    for (Val &factor : factors)
      factor = factor / weight;
    return factors;
  }

  /// This subgroup's sums, and those the other splits left, times the factors of this lane's row.
  void storeResults(ArrayRef<Value> sums, ArrayRef<Val> factors) {
    storeColumns(0, heads.dim, sums, row, total, [&](uint32_t column, uint32_t i, Vals &eight) {
      for (Val &value : eight)
        value = value * factors[0];
      for (uint32_t other = 1; other < tile.splits; ++other)
        addUnit(eight, k.u32(other), unit(i) + column / 8, factors[other]);
      k.store(y, output, rowStart(row) + column + unit(i) * 8, eight);
    });
  }

  /// eight += factor * the eight columns from unit * 8 on that another split left for this lane's row.
  void addUnit(Vals &eight, Val other, Val unit, Val factor) {
    Val access = sumStart(other) + laneRow * tile.sumPitch(heads.dim) + unit * 2;
    Vals left = k.load(otherSums, access);
    left.append(k.load(otherSums, access + 1));
    for (auto [value, more] : llvm::zip_equal(eight, left))
      value = k.fma(more, factor, value);
  }

  const Heads &heads;
  const RowBound &rows;
  double scale;
  Elem output;
  AttentionTile tile;
  uint32_t group; // query heads of one key/value head
  uint32_t pitch; // of a staged row, in pieces
  Buffer q, cells, keys, values, y;
  Shared cacheTile, otherSums; // [buffers][keys, values][key]; first the queries, last the sums of the other splits
  Val first, cacheHead, total, visible;
  Val strip, queryRow, split; // of this subgroup: its strip's first row, its first query, its part of the keys
  Val row, lastKey;           // of this lane: its query, what that sees
};

} // namespace

FailureOr<KernelPlan> matrixAttentionKernel(const RowBound &rows, const Heads &heads, double scale, Elem output,
                                            const StateBlock &state, const TargetProfile &target) {
  if (!ScoreStrips::areOn(target, heads.cache) || heads.dim % kMatrix != 0 || heads.dim > kLargestDim || rows.max == 1)
    return failure();
  const uint32_t group = heads.query / heads.keyValue;
  auto tilesOf = [&](const AttentionTile &tile) { return llvm::divideCeil(rows.max * group, tile.queries()); };
  const AttentionTile *tile = llvm::find_if(kTiles, [&](const AttentionTile &candidate) {
    bool isAlone = tilesOf(candidate) * heads.keyValue <= target.computeUnits;
    return candidate.fits(heads.dim, target) && (candidate.splits == 1 || isAlone);
  });
  if (tile == std::end(kTiles))
    return failure();
  KernelPlan plan;
  plan.name = "attention_matrix" + heads.suffix() + "_r" + std::to_string(rows.max) + parameterTag({scale}) +
              (output == Elem::F32 ? "" : std::string("_y") + elemName(output));
  plan.workgroup = {tile->subgroups() * target.subgroupSize, 1, 1};
  const uint32_t tiles = tilesOf(*tile);
  plan.groups = {tiles, heads.keyValue, 1};
  plan.emit = [=, tile = *tile](KernelBuilder &k) {
    MatrixAttention(k, rows, heads, scale, output, state, tile).emit(tiles);
    return success();
  };
  return plan;
}

} // namespace qwenc
