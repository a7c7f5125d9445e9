//===- Phases.cpp - The table of contents of the compiler -------------------------------------------------------===//

#include "compiler/Pipelines/Phases.h"

#include "compiler/Codegen/Passes.h"
#include "compiler/Planning/Passes.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/plan/PlanNames.h"
#include "plan_generated.h"

#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::qwen;
using namespace qwenc;

static const char *kvFormatName(KvFormat format) {
  switch (format) {
  case KvFormat::F32:
    return "f32";
  case KvFormat::F16:
    return "f16";
  case KvFormat::BF16:
    return "bf16";
  }
  llvm_unreachable("every format is listed");
}

static void populateImport(OpPassManager &passes, const CompileOptions &) {
  // A document of another exporter is checked here, before any pass relies on its form.
  passes.addPass(createVerifyModelPass());
}

static void populateEntries(OpPassManager &passes, const CompileOptions &options) {
  // Before the functions are cloned into entries, so that all of them agree on the format of a weight.
  QuantizeWeightsPassOptions weights;
  weights.format = options.weightsFormat;
  passes.addPass(createQuantizeWeightsPass(weights));
  SpecializeEntriesPassOptions entries;
  entries.context = options.maxContext;
  entries.chunk = std::min<int64_t>(options.target.prefillChunk, options.maxContext);
  entries.logitsRows = std::min(options.logitsRows, entries.chunk); // hidden rows of one chunk are all there is
  entries.kvFormat = kvFormatName(options.target.kvFormat);
  passes.addPass(createSpecializeEntriesPass(entries));
  // Decoder and head of one entry may each have asked for the same weight.
  passes.addNestedPass<func::FuncOp>(createCSEPass());
  passes.addPass(createVerifyEntriesPass());
}

static void populateFusion(OpPassManager &passes, const CompileOptions &options) {
  // Convolutions are products too, and there before anything looks for products.
  passes.addNestedPass<func::FuncOp>(createLowerTapConvsPass());
  // Products first, because everything else joins a product. Merging goes before the parallel fusion: it takes the
  // linears whose results go separate ways and leaves those that meet.
  passes.addNestedPass<func::FuncOp>(createMergeLinearsPass());
  passes.addNestedPass<func::FuncOp>(createFuseParallelLinearsPass());
  passes.addNestedPass<func::FuncOp>(createFuseLinearsPass());
  // Now every product can take what follows it: residual additions, activations.
  passes.addNestedPass<func::FuncOp>(createFuseEpiloguePass());
  // The router's choice, then the products that take it; behind the other epilogues, whose trees end at a residual.
  passes.addNestedPass<func::FuncOp>(createFuseRoutePass());
  passes.addNestedPass<func::FuncOp>(createFuseExpertsPass());
  // Needs the merged q/k/v row.
  passes.addNestedPass<func::FuncOp>(createFuseRopeAppendPass());
  passes.addNestedPass<func::FuncOp>(createFuseWindowAttentionPass());
  // Before clamps that found no convolution become steps of their own.
  passes.addNestedPass<func::FuncOp>(createFuseConvolutionsPass());
  // Needs the fused cache write, and leaves combine_splits for the prologue of the output projection.
  SplitDecodeAttentionPassOptions attention;
  attention.splits = options.target.decodeSplits;
  passes.addNestedPass<func::FuncOp>(createSplitDecodeAttentionPass(attention));
  // After all products exist, so that a norm with several readers can disappear.
  passes.addNestedPass<func::FuncOp>(createFuseProloguePass());
  // Rows are normalised by the products that read them.
  passes.addNestedPass<func::FuncOp>(createJoinEmbeddingPass());
  // All products that take a choice are there.
  passes.addNestedPass<func::FuncOp>(createJoinRoutePass());
  // A choice made by a product can apply the factor that a folded router leaves out; kernels count on a known size of
  // subgroups there.
  if (options.target.subgroupSize) {
    FoldRoutersPassOptions fold;
    fold.readBytesPerNs = options.target.readBytesPerNs;
    fold.stepOverheadNs = options.target.stepOverheadNs;
    passes.addPass(createFoldRoutersPass(fold));
  }
  // Products of many rows need their choices sorted.
  passes.addNestedPass<func::FuncOp>(createGroupExpertsPass());
  // Sums of gathered rows; those of experts are joined above.
  passes.addNestedPass<func::FuncOp>(createFuseGatherSumPass());
  // Whatever found no product.
  passes.addNestedPass<func::FuncOp>(createFuseElementwisePass());
  // Last: it asks who reads a value, which the fusions above still change.
  if (options.target.narrowMatrixOperands && !options.target.bf16CooperativeMatrix) {
    passes.addNestedPass<func::FuncOp>(createScaleMatrixOperandsPass());
  } else if (options.target.narrowMatrixOperands) {
    NarrowMatrixOperandsPassOptions narrow;
    narrow.f16 = options.target.f16CooperativeMatrix;
    passes.addNestedPass<func::FuncOp>(createNarrowMatrixOperandsPass(narrow));
  }
  // Folds views of views and drops weights that nothing reads any more.
  passes.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  passes.addNestedPass<func::FuncOp>(createVerifyFusedPass());
}

