//===- ConvertQwenToPlan.cpp - Fused operations to kernels and dispatches ----------------------------------------===//

#include "compiler/Codegen/Kernels/Convolution.h"
#include "compiler/Codegen/Kernels/Encoders.h"
#include "compiler/Codegen/Kernels/Speech.h"
#include "compiler/Codegen/Kernels/Vision.h"
#include "compiler/Codegen/Passes.h"

#include "dialects/plan/PlanDialect.h"
#include "dialects/plan/PlanOps.h"
#include "dialects/plan/StateLayout.h"
#include "dialects/qwen/MatrixOperands.h"
#include "dialects/qwen/QwenDialect.h"
#include "dialects/qwen/QwenOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

#define DEBUG_TYPE "convert-qwen-to-plan"

using namespace mlir;

namespace qwenc {
namespace {

namespace layout = plan::layout;

constexpr StringLiteral kState = "state";
constexpr StringLiteral kMailbox = "mailbox";

Elem elemOf(Type type) {
  Type elem = cast<RankedTensorType>(type).getElementType();
  return elem.isBF16() ? Elem::BF16 : elem.isF16() ? Elem::F16 : Elem::F32;
}
int64_t dimOf(Value value, unsigned i) { return cast<RankedTensorType>(value.getType()).getDimSize(i); }
/// Elements behind the first dimension.
uint32_t widthOf(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return static_cast<uint32_t>(tensor.getNumElements() / tensor.getDimSize(0));
}
uint64_t bytesOf(Type type) { return cast<RankedTensorType>(type).getNumElements() * elemBytes(elemOf(type)); }

/// Elements of a weight that lie in one row on the device. The filters of a convolution are rows each; other tensors of
/// more than two dimensions are stacks of matrices.
int64_t storedWidth(RankedTensorType type) {
  if (type.getRank() > 3)
    return type.getNumElements() / type.getDimSize(0);
  return type.getRank() ? type.getShape().back() : 1;
}

/// How the rows of a weight lie on the device.
WeightLayout layoutOf(RankedTensorType type) {
  return {static_cast<WeightFormat>(qwen::getFormat(type)), static_cast<uint32_t>(storedWidth(type))};
}

/// The innermost name of a location: the value of the graph that the operation stems from.
std::string labelOf(Location loc) {
  std::string label;
  loc->walk([&](Location inner) {
    if (auto named = dyn_cast<NameLoc>(inner)) {
      label = named.getName().str();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return label;
}

/// Index of the layer a parameter belongs to: the number behind "layers." or "blocks.", for progress reports only.
std::optional<int64_t> layerOf(StringRef name) {
  for (StringRef word : {"layers.", "blocks."}) {
    size_t at = name.find(word);
    int64_t layer = 0;
    if (at != StringRef::npos && !name.substr(at + word.size()).split('.').first.getAsInteger(10, layer))
      return layer;
  }
  return std::nullopt;
}

/// What a dispatch costs, for estimates: bytes of weights, bytes for each cached position, arithmetic of all rows.
struct Work {
  int64_t readBytes = 0, bytesPerPosition = 0, flops = 0;
};

class Converter {
public:
  Converter(ModuleOp module, const TargetProfile &target)
      : module(module), target(target), symbols(module), b(module.getContext()) {
    declarations.setInsertionPointToStart(module.getBody());
  }

  LogicalResult run() {
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

private:
  //===----------------------------------------------------------------------------------------------------------===//
  // Module level
  //===----------------------------------------------------------------------------------------------------------===//

  LogicalResult declareStorage() {
    for (auto parameter : module.getOps<qwen::ParameterOp>())
      parameters[parameter.getSymName()] = parameter;
    for (auto stateOp : module.getOps<qwen::StateOp>()) {
      auto type = cast<RankedTensorType>(stateOp.getType());
      if (!type.hasStaticShape())
        return stateOp.emitError("state has no static shape; run qwen-specialize-entries first");
      state.maxContext = static_cast<uint32_t>(type.getDimSize(0));
      states[stateOp.getSymName()] = type;
    }
    if (auto context = module->getAttrOfType<IntegerAttr>(qwen::attrs::maxContext))
      state.maxContext = static_cast<uint32_t>(context.getInt());
    if (state.maxContext == 0)
      return module.emitError("the module has neither states nor qwen.max_context; run qwen-specialize-entries first");
    Location loc = module.getLoc();
    // The storages of states keep their symbol; the qwen.state of that name is erased at the end.
    for (int64_t number = 0; number < sequenceCount(); ++number) {
      storage(loc, ofSequence(kState, number), plan::Purpose::State, state.bytes());
      storage(loc, ofSequence(kMailbox, number), plan::Purpose::Mailbox, layout::mailboxBytes());
    }
    for (auto &[name, type] : states)
      storage(loc, stateStorage(name), plan::Purpose::Cache, bytesOf(type));
    for (int64_t number = 0; number < sequenceCount(); ++number)
      declareCells(loc, number);
    return success();
  }

  static int64_t sequenceOf(func::FuncOp entry) {
    auto number = entry->getAttrOfType<IntegerAttr>(qwen::attrs::sequence);
    return number ? number.getInt() : 0;
  }
  int64_t sequenceCount() {
    int64_t count = 1;
    for (auto entry : module.getOps<func::FuncOp>())
      count = std::max(count, sequenceOf(entry) + 1);
    return count;
  }
  /// All histories have one layout, so that kernels serve every one.
  static std::string ofSequence(StringRef name, int64_t number) {
    return number ? (name + "." + Twine(number)).str() : name.str();
  }

  void declareCells(Location loc, int64_t number) {
    const std::string in = ofSequence(kState, number);
    auto cell = [&](StringRef kind, StringRef storage, int64_t offset, int64_t count = 1) {
      plan::CellOp::create(declarations, loc, b.getStringAttr(kind), FlatSymbolRefAttr::get(b.getContext(), storage),
                           b.getI64IntegerAttr(offset), b.getI64IntegerAttr(count), b.getI64IntegerAttr(number));
    };
    auto hasBinding = [&](StringRef binding) { return this->hasBinding(binding, number); };
    cell("position", in, layout::kPosition);
    cell("length", in, layout::kLength);
    cell("rows", in, layout::kRows);
    cell("head_row", in, layout::kHeadRow);
    cell("head_rows", in, layout::kHeadRows);
    cell("step", in, layout::kStep);
    cell("seed", in, layout::kSeed);
    cell("temperature", in, layout::kTemperature);
    cell("top_k", in, layout::kTopK);
    cell("top_p", in, layout::kTopP);
    cell("repetition_penalty", in, layout::kRepetitionPenalty);
    cell("tokens", in, layout::kTokens, layout::tokenCount(state.maxContext));
    if (hasBinding("tensor"))
      cell("extents", in, layout::extents(state.maxContext), layout::kExtentCount);
    if (hasBinding("positions")) {
      cell("position_delta", in, layout::kPositionDelta);
      cell("rotary_positions", in, layout::rotaryPositions(state.maxContext), 3 * layout::tokenCount(state.maxContext));
    }
    if (hasBinding("media_rows"))
      cell("media_rows", in, layout::mediaRows(state.maxContext), layout::tokenCount(state.maxContext));
    if (hasBinding("buffer"))
      cell("text_rows", in, layout::kTextRows);
    cell("sampled", ofSequence(kMailbox, number), layout::kSampled, layout::kSampledCount);
  }

  /// Whether an entry of the sequence has an argument of this binding.
  bool hasBinding(StringRef binding, int64_t number) {
    for (auto entry : module.getOps<func::FuncOp>())
      for (unsigned i = 0; sequenceOf(entry) == number && i < entry.getNumArguments(); ++i)
        if (auto found = entry.getArgAttrOfType<StringAttr>(i, qwen::attrs::binding);
            found && found.getValue() == binding)
          return true;
    return false;
  }

  static std::string stateStorage(StringRef name) { return "cache." + name.str(); }

  void storage(Location loc, StringRef name, plan::Purpose purpose, int64_t bytes) {
    if (!storages.insert(name).second)
      return;
    plan::StorageOp::create(declarations, loc, b.getStringAttr(name), plan::PurposeAttr::get(b.getContext(), purpose),
                            b.getI64IntegerAttr(bytes), FlatSymbolRefAttr(), IntegerAttr());
  }

  FailureOr<FlatSymbolRefAttr> weight(Operation *op, StringRef name) {
    auto found = parameters.find(name);
    if (found == parameters.end())
      return op->emitError("no qwen.parameter of this name"), failure();
    std::string symbol = "weight." + name.str();
    if (weights.insert(symbol).second) {
      auto type = cast<RankedTensorType>(found->second.getType());
      int64_t width = storedWidth(type);
      int64_t rows = type.getNumElements() / width;
      std::optional<int64_t> layer = layerOf(name);
      WeightLayout layout = layoutOf(type);
      bool isPacked = layout.format != WeightFormat::BF16;
      plan::WeightOp::create(declarations, found->second.getLoc(), b.getStringAttr(symbol),
                             b.getI64IntegerAttr(found->second.getFile()),
                             b.getI64IntegerAttr(found->second.getOffset()), b.getI64IntegerAttr(rows),
                             b.getI64IntegerAttr(width * 2), b.getI64IntegerAttr(layout.pitchBytes()),
                             isPacked ? b.getStringAttr(weightFormatName(layout.format)) : StringAttr(),
                             layer ? b.getI64IntegerAttr(*layer) : IntegerAttr(), FlatSymbolRefAttr(), IntegerAttr());
    }
    return FlatSymbolRefAttr::get(b.getContext(), symbol);
  }

  LogicalResult kernel(Location loc, const KernelPlan &plan) {
    if (!kernels.insert(plan.name).second)
      return success();
    KernelBuilder k(b.getContext(), UnknownLoc::get(b.getContext()), plan.name, plan.workgroup, target);
    if (failed(plan.emit(k)))
      return emitError(loc) << "kernel " << plan.name << " could not be written";
    k.finish(declarations);
    return success();
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Entries
  //===----------------------------------------------------------------------------------------------------------===//

  LogicalResult convertEntry(func::FuncOp func) {
    auto role = func->getAttrOfType<StringAttr>("qwen.role");
    auto rows = func->getAttrOfType<IntegerAttr>("qwen.rows");
    if (!role || !rows)
      return func.emitError("function is no entry; run qwen-specialize-entries first");
    ranges.clear();
    outputStorage.clear();
    extents.clear();
    sequence = sequenceOf(func);
    isComponent = role.getValue() == "other" && !sequence;
    OpBuilder atEnd = OpBuilder::atBlockEnd(module.getBody());
    // The function keeps its name until it is erased, so the entry takes it over afterwards.
    std::string name = func.getSymName().str();
    func.setSymName("qwen." + name);
    auto entry =
        plan::EntryOp::create(atEnd, func.getLoc(), b.getStringAttr(name), role, rows, b.getI64IntegerAttr(sequence));
    b.setInsertionPointToStart(b.createBlock(&entry.getBody()));
    if (failed(declareArguments(func)) || failed(declareResults(func)) || failed(declareExposed(func)))
      return failure();
    if (sequence)
      declareSettings(func);
    if (auto codes = func->getAttrOfType<IntegerAttr>(qwen::attrs::codes))
      declareTensor(func.getLoc(), "output", "codes", ofSequence(kState, sequence), layout::kTokens + 4, "i32",
                    RankedTensorType::get({codes.getInt()}, b.getI32Type()), "");
    for (Operation &op : func.getBody().front())
      if (failed(convert(&op)))
        return failure();
    return success();
  }

  /// The cell that counts a symbol's rows while an entry runs.
  FailureOr<uint32_t> symbolCell(Location loc, StringRef symbol) {
    if (isComponent) {
      auto extent = extents.find(symbol);
      if (extent == extents.end())
        return emitError(loc) << "no input counts the rows of symbol " << symbol << ", expected one", failure();
      return static_cast<uint32_t>(layout::extents(state.maxContext) + 4 * extent->second);
    }
    if (symbol == "S")
      return static_cast<uint32_t>(layout::kRows);
    if (symbol == "R")
      return static_cast<uint32_t>(layout::kHeadRows);
    return emitError(loc) << "no cell counts the rows of symbol " << symbol << ", expected S or R", failure();
  }

  FailureOr<RowBound> rowsOf(Location loc, Type type) {
    auto tensor = cast<RankedTensorType>(type);
    RowBound rows{static_cast<uint32_t>(tensor.getDimSize(0)), std::nullopt};
    if (auto encoding = dyn_cast_or_null<qwen::RowsAttr>(tensor.getEncoding())) {
      FailureOr<uint32_t> cell = symbolCell(loc, encoding.getSymbol().getValue());
      if (failed(cell))
        return failure();
      rows.cellOffset = *cell;
      rows.factor = static_cast<uint32_t>(encoding.getFactor());
    }
    return rows;
  }

  void declareTensor(Location loc, StringRef direction, StringRef name, StringRef in, int64_t offset, StringRef dtype,
                     RankedTensorType type, StringRef symbol, bool optional = false) {
    SmallVector<StringRef> names(type.getRank(), "");
    names[0] = symbol;
    DenseI64ArrayAttr factors;
    if (auto rows = qwen::getRows(type); rows && rows.getFactor() != 1) {
      SmallVector<int64_t> list(type.getRank(), 1);
      list[0] = rows.getFactor();
      factors = b.getDenseI64ArrayAttr(list);
    }
    plan::TensorOp::create(b, loc, b.getStringAttr(direction), b.getStringAttr(name),
                           FlatSymbolRefAttr::get(b.getContext(), in), b.getI64IntegerAttr(offset),
                           b.getStringAttr(dtype), b.getDenseI64ArrayAttr(type.getShape()), b.getStrArrayAttr(names),
                           factors, optional ? b.getUnitAttr() : UnitAttr());
  }
  void declareSymbol(Location loc, StringRef name, StringRef cell, int64_t max, IntegerAttr index = {}) {
    plan::SymbolOp::create(b, loc, b.getStringAttr(name), b.getStringAttr(cell), index, b.getI64IntegerAttr(max));
  }
  static StringRef dtypeOf(RankedTensorType type) { return type.getElementType().isInteger(32) ? "i32" : "f32"; }
  static StringRef symbolOf(Type type) {
    auto encoding = dyn_cast_or_null<qwen::RowsAttr>(cast<RankedTensorType>(type).getEncoding());
    return encoding ? encoding.getSymbol().getValue() : StringRef();
  }

  LogicalResult declareArguments(func::FuncOp func) {
    for (BlockArgument argument : func.getArguments()) {
      auto binding = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "qwen.binding");
      auto type = cast<RankedTensorType>(argument.getType());
      Location loc = func.getLoc();
      if (binding && binding.getValue() == "tokens") {
        StringRef symbol = symbolOf(type);
        declareTensor(loc, "input", "input_ids", ofSequence(kState, sequence), layout::kTokens, "i32", type, symbol);
        // Alone, an entry takes as many tokens as the history holds.
        if (!symbol.empty())
          declareSymbol(loc, symbol, "length", type.getDimSize(0));
        continue;
      }
      if (binding && isFurtherInput(binding.getValue())) {
        auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), qwen::attrs::name);
        if (failed(declareFurtherInput(func, argument, binding.getValue(), name ? name.getValue() : "")))
          return failure();
        continue;
      }
      if (binding && binding.getValue() == "buffer") {
        declareBuffer(func, argument);
        continue;
      }
      if (!binding || binding.getValue() != "hidden")
        return func.emitError("argument ") << argument.getArgNumber() << " has no known qwen.binding";
      std::string in = bufferName("hidden");
      storage(loc, in, plan::Purpose::Output, bytesOf(type));
      ranges[argument] = ref(loc, in, bytesOf(type));
      bool isLogits = func->getAttrOfType<StringAttr>("qwen.role").getValue() == "logits";
      int64_t rows = isLogits ? func->getAttrOfType<IntegerAttr>("qwen.rows").getInt() : type.getDimSize(0);
      auto visible = RankedTensorType::get({rows, type.getDimSize(1)}, type.getElementType());
      StringRef symbol = isLogits ? "R" : "S";
      // Beside text, entries run one after another: what stands there stays.
      declareTensor(loc, "input", "hidden", in, 0, "f32", visible, symbol, /*optional=*/sequence != 0);
      declareSymbol(loc, symbol, isLogits ? "head_rows" : "rows", rows);
    }
    return success();
  }

  /// Cells that callers of a single entry may set, where the runtime's search for text does not.
  void declareSettings(func::FuncOp func) {
    auto declare = [&](StringRef name, int64_t offset, Type element) {
      declareTensor(func.getLoc(), "input", name, ofSequence(kState, sequence), offset,
                    element.isInteger(32) ? "u32" : "f32", RankedTensorType::get({1}, element), "", /*optional=*/true);
    };
    if (!func.getBody().getOps<qwen::NextTokenOp>().empty()) {
      declare("seed", layout::kSeed, b.getI32Type());
      declare("temperature", layout::kTemperature, b.getF32Type());
      declare("top_k", layout::kTopK, b.getI32Type());
      declare("top_p", layout::kTopP, b.getF32Type());
      declare("repetition_penalty", layout::kRepetitionPenalty, b.getF32Type());
    }
    if (hasBinding("positions", sequence))
      declare("position_delta", layout::kPositionDelta, b.getF32Type());
  }

  /// The storage that entries of a sequence share for \p name.
  std::string bufferName(StringRef name) {
    static constexpr const char *prefixes[] = {"", "talker.", "predictor."};
    return (sequence < 3 ? prefixes[sequence] : ofSequence("sequence.", sequence) + ".") + name.str();
  }

  /// Rows that entries of speech share; callers may give some of them.
  void declareBuffer(func::FuncOp func, BlockArgument argument) {
    auto type = cast<RankedTensorType>(argument.getType());
    Location loc = func.getLoc();
    auto attribute = [&](StringRef key) {
      auto found = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(), key);
      return found ? found.getValue() : StringRef();
    };
    StringRef name = attribute(qwen::attrs::name), symbol = attribute(qwen::attrs::symbol);
    std::string in = "talker." + name.str();
    storage(loc, in, plan::Purpose::Output, bytesOf(type));
    ranges[argument] = ref(loc, in, bytesOf(type));
    int64_t rows = type.getDimSize(0);
    if (symbol == "N")
      declareSymbol(loc, symbol, "text_rows", rows);
    else if (!symbol.empty()) // counted by the tokens of the entry
      rows = func->getAttrOfType<IntegerAttr>("qwen.rows").getInt();
    auto visible = RankedTensorType::get({rows, type.getDimSize(1)}, type.getElementType());
    declareTensor(loc, "input", name, in, 0, "f32", visible, symbol, /*optional=*/true);
  }

  static bool isFurtherInput(StringRef binding) {
    return binding == "positions" || binding == "media_rows" || binding == "media" || binding == "tensor";
  }

  LogicalResult declareFurtherInput(func::FuncOp func, BlockArgument argument, StringRef binding, StringRef name) {
    auto type = cast<RankedTensorType>(argument.getType());
    Location loc = func.getLoc();
    StringRef symbol = symbolOf(type);
    if (binding == "positions" || binding == "media_rows") {
      if (symbol.empty()) // a sampled token's is computed
        return success();
      int64_t offset =
          binding == "positions" ? layout::rotaryPositions(state.maxContext) : layout::mediaRows(state.maxContext);
      declareTensor(loc, "input", binding, ofSequence(kState, sequence), offset, dtypeOf(type), type, symbol,
                    /*optional=*/true);
      return success();
    }
    std::string in =
        binding == "media" ? name.str() : "input." + func.getSymName().drop_front(5).str() + "." + name.str();
    storage(loc, in, plan::Purpose::Output, bytesOf(type));
    ranges[argument] = ref(loc, in, bytesOf(type));
    if (!symbol.empty() && !extents.contains(symbol)) {
      int64_t index = static_cast<int64_t>(extents.size());
      if (index >= layout::kExtentCount)
        return func.emitError("inputs have more than ") << layout::kExtentCount << " symbols, expected fewer";
      extents[symbol] = index;
      int64_t max = type.getDimSize(0) / qwen::getRows(type).getFactor();
      declareSymbol(loc, symbol, "extents", max, b.getI64IntegerAttr(index));
    }
    declareTensor(loc, "input", name, in, 0, dtypeOf(type), type, symbol, /*optional=*/binding == "media");
    return success();
  }

  /// One storage for each name and size: the row of logits of a step, the rows of the logits entry. Functions that are
  /// run with tensors have their own.
  std::string resultStorage(func::FuncOp func, StringRef name, RankedTensorType type) {
    if (isComponent)
      return "output." + func.getSymName().drop_front(5).str() + "." + name.str();
    std::string in = bufferName(name);
    return name == "logits" ? in + "." + std::to_string(type.getDimSize(0)) : in;
  }

  LogicalResult declareResults(func::FuncOp func) {
    auto returned = cast<func::ReturnOp>(func.getBody().front().getTerminator());
    for (auto [i, value] : llvm::enumerate(returned.getOperands())) {
      auto name = func.getResultAttrOfType<StringAttr>(i, "qwen.name");
      if (!name)
        return func.emitError("result ") << i << " has no qwen.name";
      auto type = cast<RankedTensorType>(value.getType());
      Value source = sourceOf(value);
      if (isa<BlockArgument>(source))
        return func.emitError("result '")
               << name.getValue() << "' is an input, expected the result of a kernel; return a computed value";
      // Another shape of a result lies where it does.
      std::string &in = outputStorage[source];
      if (in.empty()) {
        in = resultStorage(func, name, type);
        storage(func.getLoc(), in, plan::Purpose::Output, bytesOf(type));
      }
      declareTensor(func.getLoc(), "output", name, in, 0, dtypeOf(type), type, symbolOf(type));
    }
    return success();
  }

  /// Exposed values are outputs as results are; one that is a result already lies in that one's storage.
  LogicalResult declareExposed(func::FuncOp func) {
    llvm::StringMap<Value> names;
    for (auto [i, value] : llvm::enumerate(func.getBody().front().getTerminator()->getOperands()))
      names[func.getResultAttrOfType<StringAttr>(i, "qwen.name").getValue()] = value;
    for (auto expose : func.getBody().getOps<qwen::ExposeOp>()) {
      Value value = expose.getValue(), source = sourceOf(value);
      auto type = cast<RankedTensorType>(value.getType());
      if (auto [at, isNew] = names.try_emplace(expose.getName(), value); !isNew) {
        if (at->second == value)
          continue;
        return expose.emitError("exposed value has the name '")
               << expose.getName() << "' of another output, expected different names; rename it in the graph";
      }
      if (isa_and_present<qwen::PositionIdsOp>(source.getDefiningOp()) || isa<BlockArgument>(source))
        return expose.emitError("exposed value '")
               << expose.getName() << "' is made by no kernel, expected the result of one; do not expose it";
      std::string &in = outputStorage[source];
      if (in.empty()) {
        in = "expose." + expose.getName().str() + "." + std::to_string(type.getDimSize(0));
        storage(expose.getLoc(), in, plan::Purpose::Output, bytesOf(type));
      }
      declareTensor(expose.getLoc(), "output", expose.getName(), in, 0, dtypeOf(type), type, symbolOf(type));
    }
    return success();
  }

  /// The value behind reshapes.
  static Value sourceOf(Value value) {
    while (auto reshape = value.getDefiningOp<qwen::ReshapeOp>())
      value = reshape.getInput();
    return value;
  }

  Value ref(Location loc, StringRef storage, int64_t bytes) {
    return plan::RefOp::create(b, loc, plan::RangeType::get(b.getContext(), bytes),
                               FlatSymbolRefAttr::get(b.getContext(), storage), b.getI64IntegerAttr(0));
  }
  Value stateRef(Location loc) { return stateRef(loc, sequence); }
  Value stateRef(Location loc, int64_t number) { return ref(loc, ofSequence(kState, number), state.bytes()); }
  Value mailboxRef(Location loc) { return ref(loc, ofSequence(kMailbox, sequence), layout::mailboxBytes()); }
  Value alloc(Location loc, StringRef label, int64_t bytes) {
    return plan::AllocOp::create(b, loc, plan::RangeType::get(b.getContext(), bytes), b.getStringAttr(label),
                                 IntegerAttr());
  }

  /// Where an operation writes its result: the storage of an output, or the arena.
  Value destination(Value result) {
    Location loc = result.getLoc();
    auto found = outputStorage.find(result);
    Value range = found == outputStorage.end() ? alloc(loc, labelOf(loc), bytesOf(result.getType()))
                                               : ref(loc, found->second, bytesOf(result.getType()));
    ranges[result] = range;
    return range;
  }

  Value range(Value value) { return ranges.lookup(sourceOf(value)); }

  FailureOr<Value> weightRange(Location loc, ValueRange values) {
    SmallVector<Attribute> names;
    int64_t bytes = 0;
    for (Value value : llvm::map_range(values, sourceOf)) {
      SmallVector<StringRef> members;
      if (auto op = value.getDefiningOp<qwen::WeightOp>())
        members.push_back(op.getParameter());
      else if (auto stack = value.getDefiningOp<qwen::WeightStackOp>())
        for (auto member : stack.getParameters().getAsRange<FlatSymbolRefAttr>())
          members.push_back(member.getValue());
      else
        return emitError(loc) << "operand is no qwen.weight", failure();
      for (StringRef member : members) {
        FailureOr<FlatSymbolRefAttr> name = weight(value.getDefiningOp(), member);
        if (failed(name))
          return failure();
        names.push_back(*name);
      }
      auto type = cast<RankedTensorType>(value.getType());
      bytes += layoutOf(type).bytes(type.getNumElements() / storedWidth(type));
    }
    return Value(plan::WeightsOp::create(b, loc, plan::RangeType::get(b.getContext(), bytes), b.getArrayAttr(names)));
  }

  LogicalResult dispatch(Location loc, const KernelPlan &plan, ArrayRef<Value> operands, Work work = {}) {
    if (failed(kernel(loc, plan)))
      return failure();
    RowsOfDispatch rows = rowsOfDispatch(plan);
    plan::DispatchOp::create(b, loc, FlatSymbolRefAttr::get(b.getContext(), plan.name),
                             b.getDenseI64ArrayAttr(plan.groups), operands, b.getStringAttr(labelOf(loc)),
                             b.getI64IntegerAttr(work.readBytes), optional(work.bytesPerPosition), optional(work.flops),
                             IntegerAttr(), rows.symbol, rows.factor, rows.each, rows.direction);
    return success();
  }

  struct RowsOfDispatch {
    StringAttr symbol;
    IntegerAttr factor, each, direction;
  };
  /// By which symbol the groups of a dispatch are as many as there are rows. Only the extents of entries that are run
  /// with tensors are known before the run.
  RowsOfDispatch rowsOfDispatch(const KernelPlan &plan) {
    if (!isComponent || !plan.rowGroups)
      return {};
    const RowBound &rows = plan.rowGroups->rows;
    for (const auto &[symbol, element] : extents)
      if (rows.cellOffset == layout::extents(state.maxContext) + 4 * element)
        return {b.getStringAttr(symbol), b.getI64IntegerAttr(rows.factor), b.getI64IntegerAttr(plan.rowGroups->each),
                b.getI64IntegerAttr(plan.rowGroups->direction)};
    return {};
  }
  IntegerAttr optional(int64_t number) { return number ? b.getI64IntegerAttr(number) : IntegerAttr(); }

  //===----------------------------------------------------------------------------------------------------------===//
  // Operations
  //===----------------------------------------------------------------------------------------------------------===//

  LogicalResult convert(Operation *op) {
    return TypeSwitch<Operation *, LogicalResult>(op)
        .Case<qwen::WeightOp, qwen::WeightStackOp, qwen::PositionIdsOp, qwen::ReshapeOp, qwen::ExposeOp,
              func::ReturnOp>([](auto) { return success(); })
        .Case<qwen::ReadStateOp>([&](auto op) { return convertReadState(op); })
        .Case<qwen::TapPatchesOp>([&](auto op) { return checkPatches(op); })
        .Case<qwen::EmbeddingOp, qwen::RmsNormOp, qwen::FusedLinearOp, qwen::ElementwiseOp, qwen::RopeAppendOp,
              qwen::AttentionOp, qwen::DecodeAttentionOp, qwen::CombineSplitsOp, qwen::RouteOp, qwen::GroupExpertsOp,
              qwen::FusedExpertsOp, qwen::WeightedSumOp, qwen::LayerNormOp, qwen::ReplaceRowsOp, qwen::AddRowsOp,
              qwen::SinusoidOp, qwen::SwapAxesOp, qwen::SegmentAttentionOp, qwen::AxialRopeOp, qwen::SliceOp,
              qwen::GatherSumOp, qwen::BeginChunkOp, qwen::AdvanceOp, qwen::LastRowOp, qwen::HeadRowsOp,
              qwen::NextTokenOp, qwen::InputRowsOp, qwen::BeginFrameOp, qwen::CodeRowOp, qwen::FrameRowOp,
              qwen::CodebookMeanOp, qwen::RopeWindowAttentionOp, qwen::SnakeBetaOp, qwen::ClearLeadOp,
              qwen::CausalConv1dOp, qwen::ConvTranspose1dOp>([&](auto op) { return lower(op); })
        .Default([](Operation *op) { return op->emitError("has no kernel; run the fusion passes first"); });
  }

  LogicalResult convertReadState(qwen::ReadStateOp op) {
    std::string name = stateStorage(op.getState());
    ranges[op.getValue()] = ref(op.getLoc(), name, bytesOf(op.getValue().getType()));
    return success();
  }

  LogicalResult lower(qwen::EmbeddingOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    FailureOr<Value> table = weightRange(op.getLoc(), op.getTable());
    if (failed(rows) || failed(table))
      return failure();
    uint32_t width = widthOf(op.getResult().getType());
    if (isComponent && isa<BlockArgument>(op.getIds()))
      return lowerGather(op, *rows, *table);
    KernelPlan plan = embeddingKernel(*rows, static_cast<uint32_t>(dimOf(op.getTable(), 0)), width, state, target);
    return dispatch(op.getLoc(), plan, {stateRef(op.getLoc()), *table, destination(op.getResult())},
                    {.readBytes = int64_t(rows->max * weightBytes(1, width))});
  }

  LogicalResult lower(qwen::RmsNormOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    FailureOr<Value> weight = weightRange(op.getLoc(), op.getWeight());
    if (failed(rows) || failed(weight))
      return failure();
    auto type = cast<RankedTensorType>(op.getResult().getType());
    if (type.getRank() != 2)
      return op.emitError("norm over heads found no fusion; run qwen-fuse-rope-append first");
    KernelPlan plan = rmsNormKernel(*rows, widthOf(type), op.getEps().convertToDouble(), elemOf(type), state, target);
    SmallVector<Value> operands{range(op.getInput()), *weight};
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    return dispatch(op.getLoc(), plan, operands, {.readBytes = int64_t(weightBytes(1, widthOf(type)))});
  }

  LogicalResult lower(qwen::FusedLinearOp op) {
    Location loc = op.getLoc();
    FailureOr<Linear> linear = describe(op);
    if (failed(linear))
      return failure();
    SmallVector<Value> operands{range(op.getInput())};
    if (auto patches = op.getInput().getDefiningOp<qwen::TapPatchesOp>())
      operands = {range(patches.getInput()), range(patches.getTaps())};
    if (op.getNormWeight()) {
      FailureOr<Value> norm = weightRange(loc, op.getNormWeight());
      if (failed(norm))
        return failure();
      operands.push_back(*norm);
    }
    if (linear->needsState())
      operands.push_back(stateRef(loc));
    bool stacked = op.getJoin() == qwen::Join::Concat;
    SmallVector<ValueRange> groups;
    for (unsigned i = 0; i < linear->accumulators; ++i)
      groups.push_back(stacked ? ValueRange(op.getWeights()) : ValueRange(op.getWeights().slice(i, 1)));
    for (ValueRange group : groups) {
      // A weight whose axes were swapped lies in the arena.
      FailureOr<Value> weight = group.size() == 1 && range(group[0]) ? range(group[0]) : weightRange(loc, group);
      if (failed(weight))
        return failure();
      operands.push_back(*weight);
    }
    for (Value extra : op.getExtras()) {
      if (isa_and_present<qwen::WeightOp, qwen::WeightStackOp>(extra.getDefiningOp())) {
        FailureOr<Value> bias = weightRange(loc, extra);
        if (failed(bias))
          return failure();
        operands.push_back(*bias);
      } else {
        operands.push_back(range(extra));
      }
    }
    operands.push_back(destination(op.getResult()));
    return dispatch(loc, linearKernel(*linear), operands, linearWork(*linear));
  }

  static Work linearWork(const Linear &linear) {
    int64_t choices = linear.experts ? int64_t(linear.rows.max) * linear.experts->choices : 1;
    int64_t read = linear.experts ? std::min<int64_t>(choices, linear.experts->count) : 1;
    int64_t products = int64_t(linear.accumulators) * linear.n * linear.k;
    return {.readBytes = int64_t(read * linear.accumulators * linear.weights().bytes(linear.n)),
            .flops = 2 * products * (linear.experts ? choices : linear.rows.max)};
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Mixtures of experts
  //===----------------------------------------------------------------------------------------------------------===//

  /// The kernels count experts in workgroup memory and write out a round for each choice of a row.
  static constexpr int64_t maxExperts = 2048, maxChoices = 64;

  static LogicalResult checkMixture(Operation *op, int64_t experts, int64_t choices) {
    if (experts > maxExperts)
      return op->emitError("chooses among ") << experts << " experts, expected at most " << maxExperts;
    if (choices > maxChoices)
      return op->emitError("takes ") << choices << " experts for a row, expected at most " << maxChoices;
    return success();
  }

  LogicalResult lower(qwen::RouteOp op) {
    if (failed(checkMixture(op, widthOf(op.getLogits().getType()), widthOf(op.getWeights().getType()))))
      return failure();
    if (op.getJoined())
      return success();
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getLogits().getType());
    if (failed(rows))
      return failure();
    SmallVector<Value> operands{range(op.getLogits())};
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.append({destination(op.getWeights()), destination(op.getExperts())});
    KernelPlan plan = routeKernel(*rows, widthOf(op.getLogits().getType()), widthOf(op.getWeights().getType()),
                                  op.getNormalize(), state, target);
    return dispatch(op.getLoc(), plan, operands);
  }

  LogicalResult lower(qwen::GroupExpertsOp op) {
    if (failed(checkMixture(op, op.getCount(), widthOf(op.getExperts().getType()))))
      return failure();
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getExperts().getType());
    if (failed(rows))
      return failure();
    SmallVector<Value> operands{range(op.getExperts())};
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.append({destination(op.getOrder()), destination(op.getTiles())});
    KernelPlan plan = groupExpertsKernel(*rows, op.getCount(), widthOf(op.getExperts().getType()), op.getTile(),
                                         dimOf(op.getTiles(), 0), state, target);
    return dispatch(op.getLoc(), plan, operands);
  }

  LogicalResult lower(qwen::WeightedSumOp op) {
    if (failed(checkMixture(op, 0, widthOf(op.getWeights().getType()))))
      return failure();
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    SmallVector<Value> operands{range(op.getInput()), range(op.getWeights())};
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    KernelPlan plan =
        weightedSumKernel(*rows, widthOf(op.getWeights().getType()), widthOf(op.getResult().getType()), state, target);
    return dispatch(op.getLoc(), plan, operands);
  }

  /// The choice that this product makes.
  static qwen::RouteOp joinedRoute(qwen::FusedExpertsOp op) {
    auto route = op.getExperts().getDefiningOp<qwen::RouteOp>();
    return route && route.getJoined() && route.getChoosingProduct() == op ? route : qwen::RouteOp();
  }

  FailureOr<Linear> describe(qwen::FusedExpertsOp op) {
    if (failed(checkMixture(op, dimOf(op.getWeights().front(), 0), widthOf(op.getExperts().getType()))))
      return failure();
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getExperts().getType());
    if (failed(rows))
      return failure();
    Linear linear;
    linear.rows = *rows;
    linear.n = static_cast<uint32_t>(dimOf(op.getWeights().front(), 1));
    linear.k = static_cast<uint32_t>(dimOf(op.getWeights().front(), 2));
    linear.format = layoutOf(cast<RankedTensorType>(op.getWeights().front().getType())).format;
    linear.accumulators = op.getWeights().size();
    linear.input = elemOf(op.getInput().getType());
    linear.output = elemOf(op.getResult().getType());
    linear.scaled = isScaledProduct(op);
    linear.eps = op.getEps() ? op.getEps()->convertToDouble() : 0;
    linear.prologue = op.getNormWeight() ? LinearPrologue::RmsNorm : LinearPrologue::None;
    linear.state = state;
    linear.epilogue = &op.getEpilogue();
    linear.extras.assign(op.getExtras().size(), {});
    Experts &experts = linear.experts.emplace();
    experts.count = static_cast<uint32_t>(dimOf(op.getWeights().front(), 0));
    experts.choices = widthOf(op.getExperts().getType());
    experts.ownInput = cast<RankedTensorType>(op.getInput().getType()).getRank() == 3;
    experts.sum = op.getRouteWeights() != nullptr;
    if (qwen::RouteOp route = joinedRoute(op))
      linear.route = Route{experts.choices, route.getNormalize()};
    if (op.getTiles()) {
      auto groups = op.getTiles().getDefiningOp<qwen::GroupExpertsOp>();
      if (!groups)
        return op.emitError("takes groups from elsewhere, expected them from qwen.group_experts"), failure();
      experts.tiles = dimOf(op.getTiles(), 0);
      experts.tile = groups.getTile();
    }
    bool oneRow = rows->max == 1 && !rows->cellOffset;
    if (oneRow == (experts.tiles > 0))
      return op.emitError("has ") << (oneRow ? "grouped choices of one row" : "many rows without grouped choices")
                                  << "; run qwen-group-experts on what was not grouped before",
             failure();
    return linear;
  }

