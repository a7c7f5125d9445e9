//===- PlaceStorage.cpp - Packs weights and storages into device allocations --------------------------------------===//
#include "compiler/Planning/Passes.h"
#include "compiler/Planning/Places.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::plan;

namespace qwenc {
#define GEN_PASS_DEF_PLACESTORAGE
#include "compiler/Planning/Passes.h.inc"

namespace {

//===------------------------------------------------------------------------------------------------------------===//
// Which weights have to be neighbours
//===------------------------------------------------------------------------------------------------------------===//

/// The neighbours that the plan.weights operations ask for: each weight has at most one behind it and one before it.
class Neighbours {
public:
  LogicalResult addStack(WeightsOp stack) {
    auto names = llvm::to_vector(stack.getWeights().getAsRange<FlatSymbolRefAttr>());
    for (size_t i = 1; i < names.size(); ++i)
      if (failed(link(stack, names[i - 1].getAttr(), names[i].getAttr())))
        return failure();
    return success();
  }

  bool isFirst(StringAttr name) const { return !before_.contains(name); }

  /// \p name and everything behind it. Ends because link() refuses circles.
  SmallVector<StringAttr> chainFrom(StringAttr name) const {
    SmallVector<StringAttr> chain = {name};
    for (auto next = behind_.find(name); next != behind_.end(); next = behind_.find(next->second))
      chain.push_back(next->second);
    return chain;
  }

private:
  LogicalResult link(WeightsOp stack, StringAttr first, StringAttr second) {
    if (behind_.lookup(first) == second)
      return success();
    if (StringAttr other = behind_.lookup(first))
      return refuse(stack, second, first, "behind", other);
    if (StringAttr other = before_.lookup(second))
      return refuse(stack, first, second, "before", other);
    if (llvm::is_contained(chainFrom(second), first))
      return stack.emitOpError("places @")
             << second.getValue() << " behind @" << first.getValue() << " and, with other "
             << "stacks, before it; stack weights in one order everywhere";
    behind_[first] = second;
    before_[second] = first;
    return success();
  }

  LogicalResult refuse(WeightsOp stack, StringAttr mover, StringAttr anchor, StringRef side, StringAttr other) {
    return stack.emitOpError("places @") << mover.getValue() << " directly " << side << " @" << anchor.getValue()
                                         << ", another stack places @" << other.getValue()
                                         << " there; stack weights in one order everywhere";
  }

  DenseMap<StringAttr, StringAttr> behind_, before_;
};

//===------------------------------------------------------------------------------------------------------------===//
// Packing
//===------------------------------------------------------------------------------------------------------------===//

/// What must not straddle two buffers: a storage, a weight, or a chain of weights.
struct Unit {
  SmallVector<Operation *> members;
  SmallVector<int64_t> sizes;

  FailureOr<int64_t> sizeBytes() const {
    int64_t total = 0;
    for (int64_t size : sizes)
      if (llvm::AddOverflow(total, size, total))
        return members.front()->emitOpError("and its neighbours have more than 2^63 bytes, expected fewer");
    return total;
  }
};

class PlaceStoragePass : public impl::PlaceStorageBase<PlaceStoragePass> {
public:
  using impl::PlaceStorageBase<PlaceStoragePass>::PlaceStorageBase;

  void runOnOperation() override {
    if (maxAllocationBytes == 0 || maxAllocationBytes > INT64_MAX) {
      getOperation().emitError("max-allocation-bytes is ")
          << maxAllocationBytes.getValue() << ", expected 1 to 2^63 - 1";
      return signalPassFailure();
    }
    if (maxWeightBytes > INT64_MAX) {
      getOperation().emitError("max-weight-bytes is ") << maxWeightBytes.getValue() << ", expected 0 to 2^63 - 1";
      return signalPassFailure();
    }
    FailureOr<SmallVector<Unit>> weights = collectWeights();
    if (failed(weights) || failed(pack(*weights, Purpose::Weights)))
      return signalPassFailure();
    for (Purpose purpose : {Purpose::Derived, Purpose::Cache, Purpose::State, Purpose::Output, Purpose::Mailbox})
      if (failed(pack(collectStorages(purpose), purpose)))
        return signalPassFailure();
  }

private:
  FailureOr<SmallVector<Unit>> collectWeights() {
    Neighbours neighbours;
    WalkResult walk = getOperation().walk([&](WeightsOp stack) { return WalkResult(neighbours.addStack(stack)); });
    if (walk.wasInterrupted())
      return failure();
    SymbolTable symbols(getOperation());
    SmallVector<Unit> units;
    for (auto weight : getOperation().getOps<WeightOp>()) {
      if (!neighbours.isFirst(weight.getSymNameAttr()))
        continue;
      Unit &unit = units.emplace_back();
      for (StringAttr name : neighbours.chainFrom(weight.getSymNameAttr())) {
        unit.members.push_back(symbols.lookup<WeightOp>(name));
        unit.sizes.push_back(symbols.lookup<WeightOp>(name).getSizeBytes());
      }
      numChains += unit.members.size() > 1;
    }
    return units;
  }

