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
  if (!appendImage(*image, options, limits, features))
    return 0;
  if (features.patchCount != features.grids[0].patches() || features.patchCount > limits.maxPatches)
    std::abort();
  std::vector<float> patches(features.patchCount * options.patchValues());
  writePatches(features, options, 0, patches);
  for (float value : patches)
    if (!(value >= -1 && value <= 1))
      std::abort();
  return 0;
}
