//===- ImageFile.h - Image files to pixels ----------------------------------------------------------------------===//
//
// PNG (libspng), JPEG (libjpeg-turbo) and WebP (libwebp) as Pillow's convert("RGB") gives them: an alpha channel is
// dropped, not blended; 16-bit samples keep their high byte; palettes and grey are spread; no colour profile is
// applied. The orientation that a camera noted (Exif) is applied, as transformers' load_image does.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/frontend/media/MediaLimits.h"
#include "runtime/frontend/media/Resize.h"

#include <span>
#include <string>

namespace qwenrt {

/// The pixels of \p path. Messages start with the path. Errors: NotFound, Io; those of decodeImage; InvalidInput if the
/// file is larger than limits.maxImageFileBytes.
Result<RgbImage> readImage(const std::string &path, const MediaLimits &limits = {});

/// The pixels of an image file in memory. InvalidInput if it is no image, broken, cut, or claims more than
/// limits.maxDecodedPixels (compared before anything is allocated); Unsupported for CMYK JPEG and animated WebP.
Result<RgbImage> decodeImage(std::span<const uint8_t> bytes, const MediaLimits &limits = {});

// One decoder per format; decodeImage chooses by the first bytes. The orientation is not applied yet.
struct DecodedImage {
  RgbImage image;
  int orientation = 1; ///< Exif's number, 1 .. 8
};
Result<DecodedImage> decodePng(std::span<const uint8_t> bytes, const MediaLimits &limits);
Result<DecodedImage> decodeJpeg(std::span<const uint8_t> bytes, const MediaLimits &limits);
Result<DecodedImage> decodeWebp(std::span<const uint8_t> bytes, const MediaLimits &limits);

/// InvalidInput if an image of \p size is empty or has more than limits.maxDecodedPixels.
Status checkImageSize(ImageSize size, const MediaLimits &limits);

/// Exif's orientation in \p bytes: a JPEG file, or Exif data with or without its leading "Exif\0\0". 1 if there is
/// none.
int exifOrientation(std::span<const uint8_t> bytes);

/// \p image turned upright. 1 leaves it, 2 to 8 mirror and turn it as Exif defines.
RgbImage applyOrientation(RgbImage image, int orientation);

} // namespace qwenrt
