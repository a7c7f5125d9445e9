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

Status checkPatches(const VisionFeatures &features, PatchGrid more, const VisionOptions &options,
                    const MediaLimits &limits) {
  const uint64_t patches = features.patches.size() / options.patchValues() + more.patches();
  if (patches > limits.maxPatches)
    return {StatusCode::InvalidInput,
            text("the images or videos of the turn have ", patches, " or more patches, expected at most ",
                 limits.maxPatches, " (the media limit), lower --max-pixels or take fewer")};
  return Status::ok();
}

/// One row of patches at patch row \p row and patch column \p column: channel, frame, y, x.
float *writePatch(std::span<const RgbImage *const> frames, uint32_t row, uint32_t column, const VisionOptions &options,
                  const std::array<std::array<float, 256>, 3> &table, float *to) {
  const size_t rowBytes = size_t(frames[0]->size.width) * 3;
  for (uint32_t channel = 0; channel < 3; ++channel)
    for (const RgbImage *frame : frames)
      for (uint32_t y = 0; y < options.patch; ++y) {
        const uint8_t *from = frame->pixels.data() + (size_t(row) * options.patch + y) * rowBytes +
                              size_t(column) * options.patch * 3 + channel;
        for (uint32_t x = 0; x < options.patch; ++x)
          *to++ = table[channel][from[x * 3]];
      }
  return to;
}

/// Appends the patches of one group of resized frames of equal size in the order of the merged blocks.
void appendPatches(std::span<const RgbImage *const> frames, const VisionOptions &options, std::vector<float> &patches) {
  const PatchGrid grid = gridOf(frames[0]->size, options);
  const auto table = normalisationTable(options);
  const size_t begin = patches.size();
  patches.resize(begin + grid.patches() * options.patchValues());
  float *to = patches.data() + begin;
  for (uint32_t blockRow = 0; blockRow < grid.height; blockRow += options.merge)
    for (uint32_t blockColumn = 0; blockColumn < grid.width; blockColumn += options.merge)
      for (uint32_t y = 0; y < options.merge; ++y)
        for (uint32_t x = 0; x < options.merge; ++x)
          to = writePatch(frames, blockRow + y, blockColumn + x, options, table, to);
}

} // namespace

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
  QWENRT_RETURN_IF_ERROR(checkPatches(features, grid, options, limits));
  const RgbImage resized = resizeBicubic(image, size);
  const std::vector<const RgbImage *> frames(options.temporalPatch, &resized);
  appendPatches(frames, options, features.patches);
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
    QWENRT_RETURN_IF_ERROR(checkPatches(*features_, {1, grid_.height, grid_.width}, *options_, *limits_));
  group_.push_back(resizeBicubic(frame, size_));
  ++frameCount_;
  return group_.size() == options_->temporalPatch ? appendGroup() : Status::ok();
}

Status VideoPatcher::appendGroup() {
  std::vector<const RgbImage *> frames;
  for (const RgbImage &frame : group_)
    frames.push_back(&frame);
  frames.resize(options_->temporalPatch, frames.back());
  appendPatches(frames, *options_, features_->patches);
  ++grid_.time;
  group_.clear();
  return Status::ok();
}

Status VideoPatcher::finish() {
  if (frameCount_ == 0)
    return {StatusCode::InvalidInput, "the video has no frame, expected at least one, use another file or folder"};
  if (!group_.empty())
    QWENRT_RETURN_IF_ERROR(appendGroup());
  features_->grids.push_back(grid_);
  return Status::ok();
}

} // namespace qwenrt
