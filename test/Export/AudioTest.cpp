#include "GraphExpectations.h"
#include "TinyCheckpoint.h"

#include "models/Qwen3/AudioEncoder.h"

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;
using namespace qwenc::test;

namespace {

/// An encoder of sound alone: two layers, chunks of 20 frames, windows of three chunks.
class Audio : public ::testing::Test {
protected:
  Audio() {
    tiny.config = json::parse(R"json({
      "architectures": ["Qwen3OmniMoeForConditionalGeneration"], "model_type": "qwen3_omni_moe",
      "thinker_config": {"audio_config": {
        "activation_function": "gelu", "d_model": 8, "downsample_hidden_size": 3, "encoder_attention_heads": 2,
        "encoder_ffn_dim": 10, "encoder_layers": 2, "n_window": 10, "n_window_infer": 79, "num_mel_bins": 20,
        "output_dim": 6, "scale_embedding": false}}})json");
    reset();
  }

  Result<Graph> exported() const {
    tiny.write();
    return tiny.exportFolder({"audio"});
  }

  json &audio() { return tiny.config["thinker_config"]["audio_config"]; }

  void reset() {
    std::vector<std::string> problems;
    tiny.tensors.clear();
    for (const TensorSpec &spec : audioTensors(readAudioConfig(tiny.config, problems)))
      tiny.tensors.push_back({spec.name, StoredDType::BF16, spec.shape});
  }

  void expectProblem(const std::string &part) { expectContains(exported().status().message(), part); }

  /// The message when audio_config has \p value for \p key.
  void expectProblem(const char *key, const json &value, const std::string &part) {
    json before = audio();
    audio()[key] = value;
    expectProblem(part);
    audio() = before;
  }

  TinyCheckpoint tiny;
};

} // namespace

TEST_F(Audio, ExportsInputsAndOutputAsTheRuntimeKnowsThem) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  ASSERT_EQ(graph->functions.size(), 1u);
  const Function &encoder = graph->functions[0];
  EXPECT_EQ(encoder.name, "audio.encoder");
  EXPECT_EQ(signatureOf(encoder),
            "features: f32[A0,20]; taps_1: i32[A1,3]; taps_2: i32[A2,3]; taps_3: i32[A,3]; times: i32[A]; "
            "segments: i32[A,2]; ");
  EXPECT_EQ(encoder.outputs, std::vector<std::string>{"rows"});
  EXPECT_EQ(typeOf(*graph, "rows"), "f32[A,6]");
  ASSERT_TRUE(graph->media && graph->media->audio);
  EXPECT_EQ(graph->media->audio->encoder, "audio.encoder");
  EXPECT_EQ(graph->media->audio->melBins, 20u);
  EXPECT_EQ(graph->media->audio->chunkFrames, 20u);
  EXPECT_EQ(graph->media->audio->windowChunks, 3u); // of 79 frames; the rest is no chunk
  EXPECT_FALSE(graph->media->vision);
  EXPECT_FALSE(graph->generate);
}

TEST_F(Audio, ExportsStages) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  // 20 bins become 10, 5 and 3.
  EXPECT_EQ(typeOf(*graph, "audio.conv1"), "f32[A1,10,3]");
  EXPECT_EQ(typeOf(*graph, "audio.conv2"), "f32[A2,5,3]");
  EXPECT_EQ(typeOf(*graph, "audio.conv3"), "f32[A,3,3]");
  EXPECT_EQ(inputsOf(*graph, "audio.conv3"),
            "audio.conv2_gelu taps_3 @thinker.audio_tower.conv2d3.weight @thinker.audio_tower.conv2d3.bias");
  EXPECT_EQ(inputsOf(*graph, "audio.conv_out"), "audio.conv3_rows @thinker.audio_tower.conv_out.weight");
  EXPECT_EQ(inputsOf(*graph, "audio.placed_rows"), "audio.conv_out audio.places");
  EXPECT_EQ(inputsOf(*graph, "audio.layers.1.k_proj"),
            "audio.layers.1.attention_norm @thinker.audio_tower.layers.1.self_attn.k_proj.weight "
            "@thinker.audio_tower.layers.1.self_attn.k_proj.bias");
  EXPECT_EQ(inputsOf(*graph, "audio.layers.1.attention"),
            "audio.layers.1.q_heads audio.layers.1.k_heads audio.layers.1.v_heads segments");
  EXPECT_EQ(findOutput(*graph, "audio.layers.1.attention")->attr<double>("scale"), 0.5);
  EXPECT_EQ(inputsOf(*graph, "audio.layers.1.output"), "audio.layers.1.attention_residual audio.layers.1.fc2");
  EXPECT_EQ(inputsOf(*graph, "rows"),
            "audio.proj1_gelu @thinker.audio_tower.proj2.weight @thinker.audio_tower.proj2.bias");
}

