#include "GraphExpectations.h"
#include "TinyCheckpoint.h"

#include "models/Qwen3/Code2Wav.h"

using namespace qwenc;
using namespace qwenc::graph;
using namespace qwenc::test;

namespace {

/// A vocoder alone: one layer, one stage, two blocks.
class Code2Wav : public ::testing::Test {
protected:
  Code2Wav() {
    tiny.config = nlohmann::json::parse(R"json({
      "architectures": ["Qwen3OmniMoeForConditionalGeneration"], "model_type": "qwen3_omni_moe",
      "code2wav_config": {"codebook_size": 5, "num_quantizers": 3, "hidden_size": 8, "num_attention_heads": 2,
        "num_key_value_heads": 2, "num_hidden_layers": 1, "intermediate_size": 12, "sliding_window": 4,
        "rms_norm_eps": 1e-5, "rope_theta": 10000, "decoder_dim": 16, "upsample_rates": [3, 2],
        "upsampling_ratios": [2]}})json");
    std::vector<std::string> problems;
    tiny.tensors.clear();
    for (const TensorSpec &spec : code2WavTensors(readCode2WavConfig(tiny.config, problems)))
      tiny.tensors.push_back({spec.name, StoredDType::BF16, spec.shape});
  }

  nlohmann::json &vocoder() { return tiny.config["code2wav_config"]; }

  Result<Graph> exported() {
    tiny.write();
    return tiny.exportFolder({"code2wav"});
  }

  void expectProblem(const std::string &part) { expectContains(exported().status().message(), part); }

  TinyCheckpoint tiny;
};

} // namespace

TEST_F(Code2Wav, ExportsFunctionStatesAndDescription) {
  Result<Graph> graph = exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  ASSERT_EQ(graph->functions.size(), 1u);
  const Function &function = graph->functions[0];
  EXPECT_EQ(function.name, "code2wav.decode");
  EXPECT_EQ(toString(function.inputs[0].type), "i32[F,3]");
  EXPECT_EQ(toString(function.inputs[1].type), "i32[1]");
  EXPECT_EQ(toString(function.ops.back().types[0]), "f32[F*12]");
  EXPECT_EQ(function.outputs, std::vector<std::string>{"samples"});
  const VocoderInfo &info = *graph->speech->vocoder;
  EXPECT_EQ(info.frameSamples, 12u);
  EXPECT_EQ(info.lostSamples, (3u + 1) * 2);
  EXPECT_EQ(info.groups, 3u);
  EXPECT_EQ(info.codebookSize, 5u);
  GraphIndex index(*graph);
  EXPECT_EQ(toString(stateType(*index.state("code2wav.layers.0.k"))), "f32[35,2,4]"); // window - 1 + 32 of a push
  EXPECT_EQ(toString(stateType(*index.state("code2wav.decoder.2.block.4.conv1.conv.history"))), "f32[54,4]");
  EXPECT_EQ(toString(stateType(*index.state("code2wav.decoder.2.block.1.conv.history"))), "f32[1,8]");
  // The same bytes as matrices.
  EXPECT_EQ(index.weight("code2wav.decoder.1.block.1.conv.weight")->shape, (std::vector<uint64_t>{16, 8 * 6}));
  EXPECT_EQ(index.weight("code2wav.upsample.0.1.dwconv.conv.weight")->shape, (std::vector<uint64_t>{8, 7}));
  expectRoundTrip(*graph);
}

TEST_F(Code2Wav, ListsAllProblemsAtOnce) {
  vocoder()["hidden_size"] = 0;
  vocoder()["rope_theta"] = "a";
  vocoder()["upsample_rates"] = {3, 33};
  vocoder().erase("sliding_window");
  std::string message = exported().status().message();
  for (const char *part : {"code2wav_config.hidden_size is 0, expected an integer in 1 .. 65536",
                           "code2wav_config.rope_theta is \"a\", expected a number above zero",
                           "code2wav_config.upsample_rates is [3,33], expected 1 to 6 integers in 1 .. 32",
                           "code2wav_config.sliding_window is missing, expected an integer"})
    expectContains(message, part);
}

TEST_F(Code2Wav, RefusesSizesThatDoNotFit) {
  vocoder()["num_attention_heads"] = 8;
  expectProblem("num_attention_heads is 8, expected a number that divides hidden_size 8 into heads of even size");
  vocoder()["num_attention_heads"] = 4;
  expectProblem("num_key_value_heads is 2, expected num_attention_heads 4");
  vocoder()["decoder_dim"] = 24;
  expectProblem("decoder_dim is 24, expected a multiple of 16");
  vocoder()["upsample_rates"] = {32, 32, 32, 32};
  expectProblem("expected rates and ratios whose product is at most 65536");
  tiny.config["code2wav_config"] = 3;
  expectProblem("config.json has no code2wav_config");
}

TEST_F(Code2Wav, ReadsTheRopeOfNewerFiles) {
  vocoder().erase("rope_theta");
  vocoder()["rope_parameters"] = {{"rope_theta", 500.0}, {"rope_type", "default"}};
  std::vector<std::string> problems;
  EXPECT_EQ(readCode2WavConfig(tiny.config, problems).ropeTheta, 500.0);
  EXPECT_TRUE(problems.empty()) << problems.front();
  vocoder()["rope_parameters"]["rope_type"] = "yarn";
  expectProblem("code2wav_config.rope_parameters.rope_type is \"yarn\", expected \"default\"");
}

TEST_F(Code2Wav, RefusesOtherActivations) {
  vocoder()["hidden_act"] = "silu";
  EXPECT_TRUE(exported().isOk());
  vocoder()["hidden_act"] = "gelu";
  expectProblem("code2wav_config.hidden_act is \"gelu\", expected \"silu\", the only activation supported");
}

TEST_F(Code2Wav, ChecksTensors) {
  tiny.remove("code2wav.decoder.3.beta");
  tiny.tensor("code2wav.decoder.4.conv.weight").shape = {1, 4, 5};
  tiny.tensors.push_back({"code2wav.decoder.9.alpha", StoredDType::BF16, {4}});
  tiny.tensors.push_back({"talker.model.norm.weight", StoredDType::BF16, {4}});
  std::string message = exported().status().message();
  for (const char *part : {"tensor 'code2wav.decoder.3.beta' is missing, expected BF16 [4]",
                           "tensor 'code2wav.decoder.4.conv.weight' has shape [1,4,5], expected BF16 [1,4,7]",
                           "unknown tensor 'code2wav.decoder.9.alpha'"})
    expectContains(message, part);
  EXPECT_EQ(message.find("talker"), std::string::npos) << message;
}
