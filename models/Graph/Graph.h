//===- Graph.h - The model.json document in memory --------------------------------------------------------------===//
//
// The structures mirror README.md beside this file, which explains the fields; nothing here computes. Reading:
// GraphReader.h, writing: GraphWriter.h, the operations and their types: Ops.h.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace qwenc::graph {

using qwenrt::Result;
using qwenrt::Status;
using qwenrt::StatusCode;

/// The document version that this code reads and writes.
inline constexpr uint64_t graphVersion = 1;

// Bounds of a document, so that sizes computed from it cannot overflow. Well above any published model.
inline constexpr uint64_t maxDimSize = uint64_t(1) << 31;
inline constexpr uint64_t maxElementCount = uint64_t(1) << 48;
inline constexpr size_t maxTypeRank = 8;

enum class DType : uint8_t { F32, BF16, I32 };
std::string_view dtypeName(DType dtype); ///< "f32"
std::optional<DType> dtypeFromName(std::string_view name);
uint64_t dtypeSizeBytes(DType dtype);

/// One extent: a number, or a multiple of a symbol when `symbol` is not empty.
struct Dim {
  std::string symbol;
  uint64_t size = 0; ///< the number, or the factor of the symbol

  Dim(uint64_t size) : size(size) {}
  Dim(std::string symbol, uint64_t factor = 1) : symbol(std::move(symbol)), size(factor) {}
  Dim(const char *symbol) : Dim(std::string(symbol)) {}
  bool isSymbol() const { return !symbol.empty(); }
  bool operator==(const Dim &) const = default;
};
std::string toString(const Dim &dim);
/// Parses "192", "S" or "S*4".
std::optional<Dim> parseDim(std::string_view text);

/// For example f32[S,192] or f32[V*4,1152]; no dims = scalar.
struct ValueType {
  DType dtype = DType::F32;
  std::vector<Dim> dims;
  bool operator==(const ValueType &) const = default;
};
std::string toString(const ValueType &type);

/// Parses "f32[S,192]". Errors: InvalidInput.
Result<ValueType> parseValueType(std::string_view text);

struct ModelInfo {
  std::string name, architecture;
  uint64_t maxPositions = 0, vocabSize = 0;
};

struct WeightFile {
  std::string name; ///< relative to CheckpointInfo::path
  uint64_t sizeBytes = 0, headerBytes = 0;
  uint64_t headerHash = 0; ///< FNV-1a 64 over the 8 length bytes and the header
};

struct CheckpointInfo {
  std::string path; ///< relative to the folder of model.json, or absolute
  std::vector<WeightFile> files;
};

struct TokenizerInfo {
  std::string kind; ///< "qwen2-bpe"
  std::vector<std::string> files;
};

struct ChatInfo {
  std::string format; ///< "chatml"
  bool thinkingSwitch = false;
};

struct GenerationInfo {
  std::vector<uint32_t> stopIds;
  bool doSample = false;
  double temperature = 1.0;
  uint32_t topK = 0; ///< 0 = off
  double topP = 1.0;
  double repetitionPenalty = 1.0;
};

/// What bounds a symbol beside its own maximum.
enum class SymbolLimit : uint8_t {
  None,
  AudioSeconds, ///< seconds of sound in one run of an encoder
  ImagePixels,  ///< pixels of one image
};

std::string_view limitName(SymbolLimit limit); ///< "audio_seconds"; "" for None
std::optional<SymbolLimit> limitFromName(std::string_view name);

/// An extent that is known only when the graph runs: 1 .. max.
struct Symbol {
  std::string name, meaning;
  uint64_t max = 0;
  SymbolLimit limit = SymbolLimit::None;
  double perUnit = 0; ///< the symbol's extent for one unit of the limit
};

struct Weight {
  std::string name;    ///< the checkpoint's own tensor name, without '@'
  uint32_t file = 0;   ///< ordinal in CheckpointInfo::files
  uint64_t offset = 0; ///< bytes from the start of the file
  DType dtype = DType::BF16;
  std::vector<uint64_t> shape;
};
ValueType weightType(const Weight &weight);

/// Weights of one shape as one tensor [members, ...]: the experts of a layer. A name for their order, no copy of bytes.
struct WeightStack {
  std::string name; ///< shares the weights' name space, without '@'
  std::vector<std::string> weights;
};

/// Memory that survives calls; its elements count as f32. README.md lists the kinds.
struct State {
  std::string name; ///< without '$'
  std::string kind; ///< "kv_cache", "key_window" or "conv_history"
  std::vector<Dim> shape;
};
ValueType stateType(const State &state);

enum class OpKind : uint8_t {
  Embedding,
  PositionIds,
  RmsNorm,
  Linear,
  Reshape,
  Rope,
  KvAppend,
  Attention,
  Silu,
  Mul,
  Add,
  Softmax,
  TopK,
  SumNormalize,
  ExpertLinear,
  WeightedSum,
  LayerNorm,
  Gelu,
  SegmentAttention,
  AxialRope,
  MRope,
  ReplaceRows,
  AddRows,
  TapConv,
  Sinusoid,
  SwapAxes,
  Sigmoid,
  ScaleRows,
  CodebookMean,
  RowNumbers,
  WindowAttention,
  Scale,
  Clamp,
  SnakeBeta,
  ClearLead,
  CausalConv1d,
  ConvTranspose1d,
};

using AttrValue = std::variant<int64_t, double, bool, std::string, std::vector<Dim>>;

