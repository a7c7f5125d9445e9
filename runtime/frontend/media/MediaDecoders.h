//===- MediaDecoders.h - Decoders of media files, loaded when they are needed -----------------------------------===//
//
// The decoders lie in two modules beside the program, so that it starts fast, stays small and runs where the libraries
// of the system are missing: qwenrt-media.so reads sound and images, qwenrt-video.so video files (libav). A module
// exports one function, qwenrtMediaDecoders, that returns its table.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"
#include "runtime/frontend/media/MediaLimits.h"
#include "runtime/frontend/media/Resize.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qwenrt {

/// Takes one frame after the other; an error ends the reading and is returned from it.
using FrameSink = std::function<Status(const RgbImage &)>;

/// Raised with every change of the table below and of MediaLimits; module and program come from one build.
inline constexpr uint32_t kMediaDecodersVersion = 2;

/// Null where a module does not read that.
struct MediaDecoders {
  /// Mono samples at 16 kHz of a sound file (files/AudioFile.h).
  Result<std::vector<float>> (*readAudio)(const std::string &path, const MediaLimits &limits) = nullptr;
  /// Pixels of an image file (files/ImageFile.h).
  Result<RgbImage> (*readImage)(const std::string &path, const MediaLimits &limits) = nullptr;
  /// Frames of a video file, sampled (video/VideoFile.h).
  Status (*readVideoFrames)(const std::string &path, double fps, const MediaLimits &limits,
                            const FrameSink &sink) = nullptr;
  /// Mono samples at 16 kHz of a video file's sound (video/VideoFile.h).
  Result<std::vector<float>> (*readVideoTrack)(const std::string &path, const MediaLimits &limits) = nullptr;
};

/// The decoders in qwenrt-media.so, and with \p withVideo in qwenrt-video.so too. They are looked for in the program's
/// folder, in ../lib from there, and where the system's loader looks; they stay loaded. Unsupported if a module or a
/// library below it is missing; the message holds the loader's reason.
Result<MediaDecoders> loadMediaDecoders(bool withVideo);

/// The table of one module; \p remedy ends the message if it cannot be loaded.
Result<MediaDecoders> loadDecoderModule(const std::string &path, std::string_view remedy);

} // namespace qwenrt
