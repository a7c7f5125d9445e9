#include "GraphExpectations.h"
#include "TinyCheckpoint.h"

#include "models/Qwen3/VisionEncoder.h"

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;
using namespace qwenc::test;

namespace {

/// An encoder of images alone: three blocks, tokens of 2 x 2 patches of 4 x 4 pixels, rows leaving behind blocks 0
/// and 2.
class Vision : public ::testing::Test {
protected:
  Vision() {
    tiny.config = json::parse(R"json({
      "architectures": ["Qwen3OmniMoeForConditionalGeneration"], "model_type": "qwen3_omni_moe",
      "thinker_config": {"vision_config": {
        "deepstack_visual_indexes": [0, 2], "depth": 3, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 16,
        "in_channels": 3, "intermediate_size": 10, "num_heads": 2, "num_position_embeddings": 25,
        "out_hidden_size": 6, "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2}}})json");
    preprocessor = {{"min_pixels", 64},
                    {"max_pixels", 6400},
                    {"patch_size", 4},
                    {"merge_size", 2},
                    {"image_mean", {0.5, 0.5, 0.5}}};
    reset();
  }

  json &vision() { return tiny.config["thinker_config"]["vision_config"]; }

  void reset() {
    std::vector<std::string> problems;
    tiny.tensors.clear();
    for (const TensorSpec &spec : visionTensors(readVisionConfig(tiny.config, nullptr, problems)))
      tiny.tensors.push_back({spec.name, StoredDType::BF16, spec.shape});
  }

  Result<Graph> exported() {
    tiny.folder.write("preprocessor_config.json", preprocessor.dump());
    return exportedAsItIs();
  }
  Result<Graph> exportedAsItIs() {
    tiny.write();
    return tiny.exportFolder({"vision"});
  }

  void expectProblem(const std::string &part) { expectContains(exported().status().message(), part); }

  /// The message when \p object has \p value for \p key.
  void expectProblem(json &object, const char *key, const json &value, const std::string &part) {
    json before = object;
    object[key] = value;
    expectProblem(part);
    object = before;
  }

  TinyCheckpoint tiny;
  json preprocessor;
};

const Weight &weightOf(const Graph &graph, const std::string &name) {
  return *std::find_if(graph.weights.begin(), graph.weights.end(), [&](const Weight &w) { return w.name == name; });
}

} // namespace

TEST_F(Vision, ExportsInputsAndOutputsAsTheRuntimeKnowsThem) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  ASSERT_EQ(graph->functions.size(), 1u);
  const Function &encoder = graph->functions[0];
  EXPECT_EQ(encoder.name, "vision.encoder");
  EXPECT_EQ(signatureOf(encoder),
            "patches: f32[V*4,96]; cells: i32[V*4,4]; cell_weights: f32[V*4,4]; places: i32[V*4,2]; "
            "segments: i32[V*4,2]; ");
  EXPECT_EQ(encoder.outputs, (std::vector<std::string>{"rows", "deepstack.0", "deepstack.1"}));
  for (const std::string &output : encoder.outputs)
    EXPECT_EQ(typeOf(*graph, output), "f32[V,6]") << output;
  ASSERT_TRUE(graph->media && graph->media->vision);
  const VisionInfo &info = *graph->media->vision;
  EXPECT_EQ(info.encoder, "vision.encoder");
  EXPECT_EQ(info.patchSize, 4u);
  EXPECT_EQ(info.temporalPatchSize, 2u);
  EXPECT_EQ(info.mergeSize, 2u);
  EXPECT_EQ(info.positionSide, 5u);
  EXPECT_EQ(info.deepstack, 2u);
  EXPECT_EQ(info.minPixels, 64u);
  EXPECT_EQ(info.maxPixels, 6400u);
  EXPECT_FALSE(graph->generate);
}

TEST_F(Vision, ExportsStages) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(typeOf(*graph, "vision.cells"), "f32[V*4,4,16]");
  EXPECT_EQ(inputsOf(*graph, "vision.embeddings"), "vision.patch_embed vision.positions");
  EXPECT_EQ(
      inputsOf(*graph, "vision.blocks.1.k"),
      "vision.blocks.1.attention_norm @thinker.visual.blocks.1.attn.k.weight @thinker.visual.blocks.1.attn.k.bias");
  EXPECT_EQ(typeOf(*graph, "vision.blocks.1.q_turned"), "f32[V*4,2,8]");
  EXPECT_EQ(inputsOf(*graph, "vision.blocks.1.attention"),
            "vision.blocks.1.q_turned vision.blocks.1.k_turned vision.blocks.1.v_heads segments");
  EXPECT_EQ(findOutput(*graph, "vision.blocks.1.attention")->attr<double>("scale"), 1 / std::sqrt(8.0));
  EXPECT_TRUE(findOutput(*graph, "vision.blocks.1.gelu")->attr<bool>("tanh"));
  // The last block's rows leave twice: normalised patch by patch, and joined before.
  EXPECT_EQ(inputsOf(*graph, "vision.merger.norm"),
            "vision.blocks.2.output @thinker.visual.merger.ln_q.weight @thinker.visual.merger.ln_q.bias");
  EXPECT_EQ(inputsOf(*graph, "vision.mergers.0.rows"), "vision.blocks.0.output");
  EXPECT_EQ(inputsOf(*graph, "vision.mergers.1.rows"), "vision.blocks.2.output");
  EXPECT_EQ(typeOf(*graph, "vision.mergers.1.norm"), "f32[V,64]");
  EXPECT_FALSE(findOutput(*graph, "vision.merger.gelu")->attr<bool>("tanh"));
}

