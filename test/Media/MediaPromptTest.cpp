// Placeholders and positions against transformers' Qwen3OmniMoeProcessor and get_rope_index.

#include "runtime/frontend/media/MediaPrompt.h"
#include "MediaTestSupport.h"

using namespace qwenc::test;
using namespace qwenrt;
using nlohmann::json;

namespace {

const GoldenFile &golden() {
  static const GoldenFile file("prompts.safetensors");
  return file;
}

const MediaTokenIds &tokens() {
  static const MediaTokenIds ids = valueOf(MediaTokenIds::fromTokenizer(goldenTokenizer()));
  return ids;
}

PatchGrid gridOf(const json &sizes) { return {sizes[0], sizes[1], sizes[2]}; }

MediaSpans spansOfPositionCase(const json &item) {
  MediaSpans spans;
  for (const json &grid : item["image_grid_thw"])
    spans.images.push_back(gridOf(grid));
  for (size_t i = 0; i < item["video_grid_thw"].size(); ++i)
    spans.videos.push_back({gridOf(item["video_grid_thw"][i]), item["second_per_grid"][i]});
  spans.audioFrames = item["audio_frames"].get<std::vector<uint32_t>>();
  spans.audioInVideo = item["use_audio_in_video"];
  return spans;
}

/// The sizes that the stages before give for the golden media.
MediaSpans spansOfPrompt(const json &media) {
  const std::map<std::string, uint32_t> frames{
      {"sweep_36800.wav", 230}, {"noise_11200.wav", 70}, {"burst_7001.wav", 43}};
  const std::map<std::string, PatchGrid> grids{{"gradient_200x136.png", {1, 8, 12}}, {"checker_64x64.png", {1, 4, 4}}};
  MediaSpans spans;
  for (const json &name : media.value("audio", json::array()))
    spans.audioFrames.push_back(frames.at(name));
  for (const json &name : media.value("images", json::array()))
    spans.images.push_back(grids.at(name));
  if (media.contains("video"))
    spans.videos.push_back({{2, 4, 6}, 2 / media["video"]["fps"].get<double>()});
  spans.audioInVideo = media.value("use_audio_in_video", false);
  return spans;
}

std::string errorOf(std::string_view text, const MediaSpans &spans, MediaPromptOptions options = {}) {
  return expandMedia(valueOf(goldenTokenizer().encode(text)), tokens(), spans, options).status().message();
}

constexpr std::string_view kAudio = "<|audio_start|><|audio_pad|><|audio_end|>";
constexpr std::string_view kImage = "<|vision_start|><|image_pad|><|vision_end|>";
constexpr std::string_view kVideo = "<|vision_start|><|video_pad|><|vision_end|>";

} // namespace

TEST(MediaPositionsTest, SyntheticPrompts) {
  ASSERT_EQ(mediaCases()["position_cases"].size(), 12u);
  for (const json &item : mediaCases()["position_cases"]) {
    const std::string name = item["name"];
    SCOPED_TRACE(name);
    const std::vector<int32_t> ids = golden().ids("positions." + name + ".input_ids");
    const MediaPositions positions = valueOf(mediaPositions(ids, tokens(), spansOfPositionCase(item)));
    EXPECT_EQ(positions.values, golden().values<float>("positions." + name + ".position_ids"));
    EXPECT_EQ(positions.delta(ids.size()), item["rope_delta"].get<float>());
  }
}

TEST(MediaPromptTest, Prompts) {
  ASSERT_EQ(mediaCases()["thinker_cases"].size(), 13u);
  for (const json &item : mediaCases()["thinker_cases"]) {
    const std::string name = item["name"];
    SCOPED_TRACE(name);
    const std::vector<int32_t> ids = valueOf(goldenTokenizer().encode(item["text"].get<std::string>()));
    const MediaPrompt prompt = valueOf(expandMedia(ids, tokens(), spansOfPrompt(item["media"])));
    EXPECT_EQ(prompt.ids, golden().ids(name + ".input_ids"));
    EXPECT_EQ(prompt.positions.values, golden().values<float>(name + ".position_ids"));
    EXPECT_EQ(prompt.positions.delta(prompt.ids.size()), item["rope_delta"].get<float>());
  }
}

