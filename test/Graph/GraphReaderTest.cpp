#include "ExampleGraph.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include "models/Graph/GraphReader.h"
#include "models/Graph/GraphVerifier.h"
#include "models/Graph/GraphWriter.h"
#include "models/Graph/SchemaValidator.h"

#include <functional>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;
using qwenc::test::exampleDocument;
using qwenc::test::TemporaryFolder;

TEST(GraphReader, ReadsEveryField) {
  Result<Graph> graph = readGraph(exampleDocument().dump());
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->producer, "test");
  EXPECT_EQ(graph->model.vocabSize, 8u);
  EXPECT_EQ(graph->checkpoint.files[0].headerHash, 0x0123456789abcdefu);
  EXPECT_EQ(graph->tokenizer->files, (std::vector<std::string>{"tokenizer.json"}));
  EXPECT_TRUE(graph->chat->thinkingSwitch);
  EXPECT_EQ(graph->generation->stopIds, (std::vector<uint32_t>{7, 3}));
  EXPECT_EQ(graph->generation->topK, 20u);
  EXPECT_EQ(graph->generation->repetitionPenalty, 1.05);
  EXPECT_EQ(graph->symbols[1].name, "C");
  EXPECT_EQ(graph->weights[2].offset, 180u);
  EXPECT_EQ(graph->states[0].shape, (std::vector<Dim>{"C", 1, 2}));
  ASSERT_EQ(graph->stacks.size(), 1u);
  EXPECT_EQ(graph->stacks[0].name, "experts");
  EXPECT_EQ(graph->stacks[0].weights, (std::vector<std::string>{"expert.0", "expert.1"}));
  ASSERT_EQ(graph->functions.size(), 4u);
  EXPECT_EQ(graph->functions[3].ops[2].attr<int64_t>("k"), 1);
  EXPECT_EQ(toString(graph->functions[3].ops[2].types[1]), "i32[S,1]");
  const Op &rope = graph->functions[0].ops[5];
  EXPECT_EQ(rope.kind, OpKind::Rope);
  EXPECT_EQ(rope.attr<double>("theta"), 10000.0);
  EXPECT_EQ(toString(rope.types[0]), "f32[S,2,2]");
  EXPECT_EQ(graph->generate->head, "head");
}

TEST(GraphReader, WriterGivesTheSameDocument) {
  Result<Graph> graph = readGraph(exampleDocument().dump());
  ASSERT_TRUE(graph.isOk());
  std::string text = writeGraph(*graph);
  Result<Graph> again = readGraph(text);
  ASSERT_TRUE(again.isOk()) << again.status().message();
  EXPECT_EQ(writeGraph(*again), text);
  EXPECT_EQ(json::parse(text), exampleDocument());
}

TEST(GraphReader, OneOperationPerLine) {
  std::string text = writeGraph(*readGraph(exampleDocument().dump()));
  EXPECT_NE(text.find("\n       {\"op\": \"rms_norm\", \"inputs\": [\"x\", \"@norm\"], \"attrs\": {\"eps\": 1e-06}, "
                      "\"outputs\": [\"n\"], \"types\": [\"f32[S,4]\"]},\n"),
            std::string::npos);
}

TEST(GraphReader, TextPartsMayBeNullOrAbsent) {
  for (const char *key : {"tokenizer", "chat", "generation", "generate"}) {
    json document = exampleDocument();
    document[key] = nullptr;
    EXPECT_TRUE(readGraph(document.dump()).isOk()) << key;
    document.erase(key);
    EXPECT_TRUE(readGraph(document.dump()).isOk()) << key;
  }
}

TEST(GraphReader, StacksMayBeAbsent) {
  json document = exampleDocument();
  document.erase("weight_stacks");
  document["functions"].erase(3);
  Result<Graph> graph = readGraph(document.dump());
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(writeGraph(*graph).find("weight_stacks"), std::string::npos);
}

