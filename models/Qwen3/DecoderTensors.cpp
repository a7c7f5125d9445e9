//===- DecoderTensors.cpp - Names and shapes of a decoder's tensors ---------------------------------------------===//
#include "models/Qwen3/DecoderTensors.h"

#include <algorithm>
#include <set>

using namespace qwenc;
using namespace qwenc::graph;

namespace {

std::string shapeText(const std::vector<uint64_t> &shape) {
  std::string text = "[";
  for (uint64_t dim : shape)
    text += (text.size() == 1 ? "" : ",") + std::to_string(dim);
  return text + "]";
}

void addLayer(const DecoderConfig &config, uint64_t layer, std::vector<TensorSpec> &specs) {
  using enum TensorRole;
  const std::string prefix = config.layerPrefix(layer);
  const uint64_t hidden = config.hiddenSize, intermediate = config.intermediateSize;
  const uint64_t queryWidth = config.queryHeads * config.headDim, kvWidth = config.kvHeads * config.headDim;

  auto projection = [&](const char *name, uint64_t out, uint64_t in, bool mayHaveBias) {
    specs.push_back({prefix + name + ".weight", {out, in}, Linear});
    if (mayHaveBias)
      specs.push_back({prefix + name + ".bias", {out}, Bias, /*optional=*/true});
  };
  specs.push_back({prefix + "input_layernorm.weight", {hidden}, Norm});
  projection("self_attn.q_proj", queryWidth, hidden, config.attentionBias);
  projection("self_attn.k_proj", kvWidth, hidden, config.attentionBias);
  projection("self_attn.v_proj", kvWidth, hidden, config.attentionBias);
  specs.push_back({prefix + "self_attn.q_norm.weight", {config.headDim}, Norm});
  specs.push_back({prefix + "self_attn.k_norm.weight", {config.headDim}, Norm});
  projection("self_attn.o_proj", hidden, queryWidth, config.attentionBias);
  auto isOutput = [&](const TensorSpec &spec) { return spec.name == prefix + "self_attn.o_proj.weight"; };
  if (config.sparse[layer])
    std::find_if(specs.rbegin(), specs.rend(), isOutput)->role = AttentionOutput;
  specs.push_back({prefix + "post_attention_layernorm.weight", {hidden}, Norm});
  if (config.sparse[layer]) {
    const uint64_t expertWidth = config.experts->intermediateSize;
    specs.push_back({prefix + "mlp.gate.weight", {config.experts->count, hidden}, Router});
    for (uint64_t expert = 0; expert < config.experts->count; ++expert) {
      auto add = [&](const char *name, uint64_t out, uint64_t in) {
        specs.push_back({expertTensorName(config, layer, expert, name), {out, in}, Linear});
      };
      add("gate_proj", expertWidth, hidden);
      add("up_proj", expertWidth, hidden);
      add("down_proj", hidden, expertWidth);
    }
    if (const uint64_t shared = config.experts->sharedSize) {
      projection("mlp.shared_expert.gate_proj", shared, hidden, false);
      projection("mlp.shared_expert.up_proj", shared, hidden, false);
      projection("mlp.shared_expert.down_proj", hidden, shared, false);
      projection("mlp.shared_expert_gate", 1, hidden, false);
    }
    return;
  }
  projection("mlp.gate_proj", intermediate, hidden, false);
  projection("mlp.up_proj", intermediate, hidden, false);
  projection("mlp.down_proj", hidden, intermediate, false);
}

} // namespace

std::string qwenc::expertTensorName(const DecoderConfig &config, uint64_t layer, uint64_t expert,
                                    std::string_view projection) {
  return config.layerPrefix(layer) + "mlp.experts." + std::to_string(expert) + "." + std::string(projection) +
         ".weight";
}

