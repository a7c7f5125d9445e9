#include "runtime/frontend/media/Resize.h"

#include "runtime/frontend/media/Parts.h"
#include "runtime/lib/Text.h"

#include <algorithm>
#include <cmath>

namespace qwenrt {
namespace {

constexpr double kMaxAspectRatio = 200;
constexpr uint32_t kChannels = 3;
/// Values of a result that are worth a thread.
constexpr uint64_t kValuesPerThread = 200'000;
/// Values of a row that are summed together.
constexpr size_t kPiece = 32;

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2)
    return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/// The samples that contribute to each output of one pass, with weights scaled by 2^shift.
struct Taps {
  struct Output {
    uint32_t first, count;
    size_t weights; ///< index of the first weight
  };
  std::vector<Output> outputs;
  std::vector<int16_t> weights; ///< so narrow that the processor multiplies eight at a time
  int shift = 0;
};

std::vector<double> normalisedWeights(uint32_t first, uint32_t last, double centre, double filterScale) {
  std::vector<double> weights(last - first);
  double sum = 0;
  for (uint32_t j = first; j < last; ++j)
    sum += weights[j - first] = bicubic((j - centre + 0.5) / filterScale);
  for (double &weight : weights)
    weight /= sum;
  return weights;
}

Taps makeTaps(uint32_t from, uint32_t to) {
  const double scale = double(from) / to, filterScale = std::max(scale, 1.0), support = 2 * filterScale;
  Taps taps;
  std::vector<double> exact;
  double largest = 0;
  for (uint32_t i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const auto first = static_cast<uint32_t>(std::max(0.0, std::trunc(centre - support + 0.5)));
    const auto last = static_cast<uint32_t>(std::min(double(from), std::trunc(centre + support + 0.5)));
    taps.outputs.push_back({first, last - first, exact.size()});
    for (double weight : normalisedWeights(first, last, centre, filterScale)) {
      exact.push_back(weight);
      largest = std::max(largest, weight);
    }
  }
  // As many bits as keep every weight within 16.
  while (taps.shift < 22 && std::trunc(0.5 + std::ldexp(largest, taps.shift + 1)) < 32768)
    ++taps.shift;
  for (double weight : exact)
    taps.weights.push_back(static_cast<int16_t>(std::round(std::ldexp(weight, taps.shift))));
  return taps;
}

uint8_t clampShifted(int32_t sum, int shift) { return static_cast<uint8_t>(std::clamp(sum >> shift, 0, 255)); }

void resizeRow(const uint8_t *row, const Taps &taps, uint8_t *to) {
  for (const Taps::Output &output : taps.outputs) {
    int32_t sums[kChannels];
    std::fill_n(sums, kChannels, 1 << (taps.shift - 1));
    for (uint32_t j = 0; j < output.count; ++j)
      for (uint32_t c = 0; c < kChannels; ++c)
        sums[c] += taps.weights[output.weights + j] * row[size_t(output.first + j) * kChannels + c];
    for (uint32_t c = 0; c < kChannels; ++c)
      *to++ = clampShifted(sums[c], taps.shift);
  }
}

RgbImage resizeWidth(const RgbImage &image, uint32_t width) {
  const Taps taps = makeTaps(image.size.width, width);
  const size_t fromBytes = size_t(image.size.width) * kChannels, toBytes = size_t(width) * kChannels;
  RgbImage result{{image.size.height, width}, std::vector<uint8_t>(image.size.height * toBytes)};
  forEachPart(image.size.height, partCount(result.pixels.size(), kValuesPerThread),
              [&](unsigned, uint64_t begin, uint64_t end) {
                for (uint64_t y = begin; y < end; ++y)
                  resizeRow(image.pixels.data() + y * fromBytes, taps, result.pixels.data() + y * toBytes);
              });
  return result;
}

/// The weighted sum of \p count rows, \p size values of each from \p rows on. With a size that the compiler knows, the
/// sums stay in registers.
inline void blend(const uint8_t *rows, size_t rowBytes, size_t size, const int16_t *weights, uint32_t count, int shift,
                  uint8_t *to) {
  int32_t sums[kPiece];
  std::fill_n(sums, size, 1 << (shift - 1));
  for (uint32_t j = 0; j < count; ++j)
    for (size_t x = 0; x < size; ++x)
      sums[x] += weights[j] * int16_t(rows[j * rowBytes + x]);
  for (size_t x = 0; x < size; ++x)
    to[x] = clampShifted(sums[x], shift);
}

void blendRows(const uint8_t *rows, size_t rowBytes, const int16_t *weights, uint32_t count, int shift, uint8_t *to) {
  size_t x = 0;
  for (; x + kPiece <= rowBytes; x += kPiece)
    blend(rows + x, rowBytes, kPiece, weights, count, shift, to + x);
  blend(rows + x, rowBytes, rowBytes - x, weights, count, shift, to + x);
}

RgbImage resizeHeight(const RgbImage &image, uint32_t height) {
  const Taps taps = makeTaps(image.size.height, height);
  const size_t rowBytes = size_t(image.size.width) * kChannels;
  RgbImage result{{height, image.size.width}, std::vector<uint8_t>(height * rowBytes)};
  forEachPart(height, partCount(result.pixels.size(), kValuesPerThread), [&](unsigned, uint64_t begin, uint64_t end) {
    for (uint64_t y = begin; y < end; ++y) {
      const Taps::Output &output = taps.outputs[y];
      blendRows(image.pixels.data() + output.first * rowBytes, rowBytes, taps.weights.data() + output.weights,
                output.count, taps.shift, result.pixels.data() + y * rowBytes);
    }
  });
  return result;
}

} // namespace

