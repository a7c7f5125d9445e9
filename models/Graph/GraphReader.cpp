//===- GraphReader.cpp - model.json text to Graph ---------------------------------------------------------------===//
#include "models/Graph/GraphReader.h"

#include "models/Checkpoint/File.h"
#include "models/Checkpoint/Json.h"
#include "models/Graph/GraphVerifier.h"
#include "models/Graph/Ops.h"
#include "models/Graph/SchemaValidator.h"

#include <charconv>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;

namespace {

Status invalid(std::string message) { return Status(StatusCode::InvalidInput, std::move(message)); }

// The schema has fixed which members exist and their kinds. These accessors still never fail: a member that is absent
// or of another kind gives the default, so that an omission in the schema cannot become undefined behaviour.

const json &at(const json &object, const char *key) {
  static const json null;
  const json *found = member(object, key);
  return found ? *found : null;
}

std::string text(const json &object, const char *key) {
  const std::string *found = asString(at(object, key));
  return found ? *found : std::string();
}

uint64_t integer(const json &object, const char *key) { return asUnsigned(at(object, key)).value_or(0); }

double number(const json &object, const char *key, double otherwise) {
  return asNumber(at(object, key)).value_or(otherwise);
}

bool flag(const json &object, const char *key) {
  const bool *found = at(object, key).get_ptr<const bool *>();
  return found && *found;
}

std::vector<std::string> texts(const json &object, const char *key) {
  std::vector<std::string> result;
  for (const json &element : at(object, key))
    if (const std::string *name = asString(element))
      result.push_back(*name);
  return result;
}

std::optional<std::vector<Dim>> readDims(const json &array) {
  if (!array.is_array() || array.size() > maxTypeRank)
    return std::nullopt;
  std::vector<Dim> dims;
  for (const json &element : array) {
    const std::string *symbol = asString(element);
    if (std::optional<Dim> dim = symbol ? parseDim(*symbol) : std::nullopt; dim && dim->isSymbol())
      dims.push_back(*dim);
    else if (std::optional<uint64_t> size = asUnsigned(element); size && *size <= maxDimSize)
      dims.push_back(Dim(*size));
    else
      return std::nullopt;
  }
  return dims;
}

Status readCheckpoint(const json &object, CheckpointInfo &checkpoint) {
  checkpoint.path = text(object, "path");
  for (const json &element : at(object, "files")) {
    WeightFile file{text(element, "name"), integer(element, "size_bytes"), integer(element, "header_bytes"), 0};
    std::string hash = text(element, "header_hash");
    constexpr std::string_view prefix = "fnv1a64:";
    const char *end = hash.data() + hash.size();
    bool ok = hash.starts_with(prefix) && hash.size() == prefix.size() + 16;
    if (ok) {
      auto [stop, error] = std::from_chars(hash.data() + prefix.size(), end, file.headerHash, 16);
      ok = error == std::errc() && stop == end;
    }
    if (!ok)
      return invalid("checkpoint file " + inQuotes(file.name) + " with header_hash " + inQuotes(hash) +
                     ", expected fnv1a64: and 16 hexadecimal digits, export the checkpoint again");
    checkpoint.files.push_back(std::move(file));
  }
  return Status::ok();
}

void readMedia(const json &object, MediaInfo &media) {
  if (const json &audio = at(object, "audio"); audio.is_object())
    media.audio = AudioInfo{text(audio, "encoder"), integer(audio, "mel_bins"), integer(audio, "chunk_frames"),
                            integer(audio, "window_chunks")};
  if (const json &vision = at(object, "vision"); vision.is_object())
    media.vision = VisionInfo{
        text(vision, "encoder"),       integer(vision, "patch_size"),    integer(vision, "temporal_patch_size"),
        integer(vision, "merge_size"), integer(vision, "position_side"), integer(vision, "deepstack"),
        integer(vision, "min_pixels"), integer(vision, "max_pixels")};
}

GenerationInfo readGeneration(const json &object) {
  GenerationInfo generation;
  for (const json &id : at(object, "stop_ids"))
    generation.stopIds.push_back(static_cast<uint32_t>(asUnsigned(id).value_or(0)));
  generation.doSample = flag(object, "do_sample");
  generation.temperature = number(object, "temperature", 1.0);
  generation.topK = static_cast<uint32_t>(integer(object, "top_k"));
  generation.topP = number(object, "top_p", 1.0);
  generation.repetitionPenalty = number(object, "repetition_penalty", 1.0);
  return generation;
}

/// Ids by name; what is no id of 32 bits becomes the largest one, which no vocabulary has.
std::map<std::string, uint32_t> readIds(const json &object) {
  std::map<std::string, uint32_t> ids;
  if (object.is_object())
    for (auto item = object.begin(); item != object.end(); ++item)
      ids[item.key()] = static_cast<uint32_t>(std::min<uint64_t>(asUnsigned(*item).value_or(UINT32_MAX), UINT32_MAX));
  return ids;
}

TalkerInfo readTalker(const json &object) {
  TalkerInfo talker;
  talker.decoder = text(object, "decoder");
  talker.head = text(object, "head");
  talker.predictorDecoder = text(object, "predictor_decoder");
  talker.predictorHead = text(object, "predictor_head");
  talker.text = text(object, "text");
  talker.media = text(object, "media");
  talker.tables = texts(object, "tables");
  talker.suppressedFirst = integer(object, "suppressed_first");
  talker.suppressedEnd = integer(object, "suppressed_end");
  talker.ids = readIds(at(object, "ids"));
  talker.speakers = readIds(at(object, "speakers"));
  talker.maxFrames = integer(object, "max_frames");
  talker.sampling = readGeneration(at(object, "sampling"));
  talker.predictorSampling = readGeneration(at(object, "predictor_sampling"));
  return talker;
}

void readTextInfo(const json &document, Graph &graph) {
  if (const json &object = at(document, "tokenizer"); object.is_object())
    graph.tokenizer = TokenizerInfo{text(object, "kind"), texts(object, "files")};
  if (const json &object = at(document, "chat"); object.is_object())
    graph.chat = ChatInfo{text(object, "format"), flag(object, "thinking_switch")};
  if (const json &object = at(document, "generation"); object.is_object())
    graph.generation = readGeneration(object);
  if (const json &object = at(document, "generate"); object.is_object())
    graph.generate = GenerateInfo{text(object, "decoder"), text(object, "head")};
  if (const json &object = at(document, "media"); object.is_object())
    readMedia(object, graph.media.emplace());
  if (const json &object = at(document, "speech"); object.is_object()) {
    SpeechInfo &speech = graph.speech.emplace();
    if (const json &talker = at(object, "talker"); talker.is_object())
      speech.talker = readTalker(talker);
    if (const json &vocoder = at(object, "vocoder"); vocoder.is_object())
      speech.vocoder = VocoderInfo{text(vocoder, "decoder"),          integer(vocoder, "groups"),
                                   integer(vocoder, "codebook_size"), integer(vocoder, "frame_samples"),
                                   integer(vocoder, "lost_samples"),  integer(vocoder, "sample_rate")};
  }
}

Status readWeights(const json &array, std::vector<Weight> &weights) {
  weights.reserve(array.size());
  for (const json &element : array) {
    Weight weight{text(element, "name"),
                  static_cast<uint32_t>(integer(element, "file")),
                  integer(element, "offset"),
                  DType::BF16,
                  {}};
    std::string dtype = text(element, "dtype");
    std::optional<DType> known = dtypeFromName(dtype);
    if (!known)
      return invalid("weight " + inQuotes(weight.name) + " of dtype " + inQuotes(dtype) +
                     ", expected bf16, convert the checkpoint");
    weight.dtype = *known;
    for (const json &dim : at(element, "shape"))
      weight.shape.push_back(asUnsigned(dim).value_or(0));
    weights.push_back(std::move(weight));
  }
  return Status::ok();
}

Status readSymbols(const json &array, std::vector<Symbol> &symbols) {
  for (const json &element : array) {
    Symbol symbol{text(element, "name"), text(element, "meaning"), integer(element, "max")};
    if (const json &limit = at(element, "limit"); !limit.is_null()) {
      std::optional<SymbolLimit> known = limitFromName(text(element, "limit"));
      if (!known)
        return invalid("symbol " + inQuotes(symbol.name) + " with limit " + inQuotes(text(element, "limit")) +
                       ", expected audio_seconds or image_pixels, update qwenc or correct the document");
      symbol.limit = *known;
      symbol.perUnit = number(element, "per_unit", 0);
    }
    symbols.push_back(std::move(symbol));
  }
  return Status::ok();
}

std::vector<WeightStack> readStacks(const json &array) {
  std::vector<WeightStack> stacks;
  for (const json &element : array)
    stacks.push_back({text(element, "name"), texts(element, "weights")});
  return stacks;
}

Status readStates(const json &array, std::vector<State> &states) {
  for (const json &element : array) {
    std::optional<std::vector<Dim>> shape = readDims(at(element, "shape"));
    if (!shape)
      return invalid("state " + inQuotes(text(element, "name")) +
                     " without a shape, expected numbers and symbols, correct it");
    states.push_back({text(element, "name"), text(element, "kind"), std::move(*shape)});
  }
  return Status::ok();
}

/// An attribute in the form its kind asks for; what does not fit stays as it is and is refused by inferTypes().
AttrValue readAttr(const json &value, const AttrInfo *info) {
  if (const bool *boolean = value.get_ptr<const bool *>())
    return *boolean;
  if (const std::string *string = asString(value))
    return *string;
  if (std::optional<std::vector<Dim>> dims = readDims(value))
    return *dims;
  bool wantsNumber = info && info->kind == AttrKind::PositiveNumber;
  if (std::optional<uint64_t> whole = asUnsigned(value); whole && !wantsNumber && *whole <= INT64_MAX)
    return static_cast<int64_t>(*whole);
  return asNumber(value).value_or(0.0);
}

Status readOp(const json &object, Op &op) {
  std::string name = text(object, "op");
  const OpInfo *info = findOp(name);
  if (!info)
    return invalid("unknown operation " + inQuotes(name) + ", expected one of [" + knownOpNames() +
                   "], update qwenc or export with an older exporter");
  op.kind = info->kind;
  op.inputs = texts(object, "inputs");
  op.outputs = texts(object, "outputs");
  if (const json &attrs = at(object, "attrs"); attrs.is_object())
    for (auto item = attrs.begin(); item != attrs.end(); ++item) {
      const AttrInfo *known = nullptr;
      for (const AttrInfo &attr : info->attrs)
        if (attr.name == item.key())
          known = &attr;
      op.attrs.emplace(item.key(), readAttr(*item, known));
    }
  for (const std::string &type : texts(object, "types")) {
    QWENRT_ASSIGN_OR_RETURN(ValueType parsed, parseValueType(type));
    op.types.push_back(std::move(parsed));
  }
  return Status::ok();
}

Result<Binding> readBinding(const json &input) {
  const json &found = at(input, "binding");
  if (found.is_null())
    return Binding::None;
  std::optional<Binding> binding = bindingFromName(text(input, "binding"));
  if (!binding)
    return invalid("input " + inQuotes(text(input, "name")) + " with binding " + inQuotes(text(input, "binding")) +
                   ", expected positions, media_rows or media, update qwenc or correct the document");
  return *binding;
}

Status readFunction(const json &object, Function &function) {
  function.name = text(object, "name");
  std::string context = "function " + inQuotes(function.name);
  for (const json &element : at(object, "inputs")) {
    Result<ValueType> type = parseValueType(text(element, "type"));
    if (!type)
      return type.status().withContext(context + ": input " + inQuotes(text(element, "name")));
    QWENRT_ASSIGN_OR_RETURN(Binding binding, readBinding(element));
    function.inputs.push_back({text(element, "name"), std::move(*type), binding});
  }
  const json &ops = at(object, "ops");
  function.ops.reserve(ops.size());
  for (const json &element : ops) {
    Status status = readOp(element, function.ops.emplace_back());
    if (!status)
      return std::move(status).withContext(context + ": op " + std::to_string(function.ops.size() - 1));
  }
  function.outputs = texts(object, "outputs");
  return Status::ok();
}

/// Format and version come before the schema: a document of another version may look different altogether.
Status checkVersion(const json &document) {
  const std::string *format = asString(at(document, "format"));
  if (!format || *format != "qwen-graph")
    return invalid("format " + (format ? inQuotes(*format) : std::string("missing")) +
                   ", expected 'qwen-graph', give a model.json written by qwen-export");
  const json &version = at(document, "version");
  std::optional<uint64_t> found = asUnsigned(version);
  if (!found || *found != graphVersion)
    return invalid("version " + (found ? std::to_string(*found) : std::string("missing or no integer")) +
                   ", expected " + std::to_string(graphVersion) +
                   ", export again with the qwen-export of this version");
  return Status::ok();
}

} // namespace

