//===- VerifyModel.cpp - What import leaves: primitive operations, a decoder and a head -------------------------===//

#include "compiler/Transforms/Generator.h"
#include "compiler/Transforms/Passes.h"

#include "llvm/ADT/StringSet.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_VERIFYMODELPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

static func::FuncOp findFunction(ModuleOp module, StringRef attribute, StringRef purpose) {
  auto symbol = module->getAttrOfType<FlatSymbolRefAttr>(attribute);
  if (!symbol) {
    module.emitError() << "module has no attribute '" << attribute << "', expected the symbol of the function that "
                       << purpose;
    return {};
  }
  auto function = module.lookupSymbol<func::FuncOp>(symbol.getAttr());
  if (!function)
    module.emitError() << "'" << attribute << "' names " << symbol << ", expected a function of this module";
  return function;
}

/// Arguments behind the first: what a decoder takes beside ids has a binding.
static LogicalResult verifyFurtherArguments(func::FuncOp function) {
  static const llvm::StringSet<> bindings = {"positions", "media_rows", "media"};
  for (unsigned i = 1; i < function.getNumArguments(); ++i) {
    auto binding = function.getArgAttrOfType<StringAttr>(i, attrs::binding);
    auto name = function.getArgAttrOfType<StringAttr>(i, attrs::name);
    auto type = dyn_cast<RankedTensorType>(function.getArgument(i).getType());
    if (!binding || !bindings.contains(binding.getValue()) || !name || !type || !getRows(type))
      return function.emitError() << "argument " << i << " has no known '" << attrs::binding
                                  << "', expected \"positions\", \"media_rows\" or \"media\" on counted rows with a '"
                                  << attrs::name << "'";
  }
  return success();
}

/// \p function maps one tensor of rows of rank \p inputRank to one of rank 2 that counts the same rows.
static LogicalResult verifySignature(func::FuncOp function, int64_t inputRank, Type inputElement) {
  FunctionType type = function.getFunctionType();
  if (function.isExternal() || !function.getBody().hasOneBlock())
    return function.emitError() << "function has no single block, expected a body without control flow";
  bool takesMedia = inputRank == 1;
  // A decoder may leave further rows, which the talker reads.
  size_t mostResults = takesMedia ? 2 : 1;
  if (type.getNumInputs() < 1 || (type.getNumInputs() > 1 && !takesMedia) || type.getNumResults() < 1 ||
      type.getNumResults() > mostResults)
    return function.emitError() << "function has " << type.getNumInputs() << " inputs and " << type.getNumResults()
                                << " results, expected one of each";
  if (failed(verifyFurtherArguments(function)))
    return failure();
  auto input = dyn_cast<RankedTensorType>(type.getInput(0)), result = dyn_cast<RankedTensorType>(type.getResult(0));
  if (!input || !getRows(input) || !input.isDynamicDim(0) || input.getRank() != inputRank ||
      input.getElementType() != inputElement)
    return function.emitError() << "function takes " << type.getInput(0) << ", expected " << inputElement << " of rank "
                                << inputRank << " with a rows encoding";
  if (!result || getRows(result) != getRows(input) || !result.isDynamicDim(0) || result.getRank() != 2 ||
      !result.getElementType().isF32())
    return function.emitError() << "function returns " << type.getResult(0)
                                << ", expected f32 of rank 2 that counts the rows of the input";
  return success();
}

FailureOr<Generator> mlir::qwen::findGenerator(ModuleOp module) {
  Generator generator;
  bool hasDecoder = module->hasAttr(attrs::decoder), hasFunctions = !module.getOps<func::FuncOp>().empty();
  if (!hasDecoder && !module->hasAttr(attrs::head) && hasFunctions)
    return generator;
  generator.decoder = findFunction(module, attrs::decoder, "maps ids to hidden rows");
  if (!generator.decoder)
    return failure();
  generator.head = findFunction(module, attrs::head, "maps hidden rows to logits");
  if (!generator.head)
    return failure();
  Builder builder(module.getContext());
  if (generator.decoder == generator.head) {
    generator.head.emitError() << "function is decoder and head, expected two functions";
    return failure();
  }
  if (failed(verifySignature(generator.decoder, 1, builder.getI32Type())) ||
      failed(verifySignature(generator.head, 2, builder.getF32Type())))
    return failure();
  auto hidden = cast<RankedTensorType>(generator.decoder.getFunctionType().getResult(0));
  auto taken = cast<RankedTensorType>(generator.head.getFunctionType().getInput(0));
  if (hidden.getDimSize(1) != taken.getDimSize(1)) {
    generator.head.emitError() << "function takes " << taken
                               << ", expected hidden rows as the decoder returns them: " << hidden;
    return failure();
  }
  return generator;
}

