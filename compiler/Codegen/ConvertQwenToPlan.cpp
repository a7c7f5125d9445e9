//===- ConvertQwenToPlan.cpp - Fused operations to kernels and dispatches ----------------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"
#include "compiler/Codegen/Passes.h"

#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/TypeSwitch.h"

#define DEBUG_TYPE "convert-qwen-to-plan"

using namespace mlir;

namespace qwenc {

PlanConverter::PlanConverter(ModuleOp module, const TargetProfile &target)
    : module(module), target(target), b(module.getContext()) {
  declarations.setInsertionPointToStart(module.getBody());
}

LogicalResult PlanConverter::run() {
  SmallVector<func::FuncOp> entries(module.getOps<func::FuncOp>());
  if (failed(declareStorage()))
    return failure();
  for (func::FuncOp entry : entries)
    if (failed(convertEntry(entry)))
      return failure();
  for (func::FuncOp entry : entries)
    entry.erase();
  for (Operation &op : llvm::make_early_inc_range(*module.getBody()))
    if (isa<qwen::ParameterOp, qwen::StateOp>(op))
      op.erase();
  return success();
}

LogicalResult PlanConverter::convert(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case<qwen::WeightOp, qwen::WeightStackOp, qwen::PositionIdsOp, qwen::ReshapeOp, qwen::ExposeOp, func::ReturnOp>(
          [](auto) { return success(); })
      .Case<qwen::ReadStateOp>([&](auto op) { return convertReadState(op); })
      .Case<qwen::TapPatchesOp>([&](auto op) { return checkPatches(op); })
      .Case<qwen::EmbeddingOp, qwen::RmsNormOp, qwen::FusedLinearOp, qwen::ElementwiseOp, qwen::RopeAppendOp,
            qwen::AttentionOp, qwen::DecodeAttentionOp, qwen::CombineSplitsOp, qwen::RouteOp, qwen::GroupExpertsOp,
            qwen::FoldLinearsOp, qwen::FoldedRouterOp, qwen::FusedExpertsOp, qwen::WeightedSumOp, qwen::LayerNormOp,
            qwen::ReplaceRowsOp, qwen::AddRowsOp, qwen::SinusoidOp, qwen::SwapAxesOp, qwen::SegmentAttentionOp,
            qwen::AxialRopeOp, qwen::SliceOp, qwen::GatherSumOp, qwen::BeginChunkOp, qwen::AdvanceOp, qwen::LastRowOp,
            qwen::HeadRowsOp, qwen::NextTokenOp, qwen::InputRowsOp, qwen::BeginFrameOp, qwen::CodeRowOp,
            qwen::FrameRowOp, qwen::CodebookMeanOp, qwen::RopeWindowAttentionOp, qwen::SnakeBetaOp, qwen::ClearLeadOp,
            qwen::CausalConv1dOp, qwen::ConvTranspose1dOp>([&](auto op) { return lower(op); })
      .Default([](Operation *op) { return op->emitError("has no kernel; run the fusion passes first"); });
}

namespace {

struct ConvertQwenToPlanPass : PassWrapper<ConvertQwenToPlanPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertQwenToPlanPass)

  ConvertQwenToPlanPass() = default;
  ConvertQwenToPlanPass(const ConvertQwenToPlanPass &other) : PassWrapper(other), target(other.target) {}
  explicit ConvertQwenToPlanPass(TargetProfile target) : target(std::move(target)) {}

  StringRef getArgument() const final { return DEBUG_TYPE; }
  StringRef getDescription() const final { return "turn fused operations into kernels and dispatches"; }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<plan::PlanDialect, spirv::SPIRVDialect>();
  }

  void runOnOperation() final {
    if (!targetName.empty()) {
      qwenrt::Result<TargetProfile> profile = loadTargetProfile(targetName);
      if (!profile.isOk()) {
        getOperation().emitError(profile.status().message());
        return signalPassFailure();
      }
      target = *profile;
    }
    if (failed(PlanConverter(getOperation(), *target).run()))
      signalPassFailure();
  }

  std::optional<TargetProfile> target;
  Option<std::string> targetName{*this, "target", llvm::cl::desc("built-in target profile or profile file"),
                                 llvm::cl::init("")};
};

} // namespace

std::unique_ptr<Pass> createConvertQwenToPlanPass(const TargetProfile &target) {
  return std::make_unique<ConvertQwenToPlanPass>(target);
}

void registerCodegenPasses() { PassRegistration<ConvertQwenToPlanPass>(); }

} // namespace qwenc
