//===- VideoFile.h - Video files to frames and sound ------------------------------------------------------------===//
//
// Through libav, over the one given file: no demuxer may open another file or a network address, so play lists are
// refused. Frames are converted to RGB with the colour matrix the file names; the rotation that a camera noted is not
// applied, as PyAV, through which the reference reads videos, does not apply it.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/frontend/media/MediaDecoders.h"

#include <string>
#include <vector>

namespace qwenrt {

/// Which of \p frameCount frames are taken of a file that lasts \p durationSeconds: durationSeconds * fps of them,
/// rounded to even, at least 4, at most 768 and \p maxFrames, and no more than there are; evenly spaced with both ends
/// included. Ascending; empty without frames.
std::vector<uint64_t> sampledFrames(uint64_t frameCount, double durationSeconds, double fps, uint32_t maxFrames);

/// Gives the sampled frames of the first video stream of \p path to \p sink. Frames that turn out to be missing at the
/// end are replaced by the last one there is. Messages start with the path. Errors: NotFound, Io; InvalidInput if the
/// file is no video, broken, has a frame above limits.maxDecodedPixels or more than limits.maxDecodedFrames frames.
Status readVideoFrames(const std::string &path, double fps, const MediaLimits &limits, const FrameSink &sink);

/// The first sound stream of \p path, mono at 16 kHz (files/Resampler.h). Errors as above, NotFound if there is none.
Result<std::vector<float>> readVideoTrack(const std::string &path, const MediaLimits &limits);

} // namespace qwenrt