static void populateKernels(OpPassManager &passes, const CompileOptions &options) {
  passes.addPass(createConvertQwenToPlanPass(options.target));
}

/// What kernels for \p target may ask for beyond the generic minimum.
static llvm::SmallVector<std::string> featureNames(const TargetProfile &target) {
  using qwenrt::fb::Feature;
  llvm::SmallVector<std::string> names;
  auto add = [&](bool has, Feature feature) {
    if (has)
      names.push_back(plan::stringifyFeature(feature));
  };
  add(target.shaderFloat16 || target.f16CooperativeMatrix, Feature::ShaderFloat16);
  add(target.bf16CooperativeMatrix || target.f16CooperativeMatrix, Feature::CooperativeMatrix);
  add(target.bf16CooperativeMatrix, Feature::BFloat16);
  add(target.shaderInt8, Feature::ShaderInt8);
  return names;
}

static void populatePlan(OpPassManager &passes, const CompileOptions &options) {
  const TargetProfile &target = options.target;
  // Weights and storages first: barriers compare places.
  PlaceStorageOptions place;
  place.maxAllocationBytes = target.maxAllocationBytes;
  place.maxWeightBytes = target.maxWeightBytes;
  passes.addPass(createPlaceStorage(place));
  // Before the barriers: activations that share memory conflict like any other.
  passes.addPass(createAssignOffsets());
  passes.addPass(createInsertBarriers());
  EstimateCostsOptions costs;
  costs.readBytesPerNs = target.readBytesPerNs;
  costs.flopsPerNs = target.flopsPerNs;
  costs.stepOverheadNs = target.stepOverheadNs;
  passes.addPass(createEstimateCosts(costs));
  // Nothing checks an address on the device: the proof stands here, against the target's limits.
  VerifyPlanOptions verify;
  verify.targetName = target.name;
  verify.maxWorkgroupInvocations = target.maxWorkgroupInvocations;
  verify.maxSharedBytes = target.maxSharedBytes;
  verify.maxPushConstantBytes = target.maxPushConstantBytes;
  verify.maxWorkgroupCount.assign(target.maxWorkgroupCount.begin(), target.maxWorkgroupCount.end());
  verify.maxAllocationBytes = target.maxAllocationBytes;
  verify.maxWeightBytes = target.maxWeightBytes;
  verify.subgroupSize = target.subgroupSize;
  verify.features = featureNames(target);
  passes.addPass(createVerifyPlan(verify));
}

llvm::ArrayRef<Phase> qwenc::phases() {
  static const Phase list[] = {
      {"import", "the model as functions of primitive operations with symbolic rows", populateImport},
      {"entries", "one function with static shapes for each entry the runtime replays", populateEntries},
      {"fusion", "entries of fused operations, each of which becomes one kernel", populateFusion},
      {"kernels", "kernels as SPIR-V modules and entries as lists of dispatches", populateKernels},
      {"plan", "every range placed, barriers inserted, limits proven", populatePlan},
  };
  return list;
}

const Phase *qwenc::findPhase(StringRef name) {
  for (const Phase &phase : phases())
    if (phase.name == name)
      return &phase;
  return nullptr;
}

std::string qwenc::phaseNames() {
  return llvm::join(llvm::map_range(phases(), [](const Phase &phase) { return phase.name.str(); }), ", ");
}
