//===- Places.cpp - Where ranges of a plan lie --------------------------------------------------------------------===//
#include "compiler/Planning/Places.h"

using namespace mlir;
using namespace mlir::plan;

namespace qwenc {

int64_t rangeBytes(Value value) { return cast<RangeType>(value.getType()).getSizeBytes(); }

BufferOp findArena(ModuleOp module) {
  for (auto buffer : module.getOps<BufferOp>())
    if (buffer.getPurpose() == Purpose::Arena)
      return buffer;
  return {};
}

FailureOr<Place> PlaceLookup::placeOf(WeightOp weight) {
  if (!weight.getBuffer())
    return weight.emitOpError() << "@" << weight.getSymName() << " has no place; run plan-place-storage first";
  return Place{symbols_.lookup<BufferOp>(*weight.getBuffer()), static_cast<int64_t>(*weight.getBufferOffset()),
               weight.getSizeBytes()};
}

FailureOr<Place> PlaceLookup::placeOf(StorageOp storage) {
  if (!storage.getBuffer())
    return storage.emitOpError() << "@" << storage.getSymName() << " has no place; run plan-place-storage first";
  return Place{symbols_.lookup<BufferOp>(*storage.getBuffer()), static_cast<int64_t>(*storage.getBufferOffset()),
               static_cast<int64_t>(storage.getSizeBytes())};
}

FailureOr<Place> PlaceLookup::placeIn(FlatSymbolRefAttr name, int64_t offset, int64_t sizeBytes) {
  FailureOr<Place> whole = placeOf(symbols_.lookup<StorageOp>(name.getAttr()));
  if (failed(whole))
    return failure();
  return Place{whole->buffer, whole->offset + offset, sizeBytes};
}

/// The weights must lie one behind the other, as plan-place-storage leaves them.
FailureOr<Place> PlaceLookup::placeOf(WeightsOp weights) {
  std::optional<Place> joined;
  for (auto name : weights.getWeights().getAsRange<FlatSymbolRefAttr>()) {
    FailureOr<Place> one = placeOf(symbols_.lookup<WeightOp>(name.getAttr()));
    if (failed(one))
      return failure();
    if (!joined) {
      joined = *one;
      continue;
    }
    if (one->buffer != joined->buffer || one->offset != joined->offset + joined->sizeBytes)
      return weights.emitOpError("stacks ") << name << ", which does not lie directly behind the weight before it; run "
                                            << "plan-place-storage on weights without places";
    joined->sizeBytes += one->sizeBytes;
  }
  return *joined;
}

FailureOr<Place> PlaceLookup::placeOf(AllocOp alloc) {
  if (!alloc.getOffset())
    return alloc.emitOpError() << "\"" << alloc.getLabel() << "\" has no offset; run plan-assign-offsets first";
  if (!arena_)
    return alloc.emitOpError() << "\"" << alloc.getLabel() << "\" has no buffer of purpose arena to lie in; run "
                               << "plan-assign-offsets on allocations without offsets";
  return Place{arena_, static_cast<int64_t>(*alloc.getOffset()), rangeBytes(alloc.getRange())};
}

FailureOr<Place> PlaceLookup::placeOfRange(Value range) {
  if (auto alloc = range.getDefiningOp<AllocOp>())
    return placeOf(alloc);
  if (auto weights = range.getDefiningOp<WeightsOp>())
    return placeOf(weights);
  auto ref = cast<RefOp>(range.getDefiningOp()); // (C33): there is no fourth operation
  return placeIn(ref.getStorageAttr(), ref.getOffset(), rangeBytes(range));
}

KernelOp PlaceLookup::kernelOf(DispatchOp dispatch) { return symbols_.lookup<KernelOp>(dispatch.getKernel()); }

} // namespace qwenc
