#include "ExampleGraph.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include "models/Graph/GraphReader.h"
#include "models/Graph/GraphWriter.h"

#include <functional>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;
using qwenc::test::exampleDocument;

namespace {

/// The example with a talker whose decoders are the functions that are there already.
json speakingDocument() {
  json document = exampleDocument();
  document["functions"].push_back(json::parse(R"json({
    "name": "talk", "inputs": [{"name": "h", "type": "f32[R,4]"}],
    "ops": [{"op": "rms_norm", "inputs": ["h", "@norm"], "attrs": {"eps": 1e-6}, "outputs": ["n"], "types": ["f32[R,4]"]},
            {"op": "linear", "inputs": ["n", "@embed"], "outputs": ["codes"], "types": ["f32[R,8]"]}],
    "outputs": ["codes", "n"]})json"));
  json ids;
  for (std::string_view name : talkerIdNames())
    ids[std::string(name)] = 7;
  document["speech"]["talker"] = {{"decoder", "mixture"},
                                  {"head", "talk"},
                                  {"predictor_decoder", "mixture"},
                                  {"predictor_head", "head"},
                                  {"text", "decoder"},
                                  {"media", "mixture"},
                                  {"tables", {"embed", "square"}},
                                  {"suppressed_first", 4},
                                  {"suppressed_end", 8},
                                  {"max_frames", 9},
                                  {"ids", ids},
                                  {"speakers", {{"ann", 5}}},
                                  {"sampling", {{"stop_ids", {7}}, {"temperature", 0.5}}},
                                  {"predictor_sampling", {{"stop_ids", json::array()}, {"top_k", 3}}}};
  return document;
}

struct BadSpeech {
  const char *what;
  std::function<void(json &)> breakIt; ///< gets the talker
  const char *message;
};

const BadSpeech badSpeech[] = {
    {"noFunction", [](json &t) { t["text"] = "nowhere"; },
     "speech names function 'nowhere', expected one of the document"},
    {"headOfOneOutput", [](json &t) { t["head"] = "head"; },
     "speech names function 'head', expected one of the document with inputs and 2 outputs"},
    {"decoderOfTwoOutputs", [](json &t) { t["decoder"] = "talk"; }, "with inputs and 1 output"},
    {"noTable", [](json &t) { t["tables"][1] = "nowhere"; }, "speech names table 'nowhere', expected a weight"},
    {"flatTable", [](json &t) { t["tables"][1] = "bias"; }, "speech names table 'bias', expected a weight of two dims"},
    {"oneTable", [](json &t) { t["tables"].erase(1); }, "tables"},
    {"suppressedNothing", [](json &t) { t["suppressed_first"] = 8; },
     "speech suppresses ids 8 to 8, expected ids among the 8 of the head"},
    {"suppressedBeyond", [](json &t) { t["suppressed_end"] = 9; }, "speech suppresses ids 4 to 9"},
    {"noId", [](json &t) { t["ids"].erase("codec_eos"); }, "speech has no id 'codec_eos' below 8"},
    {"idBeyond", [](json &t) { t["ids"]["user"] = 8; }, "speech has no id 'user' below 8"},
    {"speakerBeyond", [](json &t) { t["speakers"]["ann"] = 8; }, "speaker 'ann' with id 8, expected one below 8"},
    {"noFrames", [](json &t) { t["max_frames"] = 0; }, "speech with max_frames 0, expected 1 to 2^31"},
    {"noSampling", [](json &t) { t.erase("sampling"); }, "sampling"},
};

class SpeechRefusal : public ::testing::TestWithParam<BadSpeech> {};

} // namespace

TEST(Speech, IsReadAndWritten) {
  Result<Graph> graph = readGraph(speakingDocument().dump());
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  const TalkerInfo &talker = *graph->speech->talker;
  EXPECT_EQ(talker.predictorHead, "head");
  EXPECT_EQ(talker.tables, (std::vector<std::string>{"embed", "square"}));
  EXPECT_EQ(talker.suppressedFirst, 4u);
  EXPECT_EQ(talker.ids.at("codec_think_eos"), 7u);
  EXPECT_EQ(talker.speakers.at("ann"), 5u);
  EXPECT_EQ(talker.sampling.temperature, 0.5);
  EXPECT_EQ(talker.predictorSampling.topK, 3u);
  std::string text = writeGraph(*graph);
  Result<Graph> again = readGraph(text);
  ASSERT_TRUE(again.isOk()) << again.status().message();
  EXPECT_EQ(writeGraph(*again), text);
}

TEST_P(SpeechRefusal, NamesTheProblem) {
  json document = speakingDocument();
  GetParam().breakIt(document["speech"]["talker"]);
  EXPECT_REFUSED(readGraph(document.dump()), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(Talker, SpeechRefusal, ::testing::ValuesIn(badSpeech),
                         [](const auto &i) { return std::string(i.param.what); });
