// Sound files of every format to mono samples at 16 kHz.

#include "runtime/frontend/media/files/AudioFile.h"
#include "MediaTestSupport.h"
#include "runtime/frontend/media/files/Resampler.h"
#include "test/Checkpoint/TemporaryFolder.h"

#include <numbers>

using namespace qwenc::test;
using namespace qwenrt;

namespace {

const std::string kFiles = kMediaFolder + "files/";

template <typename T> std::string bytesOf(T value) { return {reinterpret_cast<const char *>(&value), sizeof(T)}; }

/// A WAV file of 16-bit samples whose header claims \p dataBytes of them.
std::string wav(uint32_t rate, uint16_t channels, const std::vector<int16_t> &samples, uint32_t dataBytes) {
  return "RIFF" + bytesOf<uint32_t>(36 + dataBytes) + "WAVEfmt " + bytesOf<uint32_t>(16) + bytesOf<uint16_t>(1) +
         bytesOf(channels) + bytesOf(rate) + bytesOf<uint32_t>(rate * channels * 2) + bytesOf<uint16_t>(channels * 2) +
         bytesOf<uint16_t>(16) + "data" + bytesOf(dataBytes) +
         std::string(reinterpret_cast<const char *>(samples.data()), samples.size() * 2);
}

std::string wav(uint32_t rate, uint16_t channels, const std::vector<int16_t> &samples) {
  return wav(rate, channels, samples, static_cast<uint32_t>(samples.size() * 2));
}

double tone(double hertz, double seconds) { return std::sin(2 * std::numbers::pi * hertz * seconds); }

double correlation(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    ab += double(a[i]) * b[i];
    aa += double(a[i]) * a[i];
    bb += double(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

} // namespace

TEST(AudioFileTest, IntegersAreDividedByTheirRange) {
  for (const std::string name : {"sweep_36800.wav", "noise_11200.wav", "burst_7001.wav"})
    EXPECT_EQ(valueOf(readAudio(kMediaFolder + name)), wavSamples(name)) << name;
}

TEST(AudioFileTest, LosslessFormatsGiveTheSameSamples) {
  const std::vector<float> want = wavSamples("burst_7001.wav");
  for (const std::string name : {"burst.flac", "float.wav", "burst.aiff"})
    EXPECT_EQ(valueOf(readAudio(kFiles + name)), want) << name;
}

TEST(AudioFileTest, LossyFormatsGiveTheSameSound) {
  const std::vector<float> want = wavSamples("burst_7001.wav");
  for (auto [name, delay] : {std::pair{"burst.ogg", 0}, std::pair{"burst.opus", 0}, std::pair{"burst.mp3", 0}}) {
    SCOPED_TRACE(name);
    const std::vector<float> samples = valueOf(readAudio(kFiles + name));
    EXPECT_NEAR(double(samples.size()), double(want.size()), 1200); // encoders fill their last block
    double best = 0;                                                // and some begin a little late
    for (size_t shift = 0; shift < 1200; ++shift)
      best = std::max(best, correlation(std::span(samples).subspan(std::min(shift, samples.size())), want));
    EXPECT_GT(best, 0.9);
  }
}

TEST(AudioFileTest, ChannelsAreAveragedAndTheRateIsConverted) {
  TemporaryFolder folder;
  for (uint32_t rate : {8000u, 22'050u, 44'100u, 48'000u, 16'000u}) {
    SCOPED_TRACE(rate);
    std::vector<int16_t> samples;
    for (uint32_t i = 0; i < rate / 2 + 1; ++i) {
      samples.push_back(static_cast<int16_t>(std::lround(16'384 * tone(440, double(i) / rate))));
      samples.push_back(0);
    }
    folder.write("tone.wav", wav(rate, 2, samples));
    const std::vector<float> mono = valueOf(readAudio(folder.path("tone.wav")));
    EXPECT_EQ(mono.size(), ((uint64_t(rate) / 2 + 1) * 16'000 + rate - 1) / rate);
    for (size_t i = 1000; i + 1000 < mono.size(); ++i)
      ASSERT_NEAR(mono[i], 0.25 * tone(440, i / 16'000.0), 1e-4) << i;
  }
}

TEST(AudioFileTest, WhatIsTooHighForTheNewRateIsTakenOut) {
  TemporaryFolder folder;
  std::vector<int16_t> samples(48'000);
  for (size_t i = 0; i < samples.size(); ++i)
    samples[i] = static_cast<int16_t>(std::lround(16'384 * tone(9000, i / 48'000.0)));
  folder.write("high.wav", wav(48'000, 1, samples));
  const std::vector<float> mono = valueOf(readAudio(folder.path("high.wav")));
  for (size_t i = 1000; i + 1000 < mono.size(); ++i)
    ASSERT_NEAR(mono[i], 0, 1e-4) << i;
}

TEST(AudioFileTest, AClaimedLengthIsNotBelieved) {
  TemporaryFolder folder;
  folder.write("claims.wav", wav(16'000, 1, std::vector<int16_t>(500, 100), 0x7fffff00));
  EXPECT_EQ(valueOf(readAudio(folder.path("claims.wav"))).size(), 500u);
}

TEST(AudioFileTest, Errors) {
  TemporaryFolder folder;
  EXPECT_REFUSED(readAudio(folder.path("none.wav")), "No such file");
  EXPECT_REFUSED(readAudio(kFiles + "rgb.png"), "rgb.png: the file is no sound that libsndfile reads (");
  folder.write("empty", "");
  EXPECT_REFUSED(readAudio(folder.path("empty")), "the file is no sound that libsndfile reads (");
  folder.write("empty.wav", wav(16'000, 1, {}));
  EXPECT_REFUSED(readAudio(folder.path("empty.wav")), "the sound is empty, expected at least one sample, leave it out");
  folder.write("slow.wav", wav(999, 1, {1, 2, 3}));
  EXPECT_REFUSED(readAudio(folder.path("slow.wav")),
                 "the sound has 1 channels at 999 Hz, expected at least one at 1000 .. 768000 Hz, convert it");
  std::string au = ".snd";
  for (uint32_t field : {24u, 8u, 3u, 16'000u, 1u})
    au += bytesOf(__builtin_bswap32(field));
  folder.write("sound.au", au + "12345678");
  EXPECT_REFUSED(readAudio(folder.path("sound.au")),
                 "the sound file has another format, expected WAV, FLAC, Ogg, MP3 or AIFF, convert it");
  std::string damaged = readText(kFiles + "burst.flac");
  for (size_t i = damaged.size() / 2; i < damaged.size(); ++i)
    damaged[i] = char(i * 7);
  folder.write("damaged.flac", damaged);
  EXPECT_REFUSED(readAudio(folder.path("damaged.flac")), "the sound file is damaged (");
}

TEST(AudioFileTest, SamplesAreFinite) {
  TemporaryFolder folder;
  std::string head = wav(16'000, 2, {});
  head[20] = 3;  // samples of float,
  head[32] = 8;  // 8 bytes a frame,
  head[34] = 32; // 32 bits each
  head.resize(40);
  for (auto [name, left, right] :
       {std::tuple{"nan.wav", NAN, 0.0f}, {"infinite.wav", 0.0f, -INFINITY}, {"loud.wav", 3e38f, 3e38f}}) {
    std::vector<float> samples(2000, 0.25f);
    samples[900] = left;
    samples[901] = right;
    std::string data;
    for (float sample : samples)
      data += bytesOf(sample);
    folder.write(name, head + bytesOf(uint32_t(data.size())) + data);
    EXPECT_REFUSED(readAudio(folder.path(name)),
                   std::string(name) + ": the sound has a sample that is not finite or too loud for a 32-bit number");
  }
}

TEST(AudioFileTest, LengthIsLimited) {
  MediaLimits limits;
  limits.maxAudioSeconds = 0.7;
  EXPECT_EQ(valueOf(readAudio(kMediaFolder + "noise_11200.wav", limits)).size(), 11'200u);
  limits.maxAudioSeconds = 0.69;
  EXPECT_REFUSED(readAudio(kMediaFolder + "noise_11200.wav", limits),
                 "noise_11200.wav: the sound is longer than 0.7 seconds, expected at most that (--max-audio-seconds of "
                 "the plan), cut it");
}