TEST_F(Vision, CutsStoredTensors) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(weightOf(*graph, "thinker.visual.patch_embed.proj.weight").shape, (std::vector<uint64_t>{16, 96}));
  const Weight &q = weightOf(*graph, "thinker.visual.blocks.1.attn.q.weight");
  const Weight &v = weightOf(*graph, "thinker.visual.blocks.1.attn.v.weight");
  EXPECT_EQ(q.shape, (std::vector<uint64_t>{16, 16}));
  EXPECT_EQ(v.offset - q.offset, 2u * 16 * 16 * 2);
  EXPECT_EQ(weightOf(*graph, "thinker.visual.blocks.1.attn.k.bias").offset -
                weightOf(*graph, "thinker.visual.blocks.1.attn.q.bias").offset,
            16u * 2);
}

TEST_F(Vision, TokensFollowThePixelsOfAnImage) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  ASSERT_EQ(graph->symbols.size(), 1u);
  EXPECT_EQ(graph->symbols[0].name, "V");
  EXPECT_EQ(graph->symbols[0].max, 100u); // of 64 pixels each
  EXPECT_EQ(graph->symbols[0].limit, SymbolLimit::ImagePixels);
  EXPECT_EQ(graph->symbols[0].perUnit, 1.0 / 64);
}

TEST_F(Vision, RoundTripsThroughTheDocument) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  expectRoundTrip(*graph);
}

TEST_F(Vision, PixelBoundsHavePublishedDefaultsAndTwoForms) {
  Result<Graph> graph = exportedAsItIs(); // without preprocessor_config.json
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->media->vision->minPixels, 3136u);
  EXPECT_EQ(graph->media->vision->maxPixels, 12845056u);
  preprocessor = {{"size", {{"shortest_edge", 100}, {"longest_edge", 200}}}};
  graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->media->vision->minPixels, 100u);
  EXPECT_EQ(graph->media->vision->maxPixels, 200u);
}

