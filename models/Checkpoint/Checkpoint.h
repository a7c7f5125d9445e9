//===- Checkpoint.h - A Hugging Face checkpoint folder ----------------------------------------------------------===//
#pragma once

#include "models/Checkpoint/Json.h"
#include "models/Checkpoint/Safetensors.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qwenc {

/// A safetensors file of the checkpoint.
struct CheckpointFile {
  std::string name; ///< relative to the folder, never a path
  uint64_t sizeBytes = 0;
  uint64_t headerBytes = 0; ///< JSON header without the 8 length bytes
  uint64_t headerHash = 0;  ///< FNV-1a 64 over length bytes and header
};

/// A tensor and the file that holds it.
struct CheckpointTensor {
  uint32_t file = 0; ///< ordinal in Checkpoint::files
  StoredTensor stored;
};

/// What a checkpoint folder says about its model, without any tensor data.
struct Checkpoint {
  std::string folder;
  nlohmann::json config;                            ///< config.json, an object
  std::optional<nlohmann::json> generationConfig;   ///< generation_config.json, an object
  std::optional<nlohmann::json> preprocessorConfig; ///< preprocessor_config.json, an object
  std::vector<std::string> tokenizerFiles;          ///< names in the folder; empty when there is no complete tokenizer
  bool thinkingSwitch = false;                      ///< the chat template knows enable_thinking
  std::vector<CheckpointFile> files;
  std::map<std::string, CheckpointTensor> tensors;
};

/// Opens \p folder: config.json, generation_config.json and preprocessor_config.json if there, `model.safetensors` or
/// the shards of `model.safetensors.index.json`, the tokenizer's file names. Of tensor files only the headers are read.
/// Errors: NotFound for the folder and its required files, InvalidInput for broken or contradicting files, Io.
Result<Checkpoint> openCheckpoint(const std::string &folder);

} // namespace qwenc
