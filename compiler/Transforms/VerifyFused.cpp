//===- VerifyFused.cpp - What the fusions leave for code generation ---------------------------------------------===//

#include "compiler/Transforms/Passes.h"

#include "llvm/ADT/TypeSwitch.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_VERIFYFUSEDPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

bool isCodegenInput(Operation &op) {
  return isa<FusedLinearOp, ElementwiseOp, RopeAppendOp, DecodeAttentionOp, CombineSplitsOp, EmbeddingOp, RmsNormOp,
             AttentionOp, RouteOp, FoldLinearsOp, FoldedRouterOp, GroupExpertsOp, FusedExpertsOp, WeightedSumOp,
             LayerNormOp, SegmentAttentionOp, AxialRopeOp, SliceOp, ReplaceRowsOp, AddRowsOp, TapPatchesOp, SinusoidOp,
             SwapAxesOp, GatherSumOp, ExposeOp, ReshapeOp, WeightOp, WeightStackOp, ReadStateOp, BeginChunkOp,
             AdvanceOp, LastRowOp, HeadRowsOp, NextTokenOp, InputRowsOp, BeginFrameOp, CodeRowOp, FrameRowOp,
             CodebookMeanOp, RopeWindowAttentionOp, SnakeBetaOp, ClearLeadOp, CausalConv1dOp, ConvTranspose1dOp,
             func::ReturnOp>(op);
}

/// The pass that removes operations like \p op, empty if there is none.
StringRef removingPass(Operation &op) {
  return llvm::TypeSwitch<Operation *, StringRef>(&op)
      .Case<TapConvOp>([](auto) { return "qwen-lower-tap-convs"; })
      .Case<LinearOp>([](auto) { return "qwen-fuse-linears"; })
      .Case<ExpertLinearOp>([](auto) { return "qwen-fuse-experts"; })
      .Case<SoftmaxOp, TopKOp, SumNormalizeOp>([](auto) { return "qwen-fuse-route"; })
      .Case<SiluOp, GeluOp, MulOp, AddOp, SigmoidOp, ScaleRowsOp, ScaleOp, ClampOp>(
          [](auto) { return "qwen-fuse-elementwise"; })
      .Case<RopeOp, MRopeOp, KvAppendOp, PositionIdsOp>([](auto) { return "qwen-fuse-rope-append"; })
      .Case<WindowAttentionOp, RowNumbersOp>([](auto) { return "qwen-fuse-window-attention"; })
      .Default([](auto) { return ""; });
}

/// An exposed value has a reader more, and what only one operation may read is then not fused.
bool exposes(Block &block) { return !block.getOps<ExposeOp>().empty(); }

struct VerifyFused : qwen::impl::VerifyFusedPassBase<VerifyFused> {
  void runOnOperation() override {
    for (Block &block : getOperation().getBody())
      for (Operation &op : block) {
        if (isCodegenInput(op))
          continue;
        InFlightDiagnostic error = op.emitOpError() << "is left for code generation, expected only fused operations, ";
        StringRef pass = removingPass(op);
        if (pass.empty())
          error << "remove it";
        else
          error << "run " << pass << " first" << (exposes(block) ? " and expose no value that it fuses" : "");
        return signalPassFailure();
      }
    markAllAnalysesPreserved();
  }
};

} // namespace
