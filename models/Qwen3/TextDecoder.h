//===- TextDecoder.h - The text decoders of the family ----------------------------------------------------------===//
#pragma once

#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// Adds weights, states and the functions text.decoder and text.head of a checkpoint to \p graph: Qwen3ForCausalLM,
/// Qwen3MoeForCausalLM, or the thinker's text decoder of Qwen3OmniMoeForConditionalGeneration.
Status exportTextDecoder(const Checkpoint &checkpoint, const std::vector<std::string> &components, graph::Graph &graph);

} // namespace qwenc
