// The table of qwenrt-media.so.
#include "runtime/frontend/media/MediaDecoders.h"
#include "runtime/frontend/media/files/AudioFile.h"
#include "runtime/frontend/media/files/ImageFile.h"

extern "C" __attribute__((visibility("default"))) const qwenrt::MediaDecoders *qwenrtMediaDecoders(uint32_t version) {
  static constexpr qwenrt::MediaDecoders decoders{qwenrt::readAudio, qwenrt::readImage, nullptr, nullptr};
  return version == qwenrt::kMediaDecodersVersion ? &decoders : nullptr;
}
