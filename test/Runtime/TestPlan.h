//===- TestPlan.h - Plans made by hand ---------------------------------------------------------------------------===//
//
// A plan as plain structures that a test can break one field of, then encode. fakeModel() is a whole text model whose
// kernels are a few lines of arithmetic (kernels/*.spvasm), so that replay can be compared with a few lines of C++.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Plan.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qwenrt::test {

struct TestBuffer {
  std::string name;
  fb::BufferPurpose purpose;
  uint64_t sizeBytes;
};
struct TestCell {
  fb::CellKind kind;
  uint32_t buffer;
  uint64_t offset;
  uint32_t count = 1;
  uint32_t sequence = 0;
};
struct TestWeightFile {
  std::string name;
  uint64_t sizeBytes, headerBytes, headerHash;
  bool packed = false;
};
struct TestWeight {
  std::string name;
  uint32_t file = 0;
  uint64_t fileOffset = 0, rows = 1, rowBytes = 0, pitchBytes = 0;
  uint32_t buffer = 0;
  uint64_t bufferOffset = 0;
  int32_t layer = -1;
  fb::WeightFormat format = fb::WeightFormat::BF16;
  uint32_t sourceFile = 0;
  uint64_t sourceOffset = 0;
};
struct TestKernelOperand {
  std::string name;
  fb::Access access;
  uint64_t minBytes;
};
struct TestKernel {
  std::string name;
  std::vector<uint32_t> spirv;
  fb::Extent3 workgroup = {1, 1, 1};
  uint32_t subgroupSize = 0, sharedBytes = 0, features = 0;
  std::vector<TestKernelOperand> operands;
};
struct TestOperand {
  uint32_t buffer;
  uint64_t offset, sizeBytes;
};
struct TestDispatch {
  uint32_t kernel;
  fb::Extent3 groups = {1, 1, 1};
  std::vector<TestOperand> operands;
  bool barrierBefore = true;
  std::string label;
  uint64_t costNs = 1000, readBytes = 100;
  std::string rowsSymbol; ///< empty: none
  uint32_t rowsFactor = 0, rowsPerGroup = 0;
  uint8_t rowsDirection = 0;
};
struct TestDim {
  std::string symbol;
  uint64_t size;
  uint64_t factor = 1;
};
struct TestTensor {
  std::string name;
  fb::DType dtype;
  std::vector<TestDim> dims;
  uint32_t buffer;
  uint64_t offset, sizeBytes;
  bool optional = false;
};
struct TestSymbol {
  std::string symbol;
  fb::CellKind cell;
  uint64_t max;
  uint32_t index = 0;
};
struct TestEntry {
  std::string name;
  fb::Role role = fb::Role::Other;
  uint32_t rows = 1;
  std::vector<TestTensor> inputs, outputs;
  std::vector<TestSymbol> symbols;
  std::vector<TestDispatch> dispatches;
  uint32_t sequence = 0;
};

struct TestAudio {
  std::string entry = "audio_encoder";
  uint32_t melBins = 128, chunkFrames = 100, windowChunks = 2, maxFrames = 200, limitSeconds = 0;
};
struct TestVision {
  std::string entry = "vision_encoder";
  uint32_t patch = 16, temporalPatch = 2, merge = 2, positionSide = 4, deepstack = 1;
  uint64_t minPixels = 1024, maxPixels = 4096;
  uint32_t maxPatches = 16;
  uint64_t limitImagePixels = 4096;
  uint32_t limitVideoFrames = 8;
};
struct TestMedia {
  std::optional<TestAudio> audio = TestAudio();
  std::optional<TestVision> vision = TestVision();
  uint32_t maxRows = 8;
  bool tokens = true; ///< the tokenizer knows the marks and placeholders
};

struct TestVocoder {
  std::string entry = "vocoder";
  uint32_t groups = 3, codebook = 10, frameSamples = 8, lostSamples = 2, sampleRate = 100, maxFrames = 4;
};
struct TestSpeech {
  uint32_t groups = 3, hidden = 4;
  std::vector<std::string> speakers = {"ann", "bob"};
  uint32_t speakerId = 1;
  float temperature = 1, predictorTopP = 1;
  std::function<void(fb::TalkerBuilder &)> addIds; ///< those that shall not be 0; may be empty
  std::optional<TestVocoder> vocoder = TestVocoder();
};

struct TestPlan {
  uint32_t version = kPlanVersion;
  uint32_t vocabulary = 0, maxContext = 0;
  std::string checkpointPath = ".", graphFolder;
  std::vector<TestWeightFile> files;
  std::vector<TestWeight> weights;
  std::vector<TestBuffer> buffers;
  std::vector<TestCell> cells;
  std::vector<TestKernel> kernels;
  std::vector<TestEntry> entries;
  std::vector<uint32_t> stopIds;
  float temperature = 1, topP = 1, repetitionPenalty = 1;
  /// Adds a tokenizer whose ids are bytes, <|im_start|> (256) and <|im_end|> (257), and a chat format.
  bool byteTokenizer = false;
  std::optional<TestMedia> media; ///< with byteTokenizer the marks and placeholders have the ids from 258 on

  std::optional<TestSpeech> speech;

  /// The flatbuffer alone, or with its trailer.
  std::vector<std::byte> encode() const;
  std::vector<std::byte> encodeFile() const;
};

// Ordinals in fakeModel().
enum FakeBuffer : uint32_t {
  kState,
  kCache,
  kHidden,
  kMailbox,
  kLogits,
  kWeights,
  kTensors,
  kMediaState,
  kMedia,
  kEncoder
};
enum FakeKernel : uint32_t { kFakePrefill, kFakeSample, kFakeLogits, kScaleAddOne, kFakeMerge, kFakePlace, kCopyWords };
enum FakeEntry : uint32_t {
  kPrefill,
  kNextGreedy,
  kNextSample,
  kDecodeGreedy,
  kDecodeSample,
  kLogitsEntry,
  kScale,
  kAudioEncoder,
  kVisionEncoder
};

constexpr uint32_t kFakeVocabulary = 50, kFakeContext = 32, kFakeRows = 4;

/// Prefill of 4 rows, context of 32, vocabulary of 50, and the entry "scale": y f32[S] = x f32[S] * weight + 1, S <= 8.
TestPlan fakeModel();

/// fakeModel() with two encoders, 8 media rows of 4 values and one deepstack. A row of the audio encoder is as many
/// values of its features, of the vision encoder of its patches, and of cell_weights for the deepstack. To each token
/// its place and media row add what fakePlacedToken says.
TestPlan fakeMediaModel();

/// What the caches of fakeMediaModel() hold for \p token at (\p time, \p height, \p width) with the sum \p media of the
/// first values of its row and deepstack row. fakeNextToken takes a history of these.
int32_t fakePlacedToken(int32_t token, float time, float height, float width, float media = 0);

/// What fakeModel() samples after \p history.
int32_t fakeNextToken(const std::vector<int32_t> &history, uint32_t seed = 0);

/// The checkpoint of fakeModel(): one file with the f32[8] tensor "scale.weight" of 1 .. 8. Sets the plan's file entry.
std::string fakeCheckpoint(TestPlan &plan);

/// The words of a kernel of this folder.
std::vector<uint32_t> kernelWords(FakeKernel kernel);

/// A safetensors file of one header and its data.
std::string safetensorsFile(const std::string &json, const std::string &data);

} // namespace qwenrt::test
