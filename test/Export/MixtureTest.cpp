#include "GraphExpectations.h"
#include "TinyCheckpoint.h"

#include "models/Qwen3/TextDecoder.h"

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;
using namespace qwenc::test;

namespace {

class Mixture : public ::testing::Test {
protected:
  Mixture() { tiny.useExperts(); }

  void expectProblem(const std::string &part) { expectContains(tiny.exported().status().message(), part); }

  /// Replaces the tensors of all experts of \p layer by one each for gate and up, and down, named with \p suffix.
  void stackExperts(int layer, const std::string &suffix) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".mlp.experts.";
    std::erase_if(tiny.tensors, [&](const TensorDescription &tensor) { return tensor.name.starts_with(prefix); });
    tiny.tensors.push_back({prefix + "gate_up_proj" + suffix, StoredDType::BF16, {3, 10, 6}});
    tiny.tensors.push_back({prefix + "down_proj" + suffix, StoredDType::BF16, {3, 6, 5}});
  }

  TinyCheckpoint tiny;
};

class Thinker : public Mixture {
protected:
  Thinker() { tiny.useThinker(); }
};

const Weight *findWeight(const Graph &graph, const std::string &name) { return GraphIndex(graph).weight(name); }

} // namespace

TEST_F(Mixture, ExportsRouterAndExperts) {
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->model.architecture, "Qwen3MoeForCausalLM");
  EXPECT_EQ(inputsOf(*graph, "layers.1.router_logits"), "layers.1.post_attention_norm @model.layers.1.mlp.gate.weight");
  EXPECT_EQ(inputsOf(*graph, "layers.1.experts"), "layers.1.router_probabilities");
  EXPECT_EQ(typeOf(*graph, "layers.1.experts"), "i32[S,2]");
  EXPECT_EQ(inputsOf(*graph, "layers.1.expert_weights"), "layers.1.expert_probabilities");
  EXPECT_EQ(inputsOf(*graph, "layers.1.up_proj"),
            "layers.1.post_attention_norm layers.1.experts @model.layers.1.mlp.experts.up_proj.weight");
  EXPECT_EQ(typeOf(*graph, "layers.1.up_proj"), "f32[S,2,5]");
  EXPECT_EQ(inputsOf(*graph, "layers.1.mlp"), "layers.1.down_proj layers.1.expert_weights");
  EXPECT_EQ(typeOf(*graph, "layers.1.mlp"), "f32[S,6]");
  ASSERT_EQ(graph->stacks.size(), 6u);
  EXPECT_EQ(graph->stacks[5].name, "model.layers.1.mlp.experts.down_proj.weight");
  EXPECT_EQ(graph->stacks[5].weights, (std::vector<std::string>{"model.layers.1.mlp.experts.0.down_proj.weight",
                                                                "model.layers.1.mlp.experts.1.down_proj.weight",
                                                                "model.layers.1.mlp.experts.2.down_proj.weight"}));
  expectRoundTrip(*graph);
}

TEST_F(Mixture, WeightsStayAsTheyAreWithoutNormalisation) {
  tiny.config["norm_topk_prob"] = false;
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(findOutput(*graph, "layers.0.expert_weights"), nullptr);
  EXPECT_EQ(inputsOf(*graph, "layers.0.mlp"), "layers.0.down_proj layers.0.expert_probabilities");
}

TEST_F(Mixture, ListedLayersAreDense) {
  tiny.config["mlp_only_layers"] = {0, 7}; // of a layer that is not there nothing follows
  expectProblem("tensor 'model.layers.0.mlp.gate_proj.weight' is missing, expected BF16 [8,6]");
  tiny.reset();
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(findOutput(*graph, "layers.0.experts"), nullptr);
  EXPECT_EQ(inputsOf(*graph, "layers.0.up_proj"), "layers.0.post_attention_norm @model.layers.0.mlp.up_proj.weight");
  EXPECT_NE(findOutput(*graph, "layers.1.experts"), nullptr);
  EXPECT_EQ(graph->stacks.size(), 3u);
}

TEST_F(Mixture, EveryNthLayerIsSparse) {
  tiny.config["decoder_sparse_step"] = 2;
  tiny.reset();
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(findOutput(*graph, "layers.0.experts"), nullptr);
  EXPECT_NE(findOutput(*graph, "layers.1.experts"), nullptr);
}

TEST_F(Mixture, WithoutExpertsAllLayersAreDense) {
  tiny.config["num_experts"] = 0;
  tiny.reset();
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_TRUE(graph->stacks.empty());
  EXPECT_NE(findWeight(*graph, "model.layers.1.mlp.up_proj.weight"), nullptr);
}

TEST_F(Mixture, CountsExpertsUnderEitherKey) {
  tiny.config["num_local_experts"] = tiny.config["num_experts"];
  tiny.config.erase("num_experts");
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_NE(findOutput(*graph, "layers.1.experts"), nullptr);
  tiny.config["num_local_experts"] = -1;
  expectProblem("config.json: num_local_experts is -1, expected an integer in 1 .. 4096");
}

