//===- Tables.h - The parts of the translation ----------------------------------------------------------*- C++ -*-===//
//
// Private to compiler/Export. Functions over operations return a failure after a diagnostic on the operation.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "compiler/Export/Export.h"
#include "compiler/Planning/Places.h"
#include "dialects/plan/PlanOps.h"

#include "plan_generated.h"

namespace qwenc {

using flatbuffers::FlatBufferBuilder;
template <typename Table> using Offsets = std::vector<flatbuffers::Offset<Table>>;

/// Plan operations count from zero in the order of the module.
struct Ordinals {
  explicit Ordinals(mlir::ModuleOp module);
  llvm::DenseMap<mlir::Operation *, uint32_t> buffers;
  llvm::DenseMap<mlir::Operation *, uint32_t> kernels;
};

// KernelTables.cpp
mlir::FailureOr<Offsets<qwenrt::fb::Kernel>> writeKernels(FlatBufferBuilder &builder, mlir::ModuleOp module);

// PlanTables.cpp
Offsets<qwenrt::fb::Buffer> writeBuffers(FlatBufferBuilder &builder, mlir::ModuleOp module);
struct WeightTables {
  Offsets<qwenrt::fb::WeightFile> files; ///< the checkpoint's, and behind them the packed one if a weight is packed
  Offsets<qwenrt::fb::WeightBinding> weights;
};
/// Refuses weights outside the files of \p graph.
mlir::FailureOr<WeightTables> writeWeights(FlatBufferBuilder &builder, mlir::ModuleOp module, const Ordinals &ordinals,
                                           const graph::Graph &graph);
mlir::FailureOr<Offsets<qwenrt::fb::Cell>> writeCells(FlatBufferBuilder &builder, mlir::ModuleOp module,
                                                      const Ordinals &ordinals);
mlir::FailureOr<Offsets<qwenrt::fb::Entry>> writeEntries(FlatBufferBuilder &builder, mlir::ModuleOp module,
                                                         const Ordinals &ordinals);

// ModelTables.cpp
flatbuffers::Offset<qwenrt::fb::Chat> writeChat(FlatBufferBuilder &builder, const graph::Graph &graph);
flatbuffers::Offset<qwenrt::fb::Generation> writeGeneration(FlatBufferBuilder &builder, const graph::Graph &graph);
flatbuffers::Offset<qwenrt::fb::Speech> writeSpeech(FlatBufferBuilder &builder, const graph::Graph &graph);
flatbuffers::Offset<qwenrt::fb::Media> writeMedia(FlatBufferBuilder &builder, const graph::Graph &graph,
                                                  const ExportOptions &options);
qwenrt::Result<flatbuffers::Offset<qwenrt::fb::Tokenizer>>
writeTokenizer(FlatBufferBuilder &builder, const graph::Graph &graph, const ExportOptions &options);

} // namespace qwenc
