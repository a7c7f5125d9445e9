#include "GraphExpectations.h"
#include "TinyCheckpoint.h"

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;
using namespace qwenc::test;

namespace {

class Exporter : public ::testing::Test {
protected:
  TinyCheckpoint tiny;

  /// The first line of the refusal.
  std::string refusal() {
    Result<Graph> graph = tiny.exported();
    std::string message = graph.status().message();
    return message.substr(0, message.find('\n'));
  }
  void expectProblem(const std::string &part) { expectContains(refusal(), part); }
};

std::vector<std::string> weightNames(const Graph &graph) {
  std::vector<std::string> names;
  for (const Weight &weight : graph.weights)
    names.push_back(weight.name);
  return names;
}

/// The weight that makes the logits.
std::string headWeight(const Graph &graph) { return graph.functions[1].ops.back().inputs[1]; }

} // namespace

TEST_F(Exporter, ExportsATiedModel) {
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->model.architecture, "Qwen3ForCausalLM");
  EXPECT_EQ(graph->model.maxPositions, 32u);
  EXPECT_EQ(graph->weights.size(), 13u);
  EXPECT_EQ(headWeight(*graph), "@model.embed_tokens.weight");
  EXPECT_EQ(graph->states[1].name, "layers.0.v");
  EXPECT_EQ(graph->states[1].shape, (std::vector<Dim>{"C", 1, 4}));
  EXPECT_FALSE(graph->tokenizer);
  EXPECT_FALSE(graph->chat);
  expectRoundTrip(*graph);
}

TEST_F(Exporter, ListsAsManyProblemsAsOneReads) {
  for (int i = 0; i < 1000; ++i)
    tiny.tensors.push_back({"unknown." + std::to_string(i), StoredDType::BF16, {1}});
  std::string message = tiny.exported().status().message();
  EXPECT_TRUE(message.starts_with("1000 problems")) << message.substr(0, 100);
  EXPECT_TRUE(message.ends_with("\n  and 800 more")) << message.substr(message.size() - 100);
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 201);
}

TEST_F(Exporter, IgnoresARedundantHead) {
  tiny.tensors.push_back({"lm_head.weight", StoredDType::BF16, {10, 6}});
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(headWeight(*graph), "@model.embed_tokens.weight");
  std::vector<std::string> names = weightNames(*graph);
  EXPECT_EQ(std::count(names.begin(), names.end(), "lm_head.weight"), 0);
  tiny.tensor("lm_head.weight").shape = {10, 5};
  expectProblem("tensor 'lm_head.weight' has shape [10,5], expected BF16 [10,6]");
}

TEST_F(Exporter, UsesAnUntiedHead) {
  tiny.config["tie_word_embeddings"] = false;
  tiny.reset();
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(headWeight(*graph), "@lm_head.weight");
  tiny.remove("lm_head.weight");
  expectProblem("1 problem in the checkpoint: tensor 'lm_head.weight' is missing, expected BF16 [10,6]");
}

TEST_F(Exporter, FollowsShards) {
  Result<Graph> single = tiny.exported();
  ASSERT_TRUE(single.isOk());
  std::filesystem::remove(tiny.folder.path("model.safetensors"));
  size_t half = tiny.tensors.size() / 2;
  tiny.writeFile("model-1.safetensors", {tiny.tensors.begin(), tiny.tensors.begin() + half});
  tiny.writeFile("model-2.safetensors", {tiny.tensors.begin() + half, tiny.tensors.end()});
  json map;
  for (size_t i = 0; i < tiny.tensors.size(); ++i)
    map[tiny.tensors[i].name] = i < half ? "model-1.safetensors" : "model-2.safetensors";
  tiny.folder.write("model.safetensors.index.json", json{{"weight_map", map}}.dump());
  Result<Graph> sharded = tiny.exportFolder();
  ASSERT_TRUE(sharded.isOk()) << sharded.status().message();
  EXPECT_EQ(sharded->checkpoint.files.size(), 2u);
  EXPECT_EQ(weightNames(*sharded), weightNames(*single));
  EXPECT_EQ(sharded->weights.front().file, 0u);
  EXPECT_EQ(sharded->weights.back().file, 1u);
}