  LogicalResult lower(qwen::FusedExpertsOp op) {
    Location loc = op.getLoc();
    FailureOr<Linear> linear = describe(op);
    if (failed(linear))
      return failure();
    SmallVector<Value> operands{range(op.getInput())};
    auto addWeight = [&](Value value) -> LogicalResult {
      FailureOr<Value> weight = weightRange(loc, value);
      if (succeeded(weight))
        operands.push_back(*weight);
      return weight;
    };
    if (op.getNormWeight() && failed(addWeight(op.getNormWeight())))
      return failure();
    if (linear->needsState())
      operands.push_back(stateRef(loc));
    qwen::RouteOp route = joinedRoute(op);
    operands.push_back(range(route ? route.getLogits() : op.getExperts()));
    if (op.getRouteWeights())
      operands.push_back(range(op.getRouteWeights()));
    if (op.getTiles())
      operands.append({range(op.getOrder()), range(op.getTiles())});
    for (Value weight : op.getWeights())
      if (failed(addWeight(weight)))
        return failure();
    for (Value extra : op.getExtras())
      operands.push_back(range(extra));
    operands.push_back(destination(op.getResult()));
    if (route)
      operands.append({destination(route.getWeights()), destination(route.getExperts())});
    return dispatch(loc, linearKernel(*linear), operands, linearWork(*linear));
  }

