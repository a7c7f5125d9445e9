#include "runtime/frontend/media/files/ImageFile.h"
#include "runtime/lib/Text.h"

#include <memory>
#include <webp/decode.h>
#include <webp/demux.h>

namespace qwenrt {
namespace {

struct Delete {
  void operator()(WebPDemuxer *demuxer) const { WebPDemuxDelete(demuxer); }
};

Status broken() {
  return {StatusCode::InvalidInput, "the WebP file is damaged, expected it to decode to its end, convert it again"};
}

int orientationOf(std::span<const uint8_t> bytes) {
  const WebPData data{bytes.data(), bytes.size()};
  std::unique_ptr<WebPDemuxer, Delete> demuxer(WebPDemux(&data));
  WebPChunkIterator chunk{};
  if (!demuxer || !WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk))
    return 1;
  const int orientation = exifOrientation({chunk.chunk.bytes, chunk.chunk.size});
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

} // namespace

Result<DecodedImage> decodeWebp(std::span<const uint8_t> bytes, const MediaLimits &limits) {
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK || features.width <= 0 ||
      features.height <= 0)
    return broken();
  DecodedImage decoded;
  decoded.image.size = {static_cast<uint32_t>(features.height), static_cast<uint32_t>(features.width)};
  QWENRT_RETURN_IF_ERROR(checkImageSize(decoded.image.size, limits));
  if (features.has_animation)
    return Status(StatusCode::Unsupported,
                  "the WebP file is an animation, expected a still image, convert it to a video");
  decoded.image.pixels.resize(decoded.image.size.pixels() * 3);
  if (!WebPDecodeRGBInto(bytes.data(), bytes.size(), decoded.image.pixels.data(), decoded.image.pixels.size(),
                         features.width * 3))
    return broken();
  decoded.orientation = orientationOf(bytes);
  return decoded;
}

} // namespace qwenrt
