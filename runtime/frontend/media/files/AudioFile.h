//===- AudioFile.h - Sound files to waveforms -------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"
#include "runtime/frontend/media/MediaLimits.h"

#include <string>
#include <vector>

namespace qwenrt {

/// The mono samples of \p path at 16 kHz (Resampler.h), in about -1 .. 1; integers are divided by their range, so
/// 16-bit samples by 32768. WAV, AIFF, FLAC, Ogg (Vorbis, Opus) and MP3, through libsndfile. Messages start with the
/// path. Errors: NotFound, Io; InvalidInput if the file is broken, empty or longer than limits.maxAudioSeconds;
/// Unsupported for other formats.
Result<std::vector<float>> readAudio(const std::string &path, const MediaLimits &limits = {});

} // namespace qwenrt