TEST_F(Audio, SymbolsFollowTheSecondsOfARun) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  std::map<std::string, double> perSecond;
  for (const Symbol &symbol : graph->symbols) {
    EXPECT_EQ(symbol.limit, SymbolLimit::AudioSeconds);
    perSecond[symbol.name] = symbol.perUnit;
  }
  // Five chunks of 20 frames: 10, 5 and 3 columns of each.
  EXPECT_EQ(perSecond, (std::map<std::string, double>{{"A0", 100}, {"A1", 50}, {"A2", 25}, {"A", 15}}));
}

TEST_F(Audio, RoundTripsThroughTheDocument) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  Result<Graph> read = readGraph(writeGraph(*graph));
  ASSERT_TRUE(read.isOk()) << read.status().message();
  EXPECT_EQ(writeGraph(*read), writeGraph(*graph));
}

TEST_F(Audio, RefusesConfigs) {
  const std::string where = "config.json: thinker_config.audio_config.";
  expectProblem("num_mel_bins", 0, where + "num_mel_bins is 0, expected an integer in 1 .. 4096");
  expectProblem("downsample_hidden_size", "3", where + "downsample_hidden_size is \"3\", expected an integer");
  expectProblem("d_model", nullptr, where + "d_model is missing, expected an integer");
  expectProblem("d_model", 7, where + "d_model is 7, expected an even number of at least 4");
  expectProblem("encoder_layers", -1, where + "encoder_layers is -1, expected an integer in 1 .. 1024");
  expectProblem("encoder_attention_heads", 3, where + "encoder_attention_heads is 3, expected a divisor of d_model 8");
  expectProblem("encoder_ffn_dim", 1e30, where + "encoder_ffn_dim is 1e+30, expected an integer");
  expectProblem("output_dim", false, where + "output_dim is false, expected an integer");
  expectProblem("n_window", 0, where + "n_window is 0, expected an integer in 1 .. 65536");
  expectProblem("n_window_infer", 19, where + "n_window_infer is 19, expected at least 2 n_window = 20");
  expectProblem("activation_function", "relu", where + "activation_function is \"relu\", expected \"gelu\"");
  expectProblem("scale_embedding", true, where + "scale_embedding is true, expected false");
  tiny.config["thinker_config"]["audio_config"] = 3;
  expectProblem("config.json: thinker_config.audio_config is 3, expected an object with the encoder's sizes");
}

TEST_F(Audio, RowsHaveTheDecodersWidth) {
  tiny.config["thinker_config"]["text_config"] = {{"hidden_size", 12}};
  std::vector<std::string> problems;
  readAudioConfig(tiny.config, problems);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0], "config.json: thinker_config.audio_config.output_dim is 6, expected the "
                         "text_config.hidden_size 12, correct config.json");
}

TEST_F(Audio, ListsAllProblemsOfTheTensorsAtOnce) {
  tiny.remove("thinker.audio_tower.layers.1.self_attn.k_proj.bias");
  tiny.tensor("thinker.audio_tower.conv2d2.weight").shape = {3, 3, 3};
  tiny.tensor("thinker.audio_tower.ln_post.bias").dtype = StoredDType::F32;
  tiny.tensors.push_back({"thinker.audio_tower.conv2d4.weight", StoredDType::BF16, {2}});
  tiny.tensors.push_back({"talker.model.norm.weight", StoredDType::BF16, {2}}); // of another component
  expectProblem("4 problems in the audio encoder of the checkpoint");
  expectProblem("tensor 'thinker.audio_tower.layers.1.self_attn.k_proj.bias' is missing, expected BF16 [8]");
  expectProblem("tensor 'thinker.audio_tower.conv2d2.weight' has shape [3,3,3], expected BF16 [3,3,3,3]");
  expectProblem("tensor 'thinker.audio_tower.ln_post.bias' has dtype F32, expected BF16 [8]");
  expectProblem("unknown tensor 'thinker.audio_tower.conv2d4.weight'");
}
