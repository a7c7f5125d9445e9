//===- AssignOffsets.cpp - Lets activations with disjoint lifetimes share arena memory ----------------------------===//
#include "compiler/Planning/Hazards.h"
#include "compiler/Planning/Passes.h"
#include "compiler/Planning/Places.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::plan;

namespace qwenc {
#define GEN_PASS_DEF_ASSIGNOFFSETS
#include "compiler/Planning/Passes.h.inc"

namespace {

/// An allocation with its life in epochs, both ends included.
struct Life {
  AllocOp alloc;
  int64_t sizeBytes; ///< rounded up to the alignment
  int64_t first, last;
  int64_t offset = 0;

  bool overlaps(const Life &other) const { return first <= other.last && other.first <= last; }
};

/// The smallest gap between \p neighbours (by offset) that holds \p sizeBytes, else the end of the last one.
int64_t bestFit(ArrayRef<const Life *> neighbours, int64_t sizeBytes) {
  int64_t best = -1, bestGap = INT64_MAX, end = 0;
  for (const Life *neighbour : neighbours) {
    int64_t gap = neighbour->offset - end;
    if (gap >= sizeBytes && gap < bestGap) {
      best = end;
      bestGap = gap;
    }
    end = std::max(end, neighbour->offset + neighbour->sizeBytes);
  }
  return best >= 0 ? best : end;
}

/// Greedy by size: sets the offsets and returns the bytes needed.
int64_t assignBySize(MutableArrayRef<Life> lives) {
  SmallVector<Life *> order = llvm::map_to_vector(lives, [](Life &life) { return &life; });
  llvm::sort(order, [](const Life *a, const Life *b) { // equal sizes in the order of first use, which is that of lives
    return a->sizeBytes != b->sizeBytes ? a->sizeBytes > b->sizeBytes : a < b;
  });
  SmallVector<const Life *> placed;
  int64_t total = 0;
  for (Life *life : order) {
    SmallVector<const Life *> neighbours;
    llvm::copy_if(placed, std::back_inserter(neighbours), [&](const Life *other) { return life->overlaps(*other); });
    llvm::sort(neighbours, [](const Life *a, const Life *b) { return a->offset < b->offset; });
    life->offset = bestFit(neighbours, life->sizeBytes);
    total = std::max(total, life->offset + life->sizeBytes);
    placed.push_back(life);
  }
  return total;
}

/// No layout can be smaller than what is alive in one epoch.
int64_t mostAlive(ArrayRef<Life> lives) {
  int64_t most = 0;
  for (const Life &at : lives) { // the maximum is reached where some life begins
    int64_t alive = 0;
    for (const Life &life : lives)
      alive += life.first <= at.first && at.first <= life.last ? life.sizeBytes : 0;
    most = std::max(most, alive);
  }
  return most;
}

class AssignOffsetsPass : public impl::AssignOffsetsBase<AssignOffsetsPass> {
  void runOnOperation() override {
    if (BufferOp arena = findArena(getOperation())) {
      arena.emitOpError("is an arena already; run plan-assign-offsets once");
      return signalPassFailure();
    }
    int64_t arena = 0;
    for (auto entry : getOperation().getOps<EntryOp>()) {
      FailureOr<int64_t> bytes = assign(entry);
      if (failed(bytes))
        return signalPassFailure();
      arena = std::max(arena, *bytes);
    }
    arenaBytes += arena;
    if (arena > 0)
      createArena(arena);
  }

  FailureOr<int64_t> assign(EntryOp entry) {
    eraseUnused(entry);
    FailureOr<SmallVector<Life>> lives = livesOf(entry);
    if (failed(lives))
      return failure();
    int64_t sum = 0;
    for (Life &life : *lives)
      if (llvm::AddOverflow(sum, life.sizeBytes, sum))
        return life.alloc.emitOpError("and the allocations before it have more than 2^63 bytes, expected fewer");
    int64_t bytes = assignBySize(*lives);
    Builder builder(&getContext());
    for (Life &life : *lives)
      life.alloc.setOffsetAttr(builder.getI64IntegerAttr(life.offset));
    lowerBoundBytes.updateMax(mostAlive(*lives));
    unsharedBytes.updateMax(sum);
    return bytes;
  }

  void eraseUnused(EntryOp entry) {
    for (auto alloc : llvm::make_early_inc_range(entry.getBody().getOps<AllocOp>()))
      if (alloc->use_empty())
        alloc.erase();
  }

  /// Walks the dispatches as plan-insert-barriers will, with every allocation apart, and counts its barriers: the
  /// epochs.
  FailureOr<SmallVector<Life>> livesOf(EntryOp entry) {
    llvm::MapVector<Operation *, Life> lives;
    SymbolTable symbols(getOperation());
    HazardTracker tracker;
    int64_t epoch = 0;
    for (auto dispatch : entry.getBody().getOps<DispatchOp>()) {
      auto kernel = symbols.lookup<KernelOp>(dispatch.getKernel());
      SmallVector<Touch> touches = touchesOf(dispatch, kernel, spaceOfUnplacedRange);
      if (tracker.mustWait(touches)) {
        tracker.barrier();
        ++epoch;
      }
      tracker.record(touches);
      if (failed(extendLives(dispatch, kernel, epoch, lives)))
        return failure();
    }
    return llvm::map_to_vector(lives, [](auto &entry) { return entry.second; });
  }

  LogicalResult extendLives(DispatchOp dispatch, KernelOp kernel, int64_t epoch,
                            llvm::MapVector<Operation *, Life> &lives) {
    for (auto [range, access, name] :
         llvm::zip_equal(dispatch.getOperands(), kernel.getOperandAccess().getAsRange<AccessAttr>(),
                         kernel.getOperandNames().getAsValueRange<StringAttr>())) {
      auto alloc = range.getDefiningOp<AllocOp>();
      if (!alloc)
        continue;
      if (alloc.getOffset())
        return alloc.emitOpError() << "\"" << alloc.getLabel()
                                   << "\" has an offset already; run plan-assign-offsets once";
      int64_t size = rangeBytes(range);
      if (size > INT64_MAX - kPlaceAlignment)
        return alloc.emitOpError() << "has " << size << " bytes, expected fewer than 2^63 - 256";
      auto [life, isFirst] = lives.try_emplace(
          alloc, Life{alloc, static_cast<int64_t>(llvm::alignTo(size, kPlaceAlignment)), epoch, epoch});
      if (isFirst && access.getValue() != Access::Write)
        return dispatch.emitOpError("reads \"")
               << alloc.getLabel() << "\" through operand '" << name
               << "' before any dispatch has written it; put a dispatch that writes it "
               << "before this one";
      life->second.last = epoch;
    }
    return success();
  }

  /// The arena stands behind the buffers that are there.
  void createArena(int64_t sizeBytes) {
    SymbolTable symbols(getOperation()); // before the arena is there, so that a name that is taken shows
    OpBuilder builder(&getContext());
    builder.setInsertionPointToStart(getOperation().getBody());
    for (auto buffer : getOperation().getOps<BufferOp>())
      builder.setInsertionPointAfter(buffer);
    auto arena = BufferOp::create(builder, getOperation().getLoc(), "arena", Purpose::Arena, sizeBytes);
    symbols.insert(arena);
  }
};

} // namespace
} // namespace qwenc
