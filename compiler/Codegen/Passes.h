//===- Passes.h - Code generation ---------------------------------------------------------------------*- C++ -*-===//
#pragma once

#include "compiler/Target/TargetProfile.h"

#include <memory>

namespace mlir {
class Pass;
} // namespace mlir

namespace qwenc {

/// `convert-qwen-to-plan`: every fused operation of every entry becomes a kernel and a dispatch.
///
///   func.func @decode_greedy(...) attributes {qwen.role = "decode_greedy", qwen.rows = 1} {
///     %w = qwen.weight @norm : tensor<64xbf16>
///     %y = qwen.rms_norm %x, %w eps 1.0e-6 : ...
/// ==>
///   plan.weight @norm file 0 at 72 rows 1 x 128 pitch 128
///   plan.kernel @rms_norm_n64_f32 ... { spirv.module ... }
///   plan.entry @decode_greedy role "decode_greedy" rows 1 {
///     %w = plan.weights [@norm] : !plan.range<128>
///     %y = plan.alloc "y" : !plan.range<256>
///     plan.dispatch @rms_norm_n64_f32 groups [1, 1, 1] (%x, %w, %y) ...
///
/// Kernels of equal name are equal and are written once. Reshapes become nothing; values that an entry returns are
/// written straight to their output storage.
std::unique_ptr<mlir::Pass> createConvertQwenToPlanPass(const TargetProfile &target);

/// Registers the pass for qwen-opt, with the option `target`.
void registerCodegenPasses();

} // namespace qwenc