TEST_F(Exporter, UsesBiasesWhereTheyAre) {
  tiny.config["attention_bias"] = true;
  ASSERT_TRUE(tiny.exported().isOk());
  tiny.tensors.push_back({"model.layers.0.self_attn.q_proj.bias", StoredDType::BF16, {8}});
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  const Op &q = graph->functions[0].ops[3];
  EXPECT_EQ(q.outputs[0], "layers.0.q_proj");
  EXPECT_EQ(q.inputs[2], "@model.layers.0.self_attn.q_proj.bias");
  tiny.config["attention_bias"] = false;
  expectProblem("unknown tensor 'model.layers.0.self_attn.q_proj.bias' in 'model.safetensors'");
}

TEST_F(Exporter, ListsAllProblemsAtOnce) {
  tiny.remove("model.norm.weight");
  tiny.tensor("model.layers.0.mlp.up_proj.weight").shape = {8, 7};
  tiny.tensor("model.layers.0.input_layernorm.weight").dtype = StoredDType::F32;
  tiny.tensors.push_back({"model.layers.1.mlp.up_proj.weight", StoredDType::BF16, {1}});
  std::string message = tiny.exported().status().message();
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 4) << message;
  EXPECT_TRUE(
      message.starts_with("4 problems in the checkpoint: tensor 'model.layers.0.input_layernorm.weight' has dtype "
                          "F32, expected BF16 [6], convert the checkpoint to BF16\n  tensor"))
      << message;
  for (const char *part : {"\n  tensor 'model.norm.weight' is missing, expected BF16 [6]",
                           "\n  tensor 'model.layers.0.mlp.up_proj.weight' has shape [8,7], expected BF16 [8,6]",
                           "\n  unknown tensor 'model.layers.1.mlp.up_proj.weight'"})
    EXPECT_NE(message.find(part), std::string::npos) << message << part;
}

TEST_F(Exporter, ReadsSizesThatMayBeAbsent) {
  tiny.config.erase("head_dim"); // hidden 6 / 2 heads = 3, odd
  expectProblem("head_dim is missing, expected an even number");
  tiny.config["hidden_size"] = 8;
  tiny.config.erase("num_key_value_heads");
  tiny.reset();
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->states[0].shape, (std::vector<Dim>{"C", 2, 4}));
}

TEST_F(Exporter, ReadsRopeInEveryForm) {
  auto theta = [&] {
    Result<Graph> graph = tiny.exported();
    EXPECT_TRUE(graph.isOk()) << graph.status().message();
    for (const Op &op : graph->functions[0].ops)
      if (op.kind == OpKind::Rope)
        return op.attr<double>("theta");
    return 0.0;
  };
  EXPECT_EQ(theta(), 1e6);
  tiny.config["rope_scaling"] = {{"type", "default"}};
  EXPECT_EQ(theta(), 1e6);
  tiny.config.erase("rope_theta");
  tiny.config["rope_parameters"] = {{"rope_theta", 5e5}, {"rope_type", "default"}};
  EXPECT_EQ(theta(), 5e5);
  tiny.config["rope_parameters"] = {{"rope_theta", 1e6}, {"rope_type", "yarn"}, {"factor", 4.0}};
  expectProblem("config.json: rope_parameters.rope_type is \"yarn\", expected \"default\"");
  tiny.config["rope_parameters"] = {{"rope_theta", 1e6}, {"partial_rotary_factor", 0.5}};
  expectProblem("config.json: rope_parameters.partial_rotary_factor is 0.5, expected 1");
  tiny.config["rope_parameters"] = 7;
  expectProblem("config.json: rope_parameters is 7, expected an object");
  tiny.config["rope_parameters"] = {{"rope_theta", 1e6}};
  tiny.config["partial_rotary_factor"] = 0.5;
  expectProblem("config.json: partial_rotary_factor is 0.5, expected 1 or none");
  tiny.config.erase("partial_rotary_factor");
  tiny.config.erase("rope_parameters");
  expectProblem("config.json: rope_theta is missing, expected a number above zero");
}

