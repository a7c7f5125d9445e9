//===- TileAttention.h - Attention of a tile of queries over tiles of keys, in f32 ----------------------*- C++ -*-===//
//
// Online softmax over key tiles in workgroup memory (Milakov and Gimelshein 2018; Dao et al. 2022): what attention over
// caches and attention within segments share. Where rows lie and which keys a query sees is the caller's.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/Kernels/Kernels.h"

namespace qwenc {

/// Tile of one workgroup: rowsPerThread * 16 queries against keysPerThread * 16 keys at a time.
struct AttentionTile {
  static constexpr uint32_t kSide = 16; ///< invocations along queries and along keys (or dims)

  uint32_t rowsPerThread = 0, keysPerThread = 0;
  uint32_t queries() const { return rowsPerThread * kSide; }
  uint32_t keys() const { return keysPerThread * kSide; }
  /// Pieces of 16 bytes between rows; odd, against bank conflicts.
  uint32_t pitch(uint32_t dim) const { return dim / 4 + 1 - dim / 4 % 2; }
  uint32_t scorePitch() const { return keys() + 1; }
  /// Workgroup memory with \p wordsPerQuery more words for each query.
  uint32_t sharedBytes(uint32_t dim, uint32_t wordsPerQuery) const {
    return (queries() + keys()) * pitch(dim) * 16 + queries() * (scorePitch() + 3 + wordsPerQuery) * 4 + 1024;
  }
  /// The largest tile for heads of \p dim elements that \p target has room for.
  static std::optional<AttentionTile> choose(uint32_t dim, uint32_t wordsPerQuery, const TargetProfile &target);
  std::array<uint32_t, 3> workgroup() const { return {kSide * kSide, 1, 1}; }
};

/// What a workgroup does. Declares workgroup memory.
class TileAttention {
public:
  TileAttention(KernelBuilder &k, AttentionTile tile, uint32_t dim);

  /// Elements 4 * column .. + 3 of a row.
  using Load = llvm::function_ref<Vals(Val row, Val column)>;
  struct Rows {
    Load query;                                       ///< by row of the tile, scaled
    Load key, value;                                  ///< by number of the key
    llvm::function_ref<Val(Val row, Val key)> isSeen; ///< by row of the tile and number of the key
    llvm::function_ref<void(Val row, Val column, Vals sums, Val weight)> store; ///< sums are still to be divided
  };
  /// Keys \p lower .. \p upper - 1. Numbers behind the last are asked for, too; what they give is not seen.
  void emit(Val lower, Val upper, const Rows &rows);

private:
  void stage(Shared to, uint32_t size, Val first, Load load);
  void score(Val key0, const Rows &rows);
  void softmaxRow();
  Vals accumulate(llvm::ArrayRef<Val> carried);
  void store(llvm::ArrayRef<Val> sums, const Rows &rows);
  Val columnOf(uint32_t c) { return k.min(tx + c * AttentionTile::kSide, k.u32(dim4 - 1)); }

  KernelBuilder &k;
  AttentionTile tile;
  uint32_t dim4, pitch, columnsPerThread;
  Shared queryTile, keyTile, scores, rowMax, rowSum, rowScale;
  Val t, tx, ty;
};

} // namespace qwenc
