//===- VerifyPlan.cpp - Proves that a plan is complete and within the limits of its target ------------------------===//
//
// The labels (P1), (P2), ... are those of dialects/plan/README.md.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "compiler/Planning/Hazards.h"
#include "compiler/Planning/Passes.h"
#include "compiler/Planning/Places.h"
#include "dialects/plan/PlanNames.h"
#include "plan_generated.h"

#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace mlir::plan;

namespace qwenc {
#define GEN_PASS_DEF_VERIFYPLAN
#include "compiler/Planning/Passes.h.inc"

namespace {

/// Push constants of one operand: a 64-bit address.
constexpr uint64_t kOperandBytes = 8;

/// The feature beyond the generic minimum that a device needs for \p capability, empty if none.
std::string featureOf(spirv::Capability capability) {
  switch (capability) {
  case spirv::Capability::Float16:
    return stringifyFeature(qwenrt::fb::Feature::ShaderFloat16);
  case spirv::Capability::Int8:
  case spirv::Capability::StorageBuffer8BitAccess:
    return stringifyFeature(qwenrt::fb::Feature::ShaderInt8);
  case spirv::Capability::CooperativeMatrixKHR:
    return stringifyFeature(qwenrt::fb::Feature::CooperativeMatrix);
  case spirv::Capability::BFloat16TypeKHR:
  case spirv::Capability::BFloat16DotProductKHR:
  case spirv::Capability::BFloat16CooperativeMatrixKHR:
    return stringifyFeature(qwenrt::fb::Feature::BFloat16);
  default:
    return "";
  }
}

/// (P3) Places of one buffer, checked two by two after sorting.
class OverlapCheck {
public:
  void add(Operation *op, const Place &place) {
    places_[place.buffer].push_back({place.offset, place.offset + place.sizeBytes, op});
  }

