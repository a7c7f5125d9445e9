//===- TextDecoder.h - The text decoders of the family ----------------------------------------------------------===//
#pragma once

#include "models/Graph/GraphBuilder.h"
#include "models/Qwen3/Config.h"
#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// Adds weights, states and the functions text.decoder and text.head of a checkpoint to \p graph: Qwen3ForCausalLM or
/// Qwen3MoeForCausalLM.
Status exportTextDecoder(const Checkpoint &checkpoint, const std::vector<std::string> &components, graph::Graph &graph);

/// What the decoder takes beside ids.
struct DecoderMedia {
  bool isUsed = false;    ///< rotary positions, rows that replace embeddings
  uint64_t deepstack = 0; ///< sets of rows that are added behind the first layers
  /// The hidden state that the talker reads: behind so many layers, before rows are added, behind all of them
  /// normalised; the decoder's second output.
  std::optional<uint64_t> acceptHidden;
};

/// One layer: x + Attention(RMSNorm(x)), then x + MLP(RMSNorm(x)). \p positions are f32[S,3] (rotated by sections) or
/// i32[S]. The layer's weights, expert stacks and states have to be in the graph.
graph::Value decoderLayer(graph::FunctionBuilder &f, const graph::GraphIndex &index, const DecoderConfig &config,
                          uint64_t layer, const graph::Value &x, const graph::Value &positions, bool usesSections);
/// The caches of a decoder that hold \p positions.
void addDecoderStates(const DecoderConfig &config, const graph::Dim &positions, graph::Graph &graph);
void addExpertStacks(const DecoderConfig &config, graph::Graph &graph);
/// Adds \p symbol unless the graph has it.
void addSymbol(graph::Graph &graph, graph::Symbol symbol);

/// The same for the thinker's decoder of Qwen3OmniMoeForConditionalGeneration.
Status exportThinkerDecoder(const Checkpoint &checkpoint, const DecoderMedia &media, graph::Graph &graph);

} // namespace qwenc
