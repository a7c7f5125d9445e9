//===- SegmentAttention.cpp - Attention within stretches of rows, in f32 -----------------------------------------===//
//
// A workgroup takes a tile of query rows of one head. Their stretches differ only where a tile spans a border between
// segments: the tile walks over all keys that any of its rows sees and masks, row by row, what lies outside.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/SegmentAttention.h"

using namespace mlir;

namespace qwenc {

using plan::Access;

std::string HeadRows::suffix(uint32_t width) const {
  return pitch == width ? "" : "_p" + std::to_string(pitch) + "c" + std::to_string(column);
}

std::string SegmentHeads::suffix(const RowBound &rows) const {
  std::string name = "_h" + std::to_string(heads) + "d" + std::to_string(dim) + rows.suffix();
  for (const HeadRows &operand : {query, keys, values}) {
    name += operand.suffix(width());
    if (operand.elem != Elem::F32)
      name += std::string("_") + elemName(operand.elem);
  }
  return name;
}

TileSegments::TileSegments(KernelBuilder &k, Buffer segments, uint32_t queries)
    : k(k), segments(segments), queries(queries), begins(k.shared(Elem::U32, queries)),
      ends(k.shared(Elem::U32, queries)) {}

void TileSegments::load(Val first, Val count) {
  Val t = k.localIndex();
  Vals own = k.ifElse((t < queries) & (first + t < count),
                      [&]() -> Vals {
                        Vals stretch = k.load(segments, Elem::U32, (first + t) * 2, 2);
                        // Numbers below 0 are large ones here.
                        auto clamped = [&](Val number) {
                          return k.select((number >> 31) == 0, k.min(number, count), k.u32(0));
                        };
                        Val begin = clamped(stretch[0]), end = clamped(stretch[1]);
                        // A row without keys must not widen the tile's range.
                        return {k.select(begin < end, begin, count), k.select(begin < end, end, k.u32(0))};
                      },
                      [&]() -> Vals { return {count, k.u32(0)}; });
  k.ifThen(t < queries, [&] {
    k.store(begins, t, {own[0]});
    k.store(ends, t, {own[1]});
  });
  // Rows are numbered far below 2^24: f32 holds them exactly. The barriers of the maxima order the arrays too.
  lower_ = count - k.toU32(k.workgroupMax(k.toF32(count - own[0])));
  upper_ = k.toU32(k.workgroupMax(k.toF32(own[1])));
}

namespace {

constexpr uint32_t kSide = 16; // invocations along queries and along keys (or dims)
constexpr double kMasked = -1e30;

/// Tile of one workgroup: rowsPerThread * 16 queries against keysPerThread * 16 keys at a time.
struct SegmentTile {
  uint32_t rowsPerThread = 0, keysPerThread = 0;
  uint32_t queries() const { return rowsPerThread * kSide; }
  uint32_t keys() const { return keysPerThread * kSide; }
  uint32_t pitch(uint32_t dim) const { return dim / 4 + 1 - dim / 4 % 2; } // vec4; odd, against bank conflicts
  uint32_t scorePitch() const { return keys() + 1; }
  uint32_t sharedBytes(uint32_t dim) const {
    return (queries() + keys()) * pitch(dim) * 16 + queries() * (scorePitch() + 5) * 4 + 1024;
  }
};

class SegmentAttention {
public:
  SegmentAttention(KernelBuilder &k, const RowBound &rows, const SegmentHeads &heads, double scale, Elem output,
                   const StateBlock &state, SegmentTile tile)
      : k(k), rows(rows), heads(heads), scale(scale), output(output), tile(tile), dim4(heads.dim / 4),
        pitch(tile.pitch(heads.dim)), columnsPerThread((dim4 + kSide - 1) / kSide),
        q(k.operand("q", Access::Read, heads.query.bytes(rows.max))),
        keys(k.operand("k", Access::Read, heads.keys.bytes(rows.max))),
        values(k.operand("v", Access::Read, heads.values.bytes(rows.max))),
        stretches(k, k.operand("segments", Access::Read, uint64_t(rows.max) * 8), tile.queries()) {
    if (rows.cellOffset)
      cells = k.operand("state", Access::Read, state.bytes());
    y = k.operand("y", Access::Write, uint64_t(rows.max) * heads.width() * elemBytes(output));
    queryTile = k.shared(Elem::F32, tile.queries() * pitch, 4);
    keyTile = k.shared(Elem::F32, tile.keys() * pitch, 4); // keys, then values of the same rows
    scores = k.shared(Elem::F32, tile.queries() * tile.scorePitch());
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
      stretches.load(first, count);
      stage(q, heads.query, queryTile, tile.queries(), first, count, scale);
      k.ifThen(t < tile.queries(), [&] {
        k.store(rowMax, t, {k.f32(kMasked)});
        k.store(rowSum, t, {k.f32(0)});
      });
      Vals zeros(tile.rowsPerThread * columnsPerThread * 4, k.f32(0));
      Val upper = stretches.upper();
      Vals sums = k.forLoop(stretches.lower(), upper, k.u32(tile.keys()), zeros, [&](Val key0, ArrayRef<Val> carried) {
        k.barrier();
        stage(keys, heads.keys, keyTile, tile.keys(), key0, upper, 1);
        k.barrier();
        scoreTile(key0);
        k.barrier();
        stage(values, heads.values, keyTile, tile.keys(), key0, upper, 1);
        k.ifThen(t < tile.queries(), [&] { softmaxRow(); });
        k.barrier();
        return accumulate(carried);
      });
      storeRows(sums);
    });
  }

private:
  /// Rows `from` .. `from + size - 1` of this head, scaled; behind `end` the copy of the last row is taken.
  void stage(Buffer x, const HeadRows &source, Shared to, uint32_t size, Val from, Val end, double factor) {
    k.forLoop(t, k.u32(size * dim4), k.u32(k.invocations()), [&](Val i) {
      Val row = i / dim4, column = i % dim4;
      Val start = k.min(from + row, end - 1) * source.pitch + source.column + head * heads.dim;
      Vals v = k.load(x, source.elem, start + column * 4, 4);
      if (factor != 1)
        for (Val &each : v)
          each = each * factor;
      k.store(to, row * pitch + column, v);
    });
  }

