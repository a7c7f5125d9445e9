//===- TinyCheckpoint.h - A one-layer checkpoint for tests to break ---------------------------------------------===//
#pragma once

#include "models/Checkpoint/SafetensorsWriter.h"
#include "models/Qwen3/DecoderTensors.h"
#include "models/Qwen3/Exporter.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <algorithm>

namespace qwenc::test {

/// Config and tensors of a one-layer model; write() puts them on disk, exported() opens and exports them.
class TinyCheckpoint {
public:
  TinyCheckpoint() {
    config = nlohmann::json::parse(R"json({
      "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": false, "eos_token_id": 7,
      "head_dim": 4, "hidden_act": "silu", "hidden_size": 6, "intermediate_size": 8, "max_position_embeddings": 32,
      "num_attention_heads": 2, "num_hidden_layers": 1, "num_key_value_heads": 1, "rms_norm_eps": 1e-6,
      "rope_scaling": null, "rope_theta": 1000000, "tie_word_embeddings": true, "use_sliding_window": false,
      "vocab_size": 10})json");
    reset();
  }

  /// The tensors that the config asks for; optional ones are left out.
  void reset() {
    std::vector<std::string> problems;
    tensors.clear();
    for (const TensorSpec &spec : decoderTensors(readTextConfig(config, problems)))
      if (!spec.optional)
        tensors.push_back({spec.name, StoredDType::BF16, spec.shape});
  }

  TensorDescription &tensor(const std::string &name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const auto &tensor) { return tensor.name == name; });
  }
  void remove(const std::string &name) {
    std::erase_if(tensors, [&](const TensorDescription &tensor) { return tensor.name == name; });
  }

  void write() const {
    folder.write("config.json", config.dump());
    writeFile("model.safetensors", tensors);
  }
  void writeFile(const std::string &name, const std::vector<TensorDescription> &content) const {
    Result<SafetensorsWriter> writer = SafetensorsWriter::create(folder.path(name), content);
    ASSERT_TRUE(writer.isOk()) << writer.status().message();
    for (const TensorDescription &tensor : content)
      ASSERT_TRUE(writer->append(std::vector<std::byte>(tensor.sizeBytes())).isOk());
    ASSERT_TRUE(writer->finish().isOk());
  }

  Result<graph::Graph> exportFolder(std::vector<std::string> components = {}) const {
    QWENRT_ASSIGN_OR_RETURN(Checkpoint checkpoint, openCheckpoint(folder.path()));
    return exportCheckpoint(checkpoint, {"qwen-export test", "checkpoint", "tiny", std::move(components)});
  }
  Result<graph::Graph> exported() const {
    write();
    return exportFolder();
  }

  nlohmann::json config;
  std::vector<TensorDescription> tensors;
  TemporaryFolder folder;
};

} // namespace qwenc::test
