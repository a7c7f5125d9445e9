//===- VisionFeatures.h - Images and video frames to patches ----------------------------------------------------===//
//
// Every image is resized (Resize.h) to multiples of 32, rescaled and normalised, and cut into patches of 16 x 16 pixels
// and two frames. A row of patches holds, slowest first: channel, frame, y, x. Rows follow each other in blocks of 2 x
// 2 patches, which the encoder merges into one token: block row, block column, row within the block, column within the
// block. A still image stands for both frames; a video of an odd number of frames repeats its last one.
//
// Source: Hugging Face transformers, Qwen2VLImageProcessorFast and Qwen2VLVideoProcessor.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "runtime/frontend/media/MediaLimits.h"
#include "runtime/frontend/media/Resize.h"

#include <array>
#include <optional>
#include <span>
#include <vector>

namespace qwenrt {

/// The values of preprocessor_config.json; the defaults are those published with Qwen3-Omni.
struct VisionOptions {
  uint32_t patch = 16;        ///< pixels along a side of a patch
  uint32_t temporalPatch = 2; ///< frames of a patch
  uint32_t merge = 2;         ///< patches along a side of a merged token
  std::array<float, 3> mean{0.5f, 0.5f, 0.5f};
  std::array<float, 3> deviation{0.5f, 0.5f, 0.5f};
  /// Pixels of a resized image.
  PixelRange imagePixels{3136, 12'845'056};
  /// Pixels of each resized video frame.
  PixelRange framePixels{131'072, 786'432};

  /// Values of one row of patches.
  uint32_t patchValues() const { return 3 * temporalPatch * patch * patch; }
  /// Sides of resized images are multiples of this.
  uint32_t sizeFactor() const { return patch * merge; }
};

/// Patches of one image or video along time, height and width.
struct PatchGrid {
  uint32_t time = 1;
  uint32_t height = 0;
  uint32_t width = 0;
  bool operator==(const PatchGrid &) const = default;
  uint64_t patches() const { return uint64_t(time) * height * width; }
  /// Tokens that the encoder makes of it.
  uint64_t tokens(uint32_t merge = 2) const { return patches() / (uint64_t(merge) * merge); }
};

/// What stands behind the input of the vision encoder: all images, or all videos, of a turn one behind the other. They
/// stay pixels, an eighth of their patches, until writePatches has a place for those.
struct VisionFeatures {
  std::vector<PatchGrid> grids;
  /// For each step in time of each grid its resized frames; the last one stands for those that are missing.
  std::vector<std::vector<RgbImage>> groups;
  uint64_t patchCount = 0; ///< sum of grids[i].patches(), and of the video that is being added
};

/// Writes rows \p first and following of the patches of \p features, [patchCount, patchValues] row-major, to
/// \p target, which takes a whole number of them and no more than there are.
void writePatches(const VisionFeatures &features, const VisionOptions &options, uint64_t first,
                  std::span<float> target);

/// Resizes \p image and appends its patches to \p features. Errors: those of smartResize; InvalidInput if it
/// has more than limits.maxImagePixels then, or \p features would hold more than limits.maxPatches.
Status appendImage(const RgbImage &image, const VisionOptions &options, const MediaLimits &limits,
                   VisionFeatures &features);

/// Appends one video to the features of a turn, frame by frame.
class VideoPatcher {
public:
  /// Everything must outlive the patcher.
  VideoPatcher(const VisionOptions &options, const MediaLimits &limits, VisionFeatures &features)
      : options_(&options), limits_(&limits), features_(&features) {}

  /// The next frame. Errors: those of smartResize; InvalidInput if its size is not that of the first frame, or there
  /// are more than limits.maxVideoFrames frames or limits.maxPatches patches.
  Status add(const RgbImage &frame);

  /// Completes the last group and adds the grid. InvalidInput if there was no frame.
  Status finish();

  uint32_t frameCount() const { return frameCount_; }

private:
  void appendGroup();

  const VisionOptions *options_;
  const MediaLimits *limits_;
  VisionFeatures *features_;
  ImageSize sourceSize_, size_;
  uint32_t frameCount_ = 0;
  std::vector<RgbImage> group_; // fewer than temporalPatch between calls
  PatchGrid grid_{0, 0, 0};
};

} // namespace qwenrt
