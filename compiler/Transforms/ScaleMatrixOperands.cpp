//===- ScaleMatrixOperands.cpp - Products that may be computed on f16 matrix units --------------------------------===//

#include "compiler/Transforms/Passes.h"
#include "dialects/qwen/MatrixOperands.h"
#include "dialects/qwen/QwenDialect.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_SCALEMATRIXOPERANDSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// Whether \p product has many rows and nothing behind it shows what 16 bits lose: a rounded logit of a router could
/// change the choice.
bool takesF16(Operation *product) {
  auto rows = cast<RankedTensorType>(product->getResult(0).getType());
  bool hasManyRows = getRows(rows) || rows.getDimSize(0) != 1;
  bool isF32 = cast<RankedTensorType>(product->getOperand(0).getType()).getElementType().isF32();
  return isF32 && hasManyRows && llvm::none_of(product->getUsers(), llvm::IsaPred<RouteOp>);
}

struct ScaleMatrixOperands : qwen::impl::ScaleMatrixOperandsPassBase<ScaleMatrixOperands> {
  using ScaleMatrixOperandsPassBase::ScaleMatrixOperandsPassBase;

  void runOnOperation() override {
    // A waveform shows what 16 bits lose, and its products are few.
    if (!getOperation().getOps<CausalConv1dOp>().empty() || getOperation()->hasAttr(attrs::exact))
      return;
    getOperation().walk([&](Operation *op) {
      if (!isa<FusedLinearOp, FusedExpertsOp>(op) || !takesF16(op))
        return;
      op->setAttr(kScaledProduct, UnitAttr::get(&getContext()));
      ++scaledCount;
    });
  }
};

} // namespace
