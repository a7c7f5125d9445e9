//===- MediaToolTest.cpp - Media on the command line of qwenrt
//------------------------------------------------------===//
#include "FakeMediaPrompt.h"
#include "TestDevice.h"
#include "ToolTestSupport.h"

#include <filesystem>
#include <sys/stat.h>

using namespace qwenrt;
using namespace qwenrt::test;
using nlohmann::json;

namespace {

const std::string kBurst = kMediaFolder + "burst_7001.wav", kImage = kMediaFolder + "noise_40x30.png",
                  kFrames = kMediaFolder + "frames";

class MediaToolTest : public ToolTest {
protected:
  MediaToolTest() { source = fakeMediaModel(); }

  using Files = std::vector<std::pair<Media, std::string>>;

  /// What the model says to the prompt \p text, special tokens in it recognised, with \p files in its placeholders.
  std::string expected(const std::string &text, const Files &files, size_t count, const MediaSettings &settings = {}) {
    auto plan = Plan::open(folder.path("plan.fb"));
    auto tokenizer = Tokenizer::fromPlan(*(*plan)->root().tokenizer());
    auto turn = MediaTurn::open(*plan, *tokenizer, settings);
    for (const auto &[media, path] : files)
      EXPECT_TRUE(turn->add(media, path).isOk());
    auto prompt = turn->prepare(*tokenizer->encode(text), 0, 32);
    EXPECT_TRUE(prompt.isOk()) << prompt.status().message();
    std::vector<int32_t> placed = fakePlacedPrompt(*prompt);
    return json(fakeReply(placed, count, prompt->prompt.positions.delta(placed.size()))).dump();
  }
};

//===----------------------------------------------------------------------===//
// No device
//===----------------------------------------------------------------------===//

TEST_F(MediaToolTest, OptionsWithoutTheirFilesAreRefused) {
  EXPECT_FAILS(run("--prompt a --fps 2"), 2, "--fps given without --video, expected");
  EXPECT_FAILS(run("--prompt a --use-audio-in-video --image x"), 2, "--use-audio-in-video given without --video");
  EXPECT_FAILS(run("--prompt a --min-pixels 2 --audio x"), 2, "--min-pixels given without --image or --video");
  EXPECT_FAILS(run("--prompt a --max-pixels 2"), 2, "--max-pixels given without --image or --video");
  EXPECT_FAILS(run("--tokenize a --image x"), 2, "--image given without --prompt, --input-ids or --interactive");
  EXPECT_FAILS(run("--prompt a --image " + kImage + " --min-pixels 4096 --max-pixels 1024"), 2, "1024");
  EXPECT_FAILS(run("--prompt a --video " + kFrames + " --fps 0"), 2, "expected above 0, change --fps");
}

TEST_F(MediaToolTest, BrokenFilesAreNamedBeforeTheDeviceIsOpened) {
  folder.write("empty", "");
  folder.write("text.png", "no picture");
  ASSERT_EQ(mkfifo(folder.path("pipe").c_str(), 0600), 0); // nobody will ever write to it
  for (const char *option : {"--audio", "--image", "--video"})
    for (const char *file : {"none", "empty", "text.png", "pipe", "/dev/null", "/dev/zero", "."})
      EXPECT_FAILS(shell(std::string("qwenrt $plan --prompt a ") + option + " " + file), 1,
                   std::string(file) == "." && option[2] == 'v' ? "./text.png: the file is no known image" : file);
  std::filesystem::create_directory(folder.path("folder"));
  EXPECT_FAILS(shell("qwenrt $plan --prompt a --video folder"), 1, "folder: the folder has no frame");
  EXPECT_FAILS(shell("qwenrt $plan --prompt a --audio " + kMediaFolder + "sweep_36800.wav"), 1,
               "(--max-audio-seconds of the plan)");
  EXPECT_FAILS(shell("qwenrt $plan --prompt a --image " + kMediaFolder +
                     "gradient_200x136.png --min-pixels 10000 "
                     "--max-pixels 20000"),
               1, "expected at most 4096 (--max-image-pixels of the plan)");
  EXPECT_FAILS(shell("qwenrt $plan --prompt a --video " + kFrames), 1, "patches, expected at most");
}

TEST_F(MediaToolTest, PlaceholdersWithoutMediaAreRefused) {
  EXPECT_FAILS(shell("qwenrt $plan --raw --prompt '<|image_pad|>'"), 1, "1 placeholders <|image_pad|> for 0 images");
  EXPECT_FAILS(shell("qwenrt $plan --input-ids 1,260"), 1, "1 placeholders <|audio_pad|> for 0 audio clips");
  EXPECT_FAILS(shell("qwenrt $plan --raw --prompt a --image " + kImage), 1,
               "0 placeholders <|image_pad|> for 1 images");
}

TEST_F(MediaToolTest, ListsFactorsAndOptionalInputs) {
  Outcome outcome = run("--entry list");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("  in  patches: f32[4*N<=16,1536]\n"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("  in  media: f32[8,4], optional\n"), std::string::npos) << outcome.out;
}

TEST_F(MediaToolTest, SpeechIsStillMissing) {
  EXPECT_FAILS(run("--prompt a --speech x.wav"), 1, "has no vocoder, expected one for --speech");
}

//===----------------------------------------------------------------------===//
// On a device
//===----------------------------------------------------------------------===//

class MediaToolDeviceTest : public MediaToolTest {
protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE();
    MediaToolTest::SetUp();
  }
};

