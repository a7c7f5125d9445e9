//===- SpecializeEntries.cpp - From decoder and head to the entries of a plan -----------------------------------===//

#include "compiler/Transforms/Generator.h"
#include "compiler/Transforms/Passes.h"
#include "dialects/qwen/EntryRoles.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_SPECIALIZEENTRIESPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// How many rows an entry processes: at most `count`, of which `symbol` are there at run time; null: exactly `count`.
struct RowBound {
  int64_t count;
  RowsAttr symbol;

  RankedTensorType apply(RankedTensorType type) const {
    SmallVector<int64_t> shape(type.getShape());
    RowsAttr rows = getRows(type);
    int64_t factor = rows ? rows.getFactor() : 1;
    // A product that leaves the numbers of types is refused with the entry.
    if (llvm::MulOverflow(count, factor, shape[0]))
      shape[0] = std::numeric_limits<int64_t>::max() / factor * factor;
    RowsAttr counted = symbol ? RowsAttr::get(type.getContext(), symbol.getSymbol(), factor) : RowsAttr();
    return RankedTensorType::get(shape, type.getElementType(), counted);
  }
};

/// How many rows each symbol counts, by its name.
using RowBounds = llvm::StringMap<RowBound>;

/// \p type with the rows of its symbol, null if its rows are not bounded.
RankedTensorType boundType(RankedTensorType type, const RowBounds &bounds) {
  RowsAttr rows = getRows(type);
  if (!rows)
    return type.hasStaticShape() ? type : RankedTensorType();
  auto bound = bounds.find(rows.getSymbol());
  return bound == bounds.end() ? RankedTensorType() : bound->second.apply(type);
}

/// Clones a function's body behind the builder's insertion point with rows bounded by \p bounds. Arguments without a
/// value are media that a row of decode never meets. Returns the results.
FailureOr<SmallVector<Value>> inlineFunction(OpBuilder &builder, const SymbolTable &symbols, func::FuncOp function,
                                             ArrayRef<Value> arguments, const RowBounds &bounds) {
  IRMapping mapping;
  for (auto [argument, value] : llvm::zip_equal(function.getArguments(), arguments))
    if (value)
      mapping.map(argument, value);
  Block &body = function.getBody().front();
  for (Operation &op : body.without_terminator()) {
    if (isa<ReplaceRowsOp, AddRowsOp>(op) && !mapping.lookupOrNull(op.getOperand(1))) {
      mapping.map(op.getResult(0), mapping.lookup(op.getOperand(0)));
      continue;
    }
    for (Value operand : op.getOperands())
      if (!mapping.lookupOrNull(operand)) {
        op.emitOpError() << "reads media in decode, expected that only qwen.replace_rows and qwen.add_rows do";
        return failure();
      }
    Operation *clone = builder.clone(op, mapping);
    for (Value result : clone->getResults()) {
      auto type = cast<RankedTensorType>(result.getType());
      if (auto read = dyn_cast<ReadStateOp>(clone)) {
        result.setType(symbols.lookup<StateOp>(read.getState()).getType());
      } else if (auto append = dyn_cast<KvAppendOp>(clone)) {
        result.setType(append.getCache().getType());
      } else if (RankedTensorType bounded = boundType(type, bounds)) {
        result.setType(bounded);
      } else {
        op.emitOpError() << "has type " << type
                         << ", expected rows counted by a symbol of the inputs or a static shape";
        return failure();
      }
    }
  }
  return llvm::map_to_vector(cast<func::ReturnOp>(body.getTerminator()).getOperands(),
                             [&](Value value) { return mapping.lookup(value); });
}

class EntryBuilder {
public:
  EntryBuilder(ModuleOp module, Generator generator, int64_t context, int64_t chunk, int64_t logitsRows)
      : module(module), generator(generator), builder(module.getContext()), symbols(module), context(context),
        logitsRows(logitsRows) {
    if (!generator.decoder)
      return;
    auto ids = cast<RankedTensorType>(generator.decoder.getFunctionType().getInput(0));
    auto hidden = cast<RankedTensorType>(generator.decoder.getFunctionType().getResult(0));
    chunkRows = {chunk, getRows(ids)};
    hiddenType = chunkRows.apply(hidden);
  }