TEST(MediaPromptTest, ContentPartsRenderToTheGoldenText) {
  for (const json &item : mediaCases()["thinker_cases"]) {
    if (item["name"] != "mixed_video")
      continue;
    const std::string text = item["text"];
    const size_t begin = text.find("<|im_start|>user\n") + 17;
    EXPECT_EQ(renderContent(std::vector<ContentPart>{Media::Audio, Media::Image, Media::Video,
                                                     std::string("Count from one to ten.")}),
              text.substr(begin, text.rfind("<|im_end|>") - begin));
    return;
  }
  FAIL() << "no case mixed_video";
}

TEST(MediaPromptTest, RowsSayWhereTheEncodersWrite) {
  const std::string text = std::string(kVideo) + std::string(kImage);
  const std::vector<int32_t> ids = valueOf(goldenTokenizer().encode(text));
  const MediaSpans spans{.audioFrames = {40}, .images = {{1, 2, 2}}, .videos = {{{1, 2, 4}, 1}}, .audioInVideo = true};
  const MediaPrompt prompt = valueOf(expandMedia(ids, tokens(), spans));
  EXPECT_EQ(prompt.videoRows, (std::vector<uint32_t>{2, 3})); // before the audio: both begin at time 0
  EXPECT_EQ(prompt.audioRows, (std::vector<uint32_t>{4, 5, 6, 7, 8}));
  EXPECT_EQ(prompt.imageRows, std::vector<uint32_t>{12});
  EXPECT_EQ(prompt.ids.size(), 14u);
}

TEST(MediaPromptTest, ALaterTurnGoesOnBehindTheLargestPosition) {
  const std::vector<int32_t> ids = valueOf(goldenTokenizer().encode("ab" + std::string(kVideo) + "cd"));
  const MediaSpans spans{.videos = {{{2, 4, 4}, 1}}};
  const MediaPrompt once = valueOf(expandMedia(ids, tokens(), spans));
  const MediaPrompt later = valueOf(expandMedia(ids, tokens(), spans, {.firstPosition = once.positions.next}));
  ASSERT_EQ(once.positions.values.size(), later.positions.values.size());
  for (size_t i = 0; i < once.positions.values.size(); ++i)
    EXPECT_EQ(later.positions.values[i], once.positions.values[i] + once.positions.next);
  EXPECT_EQ(later.positions.next, 2 * once.positions.next);
  EXPECT_EQ(later.positions.delta(2 * ids.size()), later.positions.next - float(2 * ids.size()));

  // Two turns in one prompt have the same positions.
  std::vector<int32_t> both = once.ids;
  both.insert(both.end(), later.ids.begin(), later.ids.end());
  const MediaPositions whole = valueOf(mediaPositions(both, tokens(), {.videos = {spans.videos[0], spans.videos[0]}}));
  for (size_t axis = 0; axis < 3; ++axis)
    for (size_t i = 0; i < later.ids.size(); ++i)
      EXPECT_EQ(whole.values[axis * both.size() + once.ids.size() + i],
                later.positions.values[axis * later.ids.size() + i]);
}

TEST(MediaPositionsTest, TextCountsFromWhereItBegins) {
  const MediaPositions positions = textPositions(2, 7.5f);
  EXPECT_EQ(positions.values, (std::vector<float>{7.5f, 8.5f, 7.5f, 8.5f, 7.5f, 8.5f}));
  EXPECT_EQ(positions.next, 9.5f);
}

TEST(MediaPositionsTest, TheTalkerCounts) {
  for (const std::string name : {"talker_audio", "talker_mixed", "talker_audio_in_video"}) {
    SCOPED_TRACE(name);
    const std::vector<int32_t> ids = golden().ids(name + ".input_ids");
    MediaSpans spans{.audioFrames = {name == "talker_audio" ? 230u : 70u}};
    if (name == "talker_mixed")
      spans.images = {{1, 4, 4}};
    if (name == "talker_audio_in_video") {
      spans.videos = {{{2, 4, 6}, 1}};
      spans.audioInVideo = true;
    }
    EXPECT_EQ(valueOf(mediaPositions(ids, tokens(), spans, 0, AudioInVideoPositions::Counted)).values,
              golden().values<float>(name + ".position_ids"));
  }
}

