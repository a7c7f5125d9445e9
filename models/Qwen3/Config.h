//===- Config.h - Numbers of a Qwen3 text decoder ---------------------------------------------------------------===//
#pragma once

#include "models/Checkpoint/Json.h"

#include <string>
#include <vector>

namespace qwenc {

/// The sizes of a text decoder, from config.json. All are validated: positive, bounded, and fitting each other.
struct DecoderConfig {
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
};

/// Reads a dense decoder's sizes; everything that is wrong goes to \p problems, one line each.
DecoderConfig readDecoderConfig(const nlohmann::json &config, std::vector<std::string> &problems);

/// All problems as one error: the first line has the count and the first problem, then follows one line per problem,
/// 200 at most.
/// \p what says what they are about. Ok when there are none.
Status reportProblems(const std::string &what, const std::vector<std::string> &problems);

} // namespace qwenc
