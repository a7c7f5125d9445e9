//===- SpecializeEntries.cpp - From decoder and head to the entries of a plan -----------------------------------===//

#include "compiler/Transforms/Generator.h"
#include "compiler/Transforms/Passes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
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
    shape[0] = count;
    return RankedTensorType::get(shape, type.getElementType(), symbol);
  }
};

/// Clones a function's body behind the builder's insertion point with rows bounded by \p bound. Returns its result.
FailureOr<Value> inlineFunction(OpBuilder &builder, const SymbolTable &symbols, func::FuncOp function, Value argument,
                                RowBound bound) {
  auto inputRows = getRows(cast<RankedTensorType>(function.getFunctionType().getInput(0)));
  IRMapping mapping;
  mapping.map(function.getArgument(0), argument);
  Block &body = function.getBody().front();
  for (Operation &op : body.without_terminator()) {
    Operation *clone = builder.clone(op, mapping);
    for (Value result : clone->getResults()) {
      auto type = cast<RankedTensorType>(result.getType());
      if (auto read = dyn_cast<ReadStateOp>(clone)) {
        result.setType(symbols.lookup<StateOp>(read.getState()).getType());
      } else if (auto append = dyn_cast<KvAppendOp>(clone)) {
        result.setType(append.getCache().getType());
      } else if (getRows(type) == inputRows) {
        result.setType(bound.apply(type));
      } else if (!type.hasStaticShape() || getRows(type)) {
        op.emitOpError() << "has type " << type << ", expected rows counted by " << inputRows << " or a static shape";
        return failure();
      }
    }
  }
  return mapping.lookup(cast<func::ReturnOp>(body.getTerminator()).getOperand(0));
}

class EntryBuilder {
public:
  EntryBuilder(ModuleOp module, Generator generator, int64_t chunk, int64_t logitsRows)
      : module(module), generator(generator), builder(module.getContext()), symbols(module), logitsRows(logitsRows) {
    auto ids = cast<RankedTensorType>(generator.decoder.getFunctionType().getInput(0));
    auto hidden = cast<RankedTensorType>(generator.decoder.getFunctionType().getResult(0));
    chunkRows = {chunk, getRows(ids)};
    hiddenType = chunkRows.apply(hidden);
  }

  LogicalResult buildPrefill() {
    Location loc = generator.decoder.getLoc();
    Value tokens = beginEntry("prefill", chunkRows.count, "tokens", idsType(chunkRows), loc);
    BeginChunkOp::create(builder, loc, chunkRows.count);
    FailureOr<Value> hidden = inlineFunction(builder, symbols, generator.decoder, tokens, chunkRows);
    if (failed(hidden))
      return failure();
    // Every row's position counts from the chunk's start, so Position moves when all of them are done.
    AdvanceOp::create(builder, loc);
    endEntry("hidden", *hidden);
    return success();
  }

  LogicalResult buildNext(StringRef name, Sampling sampling) {
    Location loc = generator.head.getLoc();
    Value hidden = beginEntry(name, 1, "hidden", hiddenType, loc);
    auto rowType = RankedTensorType::get({1, hiddenType.getDimSize(1)}, hiddenType.getElementType());
    Value row = LastRowOp::create(builder, loc, rowType, hidden);
    return buildHead(row, oneRow, sampling, /*advances=*/false);
  }

  LogicalResult buildDecode(StringRef name, Sampling sampling) {
    Value tokens = beginEntry(name, 1, "tokens", idsType(oneRow), generator.decoder.getLoc());
    FailureOr<Value> hidden = inlineFunction(builder, symbols, generator.decoder, tokens, oneRow);
    if (failed(hidden))
      return failure();
    return buildHead(*hidden, oneRow, sampling, /*advances=*/true);
  }

