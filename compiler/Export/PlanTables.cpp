//===- PlanTables.cpp - Buffers, weights, cells and entries -------------------------------------------------------===//
#include "compiler/Export/Tables.h"

#include "dialects/plan/PlanNames.h"
#include "models/Packing/PackedFile.h"

using namespace mlir;
using namespace mlir::plan;
using namespace qwenrt;

namespace qwenc {

static flatbuffers::Offset<flatbuffers::String> writeString(FlatBufferBuilder &builder, StringRef text) {
  return builder.CreateString(text.data(), text.size());
}

// The enumerations of the dialect and of the schema are the same numbers.
static_assert(static_cast<int>(Purpose::Weights) == static_cast<int>(fb::BufferPurpose::Weights) &&
              static_cast<int>(Purpose::Arena) == static_cast<int>(fb::BufferPurpose::Arena) &&
              static_cast<int>(Purpose::Cache) == static_cast<int>(fb::BufferPurpose::Cache) &&
              static_cast<int>(Purpose::State) == static_cast<int>(fb::BufferPurpose::State) &&
              static_cast<int>(Purpose::Output) == static_cast<int>(fb::BufferPurpose::Output) &&
              static_cast<int>(Purpose::Mailbox) == static_cast<int>(fb::BufferPurpose::Mailbox) &&
              static_cast<int>(Purpose::Derived) == static_cast<int>(fb::BufferPurpose::Derived));
static_assert(static_cast<int>(Access::Read) == static_cast<int>(fb::Access::Read) &&
              static_cast<int>(Access::Write) == static_cast<int>(fb::Access::Write) &&
              static_cast<int>(Access::ReadWrite) == static_cast<int>(fb::Access::ReadWrite));

static_assert(static_cast<int>(WeightFormat::Q8) == static_cast<int>(fb::WeightFormat::Q8) &&
              static_cast<int>(WeightFormat::Q4) == static_cast<int>(fb::WeightFormat::Q4));

Ordinals::Ordinals(ModuleOp module) {
  for (auto buffer : module.getOps<BufferOp>())
    buffers.try_emplace(buffer, buffers.size());
  for (auto kernel : module.getOps<KernelOp>())
    kernels.try_emplace(kernel, kernels.size());
}

Offsets<fb::Buffer> writeBuffers(FlatBufferBuilder &builder, ModuleOp module) {
  Offsets<fb::Buffer> buffers;
  for (auto buffer : module.getOps<BufferOp>())
    buffers.push_back(fb::CreateBuffer(builder, writeString(builder, buffer.getSymName()),
                                       static_cast<fb::BufferPurpose>(buffer.getPurpose()), buffer.getSizeBytes()));
  return buffers;
}

//===------------------------------------------------------------------------------------------------------------===//
// Weights and cells
//===------------------------------------------------------------------------------------------------------------===//

/// The module and the graph come from one compilation; this is where a mix-up would go unnoticed otherwise.
static LogicalResult checkInsideFile(WeightOp weight, const graph::Graph &graph) {
  if (weight.getFile() >= graph.checkpoint.files.size())
    return weight.emitOpError("@") << weight.getSymName() << " lies in file " << weight.getFile() << ", the graph has "
                                   << graph.checkpoint.files.size() << " files; export the module with its own graph";
  const graph::WeightFile &file = graph.checkpoint.files[weight.getFile()];
  uint64_t begin = weight.getFileOffset(), end = begin + weight.getRows() * weight.getRowBytes();
  if (begin < 8 + file.headerBytes || end > file.sizeBytes)
    return weight.emitOpError("@") << weight.getSymName() << " lies at " << begin << " to " << end << " of file "
                                   << weight.getFile() << ", whose data lies at " << 8 + file.headerBytes << " to "
                                   << file.sizeBytes << "; export the module with its own graph";
  return success();
}

/// The file that qwen-pack will write for the packed weights of \p module, in their order.
static FailureOr<PackedLayout> packedLayout(ModuleOp module, const graph::Graph &graph) {
  std::vector<PackedWeight> weights;
  for (auto weight : module.getOps<WeightOp>())
    if (weight.getFormat())
      weights.push_back({weight.getSymName().str(), static_cast<uint64_t>(weight.getRows()),
                         static_cast<uint64_t>(weight.getRowBytes()) / 2, *weightFormatFromName(*weight.getFormat())});
  if (weights.empty())
    return PackedLayout();
  std::vector<uint64_t> checkpoint;
  for (const graph::WeightFile &file : graph.checkpoint.files)
    checkpoint.push_back(file.headerHash);
  Result<PackedLayout> layout = layOutPackedFile(weights, checkpoint);
  if (!layout)
    return module.emitError(layout.status().message());
  return std::move(*layout);
}

/// The name is only a suggestion: the packed file is known by its header.
static Offsets<fb::WeightFile> writeWeightFiles(FlatBufferBuilder &builder, const graph::Graph &graph,
                                                const PackedLayout &packed) {
  Offsets<fb::WeightFile> files;
  for (const graph::WeightFile &file : graph.checkpoint.files)
    files.push_back(fb::CreateWeightFile(builder, builder.CreateString(file.name), file.sizeBytes, file.headerBytes,
                                         file.headerHash));
  if (!packed.header.empty())
    files.push_back(fb::CreateWeightFile(builder, builder.CreateString("packed.safetensors"), packed.sizeBytes,
                                         packed.headerBytes(), packed.headerHash, /*packed=*/true));
  return files;
}

FailureOr<WeightTables> writeWeights(FlatBufferBuilder &builder, ModuleOp module, const Ordinals &ordinals,
                                     const graph::Graph &graph) {
  PlaceLookup lookup(module);
  FailureOr<PackedLayout> packed = packedLayout(module, graph);
  if (failed(packed))
    return failure();
  WeightTables tables{writeWeightFiles(builder, graph, *packed), {}};
  size_t packedCount = 0;
  for (auto weight : module.getOps<WeightOp>()) {
    FailureOr<Place> place = lookup.placeOf(weight);
    if (failed(place) || failed(checkInsideFile(weight, graph)))
      return failure();
    auto name = writeString(builder, weight.getSymName());
    fb::WeightBindingBuilder binding(builder);
    binding.add_name(name);
    binding.add_rows(weight.getRows());
    binding.add_row_bytes(weight.getPlacedRowBytes());
    binding.add_pitch_bytes(weight.getPitchBytes());
    binding.add_buffer(ordinals.buffers.at(place->buffer));
    binding.add_buffer_offset(place->offset);
    binding.add_layer(static_cast<int32_t>(weight.getLayer().value_or(-1)));
    if (weight.getFormat()) {
      binding.add_file(graph.checkpoint.files.size());
      binding.add_file_offset(packed->offsetsBytes[packedCount++]);
      binding.add_format(static_cast<fb::WeightFormat>(*weightFormatFromName(*weight.getFormat())));
      binding.add_source_file(weight.getFile());
      binding.add_source_offset(weight.getFileOffset());
    } else {
      binding.add_file(weight.getFile());
      binding.add_file_offset(weight.getFileOffset());
    }
    tables.weights.push_back(binding.Finish());
  }
  return tables;
}

FailureOr<Offsets<fb::Cell>> writeCells(FlatBufferBuilder &builder, ModuleOp module, const Ordinals &ordinals) {
  PlaceLookup lookup(module);
  Offsets<fb::Cell> cells;
  for (auto cell : module.getOps<CellOp>()) {
    FailureOr<Place> place = lookup.placeIn(cell.getStorageAttr(), cell.getOffset(), 4 * cell.getCount());
    if (failed(place))
      return failure();
    cells.push_back(fb::CreateCell(builder, *symbolizeCellKind(cell.getKind()), ordinals.buffers.at(place->buffer),
                                   place->offset, cell.getCount(), static_cast<uint32_t>(cell.getSequence())));
  }
  return cells;
}

//===------------------------------------------------------------------------------------------------------------===//
// Entries
//===------------------------------------------------------------------------------------------------------------===//

namespace {

/// Collects the tables of one entry from its operations in order.
class EntryWriter {
public:
  EntryWriter(FlatBufferBuilder &builder, EntryOp entry, const Ordinals &ordinals)
      : builder_(builder), entry_(entry), ordinals_(ordinals), lookup_(entry->getParentOfType<ModuleOp>()) {}