TEST_F(Vision, NamesWhatIsWrongInTheConfig) {
  const std::string scope = "config.json: thinker_config.vision_config.";
  for (const char *key : {"depth", "hidden_size", "num_heads", "intermediate_size", "out_hidden_size", "patch_size",
                          "temporal_patch_size", "spatial_merge_size", "num_position_embeddings"})
    expectProblem(vision(), key, 0, scope + key + " is 0, expected an integer in 1 .. ");
  expectProblem(vision(), "in_channels", 4, scope + "in_channels is 4, expected 3, the colours of a pixel");
  expectProblem(vision(), "num_position_embeddings", 24,
                scope + "num_position_embeddings is 24, expected a square number");
  expectProblem(vision(), "num_heads", 8,
                scope + "num_heads is 8, expected a divisor of hidden_size 16 that leaves heads of a multiple of 4");
  for (const json &indexes : {json({2, 0}), json({1, 3}), json({0, "1"}), json(1)})
    expectProblem(vision(), "deepstack_visual_indexes", indexes,
                  scope + "deepstack_visual_indexes is " + indexes.dump() +
                      ", expected an ascending list of block numbers below depth");
  expectProblem(vision(), "hidden_act", "relu",
                scope + "hidden_act is \"relu\", expected \"gelu_pytorch_tanh\", the only activation supported");
  tiny.config["thinker_config"]["text_config"] = {{"hidden_size", 7}};
  Checkpoint checkpoint;
  checkpoint.config = tiny.config;
  Graph graph;
  std::string message = exportVisionEncoder(checkpoint, graph).message();
  EXPECT_NE(message.find(scope + "out_hidden_size is 6, expected the text_config.hidden_size 7"), std::string::npos)
      << message;
  checkpoint.config = json::object();
  message = exportVisionEncoder(checkpoint, graph).message();
  EXPECT_NE(message.find("thinker_config.vision_config is missing, expected an object with the encoder's sizes"),
            std::string::npos)
      << message;
}

TEST_F(Vision, KnowsOneRateOfPositions) {
  for (const char *component : {"thinker_config", "talker_config"}) {
    const json before = tiny.config;
    tiny.config[component]["position_id_per_seconds"] = 13;
    EXPECT_TRUE(exported().isOk()) << exported().status().message();
    for (const json &rate : {json(25), json(13.5), json("13")})
      expectProblem(tiny.config[component], "position_id_per_seconds", rate,
                    "1 problem in the positions of media: config.json: " + std::string(component) +
                        ".position_id_per_seconds is " + rate.dump() +
                        ", expected 13, the only rate supported, correct config.json");
    tiny.config = before;
  }
}

TEST_F(Vision, NamesWhatIsWrongInThePreprocessor) {
  const std::string file = "preprocessor_config.json: ";
  for (const char *key : {"min_pixels", "max_pixels"})
    for (const json &value : {json(0), json("many"), json(uint64_t(1) << 40)})
      expectProblem(preprocessor, key, value, file + key + " is no integer in 1 .. 2^31, expected a number of pixels");
  expectProblem(preprocessor, "min_pixels", 6401, file + "min_pixels is 6401, expected at most max_pixels 6400");
  expectProblem(preprocessor, "patch_size", 5, file + "patch_size is not 4, expected the number of config.json's");
  expectProblem(preprocessor, "merge_size", 3, file + "merge_size is not 2, expected the number of config.json's");
  expectProblem(preprocessor, "temporal_patch_size", 1, file + "temporal_patch_size is not 2, expected the number");
  for (const char *key : {"image_mean", "image_std"})
    expectProblem(preprocessor, key, {0.5, 0.4, 0.5}, file + key + " is not [0.5, 0.5, 0.5], expected that");
  preprocessor = json::array();
  expectProblem("preprocessor_config.json' holds no JSON object");
}

TEST_F(Vision, ListsAllTensorsThatDoNotFit) {
  tiny.remove("thinker.visual.pos_embed.weight");
  tiny.tensor("thinker.visual.blocks.0.attn.qkv.weight").shape = {47, 16};
  tiny.tensors.push_back({"thinker.visual.blocks.0.attn.q.weight", StoredDType::BF16, {16, 16}});
  std::string message = exported().status().message();
  EXPECT_TRUE(message.starts_with("3 problems in the vision encoder of the checkpoint: ")) << message;
  for (const char *part : {"tensor 'thinker.visual.pos_embed.weight' is missing, expected BF16 [25,16]",
                           "tensor 'thinker.visual.blocks.0.attn.qkv.weight' has shape [47,16], expected BF16 [48,16]",
                           "unknown tensor 'thinker.visual.blocks.0.attn.q.weight'"})
    expectContains(message, part);
}
