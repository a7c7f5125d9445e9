#include "runtime/frontend/media/AudioTables.h"

#include "runtime/lib/Text.h"

#include <algorithm>

namespace qwenrt {
namespace {

/// Steps of time that a convolution leaves of \p columns.
uint32_t halved(uint32_t columns) { return (columns - 1) / 2 + 1; }

/// Up to AudioShape::windowChunks chunks of one clip.
struct Window {
  uint32_t firstFrame; ///< in the features of the turn
  uint32_t frames;
};

/// Appends the tables of windows to a run.
class RunBuilder {
public:
  RunBuilder(const AudioFeatures &features, uint32_t chunkFrames, uint32_t width)
      : features_(features), chunkFrames_(chunkFrames), width1_(halved(width)), width2_(halved(width1_)) {}

  /// What \p window would add to a run.
  AudioRunLimits sizeOf(const Window &window) const {
    const uint64_t chunks = (uint64_t(window.frames) + chunkFrames_ - 1) / chunkFrames_;
    uint64_t tokens = 0;
    for (uint32_t first = 0; first < window.frames; first += chunkFrames_)
      tokens += tokensOf(std::min(chunkFrames_, window.frames - first));
    return {window.frames, chunks * width1_, chunks * width2_, tokens};
  }

  void append(const Window &window, AudioRun &run) const {
    const auto firstToken = int32_t(run.tokens());
    for (uint32_t first = 0; first < window.frames; first += chunkFrames_)
      appendChunk(window.firstFrame + first, std::min(chunkFrames_, window.frames - first), run);
    for (auto token = firstToken; token < int32_t(run.tokens()); ++token)
      run.segments.insert(run.segments.end(), {firstToken, int32_t(run.tokens())});
  }

private:
  static uint32_t tokensOf(uint32_t frames) { return halved(halved(halved(frames))); }

  void appendChunk(uint32_t firstFrame, uint32_t frames, AudioRun &run) const {
    const auto base0 = int32_t(run.frames()), base1 = int32_t(run.columns1()), base2 = int32_t(run.columns2());
    run.features.resize(run.features.size() + size_t(frames) * kMelBins);
    float *to = run.features.data() + run.features.size() - size_t(frames) * kMelBins;
    for (uint32_t frame = firstFrame; frame < firstFrame + frames; ++frame)
      for (uint32_t bin = 0; bin < kMelBins; ++bin)
        *to++ = features_.mel[size_t(bin) * features_.frameCount + frame];
    appendTaps(width1_, frames, base0, run.taps1);
    appendTaps(width2_, width1_, base1, run.taps2);
    appendTaps(tokensOf(frames), width2_, base2, run.taps3);
    for (uint32_t token = 0; token < tokensOf(frames); ++token)
      run.times.push_back(int32_t(token));
  }

  /// For \p columns columns of a result, of an input of \p inputColumns columns that begins at \p base.
  static void appendTaps(uint32_t columns, uint32_t inputColumns, int32_t base, std::vector<int32_t> &taps) {
    for (int64_t column = 0; column < columns; ++column)
      for (int64_t input = 2 * column - 1; input <= 2 * column + 1; ++input)
        taps.push_back(input >= 0 && input < inputColumns ? base + int32_t(input) : -1);
  }

  const AudioFeatures &features_;
  uint32_t chunkFrames_, width1_, width2_;
};

std::vector<Window> windowsOf(const AudioFeatures &features, const AudioShape &shape) {
  std::vector<Window> windows;
  const uint64_t windowFrames = uint64_t(shape.chunkFrames) * shape.windowChunks;
  uint32_t column = 0;
  for (uint32_t clipFrames : features.clipFrames) {
    for (uint64_t first = 0; first < clipFrames; first += windowFrames)
      windows.push_back({column + uint32_t(first), uint32_t(std::min<uint64_t>(windowFrames, clipFrames - first))});
    column += clipFrames;
  }
  return windows;
}

bool exceeds(const AudioRunLimits &size, const AudioRunLimits &limits) {
  return size.frames > limits.frames || size.columns1 > limits.columns1 || size.columns2 > limits.columns2 ||
         size.tokens > limits.tokens;
}

} // namespace

Result<std::vector<AudioRun>> audioRuns(const AudioFeatures &features, const AudioShape &shape,
                                        const AudioRunLimits &limits) {
  uint32_t width = 1;
  for (uint32_t clipFrames : features.clipFrames)
    width = std::max(width, std::min(shape.chunkFrames, clipFrames));
  const RunBuilder builder(features, shape.chunkFrames, width);
  std::vector<AudioRun> runs;
  for (const Window &window : windowsOf(features, shape)) {
    AudioRunLimits size = builder.sizeOf(window);
    if (exceeds(size, limits))
      return Status(StatusCode::InvalidInput,
                    text("audio has ", size.frames, " frames of 10 ms that see each other, expected at most ",
                         limits.frames, " in one run of the encoder, give a shorter clip"));
    if (!runs.empty()) {
      const AudioRun &last = runs.back();
      size = {size.frames + last.frames(), size.columns1 + last.columns1(), size.columns2 + last.columns2(),
              size.tokens + last.tokens()};
    }
    if (runs.empty() || exceeds(size, limits))
      runs.emplace_back();
    builder.append(window, runs.back());
  }
  return runs;
}

} // namespace qwenrt