  FailureOr<flatbuffers::Offset<fb::Entry>> write() {
    for (Operation &op : entry_.getBody().front())
      if (failed(visit(&op)))
        return failure();
    auto name = writeString(builder_, entry_.getSymName());
    auto inputs = builder_.CreateVector(inputs_);
    auto outputs = builder_.CreateVector(outputs_);
    auto symbols = builder_.CreateVector(symbols_);
    auto dispatches = builder_.CreateVector(dispatches_);
    return fb::CreateEntry(builder_, name, *symbolizeRole(entry_.getRole()), entry_.getRows(), inputs, outputs, symbols,
                           dispatches, static_cast<uint32_t>(entry_.getSequence()));
  }

private:
  LogicalResult visit(Operation *op) {
    if (isa<BarrierOp>(op))
      barrierBefore_ = true;
    if (auto symbol = dyn_cast<SymbolOp>(op))
      symbols_.push_back(fb::CreateSymbolCell(builder_, writeString(builder_, symbol.getName()),
                                              *symbolizeCellKind(symbol.getCell()), symbol.getMax(),
                                              static_cast<uint32_t>(symbol.getIndex().value_or(0))));
    if (auto tensor = dyn_cast<TensorOp>(op))
      return add(tensor);
    if (auto dispatch = dyn_cast<DispatchOp>(op))
      return add(dispatch);
    return success();
  }

