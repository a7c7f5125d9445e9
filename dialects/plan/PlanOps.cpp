//===- PlanOps.cpp - Verifiers of what stands at module level -----------------------------------------------------===//
//
// The labels (C1), (C2), ... are those of README.md. Errors say what was found and what was expected.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "dialects/plan/PlanOps.h"
#include "dialects/plan/PlanNames.h"
#include "runtime/schema/WeightFormat.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace mlir::plan;

//===------------------------------------------------------------------------------------------------------------===//
// Assembly: words and kernel operands
//===------------------------------------------------------------------------------------------------------------===//

/// A name of the schema, bare where that can be read back: `head_row`.
static ParseResult parseWord(OpAsmParser &parser, StringAttr &word) {
  std::string text;
  if (parser.parseKeywordOrString(&text))
    return failure();
  word = parser.getBuilder().getStringAttr(text);
  return success();
}

static void printWord(OpAsmPrinter &printer, Operation *, StringAttr word) { printer.printKeywordOrString(word); }

/// `(x read 256, weight read 4096, y write 64)`
static ParseResult parseKernelOperands(OpAsmParser &parser, ArrayAttr &names, ArrayAttr &accesses,
                                       DenseI64ArrayAttr &bytes) {
  SmallVector<Attribute> nameList, accessList;
  SmallVector<int64_t> byteList;
  auto parseOne = [&]() -> ParseResult {
    std::string name;
    StringRef access;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeywordOrString(&name) || parser.parseKeyword(&access) ||
        parser.parseInteger(byteList.emplace_back()))
      return failure();
    std::optional<Access> value = symbolizeAccess(access);
    if (!value)
      return parser.emitError(loc) << "access '" << access << "' of operand '" << name
                                   << "', expected read, write or read_write";
    nameList.push_back(parser.getBuilder().getStringAttr(name));
    accessList.push_back(AccessAttr::get(parser.getContext(), *value));
    return success();
  };
  if (parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, parseOne))
    return failure();
  names = parser.getBuilder().getArrayAttr(nameList);
  accesses = parser.getBuilder().getArrayAttr(accessList);
  bytes = parser.getBuilder().getDenseI64ArrayAttr(byteList);
  return success();
}

static void printKernelOperands(OpAsmPrinter &printer, Operation *op, ArrayAttr names, ArrayAttr accesses,
                                DenseI64ArrayAttr bytes) {
  printer << '(';
  llvm::interleaveComma(llvm::zip_equal(names, accesses, bytes.asArrayRef()), printer, [&](auto operand) {
    auto [name, access, size] = operand;
    printer.printKeywordOrString(cast<StringAttr>(name));
    printer << ' ' << stringifyAccess(cast<AccessAttr>(access).getValue()) << ' ' << size;
  });
  printer << ')';
}

#define GET_OP_CLASSES
#include "dialects/plan/PlanOps.cpp.inc"

//===------------------------------------------------------------------------------------------------------------===//
// Places in buffers
//===------------------------------------------------------------------------------------------------------------===//

/// (C5) `in @buffer at offset` stands whole or not at all, the offset is not negative.
static LogicalResult verifyPlace(Operation *op, FlatSymbolRefAttr buffer, std::optional<uint64_t> offset) {
  if (bool(buffer) != offset.has_value())
    return op->emitOpError("has only one of buffer and buffer_offset, expected both or none");
  if (offset && static_cast<int64_t>(*offset) < 0)
    return op->emitOpError("lies at offset ") << static_cast<int64_t>(*offset) << ", expected no negative offset";
  return success();
}

/// (C6) The buffer exists, has the right purpose and holds [offset, offset + size).
static LogicalResult verifyInsideBuffer(Operation *op, SymbolTableCollection &symbols, FlatSymbolRefAttr buffer,
                                        std::optional<uint64_t> offset, Purpose purpose, int64_t sizeBytes) {
  if (!buffer)
    return success();
  auto target = symbols.lookupNearestSymbolFrom<BufferOp>(op, buffer);
  if (!target)
    return op->emitOpError("lies in ") << buffer << ", which is no plan.buffer of this module";
  if (target.getPurpose() != purpose)
    return op->emitOpError("lies in ") << buffer << " of purpose " << stringifyPurpose(target.getPurpose())
                                       << ", expected purpose " << stringifyPurpose(purpose);
  int64_t bufferBytes = target.getSizeBytes(), begin = *offset;
  if (begin > bufferBytes || sizeBytes > bufferBytes - begin)
    return op->emitOpError("needs ") << sizeBytes << " bytes at offset " << begin << ", buffer " << buffer << " has "
                                     << bufferBytes;
  return success();
}