TEST_F(MediaToolDeviceTest, MediaStandBeforeTheTextInTheirOrder) {
  const Files files = {{Media::Image, kImage}, {Media::Image, kMediaFolder + "checker_64x64.png"}};
  std::string text = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|><|vision_start|><|image_pad|>"
                     "<|vision_end|>b<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_PRINTS(
      run("--prompt b --image " + files[0].second + " --image " + files[1].second + " --max-new-tokens 2 --print-ids"),
      expected(text, files, 2) + "\n");
}

TEST_F(MediaToolDeviceTest, RawPromptsAndIdsNameTheirPlaces) {
  const Files files = {{Media::Audio, kBurst}, {Media::Image, kImage}};
  const std::string raw = "a<|image_pad|>b<|audio_start|><|audio_pad|><|audio_end|>c", ids = "97,263,98,258,260,259,99";
  const std::string options = " --audio " + kBurst + " --image " + kImage + " --max-new-tokens 5 --print-ids";
  const std::string wanted = expected(raw, files, 5) + "\n";
  EXPECT_PRINTS(run("--raw --prompt '" + raw + "'" + options), wanted);
  EXPECT_PRINTS(run("--input-ids " + ids + options), wanted);
  EXPECT_PRINTS(run("--input-ids " + ids + options + " --repeat 2 --upload staging"), wanted);
}

TEST_F(MediaToolDeviceTest, VideoOptionsReachTheFrontEnd) {
  const std::string raw = "a<|vision_start|><|video_pad|><|vision_end|>b";
  const MediaSettings settings = {.fps = 3, .minPixels = 1024, .maxPixels = 1024, .audioInVideo = true};
  EXPECT_PRINTS(run("--raw --prompt '" + raw + "' --use-audio-in-video --video " + kFrames + " --audio " + kBurst +
                    " --fps 3 --min-pixels 1024 --max-pixels 1024 --max-new-tokens 4 --print-ids"),
                expected(raw, {{Media::Video, kFrames}, {Media::Audio, kBurst}}, 4, settings) + "\n");
}

TEST_F(MediaToolDeviceTest, CasesHaveMedia) {
  json cases = {{{"raw", true}, {"prompt", "<|audio_pad|>b"}, {"max_new_tokens", 3}, {"media", {{{"audio", kBurst}}}}},
                {{"input_ids", {97, 262}}, {"max_new_tokens", 2}},
                {{"input_ids", {97, 264}},
                 {"max_new_tokens", 3},
                 {"media", {{{"video", kFrames}}}},
                 {"fps", 3},
                 {"min_pixels", 1024},
                 {"max_pixels", 1024}},
                {{"input_ids", {97}}, {"media", "x"}},
                {{"input_ids", {97}}, {"media", {{{"smell", "x"}}}}},
                {{"input_ids", {97, 264}}, {"media", {{{"video", kFrames}, {"fps", 3}}}}}};
  folder.write("cases.json", cases.dump());
  Outcome outcome = run("--cases cases.json");
  EXPECT_NE(outcome.err.find("3 of 6 cases failed"), std::string::npos) << outcome.err;
  std::vector<json> lines;
  for (size_t at = 0, end; (end = outcome.out.find('\n', at)) != std::string::npos; at = end + 1)
    lines.push_back(json::parse(outcome.out.substr(at, end - at), nullptr, false));
  ASSERT_EQ(lines.size(), 6u) << outcome.out;
  EXPECT_EQ(lines[0]["ids"].dump(), expected("<|audio_pad|>b", {{Media::Audio, kBurst}}, 3));
  EXPECT_EQ(lines[0]["prompt_tokens"], 7);
  for (const char *part : {"front_end_ms", "upload_ms", "encoder_ms"}) {
    EXPECT_GT(lines[0].value(part, 0.0), 0) << part;
    EXPECT_FALSE(lines[1].contains(part)) << part;
  }
  EXPECT_LT(lines[0]["upload_ms"], lines[0]["encoder_ms"]);
  EXPECT_EQ(lines[2]["ids"].dump(),
            expected("a<|video_pad|>", {{Media::Video, kFrames}}, 3, {.fps = 3, .minPixels = 1024, .maxPixels = 1024}));
  for (size_t broken : {3, 4, 5})
    EXPECT_NE(lines[broken]["error"].dump().find("wrong 'media', expected an array of objects with one of audio, image "
                                                 "and video and nothing beside it"),
              std::string::npos);
}