  /// For entries of speech: they belong to \p number and have names that begin with \p prefix.
  void setSequence(int64_t number, StringRef prefix) {
    sequence = number;
    namePrefix = prefix.str();
  }

  LogicalResult buildPrefill() {
    Location loc = generator.decoder.getLoc();
    beginEntry(roles::prefill, roles::prefill, chunkRows.count, loc);
    SmallVector<Value> arguments;
    RowBounds bounds = {{idsSymbol(), chunkRows}};
    if (failed(addDecoderArguments(bounds, arguments)))
      return failure();
    BeginChunkOp::create(builder, loc, chunkRows.count);
    FailureOr<SmallVector<Value>> hidden = inlineFunction(builder, symbols, generator.decoder, arguments, bounds);
    if (failed(hidden))
      return failure();
    // Every row's position counts from the chunk's start, so Position moves when all of them are done.
    AdvanceOp::create(builder, loc);
    SmallVector<StringRef> names = {"hidden", "accept_hidden"};
    endEntry(ArrayRef(names).take_front(hidden->size()), *hidden);
    return success();
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Speech
  //===----------------------------------------------------------------------------------------------------------===//

  /// The rows of the prompt are given; its tokens are there for the repetition penalty.
  LogicalResult buildTalkerPrefill() {
    Location loc = generator.decoder.getLoc();
    beginEntry(roles::prefill, roles::other, chunkRows.count, loc);
    RowBounds bounds = {{idsSymbol(), chunkRows}};
    addArgument("tokens", RankedTensorType::get({chunkRows.count}, builder.getI32Type(), chunkRows.symbol), {}, loc);
    Value inputs = addBuffer("inputs", context, idsSymbol(), loc);
    BeginChunkOp::create(builder, loc, chunkRows.count);
    Value rows = InputRowsOp::create(builder, loc, inputType(chunkRows), inputs);
    FailureOr<SmallVector<Value>> hidden = inlineTalker(rows, bounds);
    if (failed(hidden))
      return failure();
    AdvanceOp::create(builder, loc);
    endEntry({"hidden"}, *hidden);
    return success();
  }

  /// The frame that the predictor has made, and text, are the row of a step.
  LogicalResult buildTalkerDecode(StringRef name, Sampling sampling, const Speech &speech) {
    Location loc = generator.decoder.getLoc();
    beginEntry(name, roles::other, 1, loc);
    Value text = addBuffer("text_rows", context, "N", loc);
    Value row = FrameRowOp::create(builder, loc, inputType(oneRow), text, tableValues(speech));
    FailureOr<SmallVector<Value>> hidden = inlineTalker(row, {{idsSymbol(), oneRow}});
    if (failed(hidden))
      return failure();
    return buildTalkerHead(hidden->front(), sampling, /*advances=*/true, speech);
  }

  LogicalResult buildTalkerNext(StringRef name, Sampling sampling, const Speech &speech) {
    Location loc = generator.head.getLoc();
    beginEntry(name, roles::other, 1, loc);
    Value hidden = addArgument("hidden", hiddenType, {}, loc);
    Value row = LastRowOp::create(builder, loc, inputType(oneRow), hidden);
    return buildTalkerHead(row, sampling, /*advances=*/false, speech);
  }

  /// The talker's state is the first row of a frame's history.
  LogicalResult buildPredictorBegin(const Speech &speech) {
    Location loc = generator.decoder.getLoc();
    beginEntry("begin", roles::other, 1, loc);
    entry->setAttr(attrs::codes, builder.getI64IntegerAttr(speech.tables.size()));
    Value row = addBuffer("last_hidden", 1, {}, loc);
    BeginFrameOp::create(builder, loc);
    FailureOr<SmallVector<Value>> hidden =
        inlineFunction(builder, symbols, generator.decoder, row, {{idsSymbol(), oneRow}});
    if (failed(hidden))
      return failure();
    AdvanceOp::create(builder, loc);
    endEntry({"hidden"}, *hidden);
    return success();
  }

  LogicalResult buildPredictorDecode(StringRef name, Sampling sampling, const Speech &speech) {
    Location loc = generator.decoder.getLoc();
    beginEntry(name, roles::other, 1, loc);
    entry->setAttr(attrs::codes, builder.getI64IntegerAttr(speech.tables.size()));
    auto row = CodeRowOp::create(builder, loc, inputType(oneRow), RankedTensorType::get({1, 1}, builder.getI32Type()),
                                 tableValues(speech));
    FailureOr<SmallVector<Value>> hidden =
        inlineFunction(builder, symbols, generator.decoder, row.getRow(), {{idsSymbol(), oneRow}});
    if (failed(hidden))
      return failure();
    FailureOr<SmallVector<Value>> logits =
        inlineFunction(builder, symbols, generator.head, {hidden->front(), row.getStep()}, {{headSymbol(), oneRow}});
    if (failed(logits))
      return failure();
    // No code is suppressed; the greedy choice takes one step so, and it is made for every code of every frame.
    NextTokenOp::create(builder, generator.head.getLoc(), logits->front(), sampling, /*advances=*/true,
                        builder.getDenseI64ArrayAttr({0, 0, 0}));
    endEntry({"logits"}, *logits);
    return success();
  }

  /// A function that is run with tensors becomes an entry as it is.
  LogicalResult buildComponent(func::FuncOp function) {
    FailureOr<RowBounds> bounds = componentBounds(function);
    if (failed(bounds))
      return failure();
    int64_t rows = 1;
    for (auto &bound : *bounds)
      rows = std::max(rows, bound.second.count);
    std::string name = function.getSymName().str();
    symbols.remove(function); // the entry takes its name over
    beginEntry(name, roles::other, rows, function.getLoc());
    if (function->hasAttr(attrs::exact))
      entry->setAttr(attrs::exact, builder.getUnitAttr());
    SmallVector<Value> arguments;
    for (BlockArgument argument : function.getArguments())
      arguments.push_back(addArgument("tensor", boundType(cast<RankedTensorType>(argument.getType()), *bounds),
                                      function.getArgAttrOfType<StringAttr>(argument.getArgNumber(), attrs::name),
                                      argument.getLoc()));
    FailureOr<SmallVector<Value>> results = inlineFunction(builder, symbols, function, arguments, *bounds);
    if (failed(results))
      return failure();
    SmallVector<StringRef> names;
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      names.push_back(function.getResultAttrOfType<StringAttr>(i, attrs::name).getValue());
    endEntry(names, *results);
    return success();
  }

  LogicalResult buildNext(StringRef name, Sampling sampling) {
    Location loc = generator.head.getLoc();
    beginEntry(name, name, 1, loc);
    Value hidden = addArgument("hidden", hiddenType, {}, loc);
    auto rowType = RankedTensorType::get({1, hiddenType.getDimSize(1)}, hiddenType.getElementType());
    Value row = LastRowOp::create(builder, loc, rowType, hidden);
    return buildHead(row, oneRow, sampling, /*advances=*/false);
  }

  LogicalResult buildDecode(StringRef name, Sampling sampling) {
    beginEntry(name, name, 1, generator.decoder.getLoc());
    SmallVector<Value> arguments;
    RowBounds bounds = {{idsSymbol(), oneRow}};
    if (failed(addDecoderArguments(bounds, arguments)))
      return failure();
    FailureOr<SmallVector<Value>> hidden = inlineFunction(builder, symbols, generator.decoder, arguments, bounds);
    if (failed(hidden))
      return failure();
    return buildHead(hidden->front(), oneRow, sampling, /*advances=*/true);
  }

  LogicalResult buildLogits() {
    Location loc = generator.head.getLoc();
    beginEntry(roles::logits, roles::logits, logitsRows, loc);
    Value hidden = addArgument("hidden", hiddenType, {}, loc);
    RowBound rows = {logitsRows, RowsAttr::get(module.getContext(), builder.getStringAttr("R"))};
    Value taken = HeadRowsOp::create(builder, loc, rows.apply(hiddenType), hidden);
    return buildHead(taken, rows, std::nullopt, /*advances=*/false);
  }

private:
  StringRef headSymbol() {
    return getRows(cast<RankedTensorType>(generator.head.getFunctionType().getInput(0))).getSymbol();
  }
  /// The decoder's first argument with so many rows.
  RankedTensorType inputType(const RowBound &rows) {
    return rows.apply(cast<RankedTensorType>(generator.decoder.getFunctionType().getInput(0)));
  }

  /// Rows that the talker's entries share; \p symbol counts those that callers give.
  Value addBuffer(StringRef name, int64_t rows, StringRef symbol, Location loc) {
    Value value = addArgument("buffer", inputType({rows, {}}), builder.getStringAttr(name), loc);
    if (!symbol.empty())
      entry.setArgAttr(entry.getNumArguments() - 1, attrs::symbol, builder.getStringAttr(symbol));
    return value;
  }

  SmallVector<Value> tableValues(const Speech &speech) {
    return llvm::map_to_vector(speech.tables, [&](ParameterOp table) -> Value {
      return WeightOp::create(builder, table.getLoc(), cast<RankedTensorType>(table.getType()), table.getSymName());
    });
  }

  FailureOr<SmallVector<Value>> inlineTalker(Value rows, const RowBounds &bounds) {
    auto positions = cast<RankedTensorType>(generator.decoder.getFunctionType().getInput(1));
    RankedTensorType bounded = boundType(positions, bounds);
    if (!bounded)
      return generator.decoder.emitError()
                 << "argument 1 has type " << positions << ", expected rows counted by " << idsSymbol(),
             failure();
    Value argument = addArgument("positions", bounded, {}, generator.decoder.getLoc());
    return inlineFunction(builder, symbols, generator.decoder, {rows, argument}, bounds);
  }

  LogicalResult buildTalkerHead(Value hidden, Sampling sampling, bool advances, const Speech &speech) {
    FailureOr<SmallVector<Value>> results =
        inlineFunction(builder, symbols, generator.head, hidden, {{headSymbol(), oneRow}});
    if (failed(results))
      return failure();
    NextTokenOp::create(builder, generator.head.getLoc(), results->front(), sampling, advances, speech.suppress);
    endEntry({"logits", "last_hidden"}, *results);
    return success();
  }

  StringRef idsSymbol() {
    return getRows(cast<RankedTensorType>(generator.decoder.getFunctionType().getInput(0))).getSymbol();
  }

  /// The arguments of the decoder as those of the entry. Media are there where \p bounds has more than one row: sampled
  /// tokens are text. Their bounds are added.
  LogicalResult addDecoderArguments(RowBounds &bounds, SmallVectorImpl<Value> &arguments) {
    for (BlockArgument argument : generator.decoder.getArguments()) {
      auto type = cast<RankedTensorType>(argument.getType());
      auto binding = generator.decoder.getArgAttrOfType<StringAttr>(argument.getArgNumber(), attrs::binding);
      auto name = generator.decoder.getArgAttrOfType<StringAttr>(argument.getArgNumber(), attrs::name);
      StringRef what = argument.getArgNumber() == 0 ? "tokens" : binding.getValue();
      if (what.starts_with("media") && !bounds.lookup(idsSymbol()).symbol) {
        arguments.push_back({});
        continue;
      }
      if (what == "media" && failed(addMediaBound(getRows(type), bounds)))
        return failure();
      RankedTensorType bounded = boundType(type, bounds);
      if (!bounded)
        return generator.decoder.emitError() << "argument " << argument.getArgNumber() << " has type " << type
                                             << ", expected rows counted by " << idsSymbol();
      arguments.push_back(addArgument(what, bounded, what == "media" ? name : StringAttr(), argument.getLoc()));
    }
    return success();
  }

  /// Media tokens of a turn stand in the context.
  LogicalResult addMediaBound(RowsAttr rows, RowBounds &bounds) {
    FailureOr<int64_t> max = symbolMax(generator.decoder, rows);
    if (failed(max))
      return failure();
    // Not all rows have to be there, but all may be read: media have no encoding in the entry.
    bounds[rows.getSymbol()] = {std::min(*max, context), {}};
    return success();
  }

  FailureOr<int64_t> symbolMax(func::FuncOp function, RowsAttr rows) {
    auto maxima = module->getAttrOfType<DictionaryAttr>(attrs::symbols);
    auto max = maxima ? maxima.getAs<IntegerAttr>(rows.getSymbol()) : IntegerAttr();
    if (max && max.getInt() > 0)
      return max.getInt();
    return function.emitError() << "module has no '" << attrs::symbols << "' for " << rows
                                << ", expected the greatest extent of each symbol",
           failure();
  }

  FailureOr<RowBounds> componentBounds(func::FuncOp function) {
    RowBounds bounds;
    for (Type type : function.getArgumentTypes()) {
      RowsAttr rows = getRows(cast<RankedTensorType>(type));
      if (!rows || bounds.contains(rows.getSymbol()))
        continue;
      FailureOr<int64_t> max = symbolMax(function, rows);
      if (failed(max))
        return failure();
      bounds[rows.getSymbol()] = {*max, rows};
    }
    return bounds;
  }

  /// Opens an entry; its arguments follow in addArgument, its result types in endEntry.
  void beginEntry(StringRef name, StringRef role, int64_t rows, Location loc) {
    builder.setInsertionPointToEnd(module.getBody());
    entry = func::FuncOp::create(builder, loc, namePrefix + name.str(), builder.getFunctionType({}, {}));
    // Behind the text there are codes: each of thousands follows from all before it, and what 16 bits lose adds up.
    if (sequence) {
      entry->setAttr(attrs::sequence, builder.getI64IntegerAttr(sequence));
      entry->setAttr(attrs::exact, builder.getUnitAttr());
    }
    entry->setAttr(attrs::role, builder.getStringAttr(role));
    entry->setAttr(attrs::rows, builder.getI64IntegerAttr(rows));
    builder.setInsertionPointToStart(entry.addEntryBlock());
  }

  Value addArgument(StringRef binding, RankedTensorType type, StringAttr name, Location loc) {
    SmallVector<NamedAttribute> attributes = {builder.getNamedAttr(attrs::binding, builder.getStringAttr(binding))};
    if (name)
      attributes.push_back(builder.getNamedAttr(attrs::name, name));
    unsigned i = entry.getNumArguments();
    [[maybe_unused]] LogicalResult inserted = entry.insertArgument(i, type, builder.getDictionaryAttr(attributes), loc);
    assert(succeeded(inserted) && "a function takes any argument");
    return entry.getArgument(i);
  }

  void endEntry(ArrayRef<StringRef> names, ValueRange results) {
    func::ReturnOp::create(builder, entry.getLoc(), results);
    entry.setFunctionType(builder.getFunctionType(entry.getArgumentTypes(), results.getTypes()));
    for (auto [i, name] : llvm::enumerate(names))
      entry.setResultAttr(i, attrs::name, builder.getStringAttr(name));
    // A weight may be called "prefill": the entry then gets another symbol, its role stays.
    symbols.insert(entry);
  }

  LogicalResult buildHead(Value hidden, RowBound rows, std::optional<Sampling> sampling, bool advances) {
    auto symbol = getRows(cast<RankedTensorType>(generator.head.getFunctionType().getInput(0))).getSymbol();
    FailureOr<SmallVector<Value>> logits =
        inlineFunction(builder, symbols, generator.head, hidden, {{symbol.getValue(), rows}});
    if (failed(logits))
      return failure();
    if (sampling)
      NextTokenOp::create(builder, generator.head.getLoc(), logits->front(), *sampling, advances, DenseI64ArrayAttr());
    endEntry({"logits"}, *logits);
    return success();
  }

  static constexpr RowBound oneRow = {1, {}};

  ModuleOp module;
  Generator generator;
  OpBuilder builder;
  SymbolTable symbols;
  int64_t context, logitsRows, sequence = 0;
  std::string namePrefix;
  RowBound chunkRows;
  RankedTensorType hiddenType;
  func::FuncOp entry;
};

struct SpecializeEntries : qwen::impl::SpecializeEntriesPassBase<SpecializeEntries> {
  using SpecializeEntriesPassBase::SpecializeEntriesPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Generator> generator = findGenerator(module);
    FailureOr<Speech> found = findSpeech(module);
    if (failed(generator) || failed(found) || failed(checkOptions()))
      return signalPassFailure();
    speech = *found;
    if (failed(specializeStates()))
      return signalPassFailure();
    module->setAttr(attrs::maxContext, Builder(&getContext()).getI64IntegerAttr(context));
    EntryBuilder entries(module, *generator, context, chunk, logitsRows);
    SmallVector<func::FuncOp> components(module.getOps<func::FuncOp>());
    if (generator->decoder && failed(buildGenerator(entries)))
      return signalPassFailure();
    if (speech && failed(buildSpeech(module)))
      return signalPassFailure();
    for (func::FuncOp function : components) {
      if (function != generator->decoder && function != generator->head && !speech.has(function)) {
        if (failed(entries.buildComponent(function)))
          return signalPassFailure();
        ++entryCount;
      }
      function.erase();
    }
    module->removeAttr(attrs::decoder);
    module->removeAttr(attrs::head);
    module->removeAttr(attrs::speech);
    module->removeAttr(attrs::symbols);
  }

