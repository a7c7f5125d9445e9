//===- Talker.cpp - The decoders that make codes of speech --------------------------------------------------------===//
//
// The talker of Qwen3-Omni (https://arxiv.org/abs/2509.17765) is a decoder whose rows are made of text and of codes.
// Its token is the first code of a frame. The predictor is a small dense decoder that runs over one frame: its rows are
// the talker's normalised state s, then the embedding of each code; it has a head of its own for each group.
//
//   rows of the prompt    W2 silu(W1 e + b1) + b2 (+ the embedding of a code), e an embedding or hidden row of the
//   thinker rows of a frame       sum over groups of the embedding of its code, + a row of the text still to be said s,
//   code 0             RMSNorm(x), W_head s code j                W_head[j-1] RMSNorm(x_j) over rows s, E_0[code 0], ..
//   E_{j-1}[code j-1]
//
// Symbols in shapes: S rows of one call, C positions of the cache, R rows of the head, T rows to project.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "models/Qwen3/Talker.h"

#include "models/Qwen3/ConfigReader.h"
#include "models/Qwen3/DecoderTensors.h"
#include "models/Qwen3/TextDecoder.h"

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;

namespace {

constexpr const char *kThinkerEmbedding = "thinker.model.embed_tokens.weight";
constexpr const char *kCodeEmbedding = "talker.model.codec_embedding.weight";
constexpr const char *kCodeHead = "talker.codec_head.weight";
constexpr const char *kPredictorHeads = "talker.code_predictor.lm_heads";
/// Special codes stand at the end of the talker's vocabulary.
constexpr uint64_t kSpecialCodes = 1024;
/// Rows projected in one run.
constexpr uint64_t kProjectedRows = 512;

std::string indexed(const char *before, uint64_t i, const char *behind) { return before + std::to_string(i) + behind; }
std::string predictorTable(uint64_t i) { return indexed("talker.code_predictor.model.codec_embedding.", i, ".weight"); }
std::string predictorHead(uint64_t i) { return indexed("talker.code_predictor.lm_head.", i, ".weight"); }

struct SpeechConfig {
  DecoderConfig talker, predictor;
  uint64_t thinkerVocab = 0, thinkerHidden = 0, thinkerPositions = 0;
  uint64_t middle = 0; ///< width inside the projections
  uint64_t groups = 0; ///< codes of a frame
};

const json &objectOf(const json &parent, const char *key, std::vector<std::string> &problems) {
  static const json empty = json::object();
  const json *found = member(parent, key);
  if (found && found->is_object())
    return *found;
  ConfigReader(parent, problems).problem(key, found, "an object");
  return empty;
}

SpeechConfig readConfig(const json &source, std::vector<std::string> &problems) {
  SpeechConfig config;
  const json &talker = objectOf(source, "talker_config", problems),
             &thinker = objectOf(source, "thinker_config", problems);
  if (!problems.empty())
    return config;
  const json &text = objectOf(talker, "text_config", problems);
  const json &predictor = objectOf(talker, "code_predictor_config", problems);
  const json &thinkerText = objectOf(thinker, "text_config", problems);
  if (!problems.empty())
    return config;
  config.talker = readDecoderConfig(text, problems);
  config.talker.prefix = "talker.model.";
  config.talker.headName = kCodeHead;
  config.talker.valuePrefix = "talker.";
  ConfigReader textReader(text, problems, "talker_config.text_config.");
  if (config.talker.experts)
    config.talker.experts->sharedSize = textReader.size("shared_expert_intermediate_size", 1 << 22);
  if (config.talker.mropeSections.empty())
    textReader.problem("rope_scaling.mrope_section", nullptr, "the sections of M-RoPE");
  if (config.talker.tieWordEmbeddings)
    textReader.problem("tie_word_embeddings", textReader.find("tie_word_embeddings"), "false");
  config.middle = textReader.size("intermediate_size", 1 << 22);
  config.predictor = readDecoderConfig(predictor, problems);
  config.predictor.prefix = "talker.code_predictor.model.";
  config.predictor.valuePrefix = "predictor.";
  ConfigReader talkerReader(talker, problems, "talker_config.");
  config.groups = talkerReader.size("num_code_groups", 64);
  if (config.groups == 1)
    talkerReader.problem("num_code_groups", talkerReader.find("num_code_groups"), "at least 2");
  if (config.predictor.hiddenSize != config.talker.hiddenSize)
    ConfigReader(predictor, problems, "talker_config.code_predictor_config.")
        .problem("hidden_size", member(predictor, "hidden_size"),
                 "the talker's " + std::to_string(config.talker.hiddenSize));
  ConfigReader thinkerReader(thinkerText, problems, "thinker_config.text_config.");
  config.thinkerVocab = thinkerReader.size("vocab_size", 1 << 24);
  config.thinkerHidden = thinkerReader.size("hidden_size", 1 << 20);
  config.thinkerPositions = thinkerReader.size("max_position_embeddings", 1 << 24);
  return config;
}

/// The ids that stand in config.json, each under the name of talkerIdNames().
void readIds(const json &source, const SpeechConfig &config, TalkerInfo &info, std::vector<std::string> &problems) {
  const json &talker = source["talker_config"];
  ConfigReader top(source, problems), inner(talker, problems, "talker_config.");
  auto read = [&](ConfigReader &reader, const char *name, const char *key, uint64_t end) {
    const json *found = reader.find(key);
    std::optional<uint64_t> id = found ? asUnsigned(*found) : std::nullopt;
    if (id && *id < end)
      info.ids[name] = static_cast<uint32_t>(*id);
    else
      reader.problem(key, found, "an id below " + std::to_string(end));
  };
  for (auto [name, key] : {std::pair<const char *, const char *>{"im_start", "im_start_token_id"},
                           {"user", "user_token_id"},
                           {"assistant", "assistant_token_id"},
                           {"tts_pad", "tts_pad_token_id"},
                           {"tts_bos", "tts_bos_token_id"},
                           {"tts_eos", "tts_eos_token_id"}})
    read(top, name, key, config.thinkerVocab);
  for (auto [name, key] : {std::pair<const char *, const char *>{"audio_pad", "audio_token_id"},
                           {"image_pad", "image_token_id"},
                           {"video_pad", "video_token_id"}})
    read(inner, name, key, config.thinkerVocab);
  for (auto [name, key] : {std::pair<const char *, const char *>{"codec_pad", "codec_pad_id"},
                           {"codec_bos", "codec_bos_id"},
                           {"codec_eos", "codec_eos_token_id"},
                           {"codec_nothink", "codec_nothink_id"},
                           {"codec_think_bos", "codec_think_bos_id"},
                           {"codec_think_eos", "codec_think_eos_id"}})
    read(inner, name, key, config.talker.vocabSize);
  const json *speakers = inner.find("speaker_id");
  bool isMap = speakers && speakers->is_object() && !speakers->empty() && speakers->size() <= 1024;
  if (isMap)
    for (auto item = speakers->begin(); item != speakers->end(); ++item) {
      std::optional<uint64_t> id = asUnsigned(*item);
      isMap = isMap && id && *id < config.talker.vocabSize;
      info.speakers[item.key()] = static_cast<uint32_t>(id.value_or(0));
    }
  if (!isMap)
    inner.problem("speaker_id", speakers, "ids of codes by the names of speakers");
}

/// generation_config.json's values for the talker; what it leaves out is as transformers has it.
void readSampling(const Checkpoint &checkpoint, TalkerInfo &info, std::vector<std::string> &problems) {
  static const json empty = json::object();
  const json &config = checkpoint.generationConfig ? *checkpoint.generationConfig : empty;
  auto read = [&](const char *key, double least, double most, double otherwise) {
    const json *found = member(config, key);
    if (!found || found->is_null())
      return otherwise;
    std::optional<double> number = asNumber(*found);
    if (number && *number >= least && *number <= most)
      return *number;
    problems.push_back(std::string(key) + " is no number from " + std::to_string(least) + " to " +
                       std::to_string(most) + ", expected one, correct generation_config.json");
    return otherwise;
  };
  info.maxFrames = static_cast<uint64_t>(read("talker_max_new_tokens", 1, 1 << 24, 4096));
  info.sampling.doSample = true;
  info.sampling.repetitionPenalty = read("talker_repetition_penalty", 1e-3, 1000, 1.05);
  info.sampling.temperature = read("talker_temperature", 1e-3, 1000, 0.9);
  info.sampling.topK = static_cast<uint32_t>(read("talker_top_k", 0, 1 << 24, 50));
  info.sampling.topP = read("talker_top_p", 1e-6, 1, 1);
  // These stand in no file: transformers' code has them.
  info.predictorSampling.doSample = true;
  info.predictorSampling.topK = 50;
  info.predictorSampling.topP = 0.8;
}

std::vector<TensorSpec> speechTensors(const SpeechConfig &config) {
  using enum TensorRole;
  const uint64_t hidden = config.talker.hiddenSize;
  std::vector<TensorSpec> specs = decoderBodyTensors(config.talker);
  specs.push_back({kCodeEmbedding, {config.talker.vocabSize, hidden}, UntiedEmbedding});
  specs.push_back({kCodeHead, {config.talker.vocabSize, hidden}, Linear});
  for (const char *projection : {"talker.text_projection.", "talker.hidden_projection."}) {
    std::string prefix = projection;
    specs.push_back({prefix + "linear_fc1.weight", {config.middle, config.thinkerHidden}, Linear});
    specs.push_back({prefix + "linear_fc1.bias", {config.middle}, Bias});
    specs.push_back({prefix + "linear_fc2.weight", {hidden, config.middle}, Linear});
    specs.push_back({prefix + "linear_fc2.bias", {hidden}, Bias});
  }
  for (TensorSpec &spec : decoderBodyTensors(config.predictor))
    specs.push_back(std::move(spec));
  for (uint64_t i = 0; i + 1 < config.groups; ++i) {
    specs.push_back({predictorTable(i), {config.predictor.vocabSize, hidden}, UntiedEmbedding});
    specs.push_back({predictorHead(i), {config.predictor.vocabSize, hidden}, Linear});
  }
  return specs;
}

//===------------------------------------------------------------------------------------------------------------===//
// Functions
//===------------------------------------------------------------------------------------------------------------===//

Result<Function> buildTalker(const Graph &graph, const DecoderConfig &config) {
  FunctionBuilder f(graph, "talker.decoder");
  GraphIndex index(graph);
  Value x = f.input("inputs", {DType::F32, {"S", config.hiddenSize}});
  Value positions = f.input("positions", {DType::F32, {"S", 3}}, Binding::Positions);
  for (uint64_t l = 0; l < config.layers; ++l)
    x = decoderLayer(f, index, config, l, x, positions, /*usesSections=*/true);
  return f.finish({x});
}

Result<Function> buildTalkerHead(const Graph &graph, const DecoderConfig &config) {
  FunctionBuilder f(graph, "talker.head");
  Value hidden = f.input("hidden", {DType::F32, {"R", config.hiddenSize}});
  Value norm = f.rmsNorm("talker.norm", hidden, {config.prefix + "norm.weight"}, config.rmsNormEps);
  return f.finish({f.linear("talker.logits", norm, {kCodeHead}), norm});
}

Result<Function> buildPredictor(const Graph &graph, const DecoderConfig &config) {
  FunctionBuilder f(graph, "predictor.decoder");
  GraphIndex index(graph);
  Value x = f.input("inputs", {DType::F32, {"S", config.hiddenSize}});
  Value positions = f.positionIds("predictor.positions", "S");
  for (uint64_t l = 0; l < config.layers; ++l)
    x = decoderLayer(f, index, config, l, x, positions, /*usesSections=*/false);
  return f.finish({x});
}

/// The head of each row is chosen as an expert is.
Result<Function> buildPredictorHead(const Graph &graph, const DecoderConfig &config) {
  FunctionBuilder f(graph, "predictor.head");
  Value hidden = f.input("hidden", {DType::F32, {"R", config.hiddenSize}});
  Value step = f.input("step", {DType::I32, {"R", 1}});
  Value norm = f.rmsNorm("predictor.norm", hidden, {config.prefix + "norm.weight"}, config.rmsNormEps);
  Value chosen = f.expertLinear("predictor.chosen_logits", norm, step, {kPredictorHeads}); // [R, 1, V]
  return f.finish({f.reshape("predictor.logits", chosen, {"R", config.vocabSize})});
}

Value project(FunctionBuilder &f, std::string result, const std::string &prefix, const Value &x) {
  auto linear = [&](std::string value, const char *module, const Value &input) {
    return f.linear(std::move(value), input, {prefix + module + ".weight"}, WeightName{prefix + module + ".bias"});
  };
  Value middle = f.silu(prefix + "silu", linear(prefix + "linear_fc1", "linear_fc1", x));
  return linear(std::move(result), "linear_fc2", middle);
}

Result<Function> buildText(const Graph &graph) {
  FunctionBuilder f(graph, "talker.text");
  Value ids = f.input("ids", {DType::I32, {"T"}}), codes = f.input("codes", {DType::I32, {"T"}});
  Value embeddings = f.embedding("talker.text_embeddings", ids, {kThinkerEmbedding});
  Value text = project(f, "talker.text_rows", "talker.text_projection.", embeddings);
  return f.finish({f.add("rows", text, f.embedding("talker.code_embeddings", codes, {kCodeEmbedding}))});
}

Result<Function> buildMedia(const Graph &graph, const SpeechConfig &config) {
  FunctionBuilder f(graph, "talker.media");
  Value hidden = f.input("hidden", {DType::F32, {"T", config.thinkerHidden}});
  return f.finish({project(f, "rows", "talker.hidden_projection.", hidden)});
}

void addGraphParts(const Checkpoint &checkpoint, const SpeechConfig &config, Graph &graph) {
  std::vector<TensorSpec> specs = speechTensors(config);
  specs.push_back({kThinkerEmbedding, {config.thinkerVocab, config.thinkerHidden}, TensorRole::UntiedEmbedding});
  addWeights(checkpoint, specs, graph);
  if (config.talker.experts)
    addExpertStacks(config.talker, graph);
  WeightStack &heads = graph.stacks.emplace_back();
  heads.name = kPredictorHeads;
  for (uint64_t i = 0; i + 1 < config.groups; ++i)
    heads.weights.push_back(predictorHead(i));
  addSymbol(graph, {"S", "rows processed in one call", config.talker.maxPositions});
  addSymbol(graph, {"C", "positions the cache can hold", config.talker.maxPositions});
  addSymbol(graph, {"R", "rows the head computes in one call", config.talker.maxPositions});
  addSymbol(graph, {"T", "rows of text or media for the talker", kProjectedRows});
  addDecoderStates(config.talker, "C", graph);
  addDecoderStates(config.predictor, config.groups, graph);
}

Status addFunctions(const SpeechConfig &config, Graph &graph) {
  for (Result<Function> (*build)(const Graph &, const DecoderConfig &) : {buildTalker, buildTalkerHead}) {
    QWENRT_ASSIGN_OR_RETURN(Function function, build(graph, config.talker));
    graph.functions.push_back(std::move(function));
  }
  for (Result<Function> (*build)(const Graph &, const DecoderConfig &) : {buildPredictor, buildPredictorHead}) {
    QWENRT_ASSIGN_OR_RETURN(Function function, build(graph, config.predictor));
    graph.functions.push_back(std::move(function));
  }
  QWENRT_ASSIGN_OR_RETURN(Function text, buildText(graph));
  graph.functions.push_back(std::move(text));
  QWENRT_ASSIGN_OR_RETURN(Function media, buildMedia(graph, config));
  graph.functions.push_back(std::move(media));
  return Status::ok();
}

} // namespace

