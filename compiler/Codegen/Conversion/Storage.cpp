//===- Storage.cpp - What a module holds: states, cells, weights, kernels ----------------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"

using namespace mlir;

namespace qwenc {

namespace layout = plan::layout;

namespace {

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

/// Cells of one number that every sequence has.
struct FixedCell {
  const char *kind;
  int64_t offset;
};
constexpr FixedCell fixedCells[] = {{"position", layout::kPosition},
                                    {"length", layout::kLength},
                                    {"rows", layout::kRows},
                                    {"head_row", layout::kHeadRow},
                                    {"head_rows", layout::kHeadRows},
                                    {"step", layout::kStep},
                                    {"seed", layout::kSeed},
                                    {"temperature", layout::kTemperature},
                                    {"top_k", layout::kTopK},
                                    {"top_p", layout::kTopP},
                                    {"repetition_penalty", layout::kRepetitionPenalty}};

} // namespace

std::string ofSequence(StringRef name, int64_t number) {
  return number ? (name + "." + Twine(number)).str() : name.str();
}

int64_t sequenceOf(func::FuncOp entry) {
  auto number = entry->getAttrOfType<IntegerAttr>(qwen::attrs::sequence);
  return number ? number.getInt() : 0;
}

LogicalResult PlanConverter::declareStorage() {
  for (auto parameter : module.getOps<qwen::ParameterOp>())
    parameters[parameter.getSymName()] = parameter;
  if (failed(readStates()))
    return failure();
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

LogicalResult PlanConverter::readStates() {
  for (auto stateOp : module.getOps<qwen::StateOp>()) {
    auto type = cast<RankedTensorType>(stateOp.getType());
    if (!type.hasStaticShape())
      return stateOp.emitError("state has no static shape; run qwen-specialize-entries first");
    if (stateOp.getDerived()) {
      storage(module.getLoc(), stateStorage(stateOp.getSymName()), plan::Purpose::Derived, bytesOf(type));
      continue;
    }
    state.maxContext = static_cast<uint32_t>(type.getDimSize(0));
    states[stateOp.getSymName()] = type;
  }
  if (auto context = module->getAttrOfType<IntegerAttr>(qwen::attrs::maxContext))
    state.maxContext = static_cast<uint32_t>(context.getInt());
  if (state.maxContext == 0)
    return module.emitError("the module has neither states nor qwen.max_context; run qwen-specialize-entries first");
  return success();
}

int64_t PlanConverter::sequenceCount() {
  int64_t count = 1;
  for (auto entry : module.getOps<func::FuncOp>())
    count = std::max(count, sequenceOf(entry) + 1);
  return count;
}

void PlanConverter::declareCells(Location loc, int64_t number) {
  const std::string in = ofSequence(kState, number);
  auto cell = [&](StringRef kind, StringRef storage, int64_t offset, int64_t count = 1) {
    plan::CellOp::create(declarations, loc, b.getStringAttr(kind), FlatSymbolRefAttr::get(b.getContext(), storage),
                         b.getI64IntegerAttr(offset), b.getI64IntegerAttr(count), b.getI64IntegerAttr(number));
  };
  for (auto [kind, offset] : fixedCells)
    cell(kind, in, offset);
  const int64_t tokens = layout::tokenCount(state.maxContext);
  cell("tokens", in, layout::kTokens, tokens);
  if (hasBinding("tensor", number))
    cell("extents", in, layout::extents(state.maxContext), layout::kExtentCount);
  if (hasBinding("positions", number)) {
    cell("position_delta", in, layout::kPositionDelta);
    cell("rotary_positions", in, layout::rotaryPositions(state.maxContext), 3 * tokens);
  }
  if (hasBinding("media_rows", number))
    cell("media_rows", in, layout::mediaRows(state.maxContext), tokens);
  if (hasBinding("buffer", number))
    cell("text_rows", in, layout::kTextRows);
  cell("sampled", ofSequence(kMailbox, number), layout::kSampled, layout::kSampledCount);
}

bool PlanConverter::hasBinding(StringRef binding, int64_t number) {
  for (auto entry : module.getOps<func::FuncOp>())
    for (unsigned i = 0; sequenceOf(entry) == number && i < entry.getNumArguments(); ++i)
      if (auto found = entry.getArgAttrOfType<StringAttr>(i, qwen::attrs::binding);
          found && found.getValue() == binding)
        return true;
  return false;
}

void PlanConverter::storage(Location loc, StringRef name, plan::Purpose purpose, int64_t bytes) {
  if (!storages.insert(name).second)
    return;
  plan::StorageOp::create(declarations, loc, b.getStringAttr(name), plan::PurposeAttr::get(b.getContext(), purpose),
                          b.getI64IntegerAttr(bytes), FlatSymbolRefAttr(), IntegerAttr());
}

FailureOr<FlatSymbolRefAttr> PlanConverter::weight(Operation *op, StringRef name) {
  auto found = parameters.find(name);
  if (found == parameters.end())
    return op->emitError("no qwen.parameter of this name"), failure();
  std::string symbol = "weight." + name.str();
  if (weights.insert(symbol).second)
    declareWeight(found->second, symbol);
  return FlatSymbolRefAttr::get(b.getContext(), symbol);
}

void PlanConverter::declareWeight(qwen::ParameterOp parameter, StringRef symbol) {
  auto type = cast<RankedTensorType>(parameter.getType());
  int64_t width = storedWidth(type);
  int64_t rows = type.getNumElements() / width;
  std::optional<int64_t> layer = layerOf(parameter.getSymName());
  WeightLayout layout = layoutOf(type);
  bool isPacked = layout.format != WeightFormat::BF16;
  plan::WeightOp::create(declarations, parameter.getLoc(), b.getStringAttr(symbol),
                         b.getI64IntegerAttr(parameter.getFile()), b.getI64IntegerAttr(parameter.getOffset()),
                         b.getI64IntegerAttr(rows), b.getI64IntegerAttr(width * 2),
                         b.getI64IntegerAttr(layout.pitchBytes()),
                         isPacked ? b.getStringAttr(weightFormatName(layout.format)) : StringAttr(),
                         layer ? b.getI64IntegerAttr(*layer) : IntegerAttr(), FlatSymbolRefAttr(), IntegerAttr());
}

LogicalResult PlanConverter::kernel(Location loc, const KernelPlan &plan) {
  if (!kernels.insert(plan.name).second)
    return success();
  KernelBuilder k(b.getContext(), UnknownLoc::get(b.getContext()), plan.name, plan.workgroup, target);
  if (failed(plan.emit(k)))
    return emitError(loc) << "kernel " << plan.name << " could not be written";
  k.finish(declarations);
  return success();
}

} // namespace qwenc
