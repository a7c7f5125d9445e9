//===- ModelTables.cpp - What the plan takes from model.json unchanged --------------------------------------------===//
#include "compiler/Export/Tables.h"

#include "models/Tokenizer/TokenizerData.h"

using namespace qwenrt;

namespace qwenc {

flatbuffers::Offset<fb::Chat> writeChat(FlatBufferBuilder &builder, const graph::Graph &graph) {
  return graph.chat ? fb::CreateChat(builder, graph.chat->thinkingSwitch) : 0;
}

static flatbuffers::Offset<fb::Generation> writeSettings(FlatBufferBuilder &builder,
                                                         const graph::GenerationInfo &info) {
  auto stopIds = builder.CreateVector(info.stopIds);
  return fb::CreateGeneration(builder, stopIds, info.doSample, static_cast<float>(info.temperature), info.topK,
                              static_cast<float>(info.topP), static_cast<float>(info.repetitionPenalty));
}

flatbuffers::Offset<fb::Generation> writeGeneration(FlatBufferBuilder &builder, const graph::Graph &graph) {
  return graph.generation ? writeSettings(builder, *graph.generation) : 0;
}

static flatbuffers::Offset<fb::Talker> writeTalker(FlatBufferBuilder &builder, const graph::TalkerInfo &info,
                                                   uint32_t hiddenSize) {
  Offsets<fb::Speaker> speakers;
  for (const auto &[name, id] : info.speakers)
    speakers.push_back(fb::CreateSpeaker(builder, builder.CreateString(name), id));
  auto speakerTable = builder.CreateVector(speakers);
  auto sampling = writeSettings(builder, info.sampling), predictor = writeSettings(builder, info.predictorSampling);
  auto id = [&](const char *name) { return info.ids.at(name); };
  fb::TalkerBuilder talker(builder);
  talker.add_groups(static_cast<uint32_t>(info.tables.size()));
  talker.add_hidden_size(hiddenSize);
  talker.add_max_frames(static_cast<uint32_t>(info.maxFrames));
  bool keepsFirst = info.suppressedFirst == id("codec_eos");
  talker.add_suppressed(static_cast<uint32_t>(info.suppressedFirst + keepsFirst));
  talker.add_im_start(id("im_start"));
  talker.add_user(id("user"));
  talker.add_assistant(id("assistant"));
  talker.add_tts_pad(id("tts_pad"));
  talker.add_tts_bos(id("tts_bos"));
  talker.add_tts_eos(id("tts_eos"));
  talker.add_audio_pad(id("audio_pad"));
  talker.add_image_pad(id("image_pad"));
  talker.add_video_pad(id("video_pad"));
  talker.add_codec_nothink(id("codec_nothink"));
  talker.add_codec_think_bos(id("codec_think_bos"));
  talker.add_codec_think_eos(id("codec_think_eos"));
  talker.add_codec_pad(id("codec_pad"));
  talker.add_codec_bos(id("codec_bos"));
  talker.add_codec_eos(id("codec_eos"));
  talker.add_speakers(speakerTable);
  talker.add_sampling(sampling);
  talker.add_predictor_sampling(predictor);
  return talker.Finish();
}

flatbuffers::Offset<fb::Media> writeMedia(FlatBufferBuilder &builder, const graph::Graph &graph,
                                          const ExportOptions &options) {
  // Encoders alone meet no prompt: tensors run their entries.
  if (!graph.media || !graph.generate)
    return 0;
  auto number = [](uint64_t value) { return static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX)); };
  flatbuffers::Offset<fb::AudioEncoder> audio = 0;
  flatbuffers::Offset<fb::VisionEncoder> vision = 0;
  if (const auto &info = graph.media->audio)
    audio = fb::CreateAudioEncoder(builder, builder.CreateString(info->encoder), number(info->melBins),
                                   number(info->chunkFrames), number(info->windowChunks),
                                   number(graph::maxRows(graph, info->encoder, "features")),
                                   options.mediaLimits.audioSeconds);
  if (const auto &info = graph.media->vision)
    vision = fb::CreateVisionEncoder(builder, builder.CreateString(info->encoder), number(info->patchSize),
                                     number(info->temporalPatchSize), number(info->mergeSize),
                                     number(info->positionSide), number(info->deepstack), info->minPixels,
                                     info->maxPixels, number(graph::maxRows(graph, info->encoder, "patches")),
                                     options.mediaLimits.imagePixels, options.mediaLimits.videoFrames);
  uint64_t rows = graph.generate ? graph::maxRows(graph, graph.generate->decoder, "media") : 0;
  return fb::CreateMedia(builder, audio, vision, std::min(number(rows), options.maxContext));
}

flatbuffers::Offset<fb::Speech> writeSpeech(FlatBufferBuilder &builder, const graph::Graph &graph) {
  if (!graph.speech)
    return 0;
  auto number = [](uint64_t value) { return static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX)); };
  flatbuffers::Offset<fb::Talker> talker = 0;
  flatbuffers::Offset<fb::Vocoder> vocoder = 0;
  if (const auto &info = graph.speech->talker) {
    // The rows of a table are as wide as the talker's.
    const graph::Weight *table = graph::GraphIndex(graph).weight(info->tables.front());
    talker = writeTalker(builder, *info, static_cast<uint32_t>(table->shape.back()));
  }
  if (const auto &info = graph.speech->vocoder)
    vocoder = fb::CreateVocoder(builder, builder.CreateString(info->decoder), number(info->groups),
                                number(info->codebookSize), number(info->frameSamples), number(info->lostSamples),
                                number(info->sampleRate), number(graph::maxRows(graph, info->decoder, "codes")));
  return fb::CreateSpeech(builder, talker, vocoder);
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