TEST_F(Exporter, RefusesConfigValues) {
  const json original = tiny.config;
  for (const RefusedValue &c : std::vector<RefusedValue>{
           {"hidden_size", 0, "hidden_size is 0, expected an integer in 1 .. 1048576"},
           {"hidden_size", -4, "hidden_size is -4, expected an integer"},
           {"hidden_size", "6", "hidden_size is \"6\", expected an integer"},
           {"hidden_size", 6.5, "hidden_size is 6.5, expected an integer"},
           {"hidden_size", nullptr, "hidden_size is missing, expected an integer"},
           {"num_hidden_layers", 100000, "num_hidden_layers is 100000, expected an integer in 1 .. 1024"},
           {"num_attention_heads", UINT64_MAX, "num_attention_heads is 18446744073709551615, expected"},
           {"num_key_value_heads", 3, "num_key_value_heads is 3, expected a divisor of num_attention_heads 2"},
           {"head_dim", 3, "head_dim is 3, expected an even number"},
           {"vocab_size", json::array(), "vocab_size is [], expected an integer"},
           {"intermediate_size", 1e9, "intermediate_size is 1000000000.0, expected"},
           {"max_position_embeddings", false, "max_position_embeddings is false, expected"},
           {"rms_norm_eps", 0, "rms_norm_eps is 0, expected a number above zero"},
           {"rms_norm_eps", nullptr, "rms_norm_eps is missing, expected a number above zero"},
           {"rope_theta", "big", "rope_theta is \"big\", expected a number above zero"},
           {"tie_word_embeddings", 1, "tie_word_embeddings is 1, expected true or false"},
           {"hidden_act", "gelu", "hidden_act is \"gelu\", expected \"silu\""},
           {"use_sliding_window", true, "use_sliding_window is true, expected false"},
           {"layer_types",
            {"sliding_attention"},
            "layer_types is [\"sliding_attention\"], expected \"full_attention\""},
           {"layer_types", 3, "layer_types is 3, expected \"full_attention\""}}) {
    tiny.config = original;
    tiny.config[c.key] = c.value;
    expectProblem(std::string("config.json: ") + c.expected);
  }
  tiny.config = original;
  tiny.config["layer_types"] = {"full_attention"};
  EXPECT_TRUE(tiny.exported().isOk());
}

TEST_F(Exporter, RecognisesArchitectures) {
  tiny.config["architectures"] = {"LlamaForCausalLM"};
  expectProblem("architecture 'LlamaForCausalLM', expected one of [Qwen3ForCausalLM Qwen3MoeForCausalLM "
                "Qwen3OmniMoeForConditionalGeneration], choose");
  tiny.config.erase("architectures");
  EXPECT_TRUE(tiny.exported().isOk());
  tiny.config["model_type"] = "llama";
  expectProblem("architecture 'model_type llama', expected one of");
  tiny.config.erase("model_type");
  expectProblem("architecture missing in config.json, expected one of");
}

TEST_F(Exporter, ChecksComponents) {
  tiny.write();
  EXPECT_TRUE(tiny.exportFolder({"text"}).isOk());
  Result<Graph> graph = tiny.exportFolder({"text", "audio"});
  EXPECT_REFUSED(graph, "component 'audio' of Qwen3ForCausalLM, expected one of [text]");
  EXPECT_EQ(graph.status().code(), StatusCode::InvalidUsage);
}

