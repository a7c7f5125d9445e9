//===- ScoreStrips.h - The softmax between two products on cooperative matrices -------------------------*- C++ -*-===//
//
// A subgroup owns strips of 16 query rows. Nothing is known of how a matrix lies in registers; what works by rows
// passes through the strip's workgroup memory:
//
//   scores (matrix) -> f32 in the strip -> lanes: maximum, exp, sum -> weights (16-bit) and the factor of the old sums,
//   written over the scores -> operand and factor of the second product
//
// A row of a strip: [weights: keys / 8 accesses][factor, 16 times: 4 accesses], in the place of keys / 4 accesses of
// scores. Online softmax: Milakov and Gimelshein 2018, Dao et al. 2022.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/Kernels/Kernels.h"

namespace qwenc {

/// What attention over caches and attention within segments share. Which keys a row sees is the caller's.
class ScoreStrips {
public:
  static constexpr uint32_t kMatrix = 16; ///< rows of a strip
  static constexpr double kMasked = -1e30;

  /// Accesses between the rows of a strip of \p keys scores, two more than these take: else the 16 rows of a matrix
  /// would begin in one or two banks.
  static uint32_t pitchOf(uint32_t keys) { return keys / 4 + 2; }
  /// Whether \p target multiplies matrices of \p elem, and lanes of its subgroups share rows of a strip evenly.
  static bool areOn(const TargetProfile &target, Elem elem);

protected:
  /// Strips of scores against \p keys keys; operands are staged in rows of \p pieces 16-byte pieces.
  ScoreStrips(KernelBuilder &k, uint32_t keys, uint32_t pieces)
      : k(k), pieces(pieces), lanesPerRow(k.target().subgroupSize / kMatrix), stripKeys(keys),
        stripPitch(pitchOf(keys)) {}
  ~ScoreStrips() = default;

  /// Declares the strips of \p rows rows of all subgroups.
  void declareStrips(Elem elem, uint32_t rows);
  /// Which part of which row of a strip this lane owns.
  void findLane();

  /// The first row of this subgroup's strip \p strip.
  virtual Val stripRow(uint32_t strip) = 0;

  /// For each piece of \p count rows that this invocation stages: body(row, piece of the row, whether all invocations
  /// have one).
  void forPieces(uint32_t count, llvm::function_ref<void(Val, Val, bool)> body);
  /// Does \p store where \p row is one of the \p count that forPieces() stages.
  void ifStaged(Val row, uint32_t count, bool isFull, llvm::function_ref<void()> store);

  uint32_t keyMatrices() const { return stripKeys / kMatrix; }
  /// Groups of eight columns of a strip's row that one lane owns.
  uint32_t units() const { return stripKeys / (8 * lanesPerRow); }
  Val unit(uint32_t i) { return part + i * lanesPerRow; }
  Val laneAccess(uint32_t strip) { return (stripRow(strip) + laneRow) * stripPitch; }
  /// The eight values of columns unit * 8 .. unit * 8 + 7 of this lane's row.
  Vals loadUnit(uint32_t strip, Val unit);
  /// Combines the lanes of each row.
  Val acrossRow(Val x, llvm::function_ref<Val(Val, Val)> combine);

  /// The key in a column of the strip.
  using KeyOf = llvm::function_ref<Val(Val column)>;
  /// The score of a key, or kMasked where this lane's row does not see it.
  using Mask = llvm::function_ref<Val(Val key, Val score)>;
  /// This lane's row: its maximum, the factor of what was summed before, this lane's part of the sum of new weights.
  struct RowStep {
    Val maximum, factor, added;
  };
  /// Scores in the strip become weights exp(score - maximum), and the factor.
  RowStep softmax(uint32_t strip, Val before, KeyOf keyOf, Mask mask);

  /// write(column, i, eight): eight values of this lane's row from column + unit(i) * 8 on.
  using Write = llvm::function_ref<void(uint32_t column, uint32_t i, Vals &eight)>;
  /// Hands out the columns of \p sums where \p row is below \p count. The strip takes as many columns at a time as it
  /// has keys.
  void storeColumns(uint32_t strip, uint32_t dim, llvm::ArrayRef<mlir::Value> sums, Val row, Val count, Write write);

  KernelBuilder &k;
  uint32_t pieces;      // 16-byte pieces of a row in device memory
  uint32_t lanesPerRow; // lanes that share a row of a strip
  uint32_t stripKeys, stripPitch;
  Shared weights, scores; // the strips of all subgroups, as 16-bit and as f32
  Val t;                  // the invocation
  Val part, laneRow;      // of this lane: its part of a row, which of the 16
};

} // namespace qwenc
