//===- TextDecoder.cpp - The text decoders of the family --------------------------------------------------------===//
//
// The decoder of the Qwen3 technical report (https://arxiv.org/abs/2505.09388): pre-norm blocks with grouped-query
// attention, RMSNorm on each query and key head, RoPE, and SwiGLU or a mixture of SwiGLU experts. The thinker of
// Qwen3-Omni (https://arxiv.org/abs/2509.17765) is the same decoder with M-RoPE, which is RoPE where the three
// positions of a token are equal, as they are in text.
//
//   x0 = E[ids]
//   for each layer:  x = x + Attention(RMSNorm(x));  x = x + MLP(RMSNorm(x))
//   logits = RMSNorm(x) W_head^T
//
// Symbols in shapes: S rows of one call, C positions of the cache, R rows of the head.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "models/Qwen3/TextDecoder.h"

#include "models/Graph/GraphBuilder.h"
#include "models/Qwen3/DecoderTensors.h"

#include <algorithm>
#include <cmath>

using namespace qwenc;
using namespace qwenc::graph;

namespace {

/// One layer's names: weights as the checkpoint has them, values and states short.
class Layer {
public:
  Layer(const GraphIndex &index, const DecoderConfig &config, uint64_t layer)
      : index_(index), prefix_(config.layerPrefix(layer)),
        valuePrefix_(config.valuePrefix + "layers." + std::to_string(layer) + ".") {}
  WeightName weight(const std::string &module) const { return {prefix_ + module + ".weight"}; }
  /// Only checkpoints with attention_bias store one.
  std::optional<WeightName> bias(const std::string &module) const {
    std::string name = prefix_ + module + ".bias";
    return index_.weight(name) ? std::optional<WeightName>({name}) : std::nullopt;
  }
  std::string operator()(const char *value) const { return valuePrefix_ + value; }

private:
  const GraphIndex &index_;
  std::string prefix_, valuePrefix_;
};

/// The inputs of the decoder beside ids.
struct MediaInputs {
  Value rows, index;
  std::vector<Value> deepstack;
};

MediaInputs addMediaInputs(FunctionBuilder &f, const DecoderConfig &config, const DecoderMedia &media) {
  ValueType rows{DType::F32, {"M", config.hiddenSize}};
  MediaInputs inputs;
  inputs.index = f.input("media_rows", {DType::I32, {"S"}}, Binding::MediaRows);
  inputs.rows = f.input("media", rows, Binding::Media);
  for (uint64_t i = 0; i < media.deepstack; ++i)
    inputs.deepstack.push_back(f.input("deepstack." + std::to_string(i), rows, Binding::Media));
  return inputs;
}

/// Rotates by three positions where the decoder has them, else by one.
Value rotate(FunctionBuilder &f, std::string name, const DecoderConfig &config, bool usesSections, const Value &x,
             const Value &positions) {
  if (usesSections)
    return f.mrope(std::move(name), x, positions, config.ropeTheta, config.mropeSections);
  return f.rope(std::move(name), x, positions, config.ropeTheta);
}

Value attentionBlock(FunctionBuilder &f, const DecoderConfig &config, bool usesSections, const Layer &layer,
                     const Value &x, const Value &positions) {
  const uint64_t D = config.headDim, Hq = config.queryHeads, Hkv = config.kvHeads;
  auto project = [&](const char *name, const char *module, const Value &input) {
    return f.linear(layer(name), input, layer.weight(module), layer.bias(module));
  };
  Value q = project("q_proj", "self_attn.q_proj", x);           // [S, Hq*D]
  Value k = project("k_proj", "self_attn.k_proj", x);           // [S, Hkv*D]
  Value v = project("v_proj", "self_attn.v_proj", x);           // [S, Hkv*D]
  Value qHeads = f.reshape(layer("q_heads"), q, {"S", Hq, D});  // [S, Hq, D]
  Value kHeads = f.reshape(layer("k_heads"), k, {"S", Hkv, D}); // [S, Hkv, D]
  Value vHeads = f.reshape(layer("v_heads"), v, {"S", Hkv, D}); // [S, Hkv, D]
  Value qNorm = f.rmsNorm(layer("q_norm"), qHeads, layer.weight("self_attn.q_norm"), config.rmsNormEps);
  Value kNorm = f.rmsNorm(layer("k_norm"), kHeads, layer.weight("self_attn.k_norm"), config.rmsNormEps);
  Value qRope = rotate(f, layer("q_rope"), config, usesSections, qNorm, positions);
  Value kRope = rotate(f, layer("k_rope"), config, usesSections, kNorm, positions);
  Value keys = f.kvAppend(layer("keys"), layer("k"), kRope);      // [C, Hkv, D]
  Value values = f.kvAppend(layer("values"), layer("v"), vHeads); // [C, Hkv, D]
  Value context = f.attention(layer("attention"), qRope, keys, values, 1.0 / std::sqrt(double(D)), /*causal=*/true);
  Value rows = f.reshape(layer("attention_rows"), context, {"S", Hq * D}); // [S, Hq*D]
  return project("o_proj", "self_attn.o_proj", rows);                      // [S, H]
}

/// SwiGLU: W_down (silu(W_gate x) * W_up x).
Value mlpBlock(FunctionBuilder &f, const Layer &layer, const Value &x) {
  Value gate = f.linear(layer("gate_proj"), x, layer.weight("mlp.gate_proj")); // [S, I]
  Value up = f.linear(layer("up_proj"), x, layer.weight("mlp.up_proj"));       // [S, I]
  Value activated = f.silu(layer("silu"), gate);
  Value product = f.mul(layer("mlp_product"), activated, up);
  return f.linear(layer("down_proj"), product, layer.weight("mlp.down_proj")); // [S, H]
}

/// The SwiGLU that every row takes, scaled by its gate.
Value sharedExpert(FunctionBuilder &f, const Layer &layer, const Value &x) {
  auto project = [&](const char *name, const Value &input) {
    return f.linear(layer(name), input, layer.weight("mlp." + std::string(name)));
  };
  Value factor = f.sigmoid(layer("shared_factor"), project("shared_expert_gate", x)); // [S, 1]
  Value gate = project("shared_expert.gate_proj", x), up = project("shared_expert.up_proj", x);
  Value product = f.mul(layer("shared_product"), f.silu(layer("shared_silu"), gate), up);
  return f.scaleRows(layer("shared_expert"), project("shared_expert.down_proj", product), factor);
}

/// The name of the stack of one projection of all experts.
std::string expertStackName(const DecoderConfig &config, uint64_t layer, std::string_view projection) {
  return config.layerPrefix(layer) + "mlp.experts." + std::string(projection) + ".weight";
}

/// Softmax over all experts, then the choice, then the weights of the chosen ones; each expert is a SwiGLU MLP.
Value expertsBlock(FunctionBuilder &f, const DecoderConfig &config, uint64_t index, const Layer &layer,
                   const Value &x) {
  auto stack = [&](const char *projection) { return WeightName{expertStackName(config, index, projection)}; };
  Value logits = f.linear(layer("router_logits"), x, layer.weight("mlp.gate")); // [S, E]
  Value probabilities = f.softmax(layer("router_probabilities"), logits);       // [S, E]
  auto [chosen, experts] = f.topK(layer("expert_probabilities"), layer("experts"), probabilities,
                                  config.experts->perToken); // [S, k] each
  Value weights = config.experts->normalize ? f.sumNormalize(layer("expert_weights"), chosen) : chosen;
  Value gate = f.expertLinear(layer("gate_proj"), x, experts, stack("gate_proj")); // [S, k, I]
  Value up = f.expertLinear(layer("up_proj"), x, experts, stack("up_proj"));       // [S, k, I]
  Value activated = f.silu(layer("silu"), gate);
  Value product = f.mul(layer("mlp_product"), activated, up);
  Value down = f.expertLinear(layer("down_proj"), product, experts, stack("down_proj")); // [S, k, H]
  if (!config.experts->sharedSize)
    return f.weightedSum(layer("mlp"), down, weights);          // [S, H]
  Value routed = f.weightedSum(layer("routed"), down, weights); // [S, H]
  return f.add(layer("mlp"), routed, sharedExpert(f, layer, x));
}

Result<Function> buildDecoder(const Graph &graph, const DecoderConfig &config, const DecoderMedia &media) {
  FunctionBuilder f(graph, "text.decoder");
  GraphIndex index(graph);
  Value ids = f.input("input_ids", {DType::I32, {"S"}});
  Value x, positions;
  MediaInputs inputs;
  if (media.isUsed) {
    positions = f.input("positions", {DType::F32, {"S", 3}}, Binding::Positions);
    inputs = addMediaInputs(f, config, media);
    Value embeddings = f.embedding("token_embeddings", ids, {config.embeddingName()}); // [S, H]
    x = f.replaceRows("embeddings", embeddings, inputs.rows, inputs.index);
  } else {
    x = f.embedding("embeddings", ids, {config.embeddingName()});
    positions = f.positionIds("positions", "S"); // [S]
  }
  std::vector<Value> outputs(1);
  if (media.acceptHidden == 0u)
    outputs.push_back(x);
  for (uint64_t l = 0; l < config.layers; ++l) {
    x = decoderLayer(f, index, config, l, x, positions, media.isUsed);
    if (media.acceptHidden == l + 1 && l + 1 < config.layers)
      outputs.push_back(x);
    if (l < inputs.deepstack.size())
      x = f.addRows(Layer(index, config, l)("deepstack_output"), x, inputs.deepstack[l], inputs.index);
  }
  if (media.acceptHidden == config.layers)
    outputs.push_back(f.rmsNorm("accept_norm", x, {config.prefix + "norm.weight"}, config.rmsNormEps));
  outputs[0] = x;
  return f.finish(outputs);
}

Result<Function> buildHead(const Graph &graph, const DecoderConfig &config) {
  FunctionBuilder f(graph, "text.head");
  Value hidden = f.input("hidden", {DType::F32, {"R", config.hiddenSize}});
  Value norm = f.rmsNorm("norm", hidden, {config.prefix + "norm.weight"}, config.rmsNormEps);
  Value logits =
      f.linear("logits", norm, {config.tieWordEmbeddings ? config.embeddingName() : config.headName}); // [R, V]
  return f.finish({logits});
}

void addSymbolsAndStates(const DecoderConfig &config, const DecoderMedia &media, Graph &graph) {
  addSymbol(graph, {"S", "rows processed in one call", config.maxPositions});
  addSymbol(graph, {"C", "positions the cache can hold", config.maxPositions});
  addSymbol(graph, {"R", "rows the head computes in one call", config.maxPositions});
  if (media.isUsed)
    addSymbol(graph, {"M", "media tokens of one turn", config.maxPositions});
  addDecoderStates(config, "C", graph);
}

/// What the other components ask of the decoder.
void checkMedia(const DecoderConfig &config, const DecoderMedia &media, std::vector<std::string> &problems) {
  if (media.isUsed && config.mropeSections.empty())
    problems.push_back("text_config has no rope_scaling.mrope_section, expected the sections of M-RoPE, correct "
                       "config.json");
  // Text alone turns by one position, whatever the sections.
  if (media.isUsed && std::ranges::count(config.mropeSections, 0u) > 0)
    problems.push_back("text_config's rope_scaling.mrope_section has a zero, expected pairs for each of time, height "
                       "and width, correct config.json");
  if (media.deepstack > config.layers)
    problems.push_back("vision_config has " + std::to_string(media.deepstack) + " deepstack_visual_indexes, expected " +
                       "at most the decoder's " + std::to_string(config.layers) + " layers, correct config.json");
  if (media.acceptHidden && *media.acceptHidden > config.layers)
    problems.push_back("talker_config.accept_hidden_layer is " + std::to_string(*media.acceptHidden) +
                       ", expected 0 to " + std::to_string(config.layers) +
                       ", as many as the thinker has layers, correct config.json");
}

/// The other components of Qwen3-Omni.
constexpr std::string_view kOtherComponents[] = {"thinker.audio_tower.", "thinker.visual.", "talker.", "code2wav."};

} // namespace

