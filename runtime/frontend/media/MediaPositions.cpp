#include "runtime/frontend/media/MediaPositions.h"

#include "runtime/frontend/Tokenizer.h"
#include "runtime/frontend/media/AudioFeatures.h"
#include "runtime/lib/Text.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <tuple>
#include <utility>

namespace qwenrt {
namespace {

constexpr float kPositionsPerSecond = 13; // position_id_per_seconds; the rate of audio tokens

using Column = std::array<float, 3>;

/// The positions of a video, or with time 1 of an image, at \p base.
std::vector<Column> visualBlock(const PatchGrid &grid, uint32_t merge, float secondsPerGrid, float base) {
  std::vector<Column> block;
  block.reserve(grid.tokens(merge));
  for (uint32_t k = 0; k < grid.time; ++k) {
    // A statement of its own: contracted to one multiply-add the sum would be rounded differently.
    const float time = float(k) * secondsPerGrid * kPositionsPerSecond;
    for (uint32_t y = 0; y < grid.height / merge; ++y)
      for (uint32_t x = 0; x < grid.width / merge; ++x)
        block.push_back({time + base, base + float(y), base + float(x)});
  }
  return block;
}

std::vector<Column> countedBlock(uint64_t count, float base) {
  std::vector<Column> block(count);
  for (uint64_t i = 0; i < count; ++i)
    block[i].fill(base + float(i));
  return block;
}

/// Walks over the ids once; every medium is a block of columns.
class PositionWalk {
public:
  PositionWalk(std::span<const int32_t> ids, const MediaTokenIds &tokens, const MediaSpans &spans, float first,
               AudioInVideoPositions rule)
      : ids_(ids), tokens_(tokens), spans_(spans), rule_(rule), next_(first), largest_(first - 1) {
    for (std::vector<float> &axis : axes_)
      axis.reserve(ids.size());
  }

  Result<MediaPositions> run() {
    while (place() < ids_.size())
      QWENRT_RETURN_IF_ERROR(step());
    QWENRT_RETURN_IF_ERROR(checkAllUsed());
    MediaPositions positions;
    positions.next = largest_ + 1;
    for (const std::vector<float> &axis : axes_)
      positions.values.insert(positions.values.end(), axis.begin(), axis.end());
    return positions;
  }

private:
  size_t place() const { return axes_[0].size(); }

  Status step() {
    const int32_t id = ids_[place()];
    if (id == tokens_.audioPad)
      return audio();
    if (id == tokens_.imagePad)
      return image();
    if (id == tokens_.videoPad)
      return video();
    const size_t begin = place();
    size_t end = begin;
    while (end < ids_.size() && !isPad(ids_[end]) && !isTrackBegin(end))
      ++end;
    const bool merged = end < ids_.size() && isTrackBegin(end);
    appendText(end - begin, end == ids_.size() || merged ? 0 : 1);
    if (!merged)
      return Status::ok();
    appendText(2, 2);
    return audioInVideo();
  }

  bool isPad(int32_t id) const { return id == tokens_.audioPad || id == tokens_.imagePad || id == tokens_.videoPad; }

  /// True if a video with its track begins at \p at.
  bool isTrackBegin(size_t at) const {
    return spans_.audioInVideo && ids_[at] == tokens_.visionStart && at + 1 < ids_.size() &&
           ids_[at + 1] == tokens_.audioStart;
  }

  /// Text and marks; the last \p beginMarks tokens belong to the medium that follows. The reference adds up in these
  /// portions, and with fractions it shows in the last bit.
  void appendText(size_t count, size_t beginMarks) {
    const size_t endMarks = std::min(endMarks_, count - beginMarks);
    append(countedBlock(endMarks, next_));
    for (size_t part : {count - beginMarks - endMarks, beginMarks}) {
      const float base = next_;
      append(countedBlock(part, base));
      next_ = base + float(part);
    }
    endMarks_ = 0;
  }

  Status audio() {
    if (audio_ == spans_.audioFrames.size())
      return tooMany("audio clips", audio_);
    const uint64_t count = audioTokenCount(spans_.audioFrames[audio_++]);
    QWENRT_RETURN_IF_ERROR(expectRun(count, {tokens_.audioPad}));
    append(countedBlock(count, next_));
    endMarks_ = 1;
    return Status::ok();
  }

  Status image() {
    if (image_ == spans_.images.size())
      return tooMany("images", image_);
    const PatchGrid &grid = spans_.images[image_++];
    QWENRT_RETURN_IF_ERROR(expectRun(grid.tokens(spans_.merge), {tokens_.imagePad}));
    append(visualBlock(grid, spans_.merge, 1, next_));
    endMarks_ = 1;
    return Status::ok();
  }

  Status video() {
    if (video_ == spans_.videos.size())
      return tooMany("videos", video_);
    const VideoSpan &video = spans_.videos[video_++];
    QWENRT_RETURN_IF_ERROR(expectRun(video.grid.tokens(spans_.merge), {tokens_.videoPad}));
    append(visualBlock(video.grid, spans_.merge, static_cast<float>(video.secondsPerGrid), next_));
    endMarks_ = 1;
    return Status::ok();
  }