std::vector<TensorSpec> qwenc::talkerTensors(const json &source, std::vector<std::string> &problems) {
  SpeechConfig config = readConfig(source, problems);
  return problems.empty() ? speechTensors(config) : std::vector<TensorSpec>();
}

std::optional<uint64_t> qwenc::talkerAcceptHidden(const json &config) {
  const json *talker = member(config, "talker_config"),
             *layer = talker ? member(*talker, "accept_hidden_layer") : nullptr;
  return layer ? asUnsigned(*layer) : std::nullopt;
}

Status qwenc::exportTalker(const Checkpoint &source, Graph &graph) {
  std::vector<std::string> problems;
  SpeechConfig config = readConfig(source.config, problems);
  if (!talkerAcceptHidden(source.config))
    problems.push_back(
        "config.json: talker_config.accept_hidden_layer is missing or no integer, expected the number of "
        "a hidden state of the thinker, correct config.json");
  TalkerInfo info;
  Checkpoint checkpoint = source;
  if (problems.empty()) {
    readIds(source.config, config, info, problems);
    readSampling(source, info, problems);
    splitStackedExperts(config.talker, checkpoint);
    constexpr std::string_view others[] = {"thinker.", "code2wav."};
    checkTensors(checkpoint, speechTensors(config), others, problems);
  }
  QWENRT_RETURN_IF_ERROR(reportProblems("the talker", problems));

  addGraphParts(checkpoint, config, graph);
  if (graph.model.maxPositions == 0)
    graph.model.maxPositions = config.talker.maxPositions;
  if (graph.model.vocabSize == 0)
    graph.model.vocabSize = config.thinkerVocab;
  QWENRT_RETURN_IF_ERROR(addFunctions(config, graph));
  info.decoder = "talker.decoder";
  info.head = "talker.head";
  info.predictorDecoder = "predictor.decoder";
  info.predictorHead = "predictor.head";
  info.text = "talker.text";
  info.media = "talker.media";
  info.tables = {kCodeEmbedding};
  for (uint64_t i = 0; i + 1 < config.groups; ++i)
    info.tables.push_back(predictorTable(i));
  info.suppressedEnd = config.talker.vocabSize;
  info.suppressedFirst = info.suppressedEnd - std::min(info.suppressedEnd, kSpecialCodes);
  info.sampling.stopIds = {info.ids["codec_eos"]};
  if (!graph.speech)
    graph.speech.emplace();
  graph.speech->talker = std::move(info);
  return Status::ok();
}
