#include "runtime/frontend/media/AudioFeatures.h"

#include "runtime/frontend/media/Parts.h"
#include "runtime/lib/Text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <kissfft/kissfft.hh>
#include <limits>
#include <numbers>

namespace qwenrt {
namespace {

constexpr double kHertzPerBin = double(kAudioSampleRate) / kMelWindow;
constexpr double kLinearMel = 15; // below 1000 Hz the scale is linear, above logarithmic
const double kLogStep = std::log(6.4) / 27;

double melOfHertz(double hertz) {
  return hertz < 1000 ? 3 * hertz / 200 : kLinearMel + std::log(hertz / 1000) / kLogStep;
}

double hertzOfMel(double mel) {
  return mel < kLinearMel ? 200 * mel / 3 : 1000 * std::exp((mel - kLinearMel) * kLogStep);
}

/// The corner frequencies of the triangles in Hz: triangle j rises from j to j + 1 and falls to j + 2.
std::array<double, kMelBins + 2> cornerFrequencies() {
  std::array<double, kMelBins + 2> corners;
  const double step = melOfHertz(kAudioSampleRate / 2.0) / (kMelBins + 1);
  for (uint32_t i = 0; i < corners.size(); ++i)
    corners[i] = hertzOfMel(i * step);
  return corners;
}

/// One triangle of the filter bank without the zeros around it.
struct MelFilter {
  uint32_t firstBin = 0;
  std::vector<float> weights;
};

std::vector<MelFilter> melFilters() {
  const std::vector<float> bank = melFilterBank();
  std::vector<MelFilter> filters(kMelBins);
  for (uint32_t mel = 0; mel < kMelBins; ++mel)
    for (uint32_t bin = 0; bin < kSpectrumBins; ++bin)
      if (float weight = bank[bin * kMelBins + mel]; weight > 0) {
        if (filters[mel].weights.empty())
          filters[mel].firstBin = bin;
        filters[mel].weights.push_back(weight); // a triangle has no gap
      }
  return filters;
}

/// What all spectra share.
struct MelTables {
  std::vector<MelFilter> filters = melFilters();
  std::array<double, kMelWindow> window;

  MelTables() {
    for (uint32_t i = 0; i < kMelWindow; ++i)
      window[i] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / kMelWindow);
  }
};

/// log10 of the mel spectrum of one window after the other; one thread at a time.
class MelSpectrum {
public:
  explicit MelSpectrum(const MelTables &tables) : transform_(kMelWindow / 2, false), tables_(tables) {}

  std::array<float, kMelBins> frame(const std::array<double, kMelWindow> &samples) {
    for (uint32_t i = 0; i < kMelWindow; ++i)
      windowed_[i] = samples[i] * tables_.window[i];
    transform_.transform_real(windowed_.data(), bins_.data());
    power_[0] = bins_[0].real() * bins_[0].real();
    power_[kSpectrumBins - 1] = bins_[0].imag() * bins_[0].imag(); // packed beside the constant part
    for (uint32_t i = 1; i + 1 < kSpectrumBins; ++i)
      power_[i] = std::norm(bins_[i]);
    std::array<float, kMelBins> mel;
    for (uint32_t i = 0; i < kMelBins; ++i) {
      const MelFilter &filter = tables_.filters[i];
      double sum = 0;
      for (size_t k = 0; k < filter.weights.size(); ++k)
        sum += filter.weights[k] * power_[filter.firstBin + k];
      mel[i] = static_cast<float>(std::log10(std::max(sum, 1e-10)));
    }
    return mel;
  }

private:
  kissfft<double> transform_;
  const MelTables &tables_;
  std::array<double, kMelWindow> windowed_;
  std::array<std::complex<double>, kMelWindow / 2> bins_;
  std::array<double, kSpectrumBins> power_;
};

/// The samples under window \p frame of \p clip, which zeros extend to \p paddedCount samples and a reflection (edge
/// not repeated) beyond.
std::array<double, kMelWindow> samplesUnder(std::span<const float> clip, uint64_t paddedCount, uint64_t frame) {
  std::array<double, kMelWindow> samples;
  for (uint32_t i = 0; i < kMelWindow; ++i) {
    int64_t at = std::abs(static_cast<int64_t>(frame * kMelHop + i) - kMelWindow / 2);
    const int64_t last = static_cast<int64_t>(paddedCount) - 1;
    if (at > last)
      at = 2 * last - at;
    samples[i] = static_cast<size_t>(at) < clip.size() ? clip[at] : 0;
  }
  return samples;
}

/// Writes the \p validFrames frames of \p clip to columns \p column and following of \p features.
void addClip(std::span<const float> clip, uint64_t paddedCount, uint32_t validFrames, const MelTables &tables,
             uint32_t column, AudioFeatures &features) {
  constexpr uint64_t kFramesPerThread = 100;
  // A window behind the valid frames can still hold the end of the clip, and count for its maximum.
  const uint64_t audible = (clip.size() + kMelWindow / 2 + kMelHop - 1) / kMelHop;
  const uint64_t frames = std::min<uint64_t>(paddedCount / kMelHop, std::max<uint64_t>(validFrames, audible));
  const unsigned parts = partCount(frames, kFramesPerThread);
  std::vector<MelSpectrum> spectra(parts, MelSpectrum(tables));
  std::vector<float> maxima(parts, -std::numeric_limits<float>::infinity());
  forEachPart(frames, parts, [&](unsigned part, uint64_t begin, uint64_t end) {
    for (uint64_t t = begin; t < end; ++t) {
      const std::array<float, kMelBins> mel = spectra[part].frame(samplesUnder(clip, paddedCount, t));
      maxima[part] = std::max(maxima[part], *std::max_element(mel.begin(), mel.end()));
      if (t < validFrames)
        for (uint32_t i = 0; i < kMelBins; ++i)
          features.mel[size_t(i) * features.frameCount + column + t] = mel[i];
    }
  });
  const float maximum = *std::max_element(maxima.begin(), maxima.end());
  for (uint32_t i = 0; i < kMelBins; ++i) {
    float *row = features.mel.data() + size_t(i) * features.frameCount + column;
    for (uint32_t t = 0; t < validFrames; ++t)
      row[t] = (std::max(row[t], maximum - 8) + 4) / 4;
  }
}

Status checkClips(std::span<const std::span<const float>> clips, uint64_t longest) {
  if (clips.empty())
    return {StatusCode::InvalidInput, "found no audio clip, expected at least one, leave the audio encoder out"};
  if (longest / kMelHop * clips.size() > std::numeric_limits<uint32_t>::max() / kMelBins)
    return {StatusCode::InvalidInput, text("the audio clips have up to ", longest / kMelHop * clips.size(),
                                           " mel frames, expected at most 2^25, use shorter clips")};
  for (size_t i = 0; i < clips.size(); ++i) {
    if (clips[i].empty())
      return {StatusCode::InvalidInput, text("audio clip ", i, " is empty, expected sound, leave it out")};
    if (!std::all_of(clips[i].begin(), clips[i].end(), [](float sample) { return std::isfinite(sample); }))
      return {StatusCode::InvalidInput,
              text("audio clip ", i, " has a sample that is not finite, expected numbers, convert the file again")};
  }
  if (longest < kMinAudioSamples)
    return {StatusCode::InvalidInput,
            text("the longest audio clip has ", longest, " samples at 16 kHz, expected at least ", kMinAudioSamples,
                 ", use a longer clip")};
  return Status::ok();
}

} // namespace

