//===- MediaTurnTest.cpp - Media files to the history of a session
//--------------------------------------------------===//
#include "FakeMediaPrompt.h"
#include "TestDevice.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <gtest/gtest.h>

using namespace qwenrt;
using namespace qwenrt::test;
using qwenc::test::TemporaryFolder;

namespace {

const std::string kBurst = kMediaFolder + "burst_7001.wav";       // 43 frames, 6 tokens
const std::string kNoise = kMediaFolder + "noise_11200.wav";      // 70 frames, 9 tokens
const std::string kSweep = kMediaFolder + "sweep_36800.wav";      // 2.3 s
const std::string kSmallImage = kMediaFolder + "noise_40x30.png"; // 1 token
const std::string kImage = kMediaFolder + "checker_64x64.png";    // 4 tokens
const std::string kFrames = kMediaFolder + "frames";              // 2 tokens of 32 x 32 pixels

class MediaTurnTest : public testing::Test {
protected:
  MediaTurnTest() { source.byteTokenizer = true, source.vocabulary = 265; }

  MediaTurn open(const MediaSettings &settings = {}) {
    folder.write("model.safetensors", fakeCheckpoint(source));
    auto opened = Plan::fromBytes(source.encodeFile(), folder.path());
    EXPECT_TRUE(opened.isOk()) << opened.status().message();
    plan = *opened;
    tokenizer.emplace(*Tokenizer::fromPlan(*plan->root().tokenizer()));
    auto turn = MediaTurn::open(plan, *tokenizer, settings);
    EXPECT_TRUE(turn.isOk()) << turn.status().message();
    return *turn;
  }
  /// The prompt of a turn whose text stands around the parts.
  Result<EncoderPrompt> prepare(MediaTurn &turn, const std::string &text, float first = 0, uint64_t room = 32) {
    std::vector<ContentPart> parts(turn.parts().begin(), turn.parts().end());
    parts.push_back(text);
    return turn.prepare(*tokenizer->encode(renderContent(parts)), first, room);
  }
  static void add(MediaTurn &turn, Media media, const std::string &path) {
    Status status = turn.add(media, path);
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  std::unique_ptr<Session> openSession() {
    auto session = Session::create(plan, anyDevice(), {.cacheFolder = folder.path("cache"), .media = true});
    EXPECT_TRUE(session.isOk() && (*session)->load("").isOk());
    return session.isOk() ? std::move(*session) : nullptr;
  }
  /// Appends \p prompt to \p session and compares the reply; \p placed is the history before and behind.
  static void expectReply(Session &session, const Result<EncoderPrompt> &prompt, size_t count,
                          std::vector<int32_t> &placed) {
    ASSERT_TRUE(prompt.isOk()) << prompt.status().message();
    Result<uint64_t> appended = appendPrompt(session, *prompt);
    ASSERT_TRUE(appended.isOk()) << appended.status().message();
    std::vector<int32_t> added = fakePlacedPrompt(*prompt);
    placed.insert(placed.end(), added.begin(), added.end());
    EXPECT_EQ(session.nextPosition(), prompt->prompt.positions.next);
    const float delta = prompt->prompt.positions.delta(placed.size());
    auto result = session.generate({.maxNewTokens = uint32_t(count)});
    ASSERT_TRUE(result.isOk()) << result.status().message();
    EXPECT_EQ(result->tokens, fakeReply(placed, count, delta));
  }

  TestPlan source = fakeMediaModel();
  TemporaryFolder folder;
  std::shared_ptr<const Plan> plan;
  std::optional<Tokenizer> tokenizer;
};

//===----------------------------------------------------------------------===//
// On a device
//===----------------------------------------------------------------------===//

TEST_F(MediaTurnTest, SoundAndImageReachTheHistory) {
  SKIP_WITHOUT_DEVICE();
  MediaTurn turn = open();
  EXPECT_TRUE(turn.empty());
  add(turn, Media::Image, kSmallImage);
  add(turn, Media::Audio, kBurst);
  EXPECT_FALSE(turn.empty());
  Result<EncoderPrompt> prompt = prepare(turn, "ab");
  EXPECT_TRUE(turn.empty());
  EXPECT_GT(turn.frontEndNs(), 0u);
  ASSERT_TRUE(prompt.isOk()) << prompt.status().message();
  EXPECT_EQ(prompt->rows, (std::vector<int32_t>{-1, 6, -1, -1, 0, 1, 2, 3, 4, 5, -1, -1, -1})); // sound first
  std::unique_ptr<Session> session = openSession();
  std::vector<int32_t> placed;
  expectReply(*session, prompt, 6, placed);
}

TEST_F(MediaTurnTest, ImagesTakeAsManyRunsAsTheyNeed) {
  SKIP_WITHOUT_DEVICE();
  MediaTurn turn = open();
  add(turn, Media::Image, kImage);
  add(turn, Media::Image, kImage);
  Result<EncoderPrompt> prompt = prepare(turn, "ab");
  ASSERT_TRUE(prompt.isOk()) << prompt.status().message();
  EXPECT_EQ(prompt->images.size(), 2u);
  std::unique_ptr<Session> session = openSession();
  std::vector<int32_t> placed;
  expectReply(*session, prompt, 5, placed);
}

TEST_F(MediaTurnTest, VideosComeWithTheirTrack) {
  SKIP_WITHOUT_DEVICE();
  MediaTurn turn = open({.fps = 3, .minPixels = 1024, .maxPixels = 1024, .audioInVideo = true});
  add(turn, Media::Video, kFrames);
  add(turn, Media::Audio, kBurst);
  EXPECT_EQ(turn.parts().size(), 1u);
  Result<EncoderPrompt> prompt = prepare(turn, "a");
  ASSERT_TRUE(prompt.isOk()) << prompt.status().message();
  EXPECT_EQ(prompt->rows.size(), 13u); // two tokens of the video, six of its track, five around them
  std::unique_ptr<Session> session = openSession();
  std::vector<int32_t> placed;
  expectReply(*session, prompt, 4, placed);
}

TEST_F(MediaTurnTest, ALaterTurnBringsItsOwnMedia) {
  SKIP_WITHOUT_DEVICE();
  MediaTurn turn = open();
  std::unique_ptr<Session> session = openSession();
  std::vector<int32_t> placed;
  add(turn, Media::Image, kImage);
  expectReply(*session, prepare(turn, "a"), 3, placed);
  add(turn, Media::Audio, kBurst);
  expectReply(*session, prepare(turn, "b", session->nextPosition(), 32 - session->length()), 3, placed);
}

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

TEST_F(MediaTurnTest, LimitsOfThePlanAreNamed) {
  source.media->vision->limitImagePixels = 1024;
  source.media->vision->limitVideoFrames = 3;
  source.media->audio->limitSeconds = 1;
  MediaTurn turn = open({.minPixels = 1024, .maxPixels = 4096});
  EXPECT_REFUSED(turn.add(Media::Image, kImage),
                 "checker_64x64.png: the image has 64 x 64 pixels after resizing, expected at most 1024 "
                 "(--max-image-pixels of the plan)");
  EXPECT_REFUSED(turn.add(Media::Video, kFrames),
                 "more than 3 frames, expected at most that (--max-video-frames of the plan)");
  EXPECT_REFUSED(turn.add(Media::Audio, kSweep), "expected at most that (--max-audio-seconds of the plan)");
  EXPECT_TRUE(turn.empty());
  auto options = mediaReaderOptions(*plan, {});
  EXPECT_EQ(options->limits.maxAudioSeconds, 1); // --max-audio-seconds, below what eight rows allow
  add(turn, Media::Audio, kNoise);
  EXPECT_REFUSED(prepare(turn, "a"), "the media of the turn make 9 tokens, expected at most the 8 of the plan");
  EXPECT_TRUE(turn.empty()); // the turn is lost, not the chat
  add(turn, Media::Audio, kBurst);
  EXPECT_REFUSED(prepare(turn, "a", 0, 8), "the prompt with its media has 9 tokens, expected at most 8");
  add(turn, Media::Audio, kBurst);
  EXPECT_TRUE(prepare(turn, "a", 0, 9).isOk());
}

TEST_F(MediaTurnTest, RunsThatTheEncodersCannotTakeAreNamed) {
  source.media->audio->maxFrames = 42;
  for (auto [tensor, frames] : {std::pair{0, 42}}) {
    source.entries[kAudioEncoder].inputs[tensor].dims[0].size = frames;
    source.entries[kAudioEncoder].inputs[tensor].sizeBytes = frames * 128 * 4;
    source.entries[kAudioEncoder].symbols[0].max = frames;
  }
  MediaTurn turn = open();
  add(turn, Media::Audio, kBurst);
  EXPECT_REFUSED(prepare(turn, "a"), "audio has 43 frames of 10 ms that see each other, expected at most 42");
}

TEST_F(MediaTurnTest, PlaceholdersAndMediaMustAgree) {
  MediaTurn turn = open();
  std::vector<int32_t> ids = {1, 263};
  EXPECT_TRUE(turn.hasPlaceholders(ids));
  EXPECT_REFUSED(turn.prepare(ids, 0, 32), "the prompt has 1 placeholders <|image_pad|> for 0 images");
  ids = {1};
  EXPECT_FALSE(turn.hasPlaceholders(ids));
  add(turn, Media::Image, kImage);
  EXPECT_REFUSED(turn.prepare(ids, 0, 32), "the prompt has 0 placeholders <|image_pad|> for 1 images");
}

TEST_F(MediaTurnTest, PlansThatLackAnEncoderSaySo) {
  source.media->vision.reset();
  MediaTurn turn = open();
  EXPECT_REFUSED(turn.add(Media::Video, kFrames), "plan of Fake has no vision encoder, expected one for images and");
  add(turn, Media::Audio, kBurst);
  source = fakeMediaModel();
  source.byteTokenizer = true;
  source.media->audio.reset();
  turn = open();
  EXPECT_REFUSED(turn.add(Media::Audio, kBurst), "plan of Fake has no audio encoder, expected one for sound");
  EXPECT_REFUSED(mediaReaderOptions(*plan, {.audioInVideo = true}), "plan of Fake has no audio encoder");
  source.media.reset();
  auto text = Plan::fromBytes(source.encodeFile(), folder.path());
  EXPECT_REFUSED(mediaReaderOptions(**text, {}), "plan of Fake has no audio encoder");
}

TEST_F(MediaTurnTest, EncodersOfAnotherFrontEndTakeNoSoundFiles) {
  source.media->audio->chunkFrames = 50;
  MediaTurn turn = open();
  const std::string refusal = "audio encoder takes 128 mel bins in chunks of 50 frames, expected 128 and 100, which "
                              "files are read to, leave sound out";
  EXPECT_REFUSED(turn.add(Media::Audio, kBurst), refusal);
  EXPECT_REFUSED(mediaReaderOptions(*plan, {.audioInVideo = true}), refusal);
  add(turn, Media::Image, kImage);
}

TEST_F(MediaTurnTest, OneBoundOfThePixelsMovesTheOther) {
  open();
  auto options = mediaReaderOptions(*plan, {.maxPixels = 512});
  EXPECT_EQ(options->vision.imagePixels, (PixelRange{512, 512}));
  EXPECT_EQ(options->vision.framePixels, (PixelRange{512, 512}));
  options = mediaReaderOptions(*plan, {.minPixels = 1'000'000});
  EXPECT_EQ(options->vision.imagePixels, (PixelRange{1'000'000, 1'000'000}));
  options = mediaReaderOptions(*plan, {});
  EXPECT_EQ(options->vision.imagePixels, (PixelRange{1024, 4096}));
  EXPECT_EQ(options->vision.framePixels, (PixelRange{131'072, 786'432}));
}

} // namespace
