//===- Vision.h - Kernels around the attention of images ------------------------------------------------*- C++ -*-===//
#pragma once

#include "compiler/Codegen/Kernels/SegmentAttention.h"

namespace qwenc {

/// Operands: x, places i32[rows, 2], (state,) y [rows, heads, dim]. The first half of the pairs of a head turns with
/// places[r, 0], the other with places[r, 1] (qwen.axial_rope); angles and products in f32. dim % 4 == 0.
KernelPlan axialRopeKernel(const RowBound &rows, uint32_t heads, uint32_t dim, const HeadRows &input, double theta,
                           Elem output, const StateBlock &state, const TargetProfile &target);
/// Operands: x, (state,) y [rows, width]. Columns of a wider row as a tensor of their own.
KernelPlan copyColumnsKernel(const RowBound &rows, uint32_t width, const HeadRows &input, Elem output,
                             const StateBlock &state, const TargetProfile &target);
/// Operands: ids i32[rows, choices], weights [rows, choices], table [v, n], (state,) y [rows, n]: weighted sums of rows
/// of the table, in order of the choices.
KernelPlan gatherSumKernel(const RowBound &rows, uint32_t choices, uint32_t vocab, uint32_t width, Elem output,
                           const StateBlock &state, const TargetProfile &target);

} // namespace qwenc
