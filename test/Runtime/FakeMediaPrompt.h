//===- FakeMediaPrompt.h - What fakeMediaModel() makes of a prepared prompt
//-----------------------------------------===//
#pragma once

#include "TestPlan.h"
#include "runtime/frontend/media/MediaTurn.h"

namespace qwenrt::test {

inline const std::string kMediaFolder = QWENC_SOURCE_DIR "/test/Media/data/";

/// The sum that each media row adds: rows of 4 values, as fakeMediaModel() says.
inline std::vector<float> fakeMediaRows(const EncoderPrompt &prompt) {
  std::vector<float> rows;
  for (const AudioRun &run : prompt.audio)
    for (size_t token = 0; token < run.tokens(); ++token)
      rows.push_back(run.features[4 * token]);
  for (auto [runs, pixels] :
       {std::pair{&prompt.images, &prompt.imagePixels}, std::pair{&prompt.videos, &prompt.videoPixels}}) {
    std::vector<float> patches(pixels->patchCount * prompt.vision.patchValues());
    writePatches(*pixels, prompt.vision, 0, patches);
    for (const VisionRun &run : *runs)
      for (size_t token = 0; token < run.patches() / 4; ++token)
        rows.push_back(patches[run.firstPatch * 1536 + 4 * token] + run.cellWeights[4 * token]);
  }
  return rows;
}

/// The history of \p prompt as the caches hold it.
inline std::vector<int32_t> fakePlacedPrompt(const EncoderPrompt &prompt) {
  const std::vector<float> rows = fakeMediaRows(prompt);
  const std::vector<float> &at = prompt.prompt.positions.values;
  const size_t count = prompt.prompt.ids.size();
  std::vector<int32_t> placed;
  for (size_t i = 0; i < count; ++i)
    placed.push_back(fakePlacedToken(prompt.prompt.ids[i], at[i], at[count + i], at[2 * count + i],
                                     prompt.rows[i] < 0 ? 0 : rows.at(size_t(prompt.rows[i]))));
  return placed;
}

/// The next \p count tokens; \p placed grows by them, each at its index plus \p delta.
inline std::vector<int32_t> fakeReply(std::vector<int32_t> &placed, size_t count, float delta) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < count; ++i) {
    tokens.push_back(fakeNextToken(placed));
    const float at = float(placed.size()) + delta;
    placed.push_back(fakePlacedToken(tokens.back(), at, at, at));
  }
  return tokens;
}

} // namespace qwenrt::test
