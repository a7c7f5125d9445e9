//===- AudioEncoder.h - The thinker's encoder of sound ------------------------------------------------------------===//
//
// Sources: the Qwen3-Omni technical report (https://arxiv.org/abs/2509.17765) and transformers,
// modeling_qwen3_omni_moe.py (Qwen3OmniMoeAudioEncoder).
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "models/Qwen3/DecoderTensors.h"
#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// The sizes of the encoder, from thinker_config.audio_config. All are validated: positive, bounded, and fitting each
/// other.
struct AudioConfig {
  uint64_t melBins = 0;
  uint64_t channels = 0; ///< of the convolutions
  uint64_t width = 0;    ///< of the rows between the layers
  uint64_t layers = 0;
  uint64_t heads = 0; ///< divides width
  uint64_t intermediateSize = 0;
  uint64_t outputWidth = 0;
  uint64_t chunkFrames = 0;  ///< mel frames that meet the convolutions together
  uint64_t windowChunks = 0; ///< chunks that see each other

  /// "thinker.audio_tower.layers.3."
  static std::string layerPrefix(uint64_t layer);
  /// Mel bins that the convolutions leave, and the same of the columns of one chunk: each halves them, rounding up.
  uint64_t binsBehind(unsigned convolutions) const;
  uint64_t columnsBehind(unsigned convolutions) const;
};

/// Reads the encoder's sizes from a whole config.json; everything that is wrong goes to \p problems, one line each.
AudioConfig readAudioConfig(const nlohmann::json &config, std::vector<std::string> &problems);

/// All tensors of the encoder, in model order, under the published names.
std::vector<TensorSpec> audioTensors(const AudioConfig &config);

/// Adds the function "audio.encoder" with its symbols and weights, and its entry in Graph::media. All problems of the
/// config and of the tensors are listed at once.
Status exportAudioEncoder(const Checkpoint &checkpoint, graph::Graph &graph);

} // namespace qwenc
