//===- VerifyEntries.cpp - What specialisation leaves: entries with static shapes, roles and bindings -----------===//

#include "compiler/Transforms/Passes.h"
#include "dialects/qwen/EntryRoles.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

namespace mlir::qwen {
#define GEN_PASS_DEF_VERIFYENTRIESPASS
#include "compiler/Transforms/Passes.h.inc"
} // namespace mlir::qwen

using namespace mlir;
using namespace mlir::qwen;

namespace {

/// Far above every device, far below what sums of sizes may reach in 64 bits.
constexpr int64_t maxTensorBytes = int64_t(1) << 44;

LogicalResult verifyType(Location loc, Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.getElementType().isIntOrFloat())
    return emitError(loc) << "value has type " << type << ", expected a ranked tensor";
  if (!tensor.hasStaticShape())
    return emitError(loc) << "value has type " << type
                          << ", expected a static shape, run qwen-specialize-entries first";
  int64_t sizeBytes = llvm::divideCeil(tensor.getElementTypeBitWidth(), 8);
  for (int64_t size : tensor.getShape()) {
    if (size == 0)
      return emitError(loc) << "value has type " << type << ", expected no empty dimension";
    if (llvm::MulOverflow(sizeBytes, size, sizeBytes) || sizeBytes > maxTensorBytes)
      return emitError(loc) << "value has type " << type << ", expected at most " << maxTensorBytes
                            << " bytes, lower the context or the rows";
  }
  return success();
}

LogicalResult verifySignature(func::FuncOp entry) {
  static constexpr StringLiteral known[] = {roles::other,      roles::prefill,      roles::nextGreedy,
                                            roles::nextSample, roles::decodeGreedy, roles::decodeSample,
                                            roles::logits};
  static const llvm::StringSet<> bindings = {"tokens", "hidden", "positions", "media_rows",
                                             "media",  "tensor", "buffer"};
  auto role = entry->getAttrOfType<StringAttr>(attrs::role);
  if (!role)
    return entry.emitError() << "function has no attribute '" << attrs::role
                             << "', expected an entry, run qwen-specialize-entries first";
  if (!llvm::is_contained(known, role.getValue()))
    return entry.emitError() << "entry has role " << role << ", expected one of " << llvm::join(ArrayRef(known), ", ");
  auto rows = entry->getAttrOfType<IntegerAttr>(attrs::rows);
  if (!rows || rows.getInt() < 1)
    return entry.emitError() << "entry has no positive '" << attrs::rows << "', expected the rows of one run";
  if (entry.isExternal() || !entry.getBody().hasOneBlock())
    return entry.emitError() << "entry has no single block, expected a body without control flow";
  for (unsigned i = 0; i < entry.getNumArguments(); ++i) {
    auto binding = entry.getArgAttrOfType<StringAttr>(i, attrs::binding);
    if (!binding || !bindings.contains(binding.getValue()))
      return entry.emitError() << "argument " << i << " has no known '" << attrs::binding
                               << "', expected tokens, hidden, positions, media_rows, media, tensor or buffer";
    bool isNamed = binding.getValue() == "media" || binding.getValue() == "tensor" || binding.getValue() == "buffer";
    if (isNamed && !entry.getArgAttrOfType<StringAttr>(i, attrs::name))
      return entry.emitError() << "argument " << i << " has no '" << attrs::name << "', expected a name for callers";
  }
  for (unsigned i = 0; i < entry.getNumResults(); ++i)
    if (!entry.getResultAttrOfType<StringAttr>(i, attrs::name))
      return entry.emitError() << "result " << i << " has no '" << attrs::name << "', expected a name for callers";
  return success();
}

/// Position and Rows stay as they are between the first and the last operation that depend on them, and no state is
/// reached by two values.
LogicalResult verifyOrder(func::FuncOp entry) {
  bool isOpen = false, isClosed = false;
  llvm::StringSet<> statesRead;
  for (Operation &op : entry.getBody().front()) {
    if (isa<AdvanceOp, NextTokenOp>(op))
      isClosed = true;
    else if (isClosed && !isa<func::ReturnOp>(op))
      return op.emitOpError() << "stands behind the step that moves the position, expected only the return there";
    if (isa<BeginChunkOp, BeginFrameOp>(op) && isOpen)
      return op.emitOpError() << "stands behind operations that use the rows, expected it before them";
    if (!isa<WeightOp, WeightStackOp, ReadStateOp>(op))
      isOpen = true;
    auto read = dyn_cast<ReadStateOp>(op);
    if (read && !statesRead.insert(read.getState()).second)
      return read.emitOpError() << "reads " << read.getStateAttr()
                                << " again, expected one read of a state in an entry";
    if (read && !read->use_empty() && !read->hasOneUse())
      return read.emitOpError() << "has several uses, expected one, so that the state can be updated in place";
  }
  return success();
}

LogicalResult verifyEntry(func::FuncOp entry) {
  if (failed(verifySignature(entry)) || failed(verifyOrder(entry)))
    return failure();
  for (BlockArgument argument : entry.getArguments())
    if (failed(verifyType(argument.getLoc(), argument.getType())))
      return failure();
  for (Operation &op : entry.getBody().front())
    for (Type type : op.getResultTypes())
      if (failed(verifyType(op.getLoc(), type)))
        return failure();
  return success();
}

struct VerifyEntries : qwen::impl::VerifyEntriesPassBase<VerifyEntries> {
  void runOnOperation() override {
    for (auto state : getOperation().getOps<StateOp>())
      if (failed(verifyType(state.getLoc(), state.getType())))
        return signalPassFailure();
    for (auto entry : getOperation().getOps<func::FuncOp>())
      if (failed(verifyEntry(entry)))
        return signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
