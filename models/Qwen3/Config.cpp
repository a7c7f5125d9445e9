//===- Config.cpp - Numbers of a Qwen3 text decoder -------------------------------------------------------------===//
#include "models/Qwen3/Config.h"

#include "models/Qwen3/ConfigReader.h"

#include <algorithm>

using namespace qwenc;
using nlohmann::json;

double qwenc::readRopeTheta(ConfigReader &reader) {
  const json *theta = reader.find("rope_theta");
  if (const json *partial = reader.find("partial_rotary_factor"); partial && asNumber(*partial) != 1.0)
    reader.problem("partial_rotary_factor", partial, "1 or none");
  for (const char *key : {"rope_parameters", "rope_scaling"}) {
    const json *rope = reader.find(key);
    if (!rope)
      continue;
    if (!rope->is_object()) {
      reader.problem(key, rope, "an object or null");
      continue;
    }
    for (const char *typeKey : {"rope_type", "type"}) {
      const json *type = member(*rope, typeKey);
      const std::string *name = type ? asString(*type) : nullptr;
      if (type && (!name || *name != "default"))
        reader.problem(std::string(key) + "." + typeKey, type, "\"default\", the only position scaling supported");
    }
    if (const json *inner = member(*rope, "rope_theta"))
      theta = inner;
    if (const json *partial = member(*rope, "partial_rotary_factor"); partial && asNumber(*partial) != 1.0)
      reader.problem(std::string(key) + ".partial_rotary_factor", partial, "1 or none");
  }
  return reader.positive("rope_theta", theta);
}

namespace {

/// M-RoPE turns pairs by one of three positions of a token. In text all three are equal, and it is plain RoPE.
void readMropeSections(ConfigReader &reader, const json &rope, uint64_t headDim, std::vector<uint64_t> &result) {
  const json *sections = member(rope, "mrope_section");
  if (!sections)
    return;
  uint64_t sum = 0;
  bool ok = sections->is_array() && sections->size() == 3;
  result.clear();
  if (ok)
    for (const json &section : *sections) {
      std::optional<uint64_t> pairs = asUnsigned(section);
      ok = ok && pairs && *pairs <= headDim;
      sum += pairs.value_or(0);
      result.push_back(pairs.value_or(0));
    }
  if (!ok || sum != headDim / 2)
    reader.problem("rope_scaling.mrope_section", sections,
                   "three numbers of pairs whose sum is half of head_dim " + std::to_string(headDim));
}

/// Layers with experts: not listed in mlp_only_layers, and every decoder_sparse_step-th.
void readExperts(ConfigReader &reader, DecoderConfig &config) {
  config.sparse.assign(config.layers, false);
  const char *countKey = reader.find("num_experts") ? "num_experts" : "num_local_experts"; // as other mixtures call it
  const json *count = reader.find(countKey);
  if (!count || asUnsigned(*count) == 0u)
    return;
  ExpertsConfig experts;
  experts.count = reader.size(countKey, 4096);
  experts.perToken = reader.size("num_experts_per_tok", std::max<uint64_t>(experts.count, 1));
  experts.intermediateSize = reader.size("moe_intermediate_size", 1 << 22);
  experts.normalize = reader.flag("norm_topk_prob");
  uint64_t step = reader.size("decoder_sparse_step", 1 << 20, 1);
  for (uint64_t layer = 0; layer < config.layers && step; ++layer)
    config.sparse[layer] = (layer + 1) % step == 0;
  if (const json *dense = reader.find("mlp_only_layers")) {
    bool ok = dense->is_array();
    for (size_t i = 0; ok && i < dense->size(); ++i) {
      std::optional<uint64_t> layer = asUnsigned((*dense)[i]);
      ok = layer.has_value();
      if (layer && *layer < config.layers)
        config.sparse[*layer] = false;
    }
    if (!ok)
      reader.problem("mlp_only_layers", dense, "an array of layer numbers");
  }
  // Each has three tensors, each tensor a line in the graph: far above any published model, far below all memory.
  constexpr uint64_t maxExpertsOfAllLayers = 32768;
  uint64_t sparseLayers = std::count(config.sparse.begin(), config.sparse.end(), true);
  if (sparseLayers * experts.count > maxExpertsOfAllLayers)
    reader.problem(countKey, count,
                   "at most " + std::to_string(maxExpertsOfAllLayers) + " experts in the " +
                       std::to_string(sparseLayers) + " layers with experts together");
  if (sparseLayers > 0)
    config.experts = experts;
}

/// Features of the configuration class that the published models leave off.
void refuseUnsupported(ConfigReader &reader) {
  const json *activation = reader.find("hidden_act");
  const std::string *name = activation ? asString(*activation) : nullptr;
  if (activation && (!name || *name != "silu"))
    reader.problem("hidden_act", activation, "\"silu\", the only activation supported");
  if (reader.flag("use_sliding_window"))
    reader.problem("use_sliding_window", reader.find("use_sliding_window"),
                   "false, the only attention supported is full");
  const json *layerTypes = reader.find("layer_types");
  if (!layerTypes)
    return;
  bool allFull = layerTypes->is_array();
  if (allFull)
    for (const json &type : *layerTypes)
      allFull = allFull && asString(type) && *asString(type) == "full_attention";
  if (!allFull)
    reader.problem("layer_types", layerTypes, "\"full_attention\" in every layer, the only attention supported");
}

} // namespace