FailureOr<Speech> mlir::qwen::findSpeech(ModuleOp module) {
  Speech speech;
  auto attributes = module->getAttrOfType<DictionaryAttr>(attrs::speech);
  if (!attributes)
    return speech;
  auto refuse = [&](const Twine &what) {
    module.emitError() << "'" << attrs::speech << "' " << what << ", correct the attribute";
    return failure();
  };
  auto counted = [](Type type, int64_t rank) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getRank() == rank && getRows(tensor) && tensor.isDynamicDim(0);
  };
  auto find = [&](StringRef key, func::FuncOp &function, size_t inputs, size_t results) -> LogicalResult {
    auto name = attributes.getAs<FlatSymbolRefAttr>(key);
    function = name ? module.lookupSymbol<func::FuncOp>(name.getAttr()) : func::FuncOp();
    if (!function || function.isExternal() || !function.getBody().hasOneBlock() ||
        function.getNumArguments() != inputs || function.getNumResults() != results ||
        !llvm::all_of(function.getArgumentTypes(), [&](Type type) { return counted(type, 2); }) ||
        !llvm::all_of(function.getResultTypes(), [&](Type type) { return counted(type, 2); }))
      return refuse("has no '" + key + "' of " + Twine(inputs) + " inputs and " + Twine(results) +
                    " results, expected a function of counted rows of rank 2");
    return success();
  };
  if (failed(find("decoder", speech.decoder, 2, 1)) || failed(find("head", speech.head, 1, 2)) ||
      failed(find("predictor_decoder", speech.predictorDecoder, 1, 1)) ||
      failed(find("predictor_head", speech.predictorHead, 2, 1)))
    return failure();
  auto binding = speech.decoder.getArgAttrOfType<StringAttr>(1, attrs::binding);
  if (!binding || binding.getValue() != "positions")
    return refuse("has a decoder whose second input is not bound to positions, expected that");
  int64_t width = cast<RankedTensorType>(speech.decoder.getArgumentTypes()[0]).getDimSize(1);
  for (func::FuncOp function : {speech.decoder, speech.head, speech.predictorDecoder, speech.predictorHead})
    if (cast<RankedTensorType>(function.getArgumentTypes()[0]).getDimSize(1) != width)
      return refuse("has functions of different widths, expected rows of " + Twine(width));
  auto tables = attributes.getAs<ArrayAttr>("tables");
  for (Attribute table : tables ? tables.getValue() : ArrayRef<Attribute>()) {
    auto name = dyn_cast<FlatSymbolRefAttr>(table);
    auto parameter = name ? module.lookupSymbol<ParameterOp>(name.getAttr()) : ParameterOp();
    auto type = parameter ? cast<RankedTensorType>(parameter.getType()) : RankedTensorType();
    if (!type || type.getRank() != 2 || type.getDimSize(1) != width)
      return refuse("names a table that is no parameter with rows of " + Twine(width) + ", expected one");
    speech.tables.push_back(parameter);
  }
  speech.suppress = attributes.getAs<DenseI64ArrayAttr>("suppress");
  if (speech.tables.size() < 2 || !speech.suppress)
    return refuse("has fewer than two tables or no 'suppress', expected both");
  return speech;
}

