#include "TinyCheckpoint.h"

#include "tools/qwen-synth/SyntheticCheckpoint.h"
#include "tools/qwen-synth/SyntheticWeights.h"

#include <cmath>

using namespace qwenc;
using qwenc::test::TemporaryFolder;
using qwenc::test::TinyCheckpoint;

namespace {

SynthesisOptions tinyOptions() {
  SynthesisOptions options;
  options.config = TinyCheckpoint().config;
  return options;
}

Result<graph::Graph> exportFrom(const TemporaryFolder &folder, std::vector<std::string> components = {}) {
  QWENRT_ASSIGN_OR_RETURN(Checkpoint checkpoint, openCheckpoint(folder.path()));
  return exportCheckpoint(checkpoint, {"p", "c", "m", std::move(components)});
}

float fromBf16(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

} // namespace

TEST(Synth, PublishedShapeOf0_6B) {
  TemporaryFolder folder;
  Result<SynthesisOptions> options = presetOptions("qwen3-0.6b");
  ASSERT_TRUE(options.isOk());
  options->sparse = true;
  Status written = writeSyntheticCheckpoint(folder.path(), *options);
  ASSERT_TRUE(written.isOk()) << written.message();
  // Size, header length and number of tensors of the published file.
  Result<SafetensorsHeader> header = readSafetensorsHeader(folder.path("model.safetensors"));
  ASSERT_TRUE(header.isOk()) << header.status().message();
  EXPECT_EQ(header->fileSizeBytes, 1'503'300'328u);
  EXPECT_EQ(header->headerBytes, 35'552u);
  EXPECT_EQ(header->tensors.size(), 311u);
  Result<graph::Graph> graph = exportFrom(folder);
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->weights.size(), 310u);
}

TEST(Synth, PublishedShapeOfTheThinker) {
  TemporaryFolder folder;
  Result<SynthesisOptions> options = presetOptions("qwen3-omni-thinker");
  ASSERT_TRUE(options.isOk());
  setLayerCount(options->config, 2);
  options->sparse = true;
  options->maxShardBytes = uint64_t(1) << 30;
  Status written = writeSyntheticCheckpoint(folder.path(), *options);
  ASSERT_TRUE(written.isOk()) << written.message();
  Result<graph::Graph> graph = exportFrom(folder);
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->checkpoint.files.size(), 4u);
  // Of a layer: four norms, four projections, the router and 128 experts of three.
  EXPECT_EQ(graph->weights.size(), 2 * (9 + 3 * 128) + 3u);
  EXPECT_EQ(graph->stacks.size(), 6u);
  EXPECT_EQ(graph->stacks[0].weights.size(), 128u);
}

TEST(Synth, PublishedShapeOfTheEncoderOfSound) {
  TemporaryFolder folder;
  Result<SynthesisOptions> options = presetOptions("qwen3-omni-audio");
  ASSERT_TRUE(options.isOk());
  options->sparse = true;
  ASSERT_TRUE(writeSyntheticCheckpoint(folder.path(), *options).isOk());
  Result<graph::Graph> graph = exportFrom(folder, {"audio"});
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  // Three convolutions and three projections around 32 layers.
  EXPECT_EQ(graph->weights.size(), 525u);
  EXPECT_EQ(graph->functions.size(), 1u);
}

TEST(Synth, PublishedShapeOfTheEncoderOfImages) {
  TemporaryFolder folder;
  Result<SynthesisOptions> options = presetOptions("qwen3-omni-vision");
  ASSERT_TRUE(options.isOk());
  options->sparse = true;
  ASSERT_TRUE(writeSyntheticCheckpoint(folder.path(), *options).isOk());
  Result<graph::Graph> graph = exportFrom(folder, {"vision"});
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  // Patches, positions, 27 blocks with eight modules, four mergers with three.
  EXPECT_EQ(graph->weights.size(), 459u);
  EXPECT_EQ(graph->functions[0].outputs.size(), 4u);
}

TEST(Synth, FiltersAddUpAllTheirChannels) {
  // 3 * 4 * 2 products: were only the last dimension counted, sums would grow by a factor of 3.5.
  TensorSpec filter{"filter", {256, 3, 4, 2}, TensorRole::Linear};
  std::vector<uint16_t> values(256 * 24);
  SyntheticTensor(filter, 0).fill(0, values);
  double squares = 0;
  for (uint16_t value : values) {
    double number = fromBf16(value);
    squares += number * number;
  }
  EXPECT_NEAR(squares / 256, 1.0, 0.1);
}

TEST(Synth, PublishedShapeOfTheTalker) {
  TemporaryFolder folder;
  Result<SynthesisOptions> options = presetOptions("qwen3-omni-speech");
  ASSERT_TRUE(options.isOk());
  options->sparse = true;
  ASSERT_TRUE(writeSyntheticCheckpoint(folder.path(), *options).isOk());
  Result<Checkpoint> checkpoint = openCheckpoint(folder.path());
  ASSERT_TRUE(checkpoint.isOk());
  Result<graph::Graph> graph = exportCheckpoint(*checkpoint, {"p", "c", "m", {"talker"}});
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  // The talker with both projections, the predictor, and the thinker's embedding.
  EXPECT_EQ(graph->weights.size(), 7951u + 86u + 1u);
  EXPECT_EQ(graph->speech->talker->tables.size(), 16u);
}

TEST(Synth, LayersOfAMixtureMayBeDense) {
  TemporaryFolder folder;
  SynthesisOptions options;
  TinyCheckpoint tiny;
  tiny.useExperts();
  tiny.config["mlp_only_layers"] = {0};
  options.config = tiny.config;
  ASSERT_TRUE(writeSyntheticCheckpoint(folder.path(), options).isOk());
  Result<graph::Graph> graph = exportFrom(folder);
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->stacks.size(), 3u);
}