DecoderConfig qwenc::readDecoderConfig(const json &source, std::vector<std::string> &problems) {
  // The bounds are far above any published model and keep every product of sizes within 64 bits.
  ConfigReader reader(source, problems);
  DecoderConfig config;
  config.layers = reader.size("num_hidden_layers", 1024);
  config.hiddenSize = reader.size("hidden_size", 1 << 20);
  config.queryHeads = reader.size("num_attention_heads", 4096);
  config.kvHeads = reader.size("num_key_value_heads", 4096, config.queryHeads);
  uint64_t impliedHeadDim = config.queryHeads ? config.hiddenSize / config.queryHeads : 0;
  config.headDim = reader.size("head_dim", 4096, impliedHeadDim);
  config.vocabSize = reader.size("vocab_size", 1 << 24);
  config.maxPositions = reader.size("max_position_embeddings", 1 << 24);
  config.rmsNormEps = reader.positive("rms_norm_eps", reader.find("rms_norm_eps"));
  config.ropeTheta = readRopeTheta(reader);
  config.tieWordEmbeddings = reader.flag("tie_word_embeddings");
  config.attentionBias = reader.flag("attention_bias");
  refuseUnsupported(reader);
  readExperts(reader, config);
  // Where every layer has experts, the size of the dense MLP means nothing.
  if (std::find(config.sparse.begin(), config.sparse.end(), false) != config.sparse.end())
    config.intermediateSize = reader.size("intermediate_size", 1 << 22);
  for (const char *key : {"rope_parameters", "rope_scaling"})
    if (const json *rope = reader.find(key); rope && rope->is_object())
      readMropeSections(reader, *rope, config.headDim, config.mropeSections);

  if (config.kvHeads && config.queryHeads % config.kvHeads != 0)
    reader.problem("num_key_value_heads", reader.find("num_key_value_heads"),
                   "a divisor of num_attention_heads " + std::to_string(config.queryHeads));
  if (config.headDim % 2 != 0)
    reader.problem("head_dim", reader.find("head_dim"), "an even number, since RoPE rotates pairs");
  return config;
}

DecoderConfig qwenc::readTextConfig(const json &source, std::vector<std::string> &problems) {
  const json *thinker = member(source, "thinker_config");
  const json *text = thinker ? member(*thinker, "text_config") : nullptr;
  if (!thinker)
    return readDecoderConfig(source, problems);
  if (!text || !text->is_object()) {
    ConfigReader(source, problems).problem("thinker_config.text_config", text, "an object with the decoder's sizes");
    return {};
  }
  DecoderConfig config = readDecoderConfig(*text, problems);
  config.prefix = "thinker.model.";
  config.headName = "thinker.lm_head.weight";
  return config;
}

Status qwenc::reportProblems(const std::string &what, const std::vector<std::string> &problems) {
  if (problems.empty())
    return Status::ok();
  std::string message = std::to_string(problems.size()) + (problems.size() == 1 ? " problem" : " problems") + " in " +
                        what + ": " + problems.front();
  // All at once, as far as a person reads: headers may hold a million unknown tensors.
  constexpr size_t maxShown = 200;
  if (problems.size() > 1)
    for (size_t i = 0; i < std::min(problems.size(), maxShown); ++i)
      message += "\n  " + problems[i];
  if (problems.size() > maxShown)
    message += "\n  and " + std::to_string(problems.size() - maxShown) + " more";
  return Status(StatusCode::InvalidInput, message);
}