//===------------------------------------------------------------------------------------------------------------===//
// plan.weight, plan.storage, plan.buffer, plan.cell
//===------------------------------------------------------------------------------------------------------------===//

int64_t WeightOp::getPlacedRowBytes() {
  if (!getFormat())
    return getRowBytes();
  return qwenrt::storedRowBytes(*qwenrt::weightFormatFromName(*getFormat()), getRowBytes() / 2);
}

/// (C34) A packed weight has a format with blocks and rows of whole blocks.
static LogicalResult verifyFormat(WeightOp op) {
  if (!op.getFormat())
    return success();
  auto format = qwenrt::weightFormatFromName(*op.getFormat());
  if (!format || *format == qwenrt::WeightFormat::BF16)
    return op.emitOpError("is packed as '") << *op.getFormat() << "', expected q8 or q4";
  if (op.getRowBytes() % (2 * qwenrt::kBlockWeights) != 0)
    return op.emitOpError("is packed with rows of ")
           << op.getRowBytes() << " bytes, expected blocks of " << 2 * qwenrt::kBlockWeights;
  return success();
}

LogicalResult WeightOp::verify() {
  // (C2) Shapes are positive and the gap between rows is not negative.
  int64_t rows = getRows(), rowBytes = getRowBytes(), pitch = getPitchBytes();
  if (rows <= 0 || rowBytes <= 0)
    return emitOpError("has ") << rows << " rows of " << rowBytes << " bytes, expected positive numbers";
  if (failed(verifyFormat(*this)))
    return failure();
  if (int64_t placed = getPlacedRowBytes(); pitch < placed)
    return emitOpError("has a pitch of ") << pitch << " bytes, expected at least the " << placed << " bytes of a row";
  // (C3) The file and the place in it are not negative, sizes do not overflow.
  int64_t file = getFile(), fileOffset = getFileOffset(), sizeBytes, sourceBytes, fileEnd;
  if (file < 0 || fileOffset < 0)
    return emitOpError("lies in file ") << file << " at " << fileOffset << ", expected no negative number";
  if (llvm::MulOverflow(rows, pitch, sizeBytes) || llvm::MulOverflow(rows, rowBytes, sourceBytes) ||
      llvm::AddOverflow(fileOffset, sourceBytes, fileEnd))
    return emitOpError("ends beyond 2^63 bytes, expected a size that fits 63 bits");
  // (C4) Layers count from zero; the schema has 32 bits for them.
  if (getLayer() && *getLayer() > INT32_MAX)
    return emitOpError("belongs to layer ")
           << static_cast<int64_t>(*getLayer()) << ", expected a 31-bit number from 0 or none";
  return verifyPlace(*this, getBufferAttr(), getBufferOffset());
}

LogicalResult WeightOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyInsideBuffer(*this, symbols, getBufferAttr(), getBufferOffset(), Purpose::Weights, getSizeBytes());
}

LogicalResult StorageOp::verify() {
  // (C7) Weights and the arena are not storages.
  if (getPurpose() == Purpose::Weights || getPurpose() == Purpose::Arena)
    return emitOpError("has purpose ") << stringifyPurpose(getPurpose())
                                       << ", expected derived, cache, state, output or mailbox; use plan.weight or plan.alloc";
  // (C8) Every storage and buffer holds at least one byte.
  if (static_cast<int64_t>(getSizeBytes()) <= 0)
    return emitOpError("has ") << static_cast<int64_t>(getSizeBytes()) << " bytes, expected a positive size";
  return verifyPlace(*this, getBufferAttr(), getBufferOffset());
}

LogicalResult StorageOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifyInsideBuffer(*this, symbols, getBufferAttr(), getBufferOffset(), getPurpose(), getSizeBytes());
}

LogicalResult BufferOp::verify() {
  if (static_cast<int64_t>(getSizeBytes()) <= 0) // (C8)
    return emitOpError("has ") << static_cast<int64_t>(getSizeBytes()) << " bytes, expected a positive size";
  return success();
}

LogicalResult CellOp::verify() {
  if (!symbolizeCellKind(getKind())) // (C9) The kind is a name of CellKind.
    return emitOpError("has kind '") << getKind() << "', expected one of " << cellKindNames();
  int64_t offset = getOffset(), count = getCount();
  if (offset < 0 || offset % 4 != 0) // (C10) Cells are 32 bits wide and aligned.
    return emitOpError("lies at ") << offset << ", expected a multiple of 4";
  if (count <= 0 || count > UINT32_MAX)
    return emitOpError("has ") << count << " elements, expected a positive 32-bit number";
  return success();
}

