// Sizes, resampling and patches against transformers' Qwen2VLImageProcessorFast and Qwen2VLVideoProcessor. The pixels
// of the golden images come through the decoder, which is exact for PNG.

#include "runtime/frontend/media/VisionFeatures.h"
#include "MediaTestSupport.h"
#include "runtime/frontend/media/files/ImageFile.h"

using namespace qwenc::test;
using namespace qwenrt;
using nlohmann::json;

namespace {

const GoldenFile &golden() {
  static const GoldenFile file("vision.safetensors");
  return file;
}

const std::vector<std::string> kImages = {"gradient_200x136.png", "checker_64x64.png", "noise_40x30.png"};

RgbImage imageOf(const std::string &name) { return valueOf(readImage(kMediaFolder + name)); }

VisionOptions smallFrames() {
  VisionOptions options;
  options.framePixels = {4096, 786'432};
  return options;
}

/// [height, width, 3] -> [3, height, width], as the golden images lie.
std::vector<uint8_t> planes(const RgbImage &image) {
  std::vector<uint8_t> result(image.pixels.size());
  for (size_t i = 0; i < image.size.pixels(); ++i)
    for (size_t c = 0; c < 3; ++c)
      result[c * image.size.pixels() + i] = image.pixels[i * 3 + c];
  return result;
}

std::string sizeError(ImageSize size, PixelRange range = {3136, 12'845'056}) {
  return smartResize(size, range, 32).status().message();
}

} // namespace

TEST(SmartResizeTest, Golden) {
  EXPECT_EQ(mediaCases()["smart_resize_factor_32"].size(), 42u);
  for (const json &item : mediaCases()["smart_resize_factor_32"]) {
    const ImageSize size =
        valueOf(smartResize({item["height"], item["width"]}, {item["min_pixels"], item["max_pixels"]}, 32));
    EXPECT_EQ(size, (ImageSize{item["resized"][0], item["resized"][1]})) << item;
  }
}

TEST(SmartResizeTest, Errors) {
  EXPECT_EQ(sizeError({0, 5}), "the image has 5 x 0 pixels, expected at least one, use another image");
  EXPECT_EQ(sizeError({1, 201}),
            "the image has 201 x 1 pixels, expected sides that differ by at most a factor of 200, crop it");
  EXPECT_EQ(sizeError({1, 200}), "");
  EXPECT_EQ(sizeError({9, 9}, {10, 9}), "the pixel range is 10 .. 9, expected 1 <= minimum <= maximum, change "
                                        "--min-pixels or --max-pixels");
  EXPECT_EQ(sizeError({9, 9}, {1ull << 50, 1ull << 50}),
            "resized to at least 1125899906842624 pixels the image has a side above a million, expected less, lower "
            "--min-pixels");
}

TEST(ResizeTest, BicubicIsExact) {
  for (int i = 0; i < 3; ++i) {
    SCOPED_TRACE(kImages[i]);
    const std::string name = "image" + std::to_string(i) + ".resized";
    const std::vector<uint64_t> shape = golden().shape(name);
    const ImageSize size{static_cast<uint32_t>(shape[1]), static_cast<uint32_t>(shape[2])};
    EXPECT_EQ(planes(resizeBicubic(imageOf(kImages[i]), size)), golden().values<uint8_t>(name));
  }
}

TEST(ResizeTest, ShrinkingMuchAveragesAndKeepsFlatAreas) {
  RgbImage image{{512, 700}, std::vector<uint8_t>(512 * 700 * 3, 200)};
  for (uint8_t value : resizeBicubic(image, {1, 2}).pixels)
    EXPECT_EQ(value, 200);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = i / 3 % 2 ? 255 : 0; // columns
  for (uint8_t value : resizeBicubic(image, {16, 16}).pixels)
    EXPECT_NEAR(value, 127.5, 2);
}

TEST(VisionFeaturesTest, ImagePatches) {
  VisionFeatures features;
  for (const std::string &name : kImages)
    ASSERT_TRUE(appendImage(imageOf(name), {}, {}, features).isOk());
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<int64_t> grid = golden().values<int64_t>("image" + std::to_string(i) + ".grid_thw");
    EXPECT_EQ(features.grids[i], (PatchGrid{uint32_t(grid[0]), uint32_t(grid[1]), uint32_t(grid[2])}));
  }
  ASSERT_EQ(features.patchCount, 96 + 16 + 24u);
  const std::vector<float> patches = patchesOf(features);
  expectClose(std::span(patches).subspan((96 + 16) * 1536), golden().values<float>("image2.pixel_values"), 1e-6);
}

