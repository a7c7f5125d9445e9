//===- Products.cpp - Kernels of matrix products and mixtures of experts ------------------------------------------===//

#include "compiler/Codegen/Conversion/PlanConverter.h"

#include "dialects/qwen/MatrixOperands.h"

using namespace mlir;

namespace qwenc {

namespace {

/// The kernels count experts in workgroup memory and write out a round for each choice of a row.
constexpr int64_t maxExperts = 2048, maxChoices = 64;

LogicalResult checkMixture(Operation *op, int64_t experts, int64_t choices) {
  if (experts > maxExperts)
    return op->emitError("chooses among ") << experts << " experts, expected at most " << maxExperts;
  if (choices > maxChoices)
    return op->emitError("takes ") << choices << " experts for a row, expected at most " << maxChoices;
  return success();
}

/// The choice that this product makes.
qwen::RouteOp joinedRoute(qwen::FusedExpertsOp op) {
  auto route = op.getExperts().getDefiningOp<qwen::RouteOp>();
  return route && route.getJoined() && route.getChoosingProduct() == op ? route : qwen::RouteOp();
}

FoldedShape foldedShape(Value folded, Value residual) {
  auto inner = static_cast<uint32_t>(dimOf(residual, 1));
  return {static_cast<uint32_t>(dimOf(folded, 0)), widthOf(folded.getType()) - inner, inner};
}

/// The router that runs beside this product.
qwen::FoldedRouterOp routerBeside(qwen::FusedLinearOp op) {
  for (Operation *user : op.getInput().getUsers())
    if (auto router = dyn_cast<qwen::FoldedRouterOp>(user); router && router.getProjection() == op)
      return router;
  return {};
}

/// What products with and without experts have in common.
template <typename ProductOp> Linear describeProduct(ProductOp op, const RowBound &rows, const StateBlock &state) {
  Linear linear;
  linear.rows = rows;
  linear.format = layoutOf(op.getWeights().front().getType()).format;
  linear.input = elemOf(op.getInput().getType());
  linear.output = elemOf(op.getResult().getType());
  linear.scaled = isScaledProduct(op);
  linear.eps = op.getEps() ? op.getEps()->convertToDouble() : 0;
  linear.state = state;
  linear.epilogue = &op.getEpilogue();
  return linear;
}

Linear::Extra describeExtra(Value extra, uint32_t columns) {
  auto type = cast<RankedTensorType>(extra.getType());
  bool broadcast = type.getRank() == 1;
  return {broadcast, !broadcast && columns != 1 && type.getDimSize(1) == 1, elemOf(type)};
}

LogicalResult describePrologue(qwen::FusedLinearOp op, Linear &linear) {
  switch (op.getPrologue()) {
  case qwen::Prologue::None:
    return success();
  case qwen::Prologue::RmsNorm:
    linear.prologue = LinearPrologue::RmsNorm;
    break;
  case qwen::Prologue::CombineSplits:
    linear.prologue = LinearPrologue::CombineSplits;
    linear.combineHeads = static_cast<uint32_t>(dimOf(op.getInput(), 0));
    linear.combineSplits = static_cast<uint32_t>(dimOf(op.getInput(), 1));
    break;
  }
  if (linear.rows.max != 1)
    return op.emitError("prologues exist only for one row, found ") << linear.rows.max << " rows";
  return success();
}

/// The row that this product takes from its table.
qwen::EmbeddingOp joinedEmbedding(qwen::FusedLinearOp op) {
  auto row = op.getInput().getDefiningOp<qwen::EmbeddingOp>();
  return row && row.getJoined() && row.getGatheringProduct() == op ? row : qwen::EmbeddingOp();
}

FailureOr<Linear> describe(qwen::FusedLinearOp op, const RowBound &rows, const StateBlock &state) {
  Linear linear = describeProduct(op, rows, state);
  linear.n = widthOf(op.getResult().getType());
  linear.k = static_cast<uint32_t>(dimOf(op.getWeights().front(), 1));
  linear.accumulators = op.getJoin() == qwen::Join::Parallel ? op.getWeights().size() : 1;
  if (failed(describePrologue(op, linear)))
    return failure();
  if (auto patches = op.getInput().getDefiningOp<qwen::TapPatchesOp>()) {
    Value input = patches.getInput();
    linear.input = elemOf(input.getType());
    linear.taps = TapInput{static_cast<uint32_t>(dimOf(input, 0)), static_cast<uint32_t>(dimOf(input, 1)),
                           static_cast<uint32_t>(dimOf(input, 2))};
  }
  for (Value extra : op.getExtras())
    linear.extras.push_back(describeExtra(extra, linear.n));
  if (qwen::EmbeddingOp row = joinedEmbedding(op)) {
    linear.gathered = static_cast<uint32_t>(dimOf(row.getTable(), 0));
    linear.input = Elem::BF16;
  }
  if (qwen::FoldedRouterOp router = routerBeside(op))
    linear.router = foldedShape(router.getFolded(), router.getResidual());
  return linear;
}

/// Rows are sorted by expert exactly where there are several.
LogicalResult checkGroups(qwen::FusedExpertsOp op, const RowBound &rows) {
  if (op.getTiles() && !op.getTiles().getDefiningOp<qwen::GroupExpertsOp>())
    return op.emitError("takes groups from elsewhere, expected them from qwen.group_experts");
  bool oneRow = rows.max == 1 && !rows.cellOffset;
  if (oneRow == (op.getTiles() && dimOf(op.getTiles(), 0) > 0))
    return op.emitError("has ") << (oneRow ? "grouped choices of one row" : "many rows without grouped choices")
                                << "; run qwen-group-experts on what was not grouped before";
  return success();
}

Linear describe(qwen::FusedExpertsOp op, const RowBound &rows, const StateBlock &state) {
  Linear linear = describeProduct(op, rows, state);
  Value weights = op.getWeights().front();
  linear.n = static_cast<uint32_t>(dimOf(weights, 1));
  linear.k = static_cast<uint32_t>(dimOf(weights, 2));
  linear.accumulators = op.getWeights().size();
  linear.prologue = op.getNormWeight() ? LinearPrologue::RmsNorm : LinearPrologue::None;
  linear.extras.assign(op.getExtras().size(), {});
  Experts &experts = linear.experts.emplace();
  experts.count = static_cast<uint32_t>(dimOf(weights, 0));
  experts.choices = widthOf(op.getExperts().getType());
  experts.ownInput = cast<RankedTensorType>(op.getInput().getType()).getRank() == 3;
  experts.sum = op.getRouteWeights() != nullptr;
  if (qwen::RouteOp route = joinedRoute(op))
    linear.route = Route{experts.choices, route.getNormalize(), route.getFolded()};
  if (op.getTiles()) {
    experts.tiles = dimOf(op.getTiles(), 0);
    experts.tile = op.getTiles().getDefiningOp<qwen::GroupExpertsOp>().getTile();
  }
  return linear;
}

Work workOf(const Linear &linear) {
  int64_t choices = linear.experts ? int64_t(linear.rows.max) * linear.experts->choices : 1;
  int64_t read = linear.experts ? std::min<int64_t>(choices, linear.experts->count) : 1;
  int64_t products = int64_t(linear.accumulators) * linear.n * linear.k;
  int64_t besideBytes = linear.router     ? int64_t(linear.router->bytes())
                        : linear.gathered ? int64_t(weightBytes(1, linear.k))
                                          : 0;
  return {.readBytes = int64_t(read * linear.accumulators * linear.weights().bytes(linear.n)) + besideBytes,
          .flops = 2 * products * (linear.experts ? choices : linear.rows.max)};
}

KernelPlan linearKernel(const Linear &linear, const TargetProfile &target) {
  if (linear.rows.max == 1 && !linear.taps)
    return vectorLinearKernel(linear, target);
  FailureOr<KernelPlan> onMatrices = matrixLinearKernel(linear, target);
  return succeeded(onMatrices) ? *onMatrices : tileLinearKernel(linear, target);
}

} // namespace

//===------------------------------------------------------------------------------------------------------------===//
// Dense products
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult PlanConverter::lower(qwen::FusedLinearOp op) {
  Location loc = op.getLoc();
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  FailureOr<Linear> linear = describe(op, *rows, state);
  if (failed(linear))
    return failure();
  SmallVector<Value> operands;
  qwen::EmbeddingOp row = joinedEmbedding(op);
  if (auto patches = op.getInput().getDefiningOp<qwen::TapPatchesOp>())
    operands = {range(patches.getInput()), range(patches.getTaps())};
  else if (!row)
    operands = {range(op.getInput())};
  else if (failed(appendWeights(loc, {row.getTable()}, operands)))
    return failure();
  if (failed(appendWeights(loc, {op.getNormWeight()}, operands)))
    return failure();
  if (linear->needsState())
    operands.push_back(stateRef(loc));
  if (failed(appendFactors(op, linear->accumulators, operands)))
    return failure();
  for (Value extra : op.getExtras()) {
    if (!isa_and_present<qwen::WeightOp, qwen::WeightStackOp>(extra.getDefiningOp()))
      operands.push_back(range(extra));
    else if (failed(appendWeights(loc, {extra}, operands)))
      return failure();
  }
  operands.push_back(destination(op.getResult()));
  if (row)
    operands.push_back(destination(row.getResult()));
  if (qwen::FoldedRouterOp router = routerBeside(op))
    operands.append({range(router.getFolded()), destination(router.getLogits())});
  return dispatch(loc, linearKernel(*linear, target), operands, workOf(*linear));
}

/// The weights of each accumulator: those that stand side by side are one.
LogicalResult PlanConverter::appendFactors(qwen::FusedLinearOp op, unsigned accumulators,
                                           SmallVectorImpl<Value> &operands) {
  SmallVector<ValueRange> groups;
  if (op.getJoin() == qwen::Join::Concat)
    groups.push_back(op.getWeights());
  else
    for (unsigned i = 0; i < accumulators; ++i)
      groups.push_back(op.getWeights().slice(i, 1));
  for (ValueRange group : groups) {
    // A weight whose axes were swapped lies in the arena.
    FailureOr<Value> weight = group.size() == 1 && range(group[0]) ? range(group[0]) : weightRange(op.getLoc(), group);
    if (failed(weight))
      return failure();
    operands.push_back(*weight);
  }
  return success();
}

//===------------------------------------------------------------------------------------------------------------===//
// Mixtures of experts
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult PlanConverter::lower(qwen::RouteOp op) {
  uint32_t experts = widthOf(op.getLogits().getType()), choices = widthOf(op.getWeights().getType());
  if (failed(checkMixture(op, experts, choices)))
    return failure();
  if (op.getJoined())
    return success();
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getLogits());
  if (failed(rows))
    return failure();
  return dispatchRows(routeKernel(*rows, experts, choices, op.getNormalize(), state, target), *rows,
                      {range(op.getLogits())}, {op.getWeights(), op.getExperts()});
}

