//===- SegmentAttention.cpp - Attention within stretches of rows, in f32 -----------------------------------------===//
//
// A workgroup takes a tile of query rows of one head. Their stretches differ only where a tile spans a border between
// segments: the tile walks over all keys that any of its rows sees and masks, row by row, what lies outside.
//
//===------------------------------------------------------------------------------------------------------------===//

#include "compiler/Codegen/Kernels/SegmentAttention.h"
#include "compiler/Codegen/Kernels/TileAttention.h"

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

void emitSegmentAttention(KernelBuilder &k, const RowBound &rows, const SegmentHeads &heads, double scale, Elem output,
                          const StateBlock &state, AttentionTile tile) {
  Buffer q = k.operand("q", Access::Read, heads.query.bytes(rows.max));
  Buffer keys = k.operand("k", Access::Read, heads.keys.bytes(rows.max));
  Buffer values = k.operand("v", Access::Read, heads.values.bytes(rows.max));
  TileSegments stretches(k, k.operand("segments", Access::Read, uint64_t(rows.max) * 8), tile.queries());
  Buffer cells;
  if (rows.cellOffset)
    cells = k.operand("state", Access::Read, state.bytes());
  Buffer y = k.operand("y", Access::Write, uint64_t(rows.max) * heads.width() * elemBytes(output));
  TileAttention attention(k, tile, heads.dim);

  Val first = k.workgroupId(0) * tile.queries(), head = k.workgroupId(1), count = rowCount(k, rows, cells);
  k.ifThen(first < count, [&] {
    stretches.load(first, count);
    Val upper = stretches.upper();
    // Behind the last row its copy is read.
    auto load = [&](Buffer x, const HeadRows &source, Val row, Val end, Val column) {
      Val start = k.min(row, end - 1) * source.pitch + source.column + head * heads.dim;
      return k.load(x, source.elem, start + column * 4, 4);
    };
    auto query = [&](Val row, Val column) {
      Vals v = load(q, heads.query, first + row, count, column);
      for (Val &each : v)
        each = each * scale;
      return v;
    };
    auto store = [&](Val tileRow, Val column, Vals sums, Val weight) {
      Val row = first + tileRow;
      Val factor = k.select(stretches.end(tileRow) > 0, k.f32(1) / weight, k.f32(0));
      k.ifThen(row < count, [&] {
        for (Val &sum : sums)
          sum = sum * factor;
        k.store(y, output, (row * heads.heads + head) * heads.dim + column * 4, sums);
      });
    };
    attention.emit(stretches.lower(), upper,
                   {query, [&](Val key, Val column) { return load(keys, heads.keys, key, upper, column); },
                    [&](Val key, Val column) { return load(values, heads.values, key, upper, column); },
                    [&](Val row, Val key) { return (key >= stretches.begin(row)) & (key < stretches.end(row)); },
                    store});
  });
}

} // namespace

FailureOr<KernelPlan> segmentAttentionKernel(const RowBound &rows, const SegmentHeads &heads, double scale, Elem output,
                                             const StateBlock &state, const TargetProfile &target) {
  if (heads.dim % 4 != 0)
    return failure();
  for (const HeadRows &operand : {heads.query, heads.keys, heads.values})
    if (operand.pitch % 4 != 0 || operand.column % 4 != 0)
      return failure();
  constexpr uint32_t stretchWords = 2; // TileSegments
  std::optional<AttentionTile> tile = AttentionTile::choose(heads.dim, stretchWords, target);
  if (!tile)
    return failure();
  KernelPlan plan;
  plan.name = "segment_attention" + heads.suffix(rows) + parameterTag({scale}) +
              (output == Elem::F32 ? "" : std::string("_y") + elemName(output));
  plan.workgroup = tile->workgroup();
  plan.groups[1] = heads.heads;
  plan.divideRows(rows, 0, tile->queries());
  plan.emit = [=](KernelBuilder &k) {
    emitSegmentAttention(k, rows, heads, scale, output, state, *tile);
    return success();
  };
  return plan;
}

} // namespace qwenc