TEST(Synth, LayerCountReachesTheTextDecoder) {
  nlohmann::json config = presetOptions("qwen3-omni-thinker")->config;
  setLayerCount(config, 3);
  EXPECT_EQ(config["thinker_config"]["text_config"]["num_hidden_layers"], 3);
  EXPECT_FALSE(config.contains("num_hidden_layers"));
  nlohmann::json audio = presetOptions("qwen3-omni-audio")->config;
  setLayerCount(audio, 3);
  EXPECT_EQ(audio["thinker_config"]["audio_config"]["encoder_layers"], 3);
  EXPECT_FALSE(audio["thinker_config"].contains("num_hidden_layers"));
  nlohmann::json vision = presetOptions("qwen3-omni-vision")->config;
  setLayerCount(vision, 3);
  EXPECT_EQ(vision["thinker_config"]["vision_config"]["depth"], 3);
  EXPECT_EQ(vision["thinker_config"]["vision_config"]["deepstack_visual_indexes"], nlohmann::json({2}));
  nlohmann::json broken = {{"thinker_config", {{"audio_config", 1}, {"vision_config", 2}}}};
  setLayerCount(broken, 3);
  EXPECT_EQ(broken, (nlohmann::json{{"thinker_config", {{"audio_config", 1}, {"vision_config", 2}}}}));
  nlohmann::json dense = {{"num_hidden_layers", 1}, {"layer_types", {"full_attention"}}};
  setLayerCount(dense, 2);
  EXPECT_EQ(dense, (nlohmann::json{{"num_hidden_layers", 2}}));
}

TEST(Synth, SameBytesForAnyNumberOfThreads) {
  TemporaryFolder one, four, other;
  SynthesisOptions options = tinyOptions();
  ASSERT_TRUE(writeSyntheticCheckpoint(one.path(), options).isOk());
  options.threads = 4;
  ASSERT_TRUE(writeSyntheticCheckpoint(four.path(), options).isOk());
  options.seed = 1;
  ASSERT_TRUE(writeSyntheticCheckpoint(other.path(), options).isOk());
  EXPECT_EQ(one.read("model.safetensors"), four.read("model.safetensors"));
  EXPECT_NE(one.read("model.safetensors"), other.read("model.safetensors"));
  EXPECT_TRUE(exportFrom(one).isOk());
}

