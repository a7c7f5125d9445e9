//===- Import.cpp - model.json to the qwen dialect --------------------------------------------------------------===//

#include "compiler/Import/Import.h"

#include "compiler/Support/Diagnostics.h"
#include "dialects/qwen/QwenOps.h"
#include "models/Checkpoint/Json.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/GlobPattern.h"

using namespace mlir;
using namespace mlir::qwen;
using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;
namespace doc = qwenc::graph;

namespace {

Status invalid(std::string message) { return Status(StatusCode::InvalidInput, std::move(message)); }

class Importer {
public:
  Importer(const doc::Graph &graph, MLIRContext &context) : graph(graph), builder(&context) {}

  Status parsePatterns(ArrayRef<std::string> expose);

  Result<OwningOpRef<ModuleOp>> run();

private:
  /// A glob over the names of values, and whether it matched one.
  struct Pattern {
    std::string text;
    llvm::GlobPattern glob;
    bool isUsed = false;
  };

  Status expose(const doc::Op &op, ResultRange results);
  Status checkPatterns() const;
  std::string exampleName() const;
  void importSymbols();
  Status importWeights();
  Status importStates();
  Status importFunction(const doc::Function &function);
  Status importOp(const doc::Op &op);
  Status importGenerate();
  void importSpeech();

  Result<Value> operand(const doc::Op &op, size_t index);
  Value weightStack(const doc::WeightStack &stack);

  Type elementType(doc::DType dtype);
  Result<RankedTensorType> rowsType(const doc::ValueType &type);
  Result<RankedTensorType> stateType(const doc::ValueType &type);
  Result<SmallVector<int64_t>> shape(const doc::ValueType &type);
  Status claimSymbol(StringRef name, StringRef what);
  Location location(StringRef name) { return NameLoc::get(builder.getStringAttr(name)); }
  FloatAttr number(const doc::Op &op, const char *name) { return builder.getF64FloatAttr(op.attr<double>(name)); }
  IntegerAttr count(const doc::Op &op, const char *name) { return builder.getI64IntegerAttr(op.attr<int64_t>(name)); }
  DenseI64ArrayAttr sectionsOf(const doc::Op &op);