LogicalResult PlanConverter::lower(qwen::FoldLinearsOp op) {
  FoldedShape shape = foldedShape(op.getResult(), op.getOuter());
  WeightLayout layout = layoutOf(op.getInner().getType());
  if (!shape.hasWholeFours())
    return op.emitError("has ") << shape.input << " and " << shape.residual
                                << " elements in a row, expected multiples of 4";
  SmallVector<Value> operands;
  if (failed(appendWeights(op.getLoc(), {op.getOuter(), op.getNormWeight(), op.getInner()}, operands)))
    return failure();
  operands.push_back(range(op.getState()));
  ranges[op.getResult()] = operands.back();
  return dispatch(op.getLoc(), foldLinearsKernel(shape, layout.format, target), operands,
                  {.readBytes = int64_t(layout.bytes(shape.residual)),
                   .flops = int64_t(2) * shape.outputs * shape.input * shape.residual});
}

/// The projection's kernel computes it.
LogicalResult PlanConverter::lower(qwen::FoldedRouterOp op) {
  FoldedShape shape = foldedShape(op.getFolded(), op.getResidual());
  if (!shape.hasWholeFours() || !target.subgroupSize)
    return op.emitError("has ") << shape.input << " and " << shape.residual << " elements in a row"
                                << ", expected multiples of 4 and a target with a known size of subgroups";
  if (!op.getProjection())
    return op.emitError("stands beside no product, expected a qwen.fused_linear of its input and residual behind it");
  return success();
}