  LogicalResult add(TensorOp tensor) {
    fb::DType dtype = *symbolizeDType(tensor.getDtype());
    int64_t sizeBytes = elementBytes(dtype);
    Offsets<fb::Dim> dims;
    for (auto [i, symbol] : llvm::enumerate(tensor.getSymbols().getAsValueRange<StringAttr>())) {
      sizeBytes *= tensor.getShape()[i];
      flatbuffers::Offset<flatbuffers::String> name = symbol.empty() ? 0 : writeString(builder_, symbol);
      dims.push_back(fb::CreateDim(builder_, name, tensor.getShape()[i], tensor.getFactor(i)));
    }
    FailureOr<Place> place = lookup_.placeIn(tensor.getStorageAttr(), tensor.getOffset(), sizeBytes);
    if (failed(place))
      return failure();
    auto name = writeString(builder_, tensor.getName());
    auto dimTable = builder_.CreateVector(dims);
    (tensor.getDirection() == "input" ? inputs_ : outputs_)
        .push_back(fb::CreateEntryTensor(builder_, name, dtype, dimTable, ordinals_.buffers.at(place->buffer),
                                         place->offset, sizeBytes, tensor.getOptional()));
    return success();
  }

  LogicalResult add(DispatchOp dispatch) {
    Offsets<fb::Operand> operands;
    for (Value range : dispatch.getOperands()) {
      FailureOr<Place> place = lookup_.placeOfRange(range);
      if (failed(place))
        return failure();
      operands.push_back(
          fb::CreateOperand(builder_, ordinals_.buffers.at(place->buffer), place->offset, place->sizeBytes));
    }
    ArrayRef<int64_t> counts = dispatch.getGroups();
    fb::Extent3 groups(counts[0], counts[1], counts[2]);
    auto operandTable = builder_.CreateVector(operands);
    auto label = writeString(builder_, dispatch.getLabel());
    flatbuffers::Offset<flatbuffers::String> rowsSymbol =
        dispatch.getRowsSymbol() ? writeString(builder_, *dispatch.getRowsSymbol()) : 0;
    dispatches_.push_back(fb::CreateDispatch(builder_, ordinals_.kernels.at(lookup_.kernelOf(dispatch)), &groups,
                                             operandTable, barrierBefore_, label, dispatch.getCostNs().value_or(0),
                                             dispatch.getReadBytes(), dispatch.getReadBytesPerPosition().value_or(0),
                                             rowsSymbol, static_cast<uint32_t>(dispatch.getRowsFactor().value_or(0)),
                                             static_cast<uint32_t>(dispatch.getRowsPerGroup().value_or(0)),
                                             static_cast<uint8_t>(dispatch.getRowsDirection().value_or(0))));
    barrierBefore_ = false;
    return success();
  }

  FlatBufferBuilder &builder_;
  EntryOp entry_;
  const Ordinals &ordinals_;
  PlaceLookup lookup_;
  bool barrierBefore_ = false;
  Offsets<fb::EntryTensor> inputs_, outputs_;
  Offsets<fb::SymbolCell> symbols_;
  Offsets<fb::Dispatch> dispatches_;
};

} // namespace

FailureOr<Offsets<fb::Entry>> writeEntries(FlatBufferBuilder &builder, ModuleOp module, const Ordinals &ordinals) {
  Offsets<fb::Entry> entries;
  for (auto entry : module.getOps<EntryOp>()) {
    FailureOr<flatbuffers::Offset<fb::Entry>> table = EntryWriter(builder, entry, ordinals).write();
    if (failed(table))
      return failure();
    entries.push_back(*table);
  }
  return entries;
}

} // namespace qwenc