void qwenc::splitStackedExperts(const DecoderConfig &config, Checkpoint &checkpoint) {
  if (!config.experts)
    return;
  // Rows `first` to `first + rows` of each expert's part become a tensor of their own.
  auto split = [&](const CheckpointTensor &stacked, uint64_t layer, uint64_t first, const char *projection,
                   uint64_t rows, uint64_t width) {
    uint64_t expertRows = stacked.stored.shape[1], rowBytes = width * 2;
    for (uint64_t expert = 0; expert < config.experts->count; ++expert) {
      CheckpointTensor part = stacked;
      part.stored.shape = {rows, width};
      part.stored.offsetBytes += (expert * expertRows + first) * rowBytes;
      part.stored.sizeBytes = rows * rowBytes;
      checkpoint.tensors.emplace(expertTensorName(config, layer, expert, projection), std::move(part));
    }
  };
  const uint64_t count = config.experts->count, width = config.experts->intermediateSize, hidden = config.hiddenSize;
  for (uint64_t layer = 0; layer < config.layers; ++layer)
    for (const char *suffix : {"", ".weight"}) {
      auto take = [&](const char *name, std::vector<uint64_t> shape) -> std::optional<CheckpointTensor> {
        auto found = checkpoint.tensors.find(config.layerPrefix(layer) + "mlp.experts." + name + suffix);
        // Another shape or dtype stays and is reported as an unknown tensor.
        if (found == checkpoint.tensors.end() || found->second.stored.shape != shape ||
            found->second.stored.dtype != StoredDType::BF16)
          return std::nullopt;
        CheckpointTensor stacked = std::move(found->second);
        checkpoint.tensors.erase(found);
        return stacked;
      };
      if (std::optional<CheckpointTensor> stacked = take("gate_up_proj", {count, 2 * width, hidden})) {
        split(*stacked, layer, 0, "gate_proj", width, hidden);
        split(*stacked, layer, width, "up_proj", width, hidden);
      }
      if (std::optional<CheckpointTensor> stacked = take("down_proj", {count, hidden, width}))
        split(*stacked, layer, 0, "down_proj", hidden, width);
    }
}

std::vector<TensorSpec> qwenc::decoderBodyTensors(const DecoderConfig &config) {
  std::vector<TensorSpec> specs;
  for (uint64_t layer = 0; layer < config.layers; ++layer)
    addLayer(config, layer, specs);
  specs.push_back({config.prefix + "norm.weight", {config.hiddenSize}, TensorRole::Norm});
  return specs;
}

std::vector<TensorSpec> qwenc::decoderTensors(const DecoderConfig &config) {
  std::vector<TensorSpec> specs = decoderBodyTensors(config);
  specs.insert(specs.begin(), {config.embeddingName(),
                               {config.vocabSize, config.hiddenSize},
                               config.tieWordEmbeddings ? TensorRole::Embedding : TensorRole::UntiedEmbedding});
  // Some tied checkpoints store a copy of the embedding here, others do not; the embedding is the head either way.
  bool tied = config.tieWordEmbeddings;
  specs.push_back(
      {config.headName, {config.vocabSize, config.hiddenSize}, TensorRole::Linear, /*optional=*/tied, /*used=*/!tied});
  return specs;
}

void qwenc::checkTensors(const Checkpoint &checkpoint, const std::vector<TensorSpec> &specs,
                         std::span<const std::string_view> ignoredPrefixes, std::vector<std::string> &problems) {
  std::set<std::string_view> known;
  for (const TensorSpec &spec : specs) {
    known.insert(spec.name);
    std::string what = "tensor " + inQuotes(spec.name), expected = "expected BF16 " + shapeText(spec.shape);
    auto found = checkpoint.tensors.find(spec.name);
    if (found == checkpoint.tensors.end()) {
      if (!spec.optional)
        problems.push_back(what + " is missing, " + expected +
                           ", download the checkpoint again or correct config.json");
      continue;
    }
    const StoredTensor &stored = found->second.stored;
    if (stored.dtype != StoredDType::BF16)
      problems.push_back(what + " has dtype " + std::string(storedDTypeName(stored.dtype)) + ", " + expected +
                         ", convert the checkpoint to BF16");
    if (stored.shape != spec.shape)
      problems.push_back(what + " has shape " + shapeText(stored.shape) + ", " + expected +
                         " from config.json, correct config.json or the checkpoint");
  }
  auto isIgnored = [&](std::string_view name) {
    return std::any_of(ignoredPrefixes.begin(), ignoredPrefixes.end(),
                       [&](std::string_view prefix) { return name.starts_with(prefix); });
  };
  for (const auto &[name, tensor] : checkpoint.tensors)
    if (!known.contains(name) && !isIgnored(name))
      problems.push_back("unknown tensor " + inQuotes(name) + " in " + inQuotes(checkpoint.files[tensor.file].name) +
                         ", expected only tensors of the architecture, remove it or check the architecture");
}

void qwenc::addWeights(const Checkpoint &checkpoint, const std::vector<TensorSpec> &specs, Graph &graph) {
  // The components of one checkpoint share its files.
  graph.checkpoint.files.clear();
  for (const CheckpointFile &file : checkpoint.files)
    graph.checkpoint.files.push_back({file.name, file.sizeBytes, file.headerBytes, file.headerHash});
  std::set<std::string> known;
  for (const Weight &weight : graph.weights)
    known.insert(weight.name);
  for (const TensorSpec &spec : specs) {
    auto found = checkpoint.tensors.find(spec.name);
    if (!spec.used || found == checkpoint.tensors.end() || known.contains(spec.name))
      continue;
    const CheckpointTensor &tensor = found->second;
    graph.weights.push_back({spec.name, tensor.file, tensor.stored.offsetBytes, DType::BF16, tensor.stored.shape});
  }
}