std::vector<float> melFilterBank() {
  const auto corners = cornerFrequencies();
  std::vector<float> bank(size_t(kSpectrumBins) * kMelBins);
  for (uint32_t bin = 0; bin < kSpectrumBins; ++bin)
    for (uint32_t mel = 0; mel < kMelBins; ++mel) {
      const double hertz = bin * kHertzPerBin;
      const double rise = (hertz - corners[mel]) / (corners[mel + 1] - corners[mel]);
      const double fall = (corners[mel + 2] - hertz) / (corners[mel + 2] - corners[mel + 1]);
      bank[bin * kMelBins + mel] =
          static_cast<float>(std::max(0.0, std::min(rise, fall)) * 2 / (corners[mel + 2] - corners[mel]));
    }
  return bank;
}

Result<AudioFeatures> logMelFeatures(std::span<const std::span<const float>> clips) {
  uint64_t longest = 0;
  for (std::span<const float> clip : clips)
    longest = std::max<uint64_t>(longest, clip.size());
  QWENRT_RETURN_IF_ERROR(checkClips(clips, longest));

  AudioFeatures features;
  for (std::span<const float> clip : clips) {
    const uint64_t masked = (clip.size() + kMelHop - 1) / kMelHop; // every 160th entry of the sample mask
    features.clipFrames.push_back(static_cast<uint32_t>(std::min(masked, longest / kMelHop)));
    features.frameCount += features.clipFrames.back();
  }
  features.mel.resize(size_t(kMelBins) * features.frameCount);
  const MelTables tables;
  uint32_t column = 0;
  for (size_t i = 0; i < clips.size(); ++i) {
    addClip(clips[i], longest, features.clipFrames[i], tables, column, features);
    column += features.clipFrames[i];
  }
  return features;
}

uint32_t audioTokenCount(uint32_t melFrames) { return melFrames / 100 * 13 + (melFrames % 100 + 7) / 8; }

AudioChunks chunkAudio(const AudioFeatures &features, uint32_t chunkFrames, uint32_t chunksPerWindow) {
  struct Chunk {
    uint32_t column, frames;
  };
  AudioChunks result;
  std::vector<Chunk> chunks;
  uint32_t column = 0;
  for (uint32_t clipFrames : features.clipFrames) {
    for (uint32_t first = 0; first < clipFrames; first += chunkFrames)
      chunks.push_back({column + first, std::min(chunkFrames, clipFrames - first)});
    column += clipFrames;
  }
  for (const Chunk &chunk : chunks) {
    result.chunkFrames = std::max(result.chunkFrames, chunk.frames);
    result.chunkTokens.push_back((chunk.frames + 7) / 8);
  }
  result.chunkCount = static_cast<uint32_t>(chunks.size());
  result.values.resize(size_t(result.chunkCount) * kMelBins * result.chunkFrames);
  for (size_t i = 0; i < chunks.size(); ++i)
    for (uint32_t bin = 0; bin < kMelBins; ++bin)
      std::copy_n(features.mel.begin() + size_t(bin) * features.frameCount + chunks[i].column, chunks[i].frames,
                  result.values.begin() + (i * kMelBins + bin) * result.chunkFrames);

  const uint32_t windowTokens = (result.chunkFrames + 7) / 8 * chunksPerWindow;
  uint32_t start = 0;
  for (uint32_t clipFrames : features.clipFrames) {
    uint32_t tokens = 0;
    for (uint32_t first = 0; first < clipFrames; first += chunkFrames)
      tokens += (std::min(chunkFrames, clipFrames - first) + 7) / 8;
    for (uint32_t first = 0; first < tokens; first += windowTokens)
      result.windowStarts.push_back(start + first);
    start += tokens;
  }
  result.windowStarts.push_back(start);
  return result;
}

} // namespace qwenrt
