//===- Config.h - Numbers of a Qwen3 text decoder ---------------------------------------------------------------===//
#pragma once

#include "models/Checkpoint/Json.h"

#include <optional>
#include <string>
#include <vector>

namespace qwenc {

class ConfigReader;

/// A mixture of experts in place of the MLP.
struct ExpertsConfig {
  uint64_t count = 0;
  uint64_t perToken = 0;         ///< 1 .. count
  uint64_t intermediateSize = 0; ///< of each expert
  bool normalize = false;        ///< the chosen probabilities are divided by their sum
  uint64_t sharedSize = 0;       ///< of an expert that all rows take, behind a gate; 0: there is none
};

/// The sizes of a text decoder, from config.json. All are validated: positive, bounded, and fitting each other.
struct DecoderConfig {
  std::string prefix = "model.";           ///< of the decoder's tensor names
  std::string headName = "lm_head.weight"; ///< of the tensor that maps hidden rows to logits
  std::string valuePrefix;                 ///< of the names of values and states: "talker."
  uint64_t layers = 0;
  uint64_t hiddenSize = 0;
  uint64_t queryHeads = 0;
  uint64_t kvHeads = 0; ///< divides queryHeads
  uint64_t headDim = 0; ///< even; queryHeads * headDim need not be hiddenSize
  uint64_t intermediateSize = 0;
  uint64_t vocabSize = 0; ///< rows of the embedding and of the head
  uint64_t maxPositions = 0;
  double rmsNormEps = 0;
  double ropeTheta = 0;
  bool tieWordEmbeddings = false;
  bool attentionBias = false;
  /// Pairs of a head that turn with time, height and width; empty: all turn with one position.
  std::vector<uint64_t> mropeSections;
  std::optional<ExpertsConfig> experts;
  std::vector<bool> sparse; ///< for each layer: experts in place of the MLP

  std::string embeddingName() const { return prefix + "embed_tokens.weight"; }
  /// "model.layers.3."
  std::string layerPrefix(uint64_t layer) const { return prefix + "layers." + std::to_string(layer) + "."; }
};

/// Reads a decoder's sizes from the object that holds them; everything that is wrong goes to \p problems, one line
/// each.
DecoderConfig readDecoderConfig(const nlohmann::json &config, std::vector<std::string> &problems);

/// The base of plain RoPE: rope_theta, or that of rope_parameters, where newer files keep it. Anything but plain RoPE
/// is a problem.
double readRopeTheta(ConfigReader &reader);

/// The decoder of a whole config.json, which may hold it in an inner object, with the names its architecture uses.
DecoderConfig readTextConfig(const nlohmann::json &config, std::vector<std::string> &problems);

/// All problems as one error: the first line has the count and the first problem, then follows one line per problem,
/// 200 at most.
/// \p what says what they are about. Ok when there are none.
Status reportProblems(const std::string &what, const std::vector<std::string> &problems);

} // namespace qwenc
