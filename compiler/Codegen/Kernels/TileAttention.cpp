//===- TileAttention.cpp - Attention of a tile of queries over tiles of keys, in f32 ----------------------------===//

#include "compiler/Codegen/Kernels/TileAttention.h"

using namespace mlir;

namespace qwenc {

constexpr uint32_t kSide = AttentionTile::kSide;
constexpr double kMasked = -1e30;

std::optional<AttentionTile> AttentionTile::choose(uint32_t dim, uint32_t wordsPerQuery, const TargetProfile &target) {
  for (AttentionTile candidate : {AttentionTile{2, 2}, AttentionTile{1, 2}, AttentionTile{1, 1}})
    if (candidate.sharedBytes(dim, wordsPerQuery) <= target.maxSharedBytes)
      return candidate;
  return std::nullopt;
}

TileAttention::TileAttention(KernelBuilder &k, AttentionTile tile, uint32_t dim)
    : k(k), tile(tile), dim4(dim / 4), pitch(tile.pitch(dim)), columnsPerThread((dim4 + kSide - 1) / kSide) {
  queryTile = k.shared(Elem::F32, tile.queries() * pitch, 4);
  keyTile = k.shared(Elem::F32, tile.keys() * pitch, 4); // keys, then values of the same numbers
  scores = k.shared(Elem::F32, tile.queries() * tile.scorePitch());
  rowMax = k.shared(Elem::F32, tile.queries());
  rowSum = k.shared(Elem::F32, tile.queries());
  rowScale = k.shared(Elem::F32, tile.queries());
}

void TileAttention::emit(Val lower, Val upper, const Rows &rows) {
  t = k.localIndex();
  tx = t % kSide;
  ty = t / kSide;
  stage(queryTile, tile.queries(), k.u32(0), rows.query);
  k.ifThen(t < tile.queries(), [&] {
    k.store(rowMax, t, {k.f32(kMasked)});
    k.store(rowSum, t, {k.f32(0)});
  });
  Vals zeros(tile.rowsPerThread * columnsPerThread * 4, k.f32(0));
  Vals sums = k.forLoop(lower, upper, k.u32(tile.keys()), zeros, [&](Val key0, ArrayRef<Val> carried) {
    k.barrier();
    stage(keyTile, tile.keys(), key0, rows.key);
    k.barrier();
    score(key0, rows);
    k.barrier();
    stage(keyTile, tile.keys(), key0, rows.value);
    k.ifThen(t < tile.queries(), [&] { softmaxRow(); });
    k.barrier();
    return accumulate(carried);
  });
  store(sums, rows);
}

void TileAttention::stage(Shared to, uint32_t size, Val first, Load load) {
  k.forLoop(t, k.u32(size * dim4), k.u32(k.invocations()), [&](Val i) {
    Val row = i / dim4, column = i % dim4;
    k.store(to, row * pitch + column, load(first + row, column));
  });
}

void TileAttention::score(Val key0, const Rows &rows) {
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
  for (uint32_t i = 0; i < tile.rowsPerThread; ++i)
    for (uint32_t j = 0; j < tile.keysPerThread; ++j) {
      Val row = ty + i * kSide, key = tx + j * kSide;
      Val score = k.select(rows.isSeen(row, key0 + key), dots[i * tile.keysPerThread + j], k.f32(kMasked));
      k.store(scores, row * tile.scorePitch() + key, {score});
    }
}

/// Invocation t turns row t of the scores into exp(score - max) and updates maximum and sum of the row. What a row
/// sums before its first key is seen loses all weight then: exp(kMasked - maximum) is 0.
void TileAttention::softmaxRow() {
  Val row = t * tile.scorePitch();
  Val before = k.loadOne(rowMax, t);
  Val largest = k.forLoop(k.u32(0), k.u32(tile.keys()), k.u32(1), {before},
                          [&](Val j, ArrayRef<Val> c) -> Vals { return {k.max(c[0], k.loadOne(scores, row + j))}; })[0];
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

Vals TileAttention::accumulate(ArrayRef<Val> carried) {
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

void TileAttention::store(ArrayRef<Val> sums, const Rows &rows) {
  for (uint32_t i = 0; i < tile.rowsPerThread; ++i) {
    Val row = ty + i * kSide, weight = k.loadOne(rowSum, row);
    for (uint32_t c = 0; c < columnsPerThread; ++c) {
      Val column = tx + c * kSide;
      k.ifThen(column < dim4,
               [&] { rows.store(row, column, Vals(sums.slice((i * columnsPerThread + c) * 4, 4)), weight); });
    }
  }
}

} // namespace qwenc