LogicalResult PlanConverter::lower(qwen::GroupExpertsOp op) {
  uint32_t choices = widthOf(op.getExperts().getType());
  if (failed(checkMixture(op, op.getCount(), choices)))
    return failure();
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getExperts());
  if (failed(rows))
    return failure();
  KernelPlan plan =
      groupExpertsKernel(*rows, op.getCount(), choices, op.getTile(), dimOf(op.getTiles(), 0), state, target);
  return dispatchRows(plan, *rows, {range(op.getExperts())}, {op.getOrder(), op.getTiles()});
}

LogicalResult PlanConverter::lower(qwen::WeightedSumOp op) {
  uint32_t choices = widthOf(op.getWeights().getType());
  if (failed(checkMixture(op, 0, choices)))
    return failure();
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getResult());
  if (failed(rows))
    return failure();
  return dispatchRows(weightedSumKernel(*rows, choices, widthOf(op.getResult().getType()), state, target), *rows,
                      {range(op.getInput()), range(op.getWeights())}, {op.getResult()});
}

LogicalResult PlanConverter::lower(qwen::FusedExpertsOp op) {
  Location loc = op.getLoc();
  if (failed(checkMixture(op, dimOf(op.getWeights().front(), 0), widthOf(op.getExperts().getType()))))
    return failure();
  FailureOr<RowBound> rows = rowsOf(op.getLoc(), op.getExperts());
  if (failed(rows) || failed(checkGroups(op, *rows)))
    return failure();
  Linear linear = describe(op, *rows, state);
  SmallVector<Value> operands{range(op.getInput())};
  if (failed(appendWeights(loc, {op.getNormWeight()}, operands)))
    return failure();
  if (linear.needsState())
    operands.push_back(stateRef(loc));
  qwen::RouteOp route = joinedRoute(op);
  operands.push_back(range(route ? route.getLogits() : op.getExperts()));
  if (op.getRouteWeights())
    operands.push_back(range(op.getRouteWeights()));
  if (op.getTiles())
    operands.append({range(op.getOrder()), range(op.getTiles())});
  if (failed(appendWeights(loc, llvm::to_vector(op.getWeights()), operands)))
    return failure();
  for (Value extra : op.getExtras())
    operands.push_back(range(extra));
  operands.push_back(destination(op.getResult()));
  if (route)
    operands.append({destination(route.getWeights()), destination(route.getExperts())});
  return dispatch(loc, linearKernel(linear, target), operands, workOf(linear));
}

} // namespace qwenc
