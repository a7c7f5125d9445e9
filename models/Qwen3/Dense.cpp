//===- Dense.cpp - Qwen3ForCausalLM -----------------------------------------------------------------------------===//
//
// The decoder of the Qwen3 technical report (https://arxiv.org/abs/2505.09388): pre-norm blocks with grouped-query
// attention, RMSNorm on each query and key head, RoPE, SwiGLU.
//
//   x0 = E[ids]
//   for each layer:  x = x + Attention(RMSNorm(x));  x = x + MLP(RMSNorm(x))
//   logits = RMSNorm(x) W_head^T
//
// Symbols in shapes: S rows of one call, C positions of the cache, R rows of the head.
//
//===------------------------------------------------------------------------------------------------------------===//
#include "models/Qwen3/Dense.h"

#include "models/Graph/GraphBuilder.h"
#include "models/Qwen3/DecoderTensors.h"

#include <cmath>

using namespace qwenc;
using namespace qwenc::graph;

namespace {

/// One layer's names: weights as the checkpoint has them, values and states short.
class Layer {
public:
  Layer(const GraphIndex &index, uint64_t layer) : index_(index), layer_(layer) {}
  WeightName weight(const std::string &module) const { return {layerPrefix(layer_) + module + ".weight"}; }
  /// Only checkpoints with attention_bias store one.
  std::optional<WeightName> bias(const std::string &module) const {
    std::string name = layerPrefix(layer_) + module + ".bias";
    return index_.weight(name) ? std::optional<WeightName>({name}) : std::nullopt;
  }
  std::string operator()(const char *value) const { return "layers." + std::to_string(layer_) + "." + value; }

private:
  const GraphIndex &index_;
  uint64_t layer_;
};

Value attentionBlock(FunctionBuilder &f, const DecoderConfig &config, const Layer &layer, const Value &x,
                     const Value &positions) {
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
  Value qRope = f.rope(layer("q_rope"), qNorm, positions, config.ropeTheta);
  Value kRope = f.rope(layer("k_rope"), kNorm, positions, config.ropeTheta);
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

Result<Function> buildDecoder(const Graph &graph, const DecoderConfig &config) {
  FunctionBuilder f(graph, "text.decoder");
  GraphIndex index(graph);
  Value ids = f.input("input_ids", {DType::I32, {"S"}});
  Value x = f.embedding("embeddings", ids, {embeddingName}); // [S, H]
  Value positions = f.positionIds("positions", "S");         // [S]
  for (uint64_t l = 0; l < config.layers; ++l) {
    Layer layer(index, l);
    Value attentionInput = f.rmsNorm(layer("input_norm"), x, layer.weight("input_layernorm"), config.rmsNormEps);
    x = f.add(layer("attention_residual"), x, attentionBlock(f, config, layer, attentionInput, positions));
    Value mlpInput =
        f.rmsNorm(layer("post_attention_norm"), x, layer.weight("post_attention_layernorm"), config.rmsNormEps);
    x = f.add(layer("output"), x, mlpBlock(f, layer, mlpInput));
  }
  return f.finish({x});
}

Result<Function> buildHead(const Graph &graph, const DecoderConfig &config) {
  FunctionBuilder f(graph, "text.head");
  Value hidden = f.input("hidden", {DType::F32, {"R", config.hiddenSize}});
  Value norm = f.rmsNorm("norm", hidden, {"model.norm.weight"}, config.rmsNormEps);
  Value logits = f.linear("logits", norm, {config.tieWordEmbeddings ? embeddingName : headName}); // [R, V]
  return f.finish({logits});
}

void addSymbolsAndStates(const DecoderConfig &config, Graph &graph) {
  graph.symbols = {{"S", "rows processed in one call", config.maxPositions},
                   {"C", "positions the cache can hold", config.maxPositions},
                   {"R", "rows the head computes in one call", config.maxPositions}};
  for (uint64_t l = 0; l < config.layers; ++l)
    for (const char *name : {"k", "v"})
      graph.states.push_back(
          {"layers." + std::to_string(l) + "." + name, "kv_cache", {"C", config.kvHeads, config.headDim}});
}

} // namespace

Status qwenc::exportDense(const Checkpoint &checkpoint, const std::vector<std::string> &, Graph &graph) {
  std::vector<std::string> problems;
  DecoderConfig config = readDecoderConfig(checkpoint.config, problems);
  // Shapes that follow from wrong numbers would only bury the cause.
  if (problems.empty())
    checkTensors(checkpoint, denseTensors(config), problems);
  QWENRT_RETURN_IF_ERROR(reportProblems("the checkpoint", problems));

  graph.model.maxPositions = config.maxPositions;
  graph.model.vocabSize = config.vocabSize;
  addWeights(checkpoint, denseTensors(config), graph);
  addSymbolsAndStates(config, graph);
  QWENRT_ASSIGN_OR_RETURN(Function decoder, buildDecoder(graph, config));
  QWENRT_ASSIGN_OR_RETURN(Function head, buildHead(graph, config));
  graph.functions.push_back(std::move(decoder));
  graph.functions.push_back(std::move(head));
  graph.generate = GenerateInfo{"text.decoder", "text.head"};
  return Status::ok();
}