Result<Graph> qwenc::graph::readGraph(std::string_view source) {
  // The containers of version 1 are at most six deep; unknown keys may hold more.
  QWENRT_ASSIGN_OR_RETURN(json document, parseJson(source, {maxGraphBytes, /*maxDepth=*/32, /*maxValues=*/1'000'000}));
  QWENRT_RETURN_IF_ERROR(checkVersion(document));
  QWENRT_RETURN_IF_ERROR(validateAgainstSchema(document));

  Graph graph;
  graph.producer = text(document, "producer");
  const json &model = at(document, "model");
  graph.model = {text(model, "name"), text(model, "architecture"), integer(model, "max_positions"),
                 integer(model, "vocab_size")};
  QWENRT_RETURN_IF_ERROR(readCheckpoint(at(document, "checkpoint"), graph.checkpoint));
  readTextInfo(document, graph);
  QWENRT_RETURN_IF_ERROR(readSymbols(at(document, "symbols"), graph.symbols));
  QWENRT_RETURN_IF_ERROR(readWeights(at(document, "weights"), graph.weights));
  graph.stacks = readStacks(at(document, "weight_stacks"));
  QWENRT_RETURN_IF_ERROR(readStates(at(document, "states"), graph.states));
  for (const json &element : at(document, "functions"))
    QWENRT_RETURN_IF_ERROR(readFunction(element, graph.functions.emplace_back()));
  QWENRT_RETURN_IF_ERROR(verifyGraph(graph));
  return graph;
}

Result<Graph> qwenc::graph::readGraphFile(const std::string &path) {
  QWENRT_ASSIGN_OR_RETURN(std::string source, readWholeFile(path, maxGraphBytes));
  Result<Graph> graph = readGraph(source);
  if (!graph)
    return graph.status().withContext("'" + path + "'");
  return graph;
}
