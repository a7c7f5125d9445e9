//===- ScalarBody.h - Bodies of kernels, generated from fused operations ------------------------------*- C++ -*-===//
//
// A fused operation of the qwen dialect carries a region of scalar arith and math operations. A kernel skeleton calls
// it on the values it holds in registers.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Codegen/KernelBuilder.h"
#include "mlir/IR/Region.h"

namespace qwenc {

/// The result of \p body for \p arguments. Fails with an error at the operation that has no kernel form.
mlir::FailureOr<Val> emitBody(KernelBuilder &k, mlir::Region &body, llvm::ArrayRef<Val> arguments);

/// Operation names of the body in order, for kernel names: "addf", "negf_exp_addf_divf_mulf"; "" for the identity.
std::string bodyName(mlir::Region &body);

} // namespace qwenc