  LogicalResult buildGenerator(EntryBuilder &entries) {
    if (failed(entries.buildPrefill()) || failed(entries.buildNext(roles::nextGreedy, Sampling::Greedy)) ||
        failed(entries.buildNext(roles::nextSample, Sampling::Sample)) ||
        failed(entries.buildDecode(roles::decodeGreedy, Sampling::Greedy)) ||
        failed(entries.buildDecode(roles::decodeSample, Sampling::Sample)) || failed(entries.buildLogits()))
      return failure();
    entryCount += 6;
    return success();
  }

  LogicalResult buildSpeech(ModuleOp module) {
    EntryBuilder talker(module, {speech.decoder, speech.head}, context, chunk, logitsRows);
    talker.setSequence(1, "talker.");
    EntryBuilder predictor(module, {speech.predictorDecoder, speech.predictorHead}, context, chunk, logitsRows);
    predictor.setSequence(2, "predictor.");
    if (failed(talker.buildTalkerPrefill()) || failed(predictor.buildPredictorBegin(speech)))
      return failure();
    for (auto [next, decode, sampling] : {std::tuple(roles::nextGreedy, roles::decodeGreedy, Sampling::Greedy),
                                          std::tuple(roles::nextSample, roles::decodeSample, Sampling::Sample)})
      if (failed(talker.buildTalkerNext(next, sampling, speech)) ||
          failed(talker.buildTalkerDecode(decode, sampling, speech)) ||
          failed(predictor.buildPredictorDecode(decode, sampling, speech)))
        return failure();
    entryCount += 8;
    return success();
  }

