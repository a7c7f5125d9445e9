//===- ElementwiseTree.cpp - Maximal trees of elementwise operations --------------------------------------------===//

#include "compiler/Transforms/ElementwiseTree.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace mlir::qwen;

bool mlir::qwen::isElementwise(Operation *op) {
  return isa_and_present<SiluOp, GeluOp, MulOp, AddOp, SigmoidOp, ScaleRowsOp, ScaleOp, ClampOp>(op);
}

bool ElementwiseTree::isOnlyReaderOf(Value value) const {
  return llvm::all_of(value.getUsers(), [&](Operation *user) { return llvm::is_contained(ops, user); });
}

namespace {

/// Grows one tree from its root towards its leaves. An operation joins when its last reader has joined.
class TreeBuilder {
public:
  TreeBuilder(Operation *root, size_t maxLeaves) : maxLeaves(maxLeaves) {
    tree.root = root;
    join(root);
  }

  ElementwiseTree take() && {
    for (size_t next = 0; next < candidates.size(); ++next)
      if (fits(candidates[next]))
        join(candidates[next]);
    llvm::sort(tree.ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    for (Operation *op : tree.ops)
      for (Value operand : op->getOperands())
        if (!joined.contains(operand.getDefiningOp()))
          tree.leaves.insert(operand);
    return std::move(tree);
  }

private:
  void join(Operation *op) {
    joined.insert(op);
    tree.ops.push_back(op);
    leaves.remove(op->getResult(0));
    for (Value operand : op->getOperands()) {
      leaves.insert(operand);
      Operation *definition = operand.getDefiningOp();
      if (!isElementwise(definition) || definition->getBlock() != op->getBlock() ||
          operand.getType() != op->getResult(0).getType())
        continue;
      auto [count, isNew] = unseenUses.try_emplace(definition, 0);
      if (isNew)
        count->second = std::distance(operand.use_begin(), operand.use_end());
      if (--count->second == 0)
        candidates.push_back(definition);
    }
  }

  bool fits(Operation *op) const {
    size_t added = llvm::count_if(SetVector<Value>(op->operand_begin(), op->operand_end()),
                                  [&](Value operand) { return !leaves.contains(operand); });
    return tree.ops.size() < maxTreeOps && leaves.size() - 1 + added <= maxLeaves;
  }

  size_t maxLeaves;
  ElementwiseTree tree;
  SetVector<Value> leaves;
  SmallVector<Operation *> candidates;
  DenseMap<Operation *, int64_t> unseenUses;
  DenseSet<Operation *> joined;
};

} // namespace

SmallVector<ElementwiseTree> mlir::qwen::collectElementwiseTrees(Block &block, size_t maxLeaves) {
  SmallVector<ElementwiseTree> trees;
  DenseSet<Operation *> claimed;
  for (Operation &op : llvm::reverse(block)) {
    if (!isElementwise(&op) || claimed.contains(&op))
      continue;
    trees.push_back(TreeBuilder(&op, maxLeaves).take());
    claimed.insert(trees.back().ops.begin(), trees.back().ops.end());
  }
  std::reverse(trees.begin(), trees.end());
  return trees;
}

/// x / 2 (1 + erf(x / sqrt 2)), or x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
static Value buildGelu(OpBuilder &builder, GeluOp op, Value x) {
  Location loc = op.getLoc();
  auto constant = [&](double value) -> Value {
    return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(static_cast<float>(value)));
  };
  auto mul = [&](Value a, Value b) -> Value { return arith::MulFOp::create(builder, loc, a, b); };
  Value inner;
  if (op.getTanh()) {
    Value cube = mul(mul(x, x), mul(x, constant(0.044715)));
    Value sum = arith::AddFOp::create(builder, loc, x, cube);
    inner = math::TanhOp::create(builder, loc, mul(sum, constant(std::sqrt(2 / std::numbers::pi))));
  } else {
    inner = math::ErfOp::create(builder, loc, mul(x, constant(std::sqrt(0.5))));
  }
  Value factor = arith::AddFOp::create(builder, loc, inner, constant(1));
  return mul(mul(x, constant(0.5)), factor);
}

static Value buildScalar(OpBuilder &builder, Operation *op, ValueRange operands) {
  Location loc = op->getLoc();
  if (isa<MulOp, ScaleRowsOp, ScaleOp>(op))
    return arith::MulFOp::create(builder, loc, operands[0], operands[1]);
  if (isa<AddOp>(op))
    return arith::AddFOp::create(builder, loc, operands[0], operands[1]);
  if (auto gelu = dyn_cast<GeluOp>(op))
    return buildGelu(builder, gelu, operands[0]);
  if (auto clamp = dyn_cast<ClampOp>(op)) {
    auto constant = [&](double value) -> Value {
      return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(static_cast<float>(value)));
    };
    double limit = clamp.getLimit().convertToDouble();
    Value below = arith::MinimumFOp::create(builder, loc, operands[0], constant(limit));
    return arith::MaximumFOp::create(builder, loc, below, constant(-limit));
  }
  // silu: x / (1 + exp(-x)), sigmoid: 1 / (1 + exp(-x))
  Value one = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(1.0f));
  Value negated = arith::NegFOp::create(builder, loc, operands[0]);
  Value exponential = math::ExpOp::create(builder, loc, negated);
  Value denominator = arith::AddFOp::create(builder, loc, one, exponential);
  return arith::DivFOp::create(builder, loc, isa<SigmoidOp>(op) ? one : operands[0], denominator);
}

Value mlir::qwen::buildScalarTree(OpBuilder &builder, const ElementwiseTree &tree, IRMapping &elements) {
  for (Operation *op : tree.ops) {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(elements.lookup(operand));
    elements.map(op->getResult(0), buildScalar(builder, op, operands));
  }
  return elements.lookup(tree.root->getResult(0));
}

void mlir::qwen::buildBody(OpBuilder &builder, Location loc, Region &region, size_t count,
                           function_ref<Value(OpBuilder &, Block &)> build) {
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&region, region.end(), SmallVector<Type>(count, builder.getF32Type()),
                                     SmallVector<Location>(count, loc));
  Value result = build(builder, *block);
  YieldOp::create(builder, loc, result);
}

void mlir::qwen::eraseTree(const ElementwiseTree &tree) {
  for (Operation *op : llvm::reverse(tree.ops))
    op->erase();
}