TEST(MediaPromptTest, PlaceholdersAndMediaMustAgree) {
  EXPECT_EQ(errorOf("hello", {.images = {{1, 2, 2}}}),
            "the prompt has 0 placeholders <|image_pad|> for 1 images, expected one for each, add placeholders or give "
            "fewer media");
  EXPECT_EQ(errorOf(std::string(kAudio) + "<|audio_pad|>", {.audioFrames = {100}}),
            "the prompt has 2 placeholders <|audio_pad|> for 1 audio clips, expected one for each, give more media or "
            "take placeholders out");
  EXPECT_EQ(errorOf(kVideo, {}),
            "the prompt has 1 placeholders <|video_pad|> for 0 videos, expected one for each, give more media or take "
            "placeholders out");
  EXPECT_EQ(errorOf(kVideo, {.videos = {{{1, 2, 2}, 1}}, .audioInVideo = true}),
            "found 0 audio clips for 1 videos, expected a track for each, give more or leave --use-audio-in-video out");
  EXPECT_EQ(
      errorOf("<|video_pad|>", {.audioFrames = {9}, .videos = {{{1, 2, 2}, 1}}, .audioInVideo = true}),
      "the placeholder of video 0 stands alone, expected <|vision_start|> before and <|vision_end|> behind it for a "
      "video with its track, write the marks");
}

TEST(MediaPromptTest, LengthIsBoundBeforeItIsWritten) {
  EXPECT_EQ(errorOf(kAudio, {.audioFrames = {1000}}, {.maxTokens = 131}),
            "the prompt with its media has 132 tokens, expected at most 131 (the room in the context), give shorter or "
            "smaller media");
  EXPECT_EQ(errorOf(kAudio, {.audioFrames = {1000}}, {.maxTokens = 132}), "");
  const MediaSpans track{.audioFrames = {100}, .videos = {{{1, 2, 2}, 1}}, .audioInVideo = true};
  EXPECT_NE(errorOf(kVideo, track, {.maxTokens = 17}), "");
  EXPECT_EQ(errorOf(kVideo, track, {.maxTokens = 18}), "");
  EXPECT_NE(errorOf(kImage, {.images = {{4'000'000'000, 2, 2}}}), "");
  EXPECT_EQ(errorOf(kImage, {.images = {{1, 1, 1}}}), "image 0 makes no token, expected at least one, leave it out");
  EXPECT_EQ(errorOf(kVideo, {.videos = {{{0, 2, 2}, 1}}}),
            "video 0 makes no token, expected at least one, leave it out");
  EXPECT_EQ(errorOf(kAudio, {.audioFrames = {0}}), "audio clip 0 makes no token, expected at least one, leave it out");
}

TEST(MediaPositionsTest, RunsMustHaveTheLengthOfTheirMedia) {
  const std::vector<int32_t> ids = valueOf(goldenTokenizer().encode("a<|image_pad|><|image_pad|>"));
  EXPECT_EQ(mediaPositions(ids, tokens(), {.images = {{1, 2, 6}}}).status().message(),
            "found 2 placeholders at token 1, expected 3 for the medium there, expand the placeholders by the media's "
            "sizes");
  EXPECT_EQ(
      mediaPositions(ids, tokens(), {.images = {{1, 2, 2}}}).status().message(),
      "found a placeholder at token 2 behind those of 1 images, expected one per medium, give one more or take the "
      "placeholder out");
  EXPECT_EQ(mediaPositions(ids, tokens(), {.images = {{1, 2, 4}, {1, 2, 2}}}).status().message(),
            "the prompt has placeholders for 1 of 2 images, expected one for each, add placeholders or give fewer");
}

TEST(MediaPromptTest, ATextModelHasNoMediaTokens) {
  const Tokenizer tokenizer = makeTokenizer(valueOf(qwenc::readTokenizerJson(minimalTokenizerJson().dump())));
  EXPECT_EQ(MediaTokenIds::fromTokenizer(tokenizer).status().message(),
            "the tokenizer has no token <|audio_start|>, expected one in a model that takes media, use text only");
}