TEST_F(MediaToolDeviceTest, ChatsAttachToTheNextTurn) {
  folder.write("broken.wav", "RIFF");
  Outcome outcome = run("--interactive --max-new-tokens 2",
                        "/image\n/audio broken.wav\n/image " + kImage + " \nb\n/reset\nb\n/reset\n/image " + kImage +
                            "\nb\n/reset\n/audio " + kMediaFolder + "noise_11200.wav\nb\nb\n");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err.rfind("qwenrt: error: /image names no file, expected its path behind it, add it", 0), 0u);
  EXPECT_NE(outcome.err.find("broken.wav"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("the media of the turn make 9 tokens, expected at most the 8"), std::string::npos)
      << outcome.err;
  // With, without, with, and without as the one before has failed.
  auto reply = [&](const std::string &prompt, const Files &files) {
    json ids = json::parse(expected(prompt, files, 2), nullptr, false);
    std::string text;
    for (const json &id : ids)
      text += char(id.get<int>());
    return text + "\n";
  };
  const std::string head = "<|im_start|>user\n", tail = "b<|im_end|>\n<|im_start|>assistant\n";
  const std::string with = reply(head + "<|vision_start|><|image_pad|><|vision_end|>" + tail, {{Media::Image, kImage}}),
                    without = reply(head + tail, {});
  EXPECT_EQ(outcome.out, with + without + with + without);
}

TEST_F(MediaToolDeviceTest, FilesOfTheCommandLineBelongToTheFirstTurn) {
  Outcome with = run("--interactive --max-new-tokens 2 --stats --image " + kImage, "b\n/reset\nb\n");
  EXPECT_EQ(with.code, 0) << with.err;
  EXPECT_NE(with.err.find(" ms (front end "), std::string::npos) << with.err;
  EXPECT_NE(with.err.find("time to first token: "), std::string::npos) << with.err;
  size_t half = with.out.find('\n') + 1;
  EXPECT_NE(with.out.substr(0, half), with.out.substr(half));
}

TEST_F(MediaToolDeviceTest, StatisticsNameTheParts) {
  Outcome outcome = run("--raw --prompt '<|image_pad|>' --stats --max-new-tokens 2 --image " + kImage);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char *part : {"(load ", ", front end ", ", encoder ", ", prompt ", ", first token "})
    EXPECT_NE(outcome.err.find(part, outcome.err.find("time to first token")), std::string::npos)
        << part << outcome.err;
  EXPECT_NE(outcome.err.find("encoder: inputs to the device "), std::string::npos) << outcome.err;
  EXPECT_EQ(run("--prompt a --stats --max-new-tokens 1").err.find("encoder"), std::string::npos);
}

TEST_F(MediaToolDeviceTest, TextNeedsNoPlaceholders) {
  source.media->tokens = false;
  writePlan();
  EXPECT_EQ(run("--prompt a --max-new-tokens 2").code, 0);
  EXPECT_FAILS(run("--prompt a --image " + kImage), 1, "the tokenizer has no token <|audio_start|>");
  Outcome chat = run("--interactive --max-new-tokens 2", "/image " + kImage + "\nb\n");
  EXPECT_EQ(chat.code, 0);
  EXPECT_NE(chat.err.find("the tokenizer has no token"), std::string::npos) << chat.err;
  EXPECT_NE(chat.out, "");
}

TEST_F(MediaToolDeviceTest, TheValidationLayerHasNothingToSay) {
  Outcome outcome = run("--raw --prompt '<|image_pad|><|audio_pad|>' --validate --max-new-tokens 2 --image " + kImage +
                        " --audio " + kBurst);
  if (outcome.err.find("no validation layer found") != std::string::npos)
    GTEST_SKIP() << outcome.err;
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

} // namespace
