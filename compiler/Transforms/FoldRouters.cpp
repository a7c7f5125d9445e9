//===- FoldRouters.cpp - Routers that do not wait for the row they read ------------------------------------------===//

#include "compiler/Transforms/Passes.h"
#include "dialects/qwen/EntryRoles.h"
#include "dialects/qwen/QwenDialect.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FOLDROUTERSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

int64_t dimOf(Value value, unsigned dim) { return cast<RankedTensorType>(value.getType()).getDimSize(dim); }

/// Whether the body gives its first argument back, after adding the second one if it has two.
bool isSum(Region &body) {
  Block &block = body.front();
  Value result = block.getTerminator()->getOperand(0);
  if (block.getNumArguments() == 1)
    return result == block.getArgument(0);
  auto add = result.getDefiningOp<arith::AddFOp>();
  return block.getNumArguments() == 2 && add &&
         (add.getLhs() == block.getArgument(0) || add.getRhs() == block.getArgument(0)) &&
         (add.getLhs() == block.getArgument(1) || add.getRhs() == block.getArgument(1));
}

/// A router behind the product whose result, added to a residual, it reads through a norm.
struct RouterChain {
  RouteOp route;
  FusedLinearOp router, projection;
  WeightOp outer, norm, inner;

  Value residual() { return projection.getExtras()[0]; }
  int64_t experts() { return dimOf(outer.getValue(), 0); }
  int64_t width() { return dimOf(inner.getValue(), 1) + dimOf(outer.getValue(), 1); }
  /// What is read more in every step: the folded matrix is f32 and wider.
  int64_t extraBytes() { return experts() * (width() * 4 - dimOf(outer.getValue(), 1) * 2); }
};

/// One weight and no other extras than \p extras.
WeightOp onlyWeight(FusedLinearOp linear, size_t extras) {
  if (!linear || linear.getWeights().size() != 1 || linear.getExtras().size() != extras || !isSum(linear.getEpilogue()))
    return {};
  return linear.getWeights()[0].getDefiningOp<WeightOp>();
}

/// The chain in front of \p route, or one without route if there is something else.
RouterChain chainOf(RouteOp route) {
  RouterChain chain;
  FusedExpertsOp product = route.getJoined() && !route.getFolded() ? route.getChoosingProduct() : FusedExpertsOp();
  chain.router = route.getLogits().getDefiningOp<FusedLinearOp>();
  chain.outer = onlyWeight(chain.router, 0);
  if (!product || !chain.outer || !route.getLogits().hasOneUse() || chain.router.getPrologue() != Prologue::RmsNorm)
    return {};
  // The weights of the choice are computed where the same norm is.
  if (product.getInput() != chain.router.getInput() || product.getNormWeight() != chain.router.getNormWeight() ||
      product.getEps() != chain.router.getEps())
    return {};
  chain.norm = chain.router.getNormWeight().getDefiningOp<WeightOp>();
  chain.projection = chain.router.getInput().getDefiningOp<FusedLinearOp>();
  chain.inner = onlyWeight(chain.projection, 1);
  if (!chain.norm || !chain.inner || chain.projection.getPrologue() == Prologue::RmsNorm ||
      chain.residual().getType() != chain.projection.getResult().getType())
    return {};
  auto input = cast<RankedTensorType>(chain.projection.getInput().getType());
  int64_t elements = input.getRank() == 3 ? input.getDimSize(2) - 2 : input.getDimSize(1);
  bool inFours = elements % 4 == 0 && dimOf(chain.outer.getValue(), 1) % 4 == 0;
  if (!inFours || !input.getElementType().isF32() ||
      !cast<RankedTensorType>(chain.residual().getType()).getElementType().isF32())
    return {};
  chain.route = route;
  return chain;
}

struct FoldRouters : qwen::impl::FoldRoutersPassBase<FoldRouters> {
  using FoldRoutersPassBase::FoldRoutersPassBase;

  void runOnOperation() override {
    SmallVector<RouteOp> routes;
    getOperation().walk([&](RouteOp route) { routes.push_back(route); });
    for (RouteOp route : routes)
      if (RouterChain chain = chainOf(route);
          chain.route && double(chain.extraBytes()) / readBytesPerNs < stepOverheadNs)
        fold(chain);
  }

private:
  void fold(RouterChain &chain) {
    StateOp state = foldedState(chain);
    OpBuilder builder(chain.projection);
    Location loc = chain.router.getLoc();
    Value folded = ReadStateOp::create(builder, loc, state.getType(), state.getSymName());
    Value logits = FoldedRouterOp::create(builder, loc, chain.router.getResult().getType(), chain.projection.getInput(),
                                          chain.residual(), folded);
    chain.route.getLogitsMutable().assign(logits);
    chain.route.setFolded(true);
    chain.router.erase();
    ++foldedCount;
  }

  /// The state that holds the folded weights: entries with the same layer share it.
  StateOp foldedState(RouterChain &chain) {
    SymbolTable symbols(getOperation());
    std::string name = ("folded(" + chain.outer.getParameter() + "," + chain.norm.getParameter() + "," +
                        chain.inner.getParameter() + ")")
                           .str();
    if (auto found = symbols.lookup<StateOp>(name))
      return found;
    OpBuilder builder = OpBuilder::atBlockBegin(getOperation().getBody());
    auto type = RankedTensorType::get({chain.experts(), chain.width()}, builder.getF32Type());
    auto state = StateOp::create(builder, chain.router.getLoc(), name, type, /*fixed=*/false, /*derived=*/true);
    func::FuncOp prepare = prepareEntry(symbols);
    builder.setInsertionPoint(prepare.getBody().front().getTerminator());
    Location loc = chain.router.getLoc();
    Value place = ReadStateOp::create(builder, loc, type, name);
    auto clone = [&](WeightOp weight) { return cast<WeightOp>(builder.clone(*weight)).getValue(); };
    Value outer = clone(chain.outer), norm = clone(chain.norm), inner = clone(chain.inner);
    FoldLinearsOp::create(builder, loc, type, place, outer, norm, inner);
    return state;
  }

  func::FuncOp prepareEntry(SymbolTable &symbols) {
    for (auto entry : getOperation().getOps<func::FuncOp>())
      if (auto role = entry->getAttrOfType<StringAttr>(attrs::role); role && role.getValue() == roles::prepare)
        return entry;
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    Location loc = getOperation().getLoc();
    auto prepare = func::FuncOp::create(builder, loc, roles::prepare, builder.getFunctionType({}, {}));
    prepare->setAttr(attrs::role, builder.getStringAttr(roles::prepare));
    prepare->setAttr(attrs::rows, builder.getI64IntegerAttr(1));
    symbols.insert(prepare); // under another name, if a weight has this one
    builder.setInsertionPointToStart(prepare.addEntryBlock());
    func::ReturnOp::create(builder, loc);
    return prepare;
  }
};

} // namespace
