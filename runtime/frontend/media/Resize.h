//===- Resize.h - Pixels and their resampling ------------------------------------------------------------------===//
//
// Separable bicubic interpolation (a = -0.5) with antialiasing on 8-bit values, first along x, then along y, in the
// fixed-point arithmetic of the reference: weights of 16 bits, each pass rounded and clamped. The result equals the
// reference's bit for bit; floating-point arithmetic differs by one level here and there.
//
// Source: PyTorch's upsample_bicubic2d_aa for uint8 on the CPU, as torchvision and the image processors of Hugging Face
// transformers call it.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <vector>

namespace qwenrt {

/// Height and width in pixels.
struct ImageSize {
  uint32_t height = 0;
  uint32_t width = 0;
  bool operator==(const ImageSize &) const = default;
  uint64_t pixels() const { return uint64_t(height) * width; }
};

/// 8-bit RGB: [height, width, 3], row-major.
struct RgbImage {
  ImageSize size;
  std::vector<uint8_t> pixels;
};

/// How many pixels a resized image may have.
struct PixelRange {
  uint64_t min = 0;
  uint64_t max = 0;
  bool operator==(const PixelRange &) const = default;
};

/// The size to which an image of \p size is resized: multiples of \p factor, aspect ratio and number of pixels kept as
/// far as that and \p range allow (rounding half to even, as Python does). InvalidInput if a side is 0 or the sides
/// differ by more than a factor of 200; InvalidUsage if \p range is empty or begins at 0.
Result<ImageSize> smartResize(ImageSize size, PixelRange range, uint32_t factor);

/// \p image resampled to \p target. No side may be 0; both sizes are the caller's to bound.
RgbImage resizeBicubic(const RgbImage &image, ImageSize target);

} // namespace qwenrt
