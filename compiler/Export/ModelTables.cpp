//===- ModelTables.cpp - What the plan takes from model.json unchanged --------------------------------------------===//
#include "compiler/Export/Tables.h"

#include "models/Tokenizer/TokenizerData.h"

using namespace qwenrt;

namespace qwenc {

flatbuffers::Offset<fb::Chat> writeChat(FlatBufferBuilder &builder, const graph::Graph &graph) {
  return graph.chat ? fb::CreateChat(builder, graph.chat->thinkingSwitch) : 0;
}

flatbuffers::Offset<fb::Generation> writeGeneration(FlatBufferBuilder &builder, const graph::Graph &graph) {
  if (!graph.generation)
    return 0;
  const graph::GenerationInfo &info = *graph.generation;
  auto stopIds = builder.CreateVector(info.stopIds);
  return fb::CreateGeneration(builder, stopIds, info.doSample, static_cast<float>(info.temperature), info.topK,
                              static_cast<float>(info.topP), static_cast<float>(info.repetitionPenalty));
}

/// Folder of the checkpoint as model.json means it.
static std::string checkpointFolder(const graph::Graph &graph, const ExportOptions &options) {
  const std::string &path = graph.checkpoint.path;
  return path.starts_with('/') || options.graphFolder.empty() ? path : options.graphFolder + "/" + path;
}

qwenrt::Result<flatbuffers::Offset<fb::Tokenizer>> writeTokenizer(FlatBufferBuilder &builder, const graph::Graph &graph,
                                                                  const ExportOptions &options) {
  if (!graph.tokenizer)
    return flatbuffers::Offset<fb::Tokenizer>(0);
  QWENRT_ASSIGN_OR_RETURN(TokenizerData data, readTokenizer(checkpointFolder(graph, options), graph.tokenizer->files));
  Offsets<fb::AddedToken> added;
  for (const AddedToken &token : data.added)
    added.push_back(fb::CreateAddedToken(builder, token.id, builder.CreateString(token.content), token.special));
  auto pieceBytes = builder.CreateVector(data.pieceBytes);
  auto pieceOffsets = builder.CreateVector(data.pieceOffsets);
  auto merges = builder.CreateVector(data.merges);
  auto byteIds = builder.CreateVector(data.byteIds);
  auto addedTable = builder.CreateVector(added);
  return fb::CreateTokenizer(builder, pieceBytes, pieceOffsets, merges, byteIds, addedTable);
}

} // namespace qwenc