  LogicalResult check() {
    for (auto &[buffer, spans] : places_) {
      llvm::sort(spans,
                 [](const Span &a, const Span &b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
      for (size_t i = 1; i < spans.size(); ++i)
        if (spans[i].begin < spans[i - 1].end)
          return spans[i].op->emitOpError("@")
                 << SymbolTable::getSymbolName(spans[i].op).getValue() << " begins at " << spans[i].begin
                 << ", before @" << SymbolTable::getSymbolName(spans[i - 1].op).getValue() << " ends at "
                 << spans[i - 1].end << "; run plan-place-storage on a module without places";
    }
    return success();
  }

private:
  struct Span {
    int64_t begin, end;
    Operation *op;
  };
  llvm::MapVector<Operation *, SmallVector<Span>> places_;
};

class VerifyPlanPass : public impl::VerifyPlanBase<VerifyPlanPass> {
public:
  using impl::VerifyPlanBase<VerifyPlanPass>::VerifyPlanBase;

private:
  void runOnOperation() override {
    if (!maxWorkgroupCount.empty() && maxWorkgroupCount.size() != 3) {
      getOperation().emitError("max-workgroup-count has ") << maxWorkgroupCount.size() << " numbers, expected three";
      return signalPassFailure();
    }
    if (failed(verifyBuffers()) || failed(verifyPlaces()) || failed(verifyCells()))
      return signalPassFailure();
    for (auto kernel : getOperation().getOps<KernelOp>())
      if (failed(verifyKernel(kernel)))
        return signalPassFailure();
    for (auto entry : getOperation().getOps<EntryOp>())
      if (failed(verifyEntry(entry)))
        return signalPassFailure();
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Buffers and places
  //===----------------------------------------------------------------------------------------------------------===//

  LogicalResult verifyBuffers() {
    BufferOp arena = findArena(getOperation());
    for (auto buffer : getOperation().getOps<BufferOp>()) {
      if (buffer.getPurpose() == Purpose::Arena && buffer != arena) // (P2)
        return buffer.emitOpError("@") << buffer.getSymName() << " is a second arena, expected one that entries share";
      uint64_t limit = maxAllocationBytes;
      if (buffer.getPurpose() == Purpose::Weights)
        limit = std::max(limit, maxWeightBytes.getValue());
      if (buffer.getSizeBytes() > limit) // (P6)
        return buffer.emitOpError("@") << buffer.getSymName() << " has " << buffer.getSizeBytes()
                                       << " bytes, expected at most " << limit << " in one allocation on target "
                                       << targetName.getValue()
                                       << ", use a smaller chunk or context, or another target";
    }
    return success();
  }

  LogicalResult verifyPlaces() {
    PlaceLookup lookup(getOperation());
    OverlapCheck overlaps;
    auto addAll = [&](auto ops) -> LogicalResult {
      for (auto op : ops) {
        FailureOr<Place> place = lookup.placeOf(op); // (P1)
        if (failed(place))
          return failure();
        overlaps.add(op, *place);
      }
      return success();
    };
    if (failed(addAll(getOperation().getOps<WeightOp>())) || failed(addAll(getOperation().getOps<StorageOp>())))
      return failure();
    return overlaps.check();
  }

  /// (P7) Host and kernels would overwrite each other's values otherwise.
  LogicalResult verifyCells() {
    SmallVector<CellOp> cells;
    for (auto cell : getOperation().getOps<CellOp>()) {
      for (CellOp other : cells) {
        if (cell.getKind() == other.getKind() && cell.getSequence() == other.getSequence())
          return cell.emitOpError("'") << cell.getKind() << "' stands twice, expected each kind once; emit one cell";
        bool apart = cell.getOffset() + 4 * cell.getCount() <= other.getOffset() ||
                     other.getOffset() + 4 * other.getCount() <= cell.getOffset();
        if (cell.getStorage() == other.getStorage() && !apart)
          return cell.emitOpError("'") << cell.getKind() << "' overlaps '" << other.getKind()
                                       << "', expected cells side by side; use the offsets of StateLayout.h";
      }
      cells.push_back(cell);
    }
    return success();
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // (P6) Kernels against the target
  //===----------------------------------------------------------------------------------------------------------===//

  LogicalResult exceeds(KernelOp kernel, const Twine &need, const Twine &expected, StringRef advice) {
    return kernel.emitOpError("@") << kernel.getSymName() << " needs " << need << ", expected " << expected
                                   << " on target " << targetName.getValue() << ", " << advice;
  }

  LogicalResult verifyKernel(KernelOp kernel) {
    ArrayRef<int64_t> extents = kernel.getWorkgroup();
    // Compared by division: the product of three 32-bit numbers may not fit.
    uint64_t limit = maxWorkgroupInvocations;
    for (int64_t extent : extents)
      limit /= extent;
    if (limit == 0)
      return exceeds(kernel, Twine(extents[0]) + "x" + Twine(extents[1]) + "x" + Twine(extents[2]) + " invocations",
                     "at most " + Twine(maxWorkgroupInvocations.getValue()) + " in a workgroup",
                     "use a smaller workgroup or another target");
    if (kernel.getSharedBytes() > maxSharedBytes)
      return exceeds(kernel, Twine(kernel.getSharedBytes()) + " bytes of shared memory",
                     "at most " + Twine(maxSharedBytes.getValue()), "use a smaller tile or another target");
    uint64_t pushBytes = kOperandBytes * kernel.getOperandNames().size();
    if (pushBytes > maxPushConstantBytes)
      return exceeds(kernel, Twine(pushBytes) + " bytes of push constants",
                     "at most " + Twine(maxPushConstantBytes.getValue()), "use fewer operands or another target");
    return verifyDemands(kernel);
  }

  LogicalResult verifyDemands(KernelOp kernel) {
    uint64_t subgroup = kernel.getSubgroupSize();
    if (subgroup != 0 && subgroup != subgroupSize)
      return exceeds(kernel, "subgroups of " + Twine(subgroup),
                     subgroupSize ? "subgroups of " + std::to_string(subgroupSize) : "any size from 4 to 128",
                     "emit the kernel for the target's subgroup size");
    for (StringRef feature : kernel.getFeatures().getAsValueRange<StringAttr>())
      if (!llvm::is_contained(*features, feature))
        return exceeds(kernel, "feature " + feature, "only features that there are",
                       "emit a kernel without it or use another target");
    return verifyCapabilities(kernel);
  }

  /// A capability without its feature would pass by the target and fail on the device.
  LogicalResult verifyCapabilities(KernelOp kernel) {
    for (auto module : kernel.getBody().getOps<spirv::ModuleOp>()) {
      if (!module.getVceTriple())
        continue;
      for (spirv::Capability capability : module.getVceTriple()->getCapabilities()) {
        std::string feature = featureOf(capability);
        if (!feature.empty() && !llvm::is_contained(kernel.getFeatures().getAsValueRange<StringAttr>(), feature))
          return kernel.emitOpError("@") << kernel.getSymName() << " declares SPIR-V capability "
                                         << spirv::stringifyCapability(capability) << ", expected feature " << feature
                                         << " to say so, name it among the kernel's";
      }
    }
    return success();
  }

  //===----------------------------------------------------------------------------------------------------------===//
  // Entries
  //===----------------------------------------------------------------------------------------------------------===//

  LogicalResult verifyEntry(EntryOp entry) {
    PlaceLookup lookup(getOperation());
    HazardTracker tracker;
    for (Operation &op : entry.getBody().front()) {
      if (isa<BarrierOp>(op))
        tracker.barrier();
      auto dispatch = dyn_cast<DispatchOp>(op);
      if (!dispatch)
        continue;
      KernelOp kernel = lookup.kernelOf(dispatch);
      if (failed(verifyDispatch(dispatch, lookup, kernel)))
        return failure();
      SmallVector<Touch> touches = touchesOf(dispatch, kernel, spaceOfPlacedRange);
      if (tracker.mustWait(touches)) // (P5)
        return dispatch.emitOpError("\"")
               << dispatch.getLabel() << "\" touches bytes of a dispatch before it without a "
               << "barrier between them; run plan-insert-barriers first";
      tracker.record(touches);
    }
    return verifyLives(entry);
  }

  /// (P8) Allocations that share bytes live one after the other.
  LogicalResult verifyLives(EntryOp entry) {
    struct Life {
      AllocOp alloc;
      int64_t begin, end, first, last;
    };
    llvm::MapVector<Operation *, Life> lives;
    for (auto [ordinal, dispatch] : llvm::enumerate(entry.getBody().getOps<DispatchOp>()))
      for (Value range : dispatch.getOperands())
        if (auto alloc = range.getDefiningOp<AllocOp>()) {
          int64_t begin = *alloc.getOffset(), index = ordinal;
          Life life = {alloc, begin, begin + rangeBytes(range), index, index};
          lives.try_emplace(alloc, life).first->second.last = index;
        }
    for (auto a = lives.begin(); a != lives.end(); ++a)
      for (auto b = lives.begin(); b != a; ++b) {
        Life &later = a->second, &earlier = b->second;
        bool shares = later.begin < earlier.end && earlier.begin < later.end;
        if (shares && later.first <= earlier.last)
          return later.alloc.emitOpError() << "\"" << later.alloc.getLabel() << "\" lies in the bytes of \""
                                           << earlier.alloc.getLabel() << "\", which is still used; run "
                                           << "plan-assign-offsets on allocations without offsets";
      }
    return success();
  }

  LogicalResult verifyDispatch(DispatchOp dispatch, PlaceLookup &lookup, KernelOp kernel) {
    for (unsigned axis = 0; axis < 3; ++axis) { // (P6)
      uint64_t count = dispatch.getGroups()[axis], limit = maxWorkgroupCount.empty() ? 65535 : maxWorkgroupCount[axis];
      if (count > limit)
        return dispatch.emitOpError("\"")
               << dispatch.getLabel() << "\" has " << count << " workgroups in " << "xyz"[axis] << ", expected at most "
               << limit << " on target " << targetName.getValue() << ", let a workgroup do more rows";
    }
    if (!dispatch.getCostNs()) // (P1)
      return dispatch.emitOpError("\"") << dispatch.getLabel() << "\" has no cost; run plan-estimate-costs first";
    for (auto [range, name] :
         llvm::zip_equal(dispatch.getOperands(), kernel.getOperandNames().getAsValueRange<StringAttr>()))
      if (failed(verifyOperand(dispatch, lookup, range, name)))
        return failure();
    return success();
  }

  LogicalResult verifyOperand(DispatchOp dispatch, PlaceLookup &lookup, Value range, StringRef name) {
    FailureOr<Place> place = lookup.placeOfRange(range); // (P1), (P4)
    if (failed(place))
      return failure();
    int64_t bufferBytes = place->buffer.getSizeBytes();
    if (place->offset > bufferBytes || place->sizeBytes > bufferBytes - place->offset) // (P2)
      return dispatch.emitOpError("operand '")
             << name << "' needs " << place->sizeBytes << " bytes at " << place->offset << ", buffer @"
             << place->buffer.getSymName() << " has " << bufferBytes
             << "; run plan-assign-offsets on allocations without offsets";
    if (place->offset % 16 != 0) // (P4)
      return dispatch.emitOpError("operand '")
             << name << "' starts at byte " << place->offset << " of buffer @" << place->buffer.getSymName()
             << ", expected a multiple of 16; give the weights stacked before it a "
             << "pitch that is a multiple of 16";
    ++numOperands;
    return success();
  }
};

} // namespace
} // namespace qwenc