  KernelPlan linearKernel(const Linear &linear) {
    if (linear.rows.max == 1 && !linear.taps)
      return vectorLinearKernel(linear, target);
    FailureOr<KernelPlan> onMatrices = matrixLinearKernel(linear, target);
    return succeeded(onMatrices) ? *onMatrices : tileLinearKernel(linear, target);
  }

  FailureOr<Linear> describe(qwen::FusedLinearOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    Linear linear;
    linear.rows = *rows;
    linear.n = widthOf(op.getResult().getType());
    linear.k = static_cast<uint32_t>(dimOf(op.getWeights()[0], 1));
    linear.format = layoutOf(cast<RankedTensorType>(op.getWeights()[0].getType())).format;
    linear.accumulators = op.getJoin() == qwen::Join::Parallel ? op.getWeights().size() : 1;
    linear.input = elemOf(op.getInput().getType());
    linear.output = elemOf(op.getResult().getType());
    linear.scaled = isScaledProduct(op);
    linear.eps = op.getEps() ? op.getEps()->convertToDouble() : 0;
    linear.state = state;
    linear.epilogue = &op.getEpilogue();
    switch (op.getPrologue()) {
    case qwen::Prologue::None:
      break;
    case qwen::Prologue::RmsNorm:
      linear.prologue = LinearPrologue::RmsNorm;
      break;
    case qwen::Prologue::CombineSplits:
      linear.prologue = LinearPrologue::CombineSplits;
      linear.combineHeads = static_cast<uint32_t>(dimOf(op.getInput(), 0));
      linear.combineSplits = static_cast<uint32_t>(dimOf(op.getInput(), 1));
      break;
    }
    if (linear.prologue != LinearPrologue::None && linear.rows.max != 1)
      return op.emitError("prologues exist only for one row, found ") << linear.rows.max << " rows", failure();
    if (auto patches = op.getInput().getDefiningOp<qwen::TapPatchesOp>()) {
      linear.input = elemOf(patches.getInput().getType());
      linear.taps = TapInput{static_cast<uint32_t>(dimOf(patches.getInput(), 0)),
                             static_cast<uint32_t>(dimOf(patches.getInput(), 1)),
                             static_cast<uint32_t>(dimOf(patches.getInput(), 2))};
    }
    for (Value extra : op.getExtras())
      linear.extras.push_back(describeExtra(extra, linear.n));
    return linear;
  }

