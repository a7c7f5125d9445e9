// The table of qwenrt-video.so.
#include "runtime/frontend/media/MediaDecoders.h"
#include "runtime/frontend/media/video/VideoFile.h"

extern "C" __attribute__((visibility("default"))) const qwenrt::MediaDecoders *qwenrtMediaDecoders(uint32_t version) {
  static constexpr qwenrt::MediaDecoders decoders{nullptr, nullptr, qwenrt::readVideoFrames, qwenrt::readVideoTrack};
  return version == qwenrt::kMediaDecodersVersion ? &decoders : nullptr;
}
