#include "GraphExpectations.h"
#include "TinyCheckpoint.h"

#include "models/Qwen3/Code2Wav.h"

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;
using namespace qwenc::test;

namespace {

/// A thinker of two layers with a talker of one, a predictor of one and frames of three codes.
class Talker : public ::testing::Test {
protected:
  Talker() {
    tiny.useThinker();
    tiny.textConfig()["vocab_size"] = 20;
    json text = tiny.textConfig();
    text.update({{"num_hidden_layers", 1}, {"hidden_size", 4}, {"intermediate_size", 7}, {"vocab_size", 1030}});
    text["shared_expert_intermediate_size"] = 9;
    text["tie_word_embeddings"] = false;
    text["head_dim"] = 6;
    text["rope_scaling"]["mrope_section"] = {1, 1, 1};
    json predictor = {{"head_dim", 4},
                      {"hidden_size", 4},
                      {"intermediate_size", 6},
                      {"num_hidden_layers", 1},
                      {"num_attention_heads", 2},
                      {"num_key_value_heads", 1},
                      {"rms_norm_eps", 1e-6},
                      {"rope_theta", 10000},
                      {"vocab_size", 5},
                      {"max_position_embeddings", 32}};
    tiny.config["talker_config"] = {{"accept_hidden_layer", 1}, {"num_code_groups", 3},
                                    {"audio_token_id", 10},     {"image_token_id", 11},
                                    {"video_token_id", 12},     {"codec_pad_id", 6},
                                    {"codec_bos_id", 7},        {"codec_eos_token_id", 8},
                                    {"codec_nothink_id", 9},    {"codec_think_bos_id", 10},
                                    {"codec_think_eos_id", 11}, {"speaker_id", {{"ann", 12}}},
                                    {"text_config", text},      {"code_predictor_config", predictor}};
    tiny.config.update({{"im_start_token_id", 13},
                        {"user_token_id", 14},
                        {"assistant_token_id", 15},
                        {"tts_pad_token_id", 16},
                        {"tts_bos_token_id", 17},
                        {"tts_eos_token_id", 18}});
    tiny.reset();
    auto add = [&](const std::string &name, std::vector<uint64_t> shape) {
      tiny.tensors.push_back({name, StoredDType::BF16, std::move(shape)});
    };
    DecoderConfig talker;
    std::vector<std::string> problems;
    talker = readDecoderConfig(text, problems);
    talker.prefix = "talker.model.";
    talker.experts->sharedSize = 9;
    DecoderConfig small = readDecoderConfig(predictor, problems);
    small.prefix = "talker.code_predictor.model.";
    for (const DecoderConfig &config : {talker, small})
      for (const TensorSpec &spec : decoderBodyTensors(config))
        add(spec.name, spec.shape);
    add("talker.model.codec_embedding.weight", {1030, 4});
    add("talker.codec_head.weight", {1030, 4});
    for (std::string name : {"text", "hidden"}) {
      add("talker." + name + "_projection.linear_fc1.weight", {7, 6});
      add("talker." + name + "_projection.linear_fc1.bias", {7});
      add("talker." + name + "_projection.linear_fc2.weight", {4, 7});
      add("talker." + name + "_projection.linear_fc2.bias", {4});
    }
    for (std::string i : {"0", "1"}) {
      add("talker.code_predictor.model.codec_embedding." + i + ".weight", {5, 4});
      add("talker.code_predictor.lm_head." + i + ".weight", {5, 4});
    }
  }

  json &talker() { return tiny.config["talker_config"]; }
  void expectProblem(const std::string &part) { expectContains(tiny.exported().status().message(), part); }

  TinyCheckpoint tiny;
};

std::string signature(const Graph &graph, const std::string &name) {
  const Function *function = GraphIndex(graph).function(name);
  if (!function)
    return "none";
  std::string text;
  for (const TypedName &input : function->inputs)
    text += input.name + " " + toString(input.type) + ", ";
  text += "->";
  for (const std::string &output : function->outputs)
    text += " " + output;
  return text;
}

} // namespace