TEST(GraphReader, UnknownKeysAreAllowed) {
  json document = exampleDocument();
  document["comment"] = {{"anything", {1, 2}}};
  document["weights"][0]["note"] = "x";
  document["functions"][0]["ops"][0]["origin"] = "layer";
  EXPECT_TRUE(readGraph(document.dump()).isOk());
}

TEST(GraphReader, NamesTheFile) {
  TemporaryFolder folder;
  folder.write("model.json", "{");
  EXPECT_REFUSED(readGraphFile(folder.path("model.json")), folder.path("model.json") + "': broken JSON");
  EXPECT_REFUSED(readGraphFile(folder.path("absent")), "not found");
}

TEST(GraphReader, RefusesWhatIsNoDocument) {
  EXPECT_REFUSED(readGraph(""), "broken JSON");
  EXPECT_REFUSED(readGraph("[]"), "format missing, expected 'qwen-graph'");
  EXPECT_REFUSED(readGraph(R"({"format": "gguf"})"), "format 'gguf', expected 'qwen-graph'");
  EXPECT_REFUSED(readGraph(R"({"format": "qwen-graph"})"), "version missing or no integer, expected 1");
  EXPECT_REFUSED(readGraph(R"({"format": "qwen-graph", "version": 2})"), "version 2, expected 1");
  EXPECT_REFUSED(readGraph(std::string(1000, '[')), "nested deeper than 32 levels");
  EXPECT_REFUSED(readGraph(R"({"format": "qwen-graph", "version": 1})"), "schema: 'the document'");
}

