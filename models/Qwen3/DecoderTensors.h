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

namespace qwenc {

/// What a tensor is for; decides how a synthetic one is filled.
enum class TensorRole : uint8_t { Embedding, Norm, Linear, Bias };

struct TensorSpec {
  std::string name;
  std::vector<uint64_t> shape; ///< linear weights are [out, in]
  TensorRole role = TensorRole::Linear;
  bool optional = false; ///< may be absent
  bool used = true;      ///< false: checked when present, but no weight of the graph
};

inline constexpr const char *embeddingName = "model.embed_tokens.weight";
inline constexpr const char *headName = "lm_head.weight";

/// "model.layers.3."
std::string layerPrefix(uint64_t layer);

/// All tensors of a dense decoder, in model order. With tied embeddings `lm_head.weight` is optional and not used.
std::vector<TensorSpec> denseTensors(const DecoderConfig &config);

/// Compares the checkpoint with the list: absent tensors, other shapes, other dtypes than BF16, tensors that are in no
/// list. One line per problem.
void checkTensors(const Checkpoint &checkpoint, const std::vector<TensorSpec> &specs,
                  std::vector<std::string> &problems);

/// The checkpoint's files and those of \p specs that are used and present, as the graph refers to them.
void addWeights(const Checkpoint &checkpoint, const std::vector<TensorSpec> &specs, graph::Graph &graph);

} // namespace qwenc
