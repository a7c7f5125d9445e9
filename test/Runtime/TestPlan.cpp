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
  return fb::CreateDispatch(builder, dispatch.kernel, &dispatch.groups, operands, dispatch.barrierBefore, label,
                            dispatch.costNs, dispatch.readBytes);
}

Offset<flatbuffers::Vector<Offset<fb::EntryTensor>>> encodeTensors(FlatBufferBuilder &builder,
                                                                   const std::vector<TestTensor> &tensors) {
  return encodeAll<fb::EntryTensor>(builder, tensors, [&](const TestTensor &tensor) {
    auto dims = encodeAll<fb::Dim>(builder, tensor.dims, [&](const TestDim &dim) {
      return fb::CreateDimDirect(builder, dim.symbol.c_str(), dim.size);
    });
    return fb::CreateEntryTensor(builder, builder.CreateString(tensor.name), tensor.dtype, dims, tensor.buffer,
                                 tensor.offset, tensor.sizeBytes);
  });
}

Offset<fb::Entry> encodeEntry(FlatBufferBuilder &builder, const TestEntry &entry) {
  auto inputs = encodeTensors(builder, entry.inputs), outputs = encodeTensors(builder, entry.outputs);
  auto symbols = encodeAll<fb::SymbolCell>(builder, entry.symbols, [&](const TestSymbol &symbol) {
    return fb::CreateSymbolCellDirect(builder, symbol.symbol.c_str(), symbol.cell, symbol.max);
  });
  auto dispatches = encodeAll<fb::Dispatch>(
      builder, entry.dispatches, [&](const TestDispatch &dispatch) { return encodeDispatch(builder, dispatch); });
  auto name = builder.CreateString(entry.name);
  return fb::CreateEntry(builder, name, entry.role, entry.rows, inputs, outputs, symbols, dispatches);
}

/// Every byte is a piece, nothing merges.
Offset<fb::Tokenizer> encodeByteTokenizer(FlatBufferBuilder &builder) {
  std::vector<uint8_t> bytes;
  std::vector<uint32_t> offsets = {0}, ids;
  for (uint32_t i = 0; i < 256; ++i) {
    bytes.push_back(uint8_t(i));
    offsets.push_back(i + 1);
    ids.push_back(i);
  }
  std::vector<Offset<fb::AddedToken>> added = {fb::CreateAddedTokenDirect(builder, 256, "<|im_start|>", true),
                                               fb::CreateAddedTokenDirect(builder, 257, "<|im_end|>", true)};
  std::vector<uint32_t> merges;
  return fb::CreateTokenizerDirect(builder, &bytes, &offsets, &merges, &ids, &added);
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
    return fb::CreateCell(builder, cell.kind, cell.buffer, cell.offset, cell.count);
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
    tokenizer = encodeByteTokenizer(builder);
    chat = fb::CreateChat(builder, false);
  }
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