Value qwenc::decoderLayer(FunctionBuilder &f, const GraphIndex &index, const DecoderConfig &config, uint64_t number,
                          const Value &x, const Value &positions, bool usesSections) {
  Layer layer(index, config, number);
  Value attentionInput = f.rmsNorm(layer("input_norm"), x, layer.weight("input_layernorm"), config.rmsNormEps);
  Value attention = attentionBlock(f, config, usesSections, layer, attentionInput, positions);
  Value residual = f.add(layer("attention_residual"), x, attention);
  Value mlpInput =
      f.rmsNorm(layer("post_attention_norm"), residual, layer.weight("post_attention_layernorm"), config.rmsNormEps);
  Value mlp = config.sparse[number] ? expertsBlock(f, config, number, layer, mlpInput) : mlpBlock(f, layer, mlpInput);
  return f.add(layer("output"), residual, mlp);
}

void qwenc::addDecoderStates(const DecoderConfig &config, const Dim &positions, Graph &graph) {
  for (uint64_t l = 0; l < config.layers; ++l)
    for (const char *name : {"k", "v"})
      graph.states.push_back({config.valuePrefix + "layers." + std::to_string(l) + "." + name,
                              "kv_cache",
                              {positions, config.kvHeads, config.headDim}});
}

void qwenc::addExpertStacks(const DecoderConfig &config, Graph &graph) {
  for (uint64_t layer = 0; layer < config.layers; ++layer)
    for (const char *projection : {"gate_proj", "up_proj", "down_proj"}) {
      if (!config.sparse[layer])
        continue;
      WeightStack &stack = graph.stacks.emplace_back();
      stack.name = expertStackName(config, layer, projection);
      for (uint64_t expert = 0; expert < config.experts->count; ++expert)
        stack.weights.push_back(expertTensorName(config, layer, expert, projection));
    }
}

