//===- TestPlan.cpp ----------------------------------------------------------------------------------------------===//
#include "TestPlan.h"

#include "runtime/lib/Text.h"
#include "runtime/schema/PlanFile.h"

#include <cstring>

using namespace qwenrt;
using namespace qwenrt::test;

namespace {

constexpr uint32_t kFakePrefillWords[] = {
#include "fake_prefill.inc"
};
constexpr uint32_t kFakeSampleWords[] = {
#include "fake_sample.inc"
};
constexpr uint32_t kFakeLogitsWords[] = {
#include "fake_logits.inc"
};
constexpr uint32_t kScaleAddOneWords[] = {
#include "scale_add_one.inc"
};
constexpr uint32_t kFakeMergeWords[] = {
#include "fake_merge.inc"
};
constexpr uint32_t kFakePlaceWords[] = {
#include "fake_place.inc"
};
constexpr uint32_t kCopyWordsWords[] = {
#include "copy_words.inc"
};

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

template <typename Table, typename Source, typename Make>
Offset<flatbuffers::Vector<Offset<Table>>> encodeAll(FlatBufferBuilder &builder, const std::vector<Source> &sources,
                                                     Make make) {
  std::vector<Offset<Table>> offsets;
  for (const Source &source : sources)
    offsets.push_back(make(source));
  return builder.CreateVector(offsets);
}

Offset<fb::Kernel> encodeKernel(FlatBufferBuilder &builder, const TestKernel &kernel) {
  auto operands = encodeAll<fb::KernelOperand>(builder, kernel.operands, [&](const TestKernelOperand &operand) {
    return fb::CreateKernelOperandDirect(builder, operand.name.c_str(), operand.access, operand.minBytes);
  });
  auto name = builder.CreateString(kernel.name);
  auto spirv = builder.CreateVector(kernel.spirv);
  return fb::CreateKernel(builder, name, spirv, &kernel.workgroup, kernel.subgroupSize, kernel.sharedBytes,
                          fb::Feature(kernel.features), operands);
}

Offset<fb::Dispatch> encodeDispatch(FlatBufferBuilder &builder, const TestDispatch &dispatch) {
  auto operands = encodeAll<fb::Operand>(builder, dispatch.operands, [&](const TestOperand &operand) {
    return fb::CreateOperand(builder, operand.buffer, operand.offset, operand.sizeBytes);
  });
  auto label = builder.CreateString(dispatch.label);
  Offset<flatbuffers::String> rowsSymbol = dispatch.rowsSymbol.empty() ? 0 : builder.CreateString(dispatch.rowsSymbol);
  return fb::CreateDispatch(builder, dispatch.kernel, &dispatch.groups, operands, dispatch.barrierBefore, label,
                            dispatch.costNs, dispatch.readBytes, 0, rowsSymbol, dispatch.rowsFactor,
                            dispatch.rowsPerGroup, dispatch.rowsDirection);
}

Offset<flatbuffers::Vector<Offset<fb::EntryTensor>>> encodeTensors(FlatBufferBuilder &builder,
                                                                   const std::vector<TestTensor> &tensors) {
  return encodeAll<fb::EntryTensor>(builder, tensors, [&](const TestTensor &tensor) {
    auto dims = encodeAll<fb::Dim>(builder, tensor.dims, [&](const TestDim &dim) {
      return fb::CreateDimDirect(builder, dim.symbol.c_str(), dim.size, dim.factor);
    });
    return fb::CreateEntryTensor(builder, builder.CreateString(tensor.name), tensor.dtype, dims, tensor.buffer,
                                 tensor.offset, tensor.sizeBytes, tensor.optional);
  });
}

Offset<fb::Entry> encodeEntry(FlatBufferBuilder &builder, const TestEntry &entry) {
  auto inputs = encodeTensors(builder, entry.inputs), outputs = encodeTensors(builder, entry.outputs);
  auto symbols = encodeAll<fb::SymbolCell>(builder, entry.symbols, [&](const TestSymbol &symbol) {
    return fb::CreateSymbolCellDirect(builder, symbol.symbol.c_str(), symbol.cell, symbol.max, symbol.index);
  });
  auto dispatches = encodeAll<fb::Dispatch>(
      builder, entry.dispatches, [&](const TestDispatch &dispatch) { return encodeDispatch(builder, dispatch); });
  auto name = builder.CreateString(entry.name);
  return fb::CreateEntry(builder, name, entry.role, entry.rows, inputs, outputs, symbols, dispatches, entry.sequence);
}

/// Every byte is a piece, nothing merges.
Offset<fb::Tokenizer> encodeByteTokenizer(FlatBufferBuilder &builder, bool withMedia) {
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> offsets = {0}, ids;
  for (uint32_t i = 0; i < 256; ++i) {
    bytes.push_back(uint8_t(i));
    offsets.push_back(i + 1);
    ids.push_back(i);
  }
  std::vector<Offset<fb::AddedToken>> added = {fb::CreateAddedTokenDirect(builder, 256, "<|im_start|>", true),
                                               fb::CreateAddedTokenDirect(builder, 257, "<|im_end|>", true)};
  uint32_t id = 258;
  for (const char *name : {"<|audio_start|>", "<|audio_end|>", "<|audio_pad|>", "<|vision_start|>", "<|vision_end|>",
                           "<|image_pad|>", "<|video_pad|>"})
    if (withMedia)
      added.push_back(fb::CreateAddedTokenDirect(builder, id++, name, true));
  std::vector<uint32_t> merges;
  return fb::CreateTokenizerDirect(builder, &bytes, &offsets, &merges, &ids, &added);
}

Offset<fb::Media> encodeMedia(FlatBufferBuilder &builder, const TestMedia &media) {
  Offset<fb::AudioEncoder> audio;
  if (const auto &source = media.audio)
    audio = fb::CreateAudioEncoderDirect(builder, source->entry.c_str(), source->melBins, source->chunkFrames,
                                         source->windowChunks, source->maxFrames, source->limitSeconds);
  Offset<fb::VisionEncoder> vision;
  if (const auto &source = media.vision)
    vision = fb::CreateVisionEncoderDirect(builder, source->entry.c_str(), source->patch, source->temporalPatch,
                                           source->merge, source->positionSide, source->deepstack, source->minPixels,
                                           source->maxPixels, source->maxPatches, source->limitImagePixels,
                                           source->limitVideoFrames);
  return fb::CreateMedia(builder, audio, vision, media.maxRows);
}

Offset<fb::Speech> encodeSpeech(FlatBufferBuilder &builder, const TestSpeech &speech) {
  auto speakers = encodeAll<fb::Speaker>(builder, speech.speakers, [&](const std::string &name) {
    return fb::CreateSpeakerDirect(builder, name.c_str(), speech.speakerId);
  });
  const std::vector<uint32_t> stopIds = {0};
  auto sampling = fb::CreateGenerationDirect(builder, &stopIds, true, speech.temperature, 50, 1, 1.05f);
  auto predictor = fb::CreateGenerationDirect(builder, &stopIds, true, 1, 50, speech.predictorTopP, 1);
  Offset<fb::Vocoder> vocoder;
  if (const auto &source = speech.vocoder)
    vocoder = fb::CreateVocoderDirect(builder, source->entry.c_str(), source->groups, source->codebook,
                                      source->frameSamples, source->lostSamples, source->sampleRate, source->maxFrames);
  fb::TalkerBuilder talker(builder);
  talker.add_groups(speech.groups);
  talker.add_hidden_size(speech.hidden);
  talker.add_speakers(speakers);
  talker.add_sampling(sampling);
  talker.add_predictor_sampling(predictor);
  if (speech.addIds)
    speech.addIds(talker);
  return fb::CreateSpeech(builder, talker.Finish(), vocoder);
}

} // namespace