LogicalResult CellOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // (C11) Cells lie in the state, the sampled ring in the mailbox, all of it inside.
  auto storage = symbols.lookupNearestSymbolFrom<StorageOp>(*this, getStorageAttr());
  if (!storage)
    return emitOpError("lies in ") << getStorageAttr() << ", which is no plan.storage of this module";
  Purpose purpose = getKind() == "sampled" ? Purpose::Mailbox : Purpose::State;
  if (storage.getPurpose() != purpose)
    return emitOpError("'") << getKind() << "' lies in storage " << getStorageAttr() << " of purpose "
                            << stringifyPurpose(storage.getPurpose()) << ", expected purpose "
                            << stringifyPurpose(purpose);
  int64_t offset = getOffset(), count = getCount(), storageBytes = storage.getSizeBytes();
  if (offset > storageBytes || count > (storageBytes - offset) / 4)
    return emitOpError("'") << getKind() << "' needs " << count << " elements of 4 bytes at " << offset << ", storage "
                            << getStorageAttr() << " has " << storageBytes << " bytes";
  return success();
}

//===------------------------------------------------------------------------------------------------------------===//
// plan.kernel, plan.entry
//===------------------------------------------------------------------------------------------------------------===//

/// (C12) Three positive extents.
static LogicalResult verifyExtents(Operation *op, StringRef what, ArrayRef<int64_t> extents) {
  if (extents.size() != 3 || llvm::any_of(extents, [](int64_t extent) { return extent <= 0 || extent > UINT32_MAX; }))
    return op->emitOpError("has ") << what << " [" << extents << "], expected three positive 32-bit numbers";
  return success();
}

/// (C15) Operand names are unique and every operand has an access and a positive bound.
static LogicalResult verifyKernelOperands(KernelOp kernel) {
  size_t count = kernel.getOperandNames().size();
  if (count == 0)
    return kernel.emitOpError("has no operands, expected at least one to write");
  if (kernel.getOperandAccess().size() != count || kernel.getOperandBytes().size() != count)
    return kernel.emitOpError("has ") << count << " operand names, " << kernel.getOperandAccess().size()
                                      << " accesses and " << kernel.getOperandBytes().size()
                                      << " sizes, expected equal numbers";
  llvm::StringSet<> seen;
  for (auto [name, bytes] :
       llvm::zip_equal(kernel.getOperandNames().getAsValueRange<StringAttr>(), kernel.getOperandBytes())) {
    if (!seen.insert(name).second)
      return kernel.emitOpError("has two operands '") << name << "', expected different names";
    if (bytes <= 0)
      return kernel.emitOpError("touches ") << bytes << " bytes of operand '" << name << "', expected a positive bound";
  }
  return success();
}

LogicalResult KernelOp::verify() {
  if (failed(verifyExtents(*this, "workgroup", getWorkgroup())))
    return failure();
  // (C13) A required subgroup size is a power of two that Vulkan can have; shared memory is not negative.
  int64_t subgroup = getSubgroupSize(), shared = getSharedBytes();
  if (subgroup != 0 && (subgroup < 1 || subgroup > 128 || !llvm::isPowerOf2_64(subgroup)))
    return emitOpError("requires a subgroup size of ") << subgroup << ", expected 0 or a power of two up to 128";
  if (shared < 0 || shared > UINT32_MAX)
    return emitOpError("uses ") << shared << " bytes of shared memory, expected a 32-bit number";
  // (C14) Features are names of Feature.
  for (StringRef feature : getFeatures().getAsValueRange<StringAttr>())
    if (!symbolizeFeature(feature))
      return emitOpError("needs feature '") << feature << "', expected one of " << featureNames();
  return verifyKernelOperands(*this);
}

LogicalResult EntryOp::verify() {
  if (!symbolizeRole(getRole())) // (C16) The role is a name of Role.
    return emitOpError("has role '") << getRole() << "', expected one of " << roleNames();
  int64_t rows = getRows();
  if (rows <= 0 || rows > UINT32_MAX) // (C17)
    return emitOpError("has ") << rows << " rows, expected a positive 32-bit number";
  return success();
}

LogicalResult EntryOp::verifyRegions() {
  // (C18) Names of tensors are unique per direction, names of symbols in the entry.
  llvm::StringSet<> names;
  for (Operation &op : getBody().front()) {
    std::string key;
    if (auto tensor = dyn_cast<TensorOp>(op))
      key = (tensor.getDirection() + " tensor '" + tensor.getName() + "'").str();
    else if (auto symbol = dyn_cast<SymbolOp>(op))
      key = ("symbol '" + symbol.getName() + "'").str();
    if (!key.empty() && !names.insert(key).second)
      return op.emitOpError("is the second ") << key << " of the entry, expected different names";
  }
  return success();
}
