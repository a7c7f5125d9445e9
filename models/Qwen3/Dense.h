//===- Dense.h - Qwen3ForCausalLM -------------------------------------------------------------------------------===//
#pragma once

#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// Adds weights, states and the functions text.decoder and text.head of a dense Qwen3 checkpoint to \p graph.
Status exportDense(const Checkpoint &checkpoint, const std::vector<std::string> &components, graph::Graph &graph);

} // namespace qwenc