std::vector<std::byte> TestPlan::encode() const {
  FlatBufferBuilder builder;
  auto fileTables = encodeAll<fb::WeightFile>(builder, files, [&](const TestWeightFile &file) {
    return fb::CreateWeightFileDirect(builder, file.name.c_str(), file.sizeBytes, file.headerBytes, file.headerHash,
                                      file.packed);
  });
  auto weightTables = encodeAll<fb::WeightBinding>(builder, weights, [&](const TestWeight &weight) {
    return fb::CreateWeightBindingDirect(builder, weight.name.c_str(), weight.file, weight.fileOffset, weight.rows,
                                         weight.rowBytes, weight.pitchBytes, weight.buffer, weight.bufferOffset,
                                         weight.layer, weight.format, weight.sourceFile, weight.sourceOffset);
  });
  auto bufferTables = encodeAll<fb::Buffer>(builder, buffers, [&](const TestBuffer &buffer) {
    return fb::CreateBufferDirect(builder, buffer.name.c_str(), buffer.purpose, buffer.sizeBytes);
  });
  auto cellTables = encodeAll<fb::Cell>(builder, cells, [&](const TestCell &cell) {
    return fb::CreateCell(builder, cell.kind, cell.buffer, cell.offset, cell.count, cell.sequence);
  });
  auto kernelTables =
      encodeAll<fb::Kernel>(builder, kernels, [&](const TestKernel &kernel) { return encodeKernel(builder, kernel); });
  auto entryTables =
      encodeAll<fb::Entry>(builder, entries, [&](const TestEntry &entry) { return encodeEntry(builder, entry); });
  auto generation = fb::CreateGenerationDirect(builder, &stopIds, false, temperature, 0, topP, repetitionPenalty);
  auto producer = builder.CreateString("test"), model = builder.CreateString("fake"),
       architecture = builder.CreateString("Fake"), target = builder.CreateString("generic"),
       path = builder.CreateString(checkpointPath), graph = builder.CreateString(graphFolder);
  Offset<fb::Tokenizer> tokenizer;
  Offset<fb::Chat> chat;
  if (byteTokenizer) {
    tokenizer = encodeByteTokenizer(builder, media && media->tokens);
    chat = fb::CreateChat(builder, false);
  }
  Offset<fb::Media> mediaTable;
  if (media)
    mediaTable = encodeMedia(builder, *media);
  Offset<fb::Speech> speechTable;
  if (speech)
    speechTable = encodeSpeech(builder, *speech);
  fb::PlanBuilder plan(builder);
  plan.add_version(version);
  plan.add_producer(producer);
  plan.add_model_name(model);
  plan.add_architecture(architecture);
  plan.add_target(target);
  plan.add_vocab_size(vocabulary);
  plan.add_max_context(maxContext);
  plan.add_checkpoint_path(path);
  plan.add_weight_files(fileTables);
  plan.add_weights(weightTables);
  plan.add_buffers(bufferTables);
  plan.add_cells(cellTables);
  plan.add_kernels(kernelTables);
  plan.add_entries(entryTables);
  if (byteTokenizer) {
    plan.add_tokenizer(tokenizer);
    plan.add_chat(chat);
  }
  plan.add_generation(generation);
  plan.add_graph_folder(graph);
  if (media)
    plan.add_media(mediaTable);
  if (speech)
    plan.add_speech(speechTable);
  fb::FinishPlanBuffer(builder, plan.Finish());
  const auto *bytes = reinterpret_cast<const std::byte *>(builder.GetBufferPointer());
  return {bytes, bytes + builder.GetSize()};
}