TEST_F(Talker, ExportsBothDecodersAndWhatStandsAround) {
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(signature(*graph, "text.decoder"), "input_ids i32[S], -> layers.1.output layers.0.output");
  EXPECT_EQ(signature(*graph, "talker.decoder"), "inputs f32[S,4], positions f32[S,3], -> talker.layers.0.output");
  EXPECT_EQ(signature(*graph, "talker.head"), "hidden f32[R,4], -> talker.logits talker.norm");
  EXPECT_EQ(signature(*graph, "predictor.decoder"), "inputs f32[S,4], -> predictor.layers.0.output");
  EXPECT_EQ(signature(*graph, "predictor.head"), "hidden f32[R,4], step i32[R,1], -> predictor.logits");
  EXPECT_EQ(signature(*graph, "talker.text"), "ids i32[T], codes i32[T], -> rows");
  EXPECT_EQ(signature(*graph, "talker.media"), "hidden f32[T,6], -> rows");
  GraphIndex index(*graph);
  EXPECT_EQ(toString(stateType(*index.state("talker.layers.0.k"))), "f32[C,1,6]");
  EXPECT_EQ(toString(stateType(*index.state("predictor.layers.0.v"))), "f32[3,1,4]");
  ASSERT_TRUE(graph->speech && graph->speech->talker);
  const TalkerInfo &info = *graph->speech->talker;
  EXPECT_EQ(info.tables, (std::vector<std::string>{"talker.model.codec_embedding.weight",
                                                   "talker.code_predictor.model.codec_embedding.0.weight",
                                                   "talker.code_predictor.model.codec_embedding.1.weight"}));
  EXPECT_EQ(info.suppressedFirst, 6u);
  EXPECT_EQ(info.suppressedEnd, 1030u);
  EXPECT_EQ(info.ids.at("tts_eos"), 18u);
  EXPECT_EQ(info.ids.at("codec_eos"), 8u);
  EXPECT_EQ(info.speakers, (std::map<std::string, uint32_t>{{"ann", 12}}));
  EXPECT_EQ(info.maxFrames, 4096u);
  EXPECT_EQ(info.sampling.repetitionPenalty, 1.05);
  EXPECT_EQ(info.predictorSampling.topP, 0.8);
  expectRoundTrip(*graph);
}

TEST_F(Talker, IsChosenByNameOrByTheConfig) {
  tiny.write();
  Result<Graph> alone = tiny.exportFolder({"talker"});
  ASSERT_TRUE(alone.isOk()) << alone.status().message();
  EXPECT_FALSE(alone->generate);
  EXPECT_EQ(signature(*alone, "talker.text"), "ids i32[T], codes i32[T], -> rows");
  Result<Graph> text = tiny.exportFolder({"text"});
  ASSERT_TRUE(text.isOk()) << text.status().message();
  EXPECT_FALSE(text->speech);
  EXPECT_EQ(signature(*text, "text.decoder"), "input_ids i32[S], -> layers.1.output");
  tiny.config["enable_audio_output"] = false;
  Result<Graph> silent = tiny.exported();
  ASSERT_TRUE(silent.isOk()) << silent.status().message();
  EXPECT_FALSE(silent->speech);
}

TEST_F(Talker, TakesSamplingFromTheGenerationConfig) {
  tiny.folder.write("generation_config.json",
                    R"({"talker_max_new_tokens": 9, "talker_top_k": 3, "talker_top_p": 0.5})");
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->speech->talker->maxFrames, 9u);
  EXPECT_EQ(graph->speech->talker->sampling.topK, 3u);
  EXPECT_EQ(graph->speech->talker->sampling.topP, 0.5);
  tiny.folder.write("generation_config.json", R"({"talker_temperature": -1})");
  expectProblem("talker_temperature is no number from");
}

