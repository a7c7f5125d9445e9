//===- RowScales.h - Rows of f32 as f16 operands, each at a scale of its own -----------------------------*- C++
//-*-===//
//
// f16 ends at 65504 and loses bits below 2^-14; activations and bf16 weights do neither. So each row of an operand is
// multiplied by a power of two when it is staged and the sums by its inverse when they leave, which changes no bit of
// either. A tile begins with scales that suit what models are made of and notes the largest magnitude of every row
// while it multiplies. Rows that these scales did not suit get their own, and the tile is multiplied once more: no pass
// over the operands before the product, and a result that depends on nothing but its two rows.
//
// What is then lost of an element is f16's rounding, or 2^-23 of the largest in its row where that is more (2^-12 on
// matrix units that take subnormal numbers for zeros).
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/KernelBuilder.h"

namespace qwenc {

class RowScales {
public:
  /// A tile of \p inputRows rows of activations, then \p weightRows rows of weights. Declares workgroup memory.
  RowScales(KernelBuilder &k, uint32_t inputRows, uint32_t weightRows);

  /// Bytes of workgroup memory for so many rows.
  static constexpr uint32_t sharedBytes(uint32_t rows, uint32_t subgroups) { return (rows + subgroups) * 4; }

  /// The scales that a tile begins with. A barrier has to follow.
  void begin();
  /// What row \p row is multiplied by.
  Val scaleOf(Val row);
  /// \p values at \p scale; \p largest becomes the largest magnitude of itself and of what the values were.
  void apply(Val scale, llvm::MutableArrayRef<Val> values, Val &largest);
  /// Gives their own scales to rows that have not the right one, given the largest magnitudes of each row's parts:
  /// part p of row r is the first value of access r * pitch + p. Whether there were any, the same in every invocation.
  /// Contains barriers, the last behind the new scales.
  Val adjust(const Shared &largest, uint32_t pitch, uint32_t parts);

  /// What takes the scales of two rows out of a sum of their products.
  class Inverse {
  public:
    Val operator()(Val sum) const { return sum * first * second; }

  private:
    friend class RowScales;
    Val first, second; ///< two factors, since their product may lie outside of f32
  };
  Inverse inverse(Val inputRow, Val weightRow);

private:
  KernelBuilder &k;
  uint32_t inputRows, rows;
  Shared exponents; // of each row's scale, biased as in f32
};

} // namespace qwenc