std::vector<std::byte> TestPlan::encodeFile() const {
  std::vector<std::byte> file = encode();
  auto trailer = planfile::trailerOf(file);
  file.insert(file.end(), trailer.begin(), trailer.end());
  return file;
}

//===----------------------------------------------------------------------===//
// The fake model
//===----------------------------------------------------------------------===//

std::vector<uint32_t> test::kernelWords(FakeKernel kernel) {
  switch (kernel) {
  case kFakePrefill:
    return {std::begin(kFakePrefillWords), std::end(kFakePrefillWords)};
  case kFakeSample:
    return {std::begin(kFakeSampleWords), std::end(kFakeSampleWords)};
  case kFakeLogits:
    return {std::begin(kFakeLogitsWords), std::end(kFakeLogitsWords)};
  case kFakeMerge:
    return {std::begin(kFakeMergeWords), std::end(kFakeMergeWords)};
  case kFakePlace:
    return {std::begin(kFakePlaceWords), std::end(kFakePlaceWords)};
  case kCopyWords:
    return {std::begin(kCopyWordsWords), std::end(kCopyWordsWords)};
  case kScaleAddOne:
    break;
  }
  return {std::begin(kScaleAddOneWords), std::end(kScaleAddOneWords)};
}

static std::vector<TestKernel> fakeKernels() {
  using fb::Access;
  return {
      {"fake_prefill",
       kernelWords(kFakePrefill),
       {1, 1, 1},
       0,
       0,
       0,
       {{"state", Access::ReadWrite, 196}, {"cache", Access::ReadWrite, 128}, {"hidden", Access::Write, 16}}},
      {"fake_sample",
       kernelWords(kFakeSample),
       {1, 1, 1},
       0,
       0,
       0,
       {{"state", Access::ReadWrite, 196},
        {"hidden", Access::Read, 16},
        {"ring", Access::Write, 64},
        {"logits", Access::Write, 200}}},
      {"fake_logits",
       kernelWords(kFakeLogits),
       {1, 1, 1},
       0,
       0,
       0,
       {{"state", Access::Read, 196}, {"hidden", Access::Read, 16}, {"logits", Access::Write, 400}}},
      {"scale_add_one",
       kernelWords(kScaleAddOne),
       {8, 1, 1},
       0,
       0,
       0,
       {{"x", Access::Read, 32}, {"weight", Access::Read, 32}, {"y", Access::Write, 32}}},
  };
}

