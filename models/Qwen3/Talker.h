//===- Talker.h - The decoders that make codes of speech ----------------------------------------------------------===//
#pragma once

#include "models/Qwen3/DecoderTensors.h"
#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// Adds the talker, its projections and the code predictor, and Graph::speech. All problems of the config and of the
/// tensors are listed at once. The graph may hold the thinker's decoder already.
Status exportTalker(const Checkpoint &checkpoint, graph::Graph &graph);

/// All tensors of the talker, its projections and the code predictor that a whole config.json describes, under the
/// published names; everything that is wrong goes to \p problems, one line each.
std::vector<TensorSpec> talkerTensors(const nlohmann::json &config, std::vector<std::string> &problems);

/// The hidden state of the thinker that the talker reads: talker_config.accept_hidden_layer, nothing if it is no
/// number.
std::optional<uint64_t> talkerAcceptHidden(const nlohmann::json &config);

} // namespace qwenc
