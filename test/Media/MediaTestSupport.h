// What the tests of the media front end share: reduced golden files and comparisons.
#pragma once

#include "models/Checkpoint/Safetensors.h"
#include "runtime/frontend/media/AudioFeatures.h"
#include "runtime/frontend/media/VisionFeatures.h"
#include "test/Tokenizer/TestSupport.h"

#include <cmath>
#include <cstring>

namespace qwenc::test {

inline const std::string kMediaFolder = QWENC_SOURCE_DIR "/test/Media/data/";

inline const nlohmann::json &mediaCases() {
  static const nlohmann::json cases = readJson(kMediaFolder + "cases.json");
  return cases;
}

/// A safetensors file in memory.
class GoldenFile {
public:
  explicit GoldenFile(const std::string &name)
      : bytes_(readText(kMediaFolder + name)), header_(valueOf(readSafetensorsHeader(kMediaFolder + name))) {}

  bool has(const std::string &name) const { return header_.tensors.contains(name); }
  std::vector<uint64_t> shape(const std::string &name) const { return header_.tensors.at(name).shape; }

  template <typename T> std::vector<T> values(const std::string &name) const {
    const StoredTensor &tensor = header_.tensors.at(name);
    std::vector<T> values(tensor.sizeBytes / sizeof(T));
    std::memcpy(values.data(), bytes_.data() + tensor.offsetBytes, tensor.sizeBytes);
    return values;
  }

  std::vector<int32_t> ids(const std::string &name) const {
    const std::vector<int64_t> wide = values<int64_t>(name);
    return {wide.begin(), wide.end()};
  }

private:
  std::string bytes_;
  SafetensorsHeader header_;
};

/// All patches of \p features.
inline std::vector<float> patchesOf(const qwenrt::VisionFeatures &features,
                                    const qwenrt::VisionOptions &options = qwenrt::VisionOptions()) {
  std::vector<float> patches(features.patchCount * options.patchValues());
  qwenrt::writePatches(features, options, 0, patches);
  return patches;
}

/// Relative L2 below 1e-4 and every value within \p absolute.
inline void expectClose(std::span<const float> got, std::span<const float> want, double absolute) {
  ASSERT_EQ(got.size(), want.size());
  double difference = 0, norm = 0, largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = double(got[i]) - want[i];
    difference += d * d;
    norm += double(want[i]) * want[i];
    largest = std::max(largest, std::abs(d));
  }
  EXPECT_LT(std::sqrt(difference / norm), 1e-4);
  EXPECT_LT(largest, absolute);
}

/// The 16-bit samples of a canonical WAV file (44 bytes of header), over 32768: independent of the library under test.
inline std::vector<float> wavSamples(const std::string &name) {
  const std::string bytes = readText(kMediaFolder + name);
  std::vector<float> samples((bytes.size() - 44) / 2);
  for (size_t i = 0; i < samples.size(); ++i) {
    int16_t value;
    std::memcpy(&value, bytes.data() + 44 + 2 * i, 2);
    samples[i] = float(value) / 32768;
  }
  return samples;
}

} // namespace qwenc::test