TestPlan test::fakeModel() {
  using fb::BufferPurpose;
  TestPlan plan;
  plan.vocabulary = kFakeVocabulary;
  plan.maxContext = kFakeContext;
  plan.files = {{"model.safetensors", 1000, 100, 0}};
  plan.weights = {{"scale.weight", 0, 108, 1, 32, 32, kWeights, 0, 0}};
  plan.buffers = {{"state", BufferPurpose::State, 196},   {"cache", BufferPurpose::Cache, 128},
                  {"hidden", BufferPurpose::Output, 16},  {"mailbox", BufferPurpose::Mailbox, 64},
                  {"logits", BufferPurpose::Output, 400}, {"weights.0", BufferPurpose::Weights, 48},
                  {"tensors", BufferPurpose::Arena, 64}};
  for (uint32_t kind = 0; kind <= uint32_t(fb::CellKind::RepetitionPenalty); ++kind)
    plan.cells.push_back({fb::CellKind(kind), kState, kind * 4});
  plan.cells.push_back({fb::CellKind::Tokens, kState, 64, kFakeContext + 1});
  plan.cells.push_back({fb::CellKind::Sampled, kMailbox, 0, 16});
  plan.kernels = fakeKernels();

  TestDispatch prefill = {kFakePrefill, {1, 1, 1}, {{kState, 0, 196}, {kCache, 0, 128}, {kHidden, 0, 16}}};
  TestDispatch sample = {
      kFakeSample, {1, 1, 1}, {{kState, 0, 196}, {kHidden, 0, 16}, {kMailbox, 0, 64}, {kLogits, 0, 400}}};
  TestDispatch logits = {kFakeLogits, {1, 1, 1}, {{kState, 0, 196}, {kHidden, 0, 16}, {kLogits, 0, 400}}};
  TestDispatch scale = {kScaleAddOne, {1, 1, 1}, {{kTensors, 0, 32}, {kWeights, 0, 32}, {kTensors, 32, 32}}};
  TestTensor stepLogits = {"logits", fb::DType::F32, {{"", 1}, {"", kFakeVocabulary}}, kLogits, 0, 200};
  TestTensor rowLogits = {"logits", fb::DType::F32, {{"", 2}, {"", kFakeVocabulary}}, kLogits, 0, 400};
  TestTensor x = {"x", fb::DType::F32, {{"S", 8}}, kTensors, 0, 32},
             y = {"y", fb::DType::F32, {{"S", 8}}, kTensors, 32, 32};
  plan.entries = {{"prefill", fb::Role::Prefill, kFakeRows, {}, {}, {}, {prefill}},
                  {"next_greedy", fb::Role::NextGreedy, 1, {}, {stepLogits}, {}, {sample}},
                  {"next_sample", fb::Role::NextSample, 1, {}, {stepLogits}, {}, {sample}},
                  {"decode_greedy", fb::Role::DecodeGreedy, 1, {}, {stepLogits}, {}, {prefill, sample}},
                  {"decode_sample", fb::Role::DecodeSample, 1, {}, {stepLogits}, {}, {prefill, sample}},
                  {"logits", fb::Role::Logits, 2, {}, {rowLogits}, {}, {logits}},
                  {"scale", fb::Role::Other, 1, {x}, {y}, {{"S", fb::CellKind::Rows, 8}}, {scale}}};
  return plan;
}

