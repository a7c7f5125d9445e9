//===- ScalarBody.cpp - Bodies of kernels, generated from fused operations --------------------------------------===//

#include "compiler/Codegen/ScalarBody.h"

#include "compiler/Codegen/Kernels/Kernels.h"
#include "dialects/qwen/QwenOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qwenc {

/// 1 - 2 / (exp(2x) + 1): right at both ends, where the exponential is 0 or infinite.
static Val tanh(KernelBuilder &k, Val x) { return k.f32(1) - k.f32(2) / (k.exp(x * 2.0) + 1.0); }

/// Abramowitz and Stegun 7.1.26, within 1.5e-7.
static Val erf(KernelBuilder &k, Val x) {
  Val magnitude = k.max(x, -x);
  Val t = k.f32(1) / (magnitude * 0.3275911 + 1.0);
  Val polynomial = k.f32(0);
  for (double coefficient : {1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592})
    polynomial = (polynomial + coefficient) * t;
  Val result = k.f32(1) - polynomial * k.exp(-(x * x));
  return k.select(x < k.f32(0), -result, result);
}

FailureOr<Val> emitBody(KernelBuilder &k, Region &body, ArrayRef<Val> arguments) {
  DenseMap<Value, Val> known;
  for (auto [argument, value] : llvm::zip_equal(body.getArguments(), arguments))
    known[argument] = value;
  for (Operation &op : body.front()) {
    if (auto yield = dyn_cast<qwen::YieldOp>(op))
      return known[yield.getValue()];
    auto in = [&](unsigned i) { return known[op.getOperand(i)]; };
    Val result =
        TypeSwitch<Operation *, Val>(&op)
            .Case<arith::ConstantOp>([&](auto c) { return k.f32(cast<FloatAttr>(c.getValue()).getValueAsDouble()); })
            .Case<arith::AddFOp>([&](auto) { return in(0) + in(1); })
            .Case<arith::SubFOp>([&](auto) { return in(0) - in(1); })
            .Case<arith::MulFOp>([&](auto) { return in(0) * in(1); })
            .Case<arith::DivFOp>([&](auto) { return in(0) / in(1); })
            .Case<arith::NegFOp>([&](auto) { return -in(0); })
            .Case<arith::MaximumFOp>([&](auto) { return k.max(in(0), in(1)); })
            .Case<arith::MinimumFOp>([&](auto) { return k.min(in(0), in(1)); })
            .Case<math::ExpOp>([&](auto) { return k.exp(in(0)); })
            .Case<math::TanhOp>([&](auto) { return tanh(k, in(0)); })
            .Case<math::ErfOp>([&](auto) { return erf(k, in(0)); })
            .Case<math::RsqrtOp>([&](auto) { return k.inverseSqrt(in(0)); })
            .Default([](Operation *) { return Val(); });
    if (!result)
      return op.emitError("no kernel form of '")
             << op.getName() << "' inside a fused body, expected scalar arith or math operations; "
             << "extend emitBody in compiler/Codegen/ScalarBody.cpp";
    known[op.getResult(0)] = result;
  }
  return failure();
}

std::string bodyName(Region &body) {
  std::string name;
  SmallVector<double> constants;
  for (Operation &op : body.front()) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      constants.push_back(cast<FloatAttr>(constant.getValue()).getValueAsDouble());
    if (isa<qwen::YieldOp, arith::ConstantOp>(op))
      continue;
    // A constant divided by a value is not a value divided by something.
    auto division = dyn_cast<arith::DivFOp>(op);
    bool isReciprocal = division && division.getLhs().getDefiningOp<arith::ConstantOp>();
    name += (name.empty() ? "" : "_") + (isReciprocal ? "reciprocal" : op.getName().stripDialect().str());
  }
  // The compositions that have names of their own in the literature.
  for (auto [operations, known] : {std::pair<StringRef, StringRef>{"negf_exp_addf_divf", "silu"},
                                   {"negf_exp_addf_reciprocal", "sigmoid"},
                                   {"mulf_erf_addf_mulf_mulf", "gelu"},
                                   {"mulf_mulf_mulf_addf_mulf_tanh_addf_mulf_mulf", "gelu_tanh"}})
    if (size_t at = name.find(operations.str()); at != std::string::npos)
      name.replace(at, operations.size(), known);
  // Bodies of the same operations with other constants are other kernels; one, which silu has, needs no mention.
  if (llvm::any_of(constants, [](double constant) { return constant != 1; }))
    name += parameterTag(constants);
  return name;
}

} // namespace qwenc
