#include "runtime/frontend/media/MediaPrompt.h"

#include "runtime/frontend/media/AudioFeatures.h"
#include "runtime/lib/Text.h"

#include <algorithm>

namespace qwenrt {
namespace {

constexpr double kAudioTokensPerSecond = 13;

/// Replaces placeholders one after the other; counts first, so that nothing is written that has no room.
class Expansion {
public:
  Expansion(std::span<const int32_t> ids, const MediaTokenIds &tokens, const MediaSpans &spans, uint64_t maxTokens)
      : ids_(ids), tokens_(tokens), spans_(spans), maxTokens_(maxTokens) {}

  Result<std::vector<int32_t>> run() {
    QWENRT_RETURN_IF_ERROR(checkCounts());
    QWENRT_RETURN_IF_ERROR(checkLength());
    for (place_ = 0; place_ < ids_.size(); ++place_) {
      const int32_t id = ids_[place_];
      if (id == tokens_.audioPad)
        expanded_.insert(expanded_.end(), audioTokenCount(spans_.audioFrames[audio_++]), id);
      else if (id == tokens_.imagePad)
        expanded_.insert(expanded_.end(), spans_.images[image_++].tokens(spans_.merge), id);
      else if (id == tokens_.videoPad && spans_.audioInVideo)
        QWENRT_RETURN_IF_ERROR(videoWithTrack());
      else if (id == tokens_.videoPad)
        expanded_.insert(expanded_.end(), spans_.videos[video_++].grid.tokens(spans_.merge), id);
      else
        expanded_.push_back(id);
    }
    return std::move(expanded_);
  }

private:
  Status checkCounts() const {
    auto count = [&](int32_t id) { return static_cast<size_t>(std::count(ids_.begin(), ids_.end(), id)); };
    const size_t tracks = spans_.audioInVideo ? spans_.videos.size() : 0;
    if (spans_.audioFrames.size() < tracks)
      return {StatusCode::InvalidInput,
              text("found ", spans_.audioFrames.size(), " audio clips for ", tracks,
                   " videos, expected a track for each, give more or leave --use-audio-in-video out")};
    QWENRT_RETURN_IF_ERROR(
        checkCount("<|audio_pad|>", count(tokens_.audioPad), "audio clips", spans_.audioFrames.size() - tracks));
    QWENRT_RETURN_IF_ERROR(checkCount("<|image_pad|>", count(tokens_.imagePad), "images", spans_.images.size()));
    return checkCount("<|video_pad|>", count(tokens_.videoPad), "videos", spans_.videos.size());
  }

  static Status checkCount(std::string_view placeholder, size_t placeholders, std::string_view media, size_t given) {
    if (placeholders == given)
      return Status::ok();
    return {StatusCode::InvalidInput, text("the prompt has ", placeholders, " placeholders ", placeholder, " for ",
                                           given, " ", media, ", expected one for each, ",
                                           placeholders < given ? "add placeholders or give fewer media"
                                                                : "give more media or take placeholders out")};
  }

  Status checkLength() const {
    uint64_t length = ids_.size();
    auto add = [&](uint64_t tokens) { length = tokens > maxTokens_ ? maxTokens_ + 1 : length + tokens - 1; };
    for (size_t i = 0; i < spans_.audioFrames.size(); ++i) {
      if (spans_.audioFrames[i] == 0)
        return empty("audio clip", i);
      add(audioTokenCount(spans_.audioFrames[i]));
    }
    for (size_t i = 0; i < spans_.images.size(); ++i) {
      if (spans_.images[i].tokens(spans_.merge) == 0)
        return empty("image", i);
      add(spans_.images[i].tokens(spans_.merge));
    }
    for (size_t i = 0; i < spans_.videos.size(); ++i) {
      if (spans_.videos[i].grid.tokens(spans_.merge) == 0)
        return empty("video", i);
      add(spans_.videos[i].grid.tokens(spans_.merge));
    }
    if (spans_.audioInVideo)
      length += 3 * spans_.videos.size(); // the marks of the tracks, and the tracks are no placeholders
    if (length <= maxTokens_)
      return Status::ok();
    return {StatusCode::InvalidInput, text("the prompt with its media has ", length, " tokens, expected at most ",
                                           maxTokens_, " (the room in the context), give shorter or smaller media")};
  }

  static Status empty(std::string_view what, size_t index) {
    return {StatusCode::InvalidInput, text(what, " ", index, " makes no token, expected at least one, leave it out")};
  }

  /// The video's opening mark is written already; its closing mark follows as any token.
  Status videoWithTrack() {
    if (place_ == 0 || ids_[place_ - 1] != tokens_.visionStart || place_ + 1 == ids_.size() ||
        ids_[place_ + 1] != tokens_.visionEnd)
      return {StatusCode::InvalidInput,
              text("the placeholder of video ", video_,
                   " stands alone, expected <|vision_start|> before and <|vision_end|> behind "
                   "it for a video with its track, write the marks")};
    const VideoSpan &video = spans_.videos[video_++];
    const uint64_t perStep = video.grid.tokens(spans_.merge) / video.grid.time;
    const uint32_t audioCount = audioTokenCount(spans_.audioFrames[audio_++]);
    expanded_.push_back(tokens_.audioStart);
    uint32_t audio = 0;
    for (uint32_t step = 0; step < video.grid.time; ++step) {
      const double time = step * video.secondsPerGrid * kAudioTokensPerSecond;
      for (; audio < audioCount && double(audio) < time; ++audio)
        expanded_.push_back(tokens_.audioPad);
      expanded_.insert(expanded_.end(), perStep, tokens_.videoPad);
    }
    expanded_.insert(expanded_.end(), audioCount - audio, tokens_.audioPad);
    expanded_.push_back(tokens_.audioEnd);
    return Status::ok();
  }

  std::span<const int32_t> ids_;
  const MediaTokenIds &tokens_;
  const MediaSpans &spans_;
  uint64_t maxTokens_;
  std::vector<int32_t> expanded_;
  size_t place_ = 0, audio_ = 0, image_ = 0, video_ = 0;
};

} // namespace

std::string renderContent(std::span<const ContentPart> parts) {
  std::string content;
  for (const ContentPart &part : parts)
    content += std::holds_alternative<Media>(part) ? mediaPart(std::get<Media>(part)) : std::get<std::string>(part);
  return content;
}

Result<MediaPrompt> expandMedia(std::span<const int32_t> ids, const MediaTokenIds &tokens, const MediaSpans &spans,
                                const MediaPromptOptions &options) {
  MediaPrompt prompt;
  QWENRT_ASSIGN_OR_RETURN(prompt.ids, Expansion(ids, tokens, spans, options.maxTokens).run());
  QWENRT_ASSIGN_OR_RETURN(prompt.positions, mediaPositions(prompt.ids, tokens, spans, options.firstPosition));
  for (uint32_t i = 0; i < prompt.ids.size(); ++i) {
    if (prompt.ids[i] == tokens.audioPad)
      prompt.audioRows.push_back(i);
    else if (prompt.ids[i] == tokens.imagePad)
      prompt.imageRows.push_back(i);
    else if (prompt.ids[i] == tokens.videoPad)
      prompt.videoRows.push_back(i);
  }
  return prompt;
}

} // namespace qwenrt
