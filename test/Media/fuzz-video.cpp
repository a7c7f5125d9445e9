// Reads frames and sound of a video file within small limits.

#include "FuzzFile.h"
#include "runtime/frontend/media/video/VideoFile.h"

using namespace qwenrt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t sizeBytes) {
  MediaLimits limits;
  limits.maxAudioSeconds = 5;
  limits.maxVideoFrames = 16;
  limits.maxDecodedPixels = 1 << 16;
  limits.maxDecodedFrames = 256;
  FuzzFile file(bytes, sizeBytes);
  uint32_t frames = 0;
  Status status = readVideoFrames(file.path(), 2, limits, [&](const RgbImage &frame) {
    if (++frames > limits.maxVideoFrames || frame.size.pixels() > limits.maxDecodedPixels ||
        frame.pixels.size() != frame.size.pixels() * 3)
      std::abort();
    return Status::ok();
  });
  if (status && frames == 0)
    std::abort();
  (void)readVideoTrack(file.path(), limits);
  return 0;
}
