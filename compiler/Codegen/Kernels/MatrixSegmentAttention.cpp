//===- MatrixSegmentAttention.cpp - Attention within stretches of rows on cooperative matrices -------------------===//
//
// As MatrixAttention.cpp, with the softmax of ScoreStrips.h; here nothing is cached and a tile's keys are those that
// its rows' stretches span. A subgroup owns one or two times 16 query rows, so that keys and values which it loads as
// matrices serve both. Heads are padded by zeros to a multiple of 16 in workgroup memory: 72 becomes 80.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/ScoreStrips.h"
#include "compiler/Codegen/Kernels/SegmentAttention.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

namespace {

constexpr uint32_t kMatrix = ScoreStrips::kMatrix;
constexpr uint32_t kLargestDim = 128; // the result of a subgroup's rows stays in registers

/// What one workgroup computes at a time.
struct SegmentTile {
  uint32_t subgroups = 0;
  uint32_t strips = 0;  ///< of 16 query rows, of one subgroup
  uint32_t keys = 0;    ///< of one step
  uint32_t buffers = 0; ///< 2: the next step's keys are stored while slower subgroups still read this step's

  uint32_t queries() const { return subgroups * strips * kMatrix; }
  static uint32_t pieces(uint32_t dim) { return llvm::divideCeil(dim, kMatrix) * 2; } // of 16 bytes, padded
  static uint32_t pitch(uint32_t dim) { return pieces(dim) + 1; }                     // odd, against bank conflicts
  uint32_t stagedRows() const { return std::max(buffers * 2 * keys, queries()); }
  uint32_t stripPitch() const { return ScoreStrips::pitchOf(keys); }
  uint32_t sharedBytes(uint32_t dim) const {
    return (stagedRows() * pitch(dim) + queries() * stripPitch()) * 16 + queries() * 8 + 1024;
  }

  bool fits(uint32_t dim, const TargetProfile &target) const {
    uint32_t lanesPerRow = target.subgroupSize / kMatrix;
    // Wide subgroups keep operands more than once: the registers of two strips would not suffice.
    return strips * target.subgroupSize <= 64 && keys % (8 * lanesPerRow) == 0 &&
           subgroups * target.subgroupSize <= target.maxWorkgroupInvocations &&
           queries() <= subgroups * target.subgroupSize && sharedBytes(dim) <= target.maxSharedBytes;
  }
};

/// In order of preference.
constexpr SegmentTile kTiles[] = {
    {.subgroups = 4, .strips = 2, .keys = 32, .buffers = 2},
    {.subgroups = 4, .strips = 1, .keys = 32, .buffers = 2},
    {.subgroups = 4, .strips = 1, .keys = 32, .buffers = 1},
    {.subgroups = 2, .strips = 1, .keys = 32, .buffers = 1},
};

class MatrixSegmentAttention final : ScoreStrips {
public:
  MatrixSegmentAttention(KernelBuilder &k, const RowBound &rows, const SegmentHeads &heads, double scale, Elem output,
                         const StateBlock &state, SegmentTile tile)
      : ScoreStrips(k, tile.keys, heads.dim / 8), rows(rows), heads(heads), scale(scale), output(output), tile(tile),
        pitch(SegmentTile::pitch(heads.dim)), q(k.operand("q", Access::Read, heads.query.bytes(rows.max))),
        keys(k.operand("k", Access::Read, heads.keys.bytes(rows.max))),
        values(k.operand("v", Access::Read, heads.values.bytes(rows.max))),
        stretches(k, k.operand("segments", Access::Read, uint64_t(rows.max) * 8), tile.queries()) {
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    y = k.operand("y", Access::Write, uint64_t(rows.max) * heads.width() * elemBytes(output));
    staged = k.shared(heads.keys.elem, tile.stagedRows() * pitch, 8);
    declareStrips(heads.keys.elem, tile.queries());
  }

  void emit() {
    first = k.workgroupId(0) * tile.queries();
    head = k.workgroupId(1);
    count = rowCount(k, rows, cells);
    t = k.localIndex();
    strip0 = k.subgroupIndex() * (tile.strips * kMatrix);
    findLane();
    k.ifThen(first < count, [&] {
      stretches.load(first, count);
      lastKey = k.max(stretches.upper(), k.u32(1)) - 1;
      run();
    });
  }

private:
  uint32_t dimMatrices() const { return SegmentTile::pieces(heads.dim) / 2; }
  Val stripRow(uint32_t strip) override { return strip0 + strip * kMatrix; }

  /// Sums, maximum of the row and this lane's part of the row's sum, for each strip; then the step that waits.
  size_t carriedEach() const { return dimMatrices() + 2; }