  static Linear::Extra describeExtra(Value extra, uint32_t columns) {
    auto type = cast<RankedTensorType>(extra.getType());
    bool broadcast = type.getRank() == 1;
    return {broadcast, !broadcast && columns != 1 && type.getDimSize(1) == 1, elemOf(type)};
  }

  LogicalResult lower(qwen::ElementwiseOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    SmallVector<Elem> elems;
    SmallVector<Value> operands;
    for (Value input : op.getInputs()) {
      elems.push_back(elemOf(input.getType()));
      operands.push_back(range(input));
    }
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    Type type = op.getResult().getType();
    KernelPlan plan = elementwiseKernel(*rows, widthOf(type), elems, elemOf(type), op.getBody(), state, target);
    return dispatch(op.getLoc(), plan, operands);
  }

  template <typename QkvOp> Heads headsOf(QkvOp op) {
    Heads heads;
    heads.query = static_cast<uint32_t>(op.getNumHeads());
    heads.keyValue = static_cast<uint32_t>(op.getNumKvHeads());
    heads.dim = static_cast<uint32_t>(op.getHeadDim());
    heads.context = static_cast<uint32_t>(dimOf(op.getKCache(), 0));
    heads.cache = elemOf(op.getKCache().getType());
    return heads;
  }
  template <typename QkvOp> Rotary rotaryOf(QkvOp op) {
    Rotary rotary{op.getTheta().convertToDouble(),
                  static_cast<bool>(op.getQNorm()),
                  op.getEps() ? op.getEps()->convertToDouble() : 0,
                  {}};
    if (op.getSections())
      rotary.sections.assign(op.getSections()->begin(), op.getSections()->end());
    return rotary;
  }
  /// qkv, norms, state, caches: the operands both kernels over a merged q/k/v row begin with.
  template <typename QkvOp> LogicalResult qkvOperands(QkvOp op, SmallVectorImpl<Value> &operands) {
    operands.push_back(range(op.getQkv()));
    if (op.getQNorm())
      for (Value norm : {op.getQNorm(), op.getKNorm()}) {
        FailureOr<Value> weight = weightRange(op.getLoc(), norm);
        if (failed(weight))
          return failure();
        operands.push_back(*weight);
      }
    operands.append({stateRef(op.getLoc()), range(op.getKCache()), range(op.getVCache())});
    ranges[op.getKResult()] = range(op.getKCache());
    ranges[op.getVResult()] = range(op.getVCache());
    return success();
  }