  const doc::Graph &graph;
  OpBuilder builder;
  ModuleOp module;
  llvm::StringMap<std::string> symbols; ///< what each symbol of the module names
  llvm::StringMap<RankedTensorType> weightTypes, stateTypes;
  llvm::StringMap<const doc::WeightStack *> stacks;
  std::string functionName; ///< of the function in work
  std::vector<Pattern> patterns;
  llvm::StringMap<std::string> exposed; ///< the function of each exposed value
  llvm::StringMap<Value> values;        ///< of the function in work; weights and states with their '@' or '$'
};

Result<OwningOpRef<ModuleOp>> Importer::run() {
  OwningOpRef<ModuleOp> owner = ModuleOp::create(builder, location(graph.model.name));
  module = *owner;
  builder.setInsertionPointToEnd(module.getBody());
  importSymbols();
  QWENRT_RETURN_IF_ERROR(importWeights());
  QWENRT_RETURN_IF_ERROR(importStates());
  for (const doc::Function &function : graph.functions)
    QWENRT_RETURN_IF_ERROR(importFunction(function));
  QWENRT_RETURN_IF_ERROR(checkPatterns());
  QWENRT_RETURN_IF_ERROR(importGenerate());
  importSpeech();
  qwenc::DiagnosticCollector diagnostics(module.getContext());
  if (failed(verify(module)))
    return diagnostics.status("the graph");
  return std::move(owner);
}

//===------------------------------------------------------------------------------------------------------------===//
// Types and names
//===------------------------------------------------------------------------------------------------------------===//

Type Importer::elementType(doc::DType dtype) {
  switch (dtype) {
  case doc::DType::F32:
    return builder.getF32Type();
  case doc::DType::BF16:
    return builder.getBF16Type();
  case doc::DType::I32:
    return builder.getI32Type();
  }
  llvm_unreachable("every dtype of the document is listed");
}

Result<SmallVector<int64_t>> Importer::shape(const doc::ValueType &type) {
  SmallVector<int64_t> sizes;
  for (const doc::Dim &dim : type.dims) {
    if (dim.isSymbol() && !sizes.empty())
      return invalid("type " + toString(type) + " has a symbol behind its first dimension, expected numbers there, " +
                     "export rows or positions as the first dimension");
    sizes.push_back(dim.isSymbol() ? ShapedType::kDynamic : static_cast<int64_t>(dim.size));
  }
  return std::move(sizes);
}

Result<RankedTensorType> Importer::rowsType(const doc::ValueType &type) {
  QWENRT_ASSIGN_OR_RETURN(SmallVector<int64_t> sizes, shape(type));
  Attribute rows;
  if (!type.dims.empty() && type.dims[0].isSymbol())
    rows = RowsAttr::get(builder.getContext(), builder.getStringAttr(type.dims[0].symbol),
                         static_cast<int64_t>(type.dims[0].size));
  return RankedTensorType::get(sizes, elementType(type.dtype), rows);
}

Result<RankedTensorType> Importer::stateType(const doc::ValueType &type) {
  QWENRT_ASSIGN_OR_RETURN(SmallVector<int64_t> sizes, shape(type));
  return RankedTensorType::get(sizes, elementType(type.dtype));
}

Status Importer::claimSymbol(StringRef name, StringRef what) {
  auto [entry, isNew] = symbols.try_emplace(name, what.str());
  if (isNew)
    return Status::ok();
  return invalid("name '" + name.str() + "' stands for a " + entry->second + " and a " + what.str() +
                 ", expected different names, rename one of them");
}

//===------------------------------------------------------------------------------------------------------------===//
// What the module holds
//===------------------------------------------------------------------------------------------------------------===//

void Importer::importSymbols() {
  SmallVector<NamedAttribute> maxima;
  for (const doc::Symbol &symbol : graph.symbols)
    maxima.push_back(builder.getNamedAttr(symbol.name, builder.getI64IntegerAttr(static_cast<int64_t>(symbol.max))));
  module->setAttr(attrs::symbols, builder.getDictionaryAttr(maxima));
}

Status Importer::importWeights() {
  for (const doc::WeightStack &stack : graph.stacks)
    stacks[stack.name] = &stack;
  for (const doc::Weight &weight : graph.weights) {
    QWENRT_RETURN_IF_ERROR(claimSymbol(weight.name, "weight"));
    if (weight.dtype != doc::DType::BF16)
      return invalid("weight '" + weight.name + "' is " + std::string(dtypeName(weight.dtype)) +
                     ", expected bf16, convert the checkpoint");
    QWENRT_ASSIGN_OR_RETURN(RankedTensorType type, stateType(doc::weightType(weight)));
    ParameterOp::create(builder, location(weight.name), weight.name, type, weight.file, weight.offset);
    weightTypes[weight.name] = type;
  }
  return Status::ok();
}

Status Importer::importStates() {
  for (const doc::State &state : graph.states) {
    QWENRT_RETURN_IF_ERROR(claimSymbol(state.name, "state"));
    QWENRT_ASSIGN_OR_RETURN(RankedTensorType type, stateType(doc::stateType(state)));
    StateOp::create(builder, location(state.name), state.name, type, /*fixed=*/state.kind != "kv_cache");
    stateTypes[state.name] = type;
  }
  return Status::ok();
}

Status Importer::importFunction(const doc::Function &function) {
  QWENRT_RETURN_IF_ERROR(claimSymbol(function.name, "function"));
  OpBuilder::InsertionGuard guard(builder);
  values.clear();
  functionName = function.name;
  SmallVector<Type> inputTypes, resultTypes;
  for (const doc::TypedName &input : function.inputs) {
    QWENRT_ASSIGN_OR_RETURN(RankedTensorType type, rowsType(input.type));
    inputTypes.push_back(type);
  }
  auto funcOp =
      func::FuncOp::create(builder, location(function.name), function.name, builder.getFunctionType(inputTypes, {}));
  Block *body = funcOp.addEntryBlock();
  builder.setInsertionPointToStart(body);
  for (auto [input, argument] : llvm::zip(function.inputs, body->getArguments())) {
    argument.setLoc(location(input.name));
    values[input.name] = argument;
    funcOp.setArgAttr(argument.getArgNumber(), attrs::name, builder.getStringAttr(input.name));
    if (input.binding != doc::Binding::None)
      funcOp.setArgAttr(argument.getArgNumber(), attrs::binding,
                        builder.getStringAttr(doc::bindingName(input.binding)));
  }
  for (const doc::Op &op : function.ops)
    QWENRT_RETURN_IF_ERROR(
        importOp(op).withContext("function '" + function.name + "', value '" + op.outputs.front() + "'"));
  SmallVector<Value> results;
  for (const std::string &output : function.outputs) {
    results.push_back(values.lookup(output));
    resultTypes.push_back(results.back().getType());
  }
  func::ReturnOp::create(builder, funcOp.getLoc(), results);
  funcOp.setFunctionType(builder.getFunctionType(inputTypes, resultTypes));
  for (auto [i, output] : llvm::enumerate(function.outputs))
    funcOp.setResultAttr(i, attrs::name, builder.getStringAttr(output));
  return Status::ok();
}

Status Importer::importGenerate() {
  if (!graph.generate)
    return Status::ok();
  module->setAttr(attrs::decoder, FlatSymbolRefAttr::get(builder.getContext(), graph.generate->decoder));
  module->setAttr(attrs::head, FlatSymbolRefAttr::get(builder.getContext(), graph.generate->head));
  return Status::ok();
}

void Importer::importSpeech() {
  if (!graph.speech || !graph.speech->talker)
    return;
  const doc::TalkerInfo &talker = *graph.speech->talker;
  auto symbol = [&](const std::string &name) { return FlatSymbolRefAttr::get(builder.getContext(), name); };
  // The rows that the talker reads: thousands of codes follow from them.
  for (const std::string &name : {talker.text, talker.media})
    if (auto function = module.lookupSymbol<func::FuncOp>(name))
      function->setAttr(attrs::exact, builder.getUnitAttr());
  SmallVector<Attribute> tables;
  for (const std::string &name : talker.tables)
    tables.push_back(symbol(name));
  SmallVector<int64_t> suppress = {static_cast<int64_t>(talker.suppressedFirst),
                                   static_cast<int64_t>(talker.suppressedEnd),
                                   static_cast<int64_t>(talker.ids.at("codec_eos"))};
  module->setAttr(attrs::speech, builder.getDictionaryAttr(
                                     {builder.getNamedAttr("decoder", symbol(talker.decoder)),
                                      builder.getNamedAttr("head", symbol(talker.head)),
                                      builder.getNamedAttr("predictor_decoder", symbol(talker.predictorDecoder)),
                                      builder.getNamedAttr("predictor_head", symbol(talker.predictorHead)),
                                      builder.getNamedAttr("tables", builder.getArrayAttr(tables)),
                                      builder.getNamedAttr("suppress", builder.getDenseI64ArrayAttr(suppress))}));
}

//===------------------------------------------------------------------------------------------------------------===//
// Operations
//===------------------------------------------------------------------------------------------------------------===//

Value Importer::weightStack(const doc::WeightStack &stack) {
  SmallVector<Attribute> members;
  for (const std::string &name : stack.weights)
    members.push_back(FlatSymbolRefAttr::get(builder.getContext(), name));
  RankedTensorType member = weightTypes.lookup(stack.weights.front());
  SmallVector<int64_t> shape = {static_cast<int64_t>(members.size())};
  llvm::append_range(shape, member.getShape());
  return WeightStackOp::create(builder, location(stack.name), member.clone(shape), builder.getArrayAttr(members));
}

/// A weight or state becomes a value where the function first uses it.
Result<Value> Importer::operand(const doc::Op &op, size_t index) {
  StringRef name = op.inputs[index];
  Value &value = values[name];
  if (value)
    return value;
  if (name.starts_with("@") && stacks.contains(name.drop_front()))
    value = weightStack(*stacks.lookup(name.drop_front()));
  else if (name.starts_with("@"))
    value = WeightOp::create(builder, location(name.drop_front()), weightTypes.lookup(name.drop_front()),
                             name.drop_front());
  else if (name.starts_with("$"))
    value = ReadStateOp::create(builder, location(name.drop_front()), stateTypes.lookup(name.drop_front()),
                                name.drop_front());
  else
    return invalid("operand '" + name.str() + "' is not defined, expected a value defined before, correct the graph");
  return value;
}

DenseI64ArrayAttr Importer::sectionsOf(const doc::Op &op) {
  SmallVector<int64_t> sections;
  for (const doc::Dim &section : op.attr<std::vector<doc::Dim>>("sections"))
    sections.push_back(static_cast<int64_t>(section.size));
  return builder.getDenseI64ArrayAttr(sections);
}

Status Importer::importOp(const doc::Op &op) {
  SmallVector<Value, 3> operands;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    QWENRT_ASSIGN_OR_RETURN(Value value, operand(op, i));
    operands.push_back(value);
  }
  Location loc = location(op.outputs.front());
  bool isAppend = op.kind == doc::OpKind::KvAppend;
  QWENRT_ASSIGN_OR_RETURN(RankedTensorType type, isAppend ? stateType(op.types.front()) : rowsType(op.types.front()));
  RankedTensorType furtherType;
  if (op.types.size() > 1) {
    QWENRT_ASSIGN_OR_RETURN(furtherType, rowsType(op.types[1]));
  }
  auto create = [&]() -> Value {
    switch (op.kind) {
    case doc::OpKind::Embedding:
      return EmbeddingOp::create(builder, loc, type, operands[0], operands[1]);
    case doc::OpKind::PositionIds:
      return PositionIdsOp::create(builder, loc, type);
    case doc::OpKind::RmsNorm:
      return RmsNormOp::create(builder, loc, type, operands[0], operands[1], number(op, "eps"));
    case doc::OpKind::Linear:
      return LinearOp::create(builder, loc, type, operands[0], operands[1],
                              operands.size() > 2 ? operands[2] : Value());
    case doc::OpKind::Reshape:
      return ReshapeOp::create(builder, loc, type, operands[0]);
    case doc::OpKind::Rope:
      return RopeOp::create(builder, loc, type, operands[0], operands[1], number(op, "theta"));
    case doc::OpKind::KvAppend:
      return KvAppendOp::create(builder, loc, type, operands[0], operands[1]);
    case doc::OpKind::Attention:
      return AttentionOp::create(builder, loc, type, operands[0], operands[1], operands[2], number(op, "scale"),
                                 op.attr<bool>("causal") ? builder.getUnitAttr() : UnitAttr());
    case doc::OpKind::Silu:
      return SiluOp::create(builder, loc, type, operands[0]);
    case doc::OpKind::Mul:
      return MulOp::create(builder, loc, type, operands[0], operands[1]);
    case doc::OpKind::Add:
      return AddOp::create(builder, loc, type, operands[0], operands[1]);
    case doc::OpKind::Softmax:
      return SoftmaxOp::create(builder, loc, type, operands[0]);
    case doc::OpKind::TopK:
      return TopKOp::create(builder, loc, type, furtherType, operands[0]).getValues();
    case doc::OpKind::SumNormalize:
      return SumNormalizeOp::create(builder, loc, type, operands[0]);
    case doc::OpKind::ExpertLinear:
      return ExpertLinearOp::create(builder, loc, type, operands[0], operands[1], operands[2]);
    case doc::OpKind::WeightedSum:
      return WeightedSumOp::create(builder, loc, type, operands[0], operands[1]);
    case doc::OpKind::LayerNorm:
      return LayerNormOp::create(builder, loc, type, operands[0], operands[1], operands[2], number(op, "eps"));
    case doc::OpKind::Gelu:
      return GeluOp::create(builder, loc, type, operands[0],
                            op.attr<bool>("tanh") ? builder.getUnitAttr() : UnitAttr());
    case doc::OpKind::SegmentAttention:
      return SegmentAttentionOp::create(builder, loc, type, operands[0], operands[1], operands[2], operands[3],
                                        number(op, "scale"));
    case doc::OpKind::AxialRope:
      return AxialRopeOp::create(builder, loc, type, operands[0], operands[1], number(op, "theta"));
    case doc::OpKind::MRope:
      return MRopeOp::create(builder, loc, type, operands[0], operands[1], number(op, "theta"), sectionsOf(op));
    case doc::OpKind::ReplaceRows:
      return ReplaceRowsOp::create(builder, loc, type, operands[0], operands[1], operands[2]);
    case doc::OpKind::AddRows:
      return AddRowsOp::create(builder, loc, type, operands[0], operands[1], operands[2]);
    case doc::OpKind::TapConv:
      return TapConvOp::create(builder, loc, type, operands[0], operands[1], operands[2], operands[3]);
    case doc::OpKind::Sinusoid:
      return SinusoidOp::create(builder, loc, type, operands[0], number(op, "theta"));
    case doc::OpKind::SwapAxes:
      return SwapAxesOp::create(builder, loc, type, operands[0]);
    case doc::OpKind::Sigmoid:
      return SigmoidOp::create(builder, loc, type, operands[0]);
    case doc::OpKind::ScaleRows:
      return ScaleRowsOp::create(builder, loc, type, operands[0], operands[1]);
    case doc::OpKind::CodebookMean:
      return CodebookMeanOp::create(builder, loc, type, operands[0], operands[1]);
    case doc::OpKind::RowNumbers:
      return RowNumbersOp::create(builder, loc, type, operands[0]);
    case doc::OpKind::WindowAttention:
      return WindowAttentionOp::create(builder, loc, type, operands[0], operands[1], operands[2], operands[3],
                                       operands[4], operands[5], count(op, "window"), number(op, "scale"));
    case doc::OpKind::Scale:
      return ScaleOp::create(builder, loc, type, operands[0], operands[1]);
    case doc::OpKind::Clamp:
      return ClampOp::create(builder, loc, type, operands[0], number(op, "limit"));
    case doc::OpKind::SnakeBeta:
      return SnakeBetaOp::create(builder, loc, type, operands[0], operands[1], operands[2]);
    case doc::OpKind::ClearLead:
      return ClearLeadOp::create(builder, loc, type, operands[0], operands[1], count(op, "frame_rows"),
                                 count(op, "lead"));
    case doc::OpKind::CausalConv1d:
      return CausalConv1dOp::create(builder, loc, type, operands[0], operands[1], operands[2], operands[3], operands[4],
                                    Value(), Value(), Value(), Value(), count(op, "dilation"), IntegerAttr(),
                                    IntegerAttr(), FloatAttr());
    case doc::OpKind::ConvTranspose1d:
      return ConvTranspose1dOp::create(builder, loc, type, operands[0], operands[1], operands[2],
                                       operands.size() > 3 ? operands[3] : Value(),
                                       operands.size() > 4 ? operands[4] : Value(), Value(), Value(),
                                       count(op, "stride"), IntegerAttr(), IntegerAttr());
    }
    llvm_unreachable("every operation of the document is listed");
  };
  Operation *created = create().getDefiningOp();
  for (auto [name, result] : llvm::zip_equal(op.outputs, created->getResults()))
    values[name] = result;
  return expose(op, created->getResults());
}

