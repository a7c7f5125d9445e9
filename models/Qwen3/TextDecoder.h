//===- TextDecoder.h - The text decoders of the family ----------------------------------------------------------===//
#pragma once

#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// Adds weights, states and the functions text.decoder and text.head of a checkpoint to \p graph: Qwen3ForCausalLM or
/// Qwen3MoeForCausalLM.
Status exportTextDecoder(const Checkpoint &checkpoint, const std::vector<std::string> &components, graph::Graph &graph);

/// What the decoder takes beside ids.
struct DecoderMedia {
  bool isUsed = false;    ///< rotary positions, rows that replace embeddings
  uint64_t deepstack = 0; ///< sets of rows that are added behind the first layers
};

/// The same for the thinker's decoder of Qwen3OmniMoeForConditionalGeneration.
Status exportThinkerDecoder(const Checkpoint &checkpoint, const DecoderMedia &media, graph::Graph &graph);

} // namespace qwenc