  void run() {
    SmallVector<Value> firstStep = loadRows(stretches.lower()); // on its way while the queries are staged
    SmallVector<SmallVector<Value>> query = loadQueries();
    SmallVector<Value> carried;
    for (uint32_t strip = 0; strip < tile.strips; ++strip) {
      carried.append(dimMatrices(), k.matrixZero());
      carried.push_back(k.f32(kMasked).value);
      carried.push_back(k.f32(0).value);
    }
    const size_t raw = carried.size();
    carried.append(firstStep);
    k.forLoopMatrices(stretches.lower(), stretches.upper(), k.u32(tile.keys), carried,
                      [&](Val key0, SmallVectorImpl<Value> &live) {
                        Val buffer = k.u32(0);
                        if (tile.buffers == 1)
                          k.barrier();
                        else
                          buffer = (key0 - stretches.lower()) / tile.keys % 2 * (2 * tile.keys * pitch);
                        storeRows(buffer, ArrayRef<Value>(live).drop_front(raw));
                        k.barrier();
                        SmallVector<Value> next = loadRows(key0 + tile.keys);
                        step(key0, buffer, query, MutableArrayRef<Value>(live).take_front(raw));
                        std::copy(next.begin(), next.end(), live.begin() + raw);
                      });
    for (uint32_t strip = 0; strip < tile.strips; ++strip) {
      ArrayRef<Value> own = ArrayRef<Value>(carried).slice(strip * carriedEach(), carriedEach());
      Val sum = acrossRow({&k, own.back()}, [](Val a, Val b) { return a + b; });
      Val seesAny = stretches.end(stripRow(strip) + laneRow) > 0;
      storeResults(strip, own.take_front(dimMatrices()), k.select(seesAny, k.f32(1) / sum, k.f32(0)));
    }
  }

  void step(Val key0, Val buffer, ArrayRef<SmallVector<Value>> query, MutableArrayRef<Value> live) {
    multiplyKeys(buffer, query);
    for (uint32_t strip = 0; strip < tile.strips; ++strip) {
      Value *own = live.data() + strip * carriedEach();
      softmax(strip, key0, own[dimMatrices()], own[dimMatrices() + 1]);
    }
    k.subgroupBarrier();
    multiplyValues(buffer + tile.keys * pitch, live);
  }

  /// Piece `piece` of the head in row `row`.
  Value loadPiece(Buffer x, const HeadRows &source, Val row, Val piece) {
    return k.loadRaw16(x, row * (source.pitch / 8) + source.column / 8 + head * pieces + piece);
  }

  void storePieces(uint32_t rowCount, Val at, ArrayRef<Value> raw) {
    size_t next = 0;
    forPieces(rowCount, [&](Val row, Val piece, bool isFull) {
      Value value = raw[next++];
      ifStaged(row, rowCount, isFull, [&] { k.storeRaw16(staged, at + row * pitch + piece, value); });
    });
  }

  /// The rows of this subgroup's queries as operands; they pass through the place of keys and values, whose padding is
  /// made here for all time.
  SmallVector<SmallVector<Value>> loadQueries() {
    const uint32_t padding = SegmentTile::pieces(heads.dim) - pieces;
    if (padding)
      k.forLoop(t, k.u32(tile.stagedRows() * padding), k.u32(k.invocations()),
                [&](Val i) { k.store(staged, i / padding * pitch + i % padding + pieces, Vals(8, k.f32(0))); });
    SmallVector<Value> raw;
    forPieces(tile.queries(), [&](Val row, Val piece, bool) {
      raw.push_back(loadPiece(q, heads.query, k.min(first + row, count - 1), piece));
    });
    storePieces(tile.queries(), k.u32(0), raw);
    k.barrier();
    SmallVector<SmallVector<Value>> query(tile.strips);
    for (uint32_t strip = 0; strip < tile.strips; ++strip)
      for (uint32_t d = 0; d < dimMatrices(); ++d)
        query[strip].push_back(
            k.matrixLoad(staged, stripRow(strip) * pitch + d * 2, pitch, MatrixUse::A, MatrixOrder::Rows));
    k.barrier();
    return query;
  }

  /// Keys, then values, of the step that begins at `key0`. Behind the last key its copy is read: its weight is zero,
  /// but what lies there may not be a number.
  SmallVector<Value> loadRows(Val key0) {
    SmallVector<Value> raw;
    auto load = [&](Buffer x, const HeadRows &source) {
      forPieces(tile.keys, [&](Val row, Val piece, bool) {
        raw.push_back(loadPiece(x, source, k.min(key0 + row, lastKey), piece));
      });
    };
    load(keys, heads.keys);
    load(values, heads.values);
    return raw;
  }

  void storeRows(Val buffer, ArrayRef<Value> raw) {
    storePieces(tile.keys, buffer, raw.take_front(raw.size() / 2));
    storePieces(tile.keys, buffer + tile.keys * pitch, raw.drop_front(raw.size() / 2));
  }

