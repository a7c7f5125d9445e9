#include "runtime/frontend/media/files/ImageFile.h"
#include "runtime/lib/Text.h"

#include <memory>
#include <spng.h>

namespace qwenrt {
namespace {

struct Free {
  void operator()(spng_ctx *context) const { spng_ctx_free(context); }
};

Status broken(int error) {
  return {StatusCode::InvalidInput, text("the PNG file is damaged (", spng_strerror(error),
                                         "), expected it to decode to its end, convert it again")};
}

} // namespace

Result<DecodedImage> decodePng(std::span<const uint8_t> bytes, const MediaLimits &limits) {
  constexpr size_t kMaxChunkBytes = size_t(64) << 20; // Pillow bounds texts to the same size
  std::unique_ptr<spng_ctx, Free> context(spng_ctx_new(0));
  if (!context)
    return Status(StatusCode::OutOfMemory, "no memory for the PNG decoder, expected a few kilobytes, free some");
  spng_set_chunk_limits(context.get(), kMaxChunkBytes, kMaxChunkBytes);
  if (int error = spng_set_png_buffer(context.get(), bytes.data(), bytes.size()))
    return broken(error);
  spng_ihdr header{};
  if (int error = spng_get_ihdr(context.get(), &header))
    return broken(error);
  DecodedImage decoded;
  decoded.image.size = {header.height, header.width};
  QWENRT_RETURN_IF_ERROR(checkImageSize(decoded.image.size, limits));
  decoded.image.pixels.resize(decoded.image.size.pixels() * 3);
  // Without SPNG_DECODE_TRNS and with three channels, alpha is dropped.
  if (int error =
          spng_decode_image(context.get(), decoded.image.pixels.data(), decoded.image.pixels.size(), SPNG_FMT_RGB8, 0))
    return broken(error);
  spng_exif exif{};
  if (spng_decode_chunks(context.get()) == 0 && spng_get_exif(context.get(), &exif) == 0)
    decoded.orientation = exifOrientation({reinterpret_cast<const uint8_t *>(exif.data), exif.length});
  return decoded;
}

} // namespace qwenrt
