//===- AudioTables.h - Log-mel frames to the runs of the audio encoder
//----------------------------------------------===//
//
// The convolutions of the encoder see each chunk of a clip by itself, padded with zeros to the longest chunk of the
// turn. An encoder that takes the frames of all chunks side by side needs tables instead of padding: which columns of
// its input a column of a convolution's result is made of (kernel 3, stride 2, padding 1 along time). Padding of the
// chunk is -1 for the first convolution alone: behind it the padded columns are no longer zero.
//
// More frames than one run takes are encoded in several runs, cut between attention windows, which never see each
// other. The chunks' width is that of the whole turn in all of them.
//
// Source: Hugging Face transformers, Qwen3OmniMoeAudioEncoder; plan.fbs says how a plan names these tensors.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/frontend/media/AudioFeatures.h"

namespace qwenrt {

/// How an encoder cuts clips.
struct AudioShape {
  uint32_t chunkFrames = 100; ///< mel frames that meet the convolutions together
  uint32_t windowChunks = 8;  ///< chunks that see each other
};

/// What one run takes at most.
struct AudioRunLimits {
  uint64_t frames = UINT64_MAX;
  uint64_t columns1 = UINT64_MAX, columns2 = UINT64_MAX; ///< of the first two convolutions' results
  uint64_t tokens = UINT64_MAX;
};

/// One run of the encoder, its tensors row-major. A column is a step of time in a convolution's result.
struct AudioRun {
  std::vector<float> features;   ///< [frames, kMelBins]
  std::vector<int32_t> taps1;    ///< [columns1, 3]: frames of this run, or -1
  std::vector<int32_t> taps2;    ///< [columns2, 3]: columns of the first convolution, or -1
  std::vector<int32_t> taps3;    ///< [tokens, 3]: columns of the second convolution, or -1
  std::vector<int32_t> times;    ///< [tokens]: place of a token in its chunk
  std::vector<int32_t> segments; ///< [tokens, 2]: the first token of its window and the one behind the last

  uint64_t frames() const { return features.size() / kMelBins; }
  uint64_t columns1() const { return taps1.size() / 3; }
  uint64_t columns2() const { return taps2.size() / 3; }
  uint64_t tokens() const { return times.size(); }
};

/// The runs that encode \p features; their tokens one behind the other are those of the clips. All numbers of \p shape
/// are above 0. InvalidInput if one window alone exceeds \p limits.
Result<std::vector<AudioRun>> audioRuns(const AudioFeatures &features, const AudioShape &shape,
                                        const AudioRunLimits &limits = {});

} // namespace qwenrt
