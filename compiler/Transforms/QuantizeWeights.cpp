//===- QuantizeWeights.cpp - Which weights are stored in blocks of few bits ---------------------------------------===//

#include "compiler/Transforms/Generator.h"
#include "compiler/Transforms/Passes.h"

#include "runtime/schema/WeightFormat.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

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

/// A waveform shows what 8 bits lose, and the weights of a vocoder are few.
bool makesWaveform(Operation *op) { return !op->getBlock()->getOps<CausalConv1dOp>().empty(); }

bool isMatrixOfProduct(OpOperand &use) {
  if (auto experts = dyn_cast<ExpertLinearOp>(use.getOwner()))
    return &use == &experts.getWeightMutable();
  auto linear = dyn_cast<LinearOp>(use.getOwner());
  return linear && &use == &linear.getWeightMutable() && !decidesChoices(linear.getResult()) && !makesWaveform(linear);
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
    // The predictor's steps feed each other many times a frame, and its weights are few.
    FailureOr<Speech> speech = findSpeech(module);
    if (failed(speech))
      return signalPassFailure();
    llvm::StringMap<SmallVector<Value>> readers;
    module.walk([&](WeightOp weight) { readers[weight.getParameter()].push_back(weight.getResult()); });
    // A stack has one type: all its members are packed or none.
    llvm::EquivalenceClasses<StringRef> groups;
    module.walk([&](WeightStackOp stack) {
      auto members = stack.getParameters().getAsRange<FlatSymbolRefAttr>();
      for (auto member : members) {
        readers[member.getValue()].push_back(stack.getResult());
        groups.unionSets((*members.begin()).getValue(), member.getValue());
      }
    });
    llvm::StringSet<> refused;
    for (auto parameter : module.getOps<ParameterOp>())
      if (!isPackable(cast<RankedTensorType>(parameter.getType())) ||
          !areMatricesOfProducts(readers[parameter.getSymName()]) ||
          llvm::any_of(readers[parameter.getSymName()], [&](Value weight) {
            return speech->isPredictor(weight.getDefiningOp()->getParentOfType<func::FuncOp>());
          }))
        refused.insert(groups.getOrInsertLeaderValue(parameter.getSymName()));
    auto packedForm = [&](Type type) {
      return cast<RankedTensorType>(type).cloneWithEncoding(PackedAttr::get(&getContext(), *packed));
    };
    for (auto parameter : module.getOps<ParameterOp>()) {
      if (refused.contains(groups.getOrInsertLeaderValue(parameter.getSymName())))
        continue;
      parameter.setType(packedForm(parameter.getType()));
      for (Value weight : readers[parameter.getSymName()])
        weight.setType(packedForm(weight.getType()));
      ++packedCount;
    }
  }

  static bool isPackable(RankedTensorType type) {
    return type.getRank() == 2 && !type.getEncoding() && type.getDimSize(1) % qwenrt::kBlockWeights == 0;
  }

  static bool areMatricesOfProducts(ArrayRef<Value> weights) {
    bool isRead = false;
    for (Value weight : weights)
      for (OpOperand &use : weight.getUses()) {
        isRead = true;
        if (!isMatrixOfProduct(use))
          return false;
      }
    return isRead;
  }
};

} // namespace
