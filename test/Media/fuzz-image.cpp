// Decodes an image file; what is accepted has to have the size it says and to become patches.

#include "runtime/frontend/media/VisionFeatures.h"
#include "runtime/frontend/media/files/ImageFile.h"

#include <cstdlib>

using namespace qwenrt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t sizeBytes) {
  MediaLimits limits;
  limits.maxDecodedPixels = 1 << 18;
  limits.maxPatches = 1 << 10;
  Result<RgbImage> image = decodeImage({bytes, sizeBytes}, limits);
  if (!image)
    return 0;
  if (image->size.pixels() > limits.maxDecodedPixels || image->pixels.size() != image->size.pixels() * 3)
    std::abort();
  VisionFeatures features;
  const VisionOptions options;
  if (appendImage(*image, options, limits, features) &&
      (features.patches.size() != features.grids[0].patches() * options.patchValues() ||
       features.grids[0].patches() > limits.maxPatches))
    std::abort();
  return 0;
}
