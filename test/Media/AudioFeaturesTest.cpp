// Log-mel features, token counts and chunks against transformers' WhisperFeatureExtractor.

#include "MediaTestSupport.h"

#include <limits>

using namespace qwenc::test;
using namespace qwenrt;

namespace {

const GoldenFile &golden() {
  static const GoldenFile file("audio_features.safetensors");
  return file;
}

AudioFeatures featuresOf(const std::vector<std::vector<float>> &clips) {
  std::vector<std::span<const float>> spans(clips.begin(), clips.end());
  return valueOf(logMelFeatures(spans));
}

std::string errorOf(const std::vector<std::vector<float>> &clips) {
  std::vector<std::span<const float>> spans(clips.begin(), clips.end());
  return logMelFeatures(spans).status().message();
}

const std::vector<std::string> kClips = {"sweep_36800.wav", "noise_11200.wav", "burst_7001.wav"};

} // namespace

TEST(AudioFeaturesTest, MelFilterBank) {
  const std::vector<float> bank = melFilterBank(), want = golden().values<float>("mel_filters");
  ASSERT_EQ(bank.size(), want.size());
  for (size_t i = 0; i < bank.size(); ++i)
    ASSERT_NEAR(bank[i], want[i], 1e-8) << "bin " << i / kMelBins << " filter " << i % kMelBins;
}

TEST(AudioFeaturesTest, OneClipAlone) {
  for (int i = 0; i < 3; ++i) {
    SCOPED_TRACE(kClips[i]);
    const AudioFeatures features = featuresOf({wavSamples(kClips[i])});
    const std::string name = "clip" + std::to_string(i) + ".input_features";
    EXPECT_EQ(features.frameCount, golden().shape(name)[1]);
    EXPECT_EQ(features.clipFrames, std::vector<uint32_t>{features.frameCount});
    expectClose(features.mel, golden().values<float>(name), 1e-3);
  }
}

TEST(AudioFeaturesTest, ClipsOfOneTurnArePaddedToTheLongest) {
  const AudioFeatures features = featuresOf({wavSamples(kClips[0]), wavSamples(kClips[1])});
  const std::vector<float> want = golden().values<float>("batch01.input_features"); // [2, 128, 230]
  const std::vector<int64_t> mask = golden().values<int64_t>("batch01.attention_mask");
  const uint32_t padded = 230;
  std::vector<float> valid; // [128, valid frames of both]
  for (uint32_t bin = 0; bin < kMelBins; ++bin)
    for (uint32_t clip = 0; clip < 2; ++clip)
      for (uint32_t t = 0; t < padded; ++t)
        if (mask[clip * padded + t])
          valid.push_back(want[(clip * kMelBins + bin) * padded + t]);
  EXPECT_EQ(features.clipFrames, (std::vector<uint32_t>{230, 70}));
  expectClose(features.mel, valid, 1e-3);
}

TEST(AudioFeaturesTest, PaddingGivesAShorterClipItsLastFrame) {
  const std::vector<float> shorter(7001, 0.5f), longer(16000, 0.5f);
  EXPECT_EQ(featuresOf({shorter}).clipFrames, std::vector<uint32_t>{43});
  EXPECT_EQ(featuresOf({shorter, longer}).clipFrames, (std::vector<uint32_t>{44, 100}));
  EXPECT_EQ(featuresOf({std::vector<float>(1), longer}).clipFrames, (std::vector<uint32_t>{1, 100}));
  EXPECT_EQ(featuresOf({std::vector<float>(16100), std::vector<float>(16159)}).clipFrames,
            (std::vector<uint32_t>{100, 100}));
}

TEST(AudioFeaturesTest, AClipMayBeSilentAndAsShortAsTheReflection) {
  const AudioFeatures features = featuresOf({std::vector<float>(kMinAudioSamples)});
  EXPECT_EQ(features.frameCount, 1u);
  EXPECT_EQ(features.mel, std::vector<float>(kMelBins, -1.5f)); // (-10 + 4) / 4
}

TEST(AudioFeaturesTest, Errors) {
  EXPECT_EQ(errorOf({}), "found no audio clip, expected at least one, leave the audio encoder out");
  EXPECT_EQ(errorOf({std::vector<float>(400), {}}), "audio clip 1 is empty, expected sound, leave it out");
  EXPECT_EQ(errorOf({std::vector<float>(200)}),
            "the longest audio clip has 200 samples at 16 kHz, expected at least 201, use a longer clip");
  EXPECT_EQ(errorOf({std::vector<float>(400, std::numeric_limits<float>::quiet_NaN())}),
            "audio clip 0 has a sample that is not finite, expected numbers, convert the file again");
}

TEST(AudioFeaturesTest, FramesAreCountedBeforeTheyAreComputed) {
  const std::vector<float> clip(1'600'000);
  const std::vector<std::span<const float>> many(3356, clip);
  EXPECT_EQ(logMelFeatures(many).status().message(),
            "the audio clips have up to 33560000 mel frames, expected at most 2^25, use shorter clips");
}

TEST(AudioFeaturesTest, TokenCounts) {
  EXPECT_GE(mediaCases()["audio_token_counts"].size(), 14u);
  for (const auto &[frames, tokens] : mediaCases()["audio_token_counts"].items())
    EXPECT_EQ(audioTokenCount(static_cast<uint32_t>(std::stoul(frames))), tokens.get<uint32_t>())
        << frames << " frames";
}

TEST(AudioFeaturesTest, ChunksOfSeveralClips) {
  AudioFeatures features;
  features.clipFrames = {1237, 60};
  features.frameCount = 1297;
  features.mel.resize(size_t(kMelBins) * features.frameCount);
  for (size_t i = 0; i < features.mel.size(); ++i)
    features.mel[i] = float(i);
  const AudioChunks chunks = chunkAudio(features);
  EXPECT_EQ(chunks.chunkCount, 14u);
  EXPECT_EQ(chunks.chunkFrames, 100u);
  std::vector<uint32_t> tokens(14, 13);
  tokens[12] = 5;
  tokens[13] = 8;
  EXPECT_EQ(chunks.chunkTokens, tokens);
  EXPECT_EQ(chunks.windowStarts, (std::vector<uint32_t>{0, 104, 161, 169}));
  auto at = [&](uint32_t chunk, uint32_t bin, uint32_t t) { return chunks.values[(chunk * kMelBins + bin) * 100 + t]; };
  EXPECT_EQ(at(3, 7, 99), 7 * 1297 + 399);
  EXPECT_EQ(at(12, 0, 36), 1236);
  EXPECT_EQ(at(12, 0, 37), 0); // zeros behind the end, not the next clip
  EXPECT_EQ(at(13, 1, 0), 1297 + 1237);
}

TEST(AudioFeaturesTest, AShortClipIsOneShortChunk) {
  const AudioChunks chunks = chunkAudio(featuresOf({wavSamples(kClips[2])}));
  EXPECT_EQ(chunks.chunkCount, 1u);
  EXPECT_EQ(chunks.chunkFrames, 43u);
  EXPECT_EQ(chunks.chunkTokens, std::vector<uint32_t>{6});
  EXPECT_EQ(chunks.windowStarts, (std::vector<uint32_t>{0, 6}));
}