namespace {

json vocoder(const char *decoder, uint64_t groups, uint64_t lostSamples) {
  return {{"vocoder",
           {{"decoder", decoder},
            {"groups", groups},
            {"codebook_size", 64},
            {"frame_samples", 192},
            {"lost_samples", lostSamples},
            {"sample_rate", 24000}}}};
}

struct BadDocument {
  const char *what;
  std::function<void(json &)> breakIt;
  const char *message;
};

json &stack(json &document) { return document["weight_stacks"][0]; }
json &mixtureOp(json &document, int index) { return document["functions"][3]["ops"][index]; }
json &op(json &document, int index) { return document["functions"][0]["ops"][index]; }

class GraphRefusal : public ::testing::TestWithParam<BadDocument> {};

void useSymbol(json &d) { d["functions"][0]["inputs"][0]["type"] = "i32[T]"; }

const std::vector<BadDocument> schemaCases = {
    {"noModel", [](json &d) { d.erase("model"); }, "schema: 'the document'"},
    {"modelKind", [](json &d) { d["model"] = 1; }, "schema: 'model'"},
    {"vocabNegative", [](json &d) { d["model"]["vocab_size"] = -1; }, "schema: 'model.vocab_size'"},
    {"pathKind", [](json &d) { d["checkpoint"]["path"] = 1; }, "schema: 'checkpoint.path'"},
    {"fileKind", [](json &d) { d["checkpoint"]["files"][0] = 1; }, "schema: 'checkpoint.files[0]'"},
    {"fileSize", [](json &d) { d["checkpoint"]["files"][0]["size_bytes"] = "x"; },
     "schema: 'checkpoint.files[0].size_bytes'"},
    {"fileSizeHuge", [](json &d) { d["checkpoint"]["files"][0]["size_bytes"] = 1e30; },
     "schema: 'checkpoint.files[0].size_bytes'"},
    {"tokenizerKind", [](json &d) { d["tokenizer"]["kind"] = "spm"; }, "schema: 'tokenizer.kind'"},
    {"tokenizerNoFiles", [](json &d) { d["tokenizer"]["files"] = json::array(); }, "schema: 'tokenizer.files'"},
    {"chatFormat", [](json &d) { d["chat"]["format"] = "llama"; }, "schema: 'chat.format'"},
    {"stopId", [](json &d) { d["generation"]["stop_ids"][0] = -1; }, "schema: 'generation.stop_ids[0]'"},
    {"doSample", [](json &d) { d["generation"]["do_sample"] = 1; }, "schema: 'generation.do_sample'"},
    {"topK", [](json &d) { d["generation"]["top_k"] = 1.5; }, "schema: 'generation.top_k'"},
    {"symbolMax", [](json &d) { d["symbols"][0]["max"] = 0; }, "schema: 'symbols[0].max'"},
    {"symbolHuge", [](json &d) { d["symbols"][0]["max"] = 2147483649; }, "schema: 'symbols[0].max'"},
    {"weightName", [](json &d) { d["weights"][1].erase("name"); }, "schema: 'weights[1]'"},
    {"weightFile", [](json &d) { d["weights"][1]["file"] = -1; }, "schema: 'weights[1].file'"},
    {"weightDim", [](json &d) { d["weights"][1]["shape"][0] = 0; }, "schema: 'weights[1].shape[0]'"},
    {"weightDimHuge", [](json &d) { d["weights"][1]["shape"][0] = UINT64_MAX; }, "schema: 'weights[1].shape[0]'"},
    {"weightRank", [](json &d) { d["weights"][1]["shape"] = std::vector<int>(9, 1); }, "schema: 'weights[1].shape'"},
    {"stacksKind", [](json &d) { d["weight_stacks"] = 1; }, "schema: 'weight_stacks'"},
    {"stackName", [](json &d) { stack(d).erase("name"); }, "schema: 'weight_stacks[0]'"},
    {"stackEmpty", [](json &d) { stack(d)["weights"] = json::array(); }, "schema: 'weight_stacks[0].weights'"},
    {"stackMember", [](json &d) { stack(d)["weights"][1] = 7; }, "schema: 'weight_stacks[0].weights[1]'"},
    {"stateDim", [](json &d) { d["states"][0]["shape"][0] = true; }, "schema: 'states[0].shape[0]'"},
    {"functionKind", [](json &d) { d["functions"][0] = "f"; }, "schema: 'functions[0]'"},
    {"noOutputs", [](json &d) { d["functions"][0]["outputs"] = json::array(); }, "schema: 'functions[0].outputs'"},
    {"inputType", [](json &d) { d["functions"][0]["inputs"][0]["type"] = 3; }, "schema: 'functions[0].inputs[0].type'"},
    {"opName", [](json &d) { op(d, 0)["op"] = 3; }, "schema: 'functions[0].ops[0].op'"},
    {"attrKind", [](json &d) { op(d, 2)["attrs"]["eps"] = nullptr; }, "schema: 'functions[0].ops[2].attrs.eps'"},
    {"generateKind", [](json &d) { d["generate"]["head"] = 1; }, "schema: 'generate.head'"},
};

const std::vector<BadDocument> generalCases = {
    {"hash", [](json &d) { d["checkpoint"]["files"][0]["header_hash"] = "fnv1a64:0123456789abcdex"; },
     "header_hash 'fnv1a64:0123456789abcdex', expected fnv1a64: and 16"},
    {"hashKind", [](json &d) { d["checkpoint"]["files"][0]["header_hash"] = "md5_____0123456789abcdef"; },
     "expected fnv1a64:"},
    {"fileEscape", [](json &d) { d["checkpoint"]["files"][0]["name"] = "../w"; },
     "checkpoint file '../w', expected the name"},
    {"fileDots", [](json &d) { d["checkpoint"]["files"][0]["name"] = ".."; },
     "checkpoint file '..', expected the name"},
    {"fileControl", [](json &d) { d["checkpoint"]["files"][0]["name"] = "a\nb"; }, "checkpoint file name 'a\\x0ab'"},
    {"fileTwice", [](json &d) { d["checkpoint"]["files"].push_back(d["checkpoint"]["files"][0]); },
     "checkpoint file 'w.safetensors' is defined twice"},
    {"headerOutside", [](json &d) { d["checkpoint"]["files"][0]["header_bytes"] = 1101; },
     "of 1108 bytes with a header of 1101, expected the header inside"},
    {"tokenizerEscape", [](json &d) { d["tokenizer"]["files"][0] = "a/b"; }, "tokenizer file 'a/b', expected the name"},
    {"temperature", [](json &d) { d["generation"]["temperature"] = 0; }, "generation temperature 0.0"},
    {"topP", [](json &d) { d["generation"]["top_p"] = 1.5; }, "generation top_p 1.5"},
    {"penalty", [](json &d) { d["generation"]["repetition_penalty"] = -1; }, "generation repetition_penalty -1.0"},
    {"symbolName", [](json &d) { d["symbols"][0]["name"] = "S,T"; }, "symbol name 'S,T', expected letters"},
    {"symbolNumber", [](json &d) { d["symbols"][0]["name"] = "12"; }, "symbol name '12', expected letters"},
    {"symbolTwice", [](json &d) { d["symbols"][1]["name"] = "S"; }, "symbol 'S' is defined twice"},
    {"weightTwice", [](json &d) { d["weights"][1]["name"] = "embed"; }, "weight 'embed' is defined twice"},
    {"weightAt", [](json &d) { d["weights"][1]["name"] = "@norm"; }, "weight name '@norm', expected"},
    {"weightDType", [](json &d) { d["weights"][1]["dtype"] = "f32"; }, "weight 'norm' of dtype f32, expected bf16"},
    {"weightDTypeUnknown", [](json &d) { d["weights"][1]["dtype"] = "q4"; },
     "weight 'norm' of dtype 'q4', expected bf16"},
    {"weightNoFile", [](json &d) { d["weights"][1]["file"] = 1; }, "weight 'norm' in file 1, expected one of the 1"},
    {"weightBeforeData", [](json &d) { d["weights"][1]["offset"] = 107; },
     "weight 'norm' at bytes 107 + 8, expected them in"},
    {"weightBeyond", [](json &d) { d["weights"][1]["offset"] = 1101; },
     "weight 'norm' at bytes 1101 + 8, expected them in"},
    {"weightFarBeyond", [](json &d) { d["weights"][1]["offset"] = INT64_MAX; },
     "+ 8, expected them in the data area 108 .. 1108"},
    {"weightHuge", [](json &d) { d["weights"][1]["shape"] = {2147483648, 2147483648}; }, "more than 2^48 elements"},
    {"weightOverflow", [](json &d) { d["weights"][1]["shape"] = std::vector<uint64_t>(8, 2147483648); },
     "more than 2^48 elements"},
    {"stateKind", [](json &d) { d["states"][0]["kind"] = "ring"; }, "state 'k' of kind 'ring', expected 'kv_cache'"},
    {"stateFixed", [](json &d) { d["states"][0]["kind"] = "key_window"; },
     "state 'k' of kind 'key_window' with symbol 'C', expected numbers only"},
    {"vocoderFunction", [](json &d) { d["speech"] = vocoder("sing", 4, 192); },
     "speech names vocoder 'sing', expected a function of the document"},
    {"vocoderGroups", [](json &d) { d["speech"] = vocoder("head", 0, 192); },
     "speech with groups 0, expected 1 to 2^31"},
    {"vocoderLost", [](json &d) { d["speech"] = vocoder("head", 4, 4294967296); },
     "speech with lost_samples 4294967296, expected at most 2^31"},
    {"stateTwice", [](json &d) { d["states"][1]["name"] = "k"; }, "state 'k' is defined twice"},
    {"stateSymbol", [](json &d) { d["states"][0]["shape"][0] = "T"; }, "state 'k' uses symbol 'T'"},
    {"functionTwice", [](json &d) { d["functions"][1]["name"] = "decoder"; }, "function 'decoder' is defined twice"},
    {"inputTwice", [](json &d) { d["functions"][0]["inputs"].push_back(d["functions"][0]["inputs"][0]); },
     "function 'decoder': input 'ids' is defined twice"},
    {"inputType", [](json &d) { d["functions"][0]["inputs"][0]["type"] = "i64[S]"; },
     "function 'decoder': input 'ids': type 'i64[S]'"},
    {"inputSymbol", useSymbol, "function 'decoder': input 'ids' uses symbol 'T'"},
    {"inputName", [](json &d) { d["functions"][0]["inputs"][0]["name"] = "$ids"; }, "input name '$ids'"},
    {"inputZero", [](json &d) { d["functions"][0]["inputs"][0]["type"] = "i32[0]"; }, "input 'ids' with a dim of 0"},
};

const std::vector<BadDocument> operationCases = {
    {"unknownOp", [](json &d) { op(d, 2)["op"] = "conv3d"; },
     "function 'decoder': op 2: unknown operation 'conv3d', expected one of [embedding position_ids rms_norm"},
    {"opType", [](json &d) { op(d, 2)["types"][0] = "f32[S"; }, "op 2: type 'f32[S', expected a dtype"},
    {"wrongType", [](json &d) { op(d, 2)["types"][0] = "f32[S,5]"; },
     "op 2 rms_norm 'n': type f32[S,5], expected f32[S,4]"},
    {"wrongDType", [](json &d) { op(d, 2)["types"][0] = "bf16[S,4]"; }, "type bf16[S,4], expected f32[S,4]"},
    {"undefined", [](json &d) { op(d, 2)["inputs"][0] = "nowhere"; },
     "input 'nowhere', expected a value defined before"},
    {"cycle", [](json &d) { op(d, 2)["inputs"][0] = "n"; }, "input 'n', expected a value defined before"},
    {"later", [](json &d) { op(d, 2)["inputs"][0] = "y"; }, "input 'y', expected a value defined before"},
    {"otherFunction", [](json &d) { d["functions"][1]["ops"][0]["inputs"][0] = "x"; },
     "function 'head': op 0 linear 'logits': input 'x'"},
    {"noWeight", [](json &d) { op(d, 2)["inputs"][1] = "@nowhere"; },
     "input '@nowhere', expected @ and the name of a weight"},
    {"valueAsWeight", [](json &d) { op(d, 2)["inputs"][1] = "x"; }, "input 'x', expected @ and the name of a weight"},
    {"weightAsValue", [](json &d) { op(d, 2)["inputs"][0] = "@norm"; },
     "input '@norm', expected a value defined before"},
    {"noState", [](json &d) { d["functions"][2]["ops"][0]["inputs"][0] = "$x"; },
     "input '$x', expected $ and the name of a state"},
    {"valueAsState", [](json &d) { d["functions"][2]["ops"][0]["inputs"][0] = "h"; },
     "input 'h', expected $ and the name of a state"},
    {"appendTwice",
     [](json &d) {
       json second = d["functions"][2]["ops"][0];
       second["outputs"][0] = "k2";
       d["functions"][2]["ops"].push_back(second);
     },
     "second kv_append to '$k'"},
    {"surplusInput", [](json &d) { op(d, 2)["inputs"].push_back("x"); }, "3 inputs, expected 2"},
    {"missingInput", [](json &d) { op(d, 2)["inputs"].erase(1); }, "1 inputs, expected 2"},
    {"surplusOutput", [](json &d) { op(d, 2)["outputs"].push_back("z"); }, "2 outputs and 1 types, expected 1 of each"},
    {"surplusType", [](json &d) { op(d, 2)["types"].push_back("f32[S]"); },
     "1 outputs and 2 types, expected 1 of each"},
    {"outputTwice", [](json &d) { op(d, 2)["outputs"][0] = "x"; }, "output 'x' is defined twice"},
    {"outputName", [](json &d) { op(d, 2)["outputs"][0] = "@n"; }, "output name '@n'"},
    {"noAttr", [](json &d) { op(d, 2).erase("attrs"); },
     "attribute 'eps' is missing or of another kind, expected a number"},
    {"attrKind", [](json &d) { op(d, 2)["attrs"]["eps"] = "small"; }, "attribute 'eps' is missing or of another kind"},
    {"unknownAttr", [](json &d) { op(d, 2)["attrs"]["offset"] = 1; },
     "unknown attribute 'offset', expected only [eps]"},
    {"positionSymbol", [](json &d) { op(d, 1)["attrs"]["symbol"] = "T"; }, "output uses symbol 'T'"},
    {"reshapeSymbol", [](json &d) { op(d, 4)["attrs"]["shape"][0] = "T"; }, "attribute 'shape' uses symbol 'T'"},
    {"reshapeHuge", [](json &d) { op(d, 4)["attrs"]["shape"] = {2147483648, 2147483648, 2147483648}; },
     "more than 2^48 elements"},
    {"reshapeCount", [](json &d) { op(d, 4)["attrs"]["shape"][1] = 3; },
     "x of type f32[S,4], expected as many elements"},
    {"reshapeKind", [](json &d) { op(d, 4)["attrs"]["shape"][1] = -3; },
     "attribute 'shape' is missing or of another kind"},
    {"returnUndefined", [](json &d) { d["functions"][0]["outputs"][0] = "z"; },
     "output 'z', expected a value defined in"},
    {"returnTwice", [](json &d) { d["functions"][0]["outputs"].push_back("out"); }, "output 'out' is returned twice"},
    {"generateFunction", [](json &d) { d["generate"]["head"] = "tail"; }, "generate names function 'tail'"},
    {"generateInputs", [](json &d) { d["functions"][0]["inputs"].push_back({{"name", "more"}, {"type", "f32[]"}}); },
     "generate function 'decoder' with 2 inputs and 1 outputs"},
    {"generateDecoder", [](json &d) { d["generate"]["decoder"] = "cache"; },
     "generate decoder maps f32[S,1,2] to f32[C,1,2]"},
    {"generateHead", [](json &d) { d["generate"]["head"] = "cache"; }, "generate head maps f32[S,1,2]"},
    {"generateVocab", [](json &d) { d["model"]["vocab_size"] = 9; }, "to f32[R,8], expected f32[R,H] to f32[R,9]"},
};

const std::vector<BadDocument> mixtureCases = {
    {"stackTwice", [](json &d) { d["weight_stacks"].push_back(stack(d)); },
     "weight stack 'experts' is defined twice, expected unique names"},
    {"stackControl", [](json &d) { stack(d)["name"] = "$e"; }, "weight stack name '$e', expected 1 to 1024 printable"},
    {"stackHasNameOfWeight", [](json &d) { stack(d)["name"] = "norm"; },
     "weight stack 'norm' has the name of a weight, expected unique names"},
    {"stackOfUnknown", [](json &d) { stack(d)["weights"][1] = "expert.2"; },
     "weight stack 'experts' holds 'expert.2', expected weights of the document"},
    {"stackOfStacks", [](json &d) { stack(d)["weights"][1] = "experts"; },
     "weight stack 'experts' holds 'experts', expected weights of the document"},
    {"stackOfTwoTypes", [](json &d) { stack(d)["weights"][1] = "router"; },
     "weight stack 'experts' holds 'router' of type bf16[2,4], expected the type of its first weight bf16[3,4]"},
    {"stackRepeats", [](json &d) { stack(d)["weights"][1] = "expert.0"; },
     "weight stack 'experts' holds 'expert.0' a second time, expected each weight in one stack"},
    {"stacksShare", [](json &d) { d["weight_stacks"].push_back({{"name", "others"}, {"weights", {"expert.1"}}}); },
     "weight stack 'others' holds 'expert.1' a second time, expected each weight in one stack"},
    {"stackRank", [](json &d) { d["weights"][5]["shape"] = d["weights"][6]["shape"] = {3, 4, 1, 1, 1, 1, 1, 1}; },
     "weight stack 'experts' with 9 dims, expected at most 8"},
    {"noStack", [](json &d) { mixtureOp(d, 4)["inputs"][2] = "@nowhere"; },
     "input '@nowhere', expected @ and the name of a weight or stack of the document"},
    {"memberForStack", [](json &d) { mixtureOp(d, 4)["inputs"][2] = "@expert.0"; },
     "weight of type bf16[3,4], expected a stack [E,N,K]"},
    {"stackForWeight", [](json &d) { mixtureOp(d, 0)["inputs"][1] = "@experts"; },
     "weight of type bf16[2,3,4], expected [N,K]"},
    {"countAbsent", [](json &d) { mixtureOp(d, 2).erase("attrs"); },
     "attribute 'k' is missing or of another kind, expected an integer above zero"},
    {"countZero", [](json &d) { mixtureOp(d, 2)["attrs"]["k"] = 0; }, "attribute 'k' is missing or of another kind"},
    {"countNegative", [](json &d) { mixtureOp(d, 2)["attrs"]["k"] = -1; }, "attribute 'k' is missing or of another"},
    {"countFraction", [](json &d) { mixtureOp(d, 2)["attrs"]["k"] = 1.5; }, "attribute 'k' is missing or of another"},
    {"countHuge", [](json &d) { mixtureOp(d, 2)["attrs"]["k"] = UINT64_MAX; },
     "attribute 'k' is missing or of another"},
    {"countAboveAll", [](json &d) { mixtureOp(d, 2)["attrs"]["k"] = 3; },
     "x of type f32[S,2], expected f32[R,N] with a number N of at least k = 3"},
    {"oneOutputOfTwo",
     [](json &d) {
       mixtureOp(d, 2)["outputs"].erase(1);
       mixtureOp(d, 2)["types"].erase(1);
     },
     "1 outputs and 1 types, expected 2 of each"},
    {"secondType", [](json &d) { mixtureOp(d, 2)["types"][1] = "f32[S,1]"; }, "type f32[S,1], expected i32[S,1]"},
    {"secondOutputTwice", [](json &d) { mixtureOp(d, 2)["outputs"][1] = "t"; }, "output 't' is defined twice"},
};

} // namespace

