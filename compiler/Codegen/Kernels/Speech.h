//===- Speech.h - Kernels of the two decoders that make codes of speech -------------------------------*- C++ -*-===//
//
// Where the histories and rows lie is described at the entry operations of the qwen dialect (input_rows, begin_frame,
// code_row, frame_row).
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/Kernels/Kernels.h"

namespace qwenc {

/// Operands: ids [rows], table [v, h], (state,) y [rows, h]. An id that names no row of the table gives zeros.
KernelPlan gatherRowsKernel(const RowBound &rows, uint32_t vocab, uint32_t width, const StateBlock &state,
                            const TargetProfile &target);
/// Operands: source [sourceRows, n], state, y [rows, n]. Row r is row Position + r of the source.
KernelPlan inputRowsKernel(const RowBound &rows, uint32_t sourceRows, uint32_t width, const StateBlock &state,
                           const TargetProfile &target);
/// Operands: state of the sequence before, state.
KernelPlan beginFrameKernel(const StateBlock &state, const TargetProfile &target);
/// Operands: state, tables [sum of rows, n], y [n], step [1]. \p rows has the rows of each table.
KernelPlan codeRowKernel(llvm::ArrayRef<uint32_t> rows, uint32_t width, const StateBlock &state,
                         const TargetProfile &target);
/// Operands: state, state of the next sequence, text [textRows, n], tables, y [n].
KernelPlan frameRowKernel(llvm::ArrayRef<uint32_t> rows, uint32_t textRows, uint32_t width, const StateBlock &state,
                          const TargetProfile &target);

} // namespace qwenc
