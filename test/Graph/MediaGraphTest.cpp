//===- MediaGraphTest.cpp - Factors, bindings, limits and media of a document -----------------------------------===//
#include "ExampleGraph.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include "models/Graph/GraphReader.h"
#include "models/Graph/GraphVerifier.h"
#include "models/Graph/GraphWriter.h"
#include "models/Graph/MediaLimits.h"

#include <cmath>
#include <functional>

using namespace qwenc;
using namespace qwenc::graph;
using nlohmann::json;
using qwenc::test::exampleDocument;

namespace {

/// The example with a decoder that takes media and two functions in place of encoders.
json mediaDocument() {
  json document = exampleDocument();
  document["symbols"].push_back({{"name", "M"}, {"meaning", "media"}, {"max", 16}});
  document["symbols"].push_back(
      {{"name", "F"}, {"meaning", "frames"}, {"max", 100000}, {"limit", "audio_seconds"}, {"per_unit", 100.0}});
  document["symbols"].push_back(
      {{"name", "V"}, {"meaning", "tokens"}, {"max", 5000}, {"limit", "image_pixels"}, {"per_unit", 0.25}});
  json &inputs = document["functions"][0]["inputs"];
  inputs.push_back({{"name", "at"}, {"type", "f32[S,3]"}, {"binding", "positions"}});
  inputs.push_back({{"name", "which"}, {"type", "i32[S]"}, {"binding", "media_rows"}});
  inputs.push_back({{"name", "media"}, {"type", "f32[M,4]"}, {"binding", "media"}});
  inputs.push_back({{"name", "deepstack.0"}, {"type", "f32[M,4]"}, {"binding", "media"}});
  document["functions"].push_back(json::parse(R"json(
    {"name": "ears", "inputs": [{"name": "features", "type": "f32[F,4]"}],
     "ops": [{"op": "gelu", "inputs": ["features"], "attrs": {"tanh": false}, "outputs": ["heard"], "types": ["f32[F,4]"]}],
     "outputs": ["heard"]})json"));
  document["functions"].push_back(json::parse(R"json(
    {"name": "eyes", "inputs": [{"name": "patches", "type": "f32[V*4,4]"}],
     "ops": [{"op": "reshape", "inputs": ["patches"], "attrs": {"shape": ["V", 16]}, "outputs": ["tokens"], "types": ["f32[V,16]"]},
             {"op": "reshape", "inputs": ["tokens"], "attrs": {"shape": ["V*2", 8]}, "outputs": ["seen"], "types": ["f32[V*2,8]"]}],
     "outputs": ["seen"]})json"));
  document["media"] = json::parse(R"json({
    "audio": {"encoder": "ears", "mel_bins": 4, "chunk_frames": 100, "window_chunks": 8},
    "vision": {"encoder": "eyes", "patch_size": 2, "temporal_patch_size": 2, "merge_size": 2, "position_side": 8,
               "deepstack": 1, "min_pixels": 64, "max_pixels": 65536}})json");
  return document;
}

json &decoderInput(json &document, int index) { return document["functions"][0]["inputs"][index]; }

struct BadDocument {
  const char *what;
  std::function<void(json &)> breakIt;
  const char *message;
};

class MediaRefusal : public ::testing::TestWithParam<BadDocument> {};

const std::vector<BadDocument> cases = {
    {"symbolWithFactor", [](json &d) { d["symbols"][0]["name"] = "S*4"; }, "symbol name 'S*4', expected letters"},
    {"limitUnknown", [](json &d) { d["symbols"][4]["limit"] = "audio_hours"; },
     "symbol 'F' with limit 'audio_hours', expected audio_seconds or image_pixels"},
    {"limitEmpty", [](json &d) { d["symbols"][4]["limit"] = ""; }, "symbol 'F' with limit ''"},
    {"limitKind", [](json &d) { d["symbols"][4]["limit"] = 7; }, "schema: 'symbols[4].limit'"},
    {"perUnitKind", [](json &d) { d["symbols"][4]["per_unit"] = "100"; }, "schema: 'symbols[4].per_unit'"},
    {"perUnitAbsent", [](json &d) { d["symbols"][4].erase("per_unit"); },
     "symbol 'F' with per_unit 0.000000, expected a number above zero beside a limit"},
    {"perUnitNegative", [](json &d) { d["symbols"][4]["per_unit"] = -1; }, "symbol 'F' with per_unit -1.000000"},
    {"factorTooLarge", [](json &d) { d["functions"][5]["inputs"][0]["type"] = "f32[V*429497,4]"; },
     "function 'eyes': input 'patches' with a dim of 2147485000, expected 1 to 2^31"},
    {"factorOverflow",
     [](json &d) {
       d["symbols"][5]["max"] = 2147483648;
       d["functions"][5]["inputs"][0]["type"] = "f32[V*2147483648,4]";
     },
     "input 'patches' with a dim of 4611686018427387904, expected 1 to 2^31"},
    {"factorElements", [](json &d) { d["functions"][5]["inputs"][0]["type"] = "f32[V*4,2147483648,8]"; },
     "more than 2^48 elements"},
    {"factorOne", [](json &d) { d["functions"][5]["ops"][0]["attrs"]["shape"][0] = "V*1"; },
     "attribute 'shape' is missing or of another kind"},
    {"factorInState", [](json &d) { d["states"][0]["shape"][0] = "C*0"; }, "state 'k' without a shape"},
    {"factorMissing", [](json &d) { d["functions"][5]["ops"][1]["types"][0] = "f32[V,8]"; },
     "type f32[V,8], expected f32[V*2,8]"},
    {"bindingUnknown", [](json &d) { decoderInput(d, 1)["binding"] = "time"; },
     "input 'at' with binding 'time', expected positions, media_rows or media"},
    {"bindingKind", [](json &d) { decoderInput(d, 1)["binding"] = 1; }, "schema: 'functions[0].inputs[1].binding'"},
    {"bindingAbsent", [](json &d) { decoderInput(d, 1).erase("binding"); },
     "generate function 'decoder' with 5 inputs and 1 outputs, expected one of each beside the inputs with a binding"},
    {"positionsType", [](json &d) { decoderInput(d, 1)["type"] = "f32[S,2]"; },
     "decoder input 'at' of type f32[S,2], expected f32[S,3] for its binding 'positions'"},
    {"positionsRows", [](json &d) { decoderInput(d, 1)["type"] = "f32[M,3]"; }, "decoder input 'at' of type f32[M,3]"},
    {"positionsTwice",
     [](json &d) {
       json second = decoderInput(d, 1);
       second["name"] = "again";
       d["functions"][0]["inputs"].push_back(second);
     },
     "decoder input 'again' is the second with binding 'positions', expected one"},
    {"mediaRowsTwice",
     [](json &d) {
       json second = decoderInput(d, 2);
       second["name"] = "again";
       d["functions"][0]["inputs"].push_back(second);
     },
     "decoder input 'again' is the second with binding 'media_rows', expected one"},
    {"mediaRowsType", [](json &d) { decoderInput(d, 2)["type"] = "i32[M]"; },
     "decoder input 'which' of type i32[M], expected i32[S] for its binding 'media_rows'"},
    {"mediaType", [](json &d) { decoderInput(d, 3)["type"] = "i32[M,4]"; },
     "decoder input 'media' of type i32[M,4], expected f32[M,H] with another symbol M for its binding 'media'"},
    {"mediaRank", [](json &d) { decoderInput(d, 3)["type"] = "f32[M]"; }, "decoder input 'media' of type f32[M]"},
    {"mediaStatic", [](json &d) { decoderInput(d, 3)["type"] = "f32[16,4]"; },
     "decoder input 'media' of type f32[16,4]"},
    {"mediaOfRows", [](json &d) { decoderInput(d, 3)["type"] = "f32[S,4]"; }, "decoder input 'media' of type f32[S,4]"},
    {"mediaOfManyRows", [](json &d) { decoderInput(d, 3)["type"] = "f32[S*2,4]"; },
     "decoder input 'media' of type f32[S*2,4], expected f32[M,H] with another symbol M"},
    {"idsWithoutRows",
     [](json &d) {
       d.erase("media");
       d["functions"][0]["inputs"] = {{{"name", "ids"}, {"type", "i32[]"}}, decoderInput(d, 3)};
       d["functions"][0]["ops"] = json::array();
       d["functions"][0]["outputs"] = {"media"};
     },
     "generate decoder maps i32[] to f32[M,4], expected i32[S] to f32[S,H]"},
    {"idsWithFactor",
     [](json &d) {
       d.erase("media");
       d["functions"][0]["inputs"] = {{{"name", "ids"}, {"type", "i32[S*2]"}}};
       d["functions"][0]["ops"] = {
           {{"op", "embedding"}, {"inputs", {"ids", "@embed"}}, {"outputs", {"out"}}, {"types", {"f32[S*2,4]"}}}};
     },
     "generate decoder maps i32[S*2] to f32[S*2,4], expected i32[S] to f32[S,H]"},
    {"headWithFactor",
     [](json &d) {
       d["functions"][1]["inputs"][0]["type"] = "f32[R*2,4]";
       d["functions"][1]["ops"][0]["types"][0] = "f32[R*2,8]";
     },
     "generate head maps f32[R*2,4] to f32[R*2,8], expected f32[R,H]"},
    {"headWithMedia",
     [](json &d) {
       d["functions"][1]["inputs"].push_back({{"name", "media"}, {"type", "f32[M,4]"}, {"binding", "media"}});
     },
     "generate function 'head' with 2 inputs"},
    {"sectionsOfSymbols",
     [](json &d) {
       d["functions"][0]["ops"][5] =
           json::parse(R"({"op": "mrope", "inputs": ["q", "at"], "attrs": {"theta": 1e4, "sections": ["S", 1, "S"]},
                           "outputs": ["r"], "types": ["f32[S,2,2]"]})");
     },
     "attribute 'sections' with 3 numbers that add up to 1, expected three numbers"},
    {"mediaKind", [](json &d) { d["media"] = 1; }, "schema: 'media'"},
    {"audioKind", [](json &d) { d["media"]["audio"] = "ears"; }, "schema: 'media.audio'"},
    {"audioIncomplete", [](json &d) { d["media"]["audio"].erase("mel_bins"); }, "schema: 'media.audio'"},
    {"visionIncomplete", [](json &d) { d["media"]["vision"].erase("deepstack"); }, "schema: 'media.vision'"},
    {"numberKind", [](json &d) { d["media"]["audio"]["mel_bins"] = "4"; }, "schema: 'media.audio.mel_bins'"},
    {"numberNegative", [](json &d) { d["media"]["vision"]["deepstack"] = -1; }, "schema: 'media.vision.deepstack'"},
    {"numberHuge", [](json &d) { d["media"]["vision"]["max_pixels"] = UINT64_MAX; },
     "schema: 'media.vision.max_pixels'"},
    {"audioEncoder", [](json &d) { d["media"]["audio"]["encoder"] = "nose"; },
     "media names encoder 'nose', expected a function of the document"},
    {"visionEncoder", [](json &d) { d["media"]["vision"]["encoder"] = "nose"; }, "media names encoder 'nose'"},
    {"noEncoder", [](json &d) { d["media"] = json::object(); }, "media without audio and vision, expected an encoder"},
    {"noMediaInput", [](json &d) { decoderInput(d, 3)["name"] = "other"; },
     "media without an input 'media' of the decoder, expected one with binding 'media'"},
    {"noDeepstackInput", [](json &d) { d["media"]["vision"]["deepstack"] = 2; },
     "media without an input 'deepstack.1' of the decoder, expected one with binding 'media'"},
    {"minPixelsZero", [](json &d) { d["media"]["vision"]["min_pixels"] = 0; }, "media with min_pixels 0, expected 1"},
    {"pixelsReversed", [](json &d) { d["media"]["vision"]["min_pixels"] = 65537; },
     "media with min_pixels 65537, max_pixels 65536 and deepstack 1, expected min_pixels up to max_pixels"},
    {"deepstackMany", [](json &d) { d["media"]["vision"]["deepstack"] = 17; },
     "and deepstack 17, expected min_pixels up to max_pixels and at most 16 deepstack outputs"},
};

} // namespace

