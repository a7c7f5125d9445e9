//===- Places.h - Where ranges of a plan lie -----------------------------------------------------------*- C++ -*-===//
#pragma once

#include "dialects/plan/PlanOps.h"

#include "mlir/IR/BuiltinOps.h"

namespace qwenc {

/// Alignment of everything that planning places, in bytes: no device asks for more between two ranges.
inline constexpr int64_t kPlaceAlignment = 256;

/// A range of bytes in a buffer.
struct Place {
  mlir::plan::BufferOp buffer;
  int64_t offset;
  int64_t sizeBytes;
};

/// The one buffer of purpose arena, null if there is none.
mlir::plan::BufferOp findArena(mlir::ModuleOp module);

/// Looks up the places of ranges. Emits an error on the operation that has no place, naming the pass to run first.
class PlaceLookup {
public:
  explicit PlaceLookup(mlir::ModuleOp module) : symbols_(module), arena_(findArena(module)) {}

  mlir::FailureOr<Place> placeOf(mlir::plan::WeightOp weight);
  mlir::FailureOr<Place> placeOf(mlir::plan::StorageOp storage);
  /// Of a result of plan.alloc, plan.weights or plan.ref.
  mlir::FailureOr<Place> placeOfRange(mlir::Value range);
  /// Of \p sizeBytes at \p offset of the storage named \p name.
  mlir::FailureOr<Place> placeIn(mlir::FlatSymbolRefAttr name, int64_t offset, int64_t sizeBytes);
  /// The kernel of a dispatch; symbol verification has shown that it exists.
  mlir::plan::KernelOp kernelOf(mlir::plan::DispatchOp dispatch);

private:
  mlir::FailureOr<Place> placeOf(mlir::plan::WeightsOp weights);
  mlir::FailureOr<Place> placeOf(mlir::plan::AllocOp alloc);

  mlir::SymbolTable symbols_;
  mlir::plan::BufferOp arena_;
};

/// Bytes of the range \p value stands for.
int64_t rangeBytes(mlir::Value value);

} // namespace qwenc