//===------------------------------------------------------------------------------------------------------------===//
// Values to expose
//===------------------------------------------------------------------------------------------------------------===//

Status Importer::parsePatterns(ArrayRef<std::string> expose) {
  constexpr size_t maxPatterns = 1024, maxSubPatterns = 1024;
  if (expose.size() > maxPatterns)
    return Status(StatusCode::InvalidUsage, std::to_string(expose.size()) + " patterns to expose, expected at most " +
                                                std::to_string(maxPatterns) + ", use * for what differs");
  for (const std::string &text : expose) {
    llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(text, maxSubPatterns);
    if (!glob)
      return Status(StatusCode::InvalidUsage, "pattern " + qwenc::inQuotes(text) +
                                                  " to expose: " + toString(glob.takeError()) +
                                                  ", expected a glob such as 'layers.*.output', correct --expose");
    patterns.push_back({text, std::move(*glob)});
  }
  return Status::ok();
}

Status Importer::expose(const doc::Op &op, ResultRange results) {
  if (op.kind == doc::OpKind::KvAppend || op.kind == doc::OpKind::PositionIds || op.kind == doc::OpKind::RowNumbers)
    return Status::ok();
  for (auto [name, result] : llvm::zip_equal(op.outputs, results)) {
    bool matches = false;
    for (Pattern &pattern : patterns)
      if (pattern.glob.match(name))
        matches = pattern.isUsed = true;
    if (!matches)
      continue;
    auto [other, isNew] = exposed.try_emplace(name, functionName);
    if (!isNew)
      return invalid("value '" + name + "' to expose is also one of function '" + other->second +
                     "', expected one value of this name, rename one in the graph");
    ExposeOp::create(builder, result.getLoc(), result, name);
  }
  return Status::ok();
}

Status Importer::checkPatterns() const {
  for (const Pattern &pattern : patterns)
    if (!pattern.isUsed)
      return Status(StatusCode::InvalidUsage, "pattern " + qwenc::inQuotes(pattern.text) +
                                                  " to expose matches no value, expected names of values such as '" +
                                                  exampleName() + "', correct --expose");
  return Status::ok();
}

/// The last value of the first function: of a decoder its hidden rows.
std::string Importer::exampleName() const {
  return graph.functions.empty() ? "layers.0.output" : graph.functions.front().outputs.front();
}

} // namespace

Result<OwningOpRef<ModuleOp>> qwenc::importGraph(const doc::Graph &graph, MLIRContext &context,
                                                 ArrayRef<std::string> expose) {
  context.loadDialect<QwenDialect, func::FuncDialect>();
  Importer importer(graph, context);
  QWENRT_RETURN_IF_ERROR(importer.parsePatterns(expose));
  return importer.run();
}