  LogicalResult lower(qwen::RopeAppendOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getQkv().getType());
    SmallVector<Value> operands;
    if (failed(rows) || failed(qkvOperands(op, operands)))
      return failure();
    operands.push_back(destination(op.getQuery()));
    return dispatch(op.getLoc(), ropeAppendKernel(*rows, headsOf(op), rotaryOf(op), state, target), operands);
  }

  /// Keys and values are read once for each position; every row meets all of them, at the end of the context. A cache
  /// that is shorter than the context has other positions.
  Work attentionWork(const Heads &heads, int64_t rows) const {
    int64_t bytes = 2 * int64_t(heads.keyValue) * heads.dim * elemBytes(heads.cache);
    bool isShort = heads.context < state.maxContext;
    return {.readBytes = isShort ? bytes * heads.context : 0,
            .bytesPerPosition = isShort ? 0 : bytes,
            .flops = 4 * rows * heads.context * heads.query * heads.dim};
  }

  LogicalResult lower(qwen::AttentionOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getQuery().getType());
    if (failed(rows))
      return failure();
    if (!op.getCausal())
      return op.emitError("attention over a cache is not causal, expected causal; no kernel exists for it");
    Heads heads;
    heads.query = static_cast<uint32_t>(dimOf(op.getQuery(), 1));
    heads.keyValue = static_cast<uint32_t>(dimOf(op.getKeys(), 1));
    heads.dim = static_cast<uint32_t>(dimOf(op.getQuery(), 2));
    heads.context = static_cast<uint32_t>(dimOf(op.getKeys(), 0));
    heads.cache = elemOf(op.getKeys().getType());
    double scale = op.getScale().convertToDouble();
    Elem output = elemOf(op.getResult().getType());
    FailureOr<KernelPlan> plan = matrixAttentionKernel(*rows, heads, scale, output, state, target);
    if (failed(plan))
      plan = prefillAttentionKernel(*rows, heads, scale, output, state, target);
    if (failed(plan))
      return op.emitError("head dim ") << heads.dim << " does not fit the attention kernel of target " << target.name
                                       << ", expected a multiple of 4 whose tiles fit " << target.maxSharedBytes
                                       << " bytes of shared memory; choose another target";
    return dispatch(op.getLoc(), *plan,
                    {range(op.getQuery()), stateRef(op.getLoc()), range(op.getKeys()), range(op.getValues()),
                     destination(op.getResult())},
                    attentionWork(heads, rows->max));
  }

  LogicalResult lower(qwen::DecodeAttentionOp op) {
    SmallVector<Value> operands;
    if (failed(qkvOperands(op, operands)))
      return failure();
    operands.push_back(destination(op.getPartials()));
    FailureOr<KernelPlan> plan = decodeAttentionKernel(headsOf(op), rotaryOf(op), op.getScale().convertToDouble(),
                                                       static_cast<uint32_t>(op.getSplits()), state, target);
    if (failed(plan))
      return op.emitError("head dim ") << op.getHeadDim() << " with " << op.getNumHeads() / op.getNumKvHeads()
                                       << " query heads per key head does not fit the decode kernel of target "
                                       << target.name << ", expected a multiple of 4 that fits "
                                       << target.maxSharedBytes << " bytes of shared memory; choose another target";
    return dispatch(op.getLoc(), *plan, operands, attentionWork(headsOf(op), 1));
  }

  LogicalResult lower(qwen::CombineSplitsOp op) {
    auto heads = static_cast<uint32_t>(dimOf(op.getPartials(), 0));
    auto splits = static_cast<uint32_t>(dimOf(op.getPartials(), 1));
    auto dim = static_cast<uint32_t>(dimOf(op.getPartials(), 2)) - 2;
    return dispatch(op.getLoc(), combineSplitsKernel({heads, splits, dim}, target),
                    {range(op.getPartials()), destination(op.getResult())});
  }

  LogicalResult lower(qwen::LayerNormOp op) {
    if (cast<RankedTensorType>(op.getResult().getType()).getRank() != 2)
      return op.emitError("normalises more than rows and columns, expected a tensor of rank 2; reshape it");
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    FailureOr<Value> weight = weightRange(op.getLoc(), op.getWeight()), bias = weightRange(op.getLoc(), op.getBias());
    if (failed(rows) || failed(weight) || failed(bias))
      return failure();
    KernelPlan plan = layerNormKernel(*rows, widthOf(op.getResult().getType()), op.getEps().convertToDouble(),
                                      elemOf(op.getResult().getType()), state, target);
    SmallVector<Value> operands = {range(op.getInput()), *weight, *bias};
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    return dispatch(op.getLoc(), plan, operands);
  }

  template <typename RowsFromOp> LogicalResult lowerRowsFrom(RowsFromOp op, bool adds) {
    auto index = dyn_cast<BlockArgument>(op.getIndex());
    auto entry = op->template getParentOfType<func::FuncOp>();
    auto binding =
        index ? entry.template getArgAttrOfType<StringAttr>(index.getArgNumber(), qwen::attrs::binding) : StringAttr();
    if (!binding || binding.getValue() != "media_rows")
      return op.emitError("takes its index from elsewhere, expected the entry's media_rows");
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    KernelPlan plan = mediaRowsKernel(*rows, static_cast<uint32_t>(dimOf(op.getRows(), 0)),
                                      widthOf(op.getResult().getType()), adds, state, target);
    return dispatch(op.getLoc(), plan,
                    {range(op.getInput()), range(op.getRows()), stateRef(op.getLoc()), destination(op.getResult())});
  }
  LogicalResult lower(qwen::ReplaceRowsOp op) { return lowerRowsFrom(op, /*adds=*/false); }
  LogicalResult lower(qwen::AddRowsOp op) { return lowerRowsFrom(op, /*adds=*/true); }

  /// Patches have no kernel: the products that read them do.
  LogicalResult checkPatches(qwen::TapPatchesOp op) {
    for (Operation *user : op->getUsers())
      if (auto product = dyn_cast<qwen::FusedLinearOp>(user);
          !product || product.getInput() != op.getResult() || product.getPrologue() != qwen::Prologue::None)
        return op.emitError("patches are read by ")
               << user->getName() << ", expected only products without a prologue; run qwen-fuse-linears first";
    // Kernels count elements, columns of patches and their rows, and mark padding, in 32 bits.
    constexpr int64_t limit = std::numeric_limits<uint32_t>::max() / 9;
    auto input = cast<RankedTensorType>(op.getInput().getType());
    if (std::max(input.getNumElements(), dimOf(op.getResult(), 0)) >= limit)
      return op.emitError("convolves ") << input << " into " << dimOf(op.getResult(), 0)
                                        << " places, expected fewer than " << limit
                                        << " elements and places; compile for shorter media";
    return success();
  }

  LogicalResult lower(qwen::SwapAxesOp op) {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getResult().getType());
    FailureOr<RowBound> rows = rowsOf(loc, type);
    if (failed(rows))
      return failure();
    auto a = static_cast<uint32_t>(dimOf(op.getInput(), 1)), b = static_cast<uint32_t>(dimOf(op.getInput(), 2));
    bool isWeight = isa_and_present<qwen::WeightOp>(sourceOf(op.getInput()).getDefiningOp());
    SmallVector<Value> operands;
    uint32_t pitch = 0;
    if (isWeight) {
      FailureOr<Value> weight = weightRange(loc, op.getInput());
      if (failed(weight))
        return failure();
      pitch = paddedWidth(a * b);
      operands = {*weight, alloc(loc, labelOf(loc), weightBytes(rows->max, a * b))};
      ranges[op.getResult()] = operands.back();
    } else {
      operands.push_back(range(op.getInput()));
      if (rows->cellOffset)
        operands.push_back(stateRef(loc));
      operands.push_back(destination(op.getResult()));
    }
    return dispatch(loc, swapAxesKernel(*rows, a, b, elemOf(type), pitch, state, target), operands);
  }

  LogicalResult lower(qwen::SinusoidOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    SmallVector<Value> operands = {range(op.getPositions())};
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    KernelPlan plan =
        sinusoidKernel(*rows, widthOf(op.getResult().getType()), op.getTheta().convertToDouble(), state, target);
    return dispatch(op.getLoc(), plan, operands);
  }

  /// Where the heads of \p value lie: it may be a part of a merged row. Appends the range of that row.
  HeadRows headRows(Value value, SmallVectorImpl<Value> &operands) {
    Value source = sourceOf(value);
    uint32_t column = 0;
    if (auto slice = source.getDefiningOp<qwen::SliceOp>(); slice && !ranges.contains(source)) {
      source = slice.getInput();
      column = static_cast<uint32_t>(slice.getOffset());
    }
    operands.push_back(range(source));
    return {elemOf(source.getType()), widthOf(source.getType()), column};
  }

  /// Whether \p value is only read by kernels that find heads in a merged row.
  static bool isReadAsHeads(Value value) {
    return llvm::all_of(value.getUsers(), [](Operation *user) {
      if (auto view = dyn_cast<qwen::ReshapeOp>(user))
        return isReadAsHeads(view.getResult());
      return isa<qwen::SegmentAttentionOp, qwen::AxialRopeOp>(user);
    });
  }

  LogicalResult lower(qwen::SliceOp op) {
    if (elemOf(op.getResult().getType()) == elemOf(op.getInput().getType()) && isReadAsHeads(op.getResult()))
      return success();
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    SmallVector<Value> operands;
    HeadRows input = headRows(op.getResult(), operands);
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    Type type = op.getResult().getType();
    return dispatch(op.getLoc(), copyColumnsKernel(*rows, widthOf(type), input, elemOf(type), state, target), operands);
  }

  LogicalResult lower(qwen::AxialRopeOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    SmallVector<Value> operands;
    HeadRows input = headRows(op.getInput(), operands);
    operands.push_back(range(op.getPlaces()));
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    auto heads = static_cast<uint32_t>(dimOf(op.getResult(), 1)), dim = static_cast<uint32_t>(dimOf(op.getResult(), 2));
    KernelPlan plan = axialRopeKernel(*rows, heads, dim, input, op.getTheta().convertToDouble(),
                                      elemOf(op.getResult().getType()), state, target);
    return dispatch(op.getLoc(), plan, operands);
  }

  LogicalResult lower(qwen::GatherSumOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    FailureOr<Value> table = weightRange(op.getLoc(), op.getTable());
    if (failed(rows) || failed(table))
      return failure();
    SmallVector<Value> operands{range(op.getIds()), range(op.getWeights()), *table};
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    Type type = op.getResult().getType();
    KernelPlan plan =
        gatherSumKernel(*rows, widthOf(op.getIds().getType()), static_cast<uint32_t>(dimOf(op.getTable(), 0)),
                        widthOf(type), elemOf(type), state, target);
    return dispatch(op.getLoc(), plan, operands);
  }

  LogicalResult lower(qwen::SegmentAttentionOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getQuery().getType());
    if (failed(rows))
      return failure();
    SmallVector<Value> operands;
    SegmentHeads heads;
    heads.heads = static_cast<uint32_t>(dimOf(op.getQuery(), 1));
    heads.dim = static_cast<uint32_t>(dimOf(op.getQuery(), 2));
    heads.query = headRows(op.getQuery(), operands);
    heads.keys = headRows(op.getKeys(), operands);
    heads.values = headRows(op.getValues(), operands);
    operands.push_back(range(op.getSegments()));
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    double scale = op.getScale().convertToDouble();
    Elem output = elemOf(op.getResult().getType());
    FailureOr<KernelPlan> plan = matrixSegmentAttentionKernel(*rows, heads, scale, output, state, target);
    if (failed(plan))
      plan = segmentAttentionKernel(*rows, heads, scale, output, state, target);
    if (failed(plan))
      return op.emitError("head dim ") << heads.dim << " does not fit the attention kernel of target " << target.name
                                       << ", expected a multiple of 4 whose tiles fit " << target.maxSharedBytes
                                       << " bytes of shared memory; choose another target";
    // Every row meets all rows, where one segment holds them.
    int64_t flops = 4 * int64_t(rows->max) * rows->max * heads.width();
    return dispatch(op.getLoc(), *plan, operands, {.flops = flops});
  }

  LogicalResult lower(qwen::BeginChunkOp op) {
    return dispatch(op.getLoc(), beginChunkKernel(static_cast<uint32_t>(op.getRows()), state, target),
                    {stateRef(op.getLoc())});
  }
  LogicalResult lower(qwen::AdvanceOp op) {
    return dispatch(op.getLoc(), advanceKernel(state, target), {stateRef(op.getLoc())});
  }
  LogicalResult lower(qwen::LastRowOp op) {
    auto rows = static_cast<uint32_t>(dimOf(op.getInput(), 0));
    return dispatch(op.getLoc(), lastRowKernel(rows, widthOf(op.getInput().getType()), state, target),
                    {range(op.getInput()), stateRef(op.getLoc()), destination(op.getResult())});
  }
  LogicalResult lower(qwen::HeadRowsOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    auto inputRows = static_cast<uint32_t>(dimOf(op.getInput(), 0));
    return dispatch(op.getLoc(), headRowsKernel(inputRows, *rows, widthOf(op.getInput().getType()), state, target),
                    {range(op.getInput()), stateRef(op.getLoc()), destination(op.getResult())});
  }

  LogicalResult lower(qwen::NextTokenOp op) {
    Location loc = op.getLoc();
    uint32_t vocab = widthOf(op.getLogits().getType());
    if (vocab >= (1u << 24))
      return op.emitError("vocabulary of ") << vocab << " ids, expected fewer than 2^24";
    Value logits = range(op.getLogits());
    Suppression suppression;
    if (std::optional<ArrayRef<int64_t>> ids = op.getSuppress())
      suppression = {uint32_t((*ids)[0]), uint32_t((*ids)[1]), uint32_t((*ids)[2])};
    bool samples = op.getSampling() == qwen::Sampling::Sample;
    if (samples || op.getSuppress()) {
      Value scratch = alloc(loc, "sampling scratch", uint64_t(vocab) * 4);
      KernelPlan plan = samples ? sampleKernel(vocab, op.getAdvances(), suppression, state, target)
                                : penalisedArgmaxKernel(vocab, op.getAdvances(), suppression, state, target);
      return dispatch(loc, plan, {logits, scratch, stateRef(loc), mailboxRef(loc)});
    }
    Value partials = alloc(loc, "argmax partials", uint64_t(argmaxGroups(vocab)) * 8);
    if (failed(dispatch(loc, argmaxKernel(vocab, target), {logits, partials})))
      return failure();
    return dispatch(loc, appendArgmaxKernel(vocab, op.getAdvances(), state, target),
                    {partials, stateRef(loc), mailboxRef(loc)});
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Speech
  //===----------------------------------------------------------------------------------------------------------===//

  LogicalResult lowerGather(qwen::EmbeddingOp op, const RowBound &rows, Value table) {
    if (cast<RankedTensorType>(op.getIds().getType()).getRank() != 1)
      return op.emitError("takes several ids for a row, expected one");
    uint32_t width = widthOf(op.getResult().getType());
    SmallVector<Value> operands{range(op.getIds()), table};
    if (rows.cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    KernelPlan plan = gatherRowsKernel(rows, static_cast<uint32_t>(dimOf(op.getTable(), 0)), width, state, target);
    return dispatch(op.getLoc(), plan, operands, {.readBytes = int64_t(rows.max * weightBytes(1, width))});
  }

  LogicalResult lower(qwen::InputRowsOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    KernelPlan plan = inputRowsKernel(*rows, static_cast<uint32_t>(dimOf(op.getRows(), 0)),
                                      widthOf(op.getResult().getType()), state, target);
    return dispatch(op.getLoc(), plan, {range(op.getRows()), stateRef(op.getLoc()), destination(op.getResult())});
  }

  LogicalResult lower(qwen::BeginFrameOp op) {
    if (sequence == 0)
      return op.emitError("stands in the first sequence, expected one with a sequence before it");
    return dispatch(op.getLoc(), beginFrameKernel(state, target),
                    {stateRef(op.getLoc(), sequence - 1), stateRef(op.getLoc())});
  }

  static SmallVector<uint32_t> rowsOfTables(ValueRange tables) {
    return llvm::map_to_vector(tables, [](Value table) { return static_cast<uint32_t>(dimOf(table, 0)); });
  }

  LogicalResult lower(qwen::CodeRowOp op) {
    FailureOr<Value> tables = weightRange(op.getLoc(), op.getTables());
    if (failed(tables))
      return failure();
    uint32_t width = widthOf(op.getRow().getType());
    KernelPlan plan = codeRowKernel(rowsOfTables(op.getTables()), width, state, target);
    return dispatch(op.getLoc(), plan,
                    {stateRef(op.getLoc()), *tables, destination(op.getRow()), destination(op.getStep())},
                    {.readBytes = int64_t(weightBytes(1, width))});
  }

  LogicalResult lower(qwen::FrameRowOp op) {
    FailureOr<Value> tables = weightRange(op.getLoc(), op.getTables());
    if (failed(tables))
      return failure();
    if (sequence + 1 >= sequenceCount())
      return op.emitError("stands in the last sequence, expected one with a sequence behind it");
    uint32_t width = widthOf(op.getResult().getType());
    KernelPlan plan = frameRowKernel(rowsOfTables(op.getTables()), static_cast<uint32_t>(dimOf(op.getText(), 0)), width,
                                     state, target);
    return dispatch(op.getLoc(), plan,
                    {stateRef(op.getLoc()), stateRef(op.getLoc(), sequence + 1), range(op.getText()), *tables,
                     destination(op.getResult())},
                    {.readBytes = int64_t(weightBytes(op.getTables().size(), width))});
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Vocoders
  //===----------------------------------------------------------------------------------------------------------===//

  LogicalResult lower(qwen::CodebookMeanOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    FailureOr<Value> table = weightRange(op.getLoc(), op.getTable());
    if (failed(rows) || failed(table))
      return failure();
    uint32_t groups = widthOf(op.getCodes().getType()), width = widthOf(op.getResult().getType());
    auto codes = static_cast<uint32_t>(dimOf(op.getTable(), 0)) / groups;
    SmallVector<Value> operands = {range(op.getCodes()), *table};
    if (rows->cellOffset)
      operands.push_back(stateRef(op.getLoc()));
    operands.push_back(destination(op.getResult()));
    return dispatch(op.getLoc(), codebookMeanKernel(*rows, groups, codes, width, state, target), operands,
                    {.readBytes = int64_t(rows->max * groups * weightBytes(1, width))});
  }

  LogicalResult lower(qwen::RopeWindowAttentionOp op) {
    Location loc = op.getLoc();
    FailureOr<RowBound> rows = rowsOf(loc, op.getResult().getType());
    if (failed(rows))
      return failure();
    auto stateType = cast<RankedTensorType>(op.getKState().getType());
    const int64_t needed = static_cast<int64_t>(op.getWindow()) - 1 + rows->max;
    if (!stateType.getElementType().isF32() || stateType.getDimSize(0) < needed)
      return op.emitError("keeps keys in ") << stateType << ", expected f32 and at least " << needed << " rows for "
                                            << rows->max << " new ones and the window before them";
    WindowHeads heads{static_cast<uint32_t>(op.getNumHeads()), static_cast<uint32_t>(op.getHeadDim()),
                      static_cast<uint32_t>(stateType.getDimSize(0)), static_cast<uint32_t>(op.getWindow())};
    Value query = alloc(loc, "rotated queries", bytesOf(op.getResult().getType()));
    Value keys = range(op.getKState()), values = range(op.getVState()), first = range(op.getFirst());
    SmallVector<Value> rope = {range(op.getQkv()), first}, attention = {query, first};
    if (rows->cellOffset)
      for (SmallVector<Value> *operands : {&rope, &attention})
        operands->push_back(stateRef(loc));
    rope.append({keys, values, query});
    attention.append({keys, values, destination(op.getResult())});
    if (failed(dispatch(loc, windowRopeKernel(*rows, heads, op.getTheta().convertToDouble(), state, target), rope)))
      return failure();
    return dispatch(loc, windowAttentionKernel(*rows, heads, op.getScale().convertToDouble(), state, target), attention,
                    {.flops = int64_t(4) * rows->max * heads.window * heads.width()});
  }

  /// Puts \p x behind its history, if it has one, and activates it on the way; \p to is where it goes.
  LogicalResult convInput(Location loc, const ConvInput &input, Value x, Value alpha, Value beta, Value first,
                          Value history, Value to) {
    SmallVector<Value> operands = {range(x)};
    for (Value parameter : {alpha, beta}) {
      if (!parameter)
        continue;
      FailureOr<Value> weight = weightRange(loc, parameter);
      if (failed(weight))
        return failure();
      operands.push_back(*weight);
    }
    if (input.needsFirst())
      operands.push_back(range(first));
    if (input.rows.cellOffset)
      operands.push_back(stateRef(loc));
    if (input.kept)
      operands.push_back(range(history));
    operands.push_back(to);
    return dispatch(loc, convInputKernel(input, target), operands);
  }

  /// The input of a convolution, behind the rows that it keeps.
  template <typename ConvOp> FailureOr<Value> extendedInput(ConvOp op, const RowBound &rows, uint32_t kept) {
    if (kept == 0 && !op.getInAlpha())
      return range(op.getInput());
    auto type = cast<RankedTensorType>(op.getInput().getType());
    if (kept && !cast<RankedTensorType>(op.getHistory().getType()).getElementType().isF32())
      return op.emitError("keeps a history of ") << op.getHistory().getType() << ", expected f32", failure();
    ConvInput input;
    input.rows = rows;
    input.channels = widthOf(type);
    input.kept = kept;
    input.snake = op.getInAlpha() != nullptr;
    input.lead = static_cast<uint32_t>(op.getLead().value_or(0));
    input.frameRows = static_cast<uint32_t>(op.getFrameRows().value_or(0));
    input.state = state;
    if (failed(checkLead(op, op.getLead().value_or(0), op.getFrameRows().value_or(0))))
      return failure();
    Value extended = alloc(op.getLoc(), "extended input", bytesOf(type) + int64_t(kept) * input.channels * 4);
    if (failed(convInput(op.getLoc(), input, op.getInput(), op.getInAlpha(), op.getInBeta(), op.getFirst(),
                         op.getHistory(), extended)))
      return failure();
    return extended;
  }

  static LogicalResult checkLead(Operation *op, int64_t lead, int64_t frameRows) {
    constexpr int64_t most = 1 << 30;
    if (lead > most || frameRows > most || lead * frameRows > most)
      return op->emitError("clears ") << lead << " rows of " << frameRows
                                      << " for each frame, expected a product of at most " << most;
    return success();
  }

  LogicalResult lower(qwen::SnakeBetaOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows))
      return failure();
    ConvInput input;
    input.rows = *rows;
    input.channels = widthOf(op.getResult().getType());
    input.snake = true;
    input.state = state;
    return convInput(op.getLoc(), input, op.getInput(), op.getAlpha(), op.getBeta(), {}, {},
                     destination(op.getResult()));
  }

  LogicalResult lower(qwen::ClearLeadOp op) {
    FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult().getType());
    if (failed(rows) || failed(checkLead(op, op.getLead(), op.getFrameRows())))
      return failure();
    ConvInput input;
    input.rows = *rows;
    input.channels = widthOf(op.getResult().getType());
    input.lead = static_cast<uint32_t>(op.getLead());
    input.frameRows = static_cast<uint32_t>(op.getFrameRows());
    input.state = state;
    return convInput(op.getLoc(), input, op.getInput(), {}, {}, op.getFirst(), {}, destination(op.getResult()));
  }

  LogicalResult lower(qwen::CausalConv1dOp op) {
    Location loc = op.getLoc();
    FailureOr<RowBound> rows = rowsOf(loc, op.getResult().getType());
    if (failed(rows))
      return failure();
    Convolution conv;
    conv.rows = *rows;
    conv.channels = widthOf(op.getInput().getType());
    conv.outputs = widthOf(op.getResult().getType());
    conv.taps = static_cast<uint32_t>(op.getKernelSize());
    conv.dilation = static_cast<uint32_t>(op.getDilation());
    conv.snake = op.getOutAlpha() != nullptr;
    conv.limit = op.getLimit() ? op.getLimit()->convertToDouble() : 0;
    conv.state = state;
    bool depthwise = op.isDepthwise() && conv.channels != 1;
    FailureOr<KernelPlan> plan = depthwise ? depthwiseKernel(conv, target) : convolutionKernel(conv, target);
    if (failed(plan))
      return op.emitError("convolution of ")
             << conv.channels << " channels with " << conv.taps << " taps does not fit the kernel of target "
             << target.name << ", expected a multiple of 4 channels whose taps fit " << target.maxSharedBytes
             << " bytes of shared memory; choose another target";
    FailureOr<Value> input = extendedInput(op, *rows, conv.kept());
    if (failed(input))
      return failure();
    SmallVector<Value> operands = {*input};
    for (Value parameter : {op.getWeight(), op.getBias(), op.getOutAlpha(), op.getOutBeta()}) {
      if (!parameter)
        continue;
      FailureOr<Value> weight = weightRange(loc, parameter);
      if (failed(weight))
        return failure();
      operands.push_back(*weight);
    }
    if (rows->cellOffset)
      operands.push_back(stateRef(loc));
    operands.push_back(destination(op.getResult()));
    int64_t weights = cast<RankedTensorType>(op.getWeight().getType()).getNumElements();
    return dispatch(loc, *plan, operands, {.readBytes = 2 * weights, .flops = 2 * weights * rows->max});
  }

  LogicalResult lower(qwen::ConvTranspose1dOp op) {
    Location loc = op.getLoc();
    FailureOr<RowBound> rows = rowsOf(loc, op.getInput().getType());
    if (failed(rows))
      return failure();
    TransposedConvolution conv;
    conv.rows = *rows;
    conv.channels = widthOf(op.getInput().getType());
    conv.outputs = widthOf(op.getResult().getType());
    conv.taps = static_cast<uint32_t>(dimOf(op.getWeight(), 1)) / conv.outputs;
    conv.stride = static_cast<uint32_t>(op.getStride());
    conv.state = state;
    FailureOr<KernelPlan> plan = transposedConvolutionKernel(conv, target);
    if (failed(plan))
      return op.emitError("transposed convolution of ")
             << conv.channels << " channels with " << conv.taps << " taps and stride " << conv.stride
             << " does not fit the kernel of target " << target.name
             << ", expected a multiple of 4 channels, a stride of at most 32 and taps that fit "
             << target.maxSharedBytes << " bytes of shared memory; choose another target";
    FailureOr<Value> input = extendedInput(op, *rows, conv.kept());
    FailureOr<Value> weight = weightRange(loc, op.getWeight()), bias = weightRange(loc, op.getBias());
    if (failed(input) || failed(weight) || failed(bias))
      return failure();
    SmallVector<Value> operands = {*input, *weight, *bias};
    if (rows->cellOffset)
      operands.push_back(stateRef(loc));
    operands.push_back(destination(op.getResult()));
    int64_t weights = cast<RankedTensorType>(op.getWeight().getType()).getNumElements();
    return dispatch(loc, *plan, operands, {.readBytes = 2 * weights, .flops = 2 * weights * rows->max});
  }

  ModuleOp module;
  const TargetProfile &target;
  SymbolTable symbols;
  OpBuilder b;               // inside the entry in work
  OpBuilder declarations{b}; // weights, storages, cells and kernels, in front of everything
  StateBlock state;
  llvm::StringMap<qwen::ParameterOp> parameters;
  llvm::MapVector<StringRef, RankedTensorType> states;
  llvm::StringSet<> storages, weights, kernels;
  DenseMap<Value, Value> ranges;              // tensor -> range
  DenseMap<Value, std::string> outputStorage; // returned tensor -> storage
  llvm::StringMap<int64_t> extents;           // symbol -> element of the cell of extents
  int64_t sequence = 0;                       // of the entry in work
  bool isComponent = false;                   // the entry in work is run with tensors, by the symbols of its inputs
};

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
    if (failed(Converter(getOperation(), *target).run()))
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