Result<ImageSize> smartResize(ImageSize size, PixelRange range, uint32_t factor) {
  if (range.min == 0 || range.min > range.max || factor == 0)
    return Status(StatusCode::InvalidUsage,
                  text("the pixel range is ", range.min, " .. ", range.max,
                       ", expected 1 <= minimum <= maximum, change --min-pixels or --max-pixels"));
  if (size.height == 0 || size.width == 0)
    return Status(StatusCode::InvalidInput, text("the image has ", size.width, " x ", size.height,
                                                 " pixels, expected at least one, use another image"));
  const double height = size.height, width = size.width;
  if (std::max(height, width) / std::min(height, width) > kMaxAspectRatio)
    return Status(StatusCode::InvalidInput,
                  text("the image has ", size.width, " x ", size.height,
                       " pixels, expected sides that differ by at most a factor of 200, crop it"));
  auto multiple = [&](double value) { return value * factor; };
  double toHeight = multiple(std::nearbyint(height / factor)), toWidth = multiple(std::nearbyint(width / factor));
  if (toHeight * toWidth > double(range.max)) {
    const double shrink = std::sqrt(height * width / double(range.max));
    toHeight = std::max<double>(factor, multiple(std::floor(height / shrink / factor)));
    toWidth = std::max<double>(factor, multiple(std::floor(width / shrink / factor)));
  } else if (toHeight * toWidth < double(range.min)) {
    const double grow = std::sqrt(double(range.min) / (height * width));
    toHeight = multiple(std::ceil(height * grow / factor));
    toWidth = multiple(std::ceil(width * grow / factor));
  }
  if (toHeight > 1e6 || toWidth > 1e6)
    return Status(StatusCode::InvalidUsage, text("resized to at least ", range.min,
                                                 " pixels the image has a side above a "
                                                 "million, expected less, lower --min-pixels"));
  return ImageSize{static_cast<uint32_t>(toHeight), static_cast<uint32_t>(toWidth)};
}

RgbImage resizeBicubic(const RgbImage &image, ImageSize target) {
  if (image.size == target)
    return image;
  if (image.size.width == target.width)
    return resizeHeight(image, target.height);
  RgbImage wide = resizeWidth(image, target.width);
  return image.size.height == target.height ? wide : resizeHeight(wide, target.height);
}

} // namespace qwenrt
