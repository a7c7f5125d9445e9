#include "runtime/frontend/media/VisionFeatures.h"

#include "runtime/lib/Text.h"

#include <algorithm>
#include <span>

namespace qwenrt {
namespace {

/// The normalised value of each byte: rescaling is folded into mean and deviation, as the reference does.
std::array<std::array<float, 256>, 3> normalisationTable(const VisionOptions &options) {
  std::array<std::array<float, 256>, 3> table;
  for (int c = 0; c < 3; ++c)
    for (int value = 0; value < 256; ++value)
      table[c][value] = (float(value) - options.mean[c] * 255.0f) / (options.deviation[c] * 255.0f);
  return table;
}

PatchGrid gridOf(ImageSize size, const VisionOptions &options) {
  return {1, size.height / options.patch, size.width / options.patch};
}

Status checkPatches(const VisionFeatures &features, PatchGrid more, const MediaLimits &limits) {
  const uint64_t patches = features.patchCount + more.patches();
  if (patches > limits.maxPatches)
    return {StatusCode::InvalidInput,
            text("the images or videos of the turn have ", patches, " or more patches, expected at most ",
                 limits.maxPatches, " (the media limit), lower --max-pixels or take fewer")};
  return Status::ok();
}

/// One row of patches at patch row \p row and patch column \p column: channel, frame, y, x.
void writePatch(std::span<const RgbImage> frames, uint32_t row, uint32_t column, const VisionOptions &options,
                const std::array<std::array<float, 256>, 3> &table, float *to) {
  const size_t rowBytes = size_t(frames[0].size.width) * 3, pixels = size_t(options.patch) * options.patch;
  for (uint32_t channel = 0; channel < 3; ++channel)
    for (uint32_t time = 0; time < options.temporalPatch; ++time, to += pixels) {
      if (time >= frames.size()) { // the last frame stands for the others
        std::copy_n(to - pixels, pixels, to);
        continue;
      }
      const uint8_t *from = frames[time].pixels.data() + size_t(row) * options.patch * rowBytes +
                            size_t(column) * options.patch * 3 + channel;
      for (uint32_t y = 0; y < options.patch; ++y, from += rowBytes)
        for (uint32_t x = 0; x < options.patch; ++x)
          to[y * options.patch + x] = table[channel][from[x * 3]];
    }
}

} // namespace

void writePatches(const VisionFeatures &features, const VisionOptions &options, uint64_t first,
                  std::span<float> target) {
  const auto table = normalisationTable(options);
  const uint32_t merge = options.merge;
  float *to = target.data(), *const end = to + target.size();
  for (const std::vector<RgbImage> &frames : features.groups) {
    const PatchGrid grid = gridOf(frames[0].size, options);
    if (first >= grid.patches()) {
      first -= grid.patches();
      continue;
    }
    // In the order of the merged blocks: block row, block column, row and column within the block.
    for (; first < grid.patches() && to < end; ++first, to += options.patchValues()) {
      const uint64_t block = first / (merge * merge), within = first % (merge * merge), perRow = grid.width / merge;
      writePatch(frames, uint32_t(block / perRow * merge + within / merge),
                 uint32_t(block % perRow * merge + within % merge), options, table, to);
    }
    first = 0;
  }
}

Status appendImage(const RgbImage &image, const VisionOptions &options, const MediaLimits &limits,
                   VisionFeatures &features) {
  QWENRT_ASSIGN_OR_RETURN(ImageSize size, smartResize(image.size, options.imagePixels, options.sizeFactor()));
  if (size.pixels() > limits.maxImagePixels)
    return {StatusCode::InvalidInput,
            text("the image has ", size.width, " x ", size.height, " pixels after resizing, expected at most ",
                 limits.maxImagePixels,
                 " (--max-image-pixels of the plan), lower --max-pixels to that or compile with a "
                 "larger one")};
  const PatchGrid grid = gridOf(size, options);
  QWENRT_RETURN_IF_ERROR(checkPatches(features, grid, limits));
  features.groups.emplace_back().push_back(resizeBicubic(image, size));
  features.patchCount += grid.patches();
  features.grids.push_back(grid);
  return Status::ok();
}

Status VideoPatcher::add(const RgbImage &frame) {
  if (frameCount_ == limits_->maxVideoFrames)
    return {StatusCode::InvalidInput,
            text("the video has more than ", limits_->maxVideoFrames,
                 " frames, expected at most that (--max-video-frames of the plan), lower --fps or take fewer")};
  if (frameCount_ == 0) {
    sourceSize_ = frame.size;
    QWENRT_ASSIGN_OR_RETURN(size_, smartResize(frame.size, options_->framePixels, options_->sizeFactor()));
    grid_ = gridOf(size_, *options_);
    grid_.time = 0;
  }
  if (frame.size != sourceSize_)
    return {StatusCode::InvalidInput,
            text("frame ", frameCount_, " of the video has ", frame.size.width, " x ", frame.size.height,
                 " pixels, expected ", sourceSize_.width, " x ", sourceSize_.height, " as the first, make them equal")};
  if (group_.empty())
    QWENRT_RETURN_IF_ERROR(checkPatches(*features_, {1, grid_.height, grid_.width}, *limits_));
  group_.push_back(resizeBicubic(frame, size_));
  ++frameCount_;
  if (group_.size() == options_->temporalPatch)
    appendGroup();
  return Status::ok();
}

void VideoPatcher::appendGroup() {
  features_->groups.push_back(std::move(group_));
  features_->patchCount += uint64_t(grid_.height) * grid_.width;
  ++grid_.time;
  group_.clear();
}

Status VideoPatcher::finish() {
  if (frameCount_ == 0)
    return {StatusCode::InvalidInput, "the video has no frame, expected at least one, use another file or folder"};
  if (!group_.empty())
    appendGroup();
  features_->grids.push_back(grid_);
  return Status::ok();
}

} // namespace qwenrt