TEST_F(Talker, ListsWhatIsWrong) {
  talker().erase("codec_bos_id");
  talker()["speaker_id"] = {{"ann", 1030}};
  tiny.remove("talker.codec_head.weight");
  tiny.tensor("talker.code_predictor.lm_head.1.weight").shape = {6, 4};
  tiny.tensors.push_back({"talker.extra", StoredDType::BF16, {2}});
  expectProblem("5 problems in the talker");
  expectProblem("talker_config.codec_bos_id is missing, expected an id below 1030");
  expectProblem("talker_config.speaker_id is {\"ann\":1030}, expected ids of codes by the names of speakers");
  expectProblem("tensor 'talker.codec_head.weight' is missing");
  expectProblem("tensor 'talker.code_predictor.lm_head.1.weight' has shape [6,4], expected BF16 [5,4]");
  expectProblem("unknown tensor 'talker.extra'");
}

TEST_F(Talker, RefusesNumbersThatDoNotFit) {
  talker()["num_code_groups"] = 1;
  expectProblem("talker_config.num_code_groups is 1, expected at least 2");
  talker()["num_code_groups"] = 3;
  talker()["code_predictor_config"]["hidden_size"] = 5;
  expectProblem("talker_config.code_predictor_config.hidden_size is 5, expected the talker's 4");
  talker()["code_predictor_config"]["hidden_size"] = 4;
  talker()["text_config"].erase("rope_scaling");
  expectProblem("talker_config.text_config.rope_scaling.mrope_section is missing, expected the sections of M-RoPE");
  talker()["text_config"] = 7;
  expectProblem("text_config is 7, expected an object");
}

TEST_F(Talker, RefusesAVocoderOfOtherFrames) {
  json &vocoder = tiny.config["code2wav_config"] = {
      {"codebook_size", 6},     {"num_quantizers", 3},    {"hidden_size", 4},      {"num_attention_heads", 1},
      {"num_hidden_layers", 1}, {"intermediate_size", 4}, {"sliding_window", 4},   {"rms_norm_eps", 1e-5},
      {"rope_theta", 10000},    {"decoder_dim", 8},       {"upsample_rates", {2}}, {"upsampling_ratios", {1}}};
  const std::vector<TensorDescription> others = tiny.tensors;
  auto status = [&](uint64_t groups) {
    vocoder["num_quantizers"] = groups;
    std::vector<std::string> problems;
    tiny.tensors = others;
    for (const TensorSpec &spec : code2WavTensors(readCode2WavConfig(tiny.config, problems)))
      tiny.tensors.push_back({spec.name, StoredDType::BF16, spec.shape});
    return tiny.exported().status().message();
  };
  EXPECT_EQ(status(3), "");
  expectContains(status(2), "code2wav_config.num_quantizers is 2, expected talker_config.num_code_groups 3");
  vocoder["codebook_size"] = 5;
  expectContains(status(3), "code2wav_config.codebook_size is 5, expected at least the 6 codes of the talker and its");
}

TEST_F(Talker, ReadsEmbeddingsOrTheNormalisedStateToo) {
  talker()["accept_hidden_layer"] = 0;
  Result<Graph> first = tiny.exported();
  ASSERT_TRUE(first.isOk()) << first.status().message();
  EXPECT_EQ(signature(*first, "text.decoder"), "input_ids i32[S], -> layers.1.output embeddings");
  talker()["accept_hidden_layer"] = 2;
  Result<Graph> last = tiny.exported();
  ASSERT_TRUE(last.isOk()) << last.status().message();
  EXPECT_EQ(signature(*last, "text.decoder"), "input_ids i32[S], -> layers.1.output accept_norm");
}

TEST_F(Talker, RefusesHiddenStatesThatTheThinkerHasNot) {
  talker()["accept_hidden_layer"] = 3;
  expectProblem("talker_config.accept_hidden_layer is 3, expected 0 to 2, as many as the thinker has layers");
  talker()["accept_hidden_layer"] = "x";
  expectProblem("talker_config.accept_hidden_layer is missing or no integer");
}