  LogicalResult buildLogits() {
    Location loc = generator.head.getLoc();
    Value hidden = beginEntry("logits", logitsRows, "hidden", hiddenType, loc);
    RowBound rows = {logitsRows, RowsAttr::get(module.getContext(), builder.getStringAttr("R"))};
    Value taken = HeadRowsOp::create(builder, loc, rows.apply(hiddenType), hidden);
    return buildHead(taken, rows, std::nullopt, /*advances=*/false);
  }

private:
  RankedTensorType idsType(RowBound rows) {
    return rows.apply(cast<RankedTensorType>(generator.decoder.getFunctionType().getInput(0)));
  }

  /// Opens an entry of one argument; its result types follow in endEntry.
  Value beginEntry(StringRef role, int64_t rows, StringRef binding, RankedTensorType argument, Location loc) {
    builder.setInsertionPoint(generator.decoder);
    entry = func::FuncOp::create(builder, loc, role, builder.getFunctionType({argument}, {}));
    entry->setAttr(attrs::role, builder.getStringAttr(role));
    entry->setAttr(attrs::rows, builder.getI64IntegerAttr(rows));
    Block *body = entry.addEntryBlock();
    entry.setArgAttr(0, attrs::binding, builder.getStringAttr(binding));
    builder.setInsertionPointToStart(body);
    return body->getArgument(0);
  }

  void endEntry(StringRef resultName, Value result) {
    func::ReturnOp::create(builder, entry.getLoc(), result);
    entry.setFunctionType(builder.getFunctionType(entry.getArgumentTypes(), {result.getType()}));
    entry.setResultAttr(0, attrs::name, builder.getStringAttr(resultName));
    // A weight may be called "prefill": the entry then gets another symbol, its role stays.
    symbols.insert(entry);
  }

  LogicalResult buildHead(Value hidden, RowBound rows, std::optional<Sampling> sampling, bool advances) {
    FailureOr<Value> logits = inlineFunction(builder, symbols, generator.head, hidden, rows);
    if (failed(logits))
      return failure();
    if (sampling)
      NextTokenOp::create(builder, generator.head.getLoc(), *logits, *sampling, advances);
    endEntry("logits", *logits);
    return success();
  }

  static constexpr RowBound oneRow = {1, {}};

  ModuleOp module;
  Generator generator;
  OpBuilder builder;
  SymbolTable symbols;
  int64_t logitsRows;
  RowBound chunkRows;
  RankedTensorType hiddenType;
  func::FuncOp entry;
};

struct SpecializeEntries : qwen::impl::SpecializeEntriesPassBase<SpecializeEntries> {
  using SpecializeEntriesPassBase::SpecializeEntriesPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Generator> generator = findGenerator(module);
    if (failed(generator) || failed(checkOptions()) || failed(specializeStates()))
      return signalPassFailure();
    EntryBuilder entries(module, *generator, chunk, logitsRows);
    if (failed(entries.buildPrefill()) || failed(entries.buildNext("next_greedy", Sampling::Greedy)) ||
        failed(entries.buildNext("next_sample", Sampling::Sample)) ||
        failed(entries.buildDecode("decode_greedy", Sampling::Greedy)) ||
        failed(entries.buildDecode("decode_sample", Sampling::Sample)) || failed(entries.buildLogits()))
      return signalPassFailure();
    entryCount += 6;
    generator->decoder.erase();
    generator->head.erase();
    module->removeAttr(attrs::decoder);
    module->removeAttr(attrs::head);
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
    for (auto state : getOperation().getOps<StateOp>()) {
      auto type = cast<RankedTensorType>(state.getType());
      if (!type.isDynamicDim(0) && type.getDimSize(0) != context)
        return state.emitOpError() << "holds " << type.getDimSize(0) << " positions, expected a symbol or the context "
                                   << context.getValue();
      SmallVector<int64_t> shape(type.getShape());
      shape[0] = context;
      state.setType(RankedTensorType::get(shape, cacheElement));
    }
    return success();
  }

  /// Cells that count positions and rows are 32 bits wide.
  static constexpr int64_t maxOption = std::numeric_limits<int32_t>::max();
  Type cacheElement;
};

} // namespace
