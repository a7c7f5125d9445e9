#include "test/Checkpoint/TemporaryFolder.h"

#include "models/Graph/GraphBuilder.h"

using namespace qwenc;
using namespace qwenc::graph;

namespace {

Graph graphWithWeights() {
  Graph graph;
  graph.weights = {{"norm", 0, 0, DType::BF16, {4}}, {"square", 0, 8, DType::BF16, {6, 4}}};
  graph.states = {{"k", "kv_cache", {"C", 1, 2}}};
  return graph;
}

} // namespace

TEST(FunctionBuilder, InfersTypes) {
  Graph graph = graphWithWeights();
  FunctionBuilder f(graph, "f");
  Value x = f.input("x", {DType::F32, {"S", 4}});
  Value y = f.linear("y", f.rmsNorm("n", x, {"norm"}, 1e-6), {"square"});
  Value heads = f.reshape("heads", y, {"S", 3, 2});
  Result<Function> function = f.finish({heads});
  ASSERT_TRUE(function.isOk()) << function.status().message();
  ASSERT_EQ(function->ops.size(), 3u);
  EXPECT_EQ(function->ops[1].inputs, (std::vector<std::string>{"n", "@square"}));
  EXPECT_EQ(toString(function->ops[1].types[0]), "f32[S,6]");
  EXPECT_EQ(toString(function->ops[2].types[0]), "f32[S,3,2]");
  EXPECT_EQ(function->outputs, (std::vector<std::string>{"heads"}));
}

TEST(FunctionBuilder, BuildsAMixture) {
  Graph graph = graphWithWeights();
  graph.weights.push_back({"expert.0", 0, 64, DType::BF16, {6, 4}});
  graph.weights.push_back({"expert.1", 0, 112, DType::BF16, {6, 4}});
  graph.stacks = {{"experts", {"expert.0", "expert.1"}}};
  FunctionBuilder f(graph, "f");
  Value x = f.input("x", {DType::F32, {"S", 4}});
  auto [chosen, experts] = f.topK("chosen", "experts", f.softmax("p", x), 2);
  Value y = f.expertLinear("y", x, experts, {"experts"});
  Value z = f.weightedSum("z", y, f.sumNormalize("w", chosen));
  Result<Function> function = f.finish({z});
  ASSERT_TRUE(function.isOk()) << function.status().message();
  const Op &choice = function->ops[1];
  EXPECT_EQ(choice.outputs, (std::vector<std::string>{"chosen", "experts"}));
  EXPECT_EQ(toString(choice.types[1]), "i32[S,2]");
  EXPECT_EQ(function->ops[2].inputs, (std::vector<std::string>{"x", "experts", "@experts"}));
  EXPECT_EQ(toString(function->ops.back().types[0]), "f32[S,6]");
}

TEST(FunctionBuilder, RefusesAWeightForAStack) {
  Graph graph = graphWithWeights();
  FunctionBuilder f(graph, "f");
  Value x = f.input("x", {DType::F32, {"S", 4}});
  auto [chosen, experts] = f.topK("chosen", "experts", x, 2);
  EXPECT_REFUSED(f.finish({f.expertLinear("y", x, experts, {"square"})}),
                 "value 'y': weight of type bf16[6,4], expected a stack [E,N,K]");
  FunctionBuilder g(graph, "g");
  Value few = g.topK("few", "indices", g.input("x", {DType::F32, {"S", 4}}), 5).first;
  EXPECT_REFUSED(g.finish({few}),
                 "value 'few': x of type f32[S,4], expected f32[R,N] with a number N of at least k = 5");
}

TEST(FunctionBuilder, KeepsTheFirstMistake) {
  Graph graph = graphWithWeights();
  FunctionBuilder f(graph, "f");
  Value x = f.input("x", {DType::F32, {"S", 5}});
  Value bad = f.linear("bad", x, {"square"});
  Value worse = f.silu("worse", {"nowhere"});
  EXPECT_REFUSED(f.finish({worse}), "value 'bad': weight of type bf16[6,4], expected [N,K] with K the last dim of x");
}

TEST(FunctionBuilder, RefusesUnknownNames) {
  Graph graph = graphWithWeights();
  for (int which = 0; which < 3; ++which) {
    FunctionBuilder f(graph, "f");
    Value x = f.input("x", {DType::F32, {"S", 1, 2}});
    Value y = which == 0   ? f.rmsNorm("y", x, {"nowhere"}, 1e-6)
              : which == 1 ? f.kvAppend("y", "nowhere", x)
                           : f.silu("y", {"nowhere"});
    EXPECT_REFUSED(f.finish({y}), "value 'y': unknown name '");
  }
}
