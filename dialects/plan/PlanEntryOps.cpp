//===- PlanEntryOps.cpp - Verifiers of what stands inside an entry ------------------------------------------------===//
#include "dialects/plan/PlanNames.h"
#include "dialects/plan/PlanOps.h"

#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace mlir::plan;

static int64_t rangeBytes(Value range) { return cast<RangeType>(range.getType()).getSizeBytes(); }

/// (C19) Addresses of operands are multiples of 16: kernels load 16 bytes at a time. Tensors may be single cells.
static LogicalResult verifyOffset(Operation *op, int64_t offset, int64_t alignment = 16) {
  if (offset < 0 || offset % alignment != 0)
    return op->emitOpError("lies at ") << offset << ", expected a multiple of " << alignment;
  return success();
}

/// (C20) The storage exists and holds [offset, offset + size).
static LogicalResult verifyInsideStorage(Operation *op, SymbolTableCollection &symbols, FlatSymbolRefAttr name,
                                         int64_t offset, int64_t sizeBytes) {
  auto storage = symbols.lookupNearestSymbolFrom<StorageOp>(op, name);
  if (!storage)
    return op->emitOpError("lies in ") << name << ", which is no plan.storage of this module";
  int64_t storageBytes = storage.getSizeBytes();
  if (offset > storageBytes || sizeBytes > storageBytes - offset)
    return op->emitOpError("needs ") << sizeBytes << " bytes at " << offset << ", storage " << name << " has "
                                     << storageBytes;
  return success();
}

//===------------------------------------------------------------------------------------------------------------===//
// plan.tensor, plan.symbol
//===------------------------------------------------------------------------------------------------------------===//

/// Bytes of the tensor with every symbol at its maximum; nullopt if that overflows.
static std::optional<int64_t> tensorBytes(TensorOp tensor) {
  int64_t bytes = elementBytes(*symbolizeDType(tensor.getDtype()));
  for (int64_t extent : tensor.getShape())
    if (llvm::MulOverflow(bytes, extent, bytes))
      return std::nullopt;
  return bytes;
}

/// (C23) A symbolic dimension has a plan.symbol in the entry whose maximum, times the factor, is the dimension's
/// extent.
static LogicalResult verifyDimension(TensorOp tensor, int64_t extent, StringRef name, int64_t factor) {
  if (name.empty())
    return success();
  for (auto symbol : tensor->getParentOfType<EntryOp>().getBody().getOps<SymbolOp>())
    if (symbol.getName() == name) {
      int64_t bound = 0;
      if (!llvm::MulOverflow<int64_t>(symbol.getMax(), factor, bound) && bound == extent)
        return success();
      InFlightDiagnostic error = tensor.emitOpError("has a dimension '")
                                 << name << "' of " << extent << ", the symbol's maximum is " << symbol.getMax();
      if (factor != 1)
        error << ", times the factor " << factor;
      return error;
    }
  return tensor.emitOpError("has a dimension '") << name << "', expected a plan.symbol of that name in the entry";
}

LogicalResult TensorOp::verify() {
  if (getDirection() != "input" && getDirection() != "output") // (C21)
    return emitOpError("has direction '") << getDirection() << "', expected input or output";
  if (!symbolizeDType(getDtype()))
    return emitOpError("has element type '") << getDtype() << "', expected one of " << dtypeNames();
  if (llvm::any_of(getShape(), [](int64_t extent) { return extent <= 0; })) // (C22)
    return emitOpError("has shape [") << getShape() << "], expected positive extents";
  if (getSymbols().size() != getShape().size())
    return emitOpError("has ") << getSymbols().size() << " symbols for " << getShape().size()
                               << " dimensions, expected one each (empty for a fixed dimension)";
  if (getFactors() && (getFactors()->size() != getShape().size() ||
                       llvm::any_of(*getFactors(), [](int64_t factor) { return factor <= 0; })))
    return emitOpError("has factors [") << *getFactors() << "], expected a positive one for each dimension";
  if (!tensorBytes(*this))
    return emitOpError("has more than 2^63 bytes, expected a size that fits 63 bits");
  return verifyOffset(*this, getOffset(), /*alignment=*/4);
}