TEST(VisionFeaturesTest, PatchesInPieces) {
  const VisionOptions options = smallFrames();
  const MediaLimits limits;
  VisionFeatures features;
  ASSERT_TRUE(appendImage(imageOf(kImages[1]), options, limits, features).isOk());
  VideoPatcher patcher(options, limits, features);
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(patcher.add(imageOf("frames/frame_" + std::to_string(i) + ".png")).isOk());
  ASSERT_TRUE(patcher.finish().isOk());
  const std::vector<float> whole = patchesOf(features);
  for (uint64_t piece : {1, 7, 64}) { // within a block, across images and frames
    std::vector<float> patches;
    for (uint64_t first = 0; first < features.patchCount; first += piece) {
      const size_t count = std::min(piece, features.patchCount - first) * 1536;
      patches.resize(patches.size() + count);
      writePatches(features, options, first, std::span(patches).last(count));
    }
    EXPECT_EQ(patches, whole) << piece;
  }
}

TEST(VisionFeaturesTest, PatchOrder) {
  // The red value of each pixel is its place within the patch row, the green one its patch row, the blue one its
  // column.
  RgbImage image{{64, 96}, {}};
  for (uint32_t y = 0; y < 64; ++y)
    for (uint32_t x = 0; x < 96; ++x)
      image.pixels.insert(image.pixels.end(), {uint8_t(y % 16 * 16 + x % 16), uint8_t(y / 16), uint8_t(x / 16)});
  VisionFeatures features;
  ASSERT_TRUE(appendImage(image, {}, {}, features).isOk());
  const std::vector<float> patches = patchesOf(features);
  auto level = [&](size_t patch, size_t channel, size_t frame, size_t y, size_t x) {
    return std::lround(patches[patch * 1536 + ((channel * 2 + frame) * 16 + y) * 16 + x] * 127.5 + 127.5);
  };
  EXPECT_EQ(level(0, 0, 1, 3, 5), 3 * 16 + 5);
  const std::vector<std::pair<int, int>> order = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2},
                                                  {0, 3}, {1, 2}, {1, 3}, {0, 4}};
  for (size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(level(i, 1, 0, 0, 0), order[i].first) << i;
    EXPECT_EQ(level(i, 2, 1, 0, 0), order[i].second) << i;
  }
}

TEST(VisionFeaturesTest, VideoPatches) {
  const VisionOptions options = smallFrames();
  const MediaLimits limits;
  VisionFeatures features;
  VideoPatcher patcher(options, limits, features);
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(patcher.add(imageOf("frames/frame_" + std::to_string(i) + ".png")).isOk());
  ASSERT_TRUE(patcher.finish().isOk());
  const std::vector<int64_t> grid = golden().values<int64_t>("video.grid_thw");
  EXPECT_EQ(features.grids[0], (PatchGrid{uint32_t(grid[0]), uint32_t(grid[1]), uint32_t(grid[2])}));
  expectClose(patchesOf(features), golden().values<float>("video.pixel_values"), 1e-6);
}

TEST(VisionFeaturesTest, AnOddVideoRepeatsItsLastFrame) {
  const VisionOptions options = smallFrames();
  const MediaLimits limits;
  VisionFeatures odd, even;
  for (auto [frames, features] : {std::pair{3, &odd}, std::pair{4, &even}}) {
    VideoPatcher patcher(options, limits, *features);
    for (int i = 0; i < frames; ++i)
      ASSERT_TRUE(patcher.add(imageOf("frames/frame_" + std::to_string(std::min(i, 2)) + ".png")).isOk());
    ASSERT_TRUE(patcher.finish().isOk());
  }
  EXPECT_EQ(odd.grids[0].time, 2u);
  EXPECT_EQ(patchesOf(odd), patchesOf(even));
}

TEST(VisionFeaturesTest, Limits) {
  const VisionOptions options = smallFrames();
  MediaLimits limits;
  limits.maxPatches = 95;
  limits.maxVideoFrames = 1;
  VisionFeatures features;
  EXPECT_EQ(appendImage(imageOf(kImages[0]), options, limits, features).message(),
            "the images or videos of the turn have 96 or more patches, expected at most 95 (the media limit), lower "
            "--max-pixels or take fewer");
  EXPECT_EQ(features.patchCount, 0u);
  EXPECT_TRUE(features.groups.empty());

  VideoPatcher patcher(options, limits, features);
  EXPECT_EQ(patcher.finish().message(), "the video has no frame, expected at least one, use another file or folder");
  ASSERT_TRUE(patcher.add(imageOf("frames/frame_0.png")).isOk());
  EXPECT_EQ(patcher.add(imageOf("frames/frame_1.png")).message(),
            "the video has more than 1 frames, expected at most that (--max-video-frames of the plan), lower --fps or "
            "take fewer");

  limits.maxVideoFrames = 2;
  EXPECT_EQ(patcher.add(imageOf(kImages[1])).message().substr(0, 49),
            "frame 1 of the video has 64 x 64 pixels, expected");
}
