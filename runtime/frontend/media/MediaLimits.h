//===- MediaLimits.h - What one turn of a prompt may hold -------------------------------------------------------===//
//
// Sizes in media files are claims. Every claim is compared with these limits before memory is allocated for it, and
// what a file really yields is counted again while it is decoded. The defaults bound memory, not the model; the limits
// of a plan are smaller.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include <cstdint>

namespace qwenrt {

struct MediaLimits {
  /// Largest image file that is read; audio and video are read piece by piece.
  uint64_t maxImageFileBytes = uint64_t(256) << 20;
  /// Pixels of one image or frame as the file holds it, before resizing; Pillow refuses above this number too.
  uint64_t maxDecodedPixels = 178'956'970;
  /// Pixels of an image after resizing.
  uint64_t maxImagePixels = UINT64_MAX;
  /// Length of one clip in seconds.
  double maxAudioSeconds = 3600;
  /// Frames of one video that go to the encoder.
  uint32_t maxVideoFrames = 768;
  /// Frames of a video file that are decoded to reach them.
  uint64_t maxDecodedFrames = 2'000'000;
  /// Patches of all images, or of all videos, of one turn; four make a token, so this is a context of 65,536.
  uint64_t maxPatches = 262'144;
};

} // namespace qwenrt