namespace {

bool isPrimitive(Operation *op) {
  return isa<ParameterOp, StateOp, WeightOp, ReadStateOp, EmbeddingOp, PositionIdsOp, RmsNormOp, LinearOp, ReshapeOp,
             RopeOp, KvAppendOp, AttentionOp, SiluOp, MulOp, AddOp, WeightStackOp, SoftmaxOp, TopKOp, SumNormalizeOp,
             ExpertLinearOp, WeightedSumOp, LayerNormOp, GeluOp, SegmentAttentionOp, AxialRopeOp, MRopeOp,
             ReplaceRowsOp, AddRowsOp, TapConvOp, SinusoidOp, SwapAxesOp, SigmoidOp, ScaleRowsOp, ExposeOp,
             CodebookMeanOp, RowNumbersOp, WindowAttentionOp, ScaleOp, ClampOp, SnakeBetaOp, ClearLeadOp,
             CausalConv1dOp, ConvTranspose1dOp, func::FuncOp, func::ReturnOp>(op);
}

/// The product that \p value is heads of, behind what attention does to queries and keys.
LinearOp findProjection(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto linear = dyn_cast<LinearOp>(op))
      return linear;
    if (!isa<KvAppendOp, RopeOp, MRopeOp, RmsNormOp, ReshapeOp>(op))
      break;
    // The rows are the second operand of an append, the first of the others.
    value = op->getOperand(isa<KvAppendOp>(op) ? 1 : 0);
  }
  return {};
}

/// Query, key and value of a cached attention become one product: with the biases of all three side by side, or none.
LogicalResult verifyProjections(AttentionOp attention) {
  if (!attention.getKeys().getDefiningOp<KvAppendOp>())
    return success();
  SmallVector<LinearOp, 3> biased;
  for (Value value : {attention.getQuery(), attention.getKeys(), attention.getValues()})
    if (LinearOp projection = findProjection(value); projection && projection.getBias())
      biased.push_back(projection);
  if (biased.empty())
    return success();
  if (biased.size() < 3)
    return biased.front().emitError() << "attention has a bias in some of its query, key and value projections, "
                                      << "expected one in all or none, export a checkpoint with all of them";
  for (LinearOp projection : biased)
    if (int64_t width = projection.getResult().getType().getDimSize(1); width % 8 != 0)
      return projection.emitError() << "attention has a projection of " << width << " elements with a bias, expected "
                                    << "a multiple of 8, export a checkpoint without attention_bias";
  return success();
}

/// A function that is run with tensors: its tensors count rows or are static, and all have names.
LogicalResult verifyComponent(func::FuncOp function) {
  if (function.isExternal() || !function.getBody().hasOneBlock())
    return function.emitError() << "function has no single block, expected a body without control flow";
  auto verify = [&](StringRef what, unsigned i, Type type, StringAttr name) -> LogicalResult {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || tensor.getRank() == 0 || (!tensor.hasStaticShape() && !getRows(tensor)))
      return function.emitError() << what << " " << i << " has type " << type
                                  << ", expected a tensor with a static shape or counted rows";
    if (!name)
      return function.emitError() << what << " " << i << " has no '" << attrs::name << "', expected a name for callers";
    return success();
  };
  for (BlockArgument argument : function.getArguments())
    if (unsigned i = argument.getArgNumber();
        failed(verify("argument", i, argument.getType(), function.getArgAttrOfType<StringAttr>(i, attrs::name))))
      return failure();
  for (Operation &op : function.getBody().front())
    if (isa<PositionIdsOp, KvAppendOp, AttentionOp>(op))
      return op.emitOpError() << "needs the positions of a text generator, expected it only in the decoder that '"
                              << attrs::decoder << "' names";
  for (auto [i, type] : llvm::enumerate(function.getFunctionType().getResults()))
    if (failed(verify("result", i, type, function.getResultAttrOfType<StringAttr>(i, attrs::name))))
      return failure();
  return success();
}

struct VerifyModel : qwen::impl::VerifyModelPassBase<VerifyModel> {
  void runOnOperation() override {
    WalkResult walk = getOperation()->walk([&](Operation *op) {
      if (op == getOperation() || isPrimitive(op))
        return WalkResult::advance();
      op->emitOpError() << "is not an operation of a model, expected only primitive operations of the qwen dialect";
      return WalkResult::interrupt();
    });
    if (walk.wasInterrupted())
      return signalPassFailure();
    FailureOr<Generator> generator = findGenerator(getOperation());
    if (failed(generator))
      return signalPassFailure();
    FailureOr<Speech> speech = findSpeech(getOperation());
    if (failed(speech))
      return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function != generator->decoder && function != generator->head && !speech->has(function) &&
          failed(verifyComponent(function)))
        return signalPassFailure();
    walk = getOperation()->walk([](AttentionOp op) { return WalkResult(verifyProjections(op)); });
    if (walk.wasInterrupted())
      return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
