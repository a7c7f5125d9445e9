//===- FuseRopeAppend.cpp - Split, head norms, rotation and cache write as one step -----------------------------===//

#include "compiler/Transforms/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_FUSEROPEAPPENDPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// A rotation by positions that kernels find by themselves: counted ones, or those that the history has of each row.
struct Rotation {
  Operation *op = nullptr;
  Value positions;
  FloatAttr theta;
  DenseI64ArrayAttr sections; ///< null for counted positions

  explicit operator bool() const { return op != nullptr; }
  bool isSame(const Rotation &other) const {
    return op && other.op && positions == other.positions && theta == other.theta && sections == other.sections;
  }
  bool hasKnownPositions() const {
    if (!sections)
      return positions.getDefiningOp<PositionIdsOp>() != nullptr;
    auto argument = dyn_cast<BlockArgument>(positions);
    auto entry = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
    auto binding = entry ? entry.getArgAttrOfType<StringAttr>(argument.getArgNumber(), attrs::binding) : StringAttr();
    return binding && binding.getValue() == "positions";
  }
};

/// Heads cut out of a merged row: slice, reshape, and perhaps norm and rotation.
struct Heads {
  Value row;
  int64_t offset = 0, count = 0, dim = 0;
  RmsNormOp norm;
  Rotation rotation;

  int64_t end() const { return offset + count * dim; }
};

/// The definition of \p value if it is an \p OpTy and nothing else reads it.
template <typename OpTy> OpTy getOnlyUseOf(Value value) {
  return value.hasOneUse() ? value.getDefiningOp<OpTy>() : OpTy();
}

FailureOr<Heads> matchHeads(Value value) {
  Heads heads;
  if (auto rope = getOnlyUseOf<RopeOp>(value)) {
    heads.rotation = {rope, rope.getPositions(), rope.getThetaAttr(), {}};
    value = rope.getInput();
  } else if (auto rope = getOnlyUseOf<MRopeOp>(value)) {
    heads.rotation = {rope, rope.getPositions(), rope.getThetaAttr(), rope.getSectionsAttr()};
    value = rope.getInput();
  }
  if ((heads.norm = getOnlyUseOf<RmsNormOp>(value)))
    value = heads.norm.getInput();
  auto reshape = getOnlyUseOf<ReshapeOp>(value);
  if (!reshape)
    return failure();
  RankedTensorType type = reshape.getResult().getType();
  auto slice = getOnlyUseOf<SliceOp>(reshape.getInput());
  if (!slice || type.getRank() != 3)
    return failure();
  heads.row = slice.getInput();
  heads.offset = slice.getOffset();
  heads.count = type.getDimSize(1);
  heads.dim = type.getDimSize(2);
  return heads;
}

/// An append to a state that nothing else reads.
KvAppendOp matchAppend(Value cache) {
  auto append = getOnlyUseOf<KvAppendOp>(cache);
  if (!append || !append.getCache().hasOneUse() || !append.getCache().getDefiningOp<ReadStateOp>())
    return {};
  return append;
}

bool haveSameNorm(RmsNormOp a, RmsNormOp b) { return a && b ? a.getEpsAttr() == b.getEpsAttr() : !a && !b; }

/// Whether the three parts fill their row without gap or overlap, in any order.
bool fillRow(const Heads &q, const Heads &k, const Heads &v) {
  SmallVector<std::pair<int64_t, int64_t>, 3> parts = {{q.offset, q.end()}, {k.offset, k.end()}, {v.offset, v.end()}};
  llvm::sort(parts);
  return q.row == k.row && k.row == v.row && parts[0].first == 0 && parts[0].second == parts[1].first &&
         parts[1].second == parts[2].first && parts[2].second == cast<RankedTensorType>(q.row.getType()).getDimSize(1);
}

/// The weights of the product behind the row, in the order query, key, value; failure if they cannot be reordered.
FailureOr<SmallVector<Value>> sortWeights(const Heads &q, const Heads &k, const Heads &v) {
  auto product = q.row.getDefiningOp<FusedLinearOp>();
  if (!product || product.getJoin() != Join::Concat || !product.getExtras().empty() || !q.row.hasNUses(3))
    return failure();
  // Reordering columns is sound when every column is treated alike: without extras an epilogue cannot tell them apart.
  SmallVector<Value> sorted;
  for (const Heads *part : {&q, &k, &v}) {
    int64_t start = 0, covered = 0;
    for (Value weight : product.getWeights()) {
      int64_t rows = cast<RankedTensorType>(weight.getType()).getDimSize(0);
      if (start >= part->offset && start + rows <= part->end()) {
        sorted.push_back(weight);
        covered += rows;
      }
      start += rows;
    }
    if (covered != part->end() - part->offset)
      return failure();
  }
  return sorted;
}

