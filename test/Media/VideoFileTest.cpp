// Video files to sampled frames and sound. Frame i of the files is grey of level 10 i (make-files.py).

#include "runtime/frontend/media/video/VideoFile.h"
#include "MediaTestSupport.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <numbers>

using namespace qwenc::test;
using namespace qwenrt;
using Frames = std::vector<uint64_t>;

namespace {

const std::string kFiles = kMediaFolder + "files/";

/// The level of the middle of each sampled frame.
std::vector<int> levels(const std::string &name, double fps, const MediaLimits &limits = {}) {
  std::vector<int> levels;
  const Status status = readVideoFrames(kFiles + name, fps, limits, [&](const RgbImage &frame) {
    EXPECT_EQ(frame.size, (ImageSize{48, 64}));
    EXPECT_EQ(frame.pixels.size(), 48 * 64 * 3u);
    levels.push_back(frame.pixels[(24 * 64 + 32) * 3]);
    return Status::ok();
  });
  EXPECT_TRUE(status.isOk()) << status.message();
  return levels;
}

Status read(const std::string &path, const MediaLimits &limits = {}) {
  return readVideoFrames(path, 2, limits, [](const RgbImage &) { return Status::ok(); });
}

} // namespace

TEST(SampledFramesTest, EvenlySpacedWithBothEnds) {
  EXPECT_EQ(sampledFrames(24, 3, 2, 768), (Frames{0, 5, 9, 14, 18, 23}));
  EXPECT_EQ(sampledFrames(300, 10, 2, 768).size(), 20u);
  EXPECT_EQ(sampledFrames(300, 10, 2, 768).back(), 299u);
}