TEST_F(Mixture, DenseSizeMattersOnlyWhereALayerIsDense) {
  tiny.config.erase("intermediate_size");
  EXPECT_TRUE(tiny.exported().isOk());
  tiny.config["mlp_only_layers"] = {1};
  expectProblem("config.json: intermediate_size is missing, expected an integer");
}

TEST_F(Mixture, RefusesConfigValues) {
  const json original = tiny.config;
  for (const RefusedValue &c : std::vector<RefusedValue>{
           {"num_experts", -1, "num_experts is -1, expected an integer in 1 .. 4096"},
           {"num_experts", 5000, "num_experts is 5000, expected an integer in 1 .. 4096"},
           {"num_experts", "3", "num_experts is \"3\", expected an integer"},
           {"num_experts_per_tok", 4, "num_experts_per_tok is 4, expected an integer in 1 .. 3"},
           {"num_experts_per_tok", 0, "num_experts_per_tok is 0, expected an integer in 1 .. 3"},
           {"num_experts_per_tok", nullptr, "num_experts_per_tok is missing, expected an integer in 1 .. 3"},
           {"moe_intermediate_size", 0, "moe_intermediate_size is 0, expected an integer"},
           {"moe_intermediate_size", nullptr, "moe_intermediate_size is missing, expected an integer"},
           {"norm_topk_prob", "yes", "norm_topk_prob is \"yes\", expected true or false"},
           {"decoder_sparse_step", 0, "decoder_sparse_step is 0, expected an integer in 1 .. 1048576"},
           {"decoder_sparse_step", 1.5, "decoder_sparse_step is 1.5, expected an integer"},
           {"mlp_only_layers", 0, "mlp_only_layers is 0, expected an array of layer numbers"},
           {"mlp_only_layers", {-1}, "mlp_only_layers is [-1], expected an array of layer numbers"},
           {"mlp_only_layers", {"0"}, "mlp_only_layers is [\"0\"], expected an array of layer numbers"}}) {
    tiny.config = original;
    tiny.config[c.key] = c.value;
    expectProblem(std::string("config.json: ") + c.expected);
  }
}

TEST_F(Mixture, BoundsTheExpertsOfAllLayers) {
  tiny.config["num_experts"] = 4096;
  tiny.config["num_hidden_layers"] = 9;
  expectProblem(
      "1 problem in the checkpoint: config.json: num_experts is 4096, expected at most 32768 experts in the 9 "
      "layers with experts together");
  tiny.config["mlp_only_layers"] = {4};
  std::string message = tiny.exported().status().message();
  EXPECT_NE(message.find("tensor 'model.layers.0.mlp.experts.3.gate_proj.weight' is missing"), std::string::npos)
      << message.substr(0, 1000);
}

TEST_F(Mixture, ListsWhatIsWrongWithExperts) {
  tiny.remove("model.layers.0.mlp.experts.1.up_proj.weight");
  tiny.tensor("model.layers.1.mlp.experts.2.down_proj.weight").shape = {5, 6};
  tiny.tensor("model.layers.1.mlp.gate.weight").shape = {2, 6};
  tiny.tensors.push_back({"model.layers.0.mlp.experts.3.up_proj.weight", StoredDType::BF16, {5, 6}});
  expectProblem("4 problems in the checkpoint");
  expectProblem("tensor 'model.layers.0.mlp.experts.1.up_proj.weight' is missing, expected BF16 [5,6]");
  expectProblem("tensor 'model.layers.1.mlp.experts.2.down_proj.weight' has shape [5,6], expected BF16 [6,5]");
  expectProblem("tensor 'model.layers.1.mlp.gate.weight' has shape [2,6], expected BF16 [3,6]");
  expectProblem("unknown tensor 'model.layers.0.mlp.experts.3.up_proj.weight'");
}

TEST_F(Mixture, TakesStackedExpertsApart) {
  for (const char *suffix : {"", ".weight"}) {
    tiny.reset();
    stackExperts(0, suffix);
    Result<Graph> graph = tiny.exported();
    ASSERT_TRUE(graph.isOk()) << graph.status().message();
    auto offset = [&](const std::string &expert) {
      return findWeight(*graph, "model.layers.0.mlp.experts." + expert + "_proj.weight")->offset;
    };
    // Of each expert five rows of gate lie before five of up, of 12 bytes each.
    uint64_t first = offset("0.gate");
    EXPECT_EQ(offset("0.up"), first + 60);
    EXPECT_EQ(offset("1.gate"), first + 120);
    EXPECT_EQ(offset("2.up"), first + 300);
    EXPECT_EQ(offset("2.down"), offset("0.down") + 120);
    EXPECT_EQ(findWeight(*graph, "model.layers.0.mlp.experts.2.down_proj.weight")->shape,
              (std::vector<uint64_t>{6, 5}));
    EXPECT_EQ(graph->stacks.size(), 6u);
  }
}

