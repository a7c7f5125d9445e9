//===- VisionEncoder.h - The thinker's encoder of images and videos -----------------------------------------------===//
#pragma once

#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// Adds the function "vision.encoder" with its symbols and weights, and its entry in Graph::media. All problems of the
/// config and of the tensors are listed at once.
Status exportVisionEncoder(const Checkpoint &checkpoint, graph::Graph &graph);

} // namespace qwenc
