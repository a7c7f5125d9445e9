//===- Convolution.h - Convolutions over time, in pushes -----------------------------------------------*- C++ -*-===//
//
// Rows are time, columns channels. A push brings rows of a sequence; what a convolution needs of the rows before it is
// put in front of them by convInputKernel, so that the convolutions themselves know nothing of pushes:
//
//   extended [kept + rows, C] = the kept rows, then the new ones, activated
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/Kernels/Kernels.h"

namespace qwenc {

/// x + sin^2(x exp(alpha)) / (exp(beta) + 1e-9)
Val snakeBeta(KernelBuilder &k, Val x, Val alpha, Val beta);

struct ConvInput {
  RowBound rows;
  uint32_t channels = 0;
  uint32_t kept = 0;                ///< rows before the push
  bool snake = false;               ///< rows are activated where they enter
  uint32_t lead = 0, frameRows = 0; ///< row r of a push is row first * frameRows + r, and 0 below lead
  StateBlock state;
  bool needsFirst() const { return kept || lead; }
};
/// Operands: x [rows, c], (alpha [c], beta [c],) (first,) (state,) (history [kept, c],) y [kept + rows, c].
/// The history counts as zeros where first is 0, and afterwards holds the last rows of y.
KernelPlan convInputKernel(const ConvInput &input, const TargetProfile &target);

struct Convolution {
  RowBound rows;
  uint32_t channels = 0, outputs = 0, taps = 0;
  uint32_t dilation = 1;
  bool snake = false; ///< on the result
  double limit = 0;   ///< of the result's magnitude; 0: none
  StateBlock state;
  uint32_t kept() const { return (taps - 1) * dilation; }
};
/// Operands: x [kept + rows, c], weight [n, c * taps], bias [n], (alpha [n], beta [n],) (state,) y [rows, n].
/// f32 multiply-adds on tiles that hold all taps of some channels. c is a multiple of 4.
mlir::FailureOr<KernelPlan> convolutionKernel(const Convolution &conv, const TargetProfile &target);
/// Operands: x [kept + rows, c], weight [c, taps], bias [c], (state,) y [rows, c].
KernelPlan depthwiseKernel(const Convolution &conv, const TargetProfile &target);

struct TransposedConvolution {
  RowBound rows; ///< of the input
  uint32_t channels = 0, outputs = 0, taps = 0, stride = 1;
  StateBlock state;
  uint32_t kept() const { return taps / stride - 1; }
};
/// Operands: x [kept + rows, c], weight [c, n * taps], bias [n], (state,) y [rows * stride, n].
/// y[q stride + r, n] = bias[n] + sum over c, j of weight[c, n, r + j stride] x[kept + q - j, c]. c is a multiple of 4.
mlir::FailureOr<KernelPlan> transposedConvolutionKernel(const TransposedConvolution &conv, const TargetProfile &target);

/// Operands: codes [rows, groups], table [groups * codes, n], (state,) y [rows, n]. Mean over groups of rows of the
/// table.
KernelPlan codebookMeanKernel(const RowBound &rows, uint32_t groups, uint32_t codes, uint32_t width,
                              const StateBlock &state, const TargetProfile &target);

struct WindowHeads {
  uint32_t heads = 0, dim = 0;
  uint32_t slots = 0;  ///< rows of the states; the row with number p lies in p mod slots
  uint32_t window = 0; ///< keys that a row sees
  uint32_t width() const { return heads * dim; }
  std::string suffix() const;
};
/// Operands: qkv [rows, 3 h d], first, (state,) k state [slots, h, d], v state, q [rows, h, d]. Rotates by the numbers
/// of the rows.
KernelPlan windowRopeKernel(const RowBound &rows, const WindowHeads &heads, double theta, const StateBlock &state,
                            const TargetProfile &target);
/// Operands: q [rows, h, d], first, (state,) k state, v state, y [rows, h, d]. A workgroup takes a head of a row.
KernelPlan windowAttentionKernel(const RowBound &rows, const WindowHeads &heads, double scale, const StateBlock &state,
                                 const TargetProfile &target);

} // namespace qwenc
