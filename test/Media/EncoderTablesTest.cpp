// The tables of the encoders against a direct computation with padding, and against the published examples.

#include "runtime/frontend/media/AudioTables.h"
#include "runtime/frontend/media/VisionTables.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

using namespace qwenrt;

namespace {

//===----------------------------------------------------------------------===//
// Sound
//===----------------------------------------------------------------------===//

AudioFeatures features(std::vector<uint32_t> clipFrames) {
  AudioFeatures result;
  result.clipFrames = std::move(clipFrames);
  result.frameCount = std::accumulate(result.clipFrames.begin(), result.clipFrames.end(), 0u);
  result.mel.resize(size_t(kMelBins) * result.frameCount);
  for (size_t i = 0; i < result.mel.size(); ++i)
    result.mel[i] = float(i % 8191) / 64;
  return result;
}

/// A convolution of one channel whose bias makes padding visible.
double convolve(double before, double at, double behind) { return 0.25 * before + 0.5 * at - 0.125 * behind + 3; }

/// Stride 2, padding 1.
std::vector<double> convolved(const std::vector<double> &input) {
  std::vector<double> result;
  for (size_t at = 0; at < input.size(); at += 2)
    result.push_back(convolve(at ? input[at - 1] : 0, input[at], at + 1 < input.size() ? input[at + 1] : 0));
  return result;
}

/// What three convolutions along time make of bin \p bin, one value per token, from chunks padded with zeros.
std::vector<double> directTokens(const AudioFeatures &features, uint32_t chunkFrames, uint32_t bin) {
  const AudioChunks chunks = chunkAudio(features, chunkFrames);
  std::vector<double> tokens;
  for (uint32_t chunk = 0; chunk < chunks.chunkCount; ++chunk) {
    const float *first = chunks.values.data() + (size_t(chunk) * kMelBins + bin) * chunks.chunkFrames;
    std::vector<double> row = convolved(convolved(convolved({first, first + chunks.chunkFrames})));
    tokens.insert(tokens.end(), row.begin(), row.begin() + chunks.chunkTokens[chunk]);
  }
  return tokens;
}

std::vector<double> gathered(const std::vector<double> &input, const std::vector<int32_t> &taps) {
  std::vector<double> result;
  auto at = [&](int32_t tap) { return tap < 0 ? 0 : input.at(size_t(tap)); };
  for (size_t i = 0; i < taps.size(); i += 3)
    result.push_back(convolve(at(taps[i]), at(taps[i + 1]), at(taps[i + 2])));
  return result;
}

std::vector<double> tableTokens(const std::vector<AudioRun> &runs, uint32_t bin) {
  std::vector<double> tokens;
  for (const AudioRun &run : runs) {
    std::vector<double> frames;
    for (size_t frame = 0; frame < run.frames(); ++frame)
      frames.push_back(run.features[frame * kMelBins + bin]);
    std::vector<double> row = gathered(gathered(gathered(frames, run.taps1), run.taps2), run.taps3);
    tokens.insert(tokens.end(), row.begin(), row.end());
  }
  return tokens;
}

/// Where windows begin in the tokens of all runs, and one behind the last: AudioChunks::windowStarts.
std::vector<uint32_t> windowStarts(const std::vector<AudioRun> &runs) {
  std::vector<uint32_t> starts;
  uint32_t base = 0;
  for (const AudioRun &run : runs) {
    for (size_t token = 0; token < run.tokens(); ++token) {
      const auto begin = uint32_t(run.segments[2 * token]), end = uint32_t(run.segments[2 * token + 1]);
      EXPECT_LE(begin, token);
      EXPECT_GT(end, token);
      EXPECT_LE(end, run.tokens());
      if (starts.empty() || starts.back() != base + begin)
        starts.push_back(base + begin);
    }
    base += uint32_t(run.tokens());
  }
  starts.push_back(base);
  return starts;
}

struct AudioCase {
  const char *name;
  std::vector<uint32_t> clips;
  uint32_t windowChunks = 8;
};

class AudioTablesTest : public testing::TestWithParam<AudioCase> {};

TEST_P(AudioTablesTest, AgreeWithPaddedChunks) {
  const AudioFeatures input = features(GetParam().clips);
  const AudioShape shape = {100, GetParam().windowChunks};
  for (uint64_t maxFrames : {uint64_t(100) * shape.windowChunks, UINT64_MAX}) {
    const auto runs = audioRuns(input, shape, {.frames = maxFrames});
    ASSERT_TRUE(runs.isOk()) << runs.status().message();
    for (uint32_t bin : {0u, 77u})
      EXPECT_EQ(tableTokens(*runs, bin), directTokens(input, 100, bin)) << "bin " << bin << ", runs " << runs->size();
    EXPECT_EQ(windowStarts(*runs), chunkAudio(input, 100, shape.windowChunks).windowStarts);
    uint64_t frames = 0;
    for (const AudioRun &run : *runs) {
      EXPECT_LE(run.frames(), maxFrames);
      frames += run.frames();
      for (size_t token = 1; token < run.tokens(); ++token) // a chunk begins at 0 and counts up to 12
        EXPECT_TRUE(run.times[token] == 0 || run.times[token] == run.times[token - 1] + 1);
    }
    EXPECT_EQ(frames, input.frameCount);
    EXPECT_TRUE(maxFrames < UINT64_MAX || runs->size() == 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Clips, AudioTablesTest,
                         testing::Values(AudioCase{"OneFrame", {1}}, AudioCase{"Short", {60}},
                                         AudioCase{"TwoShort", {60, 37}}, AudioCase{"Whole", {300}},
                                         AudioCase{"Long", {1237}}, AudioCase{"SeveralWindows", {450, 201}, 2},
                                         AudioCase{"ShortBesideLong", {9, 250, 1, 99}, 2}),
                         [](const auto &info) { return info.param.name; });

TEST(AudioTables, PublishedExample) {
  const auto runs = audioRuns(features({1237}), {100, 8});
  ASSERT_TRUE(runs.isOk());
  ASSERT_EQ(runs->size(), 1u);
  EXPECT_EQ(runs->front().tokens(), 161u);
  EXPECT_EQ(windowStarts(*runs), (std::vector<uint32_t>{0, 104, 161}));
  EXPECT_EQ(runs->front().columns1(), 13u * 50);
  EXPECT_EQ(runs->front().columns2(), 13u * 25);
}

TEST(AudioTables, EveryLimitCutsRuns) {
  const AudioFeatures input = features({100, 100, 1});
  for (const AudioRunLimits &limits : {AudioRunLimits{.frames = 199}, AudioRunLimits{.columns1 = 99},
                                       AudioRunLimits{.columns2 = 49}, AudioRunLimits{.tokens = 25}}) {
    const auto runs = audioRuns(input, {100, 2}, limits);
    ASSERT_TRUE(runs.isOk());
    EXPECT_GE(runs->size(), 2u);
    EXPECT_EQ(tableTokens(*runs, 3), directTokens(input, 100, 3));
  }
}

TEST(AudioTables, AWindowThatNoRunTakesIsNamed) {
  const auto runs = audioRuns(features({50, 150}), {100, 2}, {.frames = 149});
  ASSERT_FALSE(runs.isOk());
  EXPECT_NE(runs.status().message().find("audio has 150 frames of 10 ms that belong together, expected at most 149 "
                                         "(--max-audio-seconds of the plan)"),
            std::string::npos)
      << runs.status().message();
}

TEST(AudioTables, NoClipNoRun) { EXPECT_TRUE(audioRuns({}, {100, 8})->empty()); }

//===----------------------------------------------------------------------===//
// Images
//===----------------------------------------------------------------------===//

TEST(VisionTables, PatchesStandInBlocks) {
  const PatchGrid grid = {1, 4, 6};
  const auto runs = visionRuns({&grid, 1}, {2, 48});
  ASSERT_TRUE(runs.isOk());
  ASSERT_EQ(runs->size(), 1u);
  const VisionRun &run = runs->front();
  ASSERT_EQ(run.patches(), 24u);
  const std::vector<int32_t> first = {0, 0, 0, 1, 1, 0, 1, 1, 0, 2, 0, 3, 1, 2, 1, 3};
  EXPECT_EQ(std::vector<int32_t>(run.places.begin(), run.places.begin() + 16), first);
  EXPECT_EQ(std::vector<int32_t>(run.places.end() - 2, run.places.end()), (std::vector<int32_t>{3, 5}));
  for (size_t i = 0; i < 24; ++i) {
    EXPECT_EQ(run.segments[2 * i], 0);
    EXPECT_EQ(run.segments[2 * i + 1], 24);
  }
}

/// A table that is linear in row and column is resampled to the exact position.
TEST(VisionTables, CellsInterpolateBetweenCorners) {
  for (const PatchGrid &grid : {PatchGrid{1, 4, 6}, PatchGrid{1, 2, 96}, PatchGrid{1, 48, 48}, PatchGrid{1, 2, 2}})
    for (uint32_t side : {48u, 5u, 1u}) {
      const auto runs = visionRuns({&grid, 1}, {2, side});
      ASSERT_TRUE(runs.isOk());
      const VisionRun &run = runs->front();
      for (size_t patch = 0; patch < run.patches(); ++patch) {
        double row = 0, column = 0, sum = 0;
        for (size_t tap = 4 * patch; tap < 4 * patch + 4; ++tap) {
          ASSERT_GE(run.cells[tap], 0);
          ASSERT_LT(run.cells[tap], int32_t(side * side));
          row += run.cellWeights[tap] * (run.cells[tap] / int32_t(side));
          column += run.cellWeights[tap] * (run.cells[tap] % int32_t(side));
          sum += run.cellWeights[tap];
        }
        EXPECT_NEAR(row, double(run.places[2 * patch]) * (side - 1) / (grid.height - 1), 1e-4);
        EXPECT_NEAR(column, double(run.places[2 * patch + 1]) * (side - 1) / (grid.width - 1), 1e-4);
        EXPECT_NEAR(sum, 1, 1e-6);
      }
    }
}

TEST(VisionTables, RunsAreCutBetweenFrames) {
  const std::array<PatchGrid, 3> grids = {PatchGrid{3, 2, 4}, PatchGrid{1, 4, 4}, PatchGrid{1, 2, 2}};
  const auto runs = visionRuns(grids, {2, 48}, 20);
  ASSERT_TRUE(runs.isOk());
  std::vector<uint64_t> firsts, sizes;
  for (const VisionRun &run : *runs) {
    firsts.push_back(run.firstPatch);
    sizes.push_back(run.patches());
  }
  EXPECT_EQ(firsts, (std::vector<uint64_t>{0, 16, 24}));
  EXPECT_EQ(sizes, (std::vector<uint64_t>{16, 8, 20}));
  const VisionRun &run = runs->front(); // two frame groups
  EXPECT_EQ(run.segments[14], 0);
  EXPECT_EQ(run.segments[15], 8);
  EXPECT_EQ(run.segments[16], 8);
  EXPECT_EQ(run.segments[17], 16);
  EXPECT_EQ(run.places[16], 0);
}

TEST(VisionTables, AFrameThatNoRunTakesIsNamed) {
  const PatchGrid grid = {1, 4, 4};
  const auto runs = visionRuns({&grid, 1}, {2, 48}, 15);
  ASSERT_FALSE(runs.isOk());
  EXPECT_NE(runs.status().message().find("an image or frame has 16 patches, expected at most 15 (--max-image-pixels"),
            std::string::npos)
      << runs.status().message();
}

} // namespace
