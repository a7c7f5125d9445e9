//===- Export.cpp - The plan file as a whole ----------------------------------------------------------------------===//
#include "compiler/Export/Export.h"

#include "compiler/Export/Tables.h"
#include "compiler/Support/Diagnostics.h"
#include "models/Checkpoint/File.h"
#include "runtime/schema/PlanFile.h"

using namespace mlir;
using namespace qwenrt;

namespace qwenc {
namespace {

/// The version of the schema that this code writes.
constexpr uint32_t kPlanVersion = 1;

fb::DType kvDType(KvFormat format) {
  switch (format) {
  case KvFormat::F32:
    return fb::DType::F32;
  case KvFormat::F16:
    return fb::DType::F16;
  case KvFormat::BF16:
    return fb::DType::BF16;
  }
  return fb::DType::F32;
}

/// Everything that comes from the module. The vectors are written after the tables they hold.
struct ModuleTables {
  Offsets<fb::Buffer> buffers;
  WeightTables weights;
  Offsets<fb::Cell> cells;
  Offsets<fb::Kernel> kernels;
  Offsets<fb::Entry> entries;
};

Result<ModuleTables> writeModule(FlatBufferBuilder &builder, ModuleOp module, const graph::Graph &graph) {
  DiagnosticCollector diagnostics(module.getContext());
  Ordinals ordinals(module);
  ModuleTables tables;
  tables.buffers = writeBuffers(builder, module);
  auto weights = writeWeights(builder, module, ordinals, graph);
  if (failed(weights))
    return diagnostics.status("the plan");
  auto cells = writeCells(builder, module, ordinals);
  if (failed(cells))
    return diagnostics.status("the plan");
  auto kernels = writeKernels(builder, module);
  if (failed(kernels))
    return diagnostics.status("the plan");
  auto entries = writeEntries(builder, module, ordinals);
  if (failed(entries))
    return diagnostics.status("the plan");
  return ModuleTables{tables.buffers, *weights, *cells, *kernels, *entries};
}

std::vector<std::byte> withTrailer(const FlatBufferBuilder &builder) {
  auto flatbuffer = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  auto trailer = planfile::trailerOf(flatbuffer);
  std::vector<std::byte> file(flatbuffer.begin(), flatbuffer.end());
  file.insert(file.end(), trailer.begin(), trailer.end());
  return file;
}

} // namespace

Result<std::vector<std::byte>> buildPlanFile(ModuleOp module, const graph::Graph &graph, const ExportOptions &options) {
  FlatBufferBuilder builder(1 << 20);
  QWENRT_ASSIGN_OR_RETURN(ModuleTables tables, writeModule(builder, module, graph));
  QWENRT_ASSIGN_OR_RETURN(flatbuffers::Offset<fb::Tokenizer> tokenizer, writeTokenizer(builder, graph, options));
  auto chat = writeChat(builder, graph);
  auto generation = writeGeneration(builder, graph);
  auto media = writeMedia(builder, graph, options);
  auto speech = writeSpeech(builder, graph);
  auto producer = builder.CreateString(options.producer);
  auto modelName = builder.CreateString(graph.model.name);
  auto architecture = builder.CreateString(graph.model.architecture);
  auto target = builder.CreateString(options.targetName);
  auto checkpointPath = builder.CreateString(graph.checkpoint.path);
  auto graphFolder = builder.CreateString(options.graphFolder);
  auto weightFileTable = builder.CreateVector(tables.weights.files);
  auto weights = builder.CreateVector(tables.weights.weights);
  auto buffers = builder.CreateVector(tables.buffers);
  auto cells = builder.CreateVector(tables.cells);
  auto kernels = builder.CreateVector(tables.kernels);
  auto entries = builder.CreateVector(tables.entries);
  auto plan = fb::CreatePlan(builder, kPlanVersion, producer, modelName, architecture, target,
                             static_cast<uint32_t>(graph.model.vocabSize), options.maxContext, checkpointPath,
                             weightFileTable, weights, buffers, cells, kernels, entries, tokenizer, chat, generation,
                             kvDType(options.kvFormat), graphFolder, media, speech);
  fb::FinishPlanBuffer(builder, plan);
  return withTrailer(builder);
}

Status exportPlan(ModuleOp module, const graph::Graph &graph, const ExportOptions &options, const std::string &path) {
  QWENRT_ASSIGN_OR_RETURN(std::vector<std::byte> file, buildPlanFile(module, graph, options));
  QWENRT_ASSIGN_OR_RETURN(AtomicFile output, AtomicFile::create(path));
  QWENRT_RETURN_IF_ERROR(output.write({reinterpret_cast<const char *>(file.data()), file.size()}));
  return output.commit();
}

} // namespace qwenc