LogicalResult TensorOp::verifySymbolUses(SymbolTableCollection &symbols) {
  for (auto [dim, symbol] : llvm::enumerate(getSymbols().getAsValueRange<StringAttr>()))
    if (failed(verifyDimension(*this, getShape()[dim], symbol, getFactor(dim))))
      return failure();
  return verifyInsideStorage(*this, symbols, getStorageAttr(), getOffset(), *tensorBytes(*this));
}

LogicalResult SymbolOp::verify() {
  std::optional<qwenrt::fb::CellKind> kind = symbolizeCellKind(getCell());
  if (!kind) // (C9)
    return emitOpError("names cell '") << getCell() << "', expected one of " << cellKindNames();
  if (static_cast<int64_t>(getMax()) <= 0) // (C24)
    return emitOpError("has a maximum of ") << static_cast<int64_t>(getMax()) << ", expected at least 1";
  return success();
}

LogicalResult SymbolOp::verifySymbolUses(SymbolTableCollection &) {
  for (auto cell : (*this)->getParentOfType<ModuleOp>().getOps<CellOp>()) // (C25)
    if (cell.getKind() == getCell()) {
      int64_t index = getIndex().value_or(0);
      if (index >= 0 && index < static_cast<int64_t>(cell.getCount()))
        return success();
      return emitOpError("is element ") << index << " of cell '" << getCell() << "', which has " << cell.getCount();
    }
  return emitOpError("names cell '") << getCell() << "', expected a plan.cell of that kind in the module";
}

//===------------------------------------------------------------------------------------------------------------===//
// plan.alloc, plan.weights, plan.ref: ranges
//===------------------------------------------------------------------------------------------------------------===//

LogicalResult AllocOp::verify() { return getOffset() ? verifyOffset(*this, *getOffset()) : success(); }

LogicalResult WeightsOp::verify() {
  if (getWeights().empty()) // (C26)
    return emitOpError("names no weight, expected at least one");
  SmallPtrSet<Attribute, 4> seen;
  for (Attribute name : getWeights())
    if (!seen.insert(name).second)
      return emitOpError("names ") << name << " twice, expected different weights";
  return success();
}

LogicalResult WeightsOp::verifySymbolUses(SymbolTableCollection &symbols) {
  int64_t total = 0; // (C27) The range is exactly the weights side by side.
  for (auto name : getWeights().getAsRange<FlatSymbolRefAttr>()) {
    auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, name);
    if (!weight)
      return emitOpError("names ") << name << ", which is no plan.weight of this module";
    if (llvm::AddOverflow(total, weight.getSizeBytes(), total))
      return emitOpError("has more than 2^63 bytes, expected a size that fits 63 bits");
  }
  if (total != rangeBytes(getRange()))
    return emitOpError("is a range of ") << rangeBytes(getRange()) << " bytes, its weights have " << total;
  return success();
}

LogicalResult RefOp::verify() { return verifyOffset(*this, getOffset()); }

LogicalResult RefOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyInsideStorage(*this, symbols, getStorageAttr(), getOffset(), rangeBytes(getRange()));
}

//===------------------------------------------------------------------------------------------------------------===//
// plan.dispatch
//===------------------------------------------------------------------------------------------------------------===//

/// (C35) What counts the rows stands whole or not at all, in numbers that divide.
static LogicalResult verifyRows(DispatchOp dispatch) {
  std::optional<uint64_t> factor = dispatch.getRowsFactor(), each = dispatch.getRowsPerGroup(),
                          direction = dispatch.getRowsDirection();
  if (!dispatch.getRowsSymbol() && !factor && !each && !direction)
    return success();
  if (!dispatch.getRowsSymbol() || !factor || !each || !direction)
    return dispatch.emitOpError("has only a part of rows, expected symbol, factor, rows per group and direction");
  for (uint64_t number : {*factor, *each})
    if (number == 0 || number > UINT32_MAX)
      return dispatch.emitOpError("has rows of ")
             << static_cast<int64_t>(number)
             << ", expected a factor and rows per group that are positive 32-bit numbers";
  if (*direction > 2)
    return dispatch.emitOpError("has rows along ") << static_cast<int64_t>(*direction) << ", expected 0, 1 or 2";
  return success();
}