TEST_F(Mixture, RefusesStacksOfAnotherTypeAsUnknown) {
  stackExperts(1, "");
  tiny.tensor("model.layers.1.mlp.experts.gate_up_proj").shape = {3, 6, 10};
  expectProblem("unknown tensor 'model.layers.1.mlp.experts.gate_up_proj'");
  expectProblem("tensor 'model.layers.1.mlp.experts.0.gate_proj.weight' is missing");
  stackExperts(1, "");
  tiny.tensor("model.layers.1.mlp.experts.down_proj").dtype = StoredDType::F32;
  expectProblem("unknown tensor 'model.layers.1.mlp.experts.down_proj'");
}

TEST_F(Thinker, ExportsTheTextDecoder) {
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->model.architecture, "Qwen3OmniMoeForConditionalGeneration");
  EXPECT_EQ(inputsOf(*graph, "embeddings"), "input_ids @thinker.model.embed_tokens.weight");
  EXPECT_EQ(graph->stacks[0].name, "thinker.model.layers.0.mlp.experts.gate_proj.weight");
  for (const Weight &weight : graph->weights)
    EXPECT_TRUE(weight.name.starts_with("thinker.model.")) << weight.name;
}

TEST_F(Thinker, HasAHeadOfItsOwnName) {
  tiny.textConfig()["tie_word_embeddings"] = false;
  tiny.reset();
  Result<Graph> graph = tiny.exported();
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->functions[1].ops.back().inputs[1], "@thinker.lm_head.weight");
}

TEST_F(Thinker, RefusesOtherTensors) {
  tiny.tensors.push_back({"thinker.other.weight", StoredDType::BF16, {1}});
  expectProblem("1 problem in the checkpoint: unknown tensor 'thinker.other.weight'");
}

TEST_F(Mixture, KnowsNoOtherComponents) {
  tiny.tensors.push_back({"talker.model.norm.weight", StoredDType::BF16, {2}});
  expectProblem("unknown tensor 'talker.model.norm.weight'");
}

TEST_F(Thinker, StopsAtTheEndOfTheTurn) {
  EXPECT_EQ(tiny.exported()->generation->stopIds, std::vector<uint32_t>{9});
  tiny.folder.write("generation_config.json", R"({"eos_token_id": 3})");
  EXPECT_EQ(tiny.exported()->generation->stopIds, std::vector<uint32_t>{9});
  tiny.config["im_end_token_id"] = 10;
  expectProblem("im_end_token_id holds something else than ids, expected at most 1024 integers below vocab_size 10, "
                "correct config.json");
  tiny.config.erase("im_end_token_id");
  EXPECT_TRUE(tiny.exported()->generation->stopIds.empty());
}

TEST_F(Thinker, ChecksSectionsOfPositions) {
  for (const json &sections : std::vector<json>{{2, 1, 0}, {1, 1}, {1, 1, 0, 0}, {3, -1, 0}, {"1", 1, 0}, 2, nullptr}) {
    tiny.textConfig()["rope_scaling"]["mrope_section"] = sections;
    expectProblem("rope_scaling.mrope_section is " + sections.dump() +
                  ", expected three numbers of pairs whose sum is half of head_dim 4");
  }
  tiny.textConfig()["rope_scaling"].erase("mrope_section");
  EXPECT_TRUE(tiny.exported().isOk());
}

TEST_F(Thinker, NeedsSectionsAboveZeroForMedia) {
  auto problem = [&] {
    tiny.write();
    Result<Checkpoint> checkpoint = openCheckpoint(tiny.folder.path());
    EXPECT_TRUE(checkpoint.isOk()) << checkpoint.status().message();
    Graph graph;
    return exportThinkerDecoder(*checkpoint, {/*isUsed=*/true, /*deepstack=*/0, std::nullopt}, graph).message();
  };
  expectContains(problem(), "text_config's rope_scaling.mrope_section has a zero, expected pairs for each of time, "
                            "height and width, correct config.json");
  // Not also that there are none.
  tiny.textConfig()["rope_scaling"]["mrope_section"] = {1, 1};
  expectContains(problem(), "1 problem in the checkpoint: config.json: rope_scaling.mrope_section is [1,1], expected");
}

TEST_F(Thinker, NeedsATextConfig) {
  tiny.config["thinker_config"]["text_config"] = 7;
  expectProblem("config.json: thinker_config.text_config is 7, expected an object with the decoder's sizes");
  tiny.config["thinker_config"].erase("text_config");
  expectProblem("config.json: thinker_config.text_config is missing, expected an object");
  tiny.config["thinker_config"] = 1;
  expectProblem("config.json: thinker_config.text_config is missing, expected an object");
}