  void scoreTile(Val key0) {
    Vals zeros(tile.rowsPerThread * tile.keysPerThread, k.f32(0));
    Vals dots = k.forLoop(k.u32(0), k.u32(dim4), k.u32(1), zeros, [&](Val column, ArrayRef<Val> carried) {
      Vals next(carried);
      SmallVector<Vals> x;
      for (uint32_t i = 0; i < tile.rowsPerThread; ++i)
        x.push_back(k.load(queryTile, (ty + i * kSide) * pitch + column));
      for (uint32_t j = 0; j < tile.keysPerThread; ++j) {
        Vals w = k.load(keyTile, (tx + j * kSide) * pitch + column);
        for (uint32_t i = 0; i < tile.rowsPerThread; ++i)
          next[i * tile.keysPerThread + j] = k.dot(x[i], w, next[i * tile.keysPerThread + j]);
      }
      return next;
    });
    for (uint32_t i = 0; i < tile.rowsPerThread; ++i) {
      Val row = ty + i * kSide, begin = stretches.begin(row), end = stretches.end(row);
      for (uint32_t j = 0; j < tile.keysPerThread; ++j) {
        Val key = tx + j * kSide;
        Val isSeen = (key0 + key >= begin) & (key0 + key < end);
        Val score = k.select(isSeen, dots[i * tile.keysPerThread + j], k.f32(kMasked));
        k.store(scores, row * tile.scorePitch() + key, {score});
      }
    }
  }

  /// Invocation t turns row t of the scores into exp(score - max) and updates maximum and sum of the row. What a row
  /// sums before its first key is seen loses all weight then: exp(kMasked - maximum) is 0.
  void softmaxRow() {
    Val row = t * tile.scorePitch();
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
        v.push_back(k.load(keyTile, key * pitch + columnOf(c)));
      for (uint32_t i = 0; i < tile.rowsPerThread; ++i) {
        Val p = k.loadOne(scores, (ty + i * kSide) * tile.scorePitch() + key);
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
      Val tileRow = ty + i * kSide, row = first + tileRow;
      Val factor = k.select(stretches.end(tileRow) > 0, k.f32(1) / k.loadOne(rowSum, tileRow), k.f32(0));
      for (uint32_t c = 0; c < columnsPerThread; ++c) {
        Val column = tx + c * kSide;
        k.ifThen((row < count) & (column < dim4), [&] {
          Vals out;
          for (uint32_t e = 0; e < 4; ++e)
            out.push_back(sums[(i * columnsPerThread + c) * 4 + e] * factor);
          k.store(y, output, (row * heads.heads + head) * heads.dim + column * 4, out);
        });
      }
    }
  }

  KernelBuilder &k;
  const RowBound &rows;
  const SegmentHeads &heads;
  double scale;
  Elem output;
  SegmentTile tile;
  uint32_t dim4, pitch, columnsPerThread;
  Buffer q, keys, values;
  TileSegments stretches;
  Buffer cells, y;
  Shared queryTile, keyTile, scores, rowMax, rowSum, rowScale;
  Val first, head, count, t, tx, ty;
};

} // namespace

FailureOr<KernelPlan> segmentAttentionKernel(const RowBound &rows, const SegmentHeads &heads, double scale, Elem output,
                                             const StateBlock &state, const TargetProfile &target) {
  if (heads.dim % 4 != 0)
    return failure();
  for (const HeadRows &operand : {heads.query, heads.keys, heads.values})
    if (operand.pitch % 4 != 0 || operand.column % 4 != 0)
      return failure();
  std::optional<SegmentTile> tile;
  for (SegmentTile candidate : {SegmentTile{2, 2}, SegmentTile{1, 2}, SegmentTile{1, 1}})
    if (!tile && candidate.sharedBytes(heads.dim) <= target.maxSharedBytes)
      tile = candidate;
  if (!tile)
    return failure();
  KernelPlan plan;
  plan.name = "segment_attention" + heads.suffix(rows) + parameterTag({scale}) +
              (output == Elem::F32 ? "" : std::string("_y") + elemName(output));
  plan.workgroup = {kSide * kSide, 1, 1};
  plan.groups[1] = heads.heads;
  plan.divideRows(rows, 0, tile->queries());
  plan.emit = [=](KernelBuilder &k) {
    SegmentAttention(k, rows, heads, scale, output, state, *tile).emit();
    return success();
  };
  return plan;
}

} // namespace qwenc
