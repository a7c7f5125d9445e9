#include "runtime/frontend/media/files/ImageFile.h"

#include "runtime/lib/File.h"
#include "runtime/lib/Text.h"

#include <cstring>

namespace qwenrt {
namespace {

bool startsWith(std::span<const uint8_t> bytes, std::string_view magic, size_t offset = 0) {
  return bytes.size() >= offset + magic.size() && std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0;
}

Result<DecodedImage> decodeByFormat(std::span<const uint8_t> bytes, const MediaLimits &limits) {
  if (startsWith(bytes, "\x89PNG\r\n\x1a\n"))
    return decodePng(bytes, limits);
  if (startsWith(bytes, "\xff\xd8\xff"))
    return decodeJpeg(bytes, limits);
  if (startsWith(bytes, "RIFF") && startsWith(bytes, "WEBP", 8))
    return decodeWebp(bytes, limits);
  return Status(StatusCode::InvalidInput, "the file is no known image, expected PNG, JPEG or WebP, convert it");
}

} // namespace

Result<RgbImage> decodeImage(std::span<const uint8_t> bytes, const MediaLimits &limits) {
  QWENRT_ASSIGN_OR_RETURN(DecodedImage decoded, decodeByFormat(bytes, limits));
  return applyOrientation(std::move(decoded.image), decoded.orientation);
}

Result<RgbImage> readImage(const std::string &path, const MediaLimits &limits) {
  QWENRT_ASSIGN_OR_RETURN(File file, File::open(path));
  if (file.sizeBytes() > limits.maxImageFileBytes)
    return Status(StatusCode::InvalidInput,
                  text(printable(path), ": the image file has ", file.sizeBytes(), " bytes, expected at most ",
                       limits.maxImageFileBytes, " (the media limit), make it smaller"));
  std::vector<uint8_t> bytes(file.sizeBytes());
  QWENRT_RETURN_IF_ERROR(file.readAt(0, bytes.data(), bytes.size()));
  Result<RgbImage> image = decodeImage(bytes, limits);
  if (!image)
    return image.status().withContext(printable(path));
  return image;
}

Status checkImageSize(ImageSize size, const MediaLimits &limits) {
  if (size.pixels() == 0)
    return {StatusCode::InvalidInput, "the image has no pixel, expected at least one, use another image"};
  if (size.pixels() > limits.maxDecodedPixels)
    return {StatusCode::InvalidInput,
            text("the image has ", size.width, " x ", size.height, " pixels, expected at most ",
                 limits.maxDecodedPixels, " (the media limit), make it smaller")};
  return Status::ok();
}

RgbImage applyOrientation(RgbImage image, int orientation) {
  if (orientation <= 1 || orientation > 8)
    return image;
  const bool swapAxes = orientation >= 5;
  const uint32_t height = image.size.height, width = image.size.width;
  RgbImage result{swapAxes ? ImageSize{width, height} : image.size, std::vector<uint8_t>(image.pixels.size())};
  // Where an upright pixel stands in the file: axes swapped first, then each file axis mirrored or not.
  const bool mirrorX = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirrorY = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  uint8_t *to = result.pixels.data();
  for (uint32_t y = 0; y < result.size.height; ++y)
    for (uint32_t x = 0; x < result.size.width; ++x, to += 3) {
      uint32_t fromY = swapAxes ? x : y, fromX = swapAxes ? y : x;
      fromX = mirrorX ? width - 1 - fromX : fromX;
      fromY = mirrorY ? height - 1 - fromY : fromY;
      std::memcpy(to, image.pixels.data() + (size_t(fromY) * width + fromX) * 3, 3);
    }
  return result;
}

} // namespace qwenrt
