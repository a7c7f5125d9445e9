// Image files against the pixels that Pillow decodes from them (make-files.py).

#include "runtime/frontend/media/files/ImageFile.h"
#include "MediaTestSupport.h"
#include "test/Checkpoint/TemporaryFolder.h"

using namespace qwenc::test;
using namespace qwenrt;

namespace {

const std::string kFiles = kMediaFolder + "files/";

Result<RgbImage> decode(std::string_view bytes, const MediaLimits &limits = {}) {
  return decodeImage({reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()}, limits);
}

int largestDifference(const RgbImage &a, const RgbImage &b) {
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i)
    largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

} // namespace

TEST(ImageFileTest, EveryFormatGivesPillowsPixels) {
  for (const std::string name :
       {"rgb.png", "rgba.png", "palette.png", "grey.png", "grey-alpha.png", "one-bit.png", "exif.png", "rgb.jpg",
        "progressive.jpg", "grey.jpg", "exif.jpg", "lossless.webp", "lossy.webp", "alpha.webp", "exif.webp"}) {
    SCOPED_TRACE(name);
    const RgbImage image = valueOf(readImage(kFiles + name));
    const RgbImage want = valueOf(readImage(kFiles + name + ".rgb.png"));
    ASSERT_EQ(image.size, want.size);
    EXPECT_EQ(largestDifference(image, want), 0);
  }
}

TEST(ImageFileTest, SixteenBitsKeepTheirHighByte) {
  EXPECT_EQ(valueOf(readImage(kFiles + "sixteen-bit.png")).pixels, valueOf(readImage(kFiles + "rgb.png")).pixels);
}

TEST(ImageFileTest, StrongShrinkingIsWithinOneLevelOfPillow) {
  const RgbImage small = resizeBicubic(valueOf(readImage(kFiles + "large.jpg")), {12, 20});
  EXPECT_LE(largestDifference(small, valueOf(readImage(kFiles + "large.20x12.png"))), 1);
}

TEST(ImageFileTest, OrientationsOfExif) {
  const RgbImage image{{2, 3}, {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5}};
  const std::vector<std::vector<int>> want = {{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0},
                                              {3, 4, 5, 0, 1, 2}, {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2},
                                              {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    SCOPED_TRACE(orientation);
    const RgbImage upright = applyOrientation(image, orientation);
    EXPECT_EQ(upright.size, orientation < 5 ? (ImageSize{2, 3}) : (ImageSize{3, 2}));
    std::vector<int> red;
    for (size_t i = 0; i < upright.pixels.size(); i += 3)
      red.push_back(upright.pixels[i]);
    EXPECT_EQ(red, want[orientation - 1]);
  }
  EXPECT_EQ(applyOrientation(image, 9).pixels, image.pixels);
}

TEST(ImageFileTest, Errors) {
  EXPECT_REFUSED(readImage(kFiles + "none.png"), "none.png': No such file");
  EXPECT_REFUSED(readImage(kFiles), "is no regular file");
  EXPECT_REFUSED(readImage(kFiles + "burst.flac"),
                 "burst.flac: the file is no known image, expected PNG, JPEG or WebP, convert it");
  EXPECT_REFUSED(decode(""), "the file is no known image");
  EXPECT_REFUSED(readImage(kFiles + "cmyk.jpg"), "the JPEG file has CMYK colours, expected RGB or grey, convert it");
  EXPECT_REFUSED(readImage(kFiles + "animation.webp"),
                 "the WebP file is an animation, expected a still image, convert it to a video");
}

TEST(ImageFileTest, ClaimedSizesAreComparedBeforeAnythingIsAllocated) {
  EXPECT_REFUSED(readImage(kFiles + "claims-much.png"),
                 "the image has 60000 x 60000 pixels, expected at most 178956970 (the media limit), make it smaller");
  MediaLimits limits;
  limits.maxDecodedPixels = 26 * 18 - 1;
  for (const std::string name : {"rgb.png", "rgb.jpg", "lossless.webp"})
    EXPECT_REFUSED(readImage(kFiles + name, limits), "the image has 26 x 18 pixels, expected at most 467");
  limits.maxImageFileBytes = 93;
  EXPECT_REFUSED(readImage(kFiles + "rgb.png", limits),
                 "the image file has 94 bytes, expected at most 93 (the media limit), make it smaller");
  EXPECT_REFUSED(checkImageSize({0, 3}, limits), "the image has no pixel, expected at least one, use another image");
}

TEST(ImageFileTest, CutFilesAreRefused) {
  for (auto [name, message] :
       {std::pair{"rgb.png", "the PNG file is damaged ("}, std::pair{"rgb.jpg", "the JPEG file is damaged ("},
        std::pair{"lossy.webp", "the WebP file is damaged, expected it to decode to its end, convert "
                                "it again"}}) {
    const std::string bytes = readText(kFiles + name);
    EXPECT_REFUSED(decode(std::string_view(bytes).substr(0, bytes.size() - 40)), message);
    EXPECT_REFUSED(decode(std::string_view(bytes).substr(0, 16)), message);
  }
}

TEST(ImageFileTest, StrayBytesInAJpegAreHarmless) {
  std::string bytes = readText(kFiles + "rgb.jpg");
  const RgbImage want = valueOf(decode(bytes));
  bytes.insert(bytes.find("\xff\xdb"), 3, '\x11');
  EXPECT_EQ(valueOf(decode(bytes)).pixels, want.pixels);
}
