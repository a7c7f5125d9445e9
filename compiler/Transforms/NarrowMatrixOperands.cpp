//===- NarrowMatrixOperands.cpp - 16-bit storage for what only feeds matrix units ---------------------------------===//

#include "compiler/Transforms/ElementwiseTree.h"
#include "compiler/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_NARROWMATRIXOPERANDSPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// Whether \p product makes the logits of a router: a rounded logit could change the choice, so that one stays f32.
bool isRouter(FusedLinearOp product) {
  return llvm::any_of(product->getUsers(), [](Operation *user) { return isa<RouteOp>(user); });
}

/// Whether \p use is the input of a product that takes 16 bits.
bool isMatrixOperand(OpOperand &use) {
  if (auto product = dyn_cast<FusedLinearOp>(use.getOwner()))
    return &use == &product.getInputMutable() && product.getPrologue() == Prologue::None && !isRouter(product);
  auto experts = dyn_cast<FusedExpertsOp>(use.getOwner());
  return experts && &use == &experts.getInputMutable() && !experts.getNormWeight();
}

/// The region that computes an element of the result of a product or elementwise step.
Region &bodyOf(Operation *op) { return op->getRegion(0); }

/// Products are stored at this scale: f16 then reaches to 4 million, and keeps all its bits down to 0.004.
constexpr double kProductScale = 1.0 / 64, kLargestF16 = 65504;

/// \p body yields its value at \p scale, within the range of f16.
void scaleResult(Region &body, double scale) {
  auto yield = cast<YieldOp>(body.front().getTerminator());
  OpBuilder builder(yield);
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(builder, yield.getLoc(), builder.getF32FloatAttr(static_cast<float>(value)));
  };
  Value scaled = yield.getValue();
  if (scale != 1)
    scaled = arith::MulFOp::create(builder, yield.getLoc(), scaled, constant(scale));
  scaled = arith::MinimumFOp::create(builder, yield.getLoc(), scaled, constant(kLargestF16));
  scaled = arith::MaximumFOp::create(builder, yield.getLoc(), scaled, constant(-kLargestF16));
  yield.getValueMutable().assign(scaled);
}

/// \p body takes accumulators of an input at kProductScale.
void scaleAccumulators(Region &body, size_t accumulators) {
  OpBuilder builder = OpBuilder::atBlockBegin(&body.front());
  Location loc = body.getLoc();
  for (BlockArgument sum : body.getArguments().take_front(accumulators)) {
    Value scale =
        arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(static_cast<float>(1 / kProductScale)));
    auto scaled = arith::MulFOp::create(builder, loc, sum, scale);
    sum.replaceAllUsesExcept(scaled, scaled);
  }
}

size_t accumulatorsOf(Operation *product) {
  auto linear = dyn_cast<FusedLinearOp>(product);
  return linear && linear.getJoin() == Join::Concat ? 1
         : linear                                   ? linear.getWeights().size()
                                                    : cast<FusedExpertsOp>(product).getWeights().size();
}

/// Whether products alone read \p value, as their input, perhaps through operations that only move elements. Fills
/// \p views with those, and \p products.
bool feedsOnlyProducts(Value value, SmallVectorImpl<Value> &views, SetVector<Operation *> &products) {
  SmallVector<Value> work = {value};
  while (!work.empty()) {
    for (OpOperand &use : work.pop_back_val().getUses()) {
      if (isMatrixOperand(use)) {
        products.insert(use.getOwner());
        continue;
      }
      if (!isa<ReshapeOp, TapPatchesOp, SwapAxesOp>(use.getOwner()))
        return false;
      Value view = use.getOwner()->getResult(0);
      views.push_back(view);
      work.push_back(view);
    }
  }
  return true;
}

/// The values from the operation that makes \p heads to the attention that alone reads them, if that operation can
/// store 16 bits: its kernel clamps to the range of f16. Else none.
SmallVector<Value> headsOfAttention(Value heads) {
  SmallVector<Value> values;
  for (Value value = heads; value.hasOneUse();) {
    values.push_back(value);
    Operation *op = value.getDefiningOp();
    if (!isa_and_present<ReshapeOp>(op))
      return isa_and_present<AxialRopeOp, SliceOp>(op) ? values : SmallVector<Value>();
    value = op->getOperand(0);
  }
  return {};
}

/// The product of which \p heads are all that is read: it can store 16 bits itself, and nothing is left to copy.
FusedLinearOp productOfHeads(ArrayRef<Value> heads) {
  FusedLinearOp product;
  for (Value value : heads) {
    auto slice = value.getDefiningOp<SliceOp>();
    if (!slice)
      continue;
    auto from = slice.getInput().getDefiningOp<FusedLinearOp>();
    if (!from || (product && from != product))
      return {};
    product = from;
  }
  bool isReadAsHeadsOnly = product && llvm::all_of(product->getUsers(), [&](Operation *user) {
                             return user->getNumResults() == 1 && llvm::is_contained(heads, user->getResult(0));
                           });
  return isReadAsHeadsOnly ? product : FusedLinearOp();
}

