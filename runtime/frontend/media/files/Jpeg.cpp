#include "runtime/frontend/media/files/ImageFile.h"
#include "runtime/lib/Text.h"

#include <memory>
#include <turbojpeg.h>

namespace qwenrt {
namespace {

struct Destroy {
  void operator()(void *handle) const { tjDestroy(handle); }
};

Status broken(tjhandle handle) {
  return {StatusCode::InvalidInput, text("the JPEG file is damaged (", printable(tjGetErrorStr2(handle)),
                                         "), expected it to decode to its end, convert it again")};
}

/// Stray bytes between markers are common and harmless, a missing end is not.
bool isHarmless(tjhandle handle) {
  return tjGetErrorCode(handle) == TJERR_WARNING &&
         std::string_view(tjGetErrorStr2(handle)).find("Premature end") == std::string_view::npos;
}

} // namespace

Result<DecodedImage> decodeJpeg(std::span<const uint8_t> bytes, const MediaLimits &limits) {
  std::unique_ptr<void, Destroy> handle(tjInitDecompress());
  if (!handle)
    return Status(StatusCode::OutOfMemory, "no memory for the JPEG decoder, expected a few kilobytes, free some");
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (tjDecompressHeader3(handle.get(), bytes.data(), bytes.size(), &width, &height, &subsampling, &colours) != 0 &&
      !isHarmless(handle.get()))
    return broken(handle.get());
  if (colours == TJCS_CMYK || colours == TJCS_YCCK)
    return Status(StatusCode::Unsupported, "the JPEG file has CMYK colours, expected RGB or grey, convert it");
  if (width <= 0 || height <= 0)
    return broken(handle.get());
  DecodedImage decoded;
  decoded.image.size = {static_cast<uint32_t>(height), static_cast<uint32_t>(width)};
  QWENRT_RETURN_IF_ERROR(checkImageSize(decoded.image.size, limits));
  decoded.image.pixels.resize(decoded.image.size.pixels() * 3);
  // A progressive file may hold any number of empty scans; the limit keeps the time in proportion to its size.
  if (tjDecompress2(handle.get(), bytes.data(), bytes.size(), decoded.image.pixels.data(), width, 0, height, TJPF_RGB,
                    TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0 &&
      !isHarmless(handle.get()))
    return broken(handle.get());
  decoded.orientation = exifOrientation(bytes);
  return decoded;
}

} // namespace qwenrt