namespace {

/// Places tensors one behind the other in the encoders' buffer.
class EncoderTensors {
public:
  explicit EncoderTensors(TestBuffer &buffer) : buffer_(buffer) {}
  TestTensor make(const char *name, fb::DType dtype, std::vector<TestDim> dims) {
    uint64_t sizeBytes = 4;
    for (const TestDim &dim : dims)
      sizeBytes *= dim.size;
    TestTensor tensor = {name, dtype, std::move(dims), kEncoder, buffer_.sizeBytes, sizeBytes};
    buffer_.sizeBytes += (sizeBytes + 511) / 512 * 512; // copy_words writes whole workgroups
    return tensor;
  }

private:
  TestBuffer &buffer_;
};

/// Copies the first \p words words of one tensor to the other, rounded up to workgroups of 64.
TestDispatch copyWords(const TestTensor &from, const TestTensor &to, uint32_t words) {
  uint32_t groups = (words + 63) / 64;
  return {kCopyWords, {groups, 1, 1}, {{kEncoder, from.offset, groups * 256}, {kEncoder, to.offset, groups * 256}}};
}

TestEntry fakeAudioEncoder(TestBuffer &buffer) {
  using fb::DType;
  EncoderTensors tensors(buffer);
  TestEntry entry = {"audio_encoder"};
  entry.inputs = {tensors.make("features", DType::F32, {{"F", 200}, {"", 128}}),
                  tensors.make("taps_1", DType::I32, {{"C1", 100}, {"", 3}}),
                  tensors.make("taps_2", DType::I32, {{"C2", 50}, {"", 3}}),
                  tensors.make("taps_3", DType::I32, {{"T", 26}, {"", 3}}),
                  tensors.make("times", DType::I32, {{"T", 26}}),
                  tensors.make("segments", DType::I32, {{"T", 26}, {"", 2}})};
  entry.outputs = {tensors.make("rows", DType::F32, {{"T", 26}, {"", 4}})};
  uint32_t index = 0;
  for (auto [symbol, max] : {std::pair{"F", 200}, std::pair{"C1", 100}, std::pair{"C2", 50}, std::pair{"T", 26}})
    entry.symbols.push_back({symbol, fb::CellKind::Extents, uint64_t(max), index++});
  entry.dispatches = {copyWords(entry.inputs[0], entry.outputs[0], 26 * 4)};
  return entry;
}

TestEntry fakeVisionEncoder(TestBuffer &buffer) {
  using fb::DType;
  EncoderTensors tensors(buffer);
  TestEntry entry = {"vision_encoder"};
  TestDim patches = {"N", 16, 4};
  entry.inputs = {
      tensors.make("patches", DType::F32, {patches, {"", 1536}}), tensors.make("cells", DType::I32, {patches, {"", 4}}),
      tensors.make("cell_weights", DType::F32, {patches, {"", 4}}),
      tensors.make("places", DType::I32, {patches, {"", 2}}), tensors.make("segments", DType::I32, {patches, {"", 2}})};
  entry.outputs = {tensors.make("rows", DType::F32, {{"N", 4}, {"", 4}}),
                   tensors.make("deepstack.0", DType::F32, {{"N", 4}, {"", 4}})};
  entry.symbols = {{"N", fb::CellKind::Extents, 4, 5}};
  entry.dispatches = {copyWords(entry.inputs[0], entry.outputs[0], 16),
                      copyWords(entry.inputs[2], entry.outputs[1], 16)};
  return entry;
}

} // namespace

