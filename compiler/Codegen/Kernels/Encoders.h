//===- Encoders.h - Kernels of encoders -------------------------------------------------------------*- C++ -*-===//
#pragma once

#include "compiler/Codegen/Kernels/Kernels.h"

namespace qwenc {

/// One row of a product whose input is patches: finds their elements where they are.
class PatchRow {
public:
  /// Row \p row of the product, which is below its bound.
  PatchRow(KernelBuilder &k, const Linear &linear, const LinearOperands &ops, Val row);

  /// An element of the input, or none; then `index` is 0.
  struct Place {
    Val index, isInside;
  };
  /// Element \p column of the row's patch. A piece of the row that divides the channels lies together.
  Place find(Val column) const;
  /// Elements column .. column + 3, \p column a multiple of 4; 0 where there is none.
  Vals loadFour(Val column, Elem elem) const;

private:
  KernelBuilder *k;
  TapInput taps;
  Buffer x;
  Val firstElement[3]; // of the row that each tap names, or absent
  Val firstBin;        // of the place, plus 1
};

/// Operands: x [rows, a, b], (state,) y [rows, b, a]. Rows lie `pitch` elements apart (0: one behind the other), with
/// zeros behind the elements.
KernelPlan swapAxesKernel(const RowBound &rows, uint32_t a, uint32_t b, Elem elem, uint32_t pitch,
                          const StateBlock &state, const TargetProfile &target);

/// Operands: positions [rows], (state,) y [rows, n]. Sines, then cosines of position * theta^(-i / (n / 2 - 1));
/// positions are at least 0. Vaswani et al. 2017.
KernelPlan sinusoidKernel(const RowBound &rows, uint32_t width, double theta, const StateBlock &state,
                          const TargetProfile &target);

} // namespace qwenc