class FuseInputsOfAttention : public OpRewritePattern<AttentionOp> {
public:
  FuseInputsOfAttention(MLIRContext *context, Pass::Statistic &fusedCount)
      : OpRewritePattern(context), fusedCount(fusedCount) {}

  LogicalResult matchAndRewrite(AttentionOp op, PatternRewriter &rewriter) const override {
    KvAppendOp keys = matchAppend(op.getKeys()), values = matchAppend(op.getValues());
    if (!keys || !values)
      return rewriter.notifyMatchFailure(op, "keys or values are not an append to a state read only here");
    FailureOr<Heads> q = matchHeads(op.getQuery()), k = matchHeads(keys.getRows()), v = matchHeads(values.getRows());
    if (failed(q) || failed(k) || failed(v))
      return rewriter.notifyMatchFailure(op, "query, keys or values are not heads cut out of a row");
    if (!fillRow(*q, *k, *v))
      return rewriter.notifyMatchFailure(op, "query, keys and values do not fill one row");
    if (q->dim != k->dim || k->dim != v->dim || k->count != v->count)
      return rewriter.notifyMatchFailure(op, "heads differ in size or number");
    if (!q->rotation.isSame(k->rotation) || !q->rotation.hasKnownPositions() || v->rotation || v->norm ||
        !haveSameNorm(q->norm, k->norm))
      return rewriter.notifyMatchFailure(op, "norms or rotations differ");
    if (q->offset != 0 || k->offset != q->end()) {
      FailureOr<SmallVector<Value>> weights = sortWeights(*q, *k, *v);
      if (failed(weights))
        return rewriter.notifyMatchFailure(op, "query, keys and values stand in another order that cannot be changed");
      auto product = q->row.getDefiningOp<FusedLinearOp>();
      rewriter.modifyOpInPlace(product, [&] { product.getWeightsMutable().assign(*weights); });
    }

    Value qNorm = q->norm ? q->norm.getWeight() : Value(), kNorm = k->norm ? k->norm.getWeight() : Value();
    FloatAttr eps = q->norm ? q->norm.getEpsAttr() : FloatAttr();
    Location loc = FusedLoc::get(getContext(), {keys.getLoc(), values.getLoc()});
    auto fused = RopeAppendOp::create(rewriter, loc, op.getQuery().getType(), keys.getType(), values.getType(), q->row,
                                      qNorm, kNorm, keys.getCache(), values.getCache(),
                                      rewriter.getI64IntegerAttr(q->count), rewriter.getI64IntegerAttr(k->count),
                                      rewriter.getI64IntegerAttr(q->dim), q->rotation.theta, eps, q->rotation.sections);
    rewriter.modifyOpInPlace(op, [&] { op->setOperands(fused.getResults()); });
    rewriter.eraseOp(keys);
    rewriter.eraseOp(values);
    ++fusedCount;
    return success();
  }

private:
  Pass::Statistic &fusedCount;
};

/// Whether all attention sees the same Position and Rows, so that its cache writes may move down to it.
bool hasOnePosition(func::FuncOp function) {
  bool sawAttention = false, isClosed = false;
  for (Operation &op : function.getBody().front()) {
    if (isa<BeginChunkOp, AdvanceOp, NextTokenOp>(op)) {
      isClosed = sawAttention;
    } else if (isa<KvAppendOp, AttentionOp, PositionIdsOp>(op)) {
      if (isClosed)
        return false;
      sawAttention = true;
    }
  }
  return true;
}

struct FuseRopeAppend : qwen::impl::FuseRopeAppendPassBase<FuseRopeAppend> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || !function.getBody().hasOneBlock() || !hasOnePosition(function))
      return;
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseInputsOfAttention>(&getContext(), fusedCount);
    if (failed(applyPatternsGreedily(function, std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