struct Op {
  OpKind kind = OpKind::Add;
  std::vector<std::string> inputs; ///< "@weight", "$state" or the name of an earlier value
  std::map<std::string, AttrValue> attrs;
  std::vector<std::string> outputs;
  std::vector<ValueType> types; ///< of the outputs

  /// The attribute of a verified graph; a required attribute is always there with the type of the op's table row.
  template <typename T> const T &attr(const std::string &name) const { return std::get<T>(attrs.at(name)); }
};

/// What an input of a text decoder is, beside the ids, which come first.
enum class Binding : uint8_t {
  None,
  Positions, ///< f32[S,3]: time, height and width of each row
  MediaRows, ///< i32[S]: the row of `Media` that belongs to each row, or -1
  Media,     ///< f32[M,H]: rows that encoders made
};

std::string_view bindingName(Binding binding); ///< "media_rows"; "" for None
std::optional<Binding> bindingFromName(std::string_view name);

struct TypedName {
  std::string name;
  ValueType type;
  Binding binding = Binding::None;
};

struct Function {
  std::string name;
  std::vector<TypedName> inputs;
  std::vector<Op> ops;              ///< in an order in which every value is defined before it is used
  std::vector<std::string> outputs; ///< names of values
};

/// Which functions make a text generator.
struct GenerateInfo {
  std::string decoder, head;
};

/// The encoder of sound (README.md lists the inputs and outputs of its function).
struct AudioInfo {
  std::string encoder; ///< function
  uint64_t melBins = 0;
  uint64_t chunkFrames = 0;  ///< mel frames that meet the convolutions together
  uint64_t windowChunks = 0; ///< chunks that see each other
};

/// The encoder of images and videos.
struct VisionInfo {
  std::string encoder;                   ///< function
  uint64_t patchSize = 0;                ///< pixels along a side
  uint64_t temporalPatchSize = 0;        ///< frames
  uint64_t mergeSize = 0;                ///< patches along a side of a token
  uint64_t positionSide = 0;             ///< cells along a side of the table of positions
  uint64_t deepstack = 0;                ///< outputs beside the first
  uint64_t minPixels = 0, maxPixels = 0; ///< the preprocessor's bounds of images
};

/// What media become before they meet the decoder's inputs of binding `Media`.
struct MediaInfo {
  std::optional<AudioInfo> audio;
  std::optional<VisionInfo> vision;
};

/// The two decoders that make codes of speech, and what stands around them (README.md).
struct TalkerInfo {
  std::string decoder, head;                   ///< functions of the talker
  std::string predictorDecoder, predictorHead; ///< functions of the predictor
  std::string text, media;                     ///< functions that make the talker's rows
  std::vector<std::string> tables;             ///< weights: the rows of the codes of each group
  uint64_t suppressedFirst = 0, suppressedEnd = 0;
  std::map<std::string, uint32_t> ids;      ///< of text and codes, by talkerIdNames()
  std::map<std::string, uint32_t> speakers; ///< ids of codes
  uint64_t maxFrames = 0;
  GenerationInfo sampling, predictorSampling;
};

/// Every name that TalkerInfo::ids has.
std::span<const std::string_view> talkerIdNames();

/// What makes samples of codes, in pushes of frames that continue each other (README.md lists the inputs and outputs of
/// its function).
struct VocoderInfo {
  std::string decoder;       ///< function
  uint64_t groups = 0;       ///< codes of a frame
  uint64_t codebookSize = 0; ///< codes of a group
  uint64_t frameSamples = 0; ///< samples that a frame makes
  uint64_t lostSamples = 0;  ///< the first samples of an utterance, which stand for nothing
  uint64_t sampleRate = 0;   ///< samples of a second
};

/// What speaks.
struct SpeechInfo {
  std::optional<TalkerInfo> talker;
  std::optional<VocoderInfo> vocoder;
};

struct Graph {
  std::string producer;
  ModelInfo model;
  CheckpointInfo checkpoint;
  std::optional<TokenizerInfo> tokenizer;
  std::optional<ChatInfo> chat;
  std::optional<GenerationInfo> generation;
  std::vector<Symbol> symbols;
  std::vector<Weight> weights;
  std::vector<WeightStack> stacks;
  std::vector<State> states;
  std::vector<Function> functions;
  std::optional<GenerateInfo> generate;
  std::optional<MediaInfo> media;
  std::optional<SpeechInfo> speech;
};

/// Finds the named parts of a graph in constant time. Keeps pointers into the graph: rebuild it when vectors change.
class GraphIndex {
public:
  explicit GraphIndex(const Graph &graph);
  const Symbol *symbol(std::string_view name) const { return find(symbols_, name); }
  const Weight *weight(std::string_view name) const { return find(weights_, name); }
  const WeightStack *stack(std::string_view name) const { return find(stacks_, name); }
  /// The type of the weight or stack of this name.
  std::optional<ValueType> parameterType(std::string_view name) const;
  const State *state(std::string_view name) const { return find(states_, name); }
  const Function *function(std::string_view name) const { return find(functions_, name); }

private:
  template <typename T> using Map = std::unordered_map<std::string_view, const T *>;
  template <typename T> static const T *find(const Map<T> &map, std::string_view name) {
    auto found = map.find(name);
    return found == map.end() ? nullptr : found->second;
  }

  Map<Symbol> symbols_;
  Map<Weight> weights_;
  Map<WeightStack> stacks_;
  Map<State> states_;
  Map<Function> functions_;
};

} // namespace qwenc::graph
