// The whole road from media files to ids and positions, with decoders from the modules that the programs load.

#include "runtime/frontend/media/MediaReader.h"
#include "MediaTestSupport.h"
#include "test/Checkpoint/TemporaryFolder.h"

using namespace qwenc::test;
using namespace qwenrt;
using nlohmann::json;

namespace {

const std::string kFiles = kMediaFolder + "files/";

const MediaDecoders &decoders() {
  static const MediaDecoders decoders = valueOf(loadMediaDecoders(QWENC_TEST_VIDEO));
  return decoders;
}

const MediaTokenIds &tokens() {
  static const MediaTokenIds ids = valueOf(MediaTokenIds::fromTokenizer(goldenTokenizer()));
  return ids;
}

/// The options of a golden prompt.
MediaReaderOptions optionsOf(const json &media) {
  MediaReaderOptions options;
  options.audioInVideo = media.value("use_audio_in_video", false);
  if (media.contains("video")) {
    options.fps = media["video"]["fps"];
    options.vision.framePixels = {media["video"]["min_pixels"], media["video"]["max_pixels"]};
  }
  return options;
}

void addGoldenMedia(const json &media, MediaReader &reader) {
  auto addVideo = [&] {
    if (media.contains("video")) {
      ASSERT_TRUE(reader.addVideo(kMediaFolder + "frames").isOk());
    }
  };
  if (media.value("use_audio_in_video", false))
    addVideo(); // its track comes after it
  for (const json &name : media.value("audio", json::array()))
    ASSERT_TRUE(reader.addAudio(kMediaFolder + name.get<std::string>()).isOk());
  for (const json &name : media.value("images", json::array()))
    ASSERT_TRUE(reader.addImage(kMediaFolder + name.get<std::string>()).isOk());
  if (!media.value("use_audio_in_video", false))
    addVideo();
}

MediaReaderOptions withTracks() {
  MediaReaderOptions options;
  options.audioInVideo = true;
  options.vision.framePixels = {4096, 786'432};
  return options;
}

} // namespace

TEST(MediaReaderTest, GoldenPromptsFromFiles) {
  const GoldenFile golden("prompts.safetensors");
  for (const json &item : mediaCases()["thinker_cases"]) {
    const std::string name = item["name"];
    SCOPED_TRACE(name);
    MediaReader reader(decoders(), optionsOf(item["media"]));
    addGoldenMedia(item["media"], reader);
    const std::vector<Media> parts = reader.parts();
    const MediaInputs inputs = valueOf(reader.finish());
    const std::vector<int32_t> ids = valueOf(goldenTokenizer().encode(item["text"].get<std::string>()));
    EXPECT_EQ(placeholderOrder(ids, tokens()), parts);
    const MediaPrompt prompt = valueOf(expandMedia(ids, tokens(), inputs.spans));
    EXPECT_EQ(prompt.ids, golden.ids(name + ".input_ids"));
    EXPECT_EQ(prompt.positions.values, golden.values<float>(name + ".position_ids"));
    EXPECT_EQ(
        prompt.audioRows.size(), inputs.audio.clipFrames.empty() ? 0 : [&] {
          size_t count = 0;
          for (uint32_t frames : inputs.audio.clipFrames)
            count += audioTokenCount(frames);
          return count;
        }());
    EXPECT_EQ(prompt.imageRows.size() * 4, inputs.images.patchCount);
    EXPECT_EQ(prompt.videoRows.size() * 4, inputs.videos.patchCount);
  }
}

TEST(MediaReaderTest, FeaturesAreThoseOfTheGoldenVideo) {
  MediaReader reader(decoders(), withTracks());
  ASSERT_TRUE(reader.addVideo(kMediaFolder + "frames").isOk());
  ASSERT_TRUE(reader.addAudio(kMediaFolder + "noise_11200.wav").isOk());
  EXPECT_EQ(reader.parts(), std::vector<Media>{Media::Video}); // the track has no placeholder
  const MediaInputs inputs = valueOf(reader.finish());
  expectClose(patchesOf(inputs.videos), GoldenFile("vision.safetensors").values<float>("video.pixel_values"), 1e-6);
  expectClose(inputs.audio.mel, GoldenFile("audio_features.safetensors").values<float>("clip1.input_features"), 1e-3);
  EXPECT_EQ(inputs.spans.videos[0].secondsPerGrid, 2); // no rate given: 1 per second, as the reference has it
  EXPECT_TRUE(reader.parts().empty());
}

TEST(MediaReaderTest, TracksStandWhereTheirVideosDo) {
  const std::vector<Media> order = {Media::Audio, Media::Video};
  MediaReader reader(decoders(), withTracks());
  ASSERT_TRUE(reader.addVideo(kMediaFolder + "frames").isOk());
  ASSERT_TRUE(reader.addAudio(kMediaFolder + "noise_11200.wav").isOk()); // the track
  ASSERT_TRUE(reader.addAudio(kMediaFolder + "sweep_36800.wav").isOk());
  // A prompt that the user wrote has the clip first.
  const MediaInputs inputs = valueOf(reader.finish(order));
  EXPECT_EQ(inputs.audio.clipFrames, (std::vector<uint32_t>{230, 70}));
}

TEST(MediaReaderTest, Errors) {
  TemporaryFolder folder;
  MediaReader reader(decoders(), withTracks());
  EXPECT_REFUSED(reader.addVideo(folder.path()),
                 ": the folder has no frame, expected images named .png, .jpg, .jpeg or .webp, put them there");
  folder.write("0.png", readText(kMediaFolder + "frames/frame_0.png"));
  folder.write("1.PNG", readText(kMediaFolder + "checker_64x64.png"));
  EXPECT_REFUSED(reader.addVideo(folder.path()), "1.PNG: frame 1 of the video has 64 x 64 pixels, expected 96 x 64");
  MediaReader fresh(decoders(), withTracks());
  ASSERT_TRUE(fresh.addVideo(kMediaFolder + "frames").isOk());
  EXPECT_REFUSED(fresh.finish(), "a folder of frames has no track, expected an audio clip behind it, add one or leave "
                                 "--use-audio-in-video out");
  MediaReader clips(decoders(), {});
  ASSERT_TRUE(clips.addAudio(kMediaFolder + "noise_11200.wav").isOk());
  EXPECT_REFUSED(clips.finish(std::vector<Media>{}),
                 "the prompt has placeholders for 0 of 1 audio clips and 0 of 0 videos, expected one for each");
  MediaReaderOptions options;
  options.fps = 0;
  EXPECT_REFUSED(MediaReader(decoders(), options).addVideo(kMediaFolder + "frames"),
                 "the rate is 0.000 frames per second, expected above 0, change --fps");
  options.fps = 1;
  options.limits.maxVideoFrames = 3;
  EXPECT_REFUSED(MediaReader(decoders(), options).addVideo(kMediaFolder + "frames"),
                 "frames: the folder has more than 3 frames, expected at most that (--max-video-frames of the plan), "
                 "take some out");
  if (!QWENC_TEST_VIDEO)
    return;
  options.fps = 25; // not thinned out to three
  EXPECT_REFUSED(
      MediaReader(decoders(), options).addVideo(kFiles + "sound.mp4"),
      "the video has more than 3 frames, expected at most that (--max-video-frames of the plan), lower --fps");
}

TEST(MediaReaderTest, NothingOfABrokenVideoStays) {
  TemporaryFolder folder;
  for (const std::string name : {"frame_0.png", "frame_1.png", "frame_2.png"})
    folder.write(name, readText(kMediaFolder + "frames/" + name));
  folder.write("frame_3.png", "no image");
  MediaReaderOptions options = withTracks();
  options.audioInVideo = false;
  MediaReader reader(decoders(), options);
  EXPECT_REFUSED(reader.addVideo(folder.path()), "frame_3.png: the file is no known image");
  EXPECT_TRUE(reader.parts().empty());
  ASSERT_TRUE(reader.addVideo(kMediaFolder + "frames").isOk());
  const MediaInputs inputs = valueOf(reader.finish());
  EXPECT_EQ(inputs.spans.videos.size(), 1u);
  expectClose(patchesOf(inputs.videos), GoldenFile("vision.safetensors").values<float>("video.pixel_values"), 1e-6);
}

TEST(MediaReaderTest, WithoutAModuleTheMessageNamesWhatIsMissing) {
  MediaReader reader(MediaDecoders{}, {});
  EXPECT_REFUSED(reader.addAudio("a.wav"),
                 "no decoder for sound files is loaded, expected one, load the module for it");
  EXPECT_REFUSED(reader.addImage("a.png"), "no decoder for image files is loaded");
  EXPECT_REFUSED(reader.addVideo("a.mp4"), "no decoder for video files is loaded");
  EXPECT_REFUSED(reader.addVideo(kMediaFolder), "no decoder for image files is loaded");
}

TEST(MediaDecodersTest, AModuleMustLoadAndFit) {
  TemporaryFolder folder;
  folder.write("module.so", "no module");
  EXPECT_REFUSED(loadDecoderModule(folder.path("module.so"), "install it"), "module.so' (");
  EXPECT_REFUSED(loadDecoderModule(folder.path("module.so"), "install it"),
                 "), expected the module and its libraries, install it");
  EXPECT_REFUSED(
      loadDecoderModule("libm.so.6", "install it"),
      "'libm.so.6' belongs to another version of qwenrt, expected that of this build, install them together");
}

TEST(MediaReaderTest, AVideoFileBringsItsTrack) {
  if (!QWENC_TEST_VIDEO)
    GTEST_SKIP() << "built without qwenrt-video.so";
  MediaReaderOptions options = withTracks();
  options.fps = 2;
  MediaReader reader(decoders(), options);
  ASSERT_TRUE(reader.addVideo(kFiles + "sound.mp4").isOk());
  const MediaInputs inputs = valueOf(reader.finish());
  EXPECT_EQ(inputs.videos.grids[0], (PatchGrid{3, 4, 4}));
  EXPECT_EQ(inputs.spans.videos[0].secondsPerGrid, 1);
  EXPECT_NEAR(inputs.audio.frameCount, 300, 9);
}