void qwenc::addSymbol(Graph &graph, Symbol symbol) {
  if (std::none_of(graph.symbols.begin(), graph.symbols.end(),
                   [&](const Symbol &known) { return known.name == symbol.name; }))
    graph.symbols.push_back(std::move(symbol));
}

Status qwenc::exportTextDecoder(const Checkpoint &source, const std::vector<std::string> &, Graph &graph) {
  return exportThinkerDecoder(source, {}, graph);
}

Status qwenc::exportThinkerDecoder(const Checkpoint &source, const DecoderMedia &media, Graph &graph) {
  std::vector<std::string> problems;
  DecoderConfig config = readTextConfig(source.config, problems);
  bool isOmni = member(source.config, "thinker_config") != nullptr;
  Checkpoint checkpoint = source;
  // What follows from wrong numbers would only bury the cause.
  if (problems.empty())
    checkMedia(config, media, problems);
  if (problems.empty()) {
    splitStackedExperts(config, checkpoint);
    checkTensors(checkpoint, decoderTensors(config),
                 isOmni ? std::span<const std::string_view>(kOtherComponents) : std::span<const std::string_view>(),
                 problems);
  }
  QWENRT_RETURN_IF_ERROR(reportProblems("the checkpoint", problems));

  graph.model.maxPositions = config.maxPositions;
  graph.model.vocabSize = config.vocabSize;
  addWeights(checkpoint, decoderTensors(config), graph);
  addExpertStacks(config, graph);
  addSymbolsAndStates(config, media, graph);
  QWENRT_ASSIGN_OR_RETURN(Function decoder, buildDecoder(graph, config, media));
  QWENRT_ASSIGN_OR_RETURN(Function head, buildHead(graph, config));
  graph.functions.push_back(std::move(decoder));
  graph.functions.push_back(std::move(head));
  graph.generate = GenerateInfo{"text.decoder", "text.head"};
  return Status::ok();
}
