//===- DecoderTensors.h - Names and shapes of a decoder's tensors -----------------------------------------------===//
//
// The one list of what a checkpoint holds: the exporter checks checkpoints with it, qwen-synth writes checkpoints from
// it.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "models/Checkpoint/Checkpoint.h"
#include "models/Graph/Graph.h"
#include "models/Qwen3/Config.h"

#include <span>

namespace qwenc {

/// What a tensor is for; decides how a synthetic one is filled.
enum class TensorRole : uint8_t { Embedding, UntiedEmbedding, Norm, Linear, AttentionOutput, Bias, Router };

struct TensorSpec {
  std::string name;
  std::vector<uint64_t> shape; ///< linear weights are [out, in]
  TensorRole role = TensorRole::Linear;
  bool optional = false; ///< may be absent
  bool used = true;      ///< false: checked when present, but no weight of the graph
};

/// All tensors of a decoder, in model order, under the published names. With tied embeddings the head is optional and
/// not used.
std::vector<TensorSpec> decoderTensors(const DecoderConfig &config);

/// The tensors of all experts of a layer for one projection: "...mlp.experts.7.gate_proj.weight".
std::string expertTensorName(const DecoderConfig &config, uint64_t layer, uint64_t expert, std::string_view projection);

/// A checkpoint whose experts are stored stacked, as newer tools write them (`mlp.experts.gate_up_proj`
/// [E, 2 I, H] and `mlp.experts.down_proj` [E, H, I], with or without `.weight`): replaces each stacked tensor by the
/// published per-expert tensors, which are parts of its bytes.
void splitStackedExperts(const DecoderConfig &config, Checkpoint &checkpoint);

/// Compares the checkpoint with the list: absent tensors, other shapes, other dtypes than BF16, tensors that are in no
/// list. One line per problem. Tensors whose names begin with one of \p ignoredPrefixes belong to other components.
void checkTensors(const Checkpoint &checkpoint, const std::vector<TensorSpec> &specs,
                  std::span<const std::string_view> ignoredPrefixes, std::vector<std::string> &problems);

/// The checkpoint's files and those of \p specs that are used and present, as the graph refers to them.
void addWeights(const Checkpoint &checkpoint, const std::vector<TensorSpec> &specs, graph::Graph &graph);

} // namespace qwenc
