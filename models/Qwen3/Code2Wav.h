//===- Code2Wav.h - The vocoder of Qwen3-Omni ---------------------------------------------------------------------===//
//
// Source: the Qwen3-Omni technical report (https://arxiv.org/abs/2509.17765) and transformers,
// modeling_qwen3_omni_moe.py, class Qwen3OmniMoeCode2Wav.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "models/Qwen3/DecoderTensors.h"
#include "models/Qwen3/Exporter.h"

namespace qwenc {

/// The sizes of the vocoder, from config.json's code2wav_config. All are validated: positive, bounded, fitting.
struct Code2WavConfig {
  uint64_t groups = 0;       ///< codes of a frame
  uint64_t codebookSize = 0; ///< codes of a group
  uint64_t hiddenSize = 0;
  uint64_t heads = 0; ///< divides hiddenSize into an even size
  uint64_t layers = 0;
  uint64_t intermediateSize = 0;
  uint64_t window = 0; ///< frames that a frame sees, with itself
  double rmsNormEps = 0;
  double ropeTheta = 0;
  std::vector<uint64_t> upsamplingRatios; ///< of the stages behind the transformer
  uint64_t decoderDim = 0;                ///< channels of the first block; each block halves them
  std::vector<uint64_t> upsampleRates;    ///< of the blocks

  /// Rows that a frame has behind the upsampling stages, and behind the first \p blocks blocks.
  uint64_t frameRows(size_t blocks) const;
  /// Rows at the beginning of an utterance that stand for nothing behind the first \p blocks blocks: each looks one
  /// column ahead.
  uint64_t lead(size_t blocks) const;
};

/// Reads the vocoder's sizes; everything that is wrong goes to \p problems, one line each.
Code2WavConfig readCode2WavConfig(const nlohmann::json &config, std::vector<std::string> &problems);

/// All tensors of the vocoder under the published names and shapes.
std::vector<TensorSpec> code2WavTensors(const Code2WavConfig &config);

/// Adds the function "code2wav.decode" with its symbol, states and weights, and its entry in Graph::speech. All
/// problems of the config and of the tensors are listed at once.
Status exportCode2Wav(const Checkpoint &checkpoint, graph::Graph &graph);

} // namespace qwenc