/// Whether the values of \p op stay in the range of f16 whatever the model: a normalised row by its norm's weights,
/// attention by the values it weighs, which are f16 already.
bool isBounded(Operation *op) {
  auto attention = dyn_cast<AttentionOp>(op);
  return isa<RmsNormOp>(op) ||
         (attention && cast<RankedTensorType>(attention.getValues().getType()).getElementType().isF16());
}

struct NarrowMatrixOperands : qwen::impl::NarrowMatrixOperandsPassBase<NarrowMatrixOperands> {
  using NarrowMatrixOperandsPassBase::NarrowMatrixOperandsPassBase;

  void runOnOperation() override {
    // A waveform shows what 16 bits lose, and its products are few.
    if (!getOperation().getOps<CausalConv1dOp>().empty() || getOperation()->hasAttr(attrs::exact))
      return;
    // Three bits more cost a conversion of every weight. They are worth it where a rounding can change a choice.
    bool precise = false;
    getOperation().walk([&](RouteOp) { precise = f16; });
    getOperation().walk([&](RmsNormOp norm) { splitNorm(norm); });
    getOperation().walk([&](SegmentAttentionOp attention) { narrowHeads(attention); });
    for (BlockArgument argument : getOperation().getArguments()) {
      auto binding = getOperation().getArgAttrOfType<StringAttr>(argument.getArgNumber(), attrs::binding);
      if (binding && binding.getValue() == "tensor")
        copyArgument(argument);
    }
    getOperation().walk([&](Operation *op) {
      if (!isa<RmsNormOp, LayerNormOp, AttentionOp, SegmentAttentionOp, FusedLinearOp, FusedExpertsOp, ElementwiseOp>(
              op) ||
          op->use_empty())
        return;
      Value result = op->getResult(0);
      auto type = cast<RankedTensorType>(result.getType());
      bool hasManyRows = getRows(type) || type.getRank() == 0 || type.getDimSize(0) != 1;
      SmallVector<Value> views;
      SetVector<Operation *> products;
      if (!type.getElementType().isF32() || !hasManyRows || !feedsOnlyProducts(result, views, products))
        return;
      views.push_back(result);
      bool takesF16 = precise && (isBounded(op) || op->getNumRegions() == 1);
      if (takesF16 && !isBounded(op)) {
        scaleResult(bodyOf(op), kProductScale);
        for (Operation *product : products)
          scaleAccumulators(bodyOf(product), accumulatorsOf(product));
      }
      Type narrow = takesF16 ? Type(Float16Type::get(&getContext())) : BFloat16Type::get(&getContext());
      for (Value value : views)
        value.setType(cast<RankedTensorType>(value.getType()).clone(narrow));
      ++narrowedCount;
    });
  }

  /// What callers give stays f32; products of many rows take a copy, which can be narrow.
  void copyArgument(BlockArgument argument) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    auto isInput = [](OpOperand &use) { return isa<FusedLinearOp>(use.getOwner()) && isMatrixOperand(use); };
    if (!type || !type.getElementType().isF32() || !getRows(type) || llvm::none_of(argument.getUses(), isInput))
      return;
    OpBuilder builder = OpBuilder::atBlockBegin(argument.getOwner());
    auto copy = ElementwiseOp::create(builder, argument.getLoc(), type, ValueRange(argument));
    buildBody(builder, argument.getLoc(), copy.getBody(), 1,
              [](OpBuilder &, Block &block) { return block.getArgument(0); });
    argument.replaceUsesWithIf(copy.getResult(), isInput);
  }

  /// Queries, keys and values have one type, so that all of them can be narrow or none.
  void narrowHeads(SegmentAttentionOp attention) {
    SmallVector<Value> values;
    for (Value heads : {attention.getQuery(), attention.getKeys(), attention.getValues()}) {
      SmallVector<Value> path = headsOfAttention(heads);
      if (path.empty())
        return;
      values.append(path);
    }
    if (FusedLinearOp product = productOfHeads(values)) {
      if (f16)
        scaleResult(product.getEpilogue(), 1);
      values.push_back(product.getResult());
    }
    Type narrow = f16 ? Type(Float16Type::get(&getContext())) : BFloat16Type::get(&getContext());
    for (Value value : values)
      value.setType(cast<RankedTensorType>(value.getType()).clone(narrow));
    narrowedCount += 3;
  }

  /// A norm that a router and matrix units read is computed twice: once more is cheaper than a router without them.
  void splitNorm(RmsNormOp norm) {
    auto isNarrow = [](OpOperand &use) { return isMatrixOperand(use); };
    if (llvm::none_of(norm->getUses(), isNarrow) || llvm::all_of(norm->getUses(), isNarrow))
      return;
    bool routed = llvm::any_of(norm->getUsers(), [](Operation *user) {
      auto product = dyn_cast<FusedLinearOp>(user);
      return product && isRouter(product);
    });
    if (!routed)
      return;
    OpBuilder builder(norm);
    Operation *copy = builder.clone(*norm);
    norm.getResult().replaceUsesWithIf(copy->getResult(0), isNarrow);
  }
};

} // namespace
