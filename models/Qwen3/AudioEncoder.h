//===- AudioEncoder.h - The thinker's encoder of sound ------------------------------------------------------------===//
#pragma once

#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// Adds the function "audio.encoder" with its symbols and weights, and its entry in Graph::media. All problems of the
/// config and of the tensors are listed at once.
Status exportAudioEncoder(const Checkpoint &checkpoint, graph::Graph &graph);

} // namespace qwenc