  Status audioInVideo() {
    if (video_ == spans_.videos.size())
      return tooMany("videos", video_);
    if (audio_ == spans_.audioFrames.size())
      return tooMany("audio clips", audio_);
    const VideoSpan &video = spans_.videos[video_++];
    const uint64_t audioCount = audioTokenCount(spans_.audioFrames[audio_++]);
    QWENRT_RETURN_IF_ERROR(
        expectRun(video.grid.tokens(spans_.merge) + audioCount, {tokens_.audioPad, tokens_.videoPad}));
    if (rule_ == AudioInVideoPositions::Counted)
      append(countedBlock(video.grid.tokens(spans_.merge) + audioCount, next_));
    else
      appendMerged(visualBlock(video.grid, spans_.merge, static_cast<float>(video.secondsPerGrid), next_),
                   countedBlock(audioCount, next_));
    endMarks_ = 2;
    return Status::ok();
  }

  /// Column by column while both last; the rest is one block.
  void appendMerged(std::span<const Column> video, std::span<const Column> audio) {
    while (!video.empty() && !audio.empty()) {
      std::span<const Column> &earlier = video[0][0] <= audio[0][0] ? video : audio;
      append(earlier.first(1));
      earlier = earlier.subspan(1);
    }
    append(video.empty() ? audio : video);
  }

  void append(std::span<const Column> block) {
    if (block.empty())
      return;
    float largest = block[0][0];
    for (const Column &column : block)
      for (int axis = 0; axis < 3; ++axis) {
        axes_[axis].push_back(column[axis]);
        largest = std::max(largest, column[axis]);
      }
    next_ = largest + 1;
    largest_ = std::max(largest_, largest);
  }

  Status expectRun(uint64_t count, std::initializer_list<int32_t> pads) const {
    uint64_t found = 0;
    while (found < count && place() + found < ids_.size() &&
           std::find(pads.begin(), pads.end(), ids_[place() + found]) != pads.end())
      ++found;
    if (found == count && count > 0)
      return Status::ok();
    return {StatusCode::InvalidInput, text("found ", found, " placeholders at token ", place(), ", expected ", count,
                                           " for the medium there, expand the placeholders by the media's sizes")};
  }

  Status tooMany(std::string_view what, size_t expected) const {
    return {StatusCode::InvalidInput,
            text("found a placeholder at token ", place(), " behind those of ", expected, " ", what,
                 ", expected one per medium, give one more or take the placeholder out")};
  }

  Status checkAllUsed() const {
    for (auto [what, used, given] :
         {std::tuple{"audio clips", audio_, spans_.audioFrames.size()},
          std::tuple{"images", image_, spans_.images.size()}, std::tuple{"videos", video_, spans_.videos.size()}})
      if (used < given)
        return {StatusCode::InvalidInput, text("the prompt has placeholders for ", used, " of ", given, " ", what,
                                               ", expected one for each, add placeholders or give fewer")};
    return Status::ok();
  }

  std::span<const int32_t> ids_;
  const MediaTokenIds &tokens_;
  const MediaSpans &spans_;
  AudioInVideoPositions rule_;
  float next_, largest_;
  std::array<std::vector<float>, 3> axes_;
  size_t audio_ = 0, image_ = 0, video_ = 0;
  size_t endMarks_ = 0; // how many marks close the medium before
};

} // namespace

Result<MediaTokenIds> MediaTokenIds::fromTokenizer(const Tokenizer &tokenizer) {
  MediaTokenIds ids;
  for (auto [name, id] : {std::pair{"<|audio_start|>", &ids.audioStart}, std::pair{"<|audio_end|>", &ids.audioEnd},
                          std::pair{"<|audio_pad|>", &ids.audioPad}, std::pair{"<|vision_start|>", &ids.visionStart},
                          std::pair{"<|vision_end|>", &ids.visionEnd}, std::pair{"<|image_pad|>", &ids.imagePad},
                          std::pair{"<|video_pad|>", &ids.videoPad}}) {
    const std::optional<int32_t> found = tokenizer.addedTokenId(name);
    if (!found)
      return Status(StatusCode::InvalidInput, text("the tokenizer has no token ", name,
                                                   ", expected one in a model that takes media, use text only"));
    *id = *found;
  }
  return ids;
}

Result<MediaPositions> mediaPositions(std::span<const int32_t> ids, const MediaTokenIds &tokens,
                                      const MediaSpans &spans, float first, AudioInVideoPositions rule) {
  return PositionWalk(ids, tokens, spans, first, rule).run();
}

MediaPositions textPositions(uint32_t tokenCount, float first) {
  MediaPositions positions;
  for (int axis = 0; axis < 3; ++axis)
    for (uint32_t i = 0; i < tokenCount; ++i)
      positions.values.push_back(first + float(i));
  positions.next = first + float(tokenCount);
  return positions;
}

} // namespace qwenrt
