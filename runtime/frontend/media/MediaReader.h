//===- MediaReader.h - The media of one turn --------------------------------------------------------------------===//
//
// Collects the media that the options of a command name, in their order, and makes of them what the encoders take. All
// clips of a turn are one call of the audio encoder, all images one and all videos one of the vision encoder.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/frontend/media/AudioFeatures.h"
#include "runtime/frontend/media/MediaDecoders.h"
#include "runtime/frontend/media/MediaPrompt.h"
#include "runtime/frontend/media/VisionFeatures.h"

#include <optional>

namespace qwenrt {

struct MediaReaderOptions {
  VisionOptions vision; ///< with --min-pixels and --max-pixels in both ranges
  MediaLimits limits;
  /// Frames per second: of a folder the rate at which its frames stand, of a file the rate at which it is sampled. Not
  /// given, files are sampled at 2, but positions count as at 1: what the reference does.
  std::optional<double> fps;
  /// Videos bring their sound: a file its own track, a folder the next clip that is added.
  bool audioInVideo = false;
};

/// One turn's input of the encoders, and what the language model has to know of it.
struct MediaInputs {
  AudioFeatures audio; ///< empty without clips
  VisionFeatures images, videos;
  MediaSpans spans;
};

class MediaReader {
public:
  MediaReader(const MediaDecoders &decoders, const MediaReaderOptions &options)
      : decoders_(decoders), options_(options) {}

  const MediaReaderOptions &options() const { return options_; }
  /// Forgets what was added.
  void clear() { *this = MediaReader(decoders_, options_); }
  /// Replaces the decoders, for programs that load those of video files only when one comes.
  void setDecoders(const MediaDecoders &decoders) { decoders_ = decoders; }

  // Each reads one file now; after an error the reader is as before. Messages start with its path. Errors are those of
  // the decoders and of VisionFeatures.h.
  Status addAudio(const std::string &path);
  Status addImage(const std::string &path);
  /// A video file, or a folder whose images (.png, .jpg, .jpeg, .webp) are its frames in the order of their names.
  /// InvalidUsage for a rate that is not above 0.
  Status addVideo(const std::string &path);

  /// The kinds of media that have a placeholder, as added: the content parts before the text of a turn.
  const std::vector<Media> &parts() const { return parts_; }

  /// What was added; the reader is empty then. \p order gives the placeholders as they stand in the prompt, for prompts
  /// that the user wrote (placeholderOrder); without it they stand as parts(). InvalidUsage for a rate that is not
  /// above 0; InvalidInput if a folder lacks its track, or order and media do not agree; errors of logMelFeatures.
  Result<MediaInputs> finish(std::optional<std::vector<Media>> order = std::nullopt);

private:
  using Samples = std::vector<float>;
  Status readVideo(const std::string &path);
  Status addFolder(const std::string &path, VideoPatcher &patcher);

  MediaDecoders decoders_;
  MediaReaderOptions options_;
  std::vector<Media> parts_;
  std::vector<Samples> clips_;                 ///< with a placeholder of their own
  std::vector<std::optional<Samples>> tracks_; ///< of each video, where videos bring their sound
  VisionFeatures images_, videos_;
};

/// The placeholders in \p ids in their order.
std::vector<Media> placeholderOrder(std::span<const int32_t> ids, const MediaTokenIds &tokens);

} // namespace qwenrt
