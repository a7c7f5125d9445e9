#include "test/Checkpoint/TemporaryFolder.h"

#include "models/Graph/Graph.h"

using namespace qwenc;
using namespace qwenc::graph;

TEST(ValueType, TextAndBack) {
  for (const char *text : {"f32[S,192]", "i32[]", "bf16[1,2,3,4,5,6,7,8]", "f32[max_rows,0]"}) {
    Result<ValueType> type = parseValueType(text);
    ASSERT_TRUE(type.isOk()) << type.status().message();
    EXPECT_EQ(toString(*type), text);
  }
  EXPECT_EQ(parseValueType("f32[S,192]")->dims, (std::vector<Dim>{"S", 192}));
}

TEST(ValueType, DimsHaveFactors) {
  for (const char *text : {"f32[V*4,1152]", "i32[S,V*2]", "f32[V*2147483648]"}) {
    Result<ValueType> type = parseValueType(text);
    ASSERT_TRUE(type.isOk()) << type.status().message();
    EXPECT_EQ(toString(*type), text);
  }
  EXPECT_EQ(parseValueType("f32[V*4]")->dims, (std::vector<Dim>{{"V", 4}}));
  EXPECT_NE(Dim("V", 4), Dim("V"));
  EXPECT_EQ(toString(Dim("V", 1)), "V");
}

TEST(ValueType, RefusesOtherText) {
  for (const char *text : {"",
                           "f32",
                           "f32[",
                           "f32]",
                           "f32[S",
                           "f64[S]",
                           "[S]",
                           "f32[,]",
                           "f32[S,]",
                           "f32[,S]",
                           "f32[-1]",
                           "f32[1.5]",
                           "f32[S*0]",
                           "f32[S*1]",
                           "f32[S*x]",
                           "f32[S*]",
                           "f32[*4]",
                           "f32[4*S]",
                           "f32[S*4*2]",
                           "f32[S*04]",
                           "f32[S*-2]",
                           "f32[S*2147483649]",
                           "f32[S*99999999999999999999]",
                           "f32[S *4]",
                           "f32[01]",
                           "f32[S 4]",
                           "f32[4]x",
                           "f32[99999999999999999999]",
                           "f32[9S]",
                           "f32[1,2,3,4,5,6,7,8,9]",
                           "f32[]]"})
    EXPECT_REFUSED(parseValueType(text), "expected a dtype f32, bf16 or i32 and up to 8 dims");
}

TEST(DType, NamesAndSizes) {
  EXPECT_EQ(dtypeName(DType::BF16), "bf16");
  EXPECT_EQ(dtypeFromName("i32"), DType::I32);
  EXPECT_FALSE(dtypeFromName("BF16"));
  EXPECT_EQ(dtypeSizeBytes(DType::F32), 4u);
  EXPECT_EQ(dtypeSizeBytes(DType::BF16), 2u);
}

TEST(Names, OfLimitsAndBindings) {
  for (SymbolLimit limit : {SymbolLimit::AudioSeconds, SymbolLimit::ImagePixels})
    EXPECT_EQ(limitFromName(limitName(limit)), limit);
  for (Binding binding : {Binding::Positions, Binding::MediaRows, Binding::Media})
    EXPECT_EQ(bindingFromName(bindingName(binding)), binding);
  EXPECT_EQ(limitName(SymbolLimit::ImagePixels), "image_pixels");
  EXPECT_EQ(bindingName(Binding::MediaRows), "media_rows");
  // None has no name to read.
  EXPECT_FALSE(limitFromName(""));
  EXPECT_FALSE(bindingFromName(""));
}

TEST(GraphIndex, FindsByName) {
  Graph graph;
  graph.weights = {{"a", 0, 0, DType::BF16, {2, 3}}};
  graph.states = {{"k", "kv_cache", {"C", 1, 2}}};
  graph.symbols = {{"C", "", 4}};
  graph.functions.resize(1);
  graph.functions[0].name = "f";
  GraphIndex index(graph);
  EXPECT_EQ(toString(weightType(*index.weight("a"))), "bf16[2,3]");
  EXPECT_EQ(toString(stateType(*index.state("k"))), "f32[C,1,2]");
  EXPECT_EQ(index.symbol("C")->max, 4u);
  EXPECT_EQ(index.function("f"), &graph.functions[0]);
  EXPECT_EQ(index.weight("k"), nullptr);
}
