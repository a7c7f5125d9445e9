//===- AudioFeatures.h - Waveforms to log-mel frames ------------------------------------------------------------===//
//
// The feature extractor of Whisper as Qwen3-Omni uses it: 128 mel bins (Slaney scale and normalisation, 0 to 8000 Hz),
// windows of 400 samples (periodic Hann) every 160, power spectrum, log10 with a floor of 1e-10, clamped to 8 below the
// clip's maximum, then (x + 4) / 4. All clips of a turn are padded with zeros to the longest. The zeros are signal:
// they stand where the reflection at the end of a clip alone stands, so the last frames of a shorter clip depend on the
// company it is in.
//
// The spectrum is computed in double precision; Hugging Face's own float32 differs from that by up to 6e-5.
//
// Source: Hugging Face transformers, WhisperFeatureExtractor and Qwen3OmniMoeProcessor.
//
//===------------------------------------------------------------------------------------------------------------===//
#pragma once

#include "qwenrt/Status.h"

#include <cstdint>
#include <span>
#include <vector>

namespace qwenrt {

/// Samples per second of every waveform here.
inline constexpr uint32_t kAudioSampleRate = 16'000;
inline constexpr uint32_t kMelBins = 128;
/// Samples from one mel frame to the next: 100 frames per second.
inline constexpr uint32_t kMelHop = 160;
/// Samples under one window, and of the discrete Fourier transform.
inline constexpr uint32_t kMelWindow = 400;
/// Bins of the spectrum, 40 Hz apart.
inline constexpr uint32_t kSpectrumBins = kMelWindow / 2 + 1;
/// The longest clip of a turn needs as many samples, for the reflection at its ends.
inline constexpr uint32_t kMinAudioSamples = kMelWindow / 2 + 1;

/// The valid frames of all clips of a turn, one clip behind the other.
struct AudioFeatures {
  std::vector<float> mel;           ///< [kMelBins, frameCount], row-major
  uint32_t frameCount = 0;          ///< sum of clipFrames
  std::vector<uint32_t> clipFrames; ///< mel frames of each clip
};

/// The features of clips that are encoded in one call: mono samples at kAudioSampleRate, in about -1 .. 1. Of a shorter
/// clip with n samples min(ceil(n / 160), frames of the longest) frames are valid, of the longest floor(n / 160).
/// InvalidInput if there is no clip, an empty one, only ones shorter than kMinAudioSamples, or a sample is not finite.
Result<AudioFeatures> logMelFeatures(std::span<const std::span<const float>> clips);

/// The tokens that the audio encoder makes of one clip: 13 per 100 frames, and ceil(r / 8) for the remainder r.
uint32_t audioTokenCount(uint32_t melFrames);

/// F[kSpectrumBins, kMelBins], row-major: the weight of each bin of the power spectrum in each mel bin.
std::vector<float> melFilterBank();

/// The input of the audio encoder's convolutions: every clip cut into chunks, the last one of a clip shorter.
struct AudioChunks {
  /// [chunkCount, kMelBins, chunkFrames], zeros behind shorter chunks. The zeros are visible in the result (a
  /// convolution has a bias), so chunkFrames belongs to the input.
  std::vector<float> values;
  uint32_t chunkCount = 0;
  uint32_t chunkFrames = 0;          ///< frames of the longest chunk
  std::vector<uint32_t> chunkTokens; ///< rows that are valid behind the convolutions, of each chunk
  /// Where the attention windows begin in the packed valid tokens: 0 first, the number of tokens last, no window across
  /// clips.
  std::vector<uint32_t> windowStarts;
};

/// Cuts \p features into chunks of \p chunkFrames frames (n_window * 2 of the checkpoint) with windows of \p
/// chunksPerWindow chunks (n_window_infer / chunkFrames); both above 0.
AudioChunks chunkAudio(const AudioFeatures &features, uint32_t chunkFrames = 100, uint32_t chunksPerWindow = 8);

} // namespace qwenrt