TEST_F(Exporter, ReadsGenerationSettings) {
  auto generation = [&](const json &config) {
    tiny.folder.write("generation_config.json", config.dump());
    Result<Graph> graph = tiny.exported();
    EXPECT_TRUE(graph.isOk()) << graph.status().message();
    return *graph->generation;
  };
  EXPECT_EQ(tiny.exported()->generation->stopIds, std::vector<uint32_t>{7}); // from config.json
  GenerationInfo neutral = generation(json::object());
  EXPECT_TRUE(neutral.stopIds.empty());
  EXPECT_FALSE(neutral.doSample);
  EXPECT_EQ(neutral.topK, 0u);
  EXPECT_EQ(neutral.temperature, 1.0);
  EXPECT_EQ(neutral.topP, 1.0);
  EXPECT_EQ(neutral.repetitionPenalty, 1.0);
  EXPECT_EQ(generation({{"do_sample", true}}).topK, 50u); // the default of transformers
  EXPECT_EQ(generation({{"do_sample", true}, {"top_k", 0}}).topK, 0u);
  EXPECT_EQ(generation({{"do_sample", false}, {"temperature", 0}}).temperature, 1.0);
  GenerationInfo full = generation({{"do_sample", true},
                                    {"eos_token_id", {9, 2}},
                                    {"temperature", 0.6},
                                    {"top_k", 20},
                                    {"top_p", 0.95},
                                    {"repetition_penalty", 1.05}});
  EXPECT_TRUE(full.doSample);
  EXPECT_EQ(full.stopIds, (std::vector<uint32_t>{9, 2}));
  EXPECT_EQ(full.temperature, 0.6);
  EXPECT_EQ(full.topK, 20u);
  EXPECT_EQ(full.topP, 0.95);
  EXPECT_EQ(full.repetitionPenalty, 1.05);
}

TEST_F(Exporter, RefusesGenerationSettings) {
  tiny.config["eos_token_id"] = "x";
  expectProblem(
      "1 problem in the generation settings: eos_token_id holds something else than ids, expected at most 1024 "
      "integers below vocab_size 10, correct config.json");
  for (const auto &[config, expected] : std::vector<std::pair<const char *, std::string>>{
           {R"({"eos_token_id": "x"})", "eos_token_id holds something else than ids"},
           {R"({"eos_token_id": 10})",
            "eos_token_id holds something else than ids, expected at most 1024 integers below vocab_size 10"},
           {R"({"eos_token_id": [1, -1]})", "eos_token_id holds something else than ids"},
           {R"({"do_sample": 1})", "do_sample is no boolean"},
           {R"({"do_sample": true, "temperature": 0})", "temperature is no number above 0 and up to 1000"},
           {R"({"top_p": 1.5})", "top_p is no number above 0 and up to 1,"},
           {R"({"repetition_penalty": -1})", "repetition_penalty is no number above 0"},
           {R"({"top_k": -1})", "top_k is no integer in 0 .. 2^31-1"}}) {
    tiny.folder.write("generation_config.json", config);
    expectProblem("1 problem in the generation settings: " + expected);
  }
  json many = {{"eos_token_id", std::vector<int>(1025, 1)}};
  tiny.folder.write("generation_config.json", many.dump());
  expectProblem("1 problem in the generation settings: eos_token_id holds something else than ids");
}

TEST_F(Exporter, NamesTheTokenizerAndTheChatFormat) {
  tiny.folder.write("tokenizer.json", "{}");
  tiny.folder.write("chat_template.jinja", "{{ enable_thinking }}");
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->tokenizer->kind, "qwen2-bpe");
  EXPECT_EQ(graph->tokenizer->files, std::vector<std::string>{"tokenizer.json"});
  EXPECT_EQ(graph->chat->format, "chatml");
  EXPECT_TRUE(graph->chat->thinkingSwitch);
}

TEST_F(Exporter, RefusesAPathThatJsonCannotHold) {
  tiny.write();
  Result<Checkpoint> checkpoint = openCheckpoint(tiny.folder.path());
  ASSERT_TRUE(checkpoint.isOk());
  EXPECT_REFUSED(exportCheckpoint(*checkpoint, {"p", "a\xff", "m", {}}), "is no UTF-8");
}
