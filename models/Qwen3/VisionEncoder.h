//===- VisionEncoder.h - The thinker's encoder of images and videos -----------------------------------------------===//
#pragma once

#include "models/Qwen3/DecoderTensors.h"

namespace qwenc {

/// The sizes of the encoder, from thinker_config.vision_config. All are validated: positive, bounded, and fitting each
/// other.
struct VisionConfig {
  uint64_t blocks = 0;
  uint64_t width = 0; ///< of the rows between the blocks
  uint64_t heads = 0; ///< width / heads is divisible by 4
  uint64_t intermediateSize = 0;
  uint64_t outputWidth = 0;
  uint64_t patchSize = 0;         ///< pixels along a side
  uint64_t temporalPatchSize = 0; ///< frames
  uint64_t channels = 0;
  uint64_t mergeSize = 0;          ///< patches along a side of a token
  uint64_t positionSide = 0;       ///< cells along a side of the table of positions
  std::vector<uint64_t> deepstack; ///< blocks behind which rows leave for the decoder, ascending
  uint64_t minPixels = 0, maxPixels = 0;

  uint64_t patchesPerToken() const { return mergeSize * mergeSize; }
  uint64_t patchValues() const { return channels * temporalPatchSize * patchSize * patchSize; }
  /// "thinker.visual.blocks.3."
  static std::string blockPrefix(uint64_t block);
};

/// Reads the encoder's sizes from a whole config.json and, if there is one, a preprocessor_config.json; everything that
/// is wrong goes to \p problems, one line each.
VisionConfig readVisionConfig(const nlohmann::json &config, const nlohmann::json *preprocessor,
                              std::vector<std::string> &problems);

/// All tensors of the encoder, in model order, under the published names.
std::vector<TensorSpec> visionTensors(const VisionConfig &config);

/// Adds the function "vision.encoder" with its symbols and weights, and its entry in Graph::media. All problems of the
/// config and of the tensors are listed at once.
Status exportVisionEncoder(const Checkpoint &checkpoint, graph::Graph &graph);

} // namespace qwenc