TestPlan test::fakeMediaModel() {
  using fb::Access, fb::BufferPurpose, fb::CellKind, fb::DType;
  TestPlan plan = fakeModel();
  plan.media.emplace();
  constexpr uint64_t kPositions = 64, kRows = 464; // in the state of media
  plan.buffers.push_back({"media_state", BufferPurpose::State, 608});
  plan.buffers.push_back({"media", BufferPurpose::Output, 256});
  plan.buffers.push_back({"encoder", BufferPurpose::Arena, 0});
  plan.cells.push_back({CellKind::PositionDelta, kMediaState, 0});
  plan.cells.push_back({CellKind::Extents, kMediaState, 16, 6});
  plan.cells.push_back({CellKind::RotaryPositions, kMediaState, kPositions, 3 * (kFakeContext + 1)});
  plan.cells.push_back({CellKind::MediaRows, kMediaState, kRows, kFakeContext + 1});
  plan.kernels.push_back({"fake_merge",
                          kernelWords(kFakeMerge),
                          {4, 1, 1},
                          0,
                          0,
                          0,
                          {{"state", Access::ReadWrite, 196},
                           {"positions", Access::Read, 396},
                           {"rows", Access::Read, 132},
                           {"media", Access::Read, 128},
                           {"deepstack", Access::Read, 128}}});
  plan.kernels.push_back({"fake_place",
                          kernelWords(kFakePlace),
                          {1, 1, 1},
                          0,
                          0,
                          0,
                          {{"state", Access::ReadWrite, 196}, {"delta", Access::Read, 4}}});
  plan.kernels.push_back({"copy_words",
                          kernelWords(kCopyWords),
                          {64, 1, 1},
                          0,
                          0,
                          0,
                          {{"from", Access::Read, 256}, {"to", Access::Write, 256}}});
  TestDispatch merge = {kFakeMerge,
                        {1, 1, 1},
                        {{kState, 0, 196},
                         {kMediaState, kPositions, 396},
                         {kMediaState, kRows, 132},
                         {kMedia, 0, 128},
                         {kMedia, 128, 128}}};
  TestDispatch place = {kFakePlace, {1, 1, 1}, {{kState, 0, 196}, {kMediaState, 0, 4}}};
  TestEntry &prefill = plan.entries[kPrefill];
  prefill.dispatches.insert(prefill.dispatches.begin(), merge);
  for (FakeEntry entry : {kDecodeGreedy, kDecodeSample})
    plan.entries[entry].dispatches.insert(plan.entries[entry].dispatches.begin(), place);
  prefill.symbols = {{"S", CellKind::Length, 33}};
  prefill.inputs = {{"input_ids", DType::I32, {{"S", 33}}, kState, 64, 132},
                    {"positions", DType::F32, {{"S", 33}, {"", 3}}, kMediaState, kPositions, 396, true},
                    {"media_rows", DType::I32, {{"S", 33}}, kMediaState, kRows, 132, true},
                    {"media", DType::F32, {{"", 8}, {"", 4}}, kMedia, 0, 128, true},
                    {"deepstack.0", DType::F32, {{"", 8}, {"", 4}}, kMedia, 128, 128, true}};
  prefill.outputs = {{"hidden", DType::U32, {{"", 4}}, kHidden, 0, 16}};
  plan.entries.push_back(fakeAudioEncoder(plan.buffers[kEncoder]));
  plan.entries.push_back(fakeVisionEncoder(plan.buffers[kEncoder]));
  return plan;
}

int32_t test::fakePlacedToken(int32_t token, float time, float height, float width, float media) {
  return token + int32_t(time * 4 + height * 2 + width + media);
}

int32_t test::fakeNextToken(const std::vector<int32_t> &history, uint32_t seed) {
  uint32_t sum = 0;
  for (size_t i = 0; i < history.size(); ++i)
    sum += uint32_t(history[i]) * uint32_t(i + 1);
  return int32_t(((sum * 7 + 3) % kFakeVocabulary + seed) % kFakeVocabulary);
}

std::string test::safetensorsFile(const std::string &json, const std::string &data) {
  std::string file(8, '\0');
  uint64_t length = json.size();
  std::memcpy(file.data(), &length, 8);
  return file + json + data;
}

std::string test::fakeCheckpoint(TestPlan &plan) {
  std::string json = R"({"scale.weight":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}})";
  float values[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  std::string file = safetensorsFile(json, std::string(reinterpret_cast<const char *>(values), sizeof(values)));
  plan.files = {{"model.safetensors", file.size(), json.size(), fnv1a(file.data(), 8 + json.size())}};
  plan.weights[0].fileOffset = 8 + json.size();
  return file;
}