/// (C36) The groups are those of the symbol's maximum; the host knows extents only of entries of role other.
static LogicalResult verifyRowsSymbol(DispatchOp dispatch) {
  std::optional<StringRef> name = dispatch.getRowsSymbol();
  if (!name)
    return success();
  auto entry = dispatch->getParentOfType<EntryOp>();
  if (entry.getRole() != "other")
    return dispatch.emitOpError("counts rows in an entry of role ")
           << entry.getRole() << ", expected role other; let kernels count them";
  for (auto symbol : entry.getBody().getOps<SymbolOp>()) {
    if (symbol.getName() != *name)
      continue;
    int64_t rows = 0, found = dispatch.getGroups()[*dispatch.getRowsDirection()];
    if (llvm::MulOverflow<int64_t>(symbol.getMax(), *dispatch.getRowsFactor(), rows))
      return dispatch.emitOpError("has more than 2^63 rows, expected a number that fits 63 bits");
    auto expected = static_cast<int64_t>(llvm::divideCeil(rows, *dispatch.getRowsPerGroup()));
    if (found != expected)
      return dispatch.emitOpError("has ") << found << " groups along " << *dispatch.getRowsDirection() << ", expected "
                                          << expected << " for the " << rows << " rows of the symbol's maximum";
    return success();
  }
  return dispatch.emitOpError("counts rows of '") << *name << "', expected a plan.symbol of that name in the entry";
}

LogicalResult DispatchOp::verify() {
  ArrayRef<int64_t> groups = getGroups(); // (C12)
  if (groups.size() != 3 || llvm::any_of(groups, [](int64_t count) { return count <= 0 || count > UINT32_MAX; }))
    return emitOpError("has groups [") << groups << "], expected three positive 32-bit numbers";
  for (uint64_t estimate : {getReadBytes(), getReadBytesPerPosition().value_or(0), getFlops().value_or(0),
                            getCostNs().value_or(0)}) // (C28)
    if (static_cast<int64_t>(estimate) < 0)
      return emitOpError("has a negative estimate of bytes or cost, expected none below 0");
  for (Value range : getOperands()) // (C33)
    if (!isa_and_nonnull<AllocOp, WeightsOp, RefOp>(range.getDefiningOp()))
      return emitOpError("has an operand that is no plan.alloc, plan.weights or plan.ref, expected one of these");
  return verifyRows(*this);
}

LogicalResult DispatchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  if (!kernel) // (C29)
    return emitOpError("runs ") << getKernelAttr() << ", which is no plan.kernel of this module";
  if (getOperands().size() != kernel.getOperandNames().size()) // (C30)
    return emitOpError("has ") << getOperands().size() << " operands, kernel " << getKernelAttr() << " has "
                               << kernel.getOperandNames().size();
  for (auto [range, name, bytes, access] :
       llvm::zip_equal(getOperands(), kernel.getOperandNames().getAsValueRange<StringAttr>(), kernel.getOperandBytes(),
                       kernel.getOperandAccess().getAsRange<AccessAttr>())) {
    if (rangeBytes(range) < bytes) // (C31)
      return emitOpError("gives operand '")
             << name << "' " << rangeBytes(range) << " bytes, kernel " << getKernelAttr() << " may touch " << bytes;
    if (access.getValue() != Access::Read && range.getDefiningOp<WeightsOp>()) // (C32)
      return emitOpError("writes weights through operand '") << name << "', expected memory that may be written";
  }
  return verifyRowsSymbol(*this);
}