TEST(SampledFramesTest, RoundedToEvenAndClamped) {
  EXPECT_EQ(sampledFrames(1000, 3.4, 2, 768).size(), 6u); // 6.8
  EXPECT_EQ(sampledFrames(1000, 3.6, 2, 768).size(), 8u); // 7.2
  EXPECT_EQ(sampledFrames(1000, 0.1, 2, 768).size(), 4u); // at least 4
  EXPECT_EQ(sampledFrames(100'000, 1e4, 2, 768).size(), 768u);
  EXPECT_EQ(sampledFrames(100'000, 1e4, 2, 16).size(), 16u);
  EXPECT_EQ(sampledFrames(3, 10, 2, 768), (Frames{0, 1, 2})); // no more than there are
  EXPECT_EQ(sampledFrames(1, 10, 2, 768), Frames{0});
  EXPECT_EQ(sampledFrames(0, 10, 2, 768), Frames{});
  EXPECT_EQ(sampledFrames(9, 1e300, 1e300, 768).size(), 4u);
  EXPECT_EQ(sampledFrames(9, std::nan(""), 2, 768).size(), 4u);
}

TEST(VideoFileTest, LosslessFramesAreExact) {
  EXPECT_EQ(levels("grey.mkv", 2), (std::vector<int>{0, 50, 90, 140, 180, 230}));
  std::vector<int> all;
  for (int i = 0; i < 24; ++i)
    all.push_back(i * 10);
  EXPECT_EQ(levels("grey.mkv", 8), all);
  EXPECT_EQ(levels("grey.mkv", 100), all);
}

TEST(VideoFileTest, CommonFormats) {
  for (const std::string name : {"sound.mp4", "grey.webm"}) {
    SCOPED_TRACE(name);
    const std::vector<int> got = levels(name, 2), want = {0, 50, 90, 140, 180, 230};
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], want[i], 4) << i;
  }
}

TEST(VideoFileTest, TheTrackIsMonoAt16Kilohertz) {
  const std::vector<float> track = valueOf(readVideoTrack(kFiles + "sound.mp4", {}));
  EXPECT_NEAR(double(track.size()), 48'000, 1500); // the encoder fills blocks of 1024 at 24 kHz
  double sine = 0, cosine = 0, energy = 0;
  for (size_t i = 8000; i < 40'000; ++i) {
    sine += track[i] * std::sin(2 * std::numbers::pi * 1000 * i / 16'000);
    cosine += track[i] * std::cos(2 * std::numbers::pi * 1000 * i / 16'000);
    energy += track[i] * track[i];
  }
  EXPECT_GT(energy, 10);
  EXPECT_GT((sine * sine + cosine * cosine) / (energy * 16'000), 0.99); // the tone of 1000 Hz and nothing else
}

TEST(VideoFileTest, ACutFileGivesWhatThereIs) {
  TemporaryFolder folder;
  const std::string whole = readText(kFiles + "grey.mkv");
  folder.write("cut.mkv", whole.substr(0, whole.size() - 500));
  size_t count = 0;
  ASSERT_TRUE(readVideoFrames(folder.path("cut.mkv"), 8, {}, [&](const RgbImage &) {
                ++count;
                return Status::ok();
              }).isOk());
  EXPECT_GT(count, 4u);
  EXPECT_LT(count, 24u);
}

TEST(VideoFileTest, Errors) {
  TemporaryFolder folder;
  EXPECT_REFUSED(read(folder.path("none.mp4")), "No such file");
  EXPECT_REFUSED(read(kFiles + "rgb.png"), "rgb.png: the file is no video that libav reads (");
  EXPECT_REFUSED(read(kMediaFolder + "sweep_36800.wav"), "the file is no video that libav reads (");
  EXPECT_REFUSED(read(kFiles + "list.m3u8"), "the file is no video that libav reads ("); // names another file
  EXPECT_REFUSED(readVideoTrack(kFiles + "grey.mkv", {}),
                 "grey.mkv: the video file has no sound stream, expected one, leave --use-audio-in-video out");
  folder.write("only-sound.ogg", readText(kFiles + "burst.ogg"));
  EXPECT_REFUSED(read(folder.path("only-sound.ogg")),
                 "the video file has no video stream, expected one, use another file");
  EXPECT_REFUSED(readVideoFrames(kFiles + "grey.mkv", 2, {},
                                 [](const RgbImage &) { return Status(StatusCode::InvalidInput, "enough"); }),
                 "grey.mkv: enough");
}

TEST(VideoFileTest, DamagedStreams) {
  TemporaryFolder folder;
  std::string bytes = readText(kFiles + "grey.webm");
  bytes.replace(bytes.find("V_VP9"), 5, "V_XXX");
  folder.write("unknown.webm", bytes);
  EXPECT_REFUSED(read(folder.path("unknown.webm")),
                 "libav has no decoder for the video of the file, expected a common codec, convert it");

  bytes = readText(kFiles + "sound.mp4");
  const size_t begin = bytes.find("mdat") + 4, end = bytes.find("moov", begin) - 4;
  bytes.replace(begin, end - begin, end - begin, '\xff');
  folder.write("noise.mp4", bytes);
  EXPECT_REFUSED(read(folder.path("noise.mp4")),
                 "noise.mp4: no frame of the video can be decoded, expected some, convert it again");
  EXPECT_REFUSED(readVideoTrack(folder.path("noise.mp4"), {}),
                 "noise.mp4: the sound of the video is empty, expected some, leave --use-audio-in-video out");
}

TEST(VideoFileTest, Limits) {
  MediaLimits limits;
  limits.maxVideoFrames = 5;
  EXPECT_EQ(levels("grey.mkv", 8, limits).size(), 5u);
  limits.maxDecodedFrames = 23;
  EXPECT_REFUSED(read(kFiles + "grey.mkv", limits),
                 "the video has more than 23 frames, expected at most that (--max-video-frames of the plan), cut it");
  MediaLimits small;
  small.maxDecodedPixels = 64 * 48 - 1;
  EXPECT_FALSE(read(kFiles + "grey.mkv", small).isOk());
  MediaLimits brief;
  brief.maxAudioSeconds = 2.5;
  EXPECT_REFUSED(readVideoTrack(kFiles + "sound.mp4", brief), "the sound is longer than 2.5 seconds");
}