TEST(Synth, RedundantHeadEqualsTheEmbedding) {
  TemporaryFolder folder;
  SynthesisOptions options = tinyOptions();
  options.redundantHead = true;
  ASSERT_TRUE(writeSyntheticCheckpoint(folder.path(), options).isOk());
  Result<SafetensorsHeader> header = readSafetensorsHeader(folder.path("model.safetensors"));
  ASSERT_TRUE(header.isOk());
  std::string content = folder.read("model.safetensors");
  const StoredTensor &head = header->tensors.at("lm_head.weight");
  const StoredTensor &embedding = header->tensors.at("model.embed_tokens.weight");
  EXPECT_EQ(content.substr(head.offsetBytes, head.sizeBytes),
            content.substr(embedding.offsetBytes, embedding.sizeBytes));
}

TEST(Synth, ShardsReplaceASingleFileAndBack) {
  TemporaryFolder folder;
  SynthesisOptions options = tinyOptions();
  ASSERT_TRUE(writeSyntheticCheckpoint(folder.path(), options).isOk());
  options.maxShardBytes = 200;
  ASSERT_TRUE(writeSyntheticCheckpoint(folder.path(), options).isOk());
  Result<graph::Graph> graph = exportFrom(folder);
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_GT(graph->checkpoint.files.size(), 2u);
  options.maxShardBytes = 0;
  ASSERT_TRUE(writeSyntheticCheckpoint(folder.path(), options).isOk());
  EXPECT_EQ(exportFrom(folder)->checkpoint.files.size(), 1u);
}

TEST(Synth, ValuesHaveTheWantedSpread) {
  struct Case {
    TensorRole role;
    double mean, deviation;
  };
  for (const Case &c :
       {Case{TensorRole::Linear, 0, 1.0 / 16}, Case{TensorRole::Norm, 1, 0.05}, Case{TensorRole::Router, 0, 2.0 / 16},
        Case{TensorRole::Embedding, 0, 0.25}, Case{TensorRole::Bias, 0, 0.02}}) {
    std::vector<uint16_t> values(1 << 16);
    SyntheticTensor({"t", {256, 256}, c.role}, 3).fill(0, values);
    double sum = 0, squares = 0;
    for (uint16_t bits : values) {
      sum += fromBf16(bits);
      squares += double(fromBf16(bits)) * fromBf16(bits);
    }
    double mean = sum / double(values.size());
    EXPECT_NEAR(mean, c.mean, c.deviation * 0.03);
    EXPECT_NEAR(std::sqrt(squares / double(values.size()) - mean * mean), c.deviation, c.deviation * 0.03);
  }
}

TEST(Synth, AnyPieceGivesTheSameValues) {
  SyntheticTensor tensor({"t", {64}, TensorRole::Linear}, 3);
  std::vector<uint16_t> whole(64), piece(31);
  tensor.fill(0, whole);
  tensor.fill(10, piece);
  EXPECT_TRUE(std::equal(piece.begin(), piece.end(), whole.begin() + 10));
}

TEST(Synth, RefusesWhatItCannotMake) {
  TemporaryFolder folder;
  EXPECT_REFUSED(presetOptions("qwen9"),
                 "preset 'qwen9', expected one of [qwen3-0.6b qwen3-omni-thinker qwen3-omni-audio "
                 "qwen3-omni-vision qwen3-omni-speech qwen3-omni-code2wav]");
  SynthesisOptions options = tinyOptions();
  options.config["hidden_size"] = 0;
  EXPECT_REFUSED(writeSyntheticCheckpoint(folder.path(), options),
                 "1 problem in the configuration: config.json: hidden_size");
  options.config["model_type"] = "llama";
  EXPECT_REFUSED(writeSyntheticCheckpoint(folder.path(), options),
                 "model_type 'llama', expected 'qwen3', 'qwen3_moe' or 'qwen3_omni_moe'");
  folder.write("file", "");
  EXPECT_REFUSED(writeSyntheticCheckpoint(folder.path("file/sub"), tinyOptions()), "cannot make folder");
}
