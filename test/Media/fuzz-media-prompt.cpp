// Prompts and media of every kind and size: what expands must have one position per token and one row per placeholder;
// arbitrary ids must get positions or a reason why not. Bytes: flags, number of clips, images and videos, three bytes
// per medium, then one id per byte.

#include "runtime/frontend/media/MediaPrompt.h"

#include <cmath>
#include <cstdlib>

using namespace qwenrt;

namespace {

/// The bytes one after the other, zeros behind them.
struct Bytes {
  std::span<const uint8_t> left;
  uint8_t next() {
    if (left.empty())
      return 0;
    const uint8_t byte = left[0];
    left = left.subspan(1);
    return byte;
  }
};

void check(const MediaPositions &positions, size_t tokenCount) {
  if (positions.values.size() != 3 * tokenCount)
    std::abort();
  for (float value : positions.values)
    if (std::isfinite(positions.next) && !(value < positions.next))
      std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t sizeBytes) {
  Bytes bytes{{data, sizeBytes}};
  const MediaTokenIds tokens{0, 1, 2, 3, 4, 5, 6};
  const uint8_t flags = bytes.next();
  MediaSpans spans;
  spans.audioInVideo = flags & 1;
  spans.audioFrames.resize(bytes.next() % 4);
  spans.images.resize(bytes.next() % 4);
  spans.videos.resize(bytes.next() % 4);
  for (uint32_t &frames : spans.audioFrames)
    frames = bytes.next() * (flags & 2 ? 0x1000000u : 1u);
  for (PatchGrid &grid : spans.images)
    grid = {bytes.next() % 3u, bytes.next() % 16u * 2, bytes.next() % 16u * 2};
  for (VideoSpan &video : spans.videos)
    video = {{bytes.next() % 9u, bytes.next() % 16u * 2, 6}, bytes.next() / 12.0};
  std::vector<int32_t> ids;
  for (uint8_t byte : bytes.left)
    ids.push_back(byte % 9);

  const MediaPromptOptions options{.firstPosition = float(flags >> 2), .maxTokens = 4096};
  if (Result<MediaPrompt> prompt = expandMedia(ids, tokens, spans, options)) {
    check(prompt->positions, prompt->ids.size());
    if (prompt->ids.size() > options.maxTokens)
      std::abort();
  }
  for (AudioInVideoPositions rule : {AudioInVideoPositions::Merged, AudioInVideoPositions::Counted})
    if (Result<MediaPositions> positions = mediaPositions(ids, tokens, spans, 0, rule))
      check(*positions, ids.size());
  return 0;
}