TEST_P(MediaRefusal, NamesTheProblem) {
  json document = mediaDocument();
  GetParam().breakIt(document);
  EXPECT_REFUSED(readGraph(document.dump()), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(Media, MediaRefusal, ::testing::ValuesIn(cases), [](const auto &i) { return i.param.what; });

TEST(MediaGraph, ReadsEveryField) {
  Result<Graph> graph = readGraph(mediaDocument().dump());
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_EQ(graph->symbols[3].limit, SymbolLimit::None);
  EXPECT_EQ(graph->symbols[4].limit, SymbolLimit::AudioSeconds);
  EXPECT_EQ(graph->symbols[4].perUnit, 100);
  EXPECT_EQ(graph->symbols[5].limit, SymbolLimit::ImagePixels);
  const std::vector<TypedName> &inputs = graph->functions[0].inputs;
  EXPECT_EQ(inputs[0].binding, Binding::None);
  EXPECT_EQ(inputs[1].binding, Binding::Positions);
  EXPECT_EQ(inputs[2].binding, Binding::MediaRows);
  EXPECT_EQ(inputs[4].binding, Binding::Media);
  EXPECT_EQ(graph->functions[5].inputs[0].type.dims, (std::vector<Dim>{{"V", 4}, 4}));
  ASSERT_TRUE(graph->media && graph->media->audio && graph->media->vision);
  const AudioInfo &audio = *graph->media->audio;
  EXPECT_EQ(audio.encoder, "ears");
  EXPECT_EQ(std::vector({audio.melBins, audio.chunkFrames, audio.windowChunks}), (std::vector<uint64_t>{4, 100, 8}));
  const VisionInfo &vision = *graph->media->vision;
  EXPECT_EQ(vision.encoder, "eyes");
  EXPECT_EQ(std::vector({vision.patchSize, vision.temporalPatchSize, vision.mergeSize, vision.positionSide,
                         vision.deepstack, vision.minPixels, vision.maxPixels}),
            (std::vector<uint64_t>{2, 2, 2, 8, 1, 64, 65536}));
}

TEST(MediaGraph, WriterGivesTheSameDocument) {
  for (const char *absent : {"", "audio", "vision"}) {
    json document = mediaDocument();
    document["media"].erase(absent);
    Result<Graph> graph = readGraph(document.dump());
    ASSERT_TRUE(graph.isOk()) << graph.status().message();
    EXPECT_EQ(json::parse(writeGraph(*graph)), document) << "without '" << absent << "'";
  }
}

TEST(MediaGraph, MediaMayBeNullOrAbsent) {
  json document = mediaDocument();
  document["media"] = nullptr;
  Result<Graph> graph = readGraph(document.dump());
  ASSERT_TRUE(graph.isOk()) << graph.status().message();
  EXPECT_FALSE(graph->media);
  EXPECT_EQ(writeGraph(*graph).find("\"media\": {"), std::string::npos);
}

TEST(MediaGraph, VerifierChecksWhatTheSchemaChecksForTheReader) {
  Graph graph = *readGraph(mediaDocument().dump());
  uint64_t AudioInfo::*audioNumbers[] = {&AudioInfo::melBins, &AudioInfo::chunkFrames, &AudioInfo::windowChunks};
  const char *audioNames[] = {"mel_bins", "chunk_frames", "window_chunks"};
  for (size_t i = 0; i < std::size(audioNumbers); ++i) {
    Graph broken = graph;
    (*broken.media->audio).*audioNumbers[i] = 0;
    EXPECT_REFUSED(verifyGraph(broken), "media with " + std::string(audioNames[i]) + " 0, expected 1 to 2^31");
  }
  uint64_t VisionInfo::*visionNumbers[] = {&VisionInfo::patchSize, &VisionInfo::temporalPatchSize,
                                           &VisionInfo::mergeSize, &VisionInfo::positionSide,
                                           &VisionInfo::minPixels, &VisionInfo::maxPixels};
  const char *visionNames[] = {"patch_size",    "temporal_patch_size", "merge_size",
                               "position_side", "min_pixels",          "max_pixels"};
  for (size_t i = 0; i < std::size(visionNumbers); ++i) {
    Graph broken = graph;
    (*broken.media->vision).*visionNumbers[i] = maxDimSize + 1;
    EXPECT_REFUSED(verifyGraph(broken),
                   "media with " + std::string(visionNames[i]) + " 2147483649, expected 1 to 2^31");
  }
  Graph broken = graph;
  broken.symbols[4].perUnit = INFINITY;
  EXPECT_REFUSED(verifyGraph(broken), "symbol 'F' with per_unit inf");
}

namespace {

uint64_t maxOf(const MediaLimits &limits, size_t symbol, Graph graph = *readGraph(mediaDocument().dump())) {
  applyMediaLimits(graph, limits);
  return graph.symbols[symbol].max;
}

} // namespace

TEST(MediaLimits, SoundRunsInWholeWindowsOf40SecondsAtMost) {
  // A window has 8 chunks of 100 frames at 100 frames a second: 8 s.
  EXPECT_EQ(maxOf({.audioSeconds = 1}, 4), 800u);
  EXPECT_EQ(maxOf({.audioSeconds = 8}, 4), 800u);
  EXPECT_EQ(maxOf({.audioSeconds = 9}, 4), 1600u);
  EXPECT_EQ(maxOf({.audioSeconds = 40}, 4), 4000u);
  EXPECT_EQ(maxOf({.audioSeconds = 3600}, 4), 4000u);
  Graph longWindows = *readGraph(mediaDocument().dump());
  longWindows.media->audio->windowChunks = 50;
  EXPECT_EQ(maxOf({.audioSeconds = 3600}, 4, longWindows), 5000u) << "no run is shorter than a window";
}

TEST(MediaLimits, PixelsLowerTheMaximum) {
  EXPECT_EQ(maxOf({.imagePixels = 1024}, 5), 256u);
  EXPECT_EQ(maxOf({.imagePixels = 1025}, 5), 257u);
  EXPECT_EQ(maxOf({.imagePixels = 1 << 30}, 5), 5000u) << "a limit never raises a maximum";
}

TEST(MediaLimits, OtherSymbolsStay) {
  EXPECT_EQ(maxOf({.audioSeconds = 1, .imagePixels = 1}, 0), 16u);
  EXPECT_EQ(maxOf({.audioSeconds = 1, .imagePixels = 1}, 3), 16u);
  Graph silent = *readGraph(mediaDocument().dump());
  silent.media.reset();
  EXPECT_EQ(maxOf({.audioSeconds = 1}, 4, silent), 100000u) << "windows are known from the audio encoder alone";
}

TEST(MediaLimits, MaxRowsCountFactors) {
  Graph graph = *readGraph(mediaDocument().dump());
  EXPECT_EQ(maxRows(graph, "ears", "features"), 100000u);
  EXPECT_EQ(maxRows(graph, "eyes", "patches"), 20000u);
  EXPECT_EQ(maxRows(graph, "decoder", "media"), 16u);
  EXPECT_EQ(maxRows(graph, "eyes", "features"), 0u);
  EXPECT_EQ(maxRows(graph, "nose", "patches"), 0u);
  graph.functions[4].inputs[0].type.dims = {7, 4};
  EXPECT_EQ(maxRows(graph, "ears", "features"), 7u);
  graph.functions[4].inputs[0].type.dims.clear();
  EXPECT_EQ(maxRows(graph, "ears", "features"), 0u);
}
