//===- MediaPositions.h - Multimodal rotary positions -----------------------------------------------------------===//
//
// Each token has a position along time, height and width (M-RoPE). Text, the marks around media and audio advance all
// three by one per token. A medium begins one behind all before it; its own positions are, relative to that begin,
//   audio: 0, 1, 2 ... on all axes;
//   image: time 0, height and width the place in the merged grid;
//   video: time k * secondsPerGrid * 13 for its k-th pair of frames, height and width as an image;
//   audio in video: both of these merged by time, video first where they are equal.
// What follows begins one behind the maximum of the medium (of its last uninterrupted part where audio and video
// alternate). Positions are floats and can be fractions. A prompt without images and videos counts 0, 1, 2 ...
//
// Source: Hugging Face transformers, get_rope_index of Qwen3OmniMoeThinker.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"
#include "runtime/frontend/media/VisionFeatures.h"

#include <cstdint>
#include <span>
#include <vector>

namespace qwenrt {

class Tokenizer;

/// The ids of the added tokens around media.
struct MediaTokenIds {
  int32_t audioStart = -1, audioEnd = -1, audioPad = -1;
  int32_t visionStart = -1, visionEnd = -1, imagePad = -1, videoPad = -1;

  /// Looked up by their names, "<|audio_start|>" and so on. InvalidInput if one is missing: the model takes no media.
  static Result<MediaTokenIds> fromTokenizer(const Tokenizer &tokenizer);
};

/// One video as the language model sees it.
struct VideoSpan {
  PatchGrid grid;
  /// Seconds between two steps of the grid: the frames of a patch over the frames per second.
  double secondsPerGrid = 1;
};

/// What the placeholders of a prompt stand for, each kind in its order of appearance.
struct MediaSpans {
  std::vector<uint32_t> audioFrames = {}; ///< valid mel frames of each clip (AudioFeatures::clipFrames)
  std::vector<PatchGrid> images = {};
  std::vector<VideoSpan> videos = {};
  /// Every video takes the next clip as its track; that clip has no placeholder of its own.
  bool audioInVideo = false;
  uint32_t merge = 2; ///< patches along a side of a merged token
};

enum class AudioInVideoPositions {
  Merged,  ///< as described above
  Counted, ///< 0, 1, 2 ...: as the reference gives the talker, which is not told that the two are interleaved
};

/// Positions of the tokens of one turn or prompt.
struct MediaPositions {
  std::vector<float> values; ///< [3, n], row-major: time, height, width
  /// Where the token behind them stands, on all axes: one more than the largest position.
  float next = 0;

  /// What added to the index of a later token in the whole sequence gives its position; \p tokenCount tokens lie before
  /// `next`, earlier turns included.
  float delta(uint64_t tokenCount) const { return next - static_cast<float>(tokenCount); }
};

/// The positions of \p ids, in which every placeholder is expanded (expandMedia of MediaPrompt.h). \p first is the
/// position of the first token: 0, or `next` of what the caches hold already. InvalidInput if runs of placeholders and
/// \p spans do not agree.
Result<MediaPositions> mediaPositions(std::span<const int32_t> ids, const MediaTokenIds &tokens,
                                      const MediaSpans &spans, float first = 0,
                                      AudioInVideoPositions rule = AudioInVideoPositions::Merged);

/// The positions of a stretch of text at \p first.
MediaPositions textPositions(uint32_t tokenCount, float first);

} // namespace qwenrt
