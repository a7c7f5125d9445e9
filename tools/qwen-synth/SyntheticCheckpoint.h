//===- SyntheticCheckpoint.h - Checkpoints of any shape without a download --------------------------------------===//
#pragma once

#include "models/Checkpoint/Json.h"

#include <string>
#include <string_view>

namespace qwenc {

struct SynthesisOptions {
  nlohmann::json config;      ///< config.json of a supported architecture
  bool redundantHead = false; ///< store a copy of a tied embedding as lm_head.weight
  bool sparse = false;        ///< a hole instead of weights: all zeros, no disk space
  uint64_t seed = 0;
  unsigned threads = 1;
  uint64_t maxShardBytes = 0; ///< data bytes per file; 0 = one file model.safetensors
};

/// The published shape of \p name ("qwen3-0.6b"): config and head layout. Errors: InvalidUsage for an unknown name.
Result<SynthesisOptions> presetOptions(std::string_view name);

/// All preset names, separated by spaces.
std::string presetNames();

/// Sets the number of layers, above 0, of a config's text decoder and encoders: less to load for tuning, the same
/// kernels.
void setLayerCount(nlohmann::json &config, uint64_t layers);

/// Writes config.json, generation_config.json and the safetensors file(s) into \p folder, which is made if it is
/// absent. The same options give the same bytes for any number of threads. Errors: InvalidInput, Io.
Status writeSyntheticCheckpoint(const std::string &folder, const SynthesisOptions &options);

} // namespace qwenc