TEST_P(GraphRefusal, NamesTheProblem) {
  json document = exampleDocument();
  GetParam().breakIt(document);
  EXPECT_REFUSED(readGraph(document.dump()), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(Schema, GraphRefusal, ::testing::ValuesIn(schemaCases),
                         [](const auto &i) { return i.param.what; });
INSTANTIATE_TEST_SUITE_P(General, GraphRefusal, ::testing::ValuesIn(generalCases),
                         [](const auto &i) { return i.param.what; });
INSTANTIATE_TEST_SUITE_P(Mixture, GraphRefusal, ::testing::ValuesIn(mixtureCases),
                         [](const auto &i) { return i.param.what; });
INSTANTIATE_TEST_SUITE_P(Operation, GraphRefusal, ::testing::ValuesIn(operationCases),
                         [](const auto &i) { return i.param.what; });

TEST(GraphVerifier, ChecksWhatTheSchemaChecksForTheReader) {
  Graph graph = *readGraph(exampleDocument().dump());
  Graph broken = graph;
  broken.symbols[0].max = 0;
  EXPECT_REFUSED(verifyGraph(broken), "symbol 'S' with max 0, expected 1 to 2^31");
  broken = graph;
  broken.model.vocabSize = maxDimSize + 1;
  EXPECT_REFUSED(verifyGraph(broken), "expected at most 2^31 each");
  broken = graph;
  broken.functions[0].outputs.clear();
  EXPECT_REFUSED(verifyGraph(broken), "no outputs, expected at least one");
  broken = graph;
  broken.states[0].shape.assign(9, Dim(1));
  EXPECT_REFUSED(verifyGraph(broken), "with 9 dims, expected at most 8");
  broken = graph;
  broken.stacks[0].weights.clear();
  EXPECT_REFUSED(verifyGraph(broken), "weight stack 'experts' is empty, expected at least one weight");
  EXPECT_TRUE(verifyGraph(graph).isOk());
}

TEST(GraphWriter, ReportsAPlaceThatCannotBeWritten) {
  EXPECT_REFUSED(writeGraphFile(Graph(), "/nonexistent-folder/model.json"), "cannot write");
}

TEST(Schema, IsTheFileBesideTheReader) {
  std::ifstream stream(QWENC_SOURCE_DIR "/models/Graph/model.schema.json");
  std::string text(std::istreambuf_iterator<char>(stream), {});
  EXPECT_EQ(text, modelSchemaText);
}