  SmallVector<Unit> collectStorages(Purpose purpose) {
    SmallVector<Unit> units;
    for (auto storage : getOperation().getOps<StorageOp>())
      if (storage.getPurpose() == purpose)
        units.push_back({{storage}, {static_cast<int64_t>(storage.getSizeBytes())}});
    return units;
  }

  /// Next fit: the order of the module is the order of the layers, and so of loading.
  LogicalResult pack(ArrayRef<Unit> units, Purpose purpose) {
    bool single = purpose == Purpose::State || purpose == Purpose::Mailbox;
    BufferOp buffer;
    for (const Unit &unit : units) {
      FailureOr<int64_t> size = unit.sizeBytes();
      if (failed(size) || failed(checkUnit(unit, *size)))
        return failure();
      int64_t end = buffer ? buffer.getSizeBytes() : 0, begin = llvm::alignTo(end, kPlaceAlignment);
      bool fits = begin <= limit() - *size;
      if (buffer && !fits && single)
        return unit.members.front()->emitOpError()
               << "does not fit into the one buffer of purpose " << stringifyPurpose(purpose) << ", expected at most "
               << limit() << " bytes there on this target, lower --max-context or choose a target that allows more";
      if (!buffer || !fits) {
        buffer = createBuffer(purpose, buffer);
        end = begin = 0;
      }
      gapBytes += begin - end;
      place(unit, buffer, begin);
      buffer.setSizeBytes(begin + *size);
    }
    return success();
  }

  /// What buffers are filled to. A weight that needs more lies alone.
  int64_t limit() const { return static_cast<int64_t>(maxAllocationBytes.getValue()); }

  int64_t limitAlone(const Unit &unit) const {
    const bool isWeight = isa<WeightOp>(unit.members.front());
    return isWeight ? std::max(limit(), static_cast<int64_t>(maxWeightBytes.getValue())) : limit();
  }

  LogicalResult checkUnit(const Unit &unit, int64_t size) {
    for (Operation *member : unit.members)
      if (auto buffer = member->getAttrOfType<FlatSymbolRefAttr>("buffer"))
        return member->emitOpError("already lies in ") << buffer << "; run plan-place-storage once";
    if (size <= limitAlone(unit))
      return success();
    const bool isWeight = isa<WeightOp>(unit.members.front());
    return unit.members.front()->emitError(isWeight ? "weight " : "storage ")
           << (unit.members.size() > 1 ? "and the weights stacked behind it need " : "needs ") << size
           << " bytes in one buffer, expected at most " << limitAlone(unit) << " on this target, "
           << (isWeight
                   ? "choose a target or a profile that allows more"
                   : "lower --max-context, --prefill-chunk or the media limits or choose a target that allows more");
  }

  /// Buffers stand before everything else, in the order of their creation, and count per purpose.
  BufferOp createBuffer(Purpose purpose, BufferOp previous) {
    SymbolTable symbols(getOperation()); // before the buffer is there, so that a name that is taken shows
    OpBuilder builder(&getContext());
    if (lastBuffer_)
      builder.setInsertionPointAfter(lastBuffer_);
    else
      builder.setInsertionPointToStart(getOperation().getBody());
    ordinal_ = previous ? ordinal_ + 1 : 0;
    std::string name = stringifyPurpose(purpose).str() + std::to_string(ordinal_);
    lastBuffer_ = BufferOp::create(builder, getOperation().getLoc(), name, purpose, /*size_bytes=*/1);
    symbols.insert(lastBuffer_);
    ++numBuffers;
    return lastBuffer_;
  }

  void place(const Unit &unit, BufferOp buffer, int64_t begin) {
    Builder builder(&getContext());
    for (auto [member, size] : llvm::zip_equal(unit.members, unit.sizes)) {
      member->setAttr("buffer", FlatSymbolRefAttr::get(buffer.getSymNameAttr()));
      member->setAttr("buffer_offset", builder.getI64IntegerAttr(begin));
      begin += size;
    }
  }

  BufferOp lastBuffer_;
  int64_t ordinal_ = 0;
};

} // namespace
} // namespace qwenc