  /// Scores of this subgroup's rows against the step's keys, left in its strips.
  void multiplyKeys(Val buffer, ArrayRef<SmallVector<Value>> query) {
    for (uint32_t j = 0; j < keyMatrices(); ++j) {
      SmallVector<Value> sums(tile.strips, k.matrixZero());
      for (uint32_t d = 0; d < dimMatrices(); ++d) {
        Value key =
            k.matrixLoad(staged, buffer + (j * kMatrix * pitch + d * 2), pitch, MatrixUse::B, MatrixOrder::Columns);
        for (uint32_t strip = 0; strip < tile.strips; ++strip)
          sums[strip] = k.matrixMulAdd(query[strip][d], key, sums[strip]);
      }
      for (uint32_t strip = 0; strip < tile.strips; ++strip)
        k.matrixStore(scores, stripRow(strip) * tile.stripPitch() + j * 4, tile.stripPitch(), sums[strip]);
    }
    k.subgroupBarrier();
  }

  /// What a row sums before its first key is seen loses all weight then.
  void softmax(uint32_t strip, Val key0, Value &maximum, Value &sum) {
    Val row = stripRow(strip) + laneRow, begin = stretches.begin(row), length = stretches.end(row) - begin;
    // A key before the row's first is a large number of keys behind it.
    RowStep step = ScoreStrips::softmax(
        strip, {&k, maximum}, [&](Val column) { return key0 + column - begin; },
        [&](Val key, Val score) { return k.select(key < length, score * scale, k.f32(kMasked)); });
    maximum = step.maximum.value;
    sum = k.fma({&k, sum}, step.factor, step.added).value;
  }

  /// sums = sums * factor + weights * values, for all strips.
  void multiplyValues(Val buffer, MutableArrayRef<Value> live) {
    const uint32_t stripPitch = tile.stripPitch();
    for (uint32_t strip = 0; strip < tile.strips; ++strip) {
      Value factor = k.matrixLoad(scores, stripRow(strip) * stripPitch + tile.keys / 8, stripPitch,
                                  MatrixUse::Accumulator, MatrixOrder::Rows);
      for (uint32_t d = 0; d < dimMatrices(); ++d) {
        Value &sum = live[strip * carriedEach() + d];
        sum = k.matrixScale(sum, factor);
      }
    }
    for (uint32_t j = 0; j < keyMatrices(); ++j) {
      SmallVector<Value> weight;
      for (uint32_t strip = 0; strip < tile.strips; ++strip)
        weight.push_back(
            k.matrixLoad(weights, stripRow(strip) * stripPitch + j * 2, stripPitch, MatrixUse::A, MatrixOrder::Rows));
      for (uint32_t d = 0; d < dimMatrices(); ++d) {
        Value value =
            k.matrixLoad(staged, buffer + (j * kMatrix * pitch + d * 2), pitch, MatrixUse::B, MatrixOrder::Rows);
        for (uint32_t strip = 0; strip < tile.strips; ++strip) {
          Value &sum = live[strip * carriedEach() + d];
          sum = k.matrixMulAdd(weight[strip], value, sum);
        }
      }
    }
  }

  /// A strip's sums times the factor of this lane's row.
  void storeResults(uint32_t strip, ArrayRef<Value> sums, Val factor) {
    Val row = first + stripRow(strip) + laneRow;
    storeColumns(strip, heads.dim, sums, row, count, [&](uint32_t column, uint32_t i, Vals &eight) {
      for (Val &value : eight)
        value = value * factor;
      k.store(y, output, row * heads.width() + head * heads.dim + column + unit(i) * 8, eight);
    });
  }

  const RowBound &rows;
  const SegmentHeads &heads;
  double scale;
  Elem output;
  SegmentTile tile;
  uint32_t pitch; // of a staged row, in pieces
  Buffer q, keys, values;
  TileSegments stretches;
  Buffer cells, y;
  Shared staged; // [buffers][keys, values][row]; first the queries
  Val first, head, count, lastKey;
  Val strip0; // the first row of this subgroup's strips
};

} // namespace

FailureOr<KernelPlan> matrixSegmentAttentionKernel(const RowBound &rows, const SegmentHeads &heads, double scale,
                                                   Elem output, const StateBlock &state, const TargetProfile &target) {
  Elem elem = heads.keys.elem;
  if (!ScoreStrips::areOn(target, elem) || heads.dim % 8 != 0 || heads.dim > kLargestDim)
    return failure();
  for (const HeadRows &operand : {heads.query, heads.keys, heads.values})
    if (operand.elem != elem || operand.pitch % 8 != 0 || operand.column % 8 != 0)
      return failure();
  const SegmentTile *tile =
      llvm::find_if(kTiles, [&](const SegmentTile &candidate) { return candidate.fits(heads.dim, target); });
  if (tile == std::end(kTiles))
    return failure();
  KernelPlan plan;
  plan.name = "segment_attention_matrix" + heads.suffix(rows) + parameterTag({scale}) +
              (output == Elem::F32 ? "" : std::string("_y") + elemName(output));
  plan.workgroup = {tile->subgroups * target.subgroupSize, 1, 1};
  plan.groups[1] = heads.heads;
  plan.divideRows(rows, 0, tile->queries());
  plan.emit = [=, tile = *tile](KernelBuilder &k) {
    MatrixSegmentAttention(k, rows, heads, scale, output, state, tile).emit();
    return success();
  };
  return plan;
}

} // namespace qwenc