  LogicalResult checkOptions() {
    auto check = [&](StringRef name, int64_t value) -> LogicalResult {
      if (value > 0 && value <= maxOption)
        return success();
      return getOperation().emitError() << name << " is " << value << ", expected 1 to " << maxOption;
    };
    if (failed(check("context", context)) || failed(check("chunk", chunk)) || failed(check("logits-rows", logitsRows)))
      return failure();
    Builder builder(&getContext());
    cacheElement = llvm::StringSwitch<Type>(kvFormat)
                       .Case("f32", builder.getF32Type())
                       .Case("f16", builder.getF16Type())
                       .Case("bf16", builder.getBF16Type())
                       .Default({});
    if (!cacheElement)
      return getOperation().emitError() << "kv-format is '" << kvFormat.getValue() << "', expected f32, f16 or bf16";
    return success();
  }

  LogicalResult specializeStates() {
    // The history of the predictor is one frame: short, and read by few.
    llvm::StringSet<> ofPredictor = statesOf(speech.predictorDecoder), ofTalker = statesOf(speech.decoder);
    for (auto state : getOperation().getOps<StateOp>()) {
      auto type = cast<RankedTensorType>(state.getType());
      if (state.getFixed() || (ofPredictor.contains(state.getSymName()) && type.hasStaticShape()))
        continue;
      if (!type.isDynamicDim(0) && type.getDimSize(0) != context)
        return state.emitOpError() << "holds " << type.getDimSize(0) << " positions, expected a symbol or the context "
                                   << context.getValue();
      SmallVector<int64_t> shape(type.getShape());
      shape[0] = context;
      // Thousands of codes follow each other: what 16 bits lose adds up there.
      Type element = ofTalker.contains(state.getSymName()) ? Float32Type::get(&getContext()) : cacheElement;
      state.setType(RankedTensorType::get(shape, element));
    }
    return success();
  }

  static llvm::StringSet<> statesOf(func::FuncOp function) {
    llvm::StringSet<> states;
    if (function)
      function.walk([&](ReadStateOp read) { states.insert(read.getState()); });
    return states;
  }

  /// Cells that count positions and rows are 32 bits wide.
  static constexpr int64_t maxOption = std::numeric_limits<int32_t>::max();
  Type cacheElement;
  Speech speech;
};

} // namespace
