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

  /// Turns the model into a mixture: two layers of three experts of which two are chosen.
  void useExperts() {
    config["architectures"] = {"Qwen3MoeForCausalLM"};
    config["model_type"] = "qwen3_moe";
    config["num_hidden_layers"] = 2;
    config.update({{"decoder_sparse_step", 1},
                   {"mlp_only_layers", nlohmann::json::array()},
                   {"moe_intermediate_size", 5},
                   {"norm_topk_prob", true},
                   {"num_experts", 3},
                   {"num_experts_per_tok", 2}});
    reset();
  }

  /// Turns the model into the thinker of an omni model, with one tensor of each other component.
  void useThinker() {
    useExperts();
    nlohmann::json text = config;
    text.erase("architectures");
    text.erase("eos_token_id");
    text["model_type"] = "qwen3_omni_moe_text";
    text["rope_scaling"] = {{"interleaved", true}, {"mrope_section", {1, 1, 0}}, {"rope_type", "default"}};
    config = {{"architectures", {"Qwen3OmniMoeForConditionalGeneration"}},
              {"model_type", "qwen3_omni_moe"},
              {"im_end_token_id", 9},
              {"thinker_config", {{"text_config", std::move(text)}}}};
    reset();
    for (const char *name : {"thinker.audio_tower.conv2d1.weight", "thinker.visual.pos_embed.weight",
                             "talker.model.norm.weight", "code2wav.code_embedding.weight"})
      tensors.push_back({name, StoredDType::BF16, {2}});
  }
  nlohmann::json &textConfig() { return config["thinker_config"]["text_config"]; }

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
