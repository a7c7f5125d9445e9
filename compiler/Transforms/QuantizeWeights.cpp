//===- QuantizeWeights.cpp - Which weights are stored in blocks of few bits ---------------------------------------===//

#include "compiler/Transforms/Passes.h"

#include "runtime/schema/WeightFormat.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringMap.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_QUANTIZEWEIGHTSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

bool hasIntegerResult(Operation *op) {
  return llvm::any_of(op->getResultTypes(), [](Type type) { return getElementTypeOrSelf(type).isInteger(); });
}

/// Whether \p value, perhaps through operations of one input such as a softmax, decides which of something is taken.
/// There a small error is not a small error of the result.
bool decidesChoices(Value value) {
  SmallVector<Value> work = {value};
  while (!work.empty())
    for (Operation *user : work.pop_back_val().getUsers()) {
      if (hasIntegerResult(user))
        return true;
      if (user->getNumOperands() == 1)
        work.append(user->result_begin(), user->result_end());
    }
  return false;
}

bool isMatrixOfProduct(OpOperand &use) {
  auto linear = dyn_cast<LinearOp>(use.getOwner());
  return linear && &use == &linear.getWeightMutable() && !decidesChoices(linear.getResult());
}

struct QuantizeWeights : qwen::impl::QuantizeWeightsPassBase<QuantizeWeights> {
  using QuantizeWeightsPassBase::QuantizeWeightsPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    std::optional<WeightFormat> packed = symbolizeWeightFormat(format);
    if (!packed) {
      module.emitError() << "format is '" << format.getValue() << "', expected bf16, q8 or q4";
      return signalPassFailure();
    }
    if (*packed == WeightFormat::BF16)
      return;
    llvm::StringMap<SmallVector<WeightOp>> readers;
    module.walk([&](WeightOp weight) { readers[weight.getParameter()].push_back(weight); });
    for (auto parameter : module.getOps<ParameterOp>()) {
      ArrayRef<WeightOp> weights = readers[parameter.getSymName()];
      auto type = cast<RankedTensorType>(parameter.getType());
      if (!isPackable(type) || !areMatricesOfProducts(weights))
        continue;
      auto packedType = type.cloneWithEncoding(PackedAttr::get(&getContext(), *packed));
      parameter.setType(packedType);
      for (WeightOp weight : weights)
        weight.getResult().setType(packedType);
      ++packedCount;
    }
  }

  static bool isPackable(RankedTensorType type) {
    return type.getRank() == 2 && !type.getEncoding() && type.getDimSize(1) % qwenrt::kBlockWeights == 0;
  }

  static bool areMatricesOfProducts(ArrayRef<WeightOp> weights) {
    bool isRead = false;
    for (WeightOp weight : weights)
      for (OpOperand &use : weight->getUses()) {
        isRead = true;
        if (!isMatrixOfProduct(use))
          return false;
      }
    return isRead;
  }
};

} // namespace
